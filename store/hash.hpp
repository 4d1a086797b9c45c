#pragma once
// SHA-256 for the chain of the log, and the 128 bits that the index knows entities and keys by.

#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "events/vocabulary.hpp"

namespace usher::store {

/// The 32 bytes of SHA-256.
std::string sha256(std::string_view bytes);

/// 128 bits of BLAKE2b (RFC 7693): nobody can choose a name or an idempotency key that meets another's.
struct short_hash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const short_hash&) const = default;
};

struct short_hash_hasher {
  using is_avalanching = void;  ///< its bits need no more mixing
  std::size_t operator()(const short_hash& h) const noexcept { return h.low; }
};

/// Part of the rows on disk: what it is over must not change within a format version.
short_hash hash_of(const v1::EntityRef&);
short_hash hash_of_key(std::string_view user_id, std::string_view idempotency_key);

/// What the index knows a record's streams and key by. Whoever makes a record has hashed most of it before.
struct record_hashes {
  std::vector<short_hash> streams;  ///< of each event, in order
  short_hash key;                   ///< of the user with the idempotency key, where the record has one
};
record_hashes hashes_of(const v1::Record&);

}  // namespace usher::store
