#pragma once
// One RocksDB behind small reads and writes: the log, what is derived from it, and where both stand.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "events/vocabulary.hpp"
#include "store/persons.hpp"
#include "store/segments.hpp"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace usher::store {

/// Column families. `log` is the truth and the only one whose writes go through the write-ahead log with a sync;
/// `meta` is written (synced) at first start; all others are derived, written behind without write-ahead log,
/// each with its own checkpoint, and caught up from the log at start. `persons` holds the keys of personal data, written by the
/// batches of the log; `evidence`, what vouches for the log, is written synced.
enum class family { log, streams, snapshots, idempotency, timers, views, meta, persons, evidence };

using record_ptr = std::shared_ptr<const v1::Record>;

/// Thread-safe.
class database {
 public:
  /// Opens or creates. Checks the format version. One process at a time.
  /// @error wrong_format, io_failure, corrupted
  static result<std::unique_ptr<database>> open(const std::string& directory);
  /// The same over another file system (faults, power cuts); `env` outlives the database.
  static result<std::unique_ptr<database>> open(const std::string& directory, rocksdb::Env* env);
  /// Opens what is there as it is, and changes nothing, not even where a crash left the end of the log in the write-ahead log.
  /// Whatever writes is refused with io_failure. A node that runs meanwhile is not disturbed, but its later writes are not seen,
  /// and files that it drops may be missed: look at a copy (`copy_to`) of one that runs. Of a partition whose end can't be read, `durable_end` is the first
  /// record that can't, scans fail where they come to it, and so does `last_stored`. @error wrong_format, io_failure (there is none), corrupted
  static result<std::unique_ptr<database>> open_read_only(const std::string& directory);
  ~database();

  /// A stored record. @return nullptr where there is none.
  result<record_ptr> read(log_position) const;
  /// Calls `visit` for the records of a partition from an index on, in order, until it returns false or the end.
  /// `stored` is the record's bytes as written (what the hash chain is over).
  result<void> scan(std::uint32_t partition, std::uint64_t from,
                    const std::function<bool(record_ptr, std::string_view stored)>& visit) const;
  /// The same without decoding, for whoever decodes in its own way. `stored` is valid within the call.
  result<void> scan_stored(std::uint32_t partition, std::uint64_t from,
                           const std::function<bool(std::uint64_t index, std::string_view stored)>& visit) const;
  /// The last record of a partition as stored, empty where it has none.
  result<std::string> last_stored(std::uint32_t partition) const;
  /// What has left the log for files of its own (archive.hpp). All reads look there as well.
  const std::vector<segment>& archived() const;
  std::string path_of(const segment&) const;
  std::string segment_directory() const;  ///< the database's own; may not be there yet
  /// Takes a segment that was written, durably, for the place of its records, and then takes these out of the log. A crash in
  /// between loses nothing and leaves nothing twice. For a database that nobody else uses.
  /// @error io_failure
  result<void> put_segment(segment);
  /// For a segment to come. As `put_segment`.
  segments::writer write_segment(std::uint32_t partition, std::string directory) const;
  /// Gives the room of records that were taken out of the log back to the system. Cost: the rest of the log is written anew.
  result<void> compact_log();
  /// The index of the last record of a partition that is on disk for good; 0 for none. Cheap.
  std::uint64_t durable_end(std::uint32_t partition) const;

  /// The key that comes, or goes, with a record of this user.
  struct person_change { std::string user_id; std::optional<person_key> key; };  ///< no key: it is erased

  /// One synced batch of (position, bytes), whole or not at all. The only way into the log, for one thread at a time.
  /// @error io_failure  the outcome is unknown, and every later append fails as well: restart to learn the truth
  /// Cost: one sync.
  result<void> append_synced(const std::vector<std::pair<log_position, std::string>>& records,
                             const std::vector<person_change>& persons = {});
  /// @return nullopt where there is none, or it was erased
  result<std::optional<person_key>> find_person_key(std::string_view user_id) const;
  /// The users who were erased, and whose keys may still stand in files that RocksDB hasn't rewritten: from the very batch that
  /// erased them until `purged`.
  result<std::vector<std::string>> users_to_purge() const;
  /// Rewrites what may hold the keys of these users who were erased: writes all memtables out, so that the write-ahead logs go,
  /// and compacts where the keys stood. Copies that were made before (copy_to) keep what they have. For one thread at a time,
  /// while the node serves.
  /// @return whether all files of before are gone; false while somebody still reads one: call again later
  /// Cost: a flush, and rewriting some files of `persons` for each user; all of them for many.
  result<bool> purge(const std::vector<std::string>& user_ids);
  /// Nothing is left of their keys.
  result<void> purged(const std::vector<std::string>& user_ids);  ///< synced

  /// Rows of the derived families: point reads, ordered reads under a prefix (from the key `from` on, which may be
  /// empty: from the first), and one atomic unsynced batch per family, in which the last row of a key counts.
  result<std::optional<std::string>> get(family, std::string_view key) const;
  /// The same of what has reached a file, and nothing that only a memtable has.
  result<std::optional<std::string>> get_from_files(family, std::string_view key) const;
  /// Whether a family has rows that have not reached a file.
  bool holds_in_memory(family) const;
  result<void> each(family, std::string_view prefix, std::string_view from,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit) const;
  /// The last row under a prefix whose key is at most `upto`; nullopt where there is none. `upto` begins with the prefix.
  result<std::optional<std::pair<std::string, std::string>>> last_of(family, std::string_view prefix, std::string_view upto) const;
  struct row { std::string key; std::optional<std::string> value; };  ///< no value: delete
  result<void> put_derived(family, const std::vector<row>& rows);
  /// What a batch is filled with. Keys and values are copied.
  class row_writer {
   public:
    virtual ~row_writer() = default;
    virtual void put(std::string_view key, std::string_view value) = 0;
    virtual void erase(std::string_view key) = 0;
  };
  /// The same without a string for each key and value, for those who write many.
  result<void> put_derived(family, const std::function<void(row_writer&)>& fill);
  /// Of `views` only all rows of a read model (`name/`), or those of all.
  result<void> erase_prefix(family, std::string_view prefix);
  result<void> put_meta(std::string_view key, std::string_view value);  ///< synced
  result<void> erase_meta(std::string_view key);                        ///< synced
  /// Of `evidence`: one synced batch. Thread-safe; meanwhile the log waits for as long as a sync takes.
  result<void> put_evidence(const std::vector<row>& rows);
  /// Writes all memtables out, so that the derived families survive a restart without catching up.
  result<void> flush();
  /// The same for the derived families alone, for they have no write-ahead log to be read after a kill.
  result<void> flush_derived();
  /// Makes a directory that holds all of this database as of now, for open(), while it goes on being written. Its large files are
  /// shared with this one (hard links) where both are on one file system. `directory` must not be there yet. Segments that were
  /// put elsewhere are only referred to.
  /// @error io_failure  Cost: a flush.
  result<void> copy_to(const std::string& directory);

 private:
  database() = default;
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace usher::store
