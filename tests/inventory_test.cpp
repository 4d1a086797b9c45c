// Seats and places that can be trusted through the whole life of a reservation, over real sockets.

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/client.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr std::size_t connections = 100;

/// Row A has ten seats of 1,000, row B ten of 500, the floor so many places of 100.
struct box_office : test_node {
  std::string service = token("svc_door", http::role::service);

  std::string open_show(const std::string& more = R"("extensionSeconds":120)", int places = 100) {
    const auto a = client{*this}.post("/shows",
        R"({"title":"Evening","venue":"Hall","currency":"EUR",)" + more + R"(,"tiers":[{"name":"gold","price":1000},{"name":"silver","price":500},{"name":"floor","price":100}],
        "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":10,"tier":"gold"},{"name":"B","seats":10,"tier":"silver"}]},
                    {"name":"floor","kind":"generalAdmission","stock":)" + std::to_string(places) + R"(,"tier":"floor"}]})", token("op", http::role::operator_));
    INFO(a.body);
    REQUIRE(a.status == 201);
    return a.text("showId");
  }
  static std::string wish(const std::string& show, const std::string& what) { return R"({"showId":")" + show + "\"," + what + "}"; }
  answer reserve(const std::string& user, const std::string& show, const std::string& what) {
    return client{*this}.post("/reservations", wish(show, what), token(user));
  }
  std::string held(const std::string& user, const std::string& show, const std::string& what) {
    const auto a = reserve(user, show, what);
    INFO(a.body);
    REQUIRE(a.status == 201);
    return a.text("reservationId");
  }
  answer change(const std::string& user, const std::string& id, const std::string& deed, const std::string& body = {}) {
    return client{*this}.post("/reservations/" + id + "/" + deed, body, token(user));
  }
  answer release(const std::string& user, const std::string& id) { return client{*this}.ask({"DELETE", "/reservations/" + id, {}, token(user), {}}); }
  answer pay(const std::string& user, const std::string& id) { return client{*this}.post("/payment", R"({"reservationId":")" + id + R"("})", token(user)); }
  void charge(const std::string& user, std::int64_t amount) {
    REQUIRE(client{*this}.post("/balance/charge", R"({"amount":)" + std::to_string(amount) + "}", token(user)).status == 200);
  }
  std::string paid(const std::string& user, const std::string& show, const std::string& what) {
    charge(user, 10'000);
    const auto id = held(user, show, what);
    REQUIRE(pay(user, id).status == 200);
    return id;
  }
  std::int64_t balance(const std::string& user) { return client{*this}.get("/balance/" + user, service).number("balance"); }
  json::object shown(const std::string& id) { return client{*this}.get("/reservations/" + id, service).json(); }
  std::string status(const std::string& id) { return std::string{shown(id).at("status").as_string()}; }
  json::object counts(const std::string& show) { return client{*this}.get("/shows/" + show).json().at("counts").as_object(); }
  bool counts_become(const std::string& show, std::int64_t held, std::int64_t sold) {
    return eventually([&] {
      const auto c = counts(show);
      return c.at("held").to_number<std::int64_t>() == held && c.at("sold").to_number<std::int64_t>() == sold;
    });
  }
  std::map<std::string, std::string> seats(const std::string& show) {
    std::map<std::string, std::string> out;
    const auto page = client{*this}.get("/shows/" + show + "/seats?limit=200").json();
    for (const auto& item : page.at("items").as_array())
      out[std::string{item.at("seat").as_string()}] = std::string{item.at("status").as_string()};
    return out;
  }
  bool seats_become(const std::string& show, const std::map<std::string, std::string>& wanted) {
    return eventually([&] {
      auto now = seats(show);
      return std::ranges::all_of(wanted, [&](const auto& w) { return now[w.first] == w.second; });
    });
  }
};

std::ptrdiff_t count(const std::vector<answer>& answers, unsigned status) {
  return std::ranges::count(answers, status, [](const answer& a) { return a.status; });
}

}  // namespace

// --- all or nothing ---------------------------------------------------------------------------------------------------

TEST_CASE("seats and places are reserved together or not at all") {
  box_office office;
  const auto show = office.open_show(R"("ticketLimit":200)", 5);
  REQUIRE(office.reserve("usr_ann", show, R"("seats":["A-1"])").status == 201);
  const auto both = R"("seats":["A-2","A-1"],"generalAdmission":[{"section":"floor","quantity":2}])";
  CHECK(office.reserve("usr_ben", show, both).text("code") == "seat-unavailable");
  CHECK(office.reserve("usr_ben", show, R"("seats":["A-3"],"generalAdmission":[{"section":"floor","quantity":6}])").status == 409);
  CHECK(office.counts_become(show, 1, 0));
  CHECK(office.reserve("usr_ben", show, R"("seats":["A-2","A-3"],"generalAdmission":[{"section":"floor","quantity":5}])").status == 201);
  CHECK(office.counts_become(show, 8, 0));
}

TEST_CASE("of sets that overlap one is reserved and nobody loses to a set that failed") {
  box_office office;
  const auto show = office.open_show(R"("ticketLimit":200)");
  std::mt19937 random{7};
  for (int round = 0; round < 40; ++round) {
    INFO("round " << round);
    // A-1 is taken, so the first set must fail; the second overlaps it, and nothing else.
    const auto taken = office.held("usr_zoe", show, R"("seats":["A-1"])");
    std::vector<request> wishes{
        {"POST", "/reservations", office.wish(show, R"("seats":["A-3","A-2","A-1"])"), office.token("usr_ann"), {}},
        {"POST", "/reservations", office.wish(show, R"("seats":["A-2","A-3","A-4"])"), office.token("usr_ben"), {}}};
    if (random() % 2 == 0) std::swap(wishes[0], wishes[1]);
    const auto answers = at_once(office.port(), 2, wishes);
    CHECK(count(answers, 201) == 1);
    CHECK(count(answers, 409) == 1);
    for (const auto& a : answers)
      if (a.status == 201) {
        CHECK(a.json().at("seats") == json::array{"A-2", "A-3", "A-4"});
        CHECK(office.release("usr_ben", a.text("reservationId")).status == 200);
      }
    CHECK(office.release("usr_zoe", taken).status == 200);
  }
}

TEST_CASE("500 parallel orders of one person never exceed the limit, nor do they with orders handed over meanwhile") {
  box_office office;
  const auto show = office.open_show(R"("ticketLimit":8)");
  std::vector<request> wishes;
  for (int i = 0; i < 500; ++i)
    wishes.push_back({"POST", "/reservations", office.wish(show, R"("generalAdmission":[{"section":"floor","quantity":)" + std::to_string(1 + i % 3) + "}]"),
                      office.token("usr_ann"), {}});
  // Ten that Ben has, all handed to Ann at the same time.
  for (int i = 0; i < 8; ++i) {
    const auto id = office.held("usr_ben", show, R"("generalAdmission":[{"section":"floor","quantity":1}])");
    request handing{"POST", "/reservations/" + id + "/transfer", R"({"toUserId":"usr_ann"})", office.service, {}};
    wishes.insert(wishes.begin() + 40 * i, std::move(handing));
  }
  const auto answers = at_once(office.port(), connections, wishes);
  std::int64_t anns = 0;
  for (const auto& a : answers) {
    if (a.status == 409) CHECK(a.text("code") == "ticket-limit-exceeded");
    else CHECK((a.status == 201 || a.status == 200));
    if (a.status / 100 == 2 && a.text("userId") == "usr_ann") anns += a.json().at("generalAdmission").at(0).at("quantity").to_number<std::int64_t>();
  }
  CHECK(anns <= 8);
  CHECK(anns >= 6);  // what is left is less than the least that was refused for
  std::int64_t listed = 0;
  CHECK(eventually([&] {
    listed = 0;
    const auto page = client{office}.get("/users/usr_ann/reservations?limit=200", office.service).json();
    for (const auto& item : page.at("items").as_array())
      if (item.at("status").as_string() == "PENDING") listed += item.at("generalAdmission").at(0).at("quantity").to_number<std::int64_t>();
    return listed == anns;
  }));
}

// --- changes ----------------------------------------------------------------------------------------------------------

TEST_CASE("a hold is extended once, and ends when it now says") {
  box_office office;
  const auto show = office.open_show();
  const auto id = office.held("usr_ann", show, R"("seats":["A-1"])");
  office.clock.advance(290s);
  CHECK(office.change("usr_ben", id, "extend").status == 403);
  REQUIRE(office.change("usr_ann", id, "extend").status == 200);
  CHECK(office.change("usr_ann", id, "extend").text("code") == "extension-unavailable");
  office.clock.advance(129s);
  CHECK(office.status(id) == "PENDING");
  office.clock.advance(1s);
  CHECK(eventually([&] { return office.status(id) == "EXPIRED"; }));
  CHECK(office.seats_become(show, {{"A-1", "AVAILABLE"}}));

  const auto strict = office.open_show(R"("holdSeconds":300)");
  const auto other = office.held("usr_ann", strict, R"("seats":["A-1"])");
  CHECK(office.change("usr_ann", other, "extend").text("code") == "extension-unavailable");
}

TEST_CASE("a reservation is handed over without freeing its seats, and its money goes back to whoever paid") {
  box_office office;
  const auto show = office.open_show(R"("ticketLimit":3)");
  const auto id = office.paid("usr_ann", show, R"("seats":["A-1","A-2"])");
  REQUIRE(office.held("usr_ben", show, R"("seats":["B-1"])") != "");
  const auto handed = office.change("usr_ann", id, "transfer", R"({"toUserId":"usr_ben"})");
  CHECK(handed.status == 200);
  CHECK(handed.text("userId") == "usr_ben");
  CHECK(office.seats_become(show, {{"A-1", "SOLD"}, {"A-2", "SOLD"}}));
  CHECK(office.reserve("usr_ben", show, R"("seats":["B-2"])").text("code") == "ticket-limit-exceeded");
  CHECK(office.reserve("usr_ann", show, R"("seats":["B-3","B-4","B-5"])").status == 201);
  CHECK(office.change("usr_ann", id, "cancel").status == 403);
  CHECK(office.change("usr_ann", id, "transfer", R"({"toUserId":"usr_eve"})").status == 403);
  CHECK(office.change("usr_ben", id, "cancel").status == 200);
  CHECK(office.balance("usr_ann") == 10'000);
  CHECK(office.balance("usr_ben") == 0);
  CHECK(office.change("usr_ben", id, "transfer", R"({"toUserId":"usr_eve"})").text("code") == "reservation-not-pending");
}

TEST_CASE("whoever would exceed the limit is handed nothing") {
  box_office office;
  const auto show = office.open_show(R"("ticketLimit":2)");
  const auto hold = office.held("usr_eve", show, R"("seats":["A-9"])");
  CHECK(office.change("usr_eve", hold, "transfer", R"({"toUserId":"usr_ben"})").text("code") == "reservation-not-pending");
  const auto id = office.paid("usr_ann", show, R"("seats":["A-1","A-2"])");
  REQUIRE(office.held("usr_ben", show, R"("seats":["B-1"])") != "");
  CHECK(office.change("usr_ann", id, "transfer", R"({"toUserId":"usr_ben"})").text("code") == "ticket-limit-exceeded");
  CHECK(office.shown(id).at("userId").as_string() == "usr_ann");
  CHECK(office.change("usr_ann", id, "transfer", R"({"toUserId":"usr/ben"})").text("code") == "invalid-request");
  CHECK(office.change("usr_ann", id, "transfer", "{}").text("code") == "validation-failed");
}

TEST_CASE("a seat is exchanged in one step, at the same price where it is paid for") {
  box_office office;
  const auto show = office.open_show();
  const auto pending = office.held("usr_ann", show, R"("seats":["A-1","A-2"])");
  const auto cheaper = office.change("usr_ann", pending, "exchange", R"({"from":"A-2","to":"B-7"})");
  CHECK(cheaper.status == 200);
  CHECK(cheaper.number("amount") == 1500);
  CHECK(cheaper.json().at("seats") == json::array{"A-1", "B-7"});
  CHECK(office.seats_become(show, {{"A-1", "HELD"}, {"A-2", "AVAILABLE"}, {"B-7", "HELD"}}));

  const auto paid = office.paid("usr_ben", show, R"("seats":["A-5"])");
  CHECK(office.change("usr_ben", paid, "exchange", R"({"from":"A-5","to":"B-1"})").text("code") == "validation-failed");
  CHECK(office.change("usr_ben", paid, "exchange", R"({"from":"A-5","to":"A-1"})").text("code") == "seat-unavailable");
  CHECK(office.change("usr_ben", paid, "exchange", R"({"from":"A-5","to":"A-99"})").json().at("faults").at(0).at("field") == "to");
  CHECK(office.change("usr_ben", paid, "exchange", R"({"from":"A-5","to":"A-6"})").status == 200);
  CHECK(office.seats_become(show, {{"A-5", "AVAILABLE"}, {"A-6", "SOLD"}}));
  CHECK(office.change("usr_ben", paid, "cancel").status == 200);
  CHECK(office.seats_become(show, {{"A-6", "AVAILABLE"}}));
  CHECK(office.balance("usr_ben") == 10'000);
}

TEST_CASE("two who exchange their seats for the same one at the same moment: one gets it, the other keeps the old one") {
  box_office office;
  const auto show = office.open_show();
  const auto ann = office.held("usr_ann", show, R"("seats":["A-1"])");
  const auto ben = office.held("usr_ben", show, R"("seats":["A-2"])");
  const auto answers = at_once(office.port(), 2,
      {{"POST", "/reservations/" + ann + "/exchange", R"({"from":"A-1","to":"A-3"})", office.token("usr_ann"), {}},
       {"POST", "/reservations/" + ben + "/exchange", R"({"from":"A-2","to":"A-3"})", office.token("usr_ben"), {}}});
  CHECK(count(answers, 200) == 1);
  CHECK(count(answers, 409) == 1);
  CHECK(office.counts_become(show, 2, 0));
  const bool anns = answers[0].status == 200;
  CHECK(office.seats_become(show, {{"A-1", anns ? "AVAILABLE" : "HELD"}, {"A-2", anns ? "HELD" : "AVAILABLE"}, {"A-3", "HELD"}}));
}

// --- what has ruined on-sales -----------------------------------------------------------------------------------------

TEST_CASE("650 tickets are sold within moments while hundreds of payments hang") {
  auto config = default_configuration();
  config.set_sandbox_provider(true);
  struct stuck_office : test_node {
    explicit stuck_office(const v1::Configuration& c) : test_node(c) {}
  } office{config};
  const auto opened = client{office}.post("/shows", R"({"title":"Open air","venue":"Field","currency":"EUR","tiers":[{"name":"all","price":1000}],
      "sections":[{"name":"field","kind":"generalAdmission","stock":1000,"tier":"all"}]})", office.token("op", http::role::operator_));
  const auto show = opened.text("showId");
  const auto service = office.token("svc", http::role::service);
  const auto reserve_all = [&](int from, int to) {
    std::vector<request> wishes;
    for (int i = from; i < to; ++i)
      wishes.push_back({"POST", "/reservations", box_office::wish(show, R"("generalAdmission":[{"section":"field","quantity":1}],"userId":"usr_)" + std::to_string(i) + "\""), service, {}});
    return at_once(office.port(), connections, wishes);
  };
  const auto pay_all = [&](const std::vector<answer>& held, const std::string& how) {
    std::vector<request> payments;
    for (const auto& a : held) payments.push_back({"POST", "/payment", R"({"reservationId":")" + a.text("reservationId") + "\"" + how + "}", service, {}});
    return at_once(office.port(), connections, payments);
  };
  const auto stuck = reserve_all(0, 350);
  CHECK(count(pay_all(stuck, R"(,"provider":"sandbox","method":"never")"), 202) == 350);
  std::vector<request> charges;
  for (int i = 350; i < 1000; ++i) charges.push_back({"POST", "/balance/charge", R"({"amount":1000,"userId":"usr_)" + std::to_string(i) + "\"}", service, {}});
  at_once(office.port(), connections, charges);
  const auto quick = reserve_all(350, 1000);
  CHECK(count(quick, 201) == 650);
  CHECK(count(pay_all(quick, ""), 200) == 650);
  // The stuck ones lose their places when their lease ends, and others get them.
  office.clock.advance(301s);
  CHECK(eventually([&] { return client{office}.get("/shows/" + show).json().at("counts").at("available").to_number<std::int64_t>() == 350; }));
  CHECK(count(reserve_all(2000, 2351), 201) == 350);
}

TEST_CASE("whoever pays after the hold has ended is told so, and the record of it stays") {
  box_office office;
  const auto show = office.open_show();
  office.charge("usr_ann", 5000);
  const auto id = office.held("usr_ann", show, R"("seats":["A-1"])");
  office.clock.advance(301s);
  CHECK(office.pay("usr_ann", id).text("code") == "reservation-expired");
  CHECK(office.balance("usr_ann") == 5000);
  CHECK(eventually([&] { return office.status(id) == "EXPIRED"; }));
  office.clock.advance(24h * 30);
  office.restart();
  CHECK(office.status(id) == "EXPIRED");
  CHECK(client{office}.get("/users/usr_ann/reservations", office.service).json().at("items").as_array().size() == 1);
}

TEST_CASE("a cancellation frees its places once, however often it is asked for") {
  box_office office;
  const auto show = office.open_show(R"("ticketLimit":8)", 5);
  const auto ann = office.paid("usr_ann", show, R"("generalAdmission":[{"section":"floor","quantity":3}])");
  REQUIRE(office.paid("usr_ben", show, R"("generalAdmission":[{"section":"floor","quantity":2}])") != "");
  const auto answers = at_once(office.port(), 20, std::vector<request>(20, {"POST", "/reservations/" + ann + "/cancel", "{}", office.token("usr_ann"), {}}));
  CHECK(count(answers, 200) == 20);
  CHECK(office.counts_become(show, 0, 2));
  CHECK(office.balance("usr_ann") == 10'000);
  CHECK(office.reserve("usr_cem", show, R"("generalAdmission":[{"section":"floor","quantity":4}])").status == 409);
  CHECK(office.reserve("usr_cem", show, R"("generalAdmission":[{"section":"floor","quantity":3}])").status == 201);
}

TEST_CASE("a cancellation, an expiry and a release give the person's limit back, once") {
  box_office office;
  const auto show = office.open_show(R"("ticketLimit":2)");
  const auto full = [&] { return office.reserve("usr_ann", show, R"("seats":["B-9"])").text("code") == "ticket-limit-exceeded"; };
  const auto paid = office.paid("usr_ann", show, R"("seats":["A-1","A-2"])");
  CHECK(full());
  REQUIRE(office.change("usr_ann", paid, "cancel").status == 200);
  REQUIRE(office.change("usr_ann", paid, "cancel").status == 200);
  const auto released = office.held("usr_ann", show, R"("seats":["A-3","A-4"])");
  CHECK(full());
  REQUIRE(office.release("usr_ann", released).status == 200);
  REQUIRE(office.release("usr_ann", released).status == 200);
  const auto expired = office.held("usr_ann", show, R"("seats":["A-5","A-6"])");
  CHECK(full());
  office.clock.advance(300s);
  CHECK(eventually([&] { return office.status(expired) == "EXPIRED"; }));
  REQUIRE(office.held("usr_ann", show, R"("seats":["A-7","A-8"])") != "");
  CHECK(full());
}

TEST_CASE("a buyer is charged for the seats and the price that were shown, whatever the operator changes meanwhile") {
  box_office office;
  const auto show = office.open_show();
  office.charge("usr_ann", 5000);
  const auto held = office.reserve("usr_ann", show, R"("bestAvailable":{"quantity":2,"tier":"gold"})");
  REQUIRE(held.status == 201);
  const auto shown_seats = held.json().at("seats");
  REQUIRE(client{office}.ask({"PATCH", "/shows/" + show, R"({"tiers":[{"name":"gold","price":1700}]})", office.token("op", http::role::operator_), {{"If-Match", "\"v1\""}}}).status == 200);
  const auto paid = office.pay("usr_ann", held.text("reservationId"));
  REQUIRE(paid.status == 200);
  CHECK(paid.json().at("seats") == shown_seats);
  CHECK(paid.number("amount") == held.number("amount"));
  CHECK(office.balance("usr_ann") == 5000 - held.number("amount"));
  CHECK(office.shown(held.text("reservationId")).at("seats") == shown_seats);
  for (const auto& seat : shown_seats.as_array()) CHECK(office.seats_become(show, {{std::string{seat.as_string()}, "SOLD"}}));
}

}  // namespace usher::tests
