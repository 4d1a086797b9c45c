#pragma once
// Records that have left the log for files of their own, and are read there as if they were still in it.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "events/vocabulary.hpp"

namespace rocksdb {
class Cache;
class Env;
class SstFileReader;
}  // namespace rocksdb

namespace usher::store {

/// A run of records of one partition in one file, which never changes.
struct segment {
  std::uint32_t partition = 0;
  std::uint64_t first = 0;  ///< index of its first record
  std::uint64_t last = 0;
  std::uint64_t bytes = 0;  ///< of the file
  std::string sha256;       ///< of the file, in hex
  std::string file;         ///< its name
  std::string directory;    ///< where it was put; empty: in `segments` of the database's directory, where it is looked for first
};

/// The segments of one database. Reading is thread-safe; `add` is for a database that nobody else uses meanwhile.
class segments {
 public:
  /// @param directory  of the database; its segments are in `segments` below it
  segments(std::string directory, rocksdb::Env*, std::shared_ptr<rocksdb::Cache>);
  ~segments();

  /// Takes the list that `row` wrote. @error corrupted
  result<void> take_list(std::string_view row);
  [[nodiscard]] std::string row() const;
  [[nodiscard]] const std::vector<segment>& all() const { return all_; }
  /// Up to which record a partition lies in segments; 0: none of it does. Cheap.
  [[nodiscard]] std::uint64_t last(std::uint32_t partition) const;
  [[nodiscard]] std::string path_of(const segment&) const;
  [[nodiscard]] const std::string& home() const { return home_; }  ///< may not be there yet

  /// @error corrupted, io_failure  the file is missing or damaged; `detail` names it
  [[nodiscard]] result<std::string> read(log_position) const;
  /// The records from an index on, up to the last one in a segment. @return whether `visit` never said false
  [[nodiscard]] result<bool> scan(std::uint32_t partition, std::uint64_t from,
                                  const std::function<bool(std::uint64_t index, std::string_view stored)>& visit) const;

  /// Writes the next records of a partition into a new file, synced, and says what it became. It is no part of the list yet.
  class writer;
  void add(segment);

 private:
  [[nodiscard]] const segment* holder_of(log_position) const;
  [[nodiscard]] result<std::shared_ptr<rocksdb::SstFileReader>> reader_of(const segment&) const;

  const std::string home_;
  rocksdb::Env* const env_;
  const std::shared_ptr<rocksdb::Cache> cache_;
  std::vector<segment> all_;  // by partition, and in it by index
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, std::shared_ptr<rocksdb::SstFileReader>> open_;
};

/// One file as it is written.
class segments::writer {
 public:
  /// @param directory  for the file; empty: the database's own. Made where there is none.
  writer(const segments&, std::uint32_t partition, std::string directory);
  ~writer();  ///< without `finish` nothing stays
  /// @error io_failure
  result<void> add(std::uint64_t index, std::string_view stored);
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  ///< of what was added
  [[nodiscard]] std::uint64_t records() const { return made_.first == 0 ? 0 : made_.last - made_.first + 1; }
  /// Durable on return. @error io_failure
  result<segment> finish();

 private:
  struct file;
  const segments& of_;
  segment made_;
  std::uint64_t bytes_ = 0;
  std::string draft_;
  std::unique_ptr<file> file_;
};

/// The key of a record in the log and in a segment.
std::string log_key(std::uint32_t partition, std::uint64_t index);
std::uint64_t index_in_key(std::string_view key);

}  // namespace usher::store
