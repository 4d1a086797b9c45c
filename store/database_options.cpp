#include "store/database_options.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <algorithm>

#include "store/rocks.hpp"
#include "store/row_buffer.hpp"

namespace usher::store {
namespace {

/// What the keys of one read model's rows of one kind begin with: `reservations/i`. Such rows are written in order, so that
/// RocksDB looks for each one's place near that of the row before it. The prefix of a whole read model is none, for RocksDB
/// 7.8 must not be given a place for a range that is erased.
class kind_of_row final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "usher.kind_of_row"; }
  bool InDomain(const rocksdb::Slice& key) const override { return length(key) < key.size(); }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override { return {key.data(), length(key) + 1}; }

 private:
  static std::size_t length(const rocksdb::Slice& key) { return std::min(view(key).find('/'), key.size() - 1) + 1; }
};

}  // namespace

bool is_derived(family f) {
  switch (f) {
    case family::log: case family::meta: case family::persons: case family::evidence: return false;
    case family::streams: case family::snapshots: case family::idempotency: case family::timers: case family::views: return true;
  }
  return false;
}

rocksdb::DBOptions database_options(rocksdb::Env* env) {
  rocksdb::DBOptions o;
  if (env) {
    // Such a disk is small and opened thousands of times: no threads to open its files with, nor to count what it does.
    o.env = env;
    o.max_file_opening_threads = 1;
    o.stats_dump_period_sec = 0;
    o.stats_persist_period_sec = 0;
  }
  o.create_if_missing = true;
  o.create_missing_column_families = true;
  o.paranoid_checks = true;
  // Point-in-time recovery, the default, opens without a word after a flipped bit in the middle and drops what follows.
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  o.recycle_log_file_num = 0;  // old bytes behind the tail would look like corruption
  o.allow_fallocate = true;    // a sync of a file that doesn't grow takes a fraction of the time
  o.avoid_flush_during_shutdown = false;
  o.max_background_jobs = 2;
  o.allow_concurrent_memtable_write = false;  // row_buffer.hpp can't, and there are hardly ever two writers
  o.max_total_wal_size = 1ULL << 30;
  o.keep_log_file_num = 4;
  o.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();  // the manifest knows what each table has to be
  return o;
}

rocksdb::ColumnFamilyOptions family_options(family f, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions o;
  if (f == family::log) {
    table.block_size = 16 << 10;
    o.write_buffer_size = 64 << 20;
    o.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(2));  // each partition grows at its end
  } else {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    o.write_buffer_size = f == family::views ? 16 << 20 : 8 << 20;
    if (f == family::views) o.memtable_insert_with_hint_prefix_extractor = std::make_shared<kind_of_row>();
  }
  // Written all the time and read at start alone: what comes is put at the end, and sorted when the buffer is full.
  if (f == family::streams || f == family::timers || f == family::idempotency) o.memtable_factory = buffers_sorted_when_read();
  if (f == family::persons) {
    o.compression = rocksdb::kNoCompression;  // of random bytes
    table.no_block_cache = true;              // what is erased must not live on in memory
  } else {  // levels 0 and 1 are soon written again
    o.compression_per_level = {rocksdb::kNoCompression, rocksdb::kNoCompression, rocksdb::kLZ4Compression};
  }
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return o;
}

bool is_within_a_kind_of_row(std::string_view prefix) { return kind_of_row{}.InDomain(slice(prefix)); }

}  // namespace usher::store
