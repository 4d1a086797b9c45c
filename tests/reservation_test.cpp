// A reservation holds everything or nothing, and exactly one of expiry, release, payment and cancellation ends it.

#include "actors/reservation.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

using lines = std::vector<std::string>;

const std::string id = "rsv_x_1";
const std::string place_two_seats_and_three_places = R"(place {
  user_id: 'usr_ann'
  seats { seat: 'B-2' tier: 'gold' price: 500 } seats { seat: 'A-1' tier: 'gold' price: 500 }
  general_admission { section: 'lawn' quantity: 1 tier: 'lawn' price: 10 capacity: 50 }
  general_admission { section: 'floor' quantity: 2 tier: 'floor' price: 100 capacity: 70 }
  currency: 'EUR' ticket_limit: 8 hold_seconds: 300 })";
const std::string pays = "pay { key { user_id: 'usr_ann' key: 'k1' fingerprint: 7 } }";
const std::string cancels = "cancel { reason: 'ill' key { user_id: 'usr_ann' key: 'k2' fingerprint: 8 } }";
const std::string debited = "settle_payment { payment_id: 'pay_x_1_1' debited: true }";
const std::string not_debited = "settle_payment { payment_id: 'pay_x_1_1' }";
const std::string refunded = "settle_refund { payment_id: 'pay_x_1_1' }";

using world = given<reservation>;

world nothing() { return world{reservation_ref(id)}; }

/// Runs the commands, all of which must be taken.
world after(std::initializer_list<std::string> commands) {
  auto w = nothing();
  for (const auto& c : commands) {
    const auto d = w.when(c);
    REQUIRE((accepted(d) || parked(d)));
  }
  return w;
}
world pending() { return after({place_two_seats_and_three_places}); }
world paying() { return after({place_two_seats_and_three_places, pays}); }
world confirmed() { return after({place_two_seats_and_three_places, pays, debited}); }
world refunding() { return after({place_two_seats_and_three_places, pays, debited, cancels}); }
world cancelled() { return after({place_two_seats_and_three_places, pays, debited, cancels, refunded}); }
world released() { return after({place_two_seats_and_three_places, "release {}"}); }
world expired() {
  auto w = pending();
  REQUIRE(accepted(w.pass(seconds{300}).when_woken()));
  return w;
}

lines freed(const std::string& sold = "") {
  return {R"(allowance/shw_x/usr_ann: allowance { restore { reservation_id: "rsv_x_1" quantity: 5 } })",
          R"(seat/shw_x/A-1: seat { release { reservation_id: "rsv_x_1" } })",
          R"(seat/shw_x/B-2: seat { release { reservation_id: "rsv_x_1" } })",
          R"(stock/shw_x/floor: stock { give_back { reservation_id: "rsv_x_1" quantity: 2)" + sold + " } }",
          R"(stock/shw_x/lawn: stock { give_back { reservation_id: "rsv_x_1" quantity: 1)" + sold + " } }"};
}

/// Everything but the status, in the client's order.
void check_outcome(const v1::Outcome& o, v1::ReservationStatus status) {
  CHECK(o.reservation().status() == status);
  CHECK(o.reservation().reservation_id() == id);
  REQUIRE(o.reservation().seats_size() == 2);
  CHECK(o.reservation().seats(0) == "B-2");
  CHECK(o.reservation().seats(1) == "A-1");
  REQUIRE(o.reservation().general_admission_size() == 2);
  CHECK(o.reservation().general_admission(0).section() == "lawn");
  CHECK(o.reservation().general_admission(1).quantity() == 2);
  CHECK(o.reservation().amount() == 1210);
  CHECK(o.reservation().currency() == "EUR");
  CHECK(o.reservation().hold_expires_at_ms() == 1'300'000);
}

std::string place_with(const std::string& rest) {
  return "place { user_id: 'usr_ann' ticket_limit: 8 hold_seconds: 300 " + rest + " }";
}

}  // namespace

// --- place -----------------------------------------------------------------------------------------------------------

TEST_CASE("seats and places are held together, in the fixed order, and the answer keeps the client's order") {
  auto w = nothing();
  const auto d = w.when(place_two_seats_and_three_places);
  CHECK(accepted(d));
  REQUIRE(d.events.size() == 1);
  CHECK(d.events[0].placed().amount() == 1210);
  CHECK(d.events[0].placed().at_ms() == 1'000'000);
  CHECK(parts_of(d) ==
        lines{R"(allowance/shw_x/usr_ann: allowance { use { reservation_id: "rsv_x_1" quantity: 5 limit: 8 } })",
              R"(seat/shw_x/A-1: seat { hold { reservation_id: "rsv_x_1" } })",
              R"(seat/shw_x/B-2: seat { hold { reservation_id: "rsv_x_1" } })",
              R"(stock/shw_x/floor: stock { take { reservation_id: "rsv_x_1" quantity: 2 capacity: 70 } })",
              R"(stock/shw_x/lawn: stock { take { reservation_id: "rsv_x_1" quantity: 1 capacity: 50 } })"});
  check_outcome(d.outcome, v1::PENDING);
  CHECK(w.state().status() == v1::PENDING);
  CHECK(w.deadline() == w.now() + seconds{300});
  CHECK(w.reaction().empty());
}

TEST_CASE("the same request again has the same reservation, whatever became of it") {
  auto w = pending();
  const auto d = w.when(place_two_seats_and_three_places);
  CHECK(accepted_unchanged(d));
  check_outcome(d.outcome, v1::PENDING);
  const auto later = expired().when(place_two_seats_and_three_places);
  CHECK(accepted_unchanged(later));
  check_outcome(later.outcome, v1::EXPIRED);
}

TEST_CASE("a reservation is nobody else's to place") {
  CHECK(refused(pending().when("place { user_id: 'usr_bob' }")) == v1::ALREADY_EXISTS);
  CHECK(refused(nothing().as_user("usr_bob").when(place_two_seats_and_three_places)) == v1::FORBIDDEN);
  CHECK(accepted(nothing().as_user("usr_ann").when(place_two_seats_and_three_places)));
}

TEST_CASE("a choice that makes no sense is refused, and every bad field is named") {
  const std::vector<std::pair<std::string, lines>> table{
      {"place {}", {"userId", "seats"}},
      {place_with(""), {"seats"}},
      {place_with("seats { seat: 'A-1' } seats { seat: 'A-2' } seats { seat: 'A-1' }"), {"seats[2]"}},
      {place_with("general_admission { section: 'floor' }"), {"generalAdmission[0].quantity"}},
      {place_with("general_admission { section: 'floor' quantity: 1 } general_admission { section: 'floor' quantity: 1 }"),
       {"generalAdmission[1].section"}},
      {place_with("seats { seat: 'A-1' } general_admission { section: 'floor' quantity: 4294967295 }"), {"generalAdmission"}},
      {place_with("seats { seat: 'A-1' price: 9223372036854775807 } seats { seat: 'A-2' price: 1 }"), {""}},
      {place_with("general_admission { section: 'floor' quantity: 2 price: 9223372036854775807 }"), {""}},
  };
  for (const auto& [command, fields] : table) {
    INFO(command);
    const auto d = nothing().when(command);
    CHECK(refused(d) == v1::VALIDATION_FAILED);
    CHECK(blamed(d.rejection) == fields);
  }
}

TEST_CASE("nothing is sold before the sale opens or from when it closes") {
  const std::string times = "seats { seat: 'A-1' } sale_opens_at_ms: 1000000 sale_closes_at_ms: 1001000";
  CHECK(refused(nothing().pass(milliseconds{-1}).when(place_with(times))) == v1::SALE_CLOSED);
  CHECK(accepted(nothing().when(place_with(times))));
  CHECK(accepted(nothing().pass(milliseconds{999}).when(place_with(times))));
  CHECK(refused(nothing().pass(milliseconds{1000}).when(place_with(times))) == v1::SALE_CLOSED);
}

// --- the ends of a hold ----------------------------------------------------------------------------------------------

TEST_CASE("a hold expires when it is due and not before, and everything is free again") {
  auto w = pending();
  CHECK(accepted_unchanged(w.pass(milliseconds{299'999}).when_woken()));
  const auto d = w.pass(milliseconds{1}).when_woken();
  CHECK(events_of(d) == "expired { at_ms: 1300000 }");
  CHECK(parts_of(d) == freed());
  CHECK(w.state().status() == v1::EXPIRED);
  CHECK(w.state().ended_at_ms() == 1'300'000);
  CHECK_FALSE(w.deadline());
  CHECK(accepted_unchanged(w.when_woken()));
}

TEST_CASE("a hold that is given up frees everything, once") {
  auto w = pending();
  const auto d = w.pass(seconds{1}).when("release {}");
  CHECK(events_of(d) == "released { at_ms: 1001000 }");
  CHECK(parts_of(d) == freed());
  check_outcome(d.outcome, v1::RELEASED);
  CHECK_FALSE(w.deadline());

  const auto again = w.when("release {}");
  CHECK(accepted_unchanged(again));
  check_outcome(again.outcome, v1::RELEASED);
  CHECK(accepted_unchanged(w.pass(seconds{300}).when_woken()));
}

TEST_CASE("only a hold can be given up, and while money moves it is not known whether it is one") {
  CHECK(refused(expired().when("release {}")) == v1::RESERVATION_EXPIRED);
  CHECK(refused(confirmed().when("release {}")) == v1::RESERVATION_NOT_PENDING);
  CHECK(refused(cancelled().when("release {}")) == v1::RESERVATION_NOT_PENDING);
  CHECK(postponed(paying().when("release {}")));
  CHECK(postponed(refunding().when("release {}")));
}

// --- payment ---------------------------------------------------------------------------------------------------------

TEST_CASE("a payment starts under an id of its own, and the wallet is asked until it answers") {
  auto w = pending();
  const auto d = w.pass(seconds{9}).when(pays);
  CHECK(parked(d));
  CHECK(events_of(d) == R"(payment_started { payment_id: "pay_x_1_1" at_ms: 1009000 key { user_id: "usr_ann" key: "k1" fingerprint: 7 } })");
  CHECK(d.parts.empty());
  CHECK(w.state().status() == v1::PAYING);
  CHECK(w.deadline() == w.now() + seconds{1});
  for (int i = 0; i != 2; ++i) {
    const auto owed = w.reaction();
    REQUIRE(owed.size() == 1);
    CHECK(key_of(owed[0].to) == "wallet/usr_ann");
    CHECK(to_text(owed[0].command) ==
          R"(wallet { debit { payment_id: "pay_x_1_1" reservation_id: "rsv_x_1" show_id: "shw_x" amount: 1210 } })");
    CHECK(accepted_unchanged(w.pass(seconds{600}).when_woken()));
  }
}

TEST_CASE("a hold that is due can't be paid for, whether or not its expiry is recorded") {
  CHECK(parked(pending().pass(milliseconds{299'999}).when(pays)));
  CHECK(refused(pending().pass(milliseconds{300'000}).when(pays)) == v1::RESERVATION_EXPIRED);
  CHECK(refused(expired().when(pays)) == v1::RESERVATION_EXPIRED);
}

TEST_CASE("a debited payment confirms the reservation and sells all of it") {
  auto w = paying();
  const auto d = w.pass(seconds{301}).when(debited);
  CHECK(accepted(d));
  CHECK(events_of(d) == R"(confirmed { payment_id: "pay_x_1_1" at_ms: 1301000 })");
  CHECK(parts_of(d) == lines{R"(seat/shw_x/A-1: seat { sell { reservation_id: "rsv_x_1" } })",
                             R"(seat/shw_x/B-2: seat { sell { reservation_id: "rsv_x_1" } })",
                             R"(stock/shw_x/floor: stock { sell { reservation_id: "rsv_x_1" quantity: 2 } })",
                             R"(stock/shw_x/lawn: stock { sell { reservation_id: "rsv_x_1" quantity: 1 } })"});
  REQUIRE(d.settles);
  CHECK_FALSE(d.settles->rejection);
  CHECK(to_text(d.settles->outcome) ==
        R"(payment { payment_id: "pay_x_1_1" reservation_id: "rsv_x_1" status: CONFIRMED amount: 1210 currency: "EUR" )"
        R"(seats: "B-2" seats: "A-1" general_admission { section: "lawn" quantity: 1 } general_admission { section: "floor" quantity: 2 } })");
  REQUIRE(d.settles->key);
  CHECK(d.settles->key->key() == "k1");
  CHECK(d.settles->key->fingerprint() == 7);
  CHECK_FALSE(w.deadline());
  CHECK(w.reaction().empty());
}

TEST_CASE("a refused payment leaves the hold as it was") {
  auto early = paying();
  const auto d = early.when(not_debited);
  CHECK(events_of(d) == R"(payment_declined { payment_id: "pay_x_1_1" at_ms: 1000000 hold_expires_at_ms: 1300000 })");
  CHECK(d.parts.empty());
  REQUIRE(d.settles);
  REQUIRE(d.settles->rejection);
  CHECK(d.settles->rejection->code() == v1::INSUFFICIENT_BALANCE);
  CHECK_FALSE(d.settles->key);
  CHECK(early.state().status() == v1::PENDING);
  CHECK(early.reaction().empty());

  auto late = paying();
  late.pass(seconds{299}).when(not_debited);
  CHECK(late.deadline() == late.now() + seconds{1});
}

TEST_CASE("after a refused payment the next one has another id, and can go through") {
  auto w = paying();
  w.when(not_debited);
  const auto d = w.when("pay {}");
  CHECK(parked(d));
  CHECK(d.events[0].payment_started().payment_id() == "pay_x_1_2");
  CHECK(accepted_unchanged(w.when(not_debited)));
  CHECK(w.state().status() == v1::PAYING);
  const auto paid = w.when("settle_payment { payment_id: 'pay_x_1_2' debited: true }");
  REQUIRE(paid.settles);
  CHECK_FALSE(paid.settles->key);
  CHECK(w.state().status() == v1::CONFIRMED);
}

TEST_CASE("the same verdict twice changes nothing") {
  CHECK(accepted_unchanged(confirmed().when(debited)));
  CHECK(accepted_unchanged(refunding().when(debited)));
  CHECK(accepted_unchanged(cancelled().when(debited)));
  CHECK(accepted_unchanged(cancelled().when(refunded)));
  auto declined = paying();
  declined.when(not_debited);
  CHECK(accepted_unchanged(declined.when(not_debited)));
  CHECK(declined.state().status() == v1::PENDING);
}

TEST_CASE("a verdict that the reservation can't have asked for is refused") {
  const std::string foreign = "settle_payment { payment_id: 'pay_x_1_9' debited: true }";
  for (auto& w : {pending(), paying(), confirmed(), released(), expired()}) {
    auto copy = w;
    CHECK(refused(copy.when(foreign)) == v1::NOT_FOUND);
    CHECK(refused(copy.when("settle_refund { payment_id: 'pay_x_1_9' }")) == v1::NOT_FOUND);
  }
  CHECK(refused(confirmed().when(refunded)) == v1::NOT_THE_HOLDER);
  CHECK(refused(paying().when(refunded)) == v1::NOT_THE_HOLDER);
  CHECK(refused(pending().when("settle_refund {}")) == v1::NOT_FOUND);
}

TEST_CASE("the first verdict on a payment stands") {
  auto w = confirmed();
  CHECK(accepted_unchanged(w.when(not_debited)));
  CHECK(w.state().status() == v1::CONFIRMED);
}

TEST_CASE("a payment waits for the one under way, and what is paid for is not paid again") {
  CHECK(postponed(paying().when(pays)));
  CHECK(postponed(paying().when("pay { key { user_id: 'usr_ann' key: 'other' } }")));
  const auto again = confirmed().when(pays);
  CHECK(accepted_unchanged(again));
  CHECK(again.outcome.payment().payment_id() == "pay_x_1_1");
  CHECK(again.outcome.payment().status() == v1::CONFIRMED);
  for (const auto* other : {"pay {}", "pay { key { user_id: 'usr_ann' key: 'other' } }", "pay { key { user_id: 'usr_bob' key: 'k1' } }"})
    CHECK(refused(confirmed().when(other)) == v1::RESERVATION_NOT_PENDING);
  for (auto& w : {released(), refunding(), cancelled()}) {
    auto copy = w;
    CHECK(refused(copy.when(pays)) == v1::RESERVATION_NOT_PENDING);
  }
}

// --- cancellation ----------------------------------------------------------------------------------------------------

TEST_CASE("a paid reservation is cancelled when its money is back, and then everything is free again") {
  auto w = confirmed();
  const auto d = w.pass(seconds{9}).when(cancels);
  CHECK(parked(d));
  CHECK(events_of(d) == R"(refund_started { payment_id: "pay_x_1_1" reason: "ill" at_ms: 1009000 key { user_id: "usr_ann" key: "k2" fingerprint: 8 } })");
  CHECK(w.deadline() == w.now() + seconds{1});
  CHECK(accepted_unchanged(w.pass(seconds{1}).when_woken()));
  const auto owed = w.reaction();
  REQUIRE(owed.size() == 1);
  CHECK(key_of(owed[0].to) == "wallet/usr_ann");
  CHECK(to_text(owed[0].command) ==
        R"(wallet { credit { payment_id: "pay_x_1_1" reservation_id: "rsv_x_1" show_id: "shw_x" amount: 1210 } })");

  const auto done = w.when(refunded);
  CHECK(events_of(done) == "cancelled { at_ms: 1010000 }");
  CHECK(parts_of(done) == freed(" sold: true"));
  REQUIRE(done.settles);
  check_outcome(done.settles->outcome, v1::CANCELLED);
  REQUIRE(done.settles->key);
  CHECK(done.settles->key->key() == "k2");
  CHECK(w.state().status() == v1::CANCELLED);
  CHECK_FALSE(w.deadline());
  CHECK(w.reaction().empty());
}

TEST_CASE("only what is paid for is cancelled, and cancelled once") {
  const auto again = cancelled().when(cancels);
  CHECK(accepted_unchanged(again));
  check_outcome(again.outcome, v1::CANCELLED);
  CHECK(postponed(paying().when(cancels)));
  CHECK(postponed(refunding().when(cancels)));
  CHECK(refused(pending().when(cancels)) == v1::RESERVATION_NOT_PENDING);
  CHECK(refused(released().when(cancels)) == v1::RESERVATION_NOT_PENDING);
  CHECK(refused(expired().when(cancels)) == v1::RESERVATION_EXPIRED);
}

// --- who may ---------------------------------------------------------------------------------------------------------

TEST_CASE("nobody touches the reservation of another user, except on behalf of the house") {
  for (const auto& command : {std::string{"release {}"}, pays, cancels}) {
    INFO(command);
    CHECK(refused(pending().as_user("usr_bob").when(command)) == v1::FORBIDDEN);
    CHECK(refused(pending().as_user("usr_ann").when(command)) != v1::FORBIDDEN);
    CHECK(refused(pending().as_system().when(command)) != v1::FORBIDDEN);
  }
}

TEST_CASE("what was never placed is not found") {
  for (const auto& command : {std::string{"release {}"}, pays, cancels, std::string{"wake {}"}, debited, refunded})
    CHECK(refused(nothing().when(command)) == v1::NOT_FOUND);
  CHECK_FALSE(nothing().deadline());
  CHECK(refused(pending().when("")) == v1::INVALID_REQUEST);
}

}  // namespace usher::actors::test
