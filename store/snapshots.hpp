#pragma once
// The states of entities as they once were, so that none has to be folded from its first event. All are kept: any moment has one near.

#include <optional>

#include "store/database.hpp"
#include "store/index.hpp"

namespace usher::store {

/// Keeps a snapshot. Unsynced: one that is lost costs only time. @error io_failure
result<void> put_snapshot(database&, const v1::Snapshot&);

struct stored_snapshot {
  v1::Snapshot snapshot;
  std::size_t bytes = 0;
};
/// The last snapshot of an entity up to a record of its partition. One that can't be read is passed over for the one before.
/// @return nullopt where there is none  @error io_failure
result<std::optional<stored_snapshot>> last_snapshot(const database&, const v1::EntityRef&, std::uint64_t upto_index);
/// Where the first snapshot behind a record stands. @return nullopt where there is none
result<std::optional<stream_head>> snapshot_behind(const database&, const v1::EntityRef&, std::uint64_t index);
/// Where the last snapshot stands that knows none of the events from a version on; version 0, index 0 where there is none.
/// Cost: a look-up for each bit of `end_index`, the last record that touched the entity.
result<stream_head> snapshot_before(const database&, const v1::EntityRef&, std::uint64_t version, std::uint64_t end_index);

}  // namespace usher::store
