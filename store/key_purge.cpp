#include "store/key_purge.hpp"

#include <rocksdb/env.h>

#include <algorithm>

#include "store/rocks.hpp"

namespace usher::store {
namespace {

constexpr std::size_t purged_one_by_one_max = 16;  // of more the whole family is rewritten

}  // namespace

result<bool> key_purge::run(const std::vector<std::string>& user_ids) {
  const std::lock_guard one_at_a_time{mutex_};
  if (users_ != user_ids || user_ids.empty())
    if (auto begun = begin(user_ids); !begun) return begun.error();
  // What was dropped vanishes by and by; this looks for all of it, and returns when it is done.
  auto s = db_.DisableFileDeletions();
  if (s.ok()) s = db_.EnableFileDeletions(false);
  if (!s.ok()) return failure_of(s, "dropping old files");
  auto there = data_files();
  // A table that is in use after the rewriting has none of these keys.
  std::vector<rocksdb::LiveFileMetaData> live;
  db_.GetLiveFilesMetaData(&live);
  for (const auto& f : live) std::erase(there, f.name.substr(f.name.find_last_of('/') + 1));
  std::erase_if(left_, [&](const auto& name) { return std::find(there.begin(), there.end(), name) == there.end(); });
  if (!left_.empty()) return false;
  users_.clear();
  return true;
}

/// The names of all tables, and of the write-ahead logs that hold anything.
std::vector<std::string> key_purge::data_files() const {
  std::vector<std::string> out;
  static_cast<void>(db_.GetEnv()->GetChildren(db_.GetName(), &out));
  std::erase_if(out, [this](const std::string& name) {
    std::uint64_t bytes = 0;
    if (name.ends_with(".sst")) return false;
    return !name.ends_with(".log") || (db_.GetEnv()->GetFileSize(db_.GetName() + "/" + name, &bytes).ok() && bytes == 0);
  });
  return out;
}

/// The names of the files that may hold keys: write-ahead logs, tables of `persons`, and those that only readers still need,
/// whosever they were.
std::vector<std::string> key_purge::files_with_persons() const {
  auto out = data_files();
  std::vector<rocksdb::LiveFileMetaData> live;
  db_.GetLiveFilesMetaData(&live);
  for (const auto& f : live)
    if (f.column_family_name != family_names[static_cast<std::size_t>(family::persons)]) std::erase(out, f.name.substr(f.name.find_last_of('/') + 1));
  return out;
}

/// Brings deletions down to what they delete, where both go.
result<void> key_purge::rewrite_persons(const std::vector<std::string>& user_ids) {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  options.exclusive_manual_compaction = false;  // other families go on being compacted
  if (user_ids.size() > purged_one_by_one_max) {
    const auto s = db_.CompactRange(options, of(family::persons), nullptr, nullptr);
    if (!s.ok()) return failure_of(s, "rewriting the keys of persons");
    return {};
  }
  for (const auto& id : user_ids) {
    const auto key = slice(id);
    const auto s = db_.CompactRange(options, of(family::persons), &key, &key);
    if (!s.ok()) return failure_of(s, "rewriting the keys of persons");
  }
  return {};
}

result<void> key_purge::begin(const std::vector<std::string>& user_ids) {
  users_.clear();
  auto before = files_with_persons();
  const std::vector<rocksdb::ColumnFamilyHandle*> all{families_.begin(), families_.end()};
  if (const auto flushed = db_.Flush({}, all); !flushed.ok()) return failure_of(flushed, "flushing");
  for (auto& file : files_with_persons())
    if (file.ends_with(".sst")) before.push_back(std::move(file));  // a write-ahead log of now never had these keys
  if (auto rewritten = rewrite_persons(user_ids); !rewritten) return rewritten;
  left_ = std::move(before);
  users_ = user_ids;
  return {};
}

}  // namespace usher::store
