#pragma once
// A show's seats as they were: the log folded up to a moment by the same read models that answer for now.

#include <memory>

#include "projections/seat_map.hpp"

namespace usher::projections {

/// The end of a fold: before the first record that is later than either.
struct moment {
  std::uint64_t index = std::numeric_limits<std::uint64_t>::max();  ///< in the show's partition
  std::int64_t at_ms = std::numeric_limits<std::int64_t>::max();    ///< wall time
};

struct seats_then {
  std::shared_ptr<const show_seats> seats;
  std::shared_ptr<const v1::ShowPlan> plan;  ///< with the changes up to then
};

/// @return nullopt where the show was not there yet
/// @error io_failure, corrupted
/// Cost: reads the show's partition up to the moment.
[[nodiscard]] result<std::optional<seats_then>> seats_as_of(const store::database&, const std::string& show_id, moment);

}  // namespace usher::projections
