// Money that is set aside and taken later, or not, and the books of the house, asked over real sockets.

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "tests/client.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

/// A node with what the tests do with money on it.
struct till : test_node {
  using test_node::test_node;

  std::string ann = token("usr_ann");
  std::string service = token("svc_shop", http::role::service);
  std::string director = token("op_director", http::role::operator_);

  answer post(const std::string& path, const json::object& body, const std::string& who, const std::string& key = {}) {
    return client{*this}.post(path, json::serialize(body), who, key);
  }
  void charge(std::int64_t amount) { REQUIRE(post("/balance/charge", {{"amount", amount}}, ann).status == 200); }
  answer use(std::int64_t amount) { return post("/balance/use", {{"amount", amount}}, ann); }
  answer authorize(std::int64_t amount, const std::string& key = {}) { return post("/balance/authorize", {{"amount", amount}}, ann, key); }
  /// Sets money aside. @return the authorization's id
  std::string set_aside(std::int64_t amount) {
    const auto a = authorize(amount);
    INFO(a.body);
    REQUIRE(a.status == 201);
    return a.text("authorizationId");
  }
  answer capture(const std::string& id, const json::object& body = {}, const std::string& key = {}) {
    return post("/balance/authorizations/" + id + "/capture", body, ann, key);
  }
  answer void_funds(const std::string& id, const std::string& key = {}) { return post("/balance/authorizations/" + id + "/void", {}, ann, key); }

  /// Balance, held and available.
  using money = std::array<std::int64_t, 3>;
  money has() {
    const auto a = client{*this}.get("/balance", ann);
    INFO(a.body);
    REQUIRE(a.status == 200);
    return {a.number("balance"), a.number("held"), a.number("available")};
  }
  bool comes_to_have(const money& wanted) {
    return eventually([&] { return has() == wanted; });
  }

  json::object books() { return client{*this}.get("/admin/ledger", director).json(); }
  json::array history() { return client{*this}.get("/balance/histories", ann).json().at("items").as_array(); }

  /// A seat at 1,000, held for Ann. @return the reservation's id
  std::string hold_seat() {
    const auto show = client{*this}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
        "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":10,"tier":"all"}]}]})", director);
    REQUIRE(show.status == 201);
    const auto held = post("/reservations", {{"showId", show.text("showId")}, {"seats", json::array{"A-1"}}}, ann);
    REQUIRE(held.status == 201);
    return held.text("reservationId");
  }
  answer pay(const std::string& reservation) { return post("/payment", {{"reservationId", reservation}}, ann); }
};

using money = till::money;

std::string ended(const answer& a) { return std::to_string(a.status) + ' ' + a.text("code"); }

/// The fields that a problem blames.
std::set<std::string> blamed(const answer& a) {
  std::set<std::string> out;
  const auto body = a.json();
  if (const auto* faults = body.if_contains("faults"))
    for (const auto& f : faults->as_array()) out.emplace(f.as_object().at("field").as_string());
  return out;
}

}  // namespace

TEST_CASE("money is set aside, a part of it is taken, and the rest is free again") {
  till t;
  t.charge(1000);
  const auto a = t.authorize(600);
  INFO(a.body);
  REQUIRE(a.status == 201);
  const auto id = a.text("authorizationId");
  CHECK(id.size() == 20);
  CHECK(id.starts_with("aut_"));
  CHECK(a.json() == json::object{{"authorizationId", id}, {"amount", 600}, {"balance", 1000}, {"held", 600}, {"available", 400},
                                 {"expiresAt", "2027-01-15T08:10:00Z"}});
  CHECK_FALSE(a.header("Log-Position").empty());
  CHECK(t.has() == money{1000, 600, 400});

  const auto c = t.capture(id, {{"amount", 250}});
  INFO(c.body);
  REQUIRE(c.status == 200);
  const auto transaction = c.text("transactionId");
  CHECK(transaction.starts_with("txn_"));
  CHECK(c.json() == json::object{{"authorizationId", id}, {"amount", 250}, {"balance", 750}, {"held", 0}, {"available", 750},
                                 {"transactionId", transaction}});
  CHECK_FALSE(c.header("Log-Position").empty());
  CHECK(t.has() == money{750, 0, 750});

  const auto entries = t.history();
  REQUIRE(entries.size() == 2);
  CHECK(entries[0] == json::object{{"type", "CAPTURE"}, {"amount", 250}, {"balance", 750}, {"at", "2027-01-15T08:00:00Z"},
                                   {"transactionId", transaction}, {"authorizationId", id}});
  CHECK(ended(t.capture(id)) == "409 authorization-ended");
  CHECK(ended(t.void_funds(id)) == "409 authorization-ended");
}

TEST_CASE("without an amount all of it is taken") {
  till t;
  t.charge(1000);
  const auto id = t.set_aside(600);
  CHECK(client{t}.post("/balance/authorizations/" + id + "/capture", "", t.ann).number("amount") == 600);
  CHECK(t.has() == money{400, 0, 400});
}

TEST_CASE("what is voided is free again, once") {
  till t;
  t.charge(1000);
  const auto id = t.set_aside(600);
  CHECK(t.use(401).text("code") == "insufficient-balance");
  CHECK(t.authorize(401).status == 402);
  const auto v = t.void_funds(id);
  INFO(v.body);
  CHECK(v.status == 200);
  CHECK(v.json() == json::object{{"authorizationId", id}, {"amount", 600}, {"balance", 1000}, {"held", 0}, {"available", 1000}});
  CHECK_FALSE(v.header("Log-Position").empty());
  CHECK(t.has() == money{1000, 0, 1000});
  CHECK(ended(t.void_funds(id)) == "409 authorization-ended");
  CHECK(ended(t.capture(id)) == "409 authorization-ended");
  CHECK(ended(t.void_funds("aut_never")) == "409 authorization-ended");
  CHECK(t.use(1000).status == 200);
}

TEST_CASE("money that was set aside is free again when its time is over, by the clock and by itself") {
  till t;
  t.charge(1000);
  const auto id = t.set_aside(600);
  const auto longer = t.post("/balance/authorize", {{"amount", 100}, {"seconds", 601}}, t.ann);
  REQUIRE(longer.status == 201);
  t.clock.advance(600s - 1ms);
  CHECK(t.use(301).status == 402);
  t.clock.advance(1ms);
  CHECK(ended(t.capture(id)) == "409 authorization-ended");  // perhaps before anybody has woken the wallet
  CHECK(ended(t.void_funds(id)) == "409 authorization-ended");
  CHECK(t.use(900).status == 200);
  CHECK(t.has() == money{100, 100, 0});
  t.clock.advance(1s);
  CHECK(t.comes_to_have({100, 0, 100}));  // though nobody asks the wallet for anything
  CHECK(t.history().size() == 2);
}

TEST_CASE("a restart knows what is set aside, and it still ends on time") {
  till t;
  t.charge(1000);
  const auto kept = t.set_aside(100), ends = t.set_aside(200);
  REQUIRE(t.post("/balance/authorize", {{"amount", 300}, {"seconds", 3600}}, t.ann).status == 201);
  t.restart();
  CHECK(t.has() == money{1000, 600, 400});
  CHECK(t.use(401).status == 402);
  CHECK(t.capture(kept).number("balance") == 900);
  t.restart();
  t.clock.advance(600s);
  CHECK(t.comes_to_have({900, 300, 600}));
  CHECK(ended(t.capture(ends)) == "409 authorization-ended");
  t.stop();
  t.clock.advance(3600s);
  t.start();
  CHECK(t.comes_to_have({900, 0, 900}));
}

TEST_CASE("the same request twice with one key sets aside, takes or frees once, also after a restart") {
  till t;
  t.charge(1000);
  const auto twice = [&](const std::string& path, const json::object& body, const json::object& other) {
    const auto key = path + "-key";
    const auto first = t.post(path, body, t.ann, key);
    INFO(path << ' ' << first.body);
    CHECK(first.status < 300);
    CHECK(first.header("Idempotency-Replayed").empty());
    for (int i = 0; i < 2; ++i) {
      const auto again = t.post(path, body, t.ann, key);
      CHECK(again.status == first.status);
      CHECK(again.body == first.body);
      CHECK(again.header("Idempotency-Replayed") == "true");
      CHECK(again.header("Log-Position") == first.header("Log-Position"));
      CHECK(t.post(path, other, t.ann, key).text("code") == "idempotency-key-reused");
      if (i == 0) t.restart();
    }
    return first;
  };
  const auto authorized = twice("/balance/authorize", {{"amount", 600}}, {{"amount", 601}});
  CHECK(t.has() == money{1000, 600, 400});
  const auto id = authorized.text("authorizationId");
  twice("/balance/authorizations/" + id + "/capture", {{"amount", 100}}, {{"amount", 101}});
  CHECK(t.has() == money{900, 0, 900});
  twice("/balance/authorizations/" + t.set_aside(50) + "/void", {}, {{"userId", "usr_ann"}});
  CHECK(t.has() == money{900, 0, 900});
  CHECK(t.history().size() == 2);
}

TEST_CASE("of seventy uses at once as many succeed as there is money that is not set aside") {
  till t;
  t.charge(100);
  const auto id = t.set_aside(60);
  const auto answers = at_once(t.port(), 20, std::vector<request>(70, {"POST", "/balance/use", R"({"amount":1})", t.ann, {}}));
  CHECK(std::ranges::count(answers, 200U, &answer::status) == 40);
  CHECK(std::ranges::count(answers, 402U, &answer::status) == 30);
  CHECK(t.has() == money{60, 60, 0});
  CHECK(t.capture(id).number("balance") == 0);
}

TEST_CASE("of seventy who set money aside at once nobody gets what another has") {
  till t;
  t.charge(100);
  const auto answers = at_once(t.port(), 20, std::vector<request>(70, {"POST", "/balance/authorize", R"({"amount":3})", t.ann, {}}));
  CHECK(std::ranges::count(answers, 201U, &answer::status) == 33);
  CHECK(std::ranges::count(answers, 402U, &answer::status) == 37);
  std::set<std::string> ids;
  for (const auto& a : answers)
    if (a.status == 201) ids.insert(a.text("authorizationId"));
  CHECK(ids.size() == 33);
  CHECK(t.has() == money{100, 99, 1});
}

TEST_CASE("a reservation is not paid with money that is set aside, and is once that is free") {
  till t;
  t.charge(1500);
  const auto id = t.set_aside(501);
  const auto reservation = t.hold_seat();
  const auto refused = t.pay(reservation);
  CHECK(refused.status == 402);
  CHECK(refused.text("code") == "insufficient-balance");
  CHECK(t.has() == money{1500, 501, 999});
  CHECK(t.void_funds(id).status == 200);
  const auto paid = t.pay(reservation);
  INFO(paid.body);
  CHECK(paid.status == 200);
  CHECK(t.has() == money{500, 0, 500});
}

TEST_CASE("an amount is a whole number from 1 to a million million, and whoever writes another hears which field is wrong") {
  till t;
  t.charge(1000);
  const auto id = t.set_aside(100);
  const auto capture = "/balance/authorizations/" + id + "/capture";
  const auto refused = [&](const std::string& path, const std::string& body, unsigned status, const std::string& field) {
    const auto a = client{t}.post(path, body, t.ann);
    INFO(path << ' ' << body << ": " << a.body);
    CHECK(a.status == status);
    CHECK(a.text("code") == (status == 400 ? "invalid-request" : "validation-failed"));
    CHECK(blamed(a) == std::set<std::string>{field});
  };
  for (const auto& path : {std::string{"/balance/charge"}, std::string{"/balance/use"}, std::string{"/balance/authorize"}, capture}) {
    for (const std::string amount : {"0.1", "1.5", "1e-2", "-0.5", "99.999999", "9223372036854775808", "18446744073709551616", "1e300", "\"1\"", "true", "[1]"})
      refused(path, R"({"amount":)" + amount + "}", 400, "amount");
    for (const std::string amount : {"0", "-0", "-1", "1000000000001", "9223372036854775807", "-9223372036854775808"})
      refused(path, R"({"amount":)" + amount + "}", 422, "amount");
    refused(path, R"({"amount":1,"sum":1})", 400, "sum");
  }
  for (const auto* path : {"/balance/charge", "/balance/use", "/balance/authorize"}) refused(path, "{}", 422, "amount");
  refused(capture, R"({"amount":101})", 422, "amount");
  for (const std::string seconds : {"0", "604801"}) refused("/balance/authorize", R"({"amount":1,"seconds":)" + seconds + "}", 422, "seconds");
  for (const std::string seconds : {"-1", "0.5", "4294967296"}) refused("/balance/authorize", R"({"amount":1,"seconds":)" + seconds + "}", 400, "seconds");
  CHECK(t.has() == money{1000, 100, 900});
  CHECK(t.post("/balance/authorize", {{"amount", 1}, {"seconds", 604800}}, t.ann).text("expiresAt") == "2027-01-22T08:00:00Z");
}

TEST_CASE("what a house lets nobody use at once, nobody sets aside at once") {
  auto config = default_configuration();
  config.set_wallet_use_max(50);
  till t{config};
  t.charge(1000);
  CHECK(t.authorize(51).status == 422);
  CHECK(t.authorize(50).status == 201);
}

TEST_CASE("a wallet has a hundred authorizations at most") {
  till t;
  t.charge(1000);
  const auto answers = at_once(t.port(), 20, std::vector<request>(101, {"POST", "/balance/authorize", R"({"amount":1})", t.ann, {}}));
  CHECK(std::ranges::count(answers, 201U, &answer::status) == 100);
  const auto refused = std::ranges::find(answers, 422U, &answer::status);
  REQUIRE(refused != answers.end());
  CHECK(refused->text("code") == "validation-failed");
  CHECK(refused->text("detail").starts_with("100 authorizations are open"));
  CHECK(t.has() == money{1000, 100, 900});
}

TEST_CASE("only a service or an operator sets aside somebody else's money, and an authorization is of one wallet") {
  till t;
  t.charge(1000);
  const json::object for_ann{{"amount", 10}, {"userId", "usr_ann"}};
  CHECK(t.post("/balance/authorize", for_ann, t.token("usr_ben")).status == 403);
  const auto a = t.post("/balance/authorize", for_ann, t.service);
  REQUIRE(a.status == 201);
  const auto path = "/balance/authorizations/" + a.text("authorizationId");
  CHECK(ended(t.post(path + "/void", {}, t.token("usr_ben"))) == "409 authorization-ended");
  CHECK(t.post(path + "/void", {{"userId", "usr_ann"}}, t.token("usr_ben")).status == 403);
  CHECK(ended(t.post(path + "/capture", {}, t.service)) == "409 authorization-ended");
  CHECK(t.post(path + "/capture", {{"userId", "usr_ann"}, {"amount", 4}}, t.token("usr_ben")).status == 403);
  CHECK(t.post(path + "/capture", {{"userId", "usr_ann"}, {"amount", 4}}, t.service).number("balance") == 996);
  CHECK(client{t}.post("/balance/authorize", R"({"amount":10})", {}).status == 401);
}

TEST_CASE("a read sees the authorization that it was told of, and its ETag moves with it") {
  till t;
  t.charge(1000);
  client c{t};
  const auto before = c.get("/balance", t.ann);
  const auto a = t.authorize(10);
  const auto after = c.ask({"GET", "/balance", {}, t.ann, {{"Min-Log-Position", a.header("Log-Position")}, {"If-None-Match", before.header("ETag")}}});
  CHECK(after.status == 200);
  CHECK(after.number("held") == 10);
  CHECK(c.ask({"GET", "/balance", {}, t.ann, {{"If-None-Match", after.header("ETag")}}}).status == 304);
  CHECK(c.get("/balance/usr_ann", t.service).number("available") == 990);
}

TEST_CASE("the house's books show where all money came from and went, and add up to nothing") {
  till t;
  CHECK(client{t}.get("/admin/ledger", t.ann).status == 403);
  CHECK(t.books() == json::object{{"accounts", json::object{{"wallets", 0}, {"held", 0}, {"topUps", 0}, {"sales", 0}, {"spending", 0}, {"refunds", 0}}},
                                  {"trialBalance", 0}, {"mismatches", 0}});
  t.charge(5000);
  t.use(300);
  const auto reservation = t.hold_seat();
  REQUIRE(t.pay(reservation).status == 200);
  CHECK(t.capture(t.set_aside(200), {{"amount", 150}}).status == 200);
  CHECK(t.void_funds(t.set_aside(70)).status == 200);
  t.set_aside(40);
  REQUIRE(t.post("/balance/charge", {{"amount", 11}, {"userId", "usr_ben"}}, t.service).status == 200);
  const auto sold = [&](std::int64_t refunded, std::int64_t held) {
    const auto wallets = 5011 - 300 - 1000 - 150 + refunded - held;
    return json::object{{"accounts", json::object{{"wallets", wallets}, {"held", held}, {"topUps", -5011}, {"sales", 1000}, {"spending", 450}, {"refunds", -refunded}}},
                        {"trialBalance", 0}, {"mismatches", 0}};
  };
  const auto come_to = [&](const json::object& wanted) {
    return eventually([&] { return t.books() == wanted; });
  };
  CHECK(come_to(sold(0, 40)));
  REQUIRE(t.post("/reservations/" + reservation + "/cancel", {}, t.ann).status == 200);
  CHECK(come_to(sold(1000, 40)));
  t.restart();
  CHECK(t.books() == sold(1000, 40));
  t.clock.advance(600s);
  CHECK(come_to(sold(1000, 0)));
  CHECK(client{t}.get("/metrics").body.find("\nusher_ledger_imbalance 0\n") != std::string::npos);
}

}  // namespace usher::tests
