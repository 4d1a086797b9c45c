// What goes wrong for the buyers of tickets in systems of this kind, and must not here. A tag is a defect's number in the
// list of docs.

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "tests/client.hpp"

namespace {

namespace http = usher::http;
using usher::tests::answer;
using usher::tests::at_once;
using usher::tests::client;
using usher::tests::eventually;
using usher::tests::request;
using namespace std::chrono_literals;

constexpr std::size_t connections = 20;
constexpr auto hold = 300s;

/// A node, and what a buyer does with it.
struct box_office {
  usher::tests::test_node node;

  std::string buyer(std::size_t n) { return node.token(user_id(n)); }
  static std::string user_id(std::size_t n) { return "usr_buyer" + std::to_string(n); }

  /// A show of ten seats in row A and a floor with so many places, 1,000 each. @return its id
  std::string open_show(std::size_t places = 10, const std::string& more = "") {
    const auto a = client{node}.post(
        "/shows",
        R"({"title":"Evening","venue":"Hall","currency":"EUR","startsAt":"2027-03-01T19:30:00Z","tiers":[{"name":"All","price":1000}],
            "sections":[{"name":"Stalls","kind":"seated","rows":[{"name":"A","seats":10,"tier":"All"}]},
                        {"name":"Floor","kind":"generalAdmission","tier":"All","stock":)" + std::to_string(places) + "}]" + more + "}",
        node.token("usr_boss", http::role::operator_));
    INFO(a.body);
    REQUIRE(a.status == 201);
    return a.text("showId");
  }
  static std::string seat_wish(const std::string& show_id, const std::string& seat) {
    return R"({"showId":")" + show_id + R"(","seats":[")" + seat + R"("]})";
  }
  static std::string place_wish(const std::string& show_id) {
    return R"({"showId":")" + show_id + R"(","generalAdmission":[{"section":"Floor","quantity":1}]})";
  }
  answer reserve(const std::string& show_id, const std::string& seat, std::size_t n) {
    return client{node}.post("/reservations", seat_wish(show_id, seat), buyer(n));
  }
  answer pay(const std::string& reservation_id, std::size_t n) {
    return client{node}.post("/payment", R"({"reservationId":")" + reservation_id + R"("})", buyer(n));
  }
  answer change(const std::string& how, std::int64_t amount, std::size_t n) {
    return client{node}.post("/balance/" + how, R"({"amount":)" + std::to_string(amount) + "}", buyer(n));
  }
  std::int64_t balance(std::size_t n) { return client{node}.get("/balance", buyer(n)).number("balance"); }
  std::string status_of(const std::string& show_id, const std::string& seat) {
    const auto body = client{node}.get("/shows/" + show_id + "/seats").json();
    for (const auto& item : body.at("items").as_array())
      if (item.as_object().at("seat").as_string() == seat) return std::string{item.as_object().at("status").as_string()};
    return "missing";
  }
  bool becomes(const std::string& show_id, const std::string& seat, const std::string& status) {
    return eventually([&] { return status_of(show_id, seat) == status; });
  }
  /// So many buyers, each with a request of their own, all at the same time.
  std::vector<answer> rush(std::size_t buyers, const std::string& path, const std::string& body) {
    std::vector<request> all;
    for (std::size_t n = 0; n < buyers; ++n) all.push_back({"POST", path, body, buyer(n), {}});
    return at_once(node.port(), connections, all);
  }
  /// The same request of one buyer so many times, all at the same time.
  std::vector<answer> repeat(std::size_t times, const std::string& path, const std::string& body) {
    return at_once(node.port(), connections, std::vector<request>(times, {"POST", path, body, buyer(0), {}}));
  }
};

std::ptrdiff_t count(const std::vector<answer>& answers, unsigned status) {
  return std::ranges::count(answers, status, &answer::status);
}

std::set<std::int64_t> balances(const std::vector<answer>& answers) {
  std::set<std::int64_t> out;
  for (const auto& a : answers)
    if (a.status == 200) out.insert(a.number("balance"));
  return out;
}

}  // namespace

TEST_CASE("no more tickets are sold than there are, and one seat has one holder", "[defect-1]") {
  box_office o;
  const auto show_id = o.open_show(10);
  const auto places = o.rush(100, "/reservations", o.place_wish(show_id));
  CHECK(count(places, 201) == 10);
  CHECK(count(places, 409) == 90);
  const auto seats = o.rush(10, "/reservations", o.seat_wish(show_id, "A-1"));
  CHECK(count(seats, 201) == 1);
  CHECK(count(seats, 409) == 9);
}

TEST_CASE("nobody is sent away while there are tickets left", "[defect-2]") {
  box_office o;
  const auto show_id = o.open_show(100);
  const auto answers = o.rush(100, "/reservations", o.place_wish(show_id));
  CHECK(count(answers, 201) == 100);
  CHECK(o.rush(101, "/reservations", o.place_wish(show_id)).back().status == 409);
}

TEST_CASE("a hold that has run out can't be paid any more, and nothing is taken for it", "[defect-3]") {
  box_office o;
  const auto show_id = o.open_show();
  o.change("charge", 5000, 1);
  const auto held = o.reserve(show_id, "A-1", 1);
  REQUIRE(held.status == 201);
  o.node.clock.advance(hold);
  const auto paid = o.pay(held.text("reservationId"), 1);
  CHECK(paid.status == 410);
  CHECK(paid.text("code") == "reservation-expired");
  CHECK(o.becomes(show_id, "A-1", "AVAILABLE"));
  CHECK(o.change("charge", 1, 1).number("balance") == 5001);
}

TEST_CASE("a seat that was paid stays mine, long after the hold would have ended", "[defect-4]") {
  box_office o;
  const auto show_id = o.open_show();
  o.change("charge", 5000, 1);
  const auto held = o.reserve(show_id, "A-1", 1);
  REQUIRE(o.pay(held.text("reservationId"), 1).status == 200);
  const auto other = o.reserve(show_id, "A-2", 2);
  REQUIRE(other.status == 201);
  o.node.clock.advance(hold * 12);
  CHECK(o.becomes(show_id, "A-2", "AVAILABLE"));  // so the holds that were due have ended
  CHECK(o.status_of(show_id, "A-1") == "SOLD");
  CHECK(o.reserve(show_id, "A-1", 2).status == 409);
  CHECK(o.balance(1) == 4000);
}

TEST_CASE("a hold ends on time though the server was off when it was due", "[defect-5]") {
  box_office o;
  const auto show_id = o.open_show();
  REQUIRE(o.reserve(show_id, "A-1", 1).status == 201);
  REQUIRE(o.reserve(show_id, "A-1", 2).status == 409);
  o.node.stop();
  o.node.clock.advance(hold);
  o.node.start();
  CHECK(o.becomes(show_id, "A-1", "AVAILABLE"));
  CHECK(o.reserve(show_id, "A-1", 2).status == 201);
}

TEST_CASE("every charge and every use of my balance counts, also when they come at once", "[defect-6]") {
  box_office o;
  CHECK(balances(o.repeat(3, "/balance/charge", R"({"amount":1000})")) == std::set<std::int64_t>{1000, 2000, 3000});
  REQUIRE(o.change("use", 2950, 0).number("balance") == 50);
  const auto uses = o.repeat(70, "/balance/use", R"({"amount":1})");
  CHECK(count(uses, 200) == 50);
  CHECK(count(uses, 402) == 20);
  CHECK(balances(uses).size() == 50);
  CHECK(eventually([&] { return o.balance(0) == 0; }));
}

TEST_CASE("seventy charges of 1 make 70", "[defect-7]") {
  box_office o;
  const auto charges = o.repeat(70, "/balance/charge", R"({"amount":1})");
  CHECK(count(charges, 200) == 70);
  CHECK(balances(charges).size() == 70);
  CHECK(*balances(charges).rbegin() == 70);
  CHECK(eventually([&] { return o.balance(0) == 70; }));
}

TEST_CASE("my position moves when people ahead leave, and those who gave up hold nobody up", "[defect-8]") {
  box_office o;
  const auto show_id = o.open_show(100, R"(,"queue":{"admitPerWindow":10,"windowSeconds":1})");
  const auto join = [&](std::size_t n) { return client{o.node}.post("/queue/token", R"({"showId":")" + show_id + R"("})", o.buyer(n)); };
  const auto ask = [&](const char* method, const char* path, const answer& ticket, std::size_t n) {
    return client{o.node}.ask({method, path, {}, o.buyer(n), {{"Queue-Token", ticket.text("token")}}});
  };
  std::vector<answer> tickets;
  for (std::size_t n = 0; n < 40; ++n) tickets.push_back(join(n));
  CHECK(tickets[39].number("position") == 30);
  CHECK(join(39).text("ticketId") == tickets[39].text("ticketId"));  // the token that is returned is the one that was made
  for (std::size_t n = 20; n < 30; ++n) CHECK(ask("DELETE", "/queue/token", tickets[n], n).status == 204);
  CHECK(eventually([&] { return ask("GET", "/queue/status", tickets[39], 39).number("position") == 20; }));
  // Ten who are inside and never come again: the windows go on.
  o.node.clock.advance(1s);
  CHECK(eventually([&] { return ask("GET", "/queue/status", tickets[39], 39).number("position") == 10; }));
  o.node.clock.advance(1s);
  CHECK(eventually([&] { return ask("GET", "/queue/status", tickets[39], 39).text("status") == "ADMITTED"; }));
}

TEST_CASE("a rush on the queue is no backlog: everybody hears at once what has become of them", "[defect-14]") {
  box_office o;
  const auto show_id = o.open_show(100, R"(,"queue":{"admitPerWindow":10,"windowSeconds":10})");
  const std::size_t people = 3'000;
  const auto begin = std::chrono::steady_clock::now();
  const auto answers = o.rush(people, "/queue/token", R"({"showId":")" + show_id + R"("})");
  const auto took = std::chrono::steady_clock::now() - begin;
  REQUIRE(answers.size() == people);
  CHECK(count(answers, 201) == static_cast<std::ptrdiff_t>(people));
  std::set<std::int64_t> numbers;
  for (const auto& a : answers) numbers.insert(a.number("number"));
  CHECK(numbers.size() == people);
  CHECK(*numbers.rbegin() == static_cast<std::int64_t>(people));
  // Nothing is left to be worked off: one more is answered within what a single request took under load, and a bit.
  const auto asked = std::chrono::steady_clock::now();
  CHECK(client{o.node}.post("/queue/token", R"({"showId":")" + show_id + R"("})", o.buyer(people)).number("number") == static_cast<std::int64_t>(people) + 1);
  CHECK(std::chrono::steady_clock::now() - asked < took / 10 + 1s);
}

TEST_CASE("nobody buys with somebody else's turn, for another show, or in many names", "[defect-9]") {
  box_office o;
  const std::string queue = R"(,"queue":{"admitPerWindow":10,"windowSeconds":1})";
  const auto show_id = o.open_show(10, queue), other_show_id = o.open_show(10, queue);
  client c{o.node};
  const auto joined = c.post("/queue/token", R"({"showId":")" + show_id + R"("})", o.buyer(1));
  REQUIRE(joined.status == 201);
  const auto status = [&](std::size_t n) { return c.ask({"GET", "/queue/status", {}, o.buyer(n), {{"Queue-Token", joined.text("token")}}}); };
  REQUIRE(eventually([&] { return status(1).text("status") == "ADMITTED"; }));
  CHECK(status(2).status == 403);
  const auto admission = std::string{status(1).json().at("admission").as_object().at("token").as_string()};
  const auto reserve = [&](const std::string& show, std::size_t n, const std::string& more = "") {
    auto body = o.seat_wish(show, "A-1");
    body.insert(body.size() - 1, more);
    return c.ask({"POST", "/reservations", body, o.buyer(n), {{"Queue-Token", admission}}});
  };
  CHECK(reserve(show_id, 2).text("code") == "admission-required");
  CHECK(reserve(other_show_id, 1).text("code") == "admission-required");
  CHECK(reserve(show_id, 1, R"(,"userId":"usr_buyer2")").text("code") == "forbidden");
  CHECK(reserve(show_id, 1).status == 201);
}

TEST_CASE("asking for a taken seat, once or ten times at once, is answered and does no harm", "[defect-10]") {
  box_office o;
  const auto show_id = o.open_show();
  REQUIRE(o.reserve(show_id, "A-1", 50).status == 201);
  CHECK(o.reserve(show_id, "A-1", 51).status == 409);
  CHECK(count(o.rush(10, "/reservations", o.seat_wish(show_id, "A-1")), 409) == 10);
  CHECK(client{o.node}.get("/healthz").status == 200);
  CHECK(o.reserve(show_id, "A-2", 1).status == 201);
}

TEST_CASE("no lock of a node that ended keeps a seat longer than its hold, and meanwhile everybody is answered", "[defect-11]") {
  box_office o;
  const auto show_id = o.open_show();
  REQUIRE(o.reserve(show_id, "A-1", 1).status == 201);
  o.node.restart();
  CHECK(o.reserve(show_id, "A-1", 2).status == 409);
  CHECK(o.reserve(show_id, "A-2", 2).status == 201);
  o.node.clock.advance(hold);
  REQUIRE(o.becomes(show_id, "A-1", "AVAILABLE"));
  CHECK(o.reserve(show_id, "A-1", 3).status == 201);
}

TEST_CASE("whoever comes second is told that the seat is taken, and which one", "[defect-12]") {
  box_office o;
  const auto show_id = o.open_show();
  const auto answers = o.rush(40, "/reservations", o.seat_wish(show_id, "A-1"));
  CHECK(count(answers, 201) == 1);
  for (const auto& a : answers) {
    if (a.status == 201) continue;
    CHECK(a.status == 409);
    CHECK(a.text("code") == "seat-unavailable");
    CHECK(a.json().at("seats") == boost::json::array{"A-1"});
  }
}

TEST_CASE("a seat whose hold ran out or was given back can be booked again, and again", "[defect-13]") {
  box_office o;
  const auto show_id = o.open_show();
  for (std::size_t n = 0; n < 3; ++n) {
    REQUIRE(o.reserve(show_id, "A-1", n).status == 201);
    REQUIRE(o.becomes(show_id, "A-1", "HELD"));  // else what was there before would be taken for the end of the hold
    o.node.clock.advance(hold);
    REQUIRE(o.becomes(show_id, "A-1", "AVAILABLE"));
  }
  const auto held = o.reserve(show_id, "A-1", 4);
  REQUIRE(held.status == 201);
  CHECK(client{o.node}.ask({"DELETE", "/reservations/" + held.text("reservationId"), {}, o.buyer(4), {}}).status == 200);
  o.change("charge", 1000, 5);
  const auto last = o.reserve(show_id, "A-1", 5);
  REQUIRE(last.status == 201);
  CHECK(o.pay(last.text("reservationId"), 5).status == 200);
}

TEST_CASE("whatever comes while a reservation is busy is answered, and what was answered with yes is done", "[defect-15]") {
  box_office o;
  const auto show_id = o.open_show();
  o.change("charge", 1000, 0);
  for (int round = 0; round < 10; ++round) {
    const auto held = o.reserve(show_id, "A-1", 0);
    REQUIRE(held.status == 201);
    const auto id = held.text("reservationId");
    std::vector<request> all;
    for (int i = 0; i < 10; ++i) {
      all.push_back({"POST", "/payment", R"({"reservationId":")" + id + R"("})", o.buyer(0), {}});
      all.push_back({"POST", "/reservations/" + id + "/cancel", "{}", o.buyer(0), {}});
      all.push_back({"DELETE", "/reservations/" + id, {}, o.buyer(0), {}});
    }
    const auto answers = at_once(o.node.port(), connections, all);
    CHECK(count(answers, 200) + count(answers, 409) == 30);
    CHECK(count(answers, 200) > 0);
    const auto end = client{o.node}.get("/reservations/" + id, o.buyer(0)).text("status");
    CHECK((end == "CANCELLED" || end == "RELEASED" || end == "CONFIRMED"));
    if (end == "CONFIRMED") REQUIRE(client{o.node}.post("/reservations/" + id + "/cancel", "{}", o.buyer(0)).status == 200);
    CHECK(o.balance(0) == 1000);
  }
}

TEST_CASE("money is whole cents: no fraction is taken, and large sums stay exact", "[defect-16]") {
  box_office o;
  for (const std::string amount : {"0.1", "1.5", "1e-2", "\"1\""}) {
    INFO(amount);
    CHECK(client{o.node}.post("/balance/charge", R"({"amount":)" + amount + "}", o.buyer(1)).status == 400);
  }
  CHECK(o.change("charge", 1'000'000'000'000, 1).number("balance") == 1'000'000'000'000);
  CHECK(o.change("charge", 1, 1).number("balance") == 1'000'000'000'001);
  CHECK(o.change("use", 999'999'999'999, 1).number("balance") == 2);
}
