#pragma once
// Reads one stream: its records are linked backwards by `previous_index`, so no index of positions is kept.

#include "store/database.hpp"

namespace usher::store {

/// The records that touched `stream` after `since` (a record index; 0: all of them), oldest first.
///
/// @param last  index of the last record that touched it (engine_index::head)
/// @error corrupted  the chain leads to a record that is missing or doesn't touch the stream
/// @error wrong_format  an event of the stream is of a type or schema that this version doesn't know; `detail` names stream,
///                      version and position. Whoever went on without it would decide on a state that is not the stream's
/// Cost: one point look-up for each record.
result<std::vector<record_ptr>> read_stream(const database&, const v1::EntityRef& stream, std::uint64_t last,
                                            std::uint64_t since = 0);

/// Whether two references name the same entity.
bool same_entity(const v1::EntityRef& a, const v1::EntityRef& b);

}  // namespace usher::store
