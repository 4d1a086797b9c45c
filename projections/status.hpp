#pragma once
// How read models are doing, as operators see it: from a node that runs, or from the rows of one that is stopped.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "events/json.hpp"
#include "projections/offence.hpp"
#include "projections/rows.hpp"

namespace usher::projections {

enum class projection_state {
  live,        ///< takes in what is written
  rebuilding,  ///< the same, and is being built again beside
  parked,      ///< met an event that it can't fold, and stands there; what it answers is from before
  absent,      ///< of a stopped node: has no rows of its version, and is built at the next start
};
/// LIVE, REBUILDING, PARKED or ABSENT.
[[nodiscard]] std::string_view word_of(projection_state);

/// What a read model has not taken in.
struct projection_lag {
  std::uint64_t records = 0;  ///< on disk
  std::int64_t ms = 0;        ///< age of the oldest of them; 0: there is none
};

/// A read model that is being built.
struct build_state {
  std::uint64_t done = 0;   ///< records
  std::uint64_t total = 0;  ///< records
  [[nodiscard]] double progress() const;  ///< 0 to 1
};

struct projection_status {
  std::string name;
  projection_state state = projection_state::live;
  std::uint32_t version = 0;
  std::uint64_t generation = 0;  ///< grows with each time that it is built again
  std::uint64_t applied = 0;     ///< records taken in, over all partitions
  std::uint64_t written = 0;     ///< of them, those that the rows hold
  projection_lag lag;
  std::optional<offence> failed_on;      ///< where it is parked
  std::optional<build_state> building;
  // Of the operation that builds it; whoever knows operations fills them in.
  std::string operation_id;
  std::optional<std::int64_t> eta_seconds;
};

/// Appends an object.
void write(json_writer&, const projection_status&);
/// `{"items": […]}`: the body of GET /admin/projections.
[[nodiscard]] std::string to_json(const std::vector<projection_status>&);

/// When records were written, in ms, for whoever asks for the lags of several read models: mostly they wait for the same ones.
using record_times = std::map<std::pair<std::uint32_t, std::uint64_t>, std::optional<std::int64_t>>;  // by partition and index
/// Cost: one record is read for each partition that is behind, unless `known` has it. One that can't be read has no age.
[[nodiscard]] projection_lag lag_of(const store::database&, const positions& applied, time_point now, record_times& known);

/// The whole catalogue by its rows, without a node: what a start would find. @error io_failure, corrupted
[[nodiscard]] result<std::vector<projection_status>> stored_status(const store::database&, time_point now);

}  // namespace usher::projections
