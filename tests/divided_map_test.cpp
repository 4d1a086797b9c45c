// The map in parts, against one that is in one piece.

#include "store/divided_map.hpp"

#include <catch2/catch.hpp>
#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace usher::store {
namespace {

struct as_it_is {
  using is_avalanching = void;
  std::size_t operator()(std::uint64_t key) const noexcept { return key; }
};
using numbers = divided_map<std::uint64_t, int, as_it_is>;

}  // namespace

TEST_CASE("a map in parts holds what a map in one piece holds, whatever is added and taken away") {
  std::mt19937_64 dice{7};
  std::vector<std::uint64_t> keys(2'000);
  for (auto& key : keys) key = dice();
  numbers parts;
  std::map<std::uint64_t, int> whole;
  for (int step = 0; step != 50'000; ++step) {
    const auto key = keys[dice() % keys.size()];
    switch (dice() % 4) {
      case 0: {
        const auto [value, fresh] = parts.try_emplace(key, step);
        const auto [place, is_new] = whole.try_emplace(key, step);
        REQUIRE(fresh == is_new);
        REQUIRE(*value == place->second);
        break;
      }
      case 1: parts[key] = whole[key] = step; break;
      case 2: parts.erase(key), whole.erase(key); break;
      case 3: {
        const auto place = whole.find(key);
        const auto* value = parts.find(key);
        REQUIRE((value != nullptr) == (place != whole.end()));
        if (value != nullptr) REQUIRE(*value == place->second);
        break;
      }
    }
    REQUIRE(parts.empty() == whole.empty());
  }
  CHECK(parts.size() == whole.size());
  parts.erase_if([](int value) { return value % 2 == 0; });
  std::erase_if(whole, [](const auto& entry) { return entry.second % 2 == 0; });
  CHECK(parts.size() == whole.size());
  for (const auto& [key, value] : whole) {
    REQUIRE(parts.find(key) != nullptr);
    CHECK(*parts.find(key) == value);
  }
}

TEST_CASE("a map in parts never moves more than a small part of what it has") {
  const auto in_use = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  std::mt19937_64 dice{11};
  numbers parts;
  for (int i = 0; i != 20'000; ++i) parts[dice()] = i;
  const auto before = in_use();
  std::size_t most = 0;
  for (int i = 0; i != 180'000; ++i) {
    const auto key = dice();
    const auto had = in_use();
    parts[key] = i;
    most = std::max(most, in_use() - std::min(in_use(), had));
  }
  const auto grown = in_use() - before;
  REQUIRE(grown > 1'000'000);
  CHECK(most < grown / 50);
}

TEST_CASE("a value of a map in parts is changed where it is found") {
  numbers parts;
  CHECK(parts.find(1) == nullptr);
  CHECK(parts[1] == 0);
  *parts.find(1) = 5;
  CHECK(parts[1] == 5);
  CHECK(std::as_const(parts).find(1) != nullptr);
}

}  // namespace usher::store
