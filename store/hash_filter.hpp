#pragma once
// Which hashes there may be, in two to eight bytes each.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "store/hash.hpp"

namespace usher::store {

/// A Bloom filter that grows: it says of every hash that was added that it may be there, and of a few in a thousand that never were.
///
/// Not thread-safe. Cost: a cache line of each layer, of which there is one more for every fourfold of 16,384 hashes.
class hash_filter {
 public:
  void add(const short_hash&);
  [[nodiscard]] bool may_hold(const short_hash&) const;

 private:
  struct alignas(64) block {
    std::array<std::uint64_t, 8> words{};
    void add(const short_hash&);
    bool may_hold(const short_hash&) const;
  };
  struct layer {
    std::vector<block> blocks;  // a hash has its bits in one of them; their number is a power of two
    std::size_t room = 0;       // for so many more
    std::size_t place_of(const short_hash& h) const { return h.low & (blocks.size() - 1); }
  };
  std::vector<layer> layers_;  // each four times as large as the one before; the last grows
};

}  // namespace usher::store
