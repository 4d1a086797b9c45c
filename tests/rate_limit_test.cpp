// How many requests a minute are let through, by a clock that only the test moves.

#include <catch2/catch.hpp>

#include <random>

#include "http/rate_limit.hpp"

namespace {

namespace http = usher::http;
using http::counted_address;
using http::rate_limiter;
using http::rate_limits;
using namespace std::chrono_literals;

const usher::time_point noon = usher::from_ms(1'800'000'000'000);

/// How many of so many requests at one moment are let through.
int let_through(rate_limiter& limit, std::string_view who, usher::time_point now, int requests) {
  int out = 0;
  for (int i = 0; i < requests; ++i) out += limit.take(who, now).allowed ? 1 : 0;
  return out;
}

http::request_context::pairs forwarded(std::initializer_list<std::string_view> lines) {
  http::request_context::pairs out{{"Host", "localhost"}};
  for (const auto line : lines) out.emplace_back("x-forwarded-for", line);
  return out;
}

std::string ipv4(unsigned char a, unsigned char b, unsigned char c, unsigned char d) {
  return {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c), static_cast<char>(d)};
}

}  // namespace

TEST_CASE("a sixth of a minute's requests may come at once, the others evenly") {
  rate_limiter limit{600};
  CHECK(let_through(limit, "ann", noon, 150) == 100);
  CHECK(let_through(limit, "ann", noon + 99ms, 5) == 0);
  CHECK(let_through(limit, "ann", noon + 100ms, 5) == 1);
  CHECK(let_through(limit, "ann", noon + 1100ms, 50) == 10);
  CHECK(let_through(limit, "ann", noon + 1h, 150) == 100);
}

TEST_CASE("over a long time nobody gets more than the rate and one burst, whatever their rhythm") {
  for (const std::uint32_t per_minute : {1u, 5u, 7u, 60u, 601u, 6000u}) {
    std::mt19937 random{per_minute};
    rate_limiter limit{per_minute};
    std::uint64_t passed = 0;
    auto now = noon;
    while (now < noon + 10min) {
      passed += limit.take("ann", now).allowed ? 1u : 0u;
      now += std::chrono::milliseconds{random() % 40};
    }
    const auto burst = std::max(per_minute / 6, 1u);
    CHECK(passed <= per_minute * 10 + burst);
    CHECK(passed >= std::min<std::uint64_t>(per_minute * 10, 29'000));  // somebody asks every 20 ms, and loses nothing by asking in vain
  }
}

TEST_CASE("who is told to come back in so many seconds is let in then, and not a second before") {
  for (const std::uint32_t per_minute : {1u, 7u, 20u, 60u}) {
    rate_limiter limit{per_minute};
    auto now = noon;
    rate_limiter::verdict said;
    while ((said = limit.take("ann", now)).allowed) {
    }
    CHECK(said.remaining == 0);
    REQUIRE(said.retry_in > 0s);
    CHECK_FALSE(limit.take("ann", now + said.retry_in - 1s).allowed);
    CHECK(limit.take("ann", now + said.retry_in).allowed);
  }
}

TEST_CASE("what is said to be left is what is left, and the burst is whole when it was promised") {
  rate_limiter limit{60};
  const auto first = limit.take("ann", noon);
  CHECK(first.remaining == 9);
  CHECK(first.whole_in == 1s);
  CHECK(let_through(limit, "ann", noon, 20) == 9);
  const auto refused = limit.take("ann", noon + 300ms);
  CHECK(refused.whole_in == 10s);  // 9.7
  CHECK(refused.retry_in == 1s);   // 0.7
  CHECK(let_through(limit, "ann", noon + 300ms + refused.whole_in, 20) == 10);
}

TEST_CASE("one person's requests are not another's") {
  rate_limiter limit{60};
  CHECK(let_through(limit, "ann", noon, 20) == 10);
  CHECK(let_through(limit, "bob", noon, 20) == 10);
}

TEST_CASE("a clock that was set back locks nobody out for longer than a burst takes") {
  rate_limiter limit{60};
  CHECK(let_through(limit, "ann", noon, 20) == 10);
  CHECK_FALSE(limit.take("ann", noon - 24h).allowed);
  CHECK(limit.take("ann", noon - 24h + 1s).allowed);
  CHECK(let_through(limit, "ann", noon - 24h + 11s, 20) == 10);
}

TEST_CASE("a crowd of strangers makes the limit forget those who have their whole burst, and not who has just used it up") {
  rate_limiter limit{60, 1024};
  for (int i = 0; i < 5000; ++i) CHECK(limit.take("early" + std::to_string(i), noon).allowed);
  CHECK(let_through(limit, "ann", noon + 1min, 20) == 10);
  for (int i = 0; i < 500; ++i) CHECK(limit.take("stranger" + std::to_string(i), noon + 1min).allowed);
  CHECK_FALSE(limit.take("ann", noon + 1min).allowed);
}

TEST_CASE("a user is asked for first, and who is refused for it costs the address nothing") {
  rate_limits limits{{.per_user = 60, .per_address = 120}};
  const auto ask = [&](std::string_view user) { return limits.judge(user, "192.0.2.1", {}, noon); };
  const auto first = ask("ann");
  CHECK(first.refused_by.empty());
  CHECK(first.policy == R"("user";q=60;w=60, "address";q=120;w=60)");
  CHECK(first.state == R"("user";r=9;t=1, "address";r=19;t=1)");
  for (int i = 0; i < 9; ++i) CHECK(ask("ann").refused_by.empty());
  for (int i = 0; i < 50; ++i) CHECK(ask("ann").refused_by == "user");
  const auto refused = ask("ann");
  CHECK(refused.policy == R"("user";q=60;w=60)");
  CHECK(refused.state == R"("user";r=0;t=10)");
  CHECK(refused.quota == 60);
  CHECK(refused.retry_in == 1s);
  for (int i = 0; i < 10; ++i) CHECK(ask("").refused_by.empty());  // the address has the other half of its burst
  CHECK(ask("").refused_by == "address");
  CHECK(ask("bob").refused_by == "address");
  CHECK(limits.judge("cem", "192.0.2.2", {}, noon).refused_by.empty());
}

TEST_CASE("nothing is limited, or said about it, where no limit is set") {
  rate_limits limits{{}};
  CHECK_FALSE(limits.any());
  rate_limits only_users{{.per_user = 60}};
  CHECK(only_users.any());
  CHECK(only_users.judge("", "192.0.2.1", {}, noon).policy.empty());
}

TEST_CASE("without a proxy of ours, what a caller says about its address counts for nothing") {
  CHECK(counted_address("192.0.2.1", forwarded({"198.51.100.7"}), 0) == ipv4(192, 0, 2, 1));
}

TEST_CASE("behind proxies an address is what the outermost of ours saw, not what the caller wrote before it") {
  const auto headers = forwarded({"203.0.113.99, 203.0.113.98", "198.51.100.7 , 10.0.0.1"});
  CHECK(counted_address("10.0.0.2", headers, 1) == ipv4(10, 0, 0, 1));
  CHECK(counted_address("10.0.0.2", headers, 2) == ipv4(198, 51, 100, 7));
  CHECK(counted_address("10.0.0.2", headers, 3) == ipv4(203, 0, 113, 98));
  CHECK(counted_address("10.0.0.2", headers, 5) == ipv4(10, 0, 0, 2));  // it can't have come through all of them
  CHECK(counted_address("10.0.0.2", {}, 1) == ipv4(10, 0, 0, 2));
  for (const auto* nonsense : {"unknown", "", ",", "[", "[]", "1.2.3.4.5", ":", "_hidden"}) {
    CHECK(counted_address("10.0.0.2", forwarded({nonsense}), 1) == ipv4(10, 0, 0, 2));
  }
}

TEST_CASE("an address is the same one with a port, in brackets, or as IPv4 in IPv6") {
  const auto of = [](std::string_view text) { return counted_address("10.0.0.2", forwarded({text}), 1); };
  CHECK(of("198.51.100.7:4711") == ipv4(198, 51, 100, 7));
  CHECK(of("::ffff:198.51.100.7") == ipv4(198, 51, 100, 7));
  CHECK(of("[2001:db8:1:2::5]:4711") == of("2001:db8:1:2::5"));
  CHECK(counted_address("::ffff:192.0.2.1", {}, 0) == ipv4(192, 0, 2, 1));
}

TEST_CASE("who has one address of IPv6 has no other for each request") {
  const auto of = [](std::string_view peer) { return counted_address(peer, {}, 0); };
  CHECK(of("2001:db8:1:2::5") == of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  CHECK(of("2001:db8:1:2::5") != of("2001:db8:1:3::5"));
}
