// People who come before the sale are drawn by lot, and each of them can check it, asked over real sockets.

#include <catch2/catch.hpp>

#include <set>

#include "events/draw_document.hpp"
#include "tests/client.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

/// A node with a show whose sale opens in an hour.
struct lottery : test_node {
  std::string show = open(R"("saleOpensAt":"2027-01-15T09:00:00Z","queue":{"admitPerWindow":5})");

  /// @param rest  more members of the show
  std::string open(const std::string& rest) {
    const auto a = client{*this}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
        "sections":[{"name":"stalls","kind":"generalAdmission","stock":5000,"tier":"all"}],)" + rest + "}", token("op_director", http::role::operator_));
    INFO(a.body);
    REQUIRE(a.status == 201);
    return a.text("showId");
  }
  static std::string person(std::size_t i) { return "usr_" + std::to_string(i); }
  /// So many people, over a few connections. @return their tickets' tokens
  std::vector<std::string> join(std::size_t people) {
    std::vector<request> requests;
    for (std::size_t i = 0; i != people; ++i)
      requests.push_back({"POST", "/queue/token", json::serialize(json::object{{"showId", show}}), token(person(i)), {}});
    std::vector<std::string> tokens;
    for (const auto& a : at_once(port(), 16, requests)) {
      INFO(a.body);
      REQUIRE(a.status == 201);
      tokens.push_back(a.text("token"));
    }
    return tokens;
  }
  json::object draw() {
    const auto a = client{*this}.get("/shows/" + show + "/draw");
    INFO(a.body);
    REQUIRE(a.status == 200);
    return a.json();
  }
  bool comes_to(std::string_view state) {
    return eventually([&] { return draw().at("state").as_string() == state; });
  }
  void hold() {
    clock.advance(1h);
    REQUIRE(comes_to("closed"));
    clock.advance(2s);
    REQUIRE(comes_to("held"));
  }
  answer tickets() { return client{*this}.get("/shows/" + show + "/draw/tickets"); }
  answer proof(const std::string& who, const std::string& queue_token) {
    return client{*this}.ask({"GET", "/queue/proof", {}, token(who), {{"Queue-Token", queue_token}}});
  }
};

/// What is wrong with a document, or nothing.
std::string verdict(const std::string& body) {
  draw::document d;
  auto wrong = draw::read_document(json::parse(body), d);
  if (wrong.empty()) wrong = draw::verify(d);
  return wrong.empty() ? std::string{} : wrong.front().field() + ": " + wrong.front().detail();
}

}  // namespace

TEST_CASE("what is published of a draw never changes, and the secret comes last") {
  lottery at;
  const auto before = at.draw();
  CHECK(before.at("state") == "committed");
  CHECK_FALSE(before.contains("secret"));
  CHECK_FALSE(before.contains("root"));
  at.join(20);
  CHECK(at.draw() == before);
  CHECK(at.tickets().status == 404);

  at.clock.advance(1h);
  REQUIRE(at.comes_to("closed"));
  const auto closed = at.draw();
  CHECK(closed.at("commitment") == before.at("commitment"));
  CHECK(closed.at("count") == 20);
  CHECK_FALSE(closed.contains("secret"));
  CHECK(at.tickets().status == 404);

  at.clock.advance(2s);
  REQUIRE(at.comes_to("held"));
  const auto held = at.draw();
  for (const auto* member : {"commitment", "root", "count", "closedAt"}) CHECK(held.at(member) == closed.at(member));
  const auto secret = from_hex(held.at("secret").as_string());
  REQUIRE(secret);
  CHECK(held.at("commitment").as_string() == to_hex(bytes_of(draw::commitment(*secret))));

  at.restart();
  CHECK(at.draw() == held);
}

TEST_CASE("everybody can check the whole draw, and their own rank in it") {
  lottery at;
  const auto tokens = at.join(20);
  CHECK(at.proof(at.person(0), tokens[0]).status == 404);
  at.hold();
  const auto all = at.tickets();
  REQUIRE(all.status == 200);
  CHECK(verdict(all.body) == "");
  CHECK(all.body.find("usr_") == std::string::npos);
  const auto published = all.json().at("tickets").as_array();
  REQUIRE(published.size() == 20);
  for (std::size_t i = 0; i != tokens.size(); ++i) {
    const auto own = at.proof(at.person(i), tokens[i]);
    INFO(own.body);
    REQUIRE(own.status == 200);
    CHECK(verdict(own.body) == "");
    const auto document = own.json();
    const auto& ticket = document.at("ticket").as_object();
    CHECK(ticket.at("userId").as_string() == at.person(i));
    const auto& same = published.at(ticket.at("number").to_number<std::size_t>() - 1).as_object();
    CHECK(same.at("rank") == ticket.at("rank"));
    CHECK(same.at("leaf") == ticket.at("leaf"));
    CHECK(client{at}.get("/queue/proof?showId=" + at.show, at.token(at.person(i))).body == own.body);
  }
}

TEST_CASE("people are let in by their ranks") {
  lottery at;
  const auto tokens = at.join(20);
  at.hold();
  std::set<std::size_t> inside;  // ranks
  REQUIRE(eventually([&] {
    inside.clear();
    for (std::size_t i = 0; i != tokens.size(); ++i) {
      const auto status = client{at}.ask({"GET", "/queue/status", {}, at.token(at.person(i)), {{"Queue-Token", tokens[i]}}});
      const auto own = at.proof(at.person(i), tokens[i]).json();
      if (status.text("status") == "ADMITTED") inside.insert(own.at("ticket").at("rank").to_number<std::size_t>());
    }
    return inside.size() == 5;
  }));
  CHECK(inside == std::set<std::size_t>{1, 2, 3, 4, 5});
}

TEST_CASE("a draw of many people is checked like one of few") {
  lottery at;
  constexpr std::size_t people = 1'100;  // more than are read at a time
  const auto tokens = at.join(people);
  at.hold();
  const auto all = at.tickets();
  CHECK(verdict(all.body) == "");
  CHECK(all.json().at("tickets").as_array().size() == people);
  for (const std::size_t i : {0, 500, 1'099}) CHECK(verdict(at.proof(at.person(i), tokens[i]).body) == "");
}

TEST_CASE("a proof is for its owner, and for who took part") {
  lottery at;
  const auto tokens = at.join(3);
  at.hold();
  CHECK(at.proof(at.person(1), tokens[0]).status == 403);
  CHECK(client{at}.get("/queue/proof?showId=" + at.show).status == 401);
  CHECK(client{at}.get("/queue/proof", at.token(at.person(0))).status == 400);
  CHECK(client{at}.get("/queue/proof?showId=" + at.show, at.token("usr_late")).status == 404);
  const auto late = client{at}.post("/queue/token", json::serialize(json::object{{"showId", at.show}}), at.token("usr_late"));
  REQUIRE(late.status == 201);
  CHECK(at.proof("usr_late", late.text("token")).status == 404);
}

TEST_CASE("where nothing is drawn, there is nothing to check") {
  lottery at;
  const auto state = [&](const std::string& show) { return client{at}.get("/shows/" + show + "/draw").text("state"); };
  const auto in_order = at.open(R"("saleOpensAt":"2027-01-15T09:00:00Z","queue":{"order":"joining"})");
  CHECK(state(in_order) == "none");
  CHECK(state(at.open(R"("queue":{})")) == "none");
  CHECK(state(at.open(R"("saleOpensAt":"2027-01-15T09:00:00Z")")) == "none");
  CHECK(client{at}.get("/shows/" + in_order + "/draw/tickets").status == 404);
  CHECK(client{at}.get("/shows/shw_aaaaaaaaaaaaaaaa/draw").status == 404);
  CHECK(client{at}.get("/shows/shw_aaaaaaaaaaaaaaaa/draw/tickets").status == 404);
}

}  // namespace usher::tests
