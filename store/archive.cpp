// Segment by segment: written and synced, then listed, then taken out of the log. Each step leaves a log that reads alike.

#include "store/archive.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "events/sha256.hpp"
#include "store/filesystem.hpp"

namespace usher::store {
namespace {

constexpr std::uint64_t segment_bytes = 256 << 20;  // before compression
constexpr std::uint64_t tell_every = 1024;          // records
constexpr std::string_view place_key = "archiving";  // in meta: the directory that an unfinished run made for its files

/// The greatest time of the partition up to a record.
result<std::int64_t> latest_at(const database& db, log_position at) {
  auto record = db.read(at);
  if (!record) return record.error();
  if (!*record)
    return failure{errc::corrupted, "record " + std::to_string(at.index) + " of partition " + std::to_string(at.partition) + " is missing"};
  return std::max((*record)->at_ms(), (*record)->latest_ms());
}

/// The last record of a partition that is to move; 0: none. The partition's last one always stays.
result<std::uint64_t> last_to_move(const database& db, std::uint32_t partition, time_point before) {
  std::uint64_t stays = db.durable_end(partition);
  if (stays == 0) return std::uint64_t{0};
  for (std::uint64_t moves = 0; stays - moves > 1;) {
    const auto middle = moves + (stays - moves) / 2;
    const auto latest = latest_at(db, {partition, middle});
    if (!latest) return latest.error();
    (*latest < to_ms(before) ? moves : stays) = middle;
  }
  return stays - 1;
}

std::uint64_t archived_upto(const database& db, std::uint32_t partition) {
  std::uint64_t last = 0;
  for (const auto& s : db.archived())
    if (s.partition == partition) last = s.last;
  return last;
}

/// Drafts of a run that was killed, and files that it finished but did not list.
/// @param directory  in which nobody else puts files
void remove_leftovers(const database& db, const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{directory, ignored}) {
    const auto name = entry.path().filename().string();
    const bool ours = name.starts_with('p') && (name.ends_with(".new") || name.ends_with(".sst"));
    const auto listed = [&](const segment& s) { return s.file == name; };
    if (ours && std::ranges::none_of(db.archived(), listed)) std::filesystem::remove(entry.path(), ignored);
  }
}

/// Other files may lie where an operator wants the segments, also those of another database. So each run has a directory of its
/// own there, whose name nobody else can have, and which is noted before it is made.
/// @return where this run puts its files
result<std::string> note_place(database& db, const std::string& directory) {
  std::array<unsigned char, 8> id{};
  randombytes_buf(id.data(), id.size());
  auto place = (std::filesystem::path{directory} / ("usher-" + to_hex({reinterpret_cast<const char*>(id.data()), id.size()}))).string();
  if (auto noted = db.put_meta(place_key, place); !noted) return noted.error();
  return place;
}

/// What a run that was killed left, in the database's own directory and in the one that it had made.
result<void> clean_up(database& db) {
  remove_leftovers(db, db.segment_directory());
  const auto place = db.get(family::meta, place_key);
  if (!place) return place.error();
  if (!*place) return {};
  remove_leftovers(db, **place);
  std::error_code not_empty;
  std::filesystem::remove(**place, not_empty);
  return db.erase_meta(place_key);
}

/// The next records up to `upto`, as many as one file takes.
result<segment> write_next(const database& db, std::uint32_t partition, std::uint64_t from, std::uint64_t upto, const std::string& directory,
                           const std::function<void()>& one_more) {
  auto file = db.write_segment(partition, directory);
  result<void> outcome;
  auto next = from;
  const auto scanned = db.scan_stored(partition, from, [&](std::uint64_t index, std::string_view stored) {
    if (index > upto || file.bytes() >= segment_bytes) return false;
    if (index != next++) outcome = failure{errc::corrupted, "record " + std::to_string(next - 1) + " of partition " + std::to_string(partition) + " is missing"};
    if (outcome) outcome = file.add(index, stored);
    if (outcome) one_more();
    return outcome.has_value();
  });
  if (!scanned) return scanned.error();
  if (!outcome) return outcome.error();
  return file.finish();
}

}  // namespace

result<std::uint64_t> archivable(const database& db, time_point before) {
  std::uint64_t sum = 0;
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    const auto last = last_to_move(db, p, before);
    if (!last) return last.error();
    sum += *last - std::min(*last, archived_upto(db, p));
  }
  return sum;
}

result<archive_outcome> archive_before(database& db, time_point before, const std::string& directory, const std::function<void(std::uint64_t)>& moved) {
  archive_outcome out;
  std::uint64_t seen = 0;
  const auto one_more = [&] {
    if (++seen % tell_every == 0 && moved) moved(seen);
  };
  if (auto cleaned = clean_up(db); !cleaned) return cleaned.error();
  std::string place;  // empty: the database's own
  if (!directory.empty()) {
    auto noted = note_place(db, directory);
    if (!noted) return noted.error();
    place = std::move(*noted);
  }
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    const auto last = last_to_move(db, p, before);
    if (!last) return last.error();
    for (auto from = archived_upto(db, p) + 1; from <= *last;) {
      auto made = write_next(db, p, from, *last, place, one_more);
      if (!made) return made.error();
      from = made->last + 1;
      out.records += made->last - made->first + 1;
      out.bytes += made->bytes;
      ++out.segments;
      if (auto put = db.put_segment(std::move(*made)); !put) return put.error();
    }
  }
  if (!place.empty())
    if (auto done = db.erase_meta(place_key); !done) return done.error();
  if (out.records == 0) return out;
  if (auto compacted = db.compact_log(); !compacted) return compacted.error();
  return out;
}

namespace {

/// What lies among the segments beside the database and is none of them.
void name_unlisted(const database& db, checked_files& to) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{db.segment_directory(), ignored}) {
    const auto name = entry.path().filename().string();
    if (std::ranges::none_of(db.archived(), [&](const segment& s) { return s.file == name; })) to.unchecked.push_back("db/segments/" + name);
  }
}

}  // namespace

result<checked_files> check_segments(const database& db, const std::function<bool(std::uint64_t)>& read) {
  checked_files out;
  for (const auto& s : db.archived()) {
    const auto path = db.path_of(s);
    bool more = true;
    const auto hash = sha256_of_file(path, [&](std::uint64_t bytes) { more = more && (!read || read(bytes)); });
    ++out.files;
    out.bytes += s.bytes;
    const auto place = s.directory.empty() ? "db/segments/" + s.file : path;
    if (!hash) out.found.push_back({"file", place, "The archived segment can't be read: " + hash.error().detail});
    else if (*hash != s.sha256) out.found.push_back({"file", place, "The archived segment is not what was written."});
    if (!more) return out;
  }
  name_unlisted(db, out);
  return out;
}

}  // namespace usher::store
