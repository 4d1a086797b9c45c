#pragma once
// A node with one show that sells a few seats, for tests of what it leaves on the disk.

#include <catch2/catch.hpp>

#include <cstdio>
#include <string>
#include <utility>

#include "tests/client.hpp"

namespace usher::tests {

/// Its clock stands still.
struct small_sale : test_node {
  std::string show;

  explicit small_sale(v1::Configuration config = default_configuration()) : test_node{std::move(config)} {
    const auto opened = client{*this}.post("/shows",
                                           R"({"title":"Evening","venue":"Hall","currency":"EUR","startsAt":"2096-03-01T19:30:00Z",
            "tiers":[{"name":"All","price":1000}],"sections":[{"name":"Stalls","kind":"seated","rows":[{"name":"A","seats":99,"tier":"All"}]}]})",
                                           token("usr_boss", http::role::operator_));
    REQUIRE(opened.status == 201);
    show = opened.text("showId");
  }

  /// @return the reservation's id, not paid for
  std::string hold(const std::string& user, const std::string& seat) {
    const auto held = client{*this}.post("/reservations", R"({"showId":")" + show + R"(","seats":[")" + seat + R"("]})", token(user), "hold-" + seat);
    REQUIRE(held.status == 201);
    return held.text("reservationId");
  }
  /// @return the reservation's id
  std::string sell(const std::string& user, const std::string& seat) {
    client c{*this};
    REQUIRE(c.post("/balance/charge", R"({"amount":1000})", token(user)).status == 200);
    const auto id = hold(user, seat);
    REQUIRE(c.post("/payment", R"({"reservationId":")" + id + R"("})", token(user)).status == 200);
    return id;
  }
  [[nodiscard]] std::string operator_token() { return token("usr_boss", http::role::operator_); }
};

/// Runs the program. @return its exit code, and all that it said
inline std::pair<int, std::string> usher_says(const std::string& arguments) {
  std::string out;
  auto* pipe = ::popen((USHER_BINARY " " + arguments + " 2>&1").c_str(), "r");
  REQUIRE(pipe);
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) out += static_cast<char>(c);
  return {WEXITSTATUS(::pclose(pipe)), out};
}

}  // namespace usher::tests
