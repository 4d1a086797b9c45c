#include "events/merkle.hpp"

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

std::vector<digest> inclusion_proof(std::span<const digest> leaves, std::uint64_t index) {
  if (leaves.size() < 2) return {};
  const auto half = std::bit_floor(leaves.size() - 1);
  const auto left = leaves.first(half);
  const auto right = leaves.subspan(half);
  auto proof = index < half ? inclusion_proof(left, index) : inclusion_proof(right, index - half);
  proof.push_back(root_of(index < half ? right : left));
  return proof;
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

}  // namespace usher::merkle
