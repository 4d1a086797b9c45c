#pragma once
// Reads one stream: its records are linked backwards by `previous_index`, so no index of positions is kept.

#include <functional>
#include <limits>

#include "store/database.hpp"

namespace usher::store {

/// The records that touched `stream` after `since` (a record index; 0: all of them) and not after `upto`, oldest first.
///
/// @param last  index of the last record that touched it (engine_index::head), or of any later than what is wanted
/// @error corrupted  the chain leads to a record that is missing or doesn't touch the stream
/// @error wrong_format  an event of the stream is of a type or schema that this version doesn't know; `detail` names stream,
///                      version and position. Whoever went on without it would decide on a state that is not the stream's
/// Cost: one point look-up for each record.
result<std::vector<record_ptr>> read_stream(const database&, const v1::EntityRef& stream, std::uint64_t last,
                                            std::uint64_t since = 0,
                                            std::uint64_t upto = std::numeric_limits<std::uint64_t>::max());

/// Calls `visit` for the records of a stream's partition from an index on, up to another, that may touch it, in order, until it
/// returns false. The others are hardly looked at, and those behind `upto` not at all. `record` is valid within the call.
/// @error io_failure, corrupted
/// Cost: a look at the bytes of each record, and the decoding of those in which the stream's name occurs.
result<void> visit_records(const database&, const v1::EntityRef& stream, std::uint64_t from, std::uint64_t upto,
                           const std::function<bool(const v1::Record& record)>& visit);

/// A part of a stream between two records of its partition.
struct stretch {
  std::uint64_t after = 0;   ///< begins behind this record
  std::uint64_t upto = 0;    ///< ends with this one
  std::uint64_t last = 0;    ///< a record that touched the stream, as late as the next known place of the stream behind `after`
  std::uint64_t events = 0;  ///< how many of the stream's there are behind `after`, up to `last`
  std::uint64_t wanted = std::numeric_limits<std::uint64_t>::max();  ///< how many of them `visit` is likely to want
};
/// Calls `visit` for the events of a stretch of the stream, oldest first, until it returns false. Those that this version can't
/// read are among them: see `unreadable`.
/// @error io_failure, corrupted  Cost: the lesser of a look-up for each event up to `last`, and a scan of the partition's records.
result<void> visit_stream(const database&, const v1::EntityRef& stream, const stretch&,
                          const std::function<bool(const v1::Record& record, const v1::StreamEvent& event)>& visit);

/// Whether two references name the same entity.
bool same_entity(const v1::EntityRef& a, const v1::EntityRef& b);

}  // namespace usher::store
