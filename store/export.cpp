#include "store/export.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <istream>

#include "events/base64.hpp"
#include "events/json.hpp"
#include "events/secrets.hpp"
#include "events/sha256.hpp"
#include "events/words.hpp"
#include "store/filesystem.hpp"
#include "store/hash.hpp"
#include "store/stream.hpp"

namespace usher::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view export_format = "usher-export-1";
constexpr std::size_t piece_bytes = 64 << 10;
constexpr std::uint64_t piece_records = 4096;  // that a filter may leave out before it returns
constexpr std::size_t sum_digits = 16;
constexpr std::string_view line_sum_member = ",\"sum\":\"";

/// What an event says; nothing where its type is not known.
std::string data_of(const v1::StreamEvent& e) {
  std::string out;
  if (const auto* data = content_of(e, "payload")) to_json(*data, out);
  else out = "{}";
  return out;
}

std::string sum_of(std::string_view line) { return to_hex(sha256(line)).substr(0, sum_digits); }

/// Ends the line that began at `from`, with its checksum in place of the brace.
void end_line(std::string& out, std::size_t from) {
  out.pop_back();
  const auto sum = sum_of(std::string_view{out}.substr(from));
  out.append(line_sum_member).append(sum).append("\"}\n");
}

/// A cell, quoted where it has to be. One that a spreadsheet would take for a formula gets an apostrophe in front.
void add_cell(std::string& out, std::string_view text, bool last = false) {
  const bool formula = !text.empty() && std::string_view{"=+-@\t\r"}.find(text.front()) != std::string_view::npos;
  if (formula || text.find_first_of(",\"\r\n") != std::string_view::npos) {
    out += '"';
    if (formula) out += '\'';
    for (const char c : text) out.append(c == '"' ? 2 : 1, c);
    out += '"';
  } else {
    out += text;
  }
  out += last ? "\r\n" : ",";
}

std::string_view word_of(v1::Role r) {
  switch (r) {
    case v1::ROLE_USER: return "user";
    case v1::ROLE_SERVICE: return "service";
    case v1::ROLE_OPERATOR: return "operator";
    case v1::ROLE_SYSTEM: return "system";
    default: return "";
  }
}

result<std::optional<std::int64_t>> time_in(const std::string& text, const char* what) {
  if (text.empty()) return std::optional<std::int64_t>{};
  const auto at = from_rfc3339(text);
  if (!at) return failure{errc::invalid_argument, std::string{what} + ": a time as in 2030-03-01T19:30:00Z"};
  return std::optional{to_ms(*at)};
}

}  // namespace

result<export_request> export_request_from(const export_words& words) {
  export_request out;
  if (words.format == "csv") out.form = export_form::csv;
  else if (!words.format.empty() && words.format != "json") return failure{errc::invalid_argument, "format: json or csv"};
  else if (words.events) out.form = export_form::events;
  const auto since = time_in(words.since, "since");
  if (!since) return since.error();
  const auto until = time_in(words.until, "until");
  if (!until) return until.error();
  out.since_ms = *since;
  out.until_ms = *until;
  if (!words.stream.empty() && !(out.stream = entity_from(words.stream)))
    return failure{errc::invalid_argument, "stream: a kind and a name, as in seat/shw_7q2m4x9c1v5k3tza/A-12, reservation/rsv_…"};
  out.type = words.type;
  if (!out.type.empty() && out.type != "unknown" && !is_type_in(*v1::StreamEvent::descriptor(), "payload", out.type))
    return failure{errc::invalid_argument, "type: no event is called " + out.type + "; as in reservation.placed, seat.held"};
  out.with_keys = words.with_keys;
  if (out.with_keys && (out.form != export_form::records || out.is_filtered()))
    return failure{errc::invalid_argument, "keys belong to a whole export of records"};
  return out;
}

result<log_export> log_export::begin(const database& db, export_request request, time_point now) {
  log_export out{db, std::move(request)};
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    const auto end = out.ends_[p] = db.durable_end(p);
    out.records_ += end;
    if (end == 0) continue;
    auto read = db.scan_stored(p, end, [&](std::uint64_t, std::string_view stored) {
      out.last_hash_[p] = sha256(stored);
      return false;
    });
    if (!read && !out.request_.past_damage) return read.error();
  }
  out.write_header(out.head_, now);
  return out;
}

void log_export::write_header(std::string& out, time_point now) const {
  if (request_.form == export_form::csv) {
    out = "position,at,stream,version,type,user,role,data\r\n";
    return;
  }
  bool whole = request_.form == export_form::records && !request_.is_filtered();
  for (std::uint32_t p = 0; p != partition_count; ++p) whole = whole && (ends_[p] == 0 || !last_hash_[p].empty());
  json_writer to{out};
  to.begin_object().member("format", export_format).member("at", now).member("whole", whole).member("withKeys", request_.with_keys);
  if (request_.since_ms) to.member("since", from_ms(*request_.since_ms));
  if (request_.until_ms) to.member("until", from_ms(*request_.until_ms));
  if (request_.stream) to.member("stream", name_of(*request_.stream));
  if (!request_.type.empty()) to.member("type", request_.type);
  if (whole) {
    to.member("records", records_).key("partitions").begin_array();
    for (std::uint32_t p = 0; p != partition_count; ++p)
      if (ends_[p] != 0) to.begin_object().member("partition", p).member("records", ends_[p]).member("lastHash", to_hex(last_hash_[p])).end_object();
    to.end_array();
  }
  to.end_object();
  end_line(out, 0);
}

bool log_export::takes(const v1::StreamEvent& e) const {
  return (!request_.stream || same_entity(e.stream(), *request_.stream)) && (request_.type.empty() || type_of(e, "payload") == request_.type);
}

bool log_export::takes(const v1::Record& r) const {
  if (request_.since_ms && r.at_ms() < *request_.since_ms) return false;
  if (request_.until_ms && r.at_ms() >= *request_.until_ms) return false;
  if (!request_.stream && request_.type.empty()) return true;
  return std::ranges::any_of(r.events(), [this](const auto& e) { return takes(e); });
}

void log_export::write(const v1::Record& r, std::string_view stored, std::string& out) const {
  if (request_.form != export_form::records) return write_events(r, out);
  const auto from = out.size();
  json_writer{out}.begin_object().member("position", place_of({r.partition(), r.index()})).member("record", without_secrets(r)).member("stored", to_base64(stored)).end_object();
  end_line(out, from);
}

void log_export::write_events(const v1::Record& r, std::string& out) const {
  const auto at = to_rfc3339(from_ms(r.at_ms()));
  for (const auto& e : r.events()) {
    if (!takes(e)) continue;
    const auto shown = without_secrets(e);
    const auto type = type_of(shown, "payload");
    if (request_.form == export_form::csv) {
      for (const auto& cell : {place_of({r.partition(), r.index()}), at, name_of(e.stream()), std::to_string(e.version()), type, r.user_id(), std::string{word_of(r.role())}}) add_cell(out, cell);
      add_cell(out, data_of(shown), true);
      continue;
    }
    const auto from = out.size();
    json_writer to{out};
    to.begin_object().member("position", place_of({r.partition(), r.index()})).member("at", at).member("stream", name_of(e.stream())).member("version", e.version());
    to.member("type", type).member("userId", r.user_id()).member("role", word_of(r.role())).member("correlation", r.correlation());
    to.key("data").raw(data_of(shown)).end_object();
    end_line(out, from);
  }
}

result<void> log_export::write_keys(std::string& out) {
  const auto more = [&](std::string_view user_id, std::string_view key) {
    if (user_id == last_person_) return true;
    last_person_ = user_id;
    const auto from = out.size();
    json_writer{out}.begin_object().member("userId", user_id).member("key", to_base64(key)).end_object();
    end_line(out, from);
    return out.size() < piece_bytes;
  };
  const auto before = last_person_;
  if (auto read = db_->each(family::persons, "", last_person_, more); !read) return read;
  keys_done_ = out.size() < piece_bytes || before == last_person_;
  return {};
}

/// The next records of the partition, until there is a piece of them or no more.
result<void> log_export::read_on(std::string& out, std::uint64_t& looked_at) {
  std::optional<failure> broken;
  v1::Record record;
  const auto is_full = [&] { return out.size() >= piece_bytes || looked_at == piece_records; };
  auto scanned = db_->scan_stored(partition_, after_ + 1, [&](std::uint64_t index, std::string_view stored) {
    if (index > ends_[partition_] || is_full()) return false;
    if (index != after_ + 1 || !record.ParseFromArray(stored.data(), static_cast<int>(stored.size()))) {
      broken = failure{errc::corrupted, "record " + std::to_string(after_ + 1) + " of partition " + std::to_string(partition_) + " is missing or can't be decoded"};
      return false;
    }
    after_ = index;
    ++looked_at;
    ++seen_;
    if (takes(record)) write(record, stored, out);
    return true;
  });
  if (!scanned) return scanned;
  if (broken) return *broken;
  if (!is_full() && after_ != ends_[partition_]) return failure{errc::corrupted, "partition " + std::to_string(partition_) + " ends before its last record"};
  return {};
}

result<bool> log_export::next(std::string& out) {
  out.append(std::exchange(head_, {}));
  std::uint64_t looked_at = 0;
  while (partition_ != partition_count) {
    if (after_ == ends_[partition_]) {
      ++partition_;
      after_ = 0;
      continue;
    }
    if (auto read = read_on(out, looked_at); !read) {
      if (!request_.past_damage) return read.error();
      damage_.push_back(read.error());
      seen_ += ends_[partition_] - after_;
      after_ = ends_[partition_];
    }
    if (out.size() >= piece_bytes || looked_at == piece_records) return true;
  }
  if (request_.with_keys && !keys_done_) {
    if (auto written = write_keys(out); !written) return written.error();
    if (!keys_done_) return true;
  }
  if (request_.form != export_form::csv && damage_.empty()) {
    const auto from = out.size();
    json_writer{out}.begin_object().member("end", true).end_object();
    end_line(out, from);
  }
  return false;
}

namespace {

/// Takes an export in, line by line, into a database.
class importer {
 public:
  explicit importer(database& into) : into_{into} {}

  result<void> take(std::string_view line) {
    ++number_;
    const auto sum_at = line.rfind(line_sum_member);
    const bool sound = sum_at != std::string_view::npos && line.size() == sum_at + line_sum_member.size() + sum_digits + 2 && line.ends_with("\"}") &&
                       line.substr(sum_at + line_sum_member.size(), sum_digits) == sum_of(line.substr(0, sum_at));
    if (!sound) return wrong(number_ == 1 ? "it is no export of Usher, or its first line was changed" : "it was changed" + place_in(line));
    line = line.substr(0, sum_at);
    if (number_ == 1) return take_header(std::string{line} + '}');
    if (ended_) return wrong("nothing may follow the end");
    if (line.starts_with("{\"position\":")) return take_record(line);
    if (line.starts_with("{\"userId\":")) return take_key(std::string{line} + '}');
    ended_ = line == "{\"end\":true";
    if (!ended_) return wrong("it is of no known kind");
    return {};
  }

  result<import_outcome> finish() {
    if (!ended_) return failure{errc::corrupted, "the export ends after line " + std::to_string(number_) + ", before it is whole"};
    if (auto written = write(); !written) return written.error();
    for (std::uint32_t p = 0; p != partition_count; ++p) {
      if (into_.durable_end(p) == ends_[p].records && last_hash_[p] == ends_[p].last_hash) continue;
      return failure{errc::corrupted, "partition " + std::to_string(p) + " ends at record " + std::to_string(into_.durable_end(p)) +
                                          ", not as the first line says, at " + std::to_string(ends_[p].records)};
    }
    return done_;
  }

 private:
  struct end_of {
    std::uint64_t records = 0;
    std::string last_hash;
  };

  failure wrong(const std::string& why) const { return {errc::corrupted, "line " + std::to_string(number_) + ": " + why}; }

  /// Of a record, as far as its line can be read.
  static std::string place_in(std::string_view line) {
    constexpr std::string_view begin = "{\"position\":\"";
    if (!line.starts_with(begin)) return {};
    line.remove_prefix(begin.size());
    const auto end = line.substr(0, 40).find('"');
    return end == std::string_view::npos ? std::string{} : " (record " + std::string{line.substr(0, end)} + ")";
  }

  result<void> take_header(const std::string& line) {
    try {
      const auto said = boost::json::parse(line).as_object();
      if (said.at("format").as_string() != export_format) return wrong("it is an export of another format");
      if (!said.at("whole").as_bool()) return failure{errc::invalid_argument, "it holds a part of a log, and only a whole one can be imported"};
      for (const auto& one : said.at("partitions").as_array()) {
        const auto& p = one.as_object();
        ends_.at(p.at("partition").to_number<std::uint32_t>()) = {p.at("records").to_number<std::uint64_t>(), from_hex(p.at("lastHash").as_string()).value()};
      }
    } catch (const std::exception&) {
      return wrong("it can't be read");
    }
    return {};
  }

  result<void> take_record(std::string_view line) {
    constexpr std::string_view member = ",\"stored\":\"";
    const auto from = line.rfind(member);
    auto stored = from == std::string_view::npos || !line.ends_with('"')
                      ? std::nullopt
                      : from_base64(line.substr(from + member.size(), line.size() - from - member.size() - 1));
    if (!stored || !record_.ParseFromString(*stored)) return wrong("its record can't be read" + place_in(line));
    const auto p = record_.partition();
    if (p >= partition_count || record_.index() != next_[p] + 1) return wrong("it is not in order" + place_in(line));
    if (record_.previous_hash() != last_hash_[p]) return wrong("it doesn't carry the hash of the record before it" + place_in(line));
    last_hash_[p] = sha256(*stored);
    next_[p] = record_.index();
    bytes_ += stored->size();
    ++done_.records;
    records_.emplace_back(log_position{p, record_.index()}, std::move(*stored));
    return full() ? write() : result<void>{};
  }

  result<void> take_key(const std::string& line) {
    std::optional<person_key> key;
    std::string user_id;
    try {
      const auto said = boost::json::parse(line).as_object();
      user_id = said.at("userId").as_string().c_str();
      if (const auto bytes = from_base64(said.at("key").as_string())) key = person_key_from(*bytes);
    } catch (const std::exception&) {
    }
    if (!key) return wrong("its key can't be read");
    ++done_.keys;
    persons_.push_back({std::move(user_id), key});
    return full() ? write() : result<void>{};
  }

  [[nodiscard]] bool full() const { return records_.size() + persons_.size() >= 4096 || bytes_ >= (4 << 20); }

  result<void> write() {
    bytes_ = 0;
    if (records_.empty() && persons_.empty()) return {};
    auto written = into_.append_synced(records_, persons_);
    records_.clear();
    persons_.clear();
    return written;
  }

  database& into_;
  std::uint64_t number_ = 0;  // of the line
  bool ended_ = false;
  std::array<end_of, partition_count> ends_;
  std::array<std::uint64_t, partition_count> next_{};
  std::array<std::string, partition_count> last_hash_;
  v1::Record record_;
  std::vector<std::pair<log_position, std::string>> records_;
  std::vector<database::person_change> persons_;
  std::size_t bytes_ = 0;
  import_outcome done_;
};

result<import_outcome> import_into(std::istream& lines, const std::string& directory, const std::function<void(std::uint64_t)>& read) {
  auto db = database::open(directory);
  if (!db) return db.error();
  importer taking{**db};
  for (std::string line; std::getline(lines, line);) {
    if (auto taken = taking.take(line); !taken) return taken.error();
    if (read) read(line.size() + 1);
  }
  auto done = taking.finish();
  if (!done) return done;
  if (auto flushed = (*db)->flush(); !flushed) return flushed.error();
  return done;
}

}  // namespace

result<import_outcome> import_log(std::istream& lines, const std::string& data_directory, const std::function<void(std::uint64_t)>& read) {
  const fs::path data{data_directory};
  const auto log = data / "db";
  const auto draft = data / "db.importing";
  std::error_code failed;
  if (fs::exists(log, failed)) return failure{errc::invalid_argument, data_directory + " has a log already: import into another directory"};
  fs::remove_all(draft, failed);
  if (auto made = make_private_directory(data_directory); !made) return made.error();
  auto done = import_into(lines, draft.string(), read);
  if (done) fs::rename(draft, log, failed);
  else fs::remove_all(draft, failed);
  if (done && failed) return failure{errc::io_failure, log.string() + ": " + failed.message()};
  if (!done) return done;
  if (auto synced = sync_path(data.string()); !synced) return synced.error();
  return done;
}

}  // namespace usher::store
