#pragma once
// The log as text that other programs read, and the way back.

#include <array>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.hpp"

namespace usher::store {

enum class export_form : std::uint8_t {
  records,  ///< JSON lines, a record each, with its bytes as stored: whole, it can be imported
  events,   ///< JSON lines, an event each
  csv,      ///< an event each, for spreadsheets
};

struct export_request {
  export_form form = export_form::records;
  bool with_keys = false;                ///< the keys of personal data as well; records only
  std::optional<std::int64_t> since_ms;  ///< at or after
  std::optional<std::int64_t> until_ms;  ///< before
  std::optional<v1::EntityRef> stream;   ///< only what touched this entity
  std::string type;                      ///< only events of this type, as in reservation.placed; empty: any

  bool past_damage = false;              ///< a partition that can't be read on is left there, and the next one follows

  [[nodiscard]] bool is_filtered() const { return since_ms || until_ms || stream || !type.empty(); }
};

/// What the words of a command line or a query ask for; an empty one says nothing.
/// @error invalid_argument  also a stream that no entity can be called (events/words.hpp), or a type that no event has
struct export_words {
  std::string format, since, until, stream, type;
  bool events = false;
  bool with_keys = false;
};
result<export_request> export_request_from(const export_words&);

/// Writes the log as it was when this was made, piece by piece, in memory that doesn't grow with it. For one thread at a time.
///
/// Lines of records: first what this is and where each partition ends; then all partitions one after another, a record a line:
/// the record for people, without secrets, and `stored`, the bytes themselves, with them; then the keys of personal data where they
/// are wanted; then the end. Each line carries a checksum of itself.
class log_export {
 public:
  /// @param db  outlives it. @error io_failure, corrupted
  static result<log_export> begin(const database& db, export_request, time_point now);

  /// Appends the next piece, some 64 KiB. @return whether more follows. @error io_failure, corrupted
  result<bool> next(std::string& out);
  [[nodiscard]] std::uint64_t records() const { return records_; }        ///< there are
  [[nodiscard]] std::uint64_t records_seen() const { return seen_; }      ///< so far
  /// With `past_damage`: what could not be read so far. Where there is any the line that says that this is the end is not written.
  [[nodiscard]] const std::vector<failure>& damage() const { return damage_; }

 private:
  log_export(const database& db, export_request r) : db_{&db}, request_{std::move(r)} {}
  result<void> read_on(std::string& out, std::uint64_t& looked_at);
  void write_header(std::string& out, time_point now) const;
  void write_partitions(std::string& out) const;
  result<void> write_keys(std::string& out);
  void write(const v1::Record&, std::string_view stored, std::string& out) const;
  void write_events(const v1::Record&, std::string& out) const;
  [[nodiscard]] bool takes(const v1::Record&) const;
  [[nodiscard]] bool takes(const v1::StreamEvent&) const;

  const database* db_;
  export_request request_;
  std::string head_;
  std::array<std::uint64_t, partition_count> ends_{};
  std::array<std::string, partition_count> last_hash_;
  std::uint64_t records_ = 0;
  std::uint64_t seen_ = 0;
  std::uint32_t partition_ = 0;
  std::uint64_t after_ = 0;  // of the partition, that was written
  std::string last_person_;
  bool keys_done_ = false;
  std::vector<failure> damage_;
};

struct import_outcome {
  std::uint64_t records = 0;
  std::uint64_t keys = 0;
};
/// Fills a data directory, which may not have a log yet, from the lines of a whole export. Until all of it is there and proved to be
/// one chain up to the ends that its first line names, no node would find a log.
///
/// @param read  called with the number of bytes of each line; may be empty
/// @error invalid_argument  it is no whole export, or the data directory has a log
/// @error corrupted         `detail` names the line, and the record where there is one
/// @error io_failure        the disk refused
/// Cost: some 100,000 records a second.
result<import_outcome> import_log(std::istream& lines, const std::string& data_directory, const std::function<void(std::uint64_t)>& read = {});

}  // namespace usher::store
