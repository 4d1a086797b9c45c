#pragma once
// Checks that a partition of the log is what was once written: whole, in order, and chained.

#include <string>

#include "store/database.hpp"

namespace usher::store {

struct audited {
  std::uint64_t records = 0;  ///< that were checked
  std::string last_hash;      ///< SHA-256 of the last of them; empty where there is none
};

/// Reads a partition from its first record on and checks that indices run 1, 2, 3 …, that epochs never fall, that each
/// record says where it stands, and that it carries the hash of the one before it.
///
/// The last record is vouched for by its own place only: whoever keeps `last_hash` elsewhere can compare it.
/// @error corrupted   `detail` names the first record that is wrong
/// @error io_failure  the log can't be read
/// Cost: about a second for 500,000 records; no lock is held.
result<audited> verify_chain(const database&, std::uint32_t partition);

/// The same for all partitions, one after another. `records` is the sum; `last_hash` is empty.
result<audited> verify_all(const database&);

}  // namespace usher::store
