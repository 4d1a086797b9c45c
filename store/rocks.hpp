#pragma once
// RocksDB's words and ours: bytes and failures.

#include <rocksdb/slice.h>
#include <rocksdb/status.h>

#include <string>
#include <string_view>

#include "events/vocabulary.hpp"

namespace usher::store {

inline rocksdb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view view(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

/// Of a status that is not ok.
inline failure failure_of(const rocksdb::Status& s, std::string_view doing) {
  return {s.IsCorruption() ? errc::corrupted : errc::io_failure, std::string{doing} + ": " + s.ToString()};
}

}  // namespace usher::store
