#pragma once
// Merkle trees as in RFC 6962: one hash that stands for a whole list, and short proofs that something is in it at its place.

#include <cstdint>
#include <span>
#include <vector>

#include "events/sha256.hpp"

namespace usher::merkle {

using digest = sha256_digest;

/// SHA-256 of 0x00 and the entry: of an entry of the list.
digest leaf(std::string_view entry);
/// SHA-256 of 0x01 and both: of the two halves of a tree. The first byte keeps an entry from passing for a tree.
digest node(const digest& left, const digest& right);

/// A tree that grows at its end and knows its root, of which it keeps the roots of the full subtrees only: one for each 1 bit
/// of its size. It can be kept as these and continued.
class frontier {
 public:
  /// @param subtrees  what `subtrees()` of a tree of this size was; anything else is a bug, and stops the node
  static frontier from(std::uint64_t size, std::vector<digest> subtrees);

  /// Cost: one hash on average, O(log n) at most.
  void add(const digest& leaf);
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Of the empty tree: SHA-256 of nothing. Cost: O(log n) hashes.
  [[nodiscard]] digest root() const;
  /// Largest first, which is from left to right.
  [[nodiscard]] const std::vector<digest>& subtrees() const { return subtrees_; }

 private:
  std::uint64_t size_ = 0;
  std::vector<digest> subtrees_;
};

/// What has to be known besides the leaf at `index`, which must be one, to compute the root: from the leaf upwards, at most one
/// digest for each level. Cost: n hashes.
std::vector<digest> inclusion_proof(std::span<const digest> leaves, std::uint64_t index);

/// Whether the proof leads from the leaf at this place of a tree of this size to this root. The size decides the shape of the
/// tree, but isn't proved: some proofs hold for several.
bool is_included(const digest& leaf, std::uint64_t index, std::uint64_t size, std::span<const digest> proof, const digest& root);

}  // namespace usher::merkle
