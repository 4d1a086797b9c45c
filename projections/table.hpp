#pragma once
// Rows that stay on disk: point reads and ordered pages of a projection's rows, with the unwritten ones laid over them.

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
  /// @param rows  what the keys of the rows begin with
  void open(const store::database& db, const std::string& rows);
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
  [[nodiscard]] std::size_t unwritten() const;
  /// Exchanges all rows with another table that nobody reads yet. Readers see the ones or the others; the old ones on disk
  /// may be erased afterwards.
  void swap_in(table& built);

 private:
  using row_map = std::map<std::string, std::string, std::less<>>;
  /// Where rows are on disk. Those were read from another place if it is not the same afterwards.
  struct place {
    const store::database* db = nullptr;
    std::string rows;
  };
  struct merged {
    place from;
    row_map rows;
  };
  [[nodiscard]] merged overlay(std::string_view prefix, std::string_view from, std::size_t limit) const;
  [[nodiscard]] bool is_still(const place&) const;

  mutable std::shared_mutex mutex_;
  place place_;
  row_map fresh_;    // put since the last collect
  row_map writing_;  // collected, perhaps not in the database yet
};

/// A key's part that sorts the newest first: 16 hexadecimal digits of the bitwise complement.
std::string newest_first(std::uint64_t);
/// A key's part that sorts as the number does: 16 hexadecimal digits.
std::string in_order(std::uint64_t);

}  // namespace usher::projections
