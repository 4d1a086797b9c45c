#pragma once
// Gets the keys of persons who were erased out of all files (docs/decisions/0010).

#include <rocksdb/db.h>

#include <array>
#include <mutex>
#include <string>
#include <vector>

#include "store/database_options.hpp"

namespace usher::store {

/// As `database::purge` promises. Remembers from one call to the next which files of before are still there.
class key_purge {
 public:
  using families = std::array<rocksdb::ColumnFamilyHandle*, family_names.size()>;

  /// Both outlive it.
  key_purge(rocksdb::DB& db, const families& all) : db_{db}, families_{all} {}

  result<bool> run(const std::vector<std::string>& user_ids);

 private:
  result<void> begin(const std::vector<std::string>& user_ids);
  result<void> rewrite_persons(const std::vector<std::string>& user_ids);
  std::vector<std::string> data_files() const;
  std::vector<std::string> files_with_persons() const;
  rocksdb::ColumnFamilyHandle* of(family f) const { return families_[static_cast<std::size_t>(f)]; }

  rocksdb::DB& db_;
  const families& families_;
  std::mutex mutex_;                // one run at a time
  std::vector<std::string> users_;  // whose keys were rewritten, while old files are left
  std::vector<std::string> left_;   // these; RocksDB never gives a name twice
};

}  // namespace usher::store
