#pragma once
// What the engine itself looks up: where streams stand, idempotency keys, due deadlines. Derived from the log. Keys and deadlines are in
// memory at once; of the streams those that were asked for or written, for there may be years of them.

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "store/database.hpp"
#include "store/divided_map.hpp"
#include "store/hash.hpp"
#include "store/hash_filter.hpp"

namespace usher::store {

struct stream_head {
  std::uint64_t version = 0;   ///< of the last event; 0: never touched
  std::uint64_t index = 0;     ///< of the last record that touched it
};

struct known_key {
  std::uint64_t fingerprint = 0;
  log_position at;
};

/// How long an idempotency key is kept, in record time.
inline constexpr std::chrono::milliseconds key_lifetime = std::chrono::hours{24};

/// How many streams are kept in memory before those that are on disk may be dropped: about 64 bytes each.
inline constexpr std::size_t streams_kept = 2'000'000;

/// After how many records what is derived from them is put into files. After a kill about as many are folded again, half a second or so.
inline constexpr std::uint64_t filed_every_records = 200'000;

/// Thread-safe. Holds every record that was handed to the journal, durable or not yet: after a failed write the node
/// stops, so nothing in it is ever taken back.
class engine_index {
 public:
  engine_index() = default;
  explicit engine_index(std::size_t streams_max, std::uint64_t filed_every = filed_every_records)
      : streams_max_{streams_max}, filed_every_{filed_every} {}

  /// Applies the next record of its partition: heads, idempotency key (kept 24 h of record time), deadlines. A record
  /// out of order, or an event whose version doesn't follow its stream's head, is a bug and aborts.
  void apply(const v1::Record&);
  /// Gives a new record its index and each event its previous_index, and applies it.
  void admit(v1::Record&, const record_hashes&);

  /// Where a stream stands. Of one that nobody asked for since the start a row is read, and kept: so ask before `admit`, which
  /// would read it while others wait. A row that can't be read is a bug and aborts. Cost: some 2 us where a file is asked; of most
  /// streams that never were none is, as soon as the stored ones are known.
  stream_head head(const v1::EntityRef&) const;
  stream_head head(const short_hash& of_entity) const;
  std::optional<known_key> find_key(std::string_view user_id, std::string_view key) const;
  std::optional<known_key> find_key(const short_hash&) const;  ///< hash_of_key

  using due_place = std::pair<std::int64_t, short_hash>;  ///< orders the due ones; opaque
  struct due { time_point at; v1::EntityRef entity; due_place place; };
  /// The entities whose deadline is at or before `now`, earliest first, at most `limit`. They stay due until a record
  /// moves their deadline.
  /// @param behind  leaves out those up to this place, so that one can go on where the last call ended
  std::vector<due> due_at(time_point now, std::size_t limit, const std::optional<due_place>& behind = {}) const;
  std::optional<time_point> next_deadline() const;

  std::uint64_t end(std::uint32_t partition) const;  ///< index of the last record applied

  /// Loads what was flushed and catches up with the log, flushing as it goes; before the first command, on an empty index. The database
  /// outlives it.
  /// @error corrupted  a row can't be read, or the log ends before what was derived from it: it has lost synced records
  /// Cost: some 3 s per million records that were not filed; none for streams that were.
  result<void> load(database&);
  /// Writes the rows that changed since the last flush, portion by portion, each with its checkpoints and per family in
  /// one batch; small ones, for the log waits while RocksDB takes one in. What the log doesn't hold durably yet waits
  /// for the next call, so that no row is ever ahead of the log. For one thread at a time; the index stays usable
  /// meanwhile. Every so many records all derived families go into files, whether they grow or not: a family that rarely does
  /// would be far behind after a kill. Where there are too many streams in memory, those that are on disk are dropped.
  result<void> flush(database&);
  /// Gets to know some more of the streams that were stored when it was loaded, until it knows them all: from then on most that
  /// never were are told apart without a look into files. For the thread that flushes.
  /// @param at_most  so many at once
  /// @error corrupted, io_failure  rows can't be read: it learns no more, and files go on being asked
  /// Cost: 0.1 s for 262,144 streams; nothing once all are known.
  result<void> learn_streams(std::size_t at_most = 262'144);
  std::size_t streams_in_memory() const;

 private:
  using ends = std::array<std::uint64_t, partition_count>;

  struct stream {
    stream_head head;
    std::uint32_t portion = 0;  ///< in which it changed last; 0: not since the start
    std::uint32_t place = 0;    ///< in that portion's heads
  };
  struct remembered {
    known_key known;
    std::int64_t at_ms = 0;
  };
  template <class T>
  using by_hash = divided_map<short_hash, T, short_hash_hasher>;
  /// A portion of what to write: that of some records, each as a whole. Of a stream that they moved again and again the last counts.
  struct changes {
    struct head_change { short_hash key; stream_head head; };
    struct deadline_change { std::int64_t at_ms = 0; std::string entity; };  // 0: no deadline any more
    struct key_change { short_hash key; std::optional<remembered> value; };
    std::vector<head_change> heads;
    boost::unordered_flat_map<short_hash, deadline_change, short_hash_hasher> deadlines;
    std::vector<key_change> keys;
    std::map<std::uint32_t, std::uint64_t> upto;  ///< by partition, of those that changed
    std::uint32_t number = 1;                     ///< 1, 2, 3 …
    std::uint64_t records = 0;
    bool empty() const { return upto.empty() && keys.empty(); }
    bool full() const { return std::max(heads.size(), keys.size()) >= 1024; }
  };
  /// How far each family's rows go.
  struct checkpoints {
    ends streams{};
    ends timers{};
    ends keys{};
  };

  void expect_next(const v1::Record&) const;
  void take_heads(const v1::Record&, const std::vector<short_hash>&);
  void note_head(const short_hash&, stream&);
  void take_deadlines(const v1::Record&, const std::vector<short_hash>&);
  void take_key(const v1::Record&, const short_hash&);
  void add_deadline(const short_hash&, std::int64_t at_ms, std::string_view entity);
  void remember(const short_hash&, const remembered&);
  void forget_old_keys();
  void end_record(const v1::Record&);
  changes end_portion();
  stream& stream_of(const short_hash&) const;
  bool never_was(const short_hash&) const;
  stream_head stored_head(const short_hash&) const;
  bool too_many_streams() const;
  void drop_streams();

  result<void> load_rows(const database&);
  result<void> catch_up(database&, std::uint32_t partition);
  bool take_loaded(const v1::Record&);
  result<void> write(database&, const changes&) const;

  const std::size_t streams_max_ = streams_kept;
  const std::uint64_t filed_every_ = filed_every_records;
  const database* rows_ = nullptr;  // none: nothing was loaded, and what is not in memory was never there
  bool rows_in_memory_ = false;     // when it was loaded there were rows that had not reached a file
  checkpoints loaded_;              // the rows that there were then; some families may have been ahead of others
  mutable std::mutex mutex_;
  mutable by_hash<stream> streams_;  // what is not here is in a file
  std::uint64_t drops_ = 0;          // how often streams were dropped
  std::size_t drop_above_ = streams_max_;
  hash_filter seen_;            // streams that began since the start, and of the stored ones those that it learned
  bool all_seen_ = false;       // seen_ has all that there are
  std::map<due_place, std::string> deadlines_;  // of each the EntityRef, as its row has it
  by_hash<std::int64_t> deadline_of_;
  by_hash<remembered> keys_;
  std::deque<std::pair<std::int64_t, short_hash>> keys_by_time_;
  std::int64_t latest_ms_ = 0;
  ends ends_{};
  changes changed_;
  std::deque<changes> full_;  // portions that grow no more

  std::deque<changes> frozen_;     // the flushing thread's own: taken over, and not yet written
  std::optional<std::string> next_to_learn_;  // the first row of a stream that seen_ may not have
  std::uint64_t unfiled_ = 0;      // records whose rows were written since all rows were filed
  std::uint32_t last_written_ = 0; // the number of the last portion that was
};

}  // namespace usher::store
