#pragma once
// Checks that the log is what was once written: whole, in order, chained, and as it was signed; and that what is derived follows from it.

#include <string>

#include "store/database.hpp"
#include "store/files.hpp"

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

/// What was looked at, and all that is wrong with it.
struct audit_report {
  std::uint64_t records = 0;
  std::uint64_t streams = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t checkpoints = 0;      ///< signed ones
  std::uint64_t signed_records = 0;   ///< that the last one vouches for
  std::string public_key;             ///< whose they are; empty where there are none
  std::vector<damage> found;          ///< in the order of finding, at most damage_max
  std::uint64_t found_besides = 0;    ///< more than that
};
inline constexpr std::size_t damage_max = 1000;

struct audit_options {
  std::optional<std::uint32_t> partition;                  ///< only this one, and nothing derived
  std::function<void(const v1::Record&)> visit;            ///< sees each record that can be decoded, in the order of its partition
  std::function<bool(std::uint64_t records)> advance;      ///< told of the records that were read, 0 between checkpoints; @return false to end early
};

/// Checks everything, and goes on behind what is wrong:
/// each partition's chain as verify_chain does; that each stream's versions and links have no gaps; that the rows of the
/// streams, pending timers and idempotency keys are those that follow from the log up to where they were written; that snapshots can be read and are no newer
/// than the log; and that the signed checkpoints bear their key's signatures, are chained, and stand for this log, which is no shorter.
///
/// @param db  should not be written meanwhile
/// @error io_failure  the log can't be read at all
/// Cost: one pass, a few microseconds a record, and another over what contradicts itself; 24 bytes for each head that was signed,
/// and memory for the timers that are pending, so some 100 MB at 10 million records.
result<audit_report> audit(const database&, const audit_options&);

}  // namespace usher::store
