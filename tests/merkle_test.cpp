// One hash stands for a whole list, and short proofs that something is in it.

#include <catch2/catch.hpp>

#include <random>

#include "events/merkle.hpp"

namespace usher::merkle {
namespace {

/// The example entries of RFC 6962's own reference code.
const std::vector<std::string> entries{
    "", std::string(1, '\0'), "\x10", "\x20\x21", "\x30\x31", "\x40\x41\x42\x43", "\x50\x51\x52\x53\x54\x55\x56\x57",
    "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"};
/// The roots of the first none, one, two … of them.
const std::vector<std::string> roots{
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

std::vector<digest> leaves_up_to(std::size_t count) {
  std::vector<digest> out;
  for (std::size_t i = 0; i != count; ++i) out.push_back(leaf("entry " + std::to_string(i)));
  return out;
}

/// RFC 6962, section 2.1, word for word.
digest tree_hash(std::span<const digest> leaves) {
  if (leaves.empty()) return sha256({});
  if (leaves.size() == 1) return leaves.front();
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  return node(tree_hash(leaves.first(k)), tree_hash(leaves.subspan(k)));
}

frontier tree_of(std::span<const digest> leaves) {
  frontier tree;
  for (const auto& l : leaves) tree.add(l);
  return tree;
}

}  // namespace

TEST_CASE("the roots are those of RFC 6962") {
  frontier tree;
  CHECK(to_hex(bytes_of(tree.root())) == roots[0]);
  for (std::size_t i = 0; i != entries.size(); ++i) {
    tree.add(leaf(entries[i]));
    CHECK(tree.size() == i + 1);
    CHECK(to_hex(bytes_of(tree.root())) == roots[i + 1]);
  }
}

TEST_CASE("a tree that grows has the root of the whole, at every size") {
  const auto leaves = leaves_up_to(300);
  frontier tree;
  for (std::size_t n = 0; n != leaves.size(); ++n) {
    INFO(n << " leaves");
    REQUIRE(tree.root() == tree_hash(std::span{leaves}.first(n)));
    tree.add(leaves[n]);
  }
}

TEST_CASE("a tree that was put away goes on as if it had not been") {
  const auto leaves = leaves_up_to(100);
  for (std::size_t n = 0; n != leaves.size(); ++n) {
    const auto before = tree_of(std::span{leaves}.first(n));
    auto after = frontier::from(before.size(), before.subtrees());
    for (const auto& l : std::span{leaves}.subspan(n)) after.add(l);
    REQUIRE(after.root() == tree_hash(leaves));
  }
}

TEST_CASE("a tree of a million keeps twenty digests at most") {
  frontier tree;
  std::size_t most = 0;
  for (int i = 0; i != 1'000'000; ++i) {
    tree.add({});
    most = std::max(most, tree.subtrees().size());
  }
  CHECK(most < 20);
}

TEST_CASE("each entry can be proved to be at its place, and nowhere else") {
  for (std::size_t size = 1; size != 70; ++size) {
    const auto leaves = leaves_up_to(size);
    const auto root = tree_hash(leaves);
    for (std::size_t i = 0; i != size; ++i) {
      INFO(i << " of " << size);
      const auto proof = inclusion_proof(leaves, i);
      REQUIRE(is_included(leaves[i], i, size, proof, root));
      for (std::size_t elsewhere = 0; elsewhere != size + 2; ++elsewhere)
        if (elsewhere != i) REQUIRE_FALSE(is_included(leaves[i], elsewhere, size, proof, root));
    }
  }
}

TEST_CASE("a proof with one bit changed, one step missing or one too many proves nothing") {
  std::mt19937 random{7};
  for (std::size_t size = 2; size != 40; ++size) {
    const auto leaves = leaves_up_to(size);
    const auto root = tree_hash(leaves);
    const auto i = random() % size;
    const auto proof = inclusion_proof(leaves, i);
    for (std::size_t step = 0; step != proof.size(); ++step) {
      auto changed = proof;
      changed[step][random() % 32] ^= static_cast<unsigned char>(1U << random() % 8);
      CHECK_FALSE(is_included(leaves[i], i, size, changed, root));
      auto shorter = proof;
      shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(step));
      CHECK_FALSE(is_included(leaves[i], i, size, shorter, root));
    }
    auto longer = proof;
    longer.push_back({});
    CHECK_FALSE(is_included(leaves[i], i, size, longer, root));
    CHECK_FALSE(is_included(leaf("another"), i, size, proof, root));
    CHECK_FALSE(is_included(leaves[i], i, size, proof, leaf("another")));
  }
  CHECK_FALSE(is_included(leaf(""), 0, 0, {}, sha256({})));
}

TEST_CASE("a tree can be proved to have begun as any smaller one, and as no other") {
  const auto leaves = leaves_up_to(64);
  for (std::size_t size = 0; size <= leaves.size(); ++size) {
    const auto now = std::span{leaves}.first(size);
    const auto root = tree_hash(now);
    for (std::size_t before = 0; before <= size; ++before) {
      INFO(before << " of " << size);
      const auto root_before = tree_hash(now.first(before));
      const auto proof = consistency_proof(now, before);
      REQUIRE(is_consistent(before, root_before, size, root, proof));
      REQUIRE_FALSE(is_consistent(before, leaf("another"), size, root, proof));
      if (before != 0) REQUIRE_FALSE(is_consistent(before, root_before, size, leaf("another"), proof));
      if (before != 0 && before != size) REQUIRE_FALSE(is_consistent(before + 1, root_before, size, root, proof));
      REQUIRE_FALSE(is_consistent(size + 1, root_before, size, root, proof));
      for (std::size_t step = 0; step != proof.size(); ++step) {
        auto changed = proof;
        changed[step][step % 32] ^= 1;
        REQUIRE_FALSE(is_consistent(before, root_before, size, root, changed));
        auto shorter = proof;
        shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(step));
        REQUIRE_FALSE(is_consistent(before, root_before, size, root, shorter));
      }
      auto longer = proof;
      longer.push_back({});
      REQUIRE_FALSE(is_consistent(before, root_before, size, root, longer));
    }
  }
}

TEST_CASE("the proofs of consistency are those of RFC 6962's reference code") {
  std::vector<digest> leaves;
  for (const auto& e : entries) leaves.push_back(leaf(e));
  const auto proof_of = [&](std::size_t before, std::size_t size) {
    std::vector<std::string> out;
    for (const auto& step : consistency_proof(std::span{leaves}.first(size), before)) out.push_back(to_hex(bytes_of(step)));
    return out;
  };
  CHECK(proof_of(1, 1).empty());
  CHECK(proof_of(1, 8) == std::vector<std::string>{"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                                                   "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                                                   "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"});
  CHECK(proof_of(6, 8) == std::vector<std::string>{"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                                                   "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                                                   "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"});
  CHECK(proof_of(2, 5) == std::vector<std::string>{"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                                                   "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"});
}

TEST_CASE("half a tree can't pass for an entry") {
  const auto leaves = leaves_up_to(2);
  const auto both = std::string{bytes_of(leaves[0])} + std::string{bytes_of(leaves[1])};
  CHECK(leaf(both) != node(leaves[0], leaves[1]));
  CHECK(leaf("\1" + both) != node(leaves[0], leaves[1]));
}

TEST_CASE("bytes as text and back") {
  const std::string bytes{"\x00\x7f\x80\xff", 4};
  CHECK(to_hex(bytes) == "007f80ff");
  CHECK(from_hex("007f80ff") == bytes);
  CHECK_FALSE(from_hex("007f80f"));
  CHECK_FALSE(from_hex("007F80FF"));
  CHECK_FALSE(from_hex("00 f"));
  CHECK_FALSE(digest_from_bytes(bytes));
  CHECK(digest_from_bytes(std::string(32, 'a'))->front() == 'a');
}

}  // namespace usher::merkle
