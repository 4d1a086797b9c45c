// backup.json: {format, name, at, records, files: [{path, bytes, sha256}], partitions: [{partition, records, lastHash}], sum}
// `sum` is the SHA-256 of all before it.

#include "store/backup.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <boost/json/parse.hpp>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "events/json.hpp"
#include "events/sha256.hpp"
#include "store/audit.hpp"
#include "store/filesystem.hpp"
#include "store/hash.hpp"

namespace usher::store {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view backup_format = "usher-backup-1";
constexpr std::string_view manifest_name = "backup.json";
constexpr std::string_view log_name = "db";
constexpr std::string_view sum_member = ",\"sum\":\"";
constexpr std::string_view sum_end = "\"}\n";
constexpr std::string_view draft_suffix = ".partial";
constexpr std::uint64_t room_besides = 64 << 20;  // bytes

struct file_in {
  std::string path;  ///< from the backup's directory
  std::uint64_t bytes = 0;
  std::string sha256;
};

struct manifest {
  backup_summary is;
  std::vector<file_in> files;
  std::map<std::uint32_t, audited> partitions;
};

/// Removes a directory that was not finished.
struct draft {
  fs::path path;
  bool kept = false;
  ~draft() {
    std::error_code ignored;
    if (!kept) fs::remove_all(path, ignored);
  }
};

/// A directory that one process at a time works in. Its death ends that as well.
class claim {
 public:
  explicit claim(const fs::path& directory) : file_{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)} {
    held_ = file_ >= 0 && ::flock(file_, LOCK_EX | LOCK_NB) == 0;
  }
  ~claim() {
    if (file_ >= 0) ::close(file_);
  }
  claim(const claim&) = delete;
  claim& operator=(const claim&) = delete;
  [[nodiscard]] bool held() const { return held_; }

 private:
  const int file_;
  bool held_ = false;
};

failure said(const fs::path& path, const std::error_code& why) { return {errc::io_failure, path.string() + ": " + why.message()}; }

/// What RocksDB writes for people to read, whenever it opens anything.
bool is_chatter(const fs::path& file) { return file.filename().string().starts_with("LOG") || file.filename() == "LOCK"; }

/// All files below a directory, as paths from there, in order.
result<std::vector<file_in>> files_below(const fs::path& root) {
  std::vector<file_in> out;
  std::error_code failed;
  for (fs::recursive_directory_iterator i{root, failed}, end; !failed && i != end; i.increment(failed)) {
    std::error_code gone;  // a database that runs drops files
    if (!i->is_regular_file(gone) || is_chatter(i->path()) || i->path() == root / manifest_name) continue;
    if (const auto bytes = i->file_size(gone); !gone) out.push_back({i->path().lexically_relative(root).generic_string(), bytes, {}});
  }
  if (failed) return said(root, failed);
  std::ranges::sort(out, {}, &file_in::path);
  return out;
}

bool is_secret(const fs::path& file) {
  const auto name = file.filename().string();
  return name == "secret" || (name.starts_with("secret.") && name.find(".new") == std::string::npos);
}

result<void> copy_private(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  fs::copy_file(from, to, failed);
  if (failed) return said(from, failed);
  fs::permissions(to, fs::perms::owner_read | fs::perms::owner_write, failed);
  if (failed) return said(to, failed);
  return sync_path(to.string());
}

result<void> copy_secrets(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator{from, failed}) {
    if (!entry.is_regular_file() || !is_secret(entry.path())) continue;
    if (auto copied = copy_private(entry.path(), to / entry.path().filename()); !copied) return copied;
  }
  if (failed) return said(from, failed);
  return {};
}

result<void> check_room(const fs::path& in, std::uint64_t wanted) {
  struct statvfs disk {};
  if (::statvfs(in.c_str(), &disk) != 0) return failure{errc::io_failure, in.string() + ": its free space can't be told"};
  const auto free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (free >= wanted + room_besides) return {};
  return failure{errc::io_failure, in.string() + " has " + std::to_string(free >> 20) + " MiB free, and " +
                                       std::to_string((wanted + room_besides) >> 20) + " are needed"};
}

bool on_one_disk(const fs::path& a, const fs::path& b) {
  struct stat of_a {}, of_b {};
  return ::stat(a.c_str(), &of_a) == 0 && ::stat(b.c_str(), &of_b) == 0 && of_a.st_dev == of_b.st_dev;
}

/// Nothing lies in it but what a backup has.
bool looks_like_backup(const fs::path& directory) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator{directory, failed}) {
    const auto name = entry.path().filename();
    if (name != log_name && name != manifest_name && !is_secret(name)) return false;
  }
  return !failed;
}

/// Drafts that nobody works on any more, for they hold secrets and keys.
void remove_dead_drafts(const fs::path& place) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{place, ignored}) {
    const auto name = entry.path().filename().string();
    const bool ours = name.ends_with(draft_suffix) && is_backup_name(name.substr(0, name.size() - draft_suffix.size()));
    if (!ours || entry.is_symlink(ignored) || !entry.is_directory(ignored)) continue;
    if (const claim dead{entry.path()}; dead.held() && looks_like_backup(entry.path())) fs::remove_all(entry.path(), ignored);
  }
}

/// For nobody else to look into, and not there yet.
result<void> make_new_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), S_IRWXU) != 0) return said(path, {errno, std::generic_category()});
  return {};
}

/// Of the segments that don't lie in the database's own directory.
std::uint64_t distant_bytes(const database& db) {
  std::uint64_t sum = 0;
  for (const auto& s : db.archived())
    if (fs::path{db.path_of(s)}.parent_path() != fs::path{db.segment_directory()}) sum += s.bytes;
  return sum;
}

/// Segments that were put elsewhere, for a backup has to be whole.
result<void> copy_distant_segments(const database& db, const fs::path& into) {
  for (const auto& s : db.archived()) {
    const auto to = into / "segments" / s.file;
    std::error_code failed;
    if (fs::exists(to, failed)) continue;
    fs::create_directories(to.parent_path(), failed);
    fs::copy_file(db.path_of(s), to, failed);
    if (failed) return said(db.path_of(s), failed);
  }
  return {};
}

/// Bytes done, told as they are.
class meter {
 public:
  meter(const backup_progress& tell, std::uint64_t total) : tell_{tell}, total_{total} {}
  void add(std::uint64_t bytes) {
    done_ += bytes;
    if (tell_ && !tell_(done_, total_)) cancelled_ = true;
  }
  [[nodiscard]] result<void> goes_on() const {
    if (cancelled_) return failure{errc::io_failure, "it was cancelled"};
    return {};
  }

 private:
  const backup_progress& tell_;
  const std::uint64_t total_;
  std::uint64_t done_ = 0;
  bool cancelled_ = false;
};

std::uint64_t bytes_in(const std::vector<file_in>& files) {
  std::uint64_t sum = 0;
  for (const auto& f : files) sum += f.bytes;
  return sum;
}

result<std::map<std::uint32_t, audited>> walk(const fs::path& log) {
  auto db = database::open_read_only(log.string());
  if (!db) return db.error();
  std::map<std::uint32_t, audited> out;
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    auto one = verify_chain(**db, p);
    if (!one) return one.error();
    if (one->records != 0) out.emplace(p, std::move(*one));
  }
  return out;
}

void remove_chatter(const fs::path& log) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{log, ignored})
    if (is_chatter(entry.path())) fs::remove(entry.path(), ignored);
}

std::string text_of(const manifest& m) {
  std::string out;
  json_writer to{out};
  to.begin_object().member("format", backup_format).member("name", m.is.name).member("at", from_ms(m.is.at_ms)).member("records", m.is.records);
  to.key("files").begin_array();
  for (const auto& f : m.files) to.begin_object().member("path", f.path).member("bytes", f.bytes).member("sha256", f.sha256).end_object();
  to.end_array().key("partitions").begin_array();
  for (const auto& [p, has] : m.partitions)
    to.begin_object().member("partition", p).member("records", has.records).member("lastHash", to_hex(has.last_hash)).end_object();
  to.end_array();
  const auto sum = to_hex(sha256(out));
  return out.append(sum_member).append(sum).append(sum_end);
}

/// The text without its sum, as an object; nullopt where it is not what was written.
std::optional<std::string> without_sum(const std::string& text) {
  const auto at = text.rfind(sum_member);
  if (at == std::string::npos) return std::nullopt;
  const auto body = text.substr(0, at);
  const auto sum = to_hex(sha256(body));
  if (text.substr(at) != std::string{sum_member}.append(sum).append(sum_end)) return std::nullopt;
  return body + "}";
}

result<void> write_manifest(const fs::path& in, const manifest& m) {
  const auto path = in / manifest_name;
  std::ofstream out{path, std::ios::binary};
  out << text_of(m);
  out.close();
  if (!out) return failure{errc::io_failure, path.string() + " can't be written"};
  if (auto synced = sync_path(path.string()); !synced) return synced;
  return sync_path(in.string());
}

/// Throws where a member is missing or of another type.
manifest manifest_from(const json::object& said) {
  manifest m;
  if (said.at("format").as_string() != backup_format) throw std::runtime_error("it is of another format");
  m.is.name = said.at("name").as_string().c_str();
  m.is.at_ms = to_ms(from_rfc3339(said.at("at").as_string()).value());
  m.is.records = said.at("records").to_number<std::uint64_t>();
  for (const auto& one : said.at("files").as_array()) {
    const auto& f = one.as_object();
    m.files.push_back({f.at("path").as_string().c_str(), f.at("bytes").to_number<std::uint64_t>(), f.at("sha256").as_string().c_str()});
    const fs::path path{m.files.back().path};
    if (path.is_absolute() || std::ranges::find(path, fs::path{".."}) != path.end()) throw std::runtime_error("a file's path leads out of it");
  }
  for (const auto& one : said.at("partitions").as_array()) {
    const auto& p = one.as_object();
    m.partitions[p.at("partition").to_number<std::uint32_t>()] = {p.at("records").to_number<std::uint64_t>(),
                                                                  from_hex(p.at("lastHash").as_string()).value()};
  }
  m.is.files = m.files.size();
  m.is.bytes = bytes_in(m.files);
  return m;
}

result<manifest> read_manifest(const fs::path& backup) {
  const auto path = backup / manifest_name;
  std::ifstream in{path, std::ios::binary};
  if (!in) return failure{errc::invalid_argument, backup.string() + " is no backup: it has no " + std::string{manifest_name}};
  const auto text = without_sum({std::istreambuf_iterator<char>{in}, {}});
  if (!text) return failure{errc::corrupted, path.string() + " is damaged: it is not what was written"};
  try {
    return manifest_from(json::parse(*text).as_object());
  } catch (const std::exception& e) {
    return failure{errc::corrupted, path.string() + " is damaged: " + e.what()};
  }
}

/// Compares every file with what the manifest says of it, and finds those that it doesn't know.
result<void> compare(const fs::path& backup, const manifest& m, meter& progress) {
  const auto there = files_below(backup);
  if (!there) return there.error();
  for (const auto& f : *there)
    if (std::ranges::find(m.files, f.path, &file_in::path) == m.files.end())
      return failure{errc::corrupted, (backup / f.path).string() + " is no part of the backup"};
  for (const auto& f : m.files) {
    const auto hash = sha256_of_file((backup / f.path).string(), [&](std::uint64_t n) { progress.add(n); });
    if (!hash) return failure{errc::corrupted, "the backup is damaged: " + hash.error().detail};
    if (*hash != f.sha256) return failure{errc::corrupted, "the backup is damaged: " + (backup / f.path).string() + " is not what was written"};
    if (auto on = progress.goes_on(); !on) return on;
  }
  return {};
}

/// With all its directories. @param to  is not there yet
result<void> copy_files(const fs::path& backup, const fs::path& to, const manifest& m, meter& progress) {
  const auto prefix = std::string{log_name} + "/";
  std::error_code failed;
  for (const auto& f : m.files) {
    if (!f.path.starts_with(prefix)) continue;
    const auto target = to / f.path.substr(prefix.size());
    fs::create_directories(target.parent_path(), failed);
    if (!failed) fs::copy_file(backup / f.path, target, failed);
    if (failed) return said(target, failed);
    if (auto synced = sync_path(target.string()); !synced) return synced;
    progress.add(f.bytes);
    if (auto on = progress.goes_on(); !on) return on;
  }
  for (const auto& f : m.files)
    if (f.path.starts_with(prefix))
      if (auto synced = sync_path((to / f.path.substr(prefix.size())).parent_path().string()); !synced) return synced;
  return {};
}

bool are_alike(const std::map<std::uint32_t, audited>& a, const std::map<std::uint32_t, audited>& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.records == y.second.records && x.second.last_hash == y.second.last_hash;
  });
}

/// A secret that is there already must be the same one.
result<void> put_secrets(const fs::path& backup, const fs::path& data, const manifest& m) {
  for (const auto& f : m.files) {
    if (!is_secret(f.path)) continue;
    const auto to = data / f.path;
    std::error_code ignored;
    if (fs::exists(to, ignored)) {
      const auto there = sha256_of_file(to.string());
      if (!there) return there.error();
      if (*there == f.sha256) continue;
      return failure{errc::invalid_argument, to.string() + " is there and is another one than the backup's: move it away first"};
    }
    if (auto copied = copy_private(backup / f.path, to); !copied) return copied;
  }
  return sync_path(data.string());
}

}  // namespace

void write_json(std::string& out, const backup_summary& b) {
  json_writer{out}.begin_object().member("name", b.name).member("at", from_ms(b.at_ms)).member("records", b.records)
      .member("files", b.files).member("bytes", b.bytes).end_object();
}

bool is_backup_name(std::string_view name) {
  const auto fits = [](unsigned char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_'; };
  return !name.empty() && name.size() <= 100 && name.front() != '.' && std::ranges::all_of(name, fits) && !name.ends_with(draft_suffix);
}

std::string backup_name_of(time_point now) {
  auto text = to_rfc3339(std::chrono::floor<std::chrono::seconds>(now));
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

result<backup_summary> make_backup(database& db, const std::string& data_directory, const std::string& directory, const std::string& name,
                                   time_point now, const backup_progress& progress) {
  if (!is_backup_name(name)) return failure{errc::invalid_argument, "\"" + name + "\" can't name a backup: letters, digits, '.', '-' and '_', no dot in front"};
  std::error_code failed;
  const fs::path place{directory};
  const bool is_new = fs::create_directories(place, failed);
  if (!failed && is_new) fs::permissions(place, fs::perms::owner_all, failed);
  if (failed) return said(place, failed);
  remove_dead_drafts(place);
  const auto done = place / name;
  if (fs::exists(done, failed)) return failure{errc::invalid_argument, "there is a backup " + done.string() + " already"};
  const auto source = files_below(fs::path{data_directory} / log_name);
  if (!source) return source.error();
  const auto own = on_one_disk(data_directory, place) ? 0 : bytes_in(*source);
  if (auto room = check_room(place, own + distant_bytes(db)); !room) return room.error();

  const fs::path draft_path{done.string().append(draft_suffix)};
  if (auto made = make_new_directory(draft_path); !made) return made.error();
  draft making{draft_path};
  const claim working{draft_path};
  if (!working.held()) return failure{errc::io_failure, draft_path.string() + " is being removed by another process"};
  const auto log = making.path / log_name;
  if (auto copied = db.copy_to(log.string()); !copied) return copied.error();
  if (auto copied = copy_distant_segments(db, log); !copied) return copied.error();
  if (auto copied = copy_secrets(data_directory, making.path); !copied) return copied.error();
  auto files = files_below(making.path);
  if (!files) return files.error();
  manifest m{{name, to_ms(now), 0, files->size(), bytes_in(*files)}, std::move(*files), {}};
  meter read{progress, m.is.bytes};
  for (auto& f : m.files) {
    const auto path = (making.path / f.path).string();
    if (auto synced = sync_path(path); !synced) return synced.error();
    auto hash = sha256_of_file(path, [&](std::uint64_t n) { read.add(n); });
    if (!hash) return hash.error();
    f.sha256 = std::move(*hash);
    if (auto on = read.goes_on(); !on) return on.error();
  }
  auto walked = walk(log);
  if (!walked) return walked.error();
  m.partitions = std::move(*walked);
  for (const auto& [p, has] : m.partitions) m.is.records += has.records;
  remove_chatter(log);
  if (auto written = write_manifest(making.path, m); !written) return written.error();
  if (auto synced = sync_path(log.string()); !synced) return synced.error();
  fs::rename(making.path, done, failed);
  if (failed) return said(done, failed);
  making.kept = true;
  if (auto synced = sync_path(place.string()); !synced) return synced.error();
  return m.is;
}

void remove_drafts(const std::string& data_directory, const std::string& directory) {
  remove_dead_drafts(directory);
  std::error_code ignored;
  for (const auto* name : {"db.restoring", "db.importing"}) fs::remove_all(fs::path{data_directory} / name, ignored);
}

std::vector<backup_summary> backups_in(const std::string& directory) {
  std::vector<backup_summary> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{directory, ignored}) {
    if (!entry.is_directory() || !is_backup_name(entry.path().filename().string())) continue;
    if (auto m = read_manifest(entry.path())) out.push_back(std::move(m->is));
  }
  std::ranges::sort(out, [](const auto& a, const auto& b) { return a.at_ms > b.at_ms; });
  return out;
}

result<backup_summary> restore_backup(const std::string& backup, const std::string& data_directory, const backup_progress& progress) {
  const fs::path data{data_directory};
  const auto log = data / log_name;
  std::error_code failed;
  if (fs::exists(log, failed)) return failure{errc::invalid_argument, data_directory + " has a log already: restore into another directory"};
  auto m = read_manifest(backup);
  if (!m) return m.error();
  if (auto made = make_private_directory(data_directory); !made) return made.error();
  if (auto room = check_room(data, m->is.bytes); !room) return room.error();
  meter done{progress, 2 * m->is.bytes};
  if (auto same = compare(backup, *m, done); !same) return same.error();
  draft making{log.string() + ".restoring"};
  fs::remove_all(making.path, failed);
  if (auto made = make_new_directory(making.path); !made) return made.error();
  if (auto copied = copy_files(backup, making.path, *m, done); !copied) return copied.error();
  const auto walked = walk(making.path);
  if (!walked) return walked.error();
  if (!are_alike(*walked, m->partitions)) return failure{errc::corrupted, "the backup is damaged: its log does not end where its list says"};
  if (auto put = put_secrets(backup, data, *m); !put) return put.error();
  fs::rename(making.path, log, failed);
  if (failed) return said(log, failed);
  making.kept = true;
  if (auto synced = sync_path(data.string()); !synced) return synced.error();
  return m->is;
}

}  // namespace usher::store
