// The draw: nobody can foresee it, everybody can compute it again, and each order is as likely as any other.

#include <catch2/catch.hpp>

#include <cmath>
#include <numeric>

#include "events/draw.hpp"

namespace usher::draw {
namespace {

std::string secret_of(std::uint32_t seed) { return std::string{bytes_of(sha256({"secret ", std::to_string(seed)}))}; }

/// How far counts are from all being alike: the sum of (seen - expected)^2 / expected.
double chi_square(const std::vector<std::uint32_t>& seen, double expected) {
  double sum = 0;
  for (const auto n : seen) sum += (n - expected) * (n - expected) / expected;
  return sum;
}

/// What a chi-square of so many degrees of freedom exceeds once in a hundred thousand (Wilson and Hilferty).
double chi_square_limit(double freedom) {
  const double a = 2.0 / (9.0 * freedom);
  return freedom * std::pow(1.0 - a + 4.265 * std::sqrt(a), 3);
}

/// The bytes 0, 1, 2 … 31, and ten tickets, as a program in another language had them too.
std::string example_secret() {
  std::string secret(32, '\0');
  std::iota(secret.begin(), secret.end(), '\0');
  return secret;
}
merkle::digest example_leaf(std::uint64_t number) {
  const auto user = std::to_string(number);
  return leaf_of(number, "qt_abcdefghijklmnop_" + user, "usr_" + std::string(16 - user.size(), '0') + user,
                 1'700'000'000'000 + 1'000 * static_cast<std::int64_t>(number));
}
merkle::digest example_root() {
  merkle::frontier tree;
  for (std::uint64_t number = 1; number <= 10; ++number) tree.add(example_leaf(number));
  return tree.root();
}

constexpr std::uint32_t draws = 10'000;
constexpr std::uint32_t people = 20;

}  // namespace

TEST_CASE("another program that follows the description comes to the same order") {
  const auto secret = example_secret();
  const auto root = example_root();
  CHECK(to_hex(bytes_of(commitment(secret))) == "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd");
  CHECK(to_hex(bytes_of(example_leaf(1))) == "aaa801138ce2324c1ebae31352baaa26e26bd8ab83345358dbb915adbc5b55b2");
  CHECK(to_hex(bytes_of(root)) == "7554986be3124719f17940c24ae4d6fb9d9ef094f039c5891ad043276819c682");
  CHECK(order(secret, root, 10) == std::vector<std::uint32_t>{5, 3, 1, 6, 4, 9, 8, 10, 2, 7});
}

TEST_CASE("a million people are drawn as another program has it") {
  const auto numbers = order(example_secret(), example_root(), 1'000'000);
  std::string text;
  for (const auto n : numbers) text.append(text.empty() ? "" : " ").append(std::to_string(n));
  CHECK(to_hex(bytes_of(sha256({text}))) == "b9e1ffd2fc26544cdb34ce07873bfe1304cb066e94a461b82e78e434305847ef");
}

TEST_CASE("everybody who takes part has exactly one rank") {
  for (std::uint32_t count = 0; count != 200; ++count) {
    auto numbers = order(secret_of(count), merkle::leaf("tickets"), count);
    std::ranges::sort(numbers);
    std::vector<std::uint32_t> all(count);
    std::iota(all.begin(), all.end(), 1U);
    REQUIRE(numbers == all);
  }
}

TEST_CASE("in 10,000 draws every ticket comes to every rank equally often") {
  std::vector<std::uint32_t> seen(people * people);  // by ticket and rank
  for (std::uint32_t d = 0; d != draws; ++d) {
    const auto numbers = order(secret_of(d), merkle::leaf("tickets"), people);
    for (std::uint32_t rank = 0; rank != people; ++rank) ++seen[(numbers[rank] - 1) * people + rank];
  }
  for (std::uint32_t ticket = 0; ticket != people; ++ticket) {
    const auto first = seen.begin() + ticket * people;
    CHECK(chi_square({first, first + people}, double{draws} / people) < chi_square_limit(people - 1));
  }
  // Each draw fills each row and each column once, which makes the sum smaller than that of a free table.
  CHECK(chi_square(seen, double{draws} / people) * (people - 1) / people < chi_square_limit((people - 1) * (people - 1)));
}

TEST_CASE("in 10,000 draws every two tickets come to every two ranks equally often") {
  for (const auto& [one, other] : {std::pair{1U, 2U}, {1U, people}, {people - 1, people}, {7U, 12U}}) {
    std::vector<std::uint32_t> seen(people * people);
    for (std::uint32_t d = 0; d != draws; ++d) {
      const auto numbers = order(secret_of(d), merkle::leaf("pairs"), people);
      const auto rank_of = [&](std::uint32_t number) { return static_cast<std::uint32_t>(std::ranges::find(numbers, number) - numbers.begin()); };
      ++seen[rank_of(one) * people + rank_of(other)];
    }
    std::vector<std::uint32_t> possible;
    for (std::uint32_t cell = 0; cell != seen.size(); ++cell) {
      if (cell / people != cell % people) possible.push_back(seen[cell]);
      else CHECK(seen[cell] == 0);
    }
    const auto cells = people * (people - 1);
    CHECK(chi_square(possible, double{draws} / cells) < chi_square_limit(cells - 1));
  }
}

TEST_CASE("one secret with 10,000 lists of tickets is as fair as 10,000 secrets") {
  std::vector<std::uint32_t> seen(people);  // rank of the first ticket
  for (std::uint32_t d = 0; d != draws; ++d) {
    const auto numbers = order(example_secret(), merkle::leaf(std::to_string(d)), people);
    ++seen[static_cast<std::size_t>(std::ranges::find(numbers, 1U) - numbers.begin())];
  }
  CHECK(chi_square(seen, double{draws} / people) < chi_square_limit(people - 1));
}

TEST_CASE("a ticket, the secret or the count changed, and the order is another") {
  const auto numbers = order(example_secret(), example_root(), 1'000);
  auto secret = example_secret();
  secret[0] ^= 1;
  CHECK(order(secret, example_root(), 1'000) != numbers);
  auto root = example_root();
  root[31] ^= 1;
  CHECK(order(example_secret(), root, 1'000) != numbers);
  auto fewer = order(example_secret(), example_root(), 999);
  CHECK_FALSE(std::equal(fewer.begin(), fewer.begin() + 10, numbers.begin()));
}

TEST_CASE("each fact of a ticket is in its leaf") {
  const auto leaf = leaf_of(12, "qt_a_12", "usr_b", 1'000);
  CHECK(leaf != leaf_of(13, "qt_a_12", "usr_b", 1'000));
  CHECK(leaf != leaf_of(12, "qt_a_13", "usr_b", 1'000));
  CHECK(leaf != leaf_of(12, "qt_a_12", "usr_c", 1'000));
  CHECK(leaf != leaf_of(12, "qt_a_12", "usr_b", 1'001));
}

}  // namespace usher::draw
