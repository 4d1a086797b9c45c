// The list is a row of meta, a line for each segment, numbers in decimal:
//   <partition> <first> <last> <bytes> <sha256> <file> <directory, to the end of the line>
// A segment is a sorted table file of RocksDB with the keys and values of the log, so that each block carries its checksum.

#include "store/segments.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <utility>

#include "store/big_endian.hpp"
#include "store/bug.hpp"
#include "store/filesystem.hpp"
#include "store/rocks.hpp"

namespace usher::store {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t open_max = 64;  // files

rocksdb::Options options_of(rocksdb::Env* env, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.format_version = 5;
  table.block_size = 16 << 10;
  rocksdb::Options o;
  if (env) o.env = env;
  o.compression = rocksdb::kLZ4Compression;
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return o;
}

failure damaged(const std::string& path, const std::string& how) { return {errc::corrupted, "the archived segment " + path + ": " + how}; }

/// `p017-000000000001-000000004711.sst`
std::string name_of(const segment& s) {
  std::string name(64, '\0');
  name.resize(static_cast<std::size_t>(std::snprintf(name.data(), name.size(), "p%03u-%012llu-%012llu.sst", s.partition,
                                                     static_cast<unsigned long long>(s.first), static_cast<unsigned long long>(s.last))));
  return name;
}

}  // namespace

std::string log_key(std::uint32_t partition, std::uint64_t index) {
  std::string key{static_cast<char>(partition >> 8), static_cast<char>(partition)};
  return key.append(view(big_endian(index)));
}

std::uint64_t index_in_key(std::string_view key) { return number_at(key, 2); }

segments::segments(std::string directory, rocksdb::Env* env, std::shared_ptr<rocksdb::Cache> cache)
    : home_{(fs::path{std::move(directory)} / "segments").string()}, env_{env}, cache_{std::move(cache)} {}

segments::~segments() = default;

result<void> segments::take_list(std::string_view row) {
  std::istringstream lines{std::string{row}};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in{line};
    segment s;
    in >> s.partition >> s.first >> s.last >> s.bytes >> s.sha256 >> s.file;
    const bool good = !in.fail() && s.partition < partition_count && s.first == last(s.partition) + 1 && s.last >= s.first;
    if (!good) return failure{errc::corrupted, "the list of archived segments can't be read: " + line};
    in.get();
    std::getline(in, s.directory);
    add(std::move(s));
  }
  return {};
}

std::string segments::row() const {
  std::ostringstream out;
  for (const auto& s : all_)
    out << s.partition << ' ' << s.first << ' ' << s.last << ' ' << s.bytes << ' ' << s.sha256 << ' ' << s.file << ' ' << s.directory << '\n';
  return out.str();
}

void segments::add(segment s) {
  if (s.first != last(s.partition) + 1) bug("a segment that doesn't follow the one before it");
  const auto after = std::upper_bound(all_.begin(), all_.end(), s.partition, [](std::uint32_t p, const segment& other) { return p < other.partition; });
  all_.insert(after, std::move(s));
}

std::uint64_t segments::last(std::uint32_t partition) const {
  if (all_.empty()) return 0;
  const auto after = std::upper_bound(all_.begin(), all_.end(), partition, [](std::uint32_t p, const segment& s) { return p < s.partition; });
  return after == all_.begin() || std::prev(after)->partition != partition ? 0 : std::prev(after)->last;
}

std::string segments::path_of(const segment& s) const {
  const auto own = fs::path{home_} / s.file;
  std::error_code ignored;
  return s.directory.empty() || fs::exists(own, ignored) ? own.string() : (fs::path{s.directory} / s.file).string();
}

const segment* segments::holder_of(log_position at) const {
  const auto found = std::lower_bound(all_.begin(), all_.end(), at, [](const segment& s, const log_position& place) {
    return log_position{s.partition, s.last} < place;
  });
  return found != all_.end() && found->partition == at.partition && found->first <= at.index ? &*found : nullptr;
}

result<std::shared_ptr<rocksdb::SstFileReader>> segments::reader_of(const segment& s) const {
  const std::lock_guard lock{mutex_};
  if (const auto found = open_.find(s.file); found != open_.end()) return found->second;
  const auto path = path_of(s);
  auto made = std::make_shared<rocksdb::SstFileReader>(options_of(env_, cache_));
  if (const auto opened = made->Open(path); !opened.ok()) return damaged(path, opened.ToString());
  if (open_.size() >= open_max) open_.erase(open_.begin());
  return open_.emplace(s.file, std::move(made)).first->second;
}

result<std::string> segments::read(log_position at) const {
  std::optional<std::string> found;
  auto read = scan(at.partition, at.index, [&](std::uint64_t index, std::string_view stored) {
    if (index == at.index) found = stored;
    return false;
  });
  if (!read) return read.error();
  if (found) return std::move(*found);
  const auto* s = holder_of(at);
  return damaged(s ? path_of(*s) : home_, "record " + std::to_string(at.index) + " of partition " + std::to_string(at.partition) + " is missing");
}

result<bool> segments::scan(std::uint32_t partition, std::uint64_t from,
                            const std::function<bool(std::uint64_t, std::string_view)>& visit) const {
  for (const auto* s = holder_of({partition, std::max<std::uint64_t>(from, 1)}); s; s = holder_of({partition, s->last + 1})) {
    auto reader = reader_of(*s);
    if (!reader) return reader.error();
    const std::unique_ptr<rocksdb::Iterator> it{(*reader)->NewIterator({})};
    auto next = std::max(from, s->first);
    for (it->Seek(slice(log_key(partition, next))); it->Valid(); it->Next(), ++next) {
      const auto index = index_in_key(view(it->key()));
      if (index != next) return damaged(path_of(*s), "record " + std::to_string(next) + " of partition " + std::to_string(partition) + " is missing");
      if (!visit(index, view(it->value()))) return false;
    }
    if (!it->status().ok()) return damaged(path_of(*s), it->status().ToString());
    if (next != s->last + 1) return damaged(path_of(*s), "it ends before record " + std::to_string(next));
  }
  return true;
}

struct segments::writer::file {
  file(rocksdb::Env* env, const std::shared_ptr<rocksdb::Cache>& cache) : options{options_of(env, cache)}, out{rocksdb::EnvOptions{}, options} {}
  const rocksdb::Options options;
  rocksdb::SstFileWriter out;
};

segments::writer::writer(const segments& of, std::uint32_t partition, std::string directory) : of_{of} {
  made_.partition = partition;
  made_.directory = std::move(directory);
}

segments::writer::~writer() {
  std::error_code ignored;
  if (!draft_.empty()) fs::remove(draft_, ignored);
}

result<void> segments::writer::add(std::uint64_t index, std::string_view stored) {
  if (!file_) {
    made_.first = index;
    const auto& directory = made_.directory.empty() ? of_.home_ : made_.directory;
    std::error_code failed;
    fs::create_directories(directory, failed);
    if (failed) return failure{errc::io_failure, directory + ": " + failed.message()};
    draft_ = (fs::path{directory} / ("p" + std::to_string(made_.partition) + ".new")).string();
    if (made_.directory.empty()) fs::remove(draft_, failed);  // of a run that was killed
    if (fs::exists(draft_, failed)) return failure{errc::io_failure, std::exchange(draft_, {}) + " is there already"};
    file_ = std::make_unique<file>(of_.env_, of_.cache_);
    if (const auto s = file_->out.Open(draft_); !s.ok()) return failure{errc::io_failure, draft_ + ": " + s.ToString()};
  }
  if (const auto s = file_->out.Put(slice(log_key(made_.partition, index)), slice(stored)); !s.ok())
    return failure{errc::io_failure, draft_ + ": " + s.ToString()};
  made_.last = index;
  bytes_ += stored.size();
  return {};
}

result<segment> segments::writer::finish() {
  if (const auto s = file_->out.Finish(); !s.ok()) return failure{errc::io_failure, draft_ + ": " + s.ToString()};
  if (auto synced = sync_path(draft_); !synced) return synced.error();
  made_.file = name_of(made_);
  const auto directory = fs::path{draft_}.parent_path();
  const auto path = directory / made_.file;
  std::error_code failed;
  if (fs::exists(path, failed)) return failure{errc::io_failure, path.string() + " is there already"};
  fs::rename(draft_, path, failed);
  if (failed) return failure{errc::io_failure, path.string() + ": " + failed.message()};
  draft_.clear();
  if (auto synced = sync_path(directory.string()); !synced) return synced.error();
  auto hash = sha256_of_file(path.string());
  if (!hash) return hash.error();
  made_.sha256 = std::move(*hash);
  made_.bytes = fs::file_size(path, failed);
  return made_;
}

}  // namespace usher::store
