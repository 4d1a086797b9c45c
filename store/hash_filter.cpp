// The halves of a hash are independent: one names the block, the other the bits in it.

#include "store/hash_filter.hpp"

namespace usher::store {
namespace {

constexpr std::size_t hashes_per_block = 32;  // 16 bits each
constexpr std::size_t first_blocks = 512;
constexpr std::size_t growth = 4;
constexpr int bits_per_hash = 6;
constexpr int place_bits = 9;  // of 512

}  // namespace

void hash_filter::block::add(const short_hash& h) {
  for (int i = 0; i != bits_per_hash; ++i) {
    const auto bit = h.high >> (place_bits * i);
    words[bit / 64 % 8] |= std::uint64_t{1} << bit % 64;
  }
}

bool hash_filter::block::may_hold(const short_hash& h) const {
  for (int i = 0; i != bits_per_hash; ++i) {
    const auto bit = h.high >> (place_bits * i);
    if ((words[bit / 64 % 8] >> bit % 64 & 1) == 0) return false;
  }
  return true;
}

void hash_filter::add(const short_hash& h) {
  if (may_hold(h)) return;
  if (layers_.empty() || layers_.back().room == 0) {
    const auto blocks = layers_.empty() ? first_blocks : growth * layers_.back().blocks.size();
    layers_.push_back({std::vector<block>(blocks), blocks * hashes_per_block});
  }
  auto& last = layers_.back();
  last.blocks[last.place_of(h)].add(h);
  --last.room;
}

bool hash_filter::may_hold(const short_hash& h) const {
  for (const auto& one : layers_)
    if (one.blocks[one.place_of(h)].may_hold(h)) return true;
  return false;
}

}  // namespace usher::store
