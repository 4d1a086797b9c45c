#pragma once
// Merkle trees as in RFC 6962: one hash that stands for a whole list, and short proofs that something is in it at its place.

#include <cstdint>
#include <functional>
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

/// The root over the leaves from `begin` up to, and not with, `end`: `begin` < `end`, and only ranges that are subtrees of a
/// tree are asked for, so that whoever keeps the roots of aligned blocks can answer from these.
using range_root = std::function<digest(std::uint64_t begin, std::uint64_t end)>;
/// The same for a tree that nobody has in one piece. Cost: O(log size) questions.
std::vector<digest> inclusion_proof(const range_root& of, std::uint64_t index, std::uint64_t size);

/// What shows that a tree of `before` leaves is what the tree of `size` leaves began as: RFC 6962, section 2.1.2. Nothing where one
/// of them is empty, or both are of one size. `before` is at most `size`. Cost: O(log size) questions.
std::vector<digest> consistency_proof(const range_root& of, std::uint64_t before, std::uint64_t size);
/// The same of leaves that are at hand. Cost: n hashes.
std::vector<digest> consistency_proof(std::span<const digest> leaves, std::uint64_t before);

/// Whether the proof shows that the tree of `size` leaves with `root` began as that of `before` leaves with `root_before`. Any tree
/// begins as the empty one.
bool is_consistent(std::uint64_t before, const digest& root_before, std::uint64_t size, const digest& root, std::span<const digest> proof);

}  // namespace usher::merkle
