#pragma once
// The one writer of the log. Actors hand records over; one synced batch takes everything that waits.

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "events/sha256.hpp"
#include "store/database.hpp"
#include "store/index.hpp"

namespace usher::store {

/// Called by the journal when what was handed over, and everything before it, is on disk.
/// `at` is the record's place, or nullopt where no record was handed over (a rejection that must not overtake the
/// records it may rest on).
using durable_callback = std::function<void(std::optional<log_position> at)>;

class journal {
 public:
  struct hooks {
    std::function<void()> work_waits;                                ///< write_round is due; from any thread, once until it returned false
    std::function<void(const std::vector<record_ptr>&)> committed;   ///< after each synced batch and before its callbacks, in log order per partition
    std::function<void(const failure&)> failed;                      ///< a write or sync failed: stop the node; called once
  };
  /// `database` and `index` outlive the journal. An empty hook is not called.
  journal(database&, engine_index&, hooks);

  /// Reads each partition's last hash. After the index is loaded and before the first hand_over.
  /// @error corrupted  the log and the index end at different records
  result<void> load();

  /// Takes a record: gives it its epoch, index, previous hash and each event's previous_index; checks that each event's
  /// version follows its stream's head (a mismatch is a bug and aborts); applies it to the index; queues it.
  /// The previous hash is known, and set, when the record is written.
  /// Thread-safe, never blocks on the disk. `record` may be null: then only the order matters.
  /// After a failure the callbacks of what waits are dropped, never called.
  /// Whoever keeps a share of the record reads it when `done` is called, and not before.
  void hand_over(std::shared_ptr<v1::Record> record, durable_callback done);
  /// The same for a record whose hashes are known.
  /// @param person_key  kept by the same synced batch, for the user that the record is about
  void hand_over(std::shared_ptr<v1::Record> record, const record_hashes&, durable_callback done,
                 std::optional<person_key> person_key = std::nullopt);

  /// Writes what waits (at most 1,024 records or 1 MiB) in one synced batch and calls back. For one thread at a time.
  /// @return whether more waits; after false, work_waits announces the next work
  bool write_round();

  std::size_t waiting() const;  ///< records handed over and not yet durable

 private:
  struct entry {
    std::shared_ptr<v1::Record> record;  // null: only the order matters
    durable_callback done;
    std::optional<person_key> person;
  };
  /// What one synced batch takes.
  struct round {
    std::vector<std::pair<log_position, std::string>> stored;
    std::vector<database::person_change> persons;
    std::vector<record_ptr> records;
    std::vector<std::pair<std::optional<log_position>, durable_callback>> callbacks;
  };

  void collect();
  round take_round();
  void finish(round);
  void fail(const failure&);
  bool more_waits();

  database& database_;
  engine_index& index_;
  const hooks hooks_;

  mutable std::mutex mutex_;
  std::deque<entry> queue_;
  std::size_t waiting_ = 0;
  bool announced_ = false;
  bool failed_ = false;

  // The writing thread's own.
  std::deque<entry> backlog_;
  std::array<std::optional<sha256_digest>, partition_count> last_hash_;  // none: no record yet
  std::array<std::int64_t, partition_count> latest_ms_{};  // the greatest at_ms so far
};

}  // namespace usher::store
