// Opening, with all that is looked at before anybody may write, and the few reads and writes.

#include "store/database.hpp"

#include <sys/stat.h>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <map>

#include "events/upcast.hpp"
#include "store/bug.hpp"
#include "store/database_options.hpp"
#include "store/files.hpp"
#include "store/key_purge.hpp"
#include "store/rocks.hpp"

namespace usher::store {
namespace {

constexpr std::string_view format_version = "3";
constexpr std::string_view format_key = "format";
constexpr std::string_view purge_prefix = "purge/";  // in meta, with the id of a user who was erased: the key may be in files
constexpr std::string_view segments_key = "segments";
constexpr std::uint64_t taken_out_at_once = 4096;  // records

failure other_format(const std::string& found) {
  return {errc::wrong_format, "the data has format \"" + found + "\", this version of Usher reads \"" + std::string{format_version} + "\""};
}

/// The first key after all that start with `prefix`; empty where there is none.
std::string after_prefix(std::string_view prefix) {
  std::string end{prefix};
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) ++end.back();
  return end;
}

result<record_ptr> decoded(std::string_view stored, std::uint32_t partition, std::uint64_t index) {
  auto record = std::make_shared<v1::Record>();
  if (!decode(stored, *record))
    return failure{errc::corrupted, "record " + std::to_string(index) + " of partition " + std::to_string(partition) + " can't be decoded"};
  return record_ptr{std::move(record)};
}

/// The keys of personal data lie in it, in files that all may read. Where it can't be made, opening it tells why.
void keep_private(const std::string& directory) {
  if (::mkdir(directory.c_str(), S_IRWXU) != 0) ::chmod(directory.c_str(), S_IRWXU);
}

}  // namespace

struct database::impl {
  std::unique_ptr<rocksdb::DB> db;
  std::array<rocksdb::ColumnFamilyHandle*, family_names.size()> handles{};
  std::array<std::atomic<std::uint64_t>, partition_count> ends{};
  std::map<std::uint32_t, failure> unreadable;  // partitions whose end can't be read, of a log that is only read
  std::atomic<bool> append_failed{false};

  ~impl() {
    if (!db) return;
    for (auto* h : handles)
      if (h) db->DestroyColumnFamilyHandle(h);
    db->Close();
  }

  rocksdb::ColumnFamilyHandle* at(family f) const { return handles[static_cast<std::size_t>(f)]; }

  static result<void> refuse_strange_families(const std::string& directory, const rocksdb::DBOptions&);
  result<void> open(const std::string& directory, rocksdb::Env*, bool read_only);
  result<void> check_format();
  result<void> open_segments(const std::string& directory, rocksdb::Env*, const std::shared_ptr<rocksdb::Cache>&);
  result<void> copy_segments(const std::string& directory) const;
  result<void> complete_copy(const std::string& directory) const;
  result<void> take_out(const segment&);
  result<void> find_ends(bool read_only);
  result<void> find_readable_end(std::uint32_t partition);

  std::unique_ptr<segments> archived;
  std::unique_ptr<key_purge> purging;
};

/// Families that are missing are made on opening: so that what is refused stays as it was, its format is looked at before.
result<void> database::impl::refuse_strange_families(const std::string& directory, const rocksdb::DBOptions& options) {
  std::vector<std::string> present;
  if (!rocksdb::DB::ListColumnFamilies(options, directory, &present).ok()) return {};  // not there yet, or open() tells better
  const auto is_there = [&](std::string_view name) { return std::find(present.begin(), present.end(), name) != present.end(); };
  for (const auto& name : present)
    if (name != rocksdb::kDefaultColumnFamilyName && std::find(family_names.begin(), family_names.end(), name) == family_names.end())
      return failure{errc::wrong_format, directory + " holds a family \"" + name + "\" that this version of Usher doesn't know"};
  const std::string meta{family_names[static_cast<std::size_t>(family::meta)]};
  if (!is_there(meta) || std::all_of(family_names.begin(), family_names.end(), is_there)) return {};
  std::vector<rocksdb::ColumnFamilyHandle*> opened;
  rocksdb::DB* raw = nullptr;
  auto s = rocksdb::DB::OpenForReadOnly(options, directory, {{rocksdb::kDefaultColumnFamilyName, {}}, {meta, {}}}, &opened, &raw);
  if (!s.ok()) return {};
  const std::unique_ptr<rocksdb::DB> look{raw};
  std::string found;
  s = look->Get({}, opened.back(), slice(format_key), &found);
  for (auto* handle : opened) look->DestroyColumnFamilyHandle(handle);
  if (s.ok() && found != format_version) return other_format(found);
  return {};
}

result<void> database::impl::open(const std::string& directory, rocksdb::Env* env, bool read_only) {
  if (!read_only && !env) keep_private(directory);
  auto options = database_options(env);
  if (read_only) options.create_if_missing = options.create_missing_column_families = false;
  if (auto known = refuse_strange_families(directory, options); !known) return known.error();
  const auto cache = rocksdb::NewLRUCache(128 << 20);
  std::vector<rocksdb::ColumnFamilyDescriptor> wanted{{rocksdb::kDefaultColumnFamilyName, {}}};
  for (std::size_t i = 0; i != family_names.size(); ++i)
    wanted.emplace_back(std::string{family_names[i]}, family_options(static_cast<family>(i), cache));
  std::vector<rocksdb::ColumnFamilyHandle*> opened;
  rocksdb::DB* raw = nullptr;
  const auto s = read_only ? rocksdb::DB::OpenForReadOnly(options, directory, wanted, &opened, &raw)
                           : rocksdb::DB::Open(options, directory, wanted, &opened, &raw);
  if (!s.ok()) return failure_of(s, "opening " + directory);
  db.reset(raw);
  db->DestroyColumnFamilyHandle(opened.front());  // RocksDB insists on its default family, which stays empty
  std::copy(opened.begin() + 1, opened.end(), handles.begin());
  purging = std::make_unique<key_purge>(*db, handles);
  if (auto checked = check_format(); !checked) return checked.error();
  if (auto read = open_segments(directory, env, cache); !read) return read;
  if (!read_only)
    for (const auto& s : archived->all())
      if (auto gone = take_out(s); !gone) return gone;
  return find_ends(read_only);
}

result<void> database::impl::open_segments(const std::string& directory, rocksdb::Env* env, const std::shared_ptr<rocksdb::Cache>& cache) {
  archived = std::make_unique<segments>(directory, env, cache);
  std::string row;
  const auto s = db->Get({}, at(family::meta), slice(segments_key), &row);
  if (s.IsNotFound()) return {};
  if (!s.ok()) return failure_of(s, "reading the list of archived segments");
  return archived->take_list(row);
}

/// Those beside the database, into the same place beside its copy.
result<void> database::impl::copy_segments(const std::string& directory) const {
  namespace fs = std::filesystem;
  for (const auto& one : archived->all()) {
    const auto from = archived->path_of(one);
    const auto to = fs::path{directory} / "segments" / one.file;
    if (!one.directory.empty() && fs::path{from}.parent_path() == fs::path{one.directory}) continue;
    std::error_code failed;
    fs::create_directories(to.parent_path(), failed);
    fs::create_hard_link(from, to, failed);
    if (failed == std::errc::cross_device_link || failed == std::errc::operation_not_permitted) fs::copy_file(from, to, failed);
    if (failed) return failure{errc::io_failure, "copying " + from + ": " + failed.message()};
  }
  return {};
}

/// What RocksDB leaves out of a checkpoint, though a database that was opened has it: its identity, and the write-ahead log while that is
/// empty. With them whoever looks at the files can tell a copy from a database that lost some.
result<void> database::impl::complete_copy(const std::string& directory) const {
  auto* env = db->GetEnv();
  std::unique_ptr<rocksdb::LogFile> log;
  auto s = db->GetCurrentWalFile(&log);
  if (s.ok()) {
    auto name = std::to_string(log->LogNumber());
    name = directory + "/" + std::string(name.size() < 6 ? 6 - name.size() : 0, '0') + name + ".log";
    if (env->FileExists(name).IsNotFound()) s = rocksdb::WriteStringToFile(env, {}, name, true);
  }
  std::string identity;
  if (s.ok()) s = rocksdb::ReadFileToString(env, db->GetName() + "/IDENTITY", &identity);
  if (s.ok()) s = rocksdb::WriteStringToFile(env, identity, directory + "/IDENTITY", true);
  if (!s.ok()) return failure_of(s, "copying to " + directory);
  return {};
}

/// The records of a segment, as far as they are still in the log. One by one, from the first: where the last is gone all are.
/// RocksDB 7.8 must not be given a range in a family with hints.
result<void> database::impl::take_out(const segment& of) {
  std::string stored;
  const auto last = db->Get({}, at(family::log), slice(log_key(of.partition, of.last)), &stored);
  if (last.IsNotFound()) return {};
  if (!last.ok()) return failure_of(last, "reading a record");
  rocksdb::WriteOptions synced;
  synced.sync = true;
  for (auto index = of.first; index <= of.last;) {
    rocksdb::WriteBatch batch;
    rocksdb::Status s;
    for (std::uint64_t i = 0; i != taken_out_at_once && index <= of.last && s.ok(); ++i) s = batch.Delete(at(family::log), slice(log_key(of.partition, index++)));
    if (s.ok()) s = db->Write(synced, &batch);
    if (!s.ok()) return failure_of(s, "taking records out of the log");
  }
  return {};
}

result<void> database::impl::check_format() {
  std::string found;
  const auto s = db->Get({}, at(family::meta), slice(format_key), &found);
  if (s.ok()) {
    if (found == format_version) return {};
    return other_format(found);
  }
  if (!s.IsNotFound()) return failure_of(s, "reading the format version");
  const std::unique_ptr<rocksdb::Iterator> it{db->NewIterator({}, at(family::log))};
  it->SeekToFirst();
  if (it->Valid()) return failure{errc::wrong_format, "the data has records but no format version"};
  if (!it->status().ok()) return failure_of(it->status(), "reading the log");
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const auto written = db->Put(synced, at(family::meta), slice(format_key), slice(format_version));
  if (!written.ok()) return failure_of(written, "writing the format version");
  return {};
}

/// Where the end can't be read: the last record before what can't, and one more, so that whoever reads up to the end is told.
result<void> database::impl::find_readable_end(std::uint32_t partition) {
  const auto end = log_key(partition + 1, 0);
  const auto end_slice = slice(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &end_slice;
  const std::unique_ptr<rocksdb::Iterator> it{db->NewIterator(options, at(family::log))};
  auto last = archived->last(partition);
  for (it->Seek(slice(log_key(partition, last + 1))); it->Valid(); it->Next()) last = index_in_key(view(it->key()));
  ends[partition] = it->status().ok() ? last : last + 1;
  if (it->status().ok()) return {};
  return failure_of(it->status(), "partition " + std::to_string(partition) + " can be read up to record " + std::to_string(last) + " and not to its end");
}

/// A log that is only read gives away what it has: a block that can't be read ends its partition, and no other.
result<void> database::impl::find_ends(bool read_only) {
  const std::unique_ptr<rocksdb::Iterator> it{db->NewIterator({}, at(family::log))};
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    const auto first = log_key(p, 0);
    it->SeekForPrev(slice(log_key(p, ~std::uint64_t{0})));
    if (it->Valid() && view(it->key()).substr(0, 2) == std::string_view{first}.substr(0, 2)) ends[p] = index_in_key(view(it->key()));
    if (it->status().ok()) continue;
    if (!read_only) return failure_of(it->status(), "finding the end of partition " + std::to_string(p));
    if (auto found = find_readable_end(p); !found) unreadable.emplace(p, found.error());
  }
  return {};
}

database::~database() = default;

result<std::unique_ptr<database>> database::open(const std::string& directory) { return open(directory, nullptr); }

result<std::unique_ptr<database>> database::open(const std::string& directory, rocksdb::Env* env) {
  std::unique_ptr<database> d{new database};
  d->impl_ = std::make_unique<impl>();
  if (auto opened = d->impl_->open(directory, env, false); !opened) return opened.error();
  if (env) return d;  // such a disk has no files that could be looked at from outside
  if (auto noted = note_own_files(*d, directory); !noted) return noted.error();
  return d;
}

result<std::unique_ptr<database>> database::open_read_only(const std::string& directory) {
  std::unique_ptr<database> d{new database};
  d->impl_ = std::make_unique<impl>();
  if (auto opened = d->impl_->open(directory, nullptr, true); !opened) return opened.error();
  return d;
}

result<record_ptr> database::read(log_position at) const {
  if (at.index != 0 && at.index <= impl_->archived->last(at.partition)) {
    const auto stored = impl_->archived->read(at);
    if (!stored) return stored.error();
    return decoded(*stored, at.partition, at.index);
  }
  rocksdb::PinnableSlice stored;
  const auto s = impl_->db->Get({}, impl_->at(family::log), slice(log_key(at.partition, at.index)), &stored);
  if (s.IsNotFound()) return record_ptr{};
  if (!s.ok()) return failure_of(s, "reading a record");
  return decoded(view(stored), at.partition, at.index);
}

result<void> database::scan_stored(std::uint32_t partition, std::uint64_t from,
                                   const std::function<bool(std::uint64_t, std::string_view)>& visit) const {
  if (from > durable_end(partition)) return {};  // most partitions are empty or read to their end: spare the iterator
  if (const auto archived = impl_->archived->last(partition); from <= archived && archived != 0) {
    const auto scanned = impl_->archived->scan(partition, from, visit);
    if (!scanned) return scanned.error();
    if (!*scanned) return {};
    from = archived + 1;
  }
  const auto end = log_key(partition + 1, 0);
  const auto end_slice = slice(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &end_slice;
  const std::unique_ptr<rocksdb::Iterator> it{impl_->db->NewIterator(options, impl_->at(family::log))};
  for (it->Seek(slice(log_key(partition, from))); it->Valid(); it->Next())
    if (!visit(index_in_key(view(it->key())), view(it->value()))) return {};
  if (const auto broken = impl_->unreadable.find(partition); broken != impl_->unreadable.end()) return broken->second;
  if (!it->status().ok()) return failure_of(it->status(), "reading partition " + std::to_string(partition));
  return {};
}

result<void> database::scan(std::uint32_t partition, std::uint64_t from,
                            const std::function<bool(record_ptr, std::string_view)>& visit) const {
  std::optional<failure> broken;
  auto scanned = scan_stored(partition, from, [&](std::uint64_t index, std::string_view stored) {
    auto record = decoded(stored, partition, index);
    if (!record) broken = record.error();
    return record && visit(std::move(*record), stored);
  });
  if (broken) return *broken;
  return scanned;
}

result<std::string> database::last_stored(std::uint32_t partition) const {
  const auto end = durable_end(partition);
  if (end == 0) return std::string{};
  if (const auto broken = impl_->unreadable.find(partition); broken != impl_->unreadable.end()) return broken->second;
  std::string stored;
  const auto s = impl_->db->Get({}, impl_->at(family::log), slice(log_key(partition, end)), &stored);
  if (!s.ok()) return failure_of(s, "reading the last record of partition " + std::to_string(partition));
  return stored;
}

const std::vector<segment>& database::archived() const { return impl_->archived->all(); }
std::string database::path_of(const segment& s) const { return impl_->archived->path_of(s); }

std::string database::segment_directory() const { return impl_->archived->home(); }

segments::writer database::write_segment(std::uint32_t partition, std::string directory) const {
  return segments::writer{*impl_->archived, partition, std::move(directory)};
}

result<void> database::put_segment(segment s) {
  impl_->archived->add(s);
  if (auto listed = put_meta(segments_key, impl_->archived->row()); !listed) return listed;
  return impl_->take_out(s);
}

result<void> database::compact_log() {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  const auto s = impl_->db->CompactRange(options, impl_->at(family::log), nullptr, nullptr);
  if (!s.ok()) return failure_of(s, "compacting the log");
  return {};
}

std::uint64_t database::durable_end(std::uint32_t partition) const {
  return impl_->ends.at(partition).load(std::memory_order_acquire);
}

result<void> database::append_synced(const std::vector<std::pair<log_position, std::string>>& records,
                                     const std::vector<person_change>& persons) {
  if (impl_->append_failed) return failure{errc::io_failure, "an earlier append failed"};
  std::size_t bytes = 0;
  for (const auto& [at, stored] : records) bytes += stored.size() + 32;
  rocksdb::WriteBatch batch(bytes, 0, protection_bytes, 0);
  rocksdb::Status s;
  for (const auto& [at, stored] : records) {
    if (at.partition >= partition_count) bug("an append to partition " + std::to_string(at.partition));
    if (s.ok()) s = batch.Put(impl_->at(family::log), slice(log_key(at.partition, at.index)), slice(stored));
  }
  for (const auto& [user_id, key] : persons) {
    if (!s.ok()) break;
    s = key ? batch.Put(impl_->at(family::persons), slice(user_id), slice(bytes_of(*key))) : batch.Delete(impl_->at(family::persons), slice(user_id));
    if (s.ok() && !key) s = batch.Put(impl_->at(family::meta), slice(std::string{purge_prefix} + user_id), {});
  }
  rocksdb::WriteOptions options;
  options.sync = true;
  options.protection_bytes_per_key = protection_bytes;
  if (s.ok()) s = impl_->db->Write(options, &batch);
  if (!s.ok()) {
    // RocksDB may heal itself from a full disk and take the next batch, with a hole before it.
    impl_->append_failed = true;
    return failure{errc::io_failure, "appending to the log: " + s.ToString()};
  }
  for (const auto& [at, stored] : records) impl_->ends[at.partition].store(at.index, std::memory_order_release);
  return {};
}

result<std::optional<std::string>> database::get(family f, std::string_view key) const {
  std::string value;
  const auto s = impl_->db->Get({}, impl_->at(f), slice(key), &value);
  if (s.IsNotFound()) return std::optional<std::string>{};
  if (!s.ok()) return failure_of(s, "reading a row");
  return std::optional<std::string>{std::move(value)};
}

result<std::optional<std::string>> database::get_from_files(family f, std::string_view key) const {
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kPersistedTier;
  std::string value;
  const auto s = impl_->db->Get(options, impl_->at(f), slice(key), &value);
  if (s.IsNotFound()) return std::optional<std::string>{};
  if (!s.ok()) return failure_of(s, "reading a row");
  return std::optional<std::string>{std::move(value)};
}

bool database::holds_in_memory(family f) const {
  std::uint64_t active = 0, full = 0;
  impl_->db->GetIntProperty(impl_->at(f), rocksdb::DB::Properties::kNumEntriesActiveMemTable, &active);
  impl_->db->GetIntProperty(impl_->at(f), rocksdb::DB::Properties::kNumEntriesImmMemTables, &full);
  return active + full != 0;
}

result<std::optional<person_key>> database::find_person_key(std::string_view user_id) const {
  auto found = get(family::persons, user_id);
  if (!found) return found.error();
  if (!*found) return std::optional<person_key>{};
  auto key = person_key_from(**found);
  if (!key) return failure{errc::corrupted, "the key of " + std::string{user_id} + " can't be read"};
  return key;
}

result<std::vector<std::string>> database::users_to_purge() const {
  std::vector<std::string> out;
  auto found = each(family::meta, purge_prefix, {}, [&](std::string_view key, std::string_view) {
    out.emplace_back(key.substr(purge_prefix.size()));
    return true;
  });
  if (!found) return found.error();
  return out;
}

result<bool> database::purge(const std::vector<std::string>& user_ids) { return impl_->purging->run(user_ids); }

result<void> database::purged(const std::vector<std::string>& user_ids) {
  rocksdb::WriteBatch batch;
  rocksdb::Status s;
  for (const auto& id : user_ids)
    if (s.ok()) s = batch.Delete(impl_->at(family::meta), slice(std::string{purge_prefix} + id));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  if (s.ok()) s = impl_->db->Write(synced, &batch);
  if (!s.ok()) return failure_of(s, "writing to meta");
  return {};
}

result<std::optional<std::pair<std::string, std::string>>> database::last_of(family f, std::string_view prefix, std::string_view upto) const {
  using found = std::optional<std::pair<std::string, std::string>>;
  const std::unique_ptr<rocksdb::Iterator> it{impl_->db->NewIterator({}, impl_->at(f))};
  it->SeekForPrev(slice(upto));
  if (it->Valid() && view(it->key()).starts_with(prefix)) return found{{std::string{view(it->key())}, std::string{view(it->value())}}};
  if (!it->status().ok()) return failure_of(it->status(), "reading a row");
  return found{};
}

result<void> database::each(family f, std::string_view prefix, std::string_view from,
                            const std::function<bool(std::string_view, std::string_view)>& visit) const {
  const auto end = after_prefix(prefix);
  const auto end_slice = slice(end);
  rocksdb::ReadOptions options;
  if (!end.empty()) options.iterate_upper_bound = &end_slice;
  const std::unique_ptr<rocksdb::Iterator> it{impl_->db->NewIterator(options, impl_->at(f))};
  for (it->Seek(slice(std::max(prefix, from))); it->Valid(); it->Next())
    if (!visit(view(it->key()), view(it->value()))) return {};
  if (!it->status().ok()) return failure_of(it->status(), "reading rows");
  return {};
}

namespace {

class batch_writer final : public database::row_writer {
 public:
  explicit batch_writer(rocksdb::ColumnFamilyHandle* into) : into_{into} {}
  void put(std::string_view key, std::string_view value) override { take(batch.Put(into_, slice(key), slice(value))); }
  void erase(std::string_view key) override { take(batch.Delete(into_, slice(key))); }

  rocksdb::WriteBatch batch;
  rocksdb::Status failed;  // the first one

 private:
  void take(const rocksdb::Status& s) {
    if (failed.ok() && !s.ok()) failed = s;
  }
  rocksdb::ColumnFamilyHandle* into_;
};

}  // namespace

result<void> database::put_derived(family f, const std::function<void(row_writer&)>& fill) {
  if (!is_derived(f)) bug("a family that is not derived");
  batch_writer rows{impl_->at(f)};
  fill(rows);
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  auto s = rows.failed;
  if (s.ok()) s = impl_->db->Write(options, &rows.batch);
  if (!s.ok()) return failure_of(s, "writing rows");
  return {};
}

result<void> database::put_derived(family f, const std::vector<row>& rows) {
  return put_derived(f, [&rows](row_writer& into) {
    for (const auto& r : rows) r.value ? into.put(r.key, *r.value) : into.erase(r.key);
  });
}

result<void> database::erase_prefix(family f, std::string_view prefix) {
  if (!is_derived(f)) bug("a family that is not derived");
  if (f == family::views && is_within_a_kind_of_row(prefix)) bug("a read model's rows go together");
  const auto end = after_prefix(prefix);
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  if (!end.empty()) {
    const auto s = impl_->db->DeleteRange(options, impl_->at(f), slice(prefix), slice(end));
    if (!s.ok()) return failure_of(s, "erasing rows");
    return {};
  }
  std::vector<row> rows;  // nothing sorts after such a prefix, so that there is no range to name
  auto found = each(f, prefix, {}, [&](std::string_view key, std::string_view) {
    rows.push_back({std::string{key}, std::nullopt});
    return true;
  });
  if (!found) return found;
  return put_derived(f, rows);
}

result<void> database::put_meta(std::string_view key, std::string_view value) {
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const auto s = impl_->db->Put(synced, impl_->at(family::meta), slice(key), slice(value));
  if (!s.ok()) return failure_of(s, "writing to meta");
  return {};
}

result<void> database::erase_meta(std::string_view key) {
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const auto s = impl_->db->Delete(synced, impl_->at(family::meta), slice(key));
  if (!s.ok()) return failure_of(s, "writing to meta");
  return {};
}

result<void> database::put_evidence(const std::vector<row>& rows) {
  rocksdb::WriteBatch batch;
  rocksdb::Status s;
  for (const auto& r : rows) {
    if (!s.ok()) break;
    s = r.value ? batch.Put(impl_->at(family::evidence), slice(r.key), slice(*r.value)) : batch.Delete(impl_->at(family::evidence), slice(r.key));
  }
  rocksdb::WriteOptions synced;
  synced.sync = true;
  if (s.ok()) s = impl_->db->Write(synced, &batch);
  if (!s.ok()) return failure_of(s, "writing evidence");
  return {};
}

result<void> database::flush() {
  const std::vector<rocksdb::ColumnFamilyHandle*> all{impl_->handles.begin(), impl_->handles.end()};
  const auto s = impl_->db->Flush({}, all);
  if (!s.ok()) return failure_of(s, "flushing");
  return {};
}

result<void> database::flush_derived() {
  std::vector<rocksdb::ColumnFamilyHandle*> derived;
  for (std::size_t f = 0; f != family_names.size(); ++f)
    if (is_derived(static_cast<family>(f))) derived.push_back(impl_->handles[f]);
  const auto s = impl_->db->Flush({}, derived);
  if (!s.ok()) return failure_of(s, "flushing");
  return {};
}

result<void> database::copy_to(const std::string& directory) {
  if (auto flushed = flush(); !flushed) return flushed;
  rocksdb::Checkpoint* raw = nullptr;
  auto s = rocksdb::Checkpoint::Create(impl_->db.get(), &raw);
  const std::unique_ptr<rocksdb::Checkpoint> copier{raw};
  if (s.ok()) s = copier->CreateCheckpoint(directory);
  if (!s.ok()) return failure_of(s, "copying to " + directory);
  if (auto completed = impl_->complete_copy(directory); !completed) return completed;
  return impl_->copy_segments(directory);
}

}  // namespace usher::store
