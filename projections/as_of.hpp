#pragma once
// A show's seats as they were: folded from the last checkpoint before a moment by the same read models that answer for now.

#include <memory>

#include "projections/seat_map.hpp"
#include "store/index.hpp"

namespace usher::projections {

struct seats_then {
  std::shared_ptr<const show_seats> seats;
  std::shared_ptr<const v1::ShowPlan> plan;  ///< with the changes up to then
};

/// A show's seats as they were behind a record of its partition.
///
/// @param now   knows the checkpoints; what it doesn't know yet is read from the log
/// @param head  of the show's own stream, on disk
/// @return nullopt where the show was not there yet
/// @error wrong_format  an event of the show is of a type or schema that this version doesn't know; `detail` names it
/// @error io_failure, corrupted (also an event, or a checkpoint, that makes no sense)
/// Cost: the show's own events, and at most seat_map::checkpoint_every records, besides those that `now` has not seen.
[[nodiscard]] result<std::optional<seats_then>> seats_as_of(const store::database&, const seat_map& now, const store::stream_head& head,
                                                            const std::string& show_id, std::uint64_t upto_index);

}  // namespace usher::projections
