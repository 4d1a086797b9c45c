// Paying by others than the wallet: over real sockets, with signed callbacks in time, late, twice, wrong or never.

#include <catch2/catch.hpp>

#include "http/secret.hpp"
#include "tests/client.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

v1::Configuration with_sandbox() {
  auto config = default_configuration();
  config.set_sandbox_provider(true);
  return config;
}

/// A node that takes money by the sandbox, and a hall of ten seats and a floor of three places at 1,000 each.
struct box_office : test_node {
  box_office() : test_node(with_sandbox()) {}

  std::string service = token("svc_door", http::role::service);
  std::string show = opened();

  std::string opened() {
    const auto a = client{*this}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","ticketLimit":4,"tiers":[{"name":"all","price":1000}],
        "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":10,"tier":"all"}]},
                    {"name":"floor","kind":"generalAdmission","stock":3,"tier":"all"}]})", token("op", http::role::operator_));
    REQUIRE(a.status == 201);
    return a.text("showId");
  }
  answer reserve(const std::string& user, const std::string& what) {
    return client{*this}.post("/reservations", R"({"showId":")" + show + "\"," + what + "}", token(user));
  }
  /// Two seats and a place. @return the reservation's id
  std::string hold(const std::string& user) {
    const auto held = reserve(user, R"("seats":["A-1","A-2"],"generalAdmission":[{"section":"floor","quantity":1}])");
    INFO(held.body);
    REQUIRE(held.status == 201);
    return held.text("reservationId");
  }
  answer pay(const std::string& user, const std::string& reservation, const std::string& method) {
    return client{*this}.post("/payment", json::serialize(json::object{{"reservationId", reservation}, {"provider", "sandbox"}, {"method", method}}), token(user));
  }
  json::object shown(const std::string& reservation) { return client{*this}.get("/reservations/" + reservation, service).json(); }
  bool becomes(const std::string& reservation, const std::string& status) {
    return eventually([&] { return shown(reservation).at("status").as_string() == status; });
  }
  std::string payment_status(const std::string& reservation, std::size_t attempt = 0) {
    return std::string{shown(reservation).at("payments").at(attempt).at("status").as_string()};
  }
  bool payment_becomes(const std::string& reservation, const std::string& status) {
    return eventually([&] { return payment_status(reservation) == status; });
  }
  std::string seat(const std::string& name) {
    const auto page = client{*this}.get("/shows/" + show + "/seats?limit=200").json();
    for (const auto& item : page.at("items").as_array())
      if (item.at("seat").as_string() == name) return std::string{item.at("status").as_string()};
    return "no such seat";
  }
  bool seat_becomes(const std::string& name, const std::string& status) {
    return eventually([&] { return seat(name) == status; });
  }

  /// What the provider would say, signed with its secret.
  answer verdict(const std::string& body, std::chrono::seconds age = 0s, const std::string& provider = "sandbox") {
    const auto secret = http::secret_from(sandbox_secret_file(directory())).value();
    return client{*this}.ask({"POST", "/payment/providers/" + provider + "/verdicts", body, {},
                              {{"Usher-Signature", http::sign_message(secret, body, clock.now() - age)}}});
  }
  static std::string says(const std::string& payment, const std::string& verdict, std::int64_t amount = 3000) {
    return json::serialize(json::object{{"paymentId", payment}, {"verdict", verdict}, {"amount", amount}});
  }
};

}  // namespace

TEST_CASE("a provider that takes the money has the seats sold, and gives it back when they are cancelled") {
  box_office office;
  const auto id = office.hold("usr_ann");
  const auto asked = office.pay("usr_ann", id, "accept");
  CHECK(asked.status == 202);
  CHECK(asked.text("status") == "PAYING");
  CHECK(asked.text("provider") == "sandbox");
  CHECK(asked.number("amount") == 3000);
  REQUIRE(office.becomes(id, "CONFIRMED"));
  CHECK(office.payment_status(id) == "PAID");
  CHECK(office.seat_becomes("A-1", "SOLD"));
  CHECK(client{office}.get("/balance", office.token("usr_ann")).number("balance") == 0);

  const auto cancelled = client{office}.post("/reservations/" + id + "/cancel", R"({"reason":"ill"})", office.token("usr_ann"));
  CHECK(cancelled.status == 200);
  CHECK(cancelled.text("status") == "REFUNDING");
  REQUIRE(office.becomes(id, "CANCELLED"));
  CHECK(office.payment_status(id) == "GIVEN_BACK");
  CHECK(office.seat_becomes("A-1", "AVAILABLE"));
}

TEST_CASE("a provider that declines leaves the hold, and the buyer pays otherwise") {
  box_office office;
  const auto id = office.hold("usr_ann");
  REQUIRE(office.pay("usr_ann", id, "decline").status == 202);
  REQUIRE(office.payment_becomes(id, "DECLINED"));
  CHECK(office.shown(id).at("status").as_string() == "PENDING");
  REQUIRE(client{office}.post("/balance/charge", R"({"amount":3000})", office.token("usr_ann")).status == 200);
  CHECK(client{office}.post("/payment", R"({"reservationId":")" + id + R"("})", office.token("usr_ann")).text("status") == "CONFIRMED");
  CHECK(office.payment_status(id, 1) == "PAID");
}

TEST_CASE("a provider that says it twice is paid once") {
  box_office office;
  const auto id = office.hold("usr_ann");
  REQUIRE(office.pay("usr_ann", id, "twice").status == 202);
  REQUIRE(office.becomes(id, "CONFIRMED"));
  const auto again = office.verdict(office.says("pay_" + id.substr(4) + "_1", "paid"));
  CHECK(again.status == 200);
  CHECK(again.text("status") == "PAID");
  CHECK(office.shown(id).at("payments").as_array().size() == 1);
}

TEST_CASE("the same request to a provider again asks it once and answers alike") {
  box_office office;
  const auto id = office.hold("usr_ann");
  const auto body = json::serialize(json::object{{"reservationId", id}, {"provider", "sandbox"}, {"method", "never"}});
  const auto first = client{office}.post("/payment", body, office.token("usr_ann"), "once");
  const auto second = client{office}.post("/payment", body, office.token("usr_ann"), "once");
  CHECK(first.status == 202);
  CHECK(second.status == 202);
  CHECK(second.body == first.body);
  CHECK(second.header("Idempotency-Replayed") == "true");
  CHECK(office.pay("usr_ann", id, "accept").text("code") == "reservation-not-pending");
}

TEST_CASE("a provider that never answers costs the hold, and nothing else") {
  box_office office;
  const auto id = office.hold("usr_ann");
  REQUIRE(office.pay("usr_ann", id, "never").status == 202);
  office.clock.advance(299s);
  CHECK(office.seat("A-1") == "HELD");
  office.clock.advance(1s);
  REQUIRE(office.becomes(id, "EXPIRED"));
  CHECK(office.payment_status(id) == "LAPSED");
  CHECK(office.seat_becomes("A-1", "AVAILABLE"));
  CHECK(office.reserve("usr_ben", R"("seats":["A-1"])").status == 201);
}

TEST_CASE("late money gets the same seats if they are still free") {
  box_office office;
  const auto id = office.hold("usr_ann");
  const auto payment = office.pay("usr_ann", id, "never").text("paymentId");
  office.clock.advance(300s);
  REQUIRE(office.becomes(id, "EXPIRED"));
  const auto late = office.verdict(office.says(payment, "paid"));
  CHECK(late.status == 200);
  CHECK(late.text("status") == "PAID");
  CHECK(office.shown(id).at("status").as_string() == "CONFIRMED");
  CHECK(office.seat_becomes("A-1", "SOLD"));
  CHECK(office.seat_becomes("A-2", "SOLD"));
  CHECK(office.reserve("usr_ann", R"("seats":["A-5","A-6"])").text("code") == "ticket-limit-exceeded");
}

TEST_CASE("late money whose seats are gone goes back, and both are told so") {
  box_office office;
  const auto id = office.hold("usr_ann");
  const auto payment = office.pay("usr_ann", id, "never").text("paymentId");
  office.clock.advance(300s);
  REQUIRE(office.becomes(id, "EXPIRED"));
  REQUIRE(office.reserve("usr_ben", R"("seats":["A-2"])").status == 201);
  const auto late = office.verdict(office.says(payment, "paid"));
  CHECK(late.status == 200);
  CHECK((late.text("status") == "GIVING_BACK" || late.text("status") == "GIVEN_BACK"));
  REQUIRE(office.payment_becomes(id, "GIVEN_BACK"));
  CHECK(office.shown(id).at("status").as_string() == "EXPIRED");
  CHECK(office.seat("A-1") == "AVAILABLE");
  CHECK(office.seat("A-2") == "HELD");
  CHECK(office.verdict(office.says(payment, "paid")).text("status") == "GIVEN_BACK");
}

TEST_CASE("late money goes back to whoever has used the limit otherwise meanwhile") {
  box_office office;
  const auto id = office.hold("usr_ann");
  const auto payment = office.pay("usr_ann", id, "never").text("paymentId");
  office.clock.advance(300s);
  REQUIRE(office.becomes(id, "EXPIRED"));
  REQUIRE(office.reserve("usr_ann", R"("seats":["A-7","A-8"])").status == 201);
  CHECK(office.verdict(office.says(payment, "paid")).status == 200);
  CHECK(office.payment_becomes(id, "GIVEN_BACK"));
  CHECK(office.seat("A-1") == "AVAILABLE");
}

TEST_CASE("a restart asks the provider again") {
  box_office office;
  const auto id = office.hold("usr_ann");
  // Told only after a second, of which the provider remembers nothing once it has ended with the node.
  REQUIRE(office.pay("usr_ann", id, "late:1").status == 202);
  office.restart();
  CHECK(office.shown(id).at("status").as_string() == "PAYING");
  office.clock.advance(2s);
  REQUIRE(office.becomes(id, "CONFIRMED"));
  CHECK(office.payment_status(id) == "PAID");
}

TEST_CASE("nobody but the provider says what became of a payment") {
  box_office office;
  const auto id = office.hold("usr_ann");
  const auto payment = office.pay("usr_ann", id, "never").text("paymentId");
  const auto paid = office.says(payment, "paid");
  CHECK(client{office}.ask({"POST", "/payment/providers/sandbox/verdicts", paid, office.service, {}}).status == 401);
  CHECK(client{office}.ask({"POST", "/payment/providers/sandbox/verdicts", paid, {}, {{"Usher-Signature", "t=1,v1=00"}}}).status == 401);
  CHECK(office.verdict(paid, 301s).status == 401);
  CHECK(office.verdict(paid, -301s).status == 401);
  const auto signature = http::sign_message(http::secret_from(sandbox_secret_file(office.directory())).value(), paid, office.clock.now());
  CHECK(client{office}.ask({"POST", "/payment/providers/sandbox/verdicts", office.says(payment, "paid", 1), {}, {{"Usher-Signature", signature}}}).status == 401);
  CHECK(office.verdict(paid, 0s, "other").status == 404);
  CHECK(office.shown(id).at("status").as_string() == "PAYING");
}

TEST_CASE("a verdict that makes no sense changes nothing and is told why") {
  box_office office;
  const auto id = office.hold("usr_ann");
  const auto payment = office.pay("usr_ann", id, "never").text("paymentId");
  CHECK(office.verdict(office.says(payment, "paid", 2999)).text("code") == "validation-failed");
  CHECK(office.verdict(office.says(payment, "paid", 0)).text("code") == "validation-failed");
  CHECK(office.verdict(office.says(payment, "maybe")).text("code") == "validation-failed");
  CHECK(office.verdict(office.says(payment, "refunded")).status == 409);
  CHECK(office.verdict(office.says("pay_x", "paid")).status == 404);
  CHECK(office.verdict(office.says("pay_" + id.substr(4) + "_2", "paid")).status == 404);
  CHECK(office.verdict("{").status == 400);
  CHECK(office.shown(id).at("status").as_string() == "PAYING");
}

TEST_CASE("what a provider does not know is refused before anything happens") {
  box_office office;
  const auto id = office.hold("usr_ann");
  CHECK(office.pay("usr_ann", id, "late:0").text("code") == "validation-failed");
  CHECK(office.pay("usr_ann", id, "magic").text("code") == "validation-failed");
  const auto other = client{office}.post("/payment", R"({"reservationId":")" + id + R"(","provider":"nobody"})", office.token("usr_ann"));
  CHECK(other.json().at("faults").at(0).at("field").as_string() == "provider");
  CHECK(office.shown(id).at("status").as_string() == "PENDING");
}

TEST_CASE("a node without the sandbox has no such provider") {
  test_node plain;
  CHECK(client{plain}.ask({"POST", "/payment/providers/sandbox/verdicts", "{}", {}, {}}).status == 404);
}

}  // namespace usher::tests
