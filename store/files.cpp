// The formats are RocksDB's: blocks of 32 KiB in logs, and edits of versions in manifests.

#include "store/files.hpp"

#include <rocksdb/file_checksum.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "store/hash.hpp"

namespace usher::store {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t block_bytes = 32 << 10;
constexpr std::size_t header_bytes = 7;  // checksum 4, length 2, type 1
constexpr std::size_t portion_bytes = 1 << 20;
constexpr std::string_view note_prefix = "file:";
constexpr std::string_view database_name = "db/";

// ------------------------------------------------------------------------------------------ checksums

/// CRC-32C as RocksDB computes it, with whatever the processor has for it.
class crc32c {
 public:
  crc32c() : made_{rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator({})} {}
  void add(std::string_view bytes) { made_->Update(bytes.data(), bytes.size()); }
  /// As the manifest has it: four bytes, big endian.
  std::string text() {
    made_->Finalize();
    return made_->GetChecksum();
  }
  std::uint32_t number() {
    std::uint32_t n = 0;
    for (const char c : text()) n = (n << 8) | static_cast<unsigned char>(c);
    return n;
  }

 private:
  std::unique_ptr<rocksdb::FileChecksumGenerator> made_;
};

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t n = 0;
  for (std::size_t i = bytes.size(); i-- != 0;) n = (n << 8) | static_cast<unsigned char>(bytes[i]);
  return n;
}

/// A checksum over bytes that hold checksums would be weak, so that those in logs are stored turned.
std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }

// ------------------------------------------------------------------------------------------ logs

enum fragment : unsigned char { whole = 1, first = 2, middle = 3, last = 4 };

/// Walks a file of records in blocks, and calls for each record that is whole.
class log_walk {
 public:
  using on_record = std::function<void(std::string_view)>;
  log_walk(std::ifstream& in, on_record record, const std::function<bool(std::uint64_t)>& read) : in_{in}, record_{std::move(record)}, read_{read} {}

  /// @return what is wrong, and whether a torn end would look like it too; nullopt for nothing
  struct wrong { std::string detail; bool may_be_torn = false; };
  std::optional<wrong> run() {
    std::string block(block_bytes, '\0');
    while (true) {
      in_.read(block.data(), block_bytes);
      const auto got = static_cast<std::size_t>(in_.gcount());
      if (got == 0) break;
      const bool is_last = got < block_bytes || in_.peek() == std::ifstream::traits_type::eof();
      if (auto found = walk(std::string_view{block}.substr(0, got), is_last)) return found;
      offset_ += got;
      if (!read_(got)) return std::nullopt;
      if (is_last) break;
    }
    if (in_.bad()) return wrong{"can't be read"};
    if (!gathered_.empty() || inside_) return wrong{"ends within a record", true};
    return std::nullopt;
  }

 private:
  wrong at(std::size_t place, std::string_view what, bool torn = false) const { return {"byte " + std::to_string(offset_ + place) + ": " + std::string{what}, torn}; }

  std::optional<wrong> walk(std::string_view block, bool is_last) {
    std::size_t here = 0;
    while (block.size() - here >= header_bytes) {
      const auto header = block.substr(here, header_bytes);
      const auto length = little_endian(header.substr(4, 2));
      const auto type = static_cast<unsigned char>(header[6]);
      if (length > block.size() - here - header_bytes)
        return at(here, is_last ? "the file ends within a record" : "a record is longer than its block", is_last);
      const auto payload = block.substr(here + header_bytes, length);
      crc32c sum;
      sum.add(header.substr(6));
      sum.add(payload);
      if (masked(sum.number()) != little_endian(header.substr(0, 4)))
        return at(here, "a record doesn't have its checksum", is_last && here + header_bytes + length == block.size());
      if (auto found = take(type, payload)) return at(here, *found);
      here += header_bytes + length;
    }
    const auto gap = block.substr(here);
    if (gap.find_first_not_of('\0') != std::string_view::npos)
      return is_last && block.size() < block_bytes ? at(here, "the file ends within a record's head", true) : at(here, "there is something in the gap behind the last record of a block");
    if (is_last && !gap.empty() && block.size() < block_bytes) return at(here, "the file ends within a record's head", true);
    return std::nullopt;
  }

  std::optional<std::string_view> take(unsigned char type, std::string_view payload) {
    const bool begins = type == whole || type == first;
    if (type < whole || type > last) return "a record is of an unknown kind";
    if (begins == inside_) return begins ? "a record begins within another" : "the rest of a record has no beginning";
    if (type == whole) record_(payload);
    if (type == first) gathered_.clear();
    inside_ = type == first || type == middle;
    if (type == whole) return std::nullopt;
    gathered_ += payload;
    if (type == last) {
      record_(gathered_);
      gathered_.clear();
    }
    return std::nullopt;
  }

  std::ifstream& in_;
  const on_record record_;
  const std::function<bool(std::uint64_t)>& read_;
  std::uint64_t offset_ = 0;
  std::string gathered_;
  bool inside_ = false;
};

// ------------------------------------------------------------------------------------------ manifests

struct table_facts {
  std::uint64_t bytes = 0;
  std::string checksum;  // as crc32c::text; empty where the manifest has none
};

/// Reads the edits of a manifest for the tables that are alive at its end and the logs that are needed there, and nothing else.
class manifest_reader {
 public:
  void take(std::string_view edit) {
    rest_ = edit;
    family_ = 0;
    while (good_ && !rest_.empty()) field(static_cast<std::uint32_t>(number()));
  }
  [[nodiscard]] bool good() const { return good_; }
  /// By number of the file.
  [[nodiscard]] std::map<std::uint64_t, table_facts> alive() const {
    std::map<std::uint64_t, table_facts> out;
    for (const auto& [place, facts] : tables_) out.emplace(place.second, facts);
    return out;
  }
  /// The write-ahead log that some family had come to. It, or a later one, is the one that is written.
  [[nodiscard]] std::uint64_t newest_log() const { return newest_log_; }

 private:
  enum tag : std::uint32_t {
    comparator = 1, log_number = 2, next_file = 3, last_sequence = 4, compact_cursor = 5, deleted_file = 6, new_file = 7, prev_log_number = 9,
    min_log_number = 10, new_file_2 = 100, new_file_3 = 102, new_file_4 = 103, column_family = 200, column_family_add = 201, column_family_drop = 202,
    max_column_family = 203, atomic_group = 300, may_be_skipped = 1 << 13
  };
  enum of_file : std::uint32_t { end_of_file = 1, file_checksum = 7 };

  std::uint64_t number() {
    std::uint64_t n = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      n |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return n;
    }
    good_ = false;
    return 0;
  }
  std::string_view text() {
    const auto length = number();
    if (length > rest_.size()) good_ = false;
    if (!good_) return {};
    const auto out = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return out;
  }

  void field(std::uint32_t what) {
    switch (what) {
      case comparator: case column_family_add: static_cast<void>(text()); return;
      case log_number: newest_log_ = std::max(newest_log_, number()); return;
      case next_file: case last_sequence: case prev_log_number: case min_log_number: case max_column_family: case atomic_group:
        static_cast<void>(number());
        return;
      case compact_cursor: static_cast<void>(number()); static_cast<void>(text()); return;
      case deleted_file: {
        static_cast<void>(number());  // its level
        tables_.erase({family_, number()});
        return;
      }
      case column_family: family_ = number(); return;
      case column_family_drop: std::erase_if(tables_, [this](const auto& t) { return t.first.first == family_; }); return;
      case new_file_4: add_table(); return;
      default:
        if ((what & may_be_skipped) != 0) static_cast<void>(text());
        else good_ = false;
    }
  }

  void add_table() {
    static_cast<void>(number());  // its level
    const auto file = number();
    table_facts facts;
    facts.bytes = number();
    static_cast<void>(text());  // its first key
    static_cast<void>(text());  // its last
    static_cast<void>(number());
    static_cast<void>(number());
    while (good_) {
      const auto what = number();
      if (what == end_of_file) break;
      const auto value = text();
      if (what == file_checksum) facts.checksum = value;
    }
    if (good_) tables_[{family_, file}] = std::move(facts);
  }

  std::string_view rest_;
  bool good_ = true;
  std::uint64_t family_ = 0;
  std::uint64_t newest_log_ = 0;
  std::map<std::pair<std::uint64_t, std::uint64_t>, table_facts> tables_;  // by family and file
};

// ------------------------------------------------------------------------------------------ the directory

enum class kind_of_file { current, manifest, write_ahead, table, noted, journal, lock, other };

bool is_number(std::string_view s) { return !s.empty() && s.find_first_not_of("0123456789") == std::string_view::npos; }

kind_of_file kind_of(std::string_view name) {
  if (name == "CURRENT") return kind_of_file::current;
  if (name == "LOCK") return kind_of_file::lock;
  if (name == "LOG" || name.starts_with("LOG.old.")) return kind_of_file::journal;
  if (name == "IDENTITY" || name.starts_with("OPTIONS-")) return kind_of_file::noted;
  if (name.starts_with("MANIFEST-") && is_number(name.substr(9))) return kind_of_file::manifest;
  if (name.size() > 4 && is_number(name.substr(0, name.size() - 4))) {
    if (name.ends_with(".log")) return kind_of_file::write_ahead;
    if (name.ends_with(".sst")) return kind_of_file::table;
  }
  return kind_of_file::other;
}

std::uint64_t number_of(std::string_view table) {
  std::uint64_t n = 0;
  std::from_chars(table.data(), table.data() + table.size(), n);
  return n;
}

std::optional<std::string> content_of(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in.is_open() || in.bad()) return std::nullopt;
  return text;
}

class directory_check {
 public:
  directory_check(fs::path directory, std::string named, const std::function<bool(std::uint64_t)>& read)
      : directory_{std::move(directory)}, named_{std::move(named)}, read_{read} {}

  result<checked_files> run() {
    if (auto listed = list(); !listed) return listed.error();
    const auto current = check_current();
    for (const auto& name : names_)
      if (kind_of(name) == kind_of_file::manifest) check_manifest(name, name == current);
    look_for_write_ahead();
    for (const auto& name : names_) check(name);
    for (const auto& [number, facts] : alive_)
      if (!seen_.contains(number)) blame("file", table_name(number), "is missing");
    return std::move(out_);
  }

 private:
  void blame(std::string kind, const std::string& name, std::string detail) { out_.found.push_back({std::move(kind), named_ + name, std::move(detail)}); }

  static std::string table_name(std::uint64_t number) {
    auto digits = std::to_string(number);
    return std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits + ".sst";
  }

  result<void> list() {
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator{directory_, failed})
      if (entry.is_regular_file()) names_.insert(entry.path().filename().string());
    if (failed) return failure{errc::io_failure, directory_.string() + ": " + failed.message()};
    return {};
  }

  /// @return the manifest that is in force; empty where none can be told
  std::string check_current() {
    const auto text = content_of(directory_ / "CURRENT");
    if (!text) return blame("file", "CURRENT", "is missing or can't be read"), std::string{};
    ++out_.files;
    out_.bytes += text->size();
    const auto name = text->substr(0, text->size() - std::min<std::size_t>(text->size(), 1));
    if (!text->ends_with('\n') || kind_of(name) != kind_of_file::manifest) return blame("file", "CURRENT", "doesn't name a manifest"), std::string{};
    if (!names_.contains(name)) return blame("file", "CURRENT", "names a manifest that is not there"), std::string{};
    for (const auto& other : names_)
      if (kind_of(other) == kind_of_file::manifest && number_of(other.substr(9)) > number_of(name.substr(9)))
        blame("file", "CURRENT", "names " + name + ", and there is a newer one");
    return name;
  }

  void check_manifest(const std::string& name, bool in_force) {
    manifest_reader reader;
    const bool is_whole = walk(name, [&reader](std::string_view edit) { reader.take(edit); });
    if (is_whole && !reader.good()) blame("file", name, "holds what no manifest of this version has");
    if (!in_force) return;
    alive_ = reader.alive();
    knows_tables_ = is_whole && reader.good();
    newest_log_ = knows_tables_ ? reader.newest_log() : 0;
  }

  /// RocksDB opens without a word where it is lost, and with it all that was not in tables yet. It makes a log before its manifest
  /// says so, and drops none but older ones.
  void look_for_write_ahead() {
    const auto is_it = [this](const std::string& name) { return kind_of(name) == kind_of_file::write_ahead && number_of(name) >= newest_log_; };
    if (newest_log_ != 0 && std::ranges::none_of(names_, is_it))
      blame("file", "*.log", "is missing: the write-ahead log of number " + std::to_string(newest_log_) + ", or a later one, has to be there");
  }

  bool walk(const std::string& name, log_walk::on_record record) {
    std::ifstream in{directory_ / name, std::ios::binary};
    ++out_.files;
    if (!in) return blame("file", name, "can't be read"), false;
    const auto wrong = log_walk{in, std::move(record), [this](std::uint64_t bytes) { return count(bytes); }}.run();
    if (wrong) blame(wrong->may_be_torn ? "torn" : "file", name, wrong->detail + (wrong->may_be_torn ? "; a crash leaves such an end, and damage looks like it" : ""));
    return !wrong;
  }

  bool count(std::uint64_t bytes) {
    out_.bytes += bytes;
    return going_on_ = going_on_ && read_(bytes);
  }

  void check(const std::string& name) {
    if (!going_on_) return;
    switch (kind_of(name)) {
      case kind_of_file::write_ahead: static_cast<void>(walk(name, [](std::string_view) {})); return;
      case kind_of_file::table: check_table(name); return;
      case kind_of_file::lock:
        if (fs::file_size(directory_ / name) != 0) blame("file", name, "has to be empty");
        return;
      case kind_of_file::other: out_.unchecked.push_back(named_ + name); return;
      case kind_of_file::current: case kind_of_file::manifest: case kind_of_file::noted: case kind_of_file::journal: return;
    }
  }

  void check_table(const std::string& name) {
    const auto number = number_of(name);
    seen_.insert(number);
    const auto found = alive_.find(number);
    if (found == alive_.end() || found->second.checksum.empty()) {
      if (knows_tables_) out_.unchecked.push_back(named_ + name);
      return;
    }
    std::ifstream in{directory_ / name, std::ios::binary};
    crc32c sum;
    std::string portion(portion_bytes, '\0');
    std::uint64_t bytes = 0;
    ++out_.files;
    while (in && going_on_) {
      in.read(portion.data(), portion_bytes);
      const auto got = static_cast<std::size_t>(in.gcount());
      sum.add(std::string_view{portion}.substr(0, got));
      bytes += got;
      count(got);
    }
    if (!going_on_) return;
    if (bytes != found->second.bytes) blame("file", name, "has " + std::to_string(bytes) + " bytes instead of " + std::to_string(found->second.bytes));
    else if (sum.text() != found->second.checksum) blame("file", name, "doesn't have its checksum");
  }

  const fs::path directory_;
  const std::string named_;
  const std::function<bool(std::uint64_t)>& read_;
  std::set<std::string> names_;
  std::map<std::uint64_t, table_facts> alive_;
  std::set<std::uint64_t> seen_;
  std::uint64_t newest_log_ = 0;  // 0: not known
  bool knows_tables_ = false;
  bool going_on_ = true;
  checked_files out_;
};

std::string note_key(std::string_view name) { return std::string{note_prefix}.append(name); }

constexpr std::string_view options_prefix = "OPTIONS-";
std::uint64_t number_of_options(std::string_view name) { return name.starts_with(options_prefix) ? number_of(name.substr(options_prefix.size())) : 0; }

/// The names of OPTIONS and IDENTITY, of those that are there.
std::vector<std::string> noted_kind_in(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator{directory, failed})
    if (auto name = entry.path().filename().string(); kind_of(name) == kind_of_file::noted) out.push_back(std::move(name));
  return out;
}

}  // namespace

result<checked_files> check_files(const std::string& directory, const std::string& named, const std::function<bool(std::uint64_t)>& read) {
  return directory_check{directory, named, read}.run();
}

std::uint64_t bytes_in_files(const std::string& directory) {
  std::uint64_t sum = 0;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator{directory, failed}) {
    const auto kind = kind_of(entry.path().filename().string());
    if (kind == kind_of_file::table || kind == kind_of_file::write_ahead || kind == kind_of_file::manifest) sum += entry.file_size(failed);
  }
  return sum;
}

result<bool> note_file(database& db, const std::string& path, const std::string& name) {
  const auto text = content_of(path);
  if (!text) return failure{errc::io_failure, path + " can't be read"};
  const auto hash = sha256(*text);
  const auto kept = db.get(family::meta, note_key(name));
  if (!kept) return kept.error();
  if (*kept && **kept == hash) return false;
  if (auto put = db.put_meta(note_key(name), hash); !put) return put.error();
  return kept->has_value();
}

result<checked_files> check_noted_files(const database& db, const std::string& data_directory, const std::string& database_directory) {
  checked_files out;
  std::set<std::string> noted;
  std::uint64_t newest_options = 0;  // that were noted
  const auto read = db.each(family::meta, note_prefix, {}, [&](std::string_view key, std::string_view hash) {
    const std::string name{key.substr(note_prefix.size())};
    noted.insert(name);
    const bool of_database = name.starts_with(database_name);
    const auto path = of_database ? fs::path{database_directory} / name.substr(database_name.size()) : fs::path{data_directory} / name;
    const auto text = content_of(path);
    const auto options = of_database ? number_of_options(name.substr(database_name.size())) : 0;
    newest_options = std::max(newest_options, options);
    if (!text && options != 0 && !fs::exists(path)) return true;
    ++out.files;
    out.bytes += text ? text->size() : 0;
    if (!text) out.found.push_back({"file", name, "is missing or can't be read"});
    else if (sha256(*text) != hash) out.found.push_back({"file", name, "is not what it was"});
    return true;
  });
  if (!read) return read.error();
  std::uint64_t newest_there = 0;
  for (const auto& name : noted_kind_in(database_directory)) {
    newest_there = std::max(newest_there, number_of_options(name));
    if (!noted.contains(std::string{database_name} + name)) out.unchecked.push_back(std::string{database_name} + name);
  }
  // RocksDB drops older ones, and has a newer one after a start that was killed before it was noted.
  if (newest_there < newest_options) out.found.push_back({"file", std::string{database_name}.append(options_prefix) + "*", "is missing: number " + std::to_string(newest_options) + " or a later one has to be there"});
  return out;
}

result<void> note_own_files(database& db, const std::string& directory) {
  for (const auto& name : noted_kind_in(directory))
    if (auto noted = note_file(db, (fs::path{directory} / name).string(), std::string{database_name} + name); !noted) return noted.error();
  std::vector<std::string> gone;
  const auto read = db.each(family::meta, note_key(database_name), {}, [&](std::string_view key, std::string_view) {
    const auto name = key.substr(note_prefix.size() + database_name.size());
    if (!fs::exists(fs::path{directory} / name)) gone.emplace_back(key);
    return true;
  });
  if (!read) return read;
  for (const auto& key : gone)
    if (auto erased = db.erase_meta(key); !erased) return erased;
  return {};
}

}  // namespace usher::store
