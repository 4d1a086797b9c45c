#pragma once
// The options that make RocksDB a log that is either right or refuses to open.

#include <rocksdb/options.h>

#include <array>
#include <memory>
#include <string_view>

#include "store/database.hpp"

namespace usher::store {

/// In the order of `family`. A database has exactly these.
inline constexpr std::array<std::string_view, 9> family_names{"log",   "streams", "snapshots", "idempotency", "timers",
                                                              "views", "meta",    "persons",   "evidence"};
/// For each key, a checksum from the batch to the memtable.
inline constexpr std::size_t protection_bytes = 8;

/// Whether all of it can be built again from the log, so that it is written without the write-ahead log.
bool is_derived(family);

/// @param env  null: the machine's own file system
rocksdb::DBOptions database_options(rocksdb::Env* env);
/// @param cache  of blocks, shared by all families
rocksdb::ColumnFamilyOptions family_options(family, const std::shared_ptr<rocksdb::Cache>& cache);

/// Whether a prefix in `views` reaches into one read model's rows of one kind: RocksDB 7.8 must not be given such a range to erase.
bool is_within_a_kind_of_row(std::string_view prefix);

}  // namespace usher::store
