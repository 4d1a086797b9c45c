#pragma once
// The log from one end to the other, or the part of it that somebody asks for, a stretch at a time.

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "store/database.hpp"

namespace usher::actors {

/// What a record must be like. Whatever is not set says nothing.
struct log_filter {
  std::optional<std::uint32_t> partition;
  std::uint64_t from = 1;                 ///< index of the first record, of each partition
  std::optional<v1::EntityRef> stream;    ///< it touched this entity
  std::string type;                       ///< of its command or of one of its events: reservation.place, seat.held
  std::string user;                       ///< who sent it, or whose wallet, allowance or account it touched
  // By store::latest_of, the greatest time of a partition so far: a clock that was set back parts nothing.
  std::optional<std::int64_t> since_ms;   ///< from a partition's first record of this wall time or a later one on
  std::optional<std::int64_t> until_ms;   ///< up to the one before a partition's first record that is later
  bool only_new = false;                  ///< it comes after the reader was made
};

/// Whether a command or an event may be of this type, or it is `unknown`.
bool is_type(std::string_view);

/// Remembers how far it has read, so that it can be asked again when there is more. For one thread at a time.
class log_reader {
 public:
  /// @param db  outlives the reader
  log_reader(const store::database& db, log_filter);

  /// Visits the next records that are on disk and fit, partition by partition and in order within each, until `visit` returns
  /// false or a stretch of them has been looked at.
  /// @return whether there is more by now  @error io_failure, corrupted
  result<bool> read(const std::function<bool(const v1::Record&)>& visit);

  /// How many records there are to look at by now, and how many of them have been.
  [[nodiscard]] std::uint64_t total() const;
  [[nodiscard]] std::uint64_t done() const { return done_; }

 private:
  result<void> begin();
  result<bool> read_partition(std::uint32_t partition, std::uint64_t& left, const std::function<bool(const v1::Record&)>& visit);
  [[nodiscard]] std::uint64_t end_of(std::uint32_t partition) const;
  [[nodiscard]] bool may_fit(std::string_view stored) const;
  [[nodiscard]] bool fits(const v1::Record&) const;

  const store::database& db_;
  const log_filter filter_;
  std::uint32_t first_ = 0;
  std::uint32_t end_ = partition_count;
  std::uint32_t at_ = 0;
  std::array<std::uint64_t, partition_count> next_{};
  std::array<std::uint64_t, partition_count> last_{};  // not beyond this one
  bool begun_ = false;
  std::uint64_t done_ = 0;
  v1::Record record_;  // reused
};

/// A record as a line of JSON, without what nobody may read.
std::string line_of(const v1::Record&);

}  // namespace usher::actors
