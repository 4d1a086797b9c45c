#pragma once
// The memtable of families whose keys are hashes, which are written all the time and read at a start alone.

#include <rocksdb/memtablerep.h>

#include <memory>

namespace usher::store {

/// What comes is put at the end, and sorted when it is read, which mostly is when it goes into a file. As RocksDB's own vectors, but the
/// beginning of each key lies beside its place: sorting hardly looks at the rows, which lie all over the memory.
/// Takes one writer at a time. Cost of a read before the family is filed: all rows are sorted.
std::shared_ptr<rocksdb::MemTableRepFactory> buffers_sorted_when_read();

}  // namespace usher::store
