#pragma once
// RocksDB's view of bytes and ours.

#include <rocksdb/slice.h>

#include <string_view>

namespace usher::store {

inline rocksdb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view view(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

}  // namespace usher::store
