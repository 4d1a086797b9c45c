#include "events/merkle.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>

namespace usher::merkle {
namespace {

using namespace std::string_view_literals;

/// At least one leaf.
digest root_of(std::span<const digest> leaves) {
  frontier tree;
  for (const auto& l : leaves) tree.add(l);
  return tree.root();
}

range_root over(std::span<const digest> leaves) {
  return [leaves](std::uint64_t begin, std::uint64_t end) { return root_of(leaves.subspan(begin, end - begin)); };
}

/// RFC 6962's SUBPROOF for the tree over the leaves from `begin` to `end`, of which those up to `middle` were there before.
/// @param is_known  the reader has the root of what was before, as long as it is the whole of a tree
void add_steps(const range_root& of, std::uint64_t begin, std::uint64_t middle, std::uint64_t end, bool is_known, std::vector<digest>& proof) {
  if (middle == end) {
    if (!is_known) proof.push_back(of(begin, end));
    return;
  }
  const auto half = begin + std::bit_floor(end - begin - 1);
  if (middle <= half) {
    add_steps(of, begin, middle, half, is_known, proof);
    proof.push_back(of(half, end));
  } else {
    add_steps(of, half, middle, end, false, proof);
    proof.push_back(of(begin, half));
  }
}

}  // namespace

digest leaf(std::string_view entry) { return sha256({"\0"sv, entry}); }
digest node(const digest& left, const digest& right) { return sha256({"\1"sv, bytes_of(left), bytes_of(right)}); }

frontier frontier::from(std::uint64_t size, std::vector<digest> subtrees) {
  if (static_cast<std::size_t>(std::popcount(size)) != subtrees.size()) {
    std::fputs("bug: a Merkle tree that doesn't have its size\n", stderr);
    std::abort();
  }
  frontier tree;
  tree.size_ = size;
  tree.subtrees_ = std::move(subtrees);
  return tree;
}

void frontier::add(const digest& leaf) {
  auto grown = leaf;
  // As a counter carries: two subtrees of one size become one of the next.
  for (auto carry = size_; carry & 1U; carry >>= 1) {
    grown = node(subtrees_.back(), grown);
    subtrees_.pop_back();
  }
  subtrees_.push_back(grown);
  ++size_;
}

digest frontier::root() const {
  if (subtrees_.empty()) return sha256({});
  auto root = subtrees_.back();
  for (auto left = subtrees_.rbegin() + 1; left != subtrees_.rend(); ++left) root = node(*left, root);
  return root;
}

std::vector<digest> inclusion_proof(const range_root& of, std::uint64_t index, std::uint64_t size) {
  std::vector<digest> proof;
  for (std::uint64_t begin = 0, end = size; end - begin > 1;) {
    const auto half = begin + std::bit_floor(end - begin - 1);
    const bool is_left = index < half;
    proof.push_back(is_left ? of(half, end) : of(begin, half));
    (is_left ? end : begin) = half;
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

std::vector<digest> inclusion_proof(std::span<const digest> leaves, std::uint64_t index) {
  return inclusion_proof(over(leaves), index, leaves.size());
}

std::vector<digest> consistency_proof(const range_root& of, std::uint64_t before, std::uint64_t size) {
  std::vector<digest> proof;
  if (before != 0 && before < size) add_steps(of, 0, before, size, true, proof);
  return proof;
}

std::vector<digest> consistency_proof(std::span<const digest> leaves, std::uint64_t before) {
  return consistency_proof(over(leaves), before, leaves.size());
}

bool is_included(const digest& leaf, std::uint64_t index, std::uint64_t size, std::span<const digest> proof, const digest& root) {
  if (index >= size) return false;
  auto here = leaf;
  auto last = size - 1;  // of this level, as `index` is the place in it
  for (const auto& beside : proof) {
    if (last == 0) return false;
    if (index % 2 == 1 || index == last) {
      here = node(beside, here);
      // Without a neighbour to its right, a tree is also its level's above.
      while (index % 2 == 0 && index != 0) {
        index /= 2;
        last /= 2;
      }
    } else {
      here = node(here, beside);
    }
    index /= 2;
    last /= 2;
  }
  return last == 0 && here == root;
}

bool is_consistent(std::uint64_t before, const digest& root_before, std::uint64_t size, const digest& root, std::span<const digest> proof) {
  if (before > size) return false;
  if (before == size) return proof.empty() && root_before == root;
  if (before == 0) return proof.empty() && root_before == sha256({});
  auto place = before - 1;
  auto last = size - 1;
  // Up to the largest subtree that both trees share and that ends where the smaller one did.
  for (; place % 2 == 1; place /= 2) last /= 2;
  auto steps = proof;
  auto then = root_before;
  if (place != 0) {
    if (steps.empty()) return false;
    then = steps.front();
    steps = steps.subspan(1);
  }
  auto now = then;
  for (const auto& beside : steps) {
    if (last == 0) return false;
    if (place % 2 == 1 || place == last) {
      then = node(beside, then);
      now = node(beside, now);
      while (place % 2 == 0 && place != 0) {
        place /= 2;
        last /= 2;
      }
    } else {
      now = node(now, beside);
    }
    place /= 2;
    last /= 2;
  }
  return last == 0 && then == root_before && now == root;
}

}  // namespace usher::merkle
