#pragma once
// Rows that stay on disk: point reads and ordered pages of a projection's rows, with the unwritten ones laid over them.

#include <atomic>
#include <map>
#include <optional>
#include <shared_mutex>
#include <string>

#include "projections/projection.hpp"

namespace usher::projections {

/// For read models that are too large for memory. Rows are only ever put, never deleted. Memory: the rows put since the
/// last flush. One writer, any number of readers.
class table {
 public:
  explicit table(std::string projection_name) : prefix_(std::move(projection_name) + '/') {}

  void open(const store::database& db) { db_.store(&db, std::memory_order_release); }
  void put(std::string key, std::string value);
  [[nodiscard]] result<std::optional<std::string>> get(std::string_view key) const;

  struct item {
    std::string key;
    std::string value;
  };
  /// At most `limit` rows under `prefix` from the key `from` (inclusive; empty: from the first), in order of the keys.
  /// The cursor of the answer is the key of the next row.
  [[nodiscard]] result<page<item>> read(std::string_view prefix, std::string_view from, std::size_t limit) const;

  void collect(row_writer&);
  void written();
  void clear();

 private:
  using row_map = std::map<std::string, std::string, std::less<>>;
  [[nodiscard]] row_map overlay(std::string_view prefix, std::string_view from, std::size_t limit) const;

  std::string prefix_;
  std::atomic<const store::database*> db_{nullptr};
  mutable std::shared_mutex mutex_;
  row_map fresh_;    // put since the last collect
  row_map writing_;  // collected, perhaps not in the database yet
};

/// A key's part that sorts the newest first: 16 hexadecimal digits of the bitwise complement.
std::string newest_first(std::uint64_t);
/// A key's part that sorts as the number does: 16 hexadecimal digits.
std::string in_order(std::uint64_t);

}  // namespace usher::projections
