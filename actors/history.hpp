#pragma once
// An entity as it was at any moment, and the events that made it so: folded from the nearest snapshot by the same rules as ever.

#include "actors/entity.hpp"
#include "store/index.hpp"
#include "store/stream.hpp"

namespace usher::actors {

struct past_state {
  std::unique_ptr<entity> state;
  std::uint64_t version = 0;  ///< 0: it was not there yet
  std::uint64_t index = 0;    ///< of the last record that had touched it
};

/// An entity as it was behind a record of its partition.
///
/// @param head  where it stands on disk now, or stood at any time behind `upto_index`
/// @error wrong_format  an event is of a type or schema that this version of Usher doesn't know; `detail` names it
/// @error io_failure, corrupted
/// Cost: the events between two snapshots (settings: snapshot_every, more for large states), found by the cheaper of looking each one up and
/// passing over the records between them.
result<past_state> state_as_of(const store::database&, const store::stream_head& head, const v1::EntityRef&, std::uint64_t upto_index);

/// Where to read on in a stream.
struct stream_place {
  std::uint64_t version = 1;  ///< of the next event
  std::uint64_t after = 0;    ///< it stands behind this record; 0: nobody knows where
};
/// Visits a part of an entity's events, oldest first, up to a record of its partition.
///
/// @param visit  `record` and `event` are valid within the call; an event that this version can't read is one of them
/// @return  where to read on; nullopt at the end  @error io_failure, corrupted
/// Cost: as state_as_of for each part, and a binary search among the snapshots where `from.after` is not known.
result<std::optional<stream_place>> events_of(const store::database&, const store::stream_head& head, const v1::EntityRef&, stream_place from,
                                              std::size_t limit, std::uint64_t upto_index,
                                              const std::function<void(const v1::Record& record, const v1::StreamEvent& event)>& visit);

}  // namespace usher::actors
