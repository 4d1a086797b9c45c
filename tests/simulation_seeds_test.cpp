// Thousands of short life stories of a whole node, each from one seed: clients who ask again, crashes, failing disks.
//
// USHER_TEST_SEEDS=n plays n seeds, USHER_TEST_SEED=n plays that one and tells it.

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>

#include "tests/simulation/trials.hpp"

namespace usher::tests {
namespace {

constexpr std::uint64_t seeds_by_default = 4000;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

void tell_shortest(std::uint64_t seed) {
  const auto whole = make_story(seed);
  const auto shortest = shorten(whole);
  std::cout << "\nSeed " << seed << " fails, and still does with " << shortest.steps.size() << " of its " << whole.steps.size()
            << " steps (USHER_TEST_SEED=" << seed << " tells them all):\n\n" << try_out(shortest).text << '\n';
  FAIL_CHECK("seed " << seed << " fails");
}

}  // namespace

TEST_CASE("whatever happens in whatever order, nothing that was answered is lost and no rule is broken") {
  if (const char* one = std::getenv("USHER_TEST_SEED")) {
    const auto seed = std::strtoull(one, nullptr, 10);
    const auto told = try_out(make_story(seed));
    std::cout << "seed " << seed << "\n\n" << told.text << '\n';
    if (told.failed) tell_shortest(seed);
    return;
  }
  const auto n = number_from("USHER_TEST_SEEDS", seeds_by_default);
  const auto start = std::chrono::steady_clock::now();
  const auto out = try_seeds(1, n);
  if (out.failing) return tell_shortest(*out.failing);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  CHECK(out.played == n);
  std::cout << n << " seeds in " << took.count() << " s: " << static_cast<std::uint64_t>(static_cast<double>(n) / took.count() * 60) << " a minute\n";
  for (std::size_t i = 0; i != probe_count; ++i) {
    std::cout << "  " << out.met[i] << "  " << probe_words[i] << '\n';
    INFO("never: " << probe_words[i]);
    if (n >= seeds_by_default) CHECK(out.met[i] > 0);
  }
}

TEST_CASE("the same seed tells the same story") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto told = try_out(make_story(seed)).text;
    CHECK(told.size() > 500);
    CHECK(try_out(make_story(seed)).text == told);
  }
}

}  // namespace usher::tests
