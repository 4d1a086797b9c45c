#pragma once
// Reads one stream: its records are linked backwards by `previous_index`, so no index of positions is kept.

#include "store/database.hpp"

namespace usher::store {

/// The records that touched `stream` after `since` (a record index; 0: all of them), oldest first.
///
/// @param last  index of the last record that touched it (engine_index::head)
/// @error corrupted  the chain leads to a record that is missing or doesn't touch the stream
/// Cost: one point look-up for each record.
result<std::vector<record_ptr>> read_stream(const database&, const v1::EntityRef& stream, std::uint64_t last,
                                            std::uint64_t since = 0);

/// Whether two references name the same entity.
bool same_entity(const v1::EntityRef& a, const v1::EntityRef& b);

}  // namespace usher::store
