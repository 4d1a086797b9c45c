#pragma once
// What settings of a waiting room may be.

#include <cstdint>
#include <string_view>
#include <vector>

#include "events/vocabulary.hpp"

namespace usher::actors {

inline constexpr std::uint32_t admit_per_window_max = 1'000'000;
inline constexpr std::uint32_t window_seconds_max = 3'600;
inline constexpr std::uint32_t admission_seconds_max = 86'400;
inline constexpr std::uint32_t grace_seconds_max = 86'400;
inline constexpr int queue_lanes_max = 16;
inline constexpr std::uint32_t lane_weight_max = 1'000;

/// What is wrong with settings, each with the JSON path of its field. A number or word that is absent stands for its
/// default, so empty settings are fine; a lane needs its weight.
///
/// @param path  of the settings within the request, as in `queue`; empty: the request is the settings
[[nodiscard]] std::vector<v1::Fault> faults_of(const v1::QueueSettings&, std::string_view path);

/// Names settings by what they say: others have, but for one case in 2^32, another number. Never 0.
[[nodiscard]] std::uint64_t version_of(const v1::QueueSettings&);

}  // namespace usher::actors
