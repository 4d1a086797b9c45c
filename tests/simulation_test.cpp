// The engine as a whole in seeded runs: real actors, journal and store, every order of events, a virtual clock.

#include <catch2/catch.hpp>

#include <set>

#include "tests/simulation/world.hpp"

namespace usher::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using namespace std::chrono_literals;

constexpr std::int64_t price = 1000;
constexpr std::uint32_t hold_seconds = 300;
constexpr std::uint64_t stock_capacity = 5;

v1::Command charge(std::int64_t amount) {
  v1::Command c;
  c.mutable_wallet()->mutable_charge()->set_amount(amount);
  return c;
}

v1::Command authorize(const std::string& id, std::int64_t amount, std::uint32_t seconds) {
  v1::Command c;
  auto& a = *c.mutable_wallet()->mutable_authorize();
  a.set_authorization_id(id);
  a.set_amount(amount);
  a.set_seconds(seconds);
  return c;
}
v1::Command capture(const std::string& id) {
  v1::Command c;
  c.mutable_wallet()->mutable_capture()->set_authorization_id(id);
  return c;
}
v1::Command void_funds(const std::string& id) {
  v1::Command c;
  c.mutable_wallet()->mutable_void_funds()->set_authorization_id(id);
  return c;
}

v1::Command place(const world& w, const std::string& user, const std::vector<std::string>& seats, std::uint32_t standing = 0) {
  v1::Command c;
  auto& p = *c.mutable_reservation()->mutable_place();
  p.set_user_id(user);
  for (const auto& seat : seats) {
    auto* item = p.add_seats();
    item->set_seat(seat);
    item->set_price(price);
  }
  if (standing != 0) {
    auto* item = p.add_general_admission();
    item->set_section("floor");
    item->set_quantity(standing);
    item->set_price(price);
    item->set_capacity(stock_capacity);
  }
  p.set_currency("EUR");
  p.set_ticket_limit(w.book.ticket_limit);
  p.set_hold_seconds(hold_seconds);
  return c;
}

v1::Command pay(const std::string& user, const std::string& key) {
  v1::Command c;
  auto* k = c.mutable_reservation()->mutable_pay()->mutable_key();
  k->set_user_id(user);
  k->set_key(key);
  return c;
}
v1::Command release() {
  v1::Command c;
  c.mutable_reservation()->mutable_release();
  return c;
}
v1::Command cancel() {
  v1::Command c;
  c.mutable_reservation()->mutable_cancel()->set_reason("ill");
  return c;
}

/// One buyer with a wallet and a reservation of one show; each `number` has its own.
struct sale {
  world& w;
  std::string show;
  std::string user;
  std::string id;
  v1::EntityRef reservation;

  sale(world& in, std::uint64_t number)
      : w{in},
        show{make_show_id("show " + std::to_string(number))},
        user{make_user_id("ann" + std::to_string(number) + "@example.org")},
        id{make_reservation_id(show, user)},
        reservation{reservation_ref(id)} {}

  void has(std::int64_t amount) { REQUIRE(w.ask(wallet_ref(user), charge(amount))->accepted()); }
  void reserves() { REQUIRE(w.ask(reservation, place(w, user, {"A-1", "A-2"}, 1), user, id + "place")->accepted()); }
  question_ptr starts_to_pay() { return w.send(reservation, pay(user, "pay"), user, id + "pay"); }

  v1::ReservationStatus status() { return w.book.halls[show].reservations[id].status(); }
  v1::SeatPhase seat(const std::string& name) { return w.book.halls[show].seats[name].phase(); }
  std::int64_t balance() { return w.book.purses[user].state.balance(); }
  int debits() {
    int n = 0;
    for (const auto& [payment, money] : w.book.purses[user].payments) n += money.times_taken;
    return n;
  }
};

void check_faults(const world& w) {
  for (const auto& fault : w.book.faults) FAIL_CHECK(fault);
}

/// How many records on disk a command of this kind has led to.
std::size_t recorded(const world& w, v1::ReservationCommand::KindCase kind) {
  std::size_t n = 0;
  w.read_log([&](store::record_ptr r, std::string_view) { n += r->command().reservation().kind_case() == kind; });
  return n;
}

}  // namespace

TEST_CASE("a payment and the end of the hold at the same moment have exactly one winner") {
  disk d;
  world w{1, d};
  int paid = 0;
  int expired = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    INFO("seed " << seed);
    w.reseed(seed);
    sale ann{w, seed};
    ann.has(5000);
    ann.reserves();
    w.pass(seconds{hold_seconds} - 1ms);
    REQUIRE(ann.status() == v1::PENDING);
    // Others keep the engine busy, so that the payment's turn comes before or after the moment.
    for (std::uint64_t other = 0; other != 3; ++other)
      w.send(wallet_ref(ann.user + std::to_string(other)), charge(1));
    const auto payment = ann.starts_to_pay();
    w.run_some(w.below(12));
    // A part of the engine may lag so far that the reactor asks while the payment is under way and the hold overdue.
    if (w.below(2) == 0) w.stall();
    w.let_pass(1ms);
    w.run_some(w.below(12));
    w.pass(1500ms);
    w.resume();
    w.settle();
    w.pass(5min);
    REQUIRE(payment->answers == 1);
    if (payment->accepted()) {
      ++paid;
      REQUIRE(ann.status() == v1::CONFIRMED);
      REQUIRE(ann.seat("A-1") == v1::SOLD);
      REQUIRE(ann.seat("A-2") == v1::SOLD);
      REQUIRE(ann.balance() == 5000 - 3 * price);
      REQUIRE(ann.debits() == 1);
    } else {
      ++expired;
      REQUIRE(payment->refused() == v1::RESERVATION_EXPIRED);
      REQUIRE(ann.status() == v1::EXPIRED);
      REQUIRE(ann.seat("A-1") == v1::AVAILABLE);
      REQUIRE(ann.seat("A-2") == v1::AVAILABLE);
      REQUIRE(ann.balance() == 5000);
      REQUIRE(ann.debits() == 0);
    }
    REQUIRE(w.book.faults.empty());
  }
  w.book.check_settled();
  check_faults(w);
  CHECK(paid > 50);
  CHECK(expired > 50);
}

TEST_CASE("buyers who want the same seats never share one, and nobody gets a part of what was asked for") {
  disk d;
  int accepted = 0;
  std::set<v1::Code> refusals;
  {
    world w{1, d};
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
      INFO("seed " << seed);
      w.reseed(seed);
      const auto show = make_show_id("crowd " + std::to_string(seed));
      std::vector<std::string> buyers;
      for (const auto* name : {"ann", "bob", "cem", "dia"}) buyers.push_back(make_user_id(name + show));
      // Two can't afford everything, so that payments are declined as well.
      for (std::size_t i = 0; i != buyers.size(); ++i)
        w.send(wallet_ref(buyers[i]), charge(i < 2 ? 20 * price : 3 * price));
      std::vector<question_ptr> placed;
      std::vector<question_ptr> all;
      for (int i = 0; i != 24; ++i) {
        const auto& user = buyers[w.below(buyers.size())];
        if (placed.empty() || w.below(2) == 0) {
          std::set<std::string> seats;
          for (auto n = w.below(4); n != 0; --n) seats.insert("A-" + std::to_string(1 + w.below(6)));
          const std::vector<std::string> chosen{seats.begin(), seats.end()};
          const auto standing = static_cast<std::uint32_t>(chosen.empty() ? 1 + w.below(3) : w.below(3));
          placed.push_back(w.send(reservation_ref(make_reservation_id(show, std::to_string(i))), place(w, user, chosen, standing), user));
          all.push_back(placed.back());
        } else {
          const auto& before = *placed[w.below(placed.size())];
          const auto& user_id = before.request->user_id;
          const auto what = w.below(4);
          all.push_back(w.send(before.to, what == 0 ? release() : what == 1 ? cancel() : pay(user_id, std::to_string(i)), user_id));
        }
        w.run_some(w.below(12));
        if (w.below(4) == 0) w.let_pass(milliseconds{w.below(40'000)});
        if (w.below(4) == 0) w.ask_to_retire();
      }
      w.settle();
      w.pass(2s);
      for (const auto& q : all) REQUIRE(q->answers == 1);
      for (const auto& q : placed) {
        accepted += q->accepted();
        const auto& known = w.book.halls[show].reservations;
        REQUIRE(known.contains(q->to.name()) == q->accepted());
        if (!q->accepted()) refusals.insert(q->refused());
      }
      REQUIRE(w.book.faults.empty());
    }
    w.book.check_settled();
    w.pass(10min);
    w.book.check_settled();
    for (const auto& [show, h] : w.book.halls)
      for (const auto& [id, r] : h.reservations) CHECK(r.status() != v1::PENDING);
    check_faults(w);
  }
  CHECK(accepted > 300);
  CHECK(refusals == std::set{v1::SEAT_UNAVAILABLE, v1::STOCK_UNAVAILABLE, v1::TICKET_LIMIT_EXCEEDED});
  // The log alone tells the same.
  world again{1, d};
  CHECK(again.book.records > 1000);
  again.book.check_settled();
  check_faults(again);
}

TEST_CASE("thousands of payments that hang don't keep a hold from ending") {
  disk d;
  world w{1, d, life_settings{.views = {}, .provider = [](const actors::request_ptr&) {}}};
  constexpr std::uint64_t hanging = 4'200;  // more than the reactor asks at once
  for (std::uint64_t n = 1; n <= hanging; ++n) {
    sale stuck{w, n};
    w.send(stuck.reservation, place(w, stuck.user, {"A-1"}), stuck.user);
    v1::Command asks;
    asks.mutable_reservation()->mutable_pay()->set_provider("silent");
    asks.mutable_reservation()->mutable_pay()->set_lease_seconds(100'000);
    w.send(stuck.reservation, asks, stuck.user);
  }
  w.settle();
  sale ann{w, hanging + 1};
  ann.reserves();
  REQUIRE(ann.status() == v1::PENDING);
  w.pass(seconds{hold_seconds});
  w.pass(20ms);
  CHECK(ann.status() == v1::EXPIRED);
  CHECK(sale{w, 1}.status() == v1::PAYING);
  check_faults(w);
}

TEST_CASE("what waited too long behind a payment is given up and never done") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    disk d;
    world w{seed, d};
    sale ann{w, seed};
    ann.has(5000);
    ann.reserves();
    const auto payment = ann.starts_to_pay();
    while (ann.status() != v1::PAYING) REQUIRE(w.step());
    w.stall();  // the wallet gets no turn
    const auto releasing = w.send(ann.reservation, release(), ann.user, "release");
    w.settle();
    REQUIRE(releasing->answers == 0);
    CHECK(releasing->request->give_up());
    w.resume();
    w.settle();
    CHECK(payment->accepted());
    CHECK(ann.status() == v1::CONFIRMED);
    CHECK(releasing->answers == 0);
    CHECK(recorded(w, v1::ReservationCommand::kRelease) == 0);
    w.book.check_settled();
    check_faults(w);
  }
}

TEST_CASE("what never had its turn is given up and never done, and what had it can't be given up") {
  disk d;
  world w{1, d};
  sale ann{w, 1};
  ann.has(5000);
  ann.reserves();
  const auto late = w.send(ann.reservation, release(), ann.user, "one");
  CHECK(late->request->give_up());
  w.settle();
  CHECK(late->answers == 0);
  CHECK(ann.status() == v1::PENDING);
  CHECK(recorded(w, v1::ReservationCommand::kRelease) == 0);

  const auto second = w.ask(ann.reservation, release(), ann.user, "two");
  CHECK_FALSE(second->request->give_up());
  CHECK(second->accepted());
  CHECK(ann.status() == v1::RELEASED);
  CHECK(recorded(w, v1::ReservationCommand::kRelease) == 1);
  check_faults(w);
}

TEST_CASE("after a crash in the middle of a payment the payment is settled, and nothing that was answered is forgotten") {
  disk d;
  auto time = from_ms(1'000'000);
  int met_paying = 0;
  int met_debited = 0;
  int met_pending = 0;
  int met_confirmed = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    bool answered = false;
    {
      world w{seed, d, time};
      sale ann{w, seed};
      ann.has(5000);
      ann.reserves();
      const auto payment = ann.starts_to_pay();
      w.run_some(w.below(16));
      answered = payment->accepted();
      time = w.now();
    }
    world w{seed, d, time};
    sale ann{w, seed};
    const auto found = ann.status();
    met_paying += found == v1::PAYING;
    met_debited += found == v1::PAYING && ann.debits() == 1;
    met_pending += found == v1::PENDING;
    met_confirmed += found == v1::CONFIRMED;
    if (answered) REQUIRE(found == v1::CONFIRMED);
    w.pass(1s);
    w.pass(1s);
    // The client asks again with its key and hears one and the same story.
    const auto again = ann.starts_to_pay();
    w.settle();
    REQUIRE(again->accepted());
    REQUIRE(ann.status() == v1::CONFIRMED);
    REQUIRE(ann.debits() == 1);
    REQUIRE(ann.balance() == 5000 - 3 * price);
    w.book.check_settled();
    REQUIRE(w.book.faults.empty());
    time = w.now();
  }
  CHECK(met_paying > met_debited);
  CHECK(met_debited > 0);
  CHECK(met_pending > 0);
  CHECK(met_confirmed > 0);
}

TEST_CASE("money that is set aside is captured, voided or over exactly once, whoever comes first and whatever else is bought") {
  int captured = 0, voided = 0, over = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    disk d;
    world w{seed, d};
    sale ann{w, seed};
    const auto wallet = wallet_ref(ann.user);
    ann.has(5 * price);
    ann.reserves();
    REQUIRE(w.ask(wallet, authorize("aut_1", 3 * price, 60), ann.user)->accepted());
    const auto payment = ann.starts_to_pay();
    w.let_pass(60s - milliseconds{w.below(3)});
    w.run_some(w.below(12));
    const bool takes_first = w.below(2) == 0;
    const auto first = w.send(wallet, takes_first ? capture("aut_1") : void_funds("aut_1"), ann.user);
    const auto second = w.send(wallet, takes_first ? void_funds("aut_1") : capture("aut_1"), ann.user);
    const auto& taking = takes_first ? first : second;
    const auto& freeing = takes_first ? second : first;
    w.run_some(w.below(6));
    if (w.below(4) == 0) w.ask_to_retire();
    w.let_pass(2ms);
    w.settle();
    w.pass(2s);
    REQUIRE(taking->answers == 1);
    REQUIRE(freeing->answers == 1);
    REQUIRE_FALSE((taking->accepted() && freeing->accepted()));
    captured += taking->accepted();
    voided += freeing->accepted();
    over += !taking->accepted() && !freeing->accepted();
    const auto paid = payment->accepted() ? 3 * price : 0;
    REQUIRE(ann.balance() == 5 * price - paid - (taking->accepted() ? 3 * price : 0));
    REQUIRE(w.book.purses[ann.user].state.held() == 0);
    w.book.check_settled();
    check_faults(w);
  }
  CHECK(captured > 10);
  CHECK(voided > 10);
  CHECK(over > 10);
}

namespace {

enum class turns { in_order, by_seed };
enum class rest { never, after_each_command };

/// The same story for the same seed. @return the log as it is on disk
std::vector<std::string> log_of_a_story(std::uint64_t seed, turns order, rest sleep, std::uint64_t snapshot_every) {
  disk d;
  world w{seed, d, from_ms(1'000'000), snapshot_every};
  if (order == turns::in_order) w.keep_order();
  std::mt19937_64 story{seed};
  const auto below = [&](std::uint64_t n) { return story() % n; };
  const auto user = make_user_id("ann@example.org");
  const auto show = make_show_id("show");
  for (int i = 0; i != 40; ++i) {
    const auto id = reservation_ref(make_reservation_id(show, std::to_string(below(6))));
    const auto authorization = "aut_" + std::to_string(below(3));
    switch (below(9)) {
      case 6: w.ask(wallet_ref(user), authorize(authorization, 1 + static_cast<std::int64_t>(below(900)), 1 + static_cast<std::uint32_t>(below(300))), user); break;
      case 7: w.ask(wallet_ref(user), capture(authorization), user); break;
      case 8: w.ask(wallet_ref(user), void_funds(authorization), user); break;
      case 0: w.ask(wallet_ref(user), charge(1 + static_cast<std::int64_t>(below(2000)))); break;
      case 1: w.ask(id, release(), user); break;
      case 2: w.ask(id, cancel(), user); break;
      case 3: w.ask(id, pay(user, "key " + std::to_string(below(3))), user); break;
      default: w.ask(id, place(w, user, {"A-" + std::to_string(below(3))}, static_cast<std::uint32_t>(below(3))), user);
    }
    w.pass(milliseconds{below(100'000)});
    if (sleep == rest::after_each_command) {
      w.ask_to_retire();
      w.settle();
      CHECK(w.awake() == 0);
    }
  }
  check_faults(w);
  std::vector<std::string> out;
  w.read_log([&](store::record_ptr, std::string_view stored) { out.emplace_back(stored); });
  return out;
}

}  // namespace

TEST_CASE("whoever sleeps and wakes again decides as if it had stayed awake") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    // In order, since two holds that end together may be recorded either way round.
    const auto awake = log_of_a_story(seed, turns::in_order, rest::never, 200);
    CHECK(awake.size() > 10);
    CHECK((log_of_a_story(seed, turns::in_order, rest::after_each_command, 200) == awake));
    CHECK((log_of_a_story(seed, turns::in_order, rest::after_each_command, 2) == awake));
  }
}

TEST_CASE("the same seed gives the same run") {
  const auto tell = [] { return log_of_a_story(7, turns::by_seed, rest::after_each_command, 200); };
  CHECK((tell() == tell()));
}

}  // namespace usher::tests
