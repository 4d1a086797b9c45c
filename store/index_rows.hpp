#pragma once
// The keys of the rows that engine_index writes and others read; store/index.cpp says what stands in them.

#include <algorithm>

#include "store/big_endian.hpp"
#include "store/hash.hpp"

namespace usher::store {

/// Of a stream ('s'), a deadline ('t') or an idempotency key ('k').
inline std::array<char, 17> row_key(char kind, const short_hash& h) {
  std::array<char, 17> key;
  key[0] = kind;
  const auto hash = big_endian(h.high, h.low);
  std::copy(hash.begin(), hash.end(), key.begin() + 1);
  return key;
}

/// Of a key that row_key made: 17 bytes.
inline short_hash hash_in(std::string_view row_key) { return {number_at(row_key, 1), number_at(row_key, 9)}; }

/// Of the row that says which record of a partition is the last that a family's rows know.
inline std::array<char, 3> checkpoint_key(std::uint32_t partition) {
  return {'c', static_cast<char>(partition >> 8), static_cast<char>(partition)};
}

/// The partition of such a key; partition_count where it is none.
inline std::size_t partition_in(std::string_view checkpoint_key) {
  return checkpoint_key.size() == 3 ? static_cast<unsigned char>(checkpoint_key[1]) << 8 | static_cast<unsigned char>(checkpoint_key[2]) : partition_count;
}

}  // namespace usher::store
