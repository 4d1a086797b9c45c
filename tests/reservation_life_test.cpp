// What may become of a reservation between its placing and its end: longer, somebody else's, another seat; and money that
// others take, in time, late, twice or never.

#include "actors/reservation.hpp"
#include "actors/seat.hpp"
#include "actors/stock.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

using lines = std::vector<std::string>;

const std::string id = "rsv_x_1";
const std::string place = R"(place {
  user_id: 'usr_mia'
  seats { seat: 'B-2' tier: 'gold' price: 500 } seats { seat: 'A-1' tier: 'gold' price: 500 }
  general_admission { section: 'floor' quantity: 2 tier: 'floor' price: 100 capacity: 70 }
  currency: 'EUR' ticket_limit: 8 hold_seconds: 300 })";
const std::string pays = "pay { key { user_id: 'usr_mia' key: 'k1' fingerprint: 7 } }";
const std::string debited = "settle_payment { payment_id: 'pay_x_1_1' debited: true }";
const std::string asks_provider = "pay { provider: 'sandbox' method: 'late' lease_seconds: 60 key { user_id: 'usr_mia' key: 'k1' } }";
const std::string provider_paid = "settle_payment { payment_id: 'pay_x_1_1' debited: true amount: 1200 ticket_limit: 8 provider: 'sandbox' }";
const std::string provider_declined = "settle_payment { payment_id: 'pay_x_1_1' amount: 1200 provider: 'sandbox' }";
const std::string too_late = "settle_payment { payment_id: 'pay_x_1_1' debited: true amount: 1200 give_back: true provider: 'sandbox' }";
const std::string refunded = "settle_refund { payment_id: 'pay_x_1_1' }";
const std::string provider_refunded = "settle_refund { payment_id: 'pay_x_1_1' provider: 'sandbox' }";

using world = given<reservation>;

world after(std::initializer_list<std::string> commands) {
  world w{reservation_ref(id)};
  for (const auto& c : commands) {
    const auto d = w.when(c);
    REQUIRE((accepted(d) || parked(d)));
  }
  return w;
}
world pending() { return after({place}); }
world confirmed() { return after({place, pays, debited}); }
world asking() { return after({place, asks_provider}); }
world lapsed() {
  auto w = asking();
  REQUIRE(accepted(w.pass(seconds{300}).when_woken()));
  return w;
}

v1::PaymentStatus status_of_payment(const world& w, int attempt = 0) { return w.state().payments(attempt).status(); }

}  // namespace

// --- longer ----------------------------------------------------------------------------------------------------------

TEST_CASE("a hold is made longer once, where the show allows it") {
  auto w = pending();
  const auto d = w.pass(seconds{200}).when("extend { seconds: 120 }");
  CHECK(events_of(d) == "extended { at_ms: 1200000 hold_expires_at_ms: 1420000 }");
  CHECK(d.outcome.reservation().hold_expires_at_ms() == 1'420'000);
  CHECK(w.deadline() == from_ms(1'420'000));
  CHECK(refused(w.when("extend { seconds: 120 }")) == v1::EXTENSION_UNAVAILABLE);
  CHECK(refused(pending().when("extend {}")) == v1::EXTENSION_UNAVAILABLE);
}

TEST_CASE("what has ended or is paid for is not made longer") {
  CHECK(refused(pending().pass(seconds{300}).when("extend { seconds: 120 }")) == v1::RESERVATION_EXPIRED);
  CHECK(refused(confirmed().when("extend { seconds: 120 }")) == v1::RESERVATION_NOT_PENDING);
  CHECK(refused(after({place, "release {}"}).when("extend { seconds: 120 }")) == v1::RESERVATION_NOT_PENDING);
  CHECK(postponed(after({place, pays}).when("extend { seconds: 120 }")));
}

// --- somebody else's -------------------------------------------------------------------------------------------------

TEST_CASE("the house hands a hold over with its seats, and it counts for the new owner's limit") {
  auto w = pending();
  CHECK(refused(w.as_user("usr_mia").when("transfer { to_user_id: 'usr_ben' ticket_limit: 8 }")) == v1::RESERVATION_NOT_PENDING);
  const auto d = w.as_system().when("transfer { to_user_id: 'usr_ben' ticket_limit: 8 }");
  CHECK(events_of(d) == R"(transferred { to_user_id: "usr_ben" at_ms: 1000000 })");
  // By the users' ids, which is the order in which every slip visits allowances.
  CHECK(parts_of(d) == lines{R"(allowance/shw_x/usr_ben: allowance { use { reservation_id: "rsv_x_1" quantity: 4 limit: 8 } })",
                             R"(allowance/shw_x/usr_mia: allowance { restore { reservation_id: "rsv_x_1" quantity: 4 } })"});
  CHECK(d.outcome.reservation().user_id() == "usr_ben");
  CHECK(w.state().user_id() == "usr_ben");
  CHECK(refused(w.as_user("usr_mia").when("release {}")) == v1::FORBIDDEN);
  CHECK(accepted(w.as_user("usr_ben").when("release {}")));
}

TEST_CASE("only the owner hands a reservation over, to somebody, and while it lives") {
  const std::string to_ben = "transfer { to_user_id: 'usr_ben' ticket_limit: 8 }";
  CHECK(refused(pending().as_user("usr_ben").when(to_ben)) == v1::FORBIDDEN);
  CHECK(blamed(pending().when("transfer {}").rejection) == lines{"toUserId"});
  CHECK(accepted_unchanged(pending().when("transfer { to_user_id: 'usr_mia' ticket_limit: 8 }")));
  CHECK(refused(pending().pass(seconds{300}).when(to_ben)) == v1::RESERVATION_EXPIRED);
  CHECK(refused(after({place, "release {}"}).when(to_ben)) == v1::RESERVATION_NOT_PENDING);
  CHECK(postponed(after({place, pays}).when(to_ben)));
}

TEST_CASE("the money of a reservation that was handed over goes back to whoever paid") {
  auto w = confirmed();
  REQUIRE(accepted(w.when("transfer { to_user_id: 'usr_ben' ticket_limit: 8 }")));
  REQUIRE(parked(w.as_user("usr_ben").when("cancel { reason: 'ill' }")));
  const auto owed = w.reaction();
  REQUIRE(owed.size() == 1);
  CHECK(key_of(owed[0].to) == "wallet/usr_mia");
  const auto done = w.as_system().when(refunded);
  CHECK(parts_of(done)[0] == R"(allowance/shw_x/usr_ben: allowance { restore { reservation_id: "rsv_x_1" quantity: 4 } })");
  CHECK(status_of_payment(w) == v1::GIVEN_BACK);
}

TEST_CASE("whoever has paid hands the seats over") {
  auto w = confirmed();
  CHECK(accepted(w.as_user("usr_mia").when("transfer { to_user_id: 'usr_ben' ticket_limit: 8 }")));
  CHECK(w.state().user_id() == "usr_ben");
}

// --- another seat ----------------------------------------------------------------------------------------------------

TEST_CASE("a seat is exchanged in one step, and a hold then costs what its new seat costs") {
  auto w = pending();
  const auto d = w.when("exchange { from: 'B-2' to { seat: 'A-9' tier: 'silver' price: 300 } }");
  CHECK(events_of(d) == R"(exchanged { from: "B-2" to { seat: "A-9" tier: "silver" price: 300 } amount: 1000 at_ms: 1000000 })");
  CHECK(parts_of(d) == lines{R"(seat/shw_x/A-9: seat { hold { reservation_id: "rsv_x_1" } })",
                             R"(seat/shw_x/B-2: seat { release { reservation_id: "rsv_x_1" } })"});
  CHECK(d.outcome.reservation().seats(0) == "A-9");
  CHECK(d.outcome.reservation().seats(1) == "A-1");
  CHECK(d.outcome.reservation().amount() == 1000);
  REQUIRE(parked(w.when(pays)));
  CHECK(w.reaction()[0].command.wallet().debit().amount() == 1000);
}

TEST_CASE("a seat that is paid for is exchanged at the same price only, and stays paid for") {
  auto w = confirmed();
  CHECK(blamed(w.when("exchange { from: 'B-2' to { seat: 'C-1' price: 300 } }").rejection) == lines{"to"});
  const auto d = w.when("exchange { from: 'B-2' to { seat: 'C-1' tier: 'gold' price: 500 } }");
  CHECK(parts_of(d) == lines{R"(seat/shw_x/B-2: seat { release { reservation_id: "rsv_x_1" } })",
                             R"(seat/shw_x/C-1: seat { hold { reservation_id: "rsv_x_1" sold: true } })"});
  CHECK(w.state().status() == v1::CONFIRMED);
}

TEST_CASE("an exchange names a seat of the reservation and one that is not") {
  CHECK(blamed(pending().when("exchange { from: 'Z-1' to { seat: 'C-1' price: 500 } }").rejection) == lines{"from"});
  CHECK(blamed(pending().when("exchange { from: 'B-2' to { seat: 'A-1' price: 500 } }").rejection) == lines{"to"});
  CHECK(refused(pending().as_user("usr_ben").when("exchange { from: 'B-2' to { seat: 'C-1' } }")) == v1::FORBIDDEN);
  CHECK(refused(pending().pass(seconds{300}).when("exchange { from: 'B-2' to { seat: 'C-1' } }")) == v1::RESERVATION_EXPIRED);
}

// --- money that a provider takes -------------------------------------------------------------------------------------

TEST_CASE("a provider is asked again and again until its verdict comes, while nothing else may happen") {
  world w{reservation_ref(id)};
  w.when(place);
  const auto d = w.when(asks_provider);
  REQUIRE(accepted(d));
  CHECK(d.outcome.payment().status() == v1::PAYING);
  CHECK(d.outcome.payment().payment_id() == "pay_x_1_1");
  CHECK(d.outcome.payment().provider() == "sandbox");
  // The hold would have lasted longer than the lease.
  CHECK(events_of(d) == R"(payment_started { payment_id: "pay_x_1_1" at_ms: 1000000 provider: "sandbox" method: "late" lease_ends_at_ms: 1300000 })");
  CHECK(w.deadline() == w.now() + seconds{1});
  const auto owed = w.reaction();
  REQUIRE(owed.size() == 1);
  CHECK(key_of(owed[0].to) == "provider/sandbox");
  CHECK(to_text(owed[0].command) == R"(provider { take { payment_id: "pay_x_1_1" method: "late" amount: 1200 currency: "EUR" } })");
  CHECK(accepted_unchanged(w.pass(seconds{1}).when_woken()));
  for (const auto& command : {pays, asks_provider, std::string{"release {}"}, std::string{"cancel {}"}, std::string{"extend { seconds: 9 }"},
                              std::string{"transfer { to_user_id: 'usr_ben' }"}, std::string{"exchange { from: 'B-2' to { seat: 'C-1' } }"}})
    CHECK(refused(w.when(command)) == v1::RESERVATION_NOT_PENDING);
}

TEST_CASE("a lease that is longer than the hold keeps the seats until it ends") {
  auto w = pending();
  REQUIRE(accepted(w.pass(seconds{299}).when(asks_provider)));
  CHECK(w.state().lease_ends_at_ms() == 1'359'000);
  CHECK(accepted_unchanged(w.pass(seconds{59}).when_woken()));
  CHECK(accepted(w.pass(seconds{1}).when_woken()));
  CHECK(w.state().status() == v1::EXPIRED);
}

TEST_CASE("a provider that takes the money has the seats sold") {
  auto w = asking();
  const auto d = w.when(provider_paid);
  CHECK(events_of(d) == R"(confirmed { payment_id: "pay_x_1_1" at_ms: 1000000 })");
  CHECK(parts_of(d)[0] == R"(seat/shw_x/A-1: seat { sell { reservation_id: "rsv_x_1" } })");
  CHECK(w.state().status() == v1::CONFIRMED);
  CHECK(status_of_payment(w) == v1::PAID);
  CHECK_FALSE(w.deadline());
  CHECK(accepted_unchanged(w.when(provider_paid)));
  CHECK(accepted_unchanged(w.when(too_late)));
  CHECK(accepted_unchanged(w.when(provider_declined)));
}

TEST_CASE("a provider that declines leaves the hold as it was, and money that it takes later goes back") {
  auto w = asking();
  REQUIRE(accepted(w.when(provider_declined)));
  CHECK(w.state().status() == v1::PENDING);
  CHECK(status_of_payment(w) == v1::DECLINED);
  CHECK(w.deadline() == from_ms(1'300'000));
  const auto d = w.when(provider_paid);
  CHECK(events_of(d) == R"(late_refund_started { payment_id: "pay_x_1_1" at_ms: 1000000 })");
  CHECK(d.parts.empty());
  CHECK(w.deadline() == w.now() + seconds{1});
  REQUIRE(w.reaction().size() == 1);
  CHECK(w.reaction()[0].command.provider().has_give_back());
  REQUIRE(parked(w.when(pays)));  // meanwhile the buyer pays otherwise
  CHECK(w.reaction().size() == 2);
  REQUIRE(accepted(w.when(provider_refunded)));
  CHECK(status_of_payment(w) == v1::GIVEN_BACK);
  CHECK(accepted_unchanged(w.when(provider_refunded)));
  CHECK(w.state().status() == v1::PAYING);
}

TEST_CASE("money of an earlier attempt that is still on its way back is looked after, whatever becomes of the next one") {
  auto w = asking();
  REQUIRE(accepted(w.when(provider_declined)));
  REQUIRE(accepted(w.pass(seconds{5}).when(provider_paid)));
  REQUIRE(parked(w.when(pays)));
  REQUIRE(accepted(w.when("settle_payment { payment_id: 'pay_x_1_2' debited: true }")));
  CHECK(w.state().status() == v1::CONFIRMED);
  CHECK(w.deadline() == w.now() + seconds{1});
  CHECK(w.reaction().size() == 1);
  REQUIRE(accepted(w.when(provider_refunded)));
  CHECK_FALSE(w.deadline());
}

TEST_CASE("a hold takes twenty attempts to pay and no more") {
  auto w = pending();
  for (int attempt = 1; attempt <= 20; ++attempt) {
    REQUIRE(parked(w.when(pays)));
    REQUIRE(accepted(w.when("settle_payment { payment_id: 'pay_x_1_" + std::to_string(attempt) + "' }")));
  }
  CHECK(refused(w.when(pays)) == v1::RESERVATION_NOT_PENDING);
  CHECK(refused(w.when(asks_provider)) == v1::RESERVATION_NOT_PENDING);
}

TEST_CASE("a verdict about another amount is nobody's") {
  CHECK(blamed(asking().when("settle_payment { payment_id: 'pay_x_1_1' debited: true amount: 1199 provider: 'sandbox' }").rejection) == lines{"amount"});
}

TEST_CASE("nobody else's verdict counts") {
  CHECK(refused(asking().when(debited)) == v1::NOT_FOUND);
  CHECK(refused(asking().when("settle_payment { payment_id: 'pay_x_1_1' debited: true provider: 'other' }")) == v1::NOT_FOUND);
  CHECK(refused(after({place, pays}).when(provider_paid)) == v1::NOT_FOUND);
}

TEST_CASE("a payment whose lease ends without a verdict frees everything") {
  auto w = asking();
  const auto d = w.pass(seconds{300}).when_woken();
  CHECK(events_of(d) == R"(payment_lapsed { payment_id: "pay_x_1_1" at_ms: 1300000 })");
  CHECK(parts_of(d) == lines{R"(allowance/shw_x/usr_mia: allowance { restore { reservation_id: "rsv_x_1" quantity: 4 } })",
                             R"(seat/shw_x/A-1: seat { release { reservation_id: "rsv_x_1" } })",
                             R"(seat/shw_x/B-2: seat { release { reservation_id: "rsv_x_1" } })",
                             R"(stock/shw_x/floor: stock { give_back { reservation_id: "rsv_x_1" quantity: 2 } })"});
  CHECK(w.state().status() == v1::EXPIRED);
  CHECK(status_of_payment(w) == v1::LAPSED);
  CHECK_FALSE(w.deadline());
  CHECK(w.reaction().empty());
  CHECK(accepted_unchanged(w.when(provider_declined)));
  CHECK(refused(w.when(pays)) == v1::RESERVATION_EXPIRED);
}

TEST_CASE("money that comes late gets the same seats, if all of them are still free") {
  auto w = lapsed();
  const auto d = w.when(provider_paid);
  CHECK(events_of(d) == R"(late_payment_seated { payment_id: "pay_x_1_1" at_ms: 1300000 })");
  CHECK(parts_of(d) == lines{R"(allowance/shw_x/usr_mia: allowance { use { reservation_id: "rsv_x_1" quantity: 4 limit: 8 } })",
                             R"(seat/shw_x/A-1: seat { hold { reservation_id: "rsv_x_1" sold: true } })",
                             R"(seat/shw_x/B-2: seat { hold { reservation_id: "rsv_x_1" sold: true } })",
                             R"(stock/shw_x/floor: stock { take { reservation_id: "rsv_x_1" quantity: 2 capacity: 70 sold: true } })"});
  CHECK(w.state().status() == v1::CONFIRMED);
  CHECK(w.state().ended_at_ms() == 0);
  CHECK(status_of_payment(w) == v1::PAID);
  CHECK(accepted_unchanged(w.when(provider_paid)));
  REQUIRE(accepted(w.when("cancel {}")));
  CHECK(w.reaction()[0].command.provider().has_give_back());
  REQUIRE(accepted(w.when(provider_refunded)));
  CHECK(w.state().status() == v1::CANCELLED);
}

TEST_CASE("money that comes late goes back where its seats are gone") {
  auto w = lapsed();
  const auto d = w.when(too_late);
  CHECK(events_of(d) == R"(late_refund_started { payment_id: "pay_x_1_1" at_ms: 1300000 })");
  CHECK(d.parts.empty());
  CHECK(w.state().status() == v1::EXPIRED);
  CHECK(status_of_payment(w) == v1::GIVING_BACK);
  CHECK(w.deadline() == w.now() + seconds{1});
  CHECK(accepted_unchanged(w.when(provider_paid)));
  REQUIRE(accepted(w.when(provider_refunded)));
  CHECK(status_of_payment(w) == v1::GIVEN_BACK);
  CHECK_FALSE(w.deadline());
  CHECK(w.reaction().empty());
}

// --- the admission that let its buyer in ------------------------------------------------------------------------------

TEST_CASE("paying spends the admission of whoever came through the queue, once and however it is paid") {
  auto admitted = place;
  admitted.insert(admitted.rfind('}'), "queue_number: 7 ");
  const std::string spends = R"(queue/shw_x: queue { spend { user_id: "usr_mia" number: 7 reservation_id: "rsv_x_1" } })";
  const auto spent = [&](const decision<v1::ReservationEvent>& d) {
    const auto parts = parts_of(d);
    return std::count(parts.begin(), parts.end(), spends);
  };
  const auto last = [](const decision<v1::ReservationEvent>& d) { return parts_of(d).back(); };

  auto w = after({});
  const auto placed = w.when(admitted);
  CHECK(placed.events[0].placed().queue_number() == 7);
  CHECK(spent(placed) == 0);
  CHECK(w.state().queue_number() == 7);
  CHECK(w.when(pays).parts.empty());
  const auto by_wallet = w.when(debited);
  CHECK(spent(by_wallet) == 1);
  CHECK(last(by_wallet) == spends);
  REQUIRE(parked(w.when("cancel {}")));
  CHECK(spent(w.when(refunded)) == 0);

  const auto by_provider = after({admitted, asks_provider}).when(provider_paid);
  CHECK(spent(by_provider) == 1);
  CHECK(last(by_provider) == spends);
  auto late = after({admitted, asks_provider});
  CHECK(spent(late.pass(seconds{300}).when_woken()) == 0);
  const auto seated = late.when(provider_paid);
  CHECK(spent(seated) == 1);
  CHECK(last(seated) == spends);
}

TEST_CASE("who needs no admission spends none, and a hold that ends unpaid spends none either") {
  auto admitted = place;
  admitted.insert(admitted.rfind('}'), "queue_number: 7 ");
  const auto spends = [](const decision<v1::ReservationEvent>& d) {
    const auto parts = parts_of(d);
    return std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.starts_with("queue/"); });
  };
  CHECK_FALSE(spends(after({place, pays}).when(debited)));
  CHECK_FALSE(spends(after({admitted}).when("release {}")));
  CHECK_FALSE(spends(after({admitted}).pass(seconds{300}).when_woken()));
}

// --- what is paid for is held and sold in one step -------------------------------------------------------------------

TEST_CASE("a free seat is sold at once to whoever has paid already, and a taken one is not") {
  given<seat> free{seat_ref("shw_x", "A-1")};
  CHECK(events_of(free.when("hold { reservation_id: 'rsv_x_1' sold: true }")) ==
        R"(held { reservation_id: "rsv_x_1" } | sold { reservation_id: "rsv_x_1" })");
  CHECK(free.state().phase() == v1::SOLD);
  CHECK(refused(free.when("hold { reservation_id: 'rsv_x_2' sold: true }")) == v1::SEAT_UNAVAILABLE);
}

TEST_CASE("places are sold at once to whoever has paid already, if there are enough") {
  given<stock> floor{stock_ref("shw_x", "floor")};
  REQUIRE(accepted(floor.when("take { reservation_id: 'rsv_x_1' quantity: 2 capacity: 3 sold: true }")));
  CHECK(floor.state().held() == 0);
  CHECK(floor.state().sold() == 2);
  CHECK(refused(floor.when("take { reservation_id: 'rsv_x_2' quantity: 2 capacity: 3 sold: true }")) == v1::STOCK_UNAVAILABLE);
}

}  // namespace usher::actors::test
