#pragma once
// Where one stream stands, without an index of them all in memory.

#include "store/index.hpp"

namespace usher::store {

/// Where a stream stands by the rows that the engine's index wrote and the records behind them. For a log that nobody writes to.
///
/// @return  version 0 for an entity that was never touched
/// @error io_failure, corrupted
/// Cost: two point look-ups, and the records of the partition that the rows don't know yet.
result<stream_head> stored_head(const database&, const v1::EntityRef&);

}  // namespace usher::store
