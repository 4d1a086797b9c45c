#include "projections/verification.hpp"

#include <algorithm>
#include <filesystem>

#include "events/sha256.hpp"
#include "events/words.hpp"
#include "store/archive.hpp"
#include "store/evidence.hpp"

namespace usher::projections {
namespace {

/// Both passes as one: of the files by their bytes, of the records by theirs on average.
class way {
 public:
  explicit way(const verify_options& options)
      : options_{options}, bytes_{options.partition ? 0 : store::bytes_in_files(options.database_directory)},
        log_bytes_{std::max<std::uint64_t>(store::bytes_in_files(options.database_directory), 1024)} {}

  bool read(std::uint64_t bytes) {
    done_ += bytes;
    return tell();
  }
  bool passed(std::uint64_t records, std::uint64_t of) {
    records_ += records;
    done_ = bytes_ + log_bytes_ * std::min(records_, of) / std::max<std::uint64_t>(of, 1);
    return tell();
  }
  /// Segments are files to read, and hold records, too.
  void expect_segments(std::uint64_t bytes) {
    if (!options_.partition) bytes_ += bytes;
    log_bytes_ += bytes;
  }
  [[nodiscard]] bool ended_early() const { return ended_; }

 private:
  bool tell() {
    if (options_.advance && !ended_) ended_ = !options_.advance(done_ / 1024, (bytes_ + log_bytes_) / 1024);
    return !ended_;
  }

  const verify_options& options_;
  std::uint64_t bytes_, log_bytes_;
  std::uint64_t done_ = 0, records_ = 0;
  bool ended_ = false;
};

std::uint64_t bytes_in_segments(const store::database& db, std::optional<std::uint32_t> partition) {
  std::uint64_t sum = 0;
  for (const auto& s : db.archived())
    if (!partition || s.partition == *partition) sum += s.bytes;
  return sum;
}

void add(verification& to, store::checked_files files) {
  to.files += files.files;
  to.bytes += files.bytes;
  std::ranges::move(files.found, std::back_inserter(to.found));
  std::ranges::move(files.unchecked, std::back_inserter(to.unchecked));
}

/// The note of the file is not enough: a start notes what is there.
void check_signing_secret(const store::database& db, const std::string& data_directory, verification& to) {
  constexpr auto name = "secret.signing";
  const auto signs = store::signs_here(db, (std::filesystem::path{data_directory} / name).string());
  if (!signs) to.found.push_back({"file", "db", signs.error().detail});
  else if (!*signs) to.found.push_back({"file", name, "is not the key that signed here: a node that starts with it signs nothing"});
}

/// What contradicts itself in records that are as they were written.
void add_faults(const store::database& db, auditor& judge, verification& to) {
  judge.finish();
  for (auto& f : judge.take_faults()) {
    if (f.entity.empty()) {
      if (const auto shown = db.read(f.at); shown && *shown) f.entity = entity_of(**shown);
    }
    to.found.push_back({std::string{word_of(f.kind)}, place_of(f.at), f.entity + ": " + f.detail});
  }
}

result<void> look_at_log(const verify_options& options, const store::database& db, way& w, verification& out) {
  auditor judge;
  std::uint64_t records = 0;
  for (std::uint32_t p = 0; p != partition_count; ++p)
    if (!options.partition || *options.partition == p) records += db.durable_end(p);
  store::audit_options audit;
  audit.partition = options.partition;
  audit.advance = [&](std::uint64_t passed) { return w.passed(passed, records); };
  // What a partition by itself says of money can't be judged.
  if (!options.partition) audit.visit = [&judge](const v1::Record& r) { judge.take(r); };
  auto audited = store::audit(db, audit);
  if (!audited) return audited.error();
  out.log = std::move(*audited);
  const bool is_readable = std::ranges::none_of(out.log.found, [](const auto& d) { return d.kind == "record" || d.kind == "chain"; });
  std::ranges::move(out.log.found, std::back_inserter(out.found));
  out.log.found.clear();
  out.found_besides = out.log.found_besides;
  if (audit.visit && is_readable && !w.ended_early()) add_faults(db, judge, out);
  return {};
}

}  // namespace

result<verification> verify(const verify_options& options) {
  if (!std::filesystem::exists(options.database_directory)) return failure{errc::io_failure, options.data_directory + " holds no log"};
  verification out;
  if (options.partition) out.unchecked = {"the other partitions", "files and secrets", "streams and all that is derived", "contradictions between records"};
  out.only = options.partition;
  way w{options};
  if (!options.partition) {
    auto files = store::check_files(options.database_directory, "db/", [&w](std::uint64_t bytes) { return w.read(bytes); });
    if (!files) return files.error();
    add(out, std::move(*files));
  }
  const auto db = store::database::open_read_only(options.database_directory);
  out.opened = db.has_value();
  if (!db) {
    // Its files are mostly named by now; RocksDB may know more.
    out.found.push_back({"file", "db", "The database can't be opened: " + db.error().detail});
    return out;
  }
  w.expect_segments(bytes_in_segments(**db, options.partition));
  if (!options.partition) {
    auto noted = store::check_noted_files(**db, options.data_directory, options.database_directory);
    if (!noted) out.found.push_back({"file", "db", noted.error().detail});
    else add(out, std::move(*noted));
    check_signing_secret(**db, options.data_directory, out);
    auto segments = store::check_segments(**db, [&w](std::uint64_t bytes) { return w.read(bytes); });
    if (!segments) return segments.error();
    add(out, std::move(*segments));
  }
  if (auto looked = look_at_log(options, **db, w, out); !looked) return looked.error();
  out.ended_early = w.ended_early();
  return out;
}

void write(json_writer& json, const verification& v) {
  json.begin_object().member("intact", v.found.empty() && !v.ended_early).member("opened", v.opened).member("records", v.log.records)
      .member("streams", v.log.streams).member("snapshots", v.log.snapshots).member("files", v.files).member("bytes", v.bytes)
      .member("checkpoints", v.log.checkpoints).member("signedRecords", v.log.signed_records);
  if (v.only) json.member("partition", *v.only);
  if (!v.log.public_key.empty()) json.member("publicKey", to_hex(v.log.public_key));
  json.key("damage").begin_array();
  for (const auto& d : v.found) json.begin_object().member("kind", d.kind).member("place", d.place).member("detail", d.detail).end_object();
  json.end_array();
  if (v.found_besides != 0) json.member("more", v.found_besides);
  json.key("unchecked").begin_array();
  for (const auto& name : v.unchecked) json.value(name);
  json.end_array().end_object();
}

}  // namespace usher::projections
