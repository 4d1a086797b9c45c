// The auditor: every way in which a log can contradict itself is found where it happens, and a log that doesn't is left alone.

#include <catch2/catch.hpp>

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "projections/auditor.hpp"
#include "store/journal.hpp"
#include "tests/client.hpp"
#include "tests/simulation/world.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
using projections::auditor;
using projections::fault_kind;
using events = std::vector<v1::StreamEvent>;
using names = std::vector<std::string>;

const std::string hall = make_show_id("hall");
constexpr std::int64_t price = 1000;

/// Tells what happens at a box office, one record after the other. Each deed makes its events; a test may spoil them
/// before it writes them.
class story {
 public:
  std::vector<v1::Record> log;
  std::int64_t now_ms = 1'000'000;

  story() { write(opened(4, 6)); }

  story& write(const events& all) {
    auto& r = log.emplace_back();
    r.set_partition(partition_of(all.front().stream().group()));
    r.set_index(++ends_[r.partition()]);
    r.set_at_ms(now_ms);
    for (const auto& e : all) *r.add_events() = e;
    return *this;
  }

  events opened(std::uint32_t limit, std::uint64_t places) {
    auto e = event(show_ref(hall));
    auto& plan = *e.mutable_show()->mutable_opened()->mutable_plan();
    plan.set_ticket_limit(limit);
    auto& floor = *plan.add_sections();
    floor.set_name("floor");
    floor.set_stock(places);
    return {e};
  }
  events limited_to(std::uint32_t limit) {
    auto e = event(show_ref(hall));
    e.mutable_show()->mutable_changed()->mutable_change()->set_ticket_limit(limit);
    return {e};
  }

  events placed(const std::string& id, const std::string& user, const names& seats, std::uint32_t places = 0) {
    auto& s = sales_[id] = {user, seats, places, 0, false};
    auto e = said(id);
    auto& p = *e.mutable_reservation()->mutable_placed();
    p.set_user_id(user);
    p.set_amount(amount(s));
    for (const auto& seat : seats) p.add_seats()->set_seat(seat);
    if (places != 0) {
      p.add_general_admission()->set_section("floor");
      p.mutable_general_admission(0)->set_quantity(places);
    }
    return with(e, allowance(id, user, true), held(id, seats), places == 0 ? events{} : events{taken(id)});
  }
  events ended(const std::string& id, const std::function<void(v1::ReservationEvent&)>& how) {
    auto e = said(id);
    how(*e.mutable_reservation());
    auto& s = sales_[id];
    return with(e, allowance(id, s.user, false), released(id, s.seats), s.places == 0 ? events{} : events{returned(id)});
  }
  events expired(const std::string& id) {
    return ended(id, [](auto& e) { e.mutable_expired(); });
  }
  events gave_up(const std::string& id) {
    return ended(id, [](auto& e) { e.mutable_released(); });
  }
  events cancelled(const std::string& id) {
    return ended(id, [](auto& e) { e.mutable_cancelled(); });
  }
  events lapsed(const std::string& id) {
    return ended(id, [&](auto& e) { e.mutable_payment_lapsed()->set_payment_id(payment(id)); });
  }
  events extended(const std::string& id) {
    auto e = said(id);
    e.mutable_reservation()->mutable_extended();
    return {e};
  }
  events transferred(const std::string& id, const std::string& to) {
    auto e = said(id);
    e.mutable_reservation()->mutable_transferred()->set_to_user_id(to);
    const auto from = std::exchange(sales_[id].user, to);
    return {e, allowance(id, from, false), allowance(id, to, true)};
  }
  events exchanged(const std::string& id, const std::string& from, const std::string& to) {
    auto& s = sales_[id];
    auto e = said(id);
    auto& x = *e.mutable_reservation()->mutable_exchanged();
    x.set_from(from);
    x.mutable_to()->set_seat(to);
    x.set_amount(amount(s));
    std::replace(s.seats.begin(), s.seats.end(), from, to);
    return with(e, released(id, {from}), held(id, {to}), s.sold ? sold(id, {to}) : events{});
  }

  events started(const std::string& id, const std::string& provider = {}) {
    ++sales_[id].attempts;
    payers_[payment(id)] = sales_[id].user;
    auto e = said(id);
    auto& p = *e.mutable_reservation()->mutable_payment_started();
    p.set_payment_id(payment(id));
    p.set_provider(provider);
    p.set_at_ms(now_ms);
    if (!provider.empty()) p.set_lease_ends_at_ms(now_ms + 120'000);
    return {e};
  }
  events declined(const std::string& id) {
    auto e = said(id);
    e.mutable_reservation()->mutable_payment_declined()->set_payment_id(payment(id));
    return {e};
  }
  events confirmed(const std::string& id) {
    auto& s = sales_[id];
    s.sold = true;
    auto e = said(id);
    e.mutable_reservation()->mutable_confirmed()->set_payment_id(payment(id));
    return with(e, sold(id, s.seats), s.places == 0 ? events{} : events{places_sold(id)});
  }
  events refunding(const std::string& id) {
    auto e = said(id);
    e.mutable_reservation()->mutable_refund_started()->set_payment_id(payment(id));
    e.mutable_reservation()->mutable_refund_started()->set_at_ms(now_ms);
    return {e};
  }
  events seated_late(const std::string& id) {
    auto& s = sales_[id];
    s.sold = true;
    auto e = said(id);
    e.mutable_reservation()->mutable_late_payment_seated()->set_payment_id(payment(id));
    return with(e, allowance(id, s.user, true), with(held(id, s.seats), sold(id, s.seats)),
                s.places == 0 ? events{} : events{taken(id), places_sold(id)});
  }
  events late_refund(const std::string& id) {
    auto e = said(id);
    e.mutable_reservation()->mutable_late_refund_started()->set_payment_id(payment(id));
    e.mutable_reservation()->mutable_late_refund_started()->set_at_ms(now_ms);
    return {e};
  }
  events late_refunded(const std::string& id) {
    auto e = said(id);
    e.mutable_reservation()->mutable_late_refunded()->set_payment_id(payment(id));
    return {e};
  }

  events charged(const std::string& user, std::int64_t amount) {
    auto e = event(wallet_ref(user));
    move(*e.mutable_wallet()->mutable_charged(), user, amount, amount);
    return {e};
  }
  events used(const std::string& user, std::int64_t amount) {
    auto e = event(wallet_ref(user));
    move(*e.mutable_wallet()->mutable_used(), user, amount, -amount);
    return {e};
  }
  events debited(const std::string& id) {
    const auto& user = payers_[payment(id)];
    auto e = event(wallet_ref(user));
    auto& d = *e.mutable_wallet()->mutable_debited();
    pay(d, id);
    move(d, user, amount(sales_[id]), -amount(sales_[id]));
    return {e};
  }
  events credited(const std::string& id) {
    const auto& user = payers_[payment(id)];
    auto e = event(wallet_ref(user));
    auto& c = *e.mutable_wallet()->mutable_credited();
    pay(c, id);
    move(c, user, amount(sales_[id]), amount(sales_[id]));
    return {e};
  }
  events refused(const std::string& id) {
    auto e = event(wallet_ref(payers_[payment(id)]));
    auto& r = *e.mutable_wallet()->mutable_debit_refused();
    pay(r, id);
    r.set_amount(amount(sales_[id]));
    return {e};
  }
  events authorized(const std::string& user, const std::string& id, std::int64_t amount, std::int64_t seconds = 60) {
    auto e = event(wallet_ref(user));
    auto& a = *e.mutable_wallet()->mutable_authorized();
    a.set_authorization_id(id);
    a.set_amount(amount);
    a.set_expires_at_ms(now_ms + seconds * 1000);
    return {e};
  }
  events captured(const std::string& user, const std::string& id, std::int64_t amount) {
    auto e = event(wallet_ref(user));
    move(*e.mutable_wallet()->mutable_captured(), user, amount, -amount);
    e.mutable_wallet()->mutable_captured()->set_authorization_id(id);
    return {e};
  }
  events voided(const std::string& user, const std::string& id) {
    auto e = event(wallet_ref(user));
    e.mutable_wallet()->mutable_voided()->set_authorization_id(id);
    return {e};
  }

  events joined(std::uint64_t number) {
    auto e = event(queue_ref(hall));
    e.mutable_queue()->mutable_joined()->set_number(number);
    return {e};
  }
  events left(std::uint64_t number) {
    auto e = event(queue_ref(hall));
    e.mutable_queue()->mutable_left()->set_number(number);
    return {e};
  }
  events admitted(std::uint64_t through, std::uint32_t count = 1) {
    auto e = event(queue_ref(hall));
    e.mutable_queue()->mutable_admitted()->set_through(through);
    e.mutable_queue()->mutable_admitted()->set_count(count);
    e.mutable_queue()->mutable_admitted()->set_at_ms(now_ms);
    e.mutable_queue()->mutable_admitted()->set_expires_at_ms(now_ms + 300'000);
    return {e};
  }

  /// Held, paid for and sold.
  story& bought(const std::string& id, const std::string& user, const names& seats, std::uint32_t places = 0) {
    write(placed(id, user, seats, places)).write(charged(user, 10 * price)).write(started(id)).write(debited(id));
    return write(confirmed(id));
  }

  /// Where the newest record stands.
  [[nodiscard]] std::string here() const { return to_token({log.back().partition(), log.back().index()}); }

 private:
  struct sale {
    std::string user;
    names seats;
    std::uint32_t places;
    std::uint32_t attempts;
    bool sold;
  };

  static std::int64_t amount(const sale& s) { return price * (static_cast<std::int64_t>(s.seats.size()) + s.places); }
  std::string payment(const std::string& id) { return make_payment_id(id, sales_[id].attempts); }
  v1::StreamEvent event(v1::EntityRef of) {
    v1::StreamEvent e;
    e.set_version(++versions_[key_of(of)]);
    *e.mutable_stream() = std::move(of);
    return e;
  }
  v1::StreamEvent said(const std::string& id) {
    return event(reservation_ref(id));
  }
  template <class Event>
  void move(Event& e, const std::string& user, std::int64_t amount, std::int64_t by) {
    e.set_amount(amount);
    e.set_balance(balances_[user] += by);
  }
  template <class Event>
  void pay(Event& e, const std::string& id) {
    e.set_payment_id(payment(id));
    e.set_reservation_id(id);
  }
  v1::StreamEvent allowance(const std::string& id, const std::string& user, bool more) {
    auto e = event(allowance_ref(hall, user));
    const auto quantity = static_cast<std::uint32_t>(sales_[id].seats.size()) + sales_[id].places;
    const auto fill = [&](auto& a) {
      a.set_reservation_id(id);
      a.set_quantity(quantity);
    };
    more ? fill(*e.mutable_allowance()->mutable_used()) : fill(*e.mutable_allowance()->mutable_restored());
    return e;
  }
  events held(const std::string& id, const names& seats) {
    return each(seats, [&](auto& e) { e.mutable_held()->set_reservation_id(id); });
  }
  events sold(const std::string& id, const names& seats) {
    return each(seats, [&](auto& e) { e.mutable_sold()->set_reservation_id(id); });
  }
  events released(const std::string& id, const names& seats) {
    return each(seats, [&](auto& e) { e.mutable_released()->set_reservation_id(id); });
  }
  events each(const names& seats, const std::function<void(v1::SeatEvent&)>& how) {
    events out;
    for (const auto& seat : seats) how(*out.emplace_back(event(seat_ref(hall, seat))).mutable_seat());
    return out;
  }
  v1::StreamEvent taken(const std::string& id) {
    auto e = event(stock_ref(hall, "floor"));
    e.mutable_stock()->mutable_taken()->set_reservation_id(id);
    e.mutable_stock()->mutable_taken()->set_quantity(sales_[id].places);
    e.mutable_stock()->mutable_taken()->set_capacity(6);
    return e;
  }
  v1::StreamEvent places_sold(const std::string& id) {
    auto e = event(stock_ref(hall, "floor"));
    e.mutable_stock()->mutable_sold()->set_reservation_id(id);
    e.mutable_stock()->mutable_sold()->set_quantity(sales_[id].places);
    return e;
  }
  v1::StreamEvent returned(const std::string& id) {
    auto e = event(stock_ref(hall, "floor"));
    e.mutable_stock()->mutable_returned()->set_reservation_id(id);
    e.mutable_stock()->mutable_returned()->set_quantity(sales_[id].places);
    e.mutable_stock()->mutable_returned()->set_sold(sales_[id].sold);
    sales_[id].sold = false;
    return e;
  }
  static void append(events& out, const events& more) { out.insert(out.end(), more.begin(), more.end()); }
  static void append(events& out, const v1::StreamEvent& more) { out.push_back(more); }
  template <class... Parts>
  static events with(const Parts&... parts) {
    events out;
    (append(out, parts), ...);
    return out;
  }

  std::map<std::string, sale> sales_;
  std::map<std::string, std::string> payers_;  // by payment
  std::map<std::string, std::int64_t> balances_;
  std::map<std::string, std::uint64_t> versions_;
  std::map<std::uint32_t, std::uint64_t> ends_;
};

const std::string ann = make_user_id("ann@example.org");
const std::string bob = make_user_id("bob@example.org");
const std::string one = make_reservation_id(hall, "one");
const std::string two = make_reservation_id(hall, "two");

void take_all(auditor& a, const std::vector<v1::Record>& log) {
  for (const auto& r : log) a.take(r);
  a.finish();
}

/// As it stands on disk: one partition after the other.
std::vector<v1::Record> by_partition(std::vector<v1::Record> log) {
  std::ranges::stable_sort(log, {}, &v1::Record::partition);
  return log;
}

/// Each partition in its order, the partitions in any.
std::vector<v1::Record> shuffled(const std::vector<v1::Record>& log, std::uint64_t seed) {
  std::map<std::uint32_t, std::deque<v1::Record>> partitions;
  for (const auto& r : log) partitions[r.partition()].push_back(r);
  std::mt19937_64 random{seed};
  std::vector<v1::Record> out;
  while (!partitions.empty()) {
    auto next = partitions.begin();
    std::advance(next, random() % partitions.size());
    for (auto n = 1 + random() % 4; n != 0 && !next->second.empty(); --n) {
      out.push_back(std::move(next->second.front()));
      next->second.pop_front();
    }
    if (next->second.empty()) partitions.erase(next);
  }
  return out;
}

std::string line_of(const projections::fault& f) { return std::string{projections::word_of(f.kind)} + " at " + to_token(f.at); }

names found_in(const std::vector<v1::Record>& log) {
  auditor a;
  take_all(a, log);
  names out;
  for (const auto& f : a.take_faults()) {
    CHECK_FALSE(f.detail.empty());
    CHECK((f.entity + f.detail).find("usr_") == std::string::npos);
    out.push_back(line_of(f));
  }
  CHECK(a.count() == out.size());
  return out;
}

/// What is found, whatever comes first.
names found(const story& s) {
  auto out = found_in(s.log);
  std::ranges::sort(out);
  for (const auto& log : {by_partition(s.log), shuffled(s.log, 1), shuffled(s.log, 2)}) {
    auto other = found_in(log);
    std::ranges::sort(other);
    CHECK(other == out);
  }
  return out;
}

/// The one fault, at the newest record.
void check_newest(const story& s, const std::string& kind) { CHECK(found(s) == names{kind + " at " + s.here()}); }

using deed = std::function<void(story&)>;

void without_event(events& all, std::size_t which) { all.erase(all.begin() + static_cast<std::ptrdiff_t>(which)); }

}  // namespace

TEST_CASE("nothing is wrong with a box office that does as it says, whatever becomes of a reservation") {
  const std::map<std::string, deed> paths{
      {"expired", [](story& s) { s.write(s.placed(one, ann, {"A-1", "A-2"}, 2)).write(s.expired(one)); }},
      {"given up", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.extended(one)).write(s.gave_up(one)); }},
      {"sold", [](story& s) { s.bought(one, ann, {"A-1", "A-2"}, 2); }},
      {"places only", [](story& s) { s.bought(one, ann, {}, 4); }},
      {"cancelled",
       [](story& s) { s.bought(one, ann, {"A-1"}, 2).write(s.refunding(one)).write(s.credited(one)).write(s.cancelled(one)); }},
      {"sold again after an end",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.expired(one));
         s.bought(two, bob, {"A-1"});
       }},
      {"declined, then paid",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one)).write(s.refused(one)).write(s.declined(one));
         s.write(s.charged(ann, price)).write(s.started(one)).write(s.debited(one)).write(s.confirmed(one));
       }},
      {"declined, then expired",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one)).write(s.refused(one)).write(s.declined(one)).write(s.expired(one));
       }},
      {"transferred as a hold", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}, 1)).write(s.transferred(one, bob)).write(s.charged(bob, 5 * price));
         s.write(s.started(one)).write(s.debited(one)).write(s.confirmed(one));
       }},
      {"transferred when sold, and the payer gets it back",
       [](story& s) {
         s.bought(one, ann, {"A-1"}).write(s.transferred(one, bob));
         s.write(s.refunding(one)).write(s.credited(one)).write(s.cancelled(one));
       }},
      {"exchanged",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1", "A-2"})).write(s.exchanged(one, "A-2", "A-3"));
         s.write(s.placed(two, bob, {"A-2"})).write(s.expired(one));
       }},
      {"exchanged when sold",
       [](story& s) { s.bought(one, ann, {"A-1"}).write(s.exchanged(one, "A-1", "A-3")).write(s.placed(two, bob, {"A-1"})); }},
      {"paid by a provider",
       [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.confirmed(one)); }},
      {"paid by a provider and cancelled",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.confirmed(one));
         s.write(s.refunding(one)).write(s.cancelled(one));
       }},
      {"late money gets the seats after all",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}, 2)).write(s.started(one, "bank")).write(s.lapsed(one)).write(s.seated_late(one));
         s.write(s.refunding(one)).write(s.cancelled(one));
       }},
      {"late money goes back",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.lapsed(one));
         s.bought(two, bob, {"A-1"}).write(s.late_refund(one)).write(s.late_refunded(one));
       }},
      {"late money for a payment that was declined, after another one",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank"));
         const auto late = [](events e) {
           auto& r = *e[0].mutable_reservation();
           const auto first = make_payment_id(one, 1);
           r.has_late_refunded() ? r.mutable_late_refunded()->set_payment_id(first) : r.mutable_late_refund_started()->set_payment_id(first);
           return e;
         };
         s.write(s.declined(one)).write(s.charged(ann, price)).write(s.started(one)).write(s.debited(one)).write(s.confirmed(one));
         s.write(late(s.late_refund(one))).write(late(s.late_refunded(one)));
       }},
      {"money set aside",
       [](story& s) {
         s.write(s.charged(ann, 100)).write(s.authorized(ann, "a", 60)).write(s.authorized(ann, "b", 40));
         s.write(s.captured(ann, "a", 50)).write(s.voided(ann, "b")).write(s.used(ann, 50));
       }},
      {"money set aside runs out, and is used before that is recorded",
       [](story& s) {
         s.write(s.charged(ann, 100)).write(s.authorized(ann, "a", 60, 10));
         s.now_ms += 10'000;
         s.write(s.used(ann, 100)).write(s.voided(ann, "a"));
       }},
      {"a queue",
       [](story& s) { s.write(s.joined(1)).write(s.joined(2)).write(s.left(1)).write(s.admitted(2)).write(s.joined(3)).write(s.admitted(3)); }},
      {"a limit that sinks", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}, 3)).write(s.limited_to(2));
         s.now_ms += 1000;
         s.write(s.placed(two, bob, {"A-2"}, 2));  // it was asked for when three were allowed
       }},
  };
  for (const auto& [name, tell] : paths) {
    INFO(name);
    story s;
    tell(s);
    CHECK(found(s).empty());
  }
}

TEST_CASE("a seat that is given to a second buyer is found") {
  story s;
  s.write(s.placed(one, ann, {"A-1"}));
  SECTION("while it is held") {
    s.write(s.placed(two, bob, {"A-1"}));
    check_newest(s, "seat_held_twice");
    auditor a;
    take_all(a, s.log);
    CHECK(a.take_faults().front().entity == "seat/" + hall + "/A-1");
  }
  SECTION("while it is sold") {
    s.write(s.started(one)).write(s.charged(ann, price)).write(s.debited(one)).write(s.confirmed(one)).write(s.placed(two, bob, {"A-1"}));
    check_newest(s, "seat_held_twice");
  }
  SECTION("by a sale") {
    s.write(s.placed(two, bob, {"A-2"})).write(s.started(two, "bank"));
    auto e = s.confirmed(two);
    *e[1].mutable_stream() = seat_ref(hall, "A-1");
    s.write(e);
    check_newest(s, "seat_held_twice");
  }
}

TEST_CASE("a seat that is not what its reservation says is found where that begins") {
  const std::map<std::string, deed> spoilt{
      {"placed, and one seat not held", [](story& s) {
         auto e = s.placed(one, ann, {"A-1", "A-2"});
         without_event(e, 3);
         s.write(e);
       }},
      {"placed, and another seat held", [](story& s) {
         auto e = s.placed(one, ann, {"A-1", "A-2"});
         *e[3].mutable_stream() = seat_ref(hall, "A-3");
         s.write(e);
       }},
      {"placed, and held for nobody who is known", [](story& s) {
         auto e = s.placed(one, ann, {"A-1"});
         s.write({e[2]});
       }},
      {"placed, and sold at once", [](story& s) {
         auto e = s.placed(one, ann, {"A-1"});
         e[2].mutable_seat()->mutable_sold()->set_reservation_id(one);
         s.write(e);
       }},
      {"held again", [](story& s) {
         auto e = s.placed(one, ann, {"A-1"});
         s.write(e).write({e[2]});
       }},
      {"expired, and a seat kept", [](story& s) {
         s.write(s.placed(one, ann, {"A-1", "A-2"}));
         auto e = s.expired(one);
         without_event(e, 2);
         s.write(e);
       }},
      {"confirmed, and a seat only held", [](story& s) {
         s.write(s.placed(one, ann, {"A-1", "A-2"})).write(s.started(one, "bank"));
         auto e = s.confirmed(one);
         without_event(e, 2);
         s.write(e);
       }},
      {"sold again", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank"));
         auto e = s.confirmed(one);
         s.write(e).write({e[1]});
       }},
      {"released by another one", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.placed(two, bob, {"A-2"}));
         auto e = s.expired(two);
         *e[2].mutable_stream() = seat_ref(hall, "A-1");
         s.write(e);
       }},
      {"released without having been taken", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}));
         auto e = s.expired(one);
         s.write(e).write({e[2]});
       }},
      {"lapsed, and a seat kept", [](story& s) {
         s.write(s.placed(one, ann, {"A-1", "A-2"})).write(s.started(one, "bank"));
         auto e = s.lapsed(one);
         without_event(e, 3);
         s.write(e);
       }},
      {"late money, and a seat not sold", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.lapsed(one));
         auto e = s.seated_late(one);
         without_event(e, 3);
         s.write(e);
       }},
      {"exchanged, and the old seat kept", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}));
         auto e = s.exchanged(one, "A-1", "A-2");
         without_event(e, 1);
         s.write(e);
       }},
      {"exchanged, and the new seat not taken", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}));
         auto e = s.exchanged(one, "A-1", "A-2");
         without_event(e, 2);
         s.write(e);
       }},
      {"exchanged when sold, and the new seat only held", [](story& s) {
         s.bought(one, ann, {"A-1"});
         auto e = s.exchanged(one, "A-1", "A-2");
         without_event(e, 3);
         s.write(e);
       }},
  };
  for (const auto& [name, tell] : spoilt) {
    INFO(name);
    story s;
    tell(s);
    check_newest(s, "seat_disagrees");
  }
}

TEST_CASE("more places than there are, or other ones than the reservations say, are found") {
  story s;
  s.write(s.placed(one, ann, {}, 4));
  SECTION("more than the plan has, whatever the record says") {
    auto e = s.placed(two, bob, {}, 3);
    e[2].mutable_stock()->mutable_taken()->set_capacity(100);
    s.write(e);
    check_newest(s, "oversold");
  }
  SECTION("none taken") {
    auto e = s.placed(two, bob, {}, 2);
    without_event(e, 2);
    s.write(e);
    check_newest(s, "stock_disagrees");
  }
  SECTION("too few taken") {
    auto e = s.placed(two, bob, {}, 2);
    e[2].mutable_stock()->mutable_taken()->set_quantity(1);
    s.write(e);
    check_newest(s, "stock_disagrees");
  }
  SECTION("not sold") {
    s.write(s.started(one, "bank"));
    auto e = s.confirmed(one);
    without_event(e, 1);
    s.write(e);
    check_newest(s, "stock_disagrees");
  }
  SECTION("not given back") {
    auto e = s.expired(one);
    without_event(e, 2);
    s.write(e);
    check_newest(s, "stock_disagrees");
  }
  SECTION("given back as if they had been sold") {
    auto e = s.expired(one);
    e[2].mutable_stock()->mutable_returned()->set_sold(true);
    s.write(e);
    CHECK(found(s) == names(2, "stock_disagrees at " + s.here()));  // the section has none, and the reservation had none
  }
}

TEST_CASE("a person with more places than the show allows, or than their reservations have, is found") {
  story s;
  s.write(s.placed(one, ann, {"A-1"}, 2));
  SECTION("more than the limit") {
    s.write(s.placed(two, ann, {"A-2", "A-3"}));
    check_newest(s, "limit_exceeded");
  }
  SECTION("more than the limit by a transfer") {
    s.write(s.placed(two, bob, {"A-2", "A-3"})).write(s.transferred(two, ann));
    check_newest(s, "limit_exceeded");
  }
  SECTION("more than a limit that sank long ago") {
    s.write(s.limited_to(1));
    s.now_ms += 61'000;
    s.write(s.placed(two, bob, {"A-2", "A-3"}));
    check_newest(s, "limit_exceeded");
  }
  SECTION("more than eight where the show names no limit") {
    s.write(s.limited_to(0)).write(s.placed(two, ann, {"B-1", "B-2", "B-3", "B-4", "B-5", "B-6"}));
    check_newest(s, "limit_exceeded");
  }
  SECTION("not counted") {
    auto e = s.placed(two, bob, {"A-2"});
    without_event(e, 1);
    s.write(e);
    check_newest(s, "allowance_disagrees");
  }
  SECTION("counted for somebody else") {
    auto e = s.placed(two, bob, {"A-2"});
    e[1].mutable_stream()->set_name(ann);
    s.write(e);
    check_newest(s, "allowance_disagrees");
  }
  SECTION("not given back") {
    auto e = s.expired(one);
    without_event(e, 1);
    s.write(e);
    check_newest(s, "allowance_disagrees");
  }
  SECTION("not moved with the reservation") {
    auto e = s.transferred(one, bob);
    without_event(e, 2);
    s.write(e);
    check_newest(s, "allowance_disagrees");
  }
  SECTION("given back twice") {
    auto e = s.expired(one);
    s.write(e).write({e[1]});
    CHECK(found(s) == names(2, "allowance_disagrees at " + s.here()));  // the person has none, and the reservation had none
  }
}

TEST_CASE("a queue with a gap, a number twice or a number that nobody has is found") {
  story s;
  s.write(s.joined(1)).write(s.joined(2)).write(s.admitted(1));
  SECTION("a gap") { s.write(s.joined(4)); }
  SECTION("a number twice") { s.write(s.joined(2)); }
  SECTION("somebody left who never came") { s.write(s.left(3)); }
  SECTION("somebody was let in who never came") { s.write(s.admitted(3)); }
  SECTION("somebody was let in again") { s.write(s.admitted(1)); }
  SECTION("more were let in than are counted") { s.write(s.joined(3)).write(s.admitted(3)); }
  SECTION("nobody was let in") { s.write(s.left(2)).write(s.admitted(2)); }
  SECTION("somebody left twice") { s.write(s.left(1)).write(s.left(1)); }
  check_newest(s, "queue_disagrees");
}

TEST_CASE("a wallet whose balance is not what was moved is found") {
  story s;
  s.write(s.charged(ann, 5 * price));
  const auto spoil = [](events e, std::int64_t balance) {
    auto& w = *e[0].mutable_wallet();
    if (w.has_charged()) w.mutable_charged()->set_balance(balance);
    if (w.has_used()) w.mutable_used()->set_balance(balance);
    if (w.has_captured()) w.mutable_captured()->set_balance(balance);
    return e;
  };
  SECTION("a charge that counts for too much") { s.write(spoil(s.charged(ann, 1), 5 * price + 2)); }
  SECTION("a use that counts for nothing") { s.write(spoil(s.used(ann, 1), 5 * price)); }
  SECTION("a balance below zero") { s.write(s.used(ann, 6 * price)); }
  SECTION("a negative amount") { s.write(s.charged(ann, -1)); }
  SECTION("a capture that takes nothing") { s.write(s.authorized(ann, "a", 60)).write(spoil(s.captured(ann, "a", 60), 5 * price)); }
  SECTION("a use of what is set aside") { s.write(s.authorized(ann, "a", 4 * price)).write(s.used(ann, 2 * price)); }
  SECTION("more set aside than there is") { s.write(s.authorized(ann, "a", 4 * price)).write(s.authorized(ann, "b", 2 * price)); }
  SECTION("a debit that counts for nothing") {
    s.write(s.placed(one, ann, {"A-1"})).write(s.started(one));
    auto e = s.debited(one);
    e[0].mutable_wallet()->mutable_debited()->set_balance(5 * price);
    s.write(e);
  }
  SECTION("a credit that counts for nothing") {
    s.bought(one, ann, {"A-1"}).write(s.refunding(one));
    auto e = s.credited(one);
    e[0].mutable_wallet()->mutable_credited()->set_balance(14 * price);
    s.write(e);
  }
  check_newest(s, "ledger_imbalance");
}

TEST_CASE("money that is set aside is taken or set free once, and never more than it was") {
  story s;
  s.write(s.charged(ann, 100)).write(s.authorized(ann, "a", 50));
  SECTION("more taken") { s.write(s.captured(ann, "a", 51)); }
  SECTION("taken without being set aside") { s.write(s.captured(ann, "b", 1)); }
  SECTION("taken twice") { s.write(s.captured(ann, "a", 10)).write(s.captured(ann, "a", 10)); }
  SECTION("set free twice") { s.write(s.voided(ann, "a")).write(s.voided(ann, "a")); }
  SECTION("set aside twice") { s.write(s.authorized(ann, "a", 1)); }
  check_newest(s, "payment_disagrees");
}

TEST_CASE("whoever paid and has neither a seat nor the money back is found") {
  story s;
  s.write(s.charged(ann, 5 * price)).write(s.placed(one, ann, {"A-1"}));
  SECTION("for a payment that was declined") {
    s.write(s.started(one)).write(s.debited(one)).write(s.declined(one)).write(s.expired(one));
    CHECK(found(s) == names{"paid_without_seat at " + to_token({s.log.back().partition(), s.log.back().index() - 1})});
  }
  SECTION("for a hold that ended during the payment") {
    s.write(s.started(one)).write(s.debited(one)).write(s.expired(one));
    CHECK(found(s) == names{"paid_without_seat at " + s.here(), "reservation_disagrees at " + s.here()});
  }
  SECTION("for a hold that was given up during the payment") {
    s.write(s.started(one)).write(s.debited(one)).write(s.gave_up(one));
    CHECK(found(s) == names{"paid_without_seat at " + s.here(), "reservation_disagrees at " + s.here()});
  }
  SECTION("without any payment") {
    s.started(one);  // told, and never written
    s.write(s.debited(one));
    check_newest(s, "paid_without_seat");
  }
  SECTION("for a reservation that was cancelled") {
    s.write(s.started(one)).write(s.debited(one)).write(s.confirmed(one)).write(s.refunding(one)).write(s.cancelled(one));
    check_newest(s, "paid_without_seat");
  }
}

TEST_CASE("a fault between two partitions is no fault any more once it is mended") {
  story s;
  s.write(s.charged(ann, 5 * price)).write(s.placed(one, ann, {"A-1"})).write(s.started(one)).write(s.debited(one)).write(s.declined(one));
  auditor a;
  take_all(a, s.log);
  CHECK(a.count(fault_kind::paid_without_seat) == 1);
  s.write(s.credited(one));
  a.take(s.log.back());
  CHECK(a.count(fault_kind::paid_without_seat) == 0);
  a.finish();
  CHECK(a.count() == 0);
  CHECK(a.take_faults().size() == 1);
}

TEST_CASE("a seat that nobody paid for is found") {
  story s;
  s.write(s.charged(ann, 5 * price)).write(s.placed(one, ann, {"A-1"})).write(s.started(one));
  SECTION("nothing was asked of the wallet") { s.write(s.confirmed(one)); }
  SECTION("the wallet refused") { s.write(s.refused(one)).write(s.confirmed(one)); }
  SECTION("the refund left the seats as they were") {
    s.write(s.debited(one)).write(s.confirmed(one));
    s.write(s.credited(one));
    CHECK(found(s).size() == 1);
    CHECK(found(s).front().starts_with("seated_without_payment"));
    return;
  }
  check_newest(s, "seated_without_payment");
}

TEST_CASE("a payment whose two sides tell different stories is found") {
  story s;
  s.write(s.charged(ann, 5 * price)).write(s.charged(bob, 5 * price)).write(s.placed(one, ann, {"A-1"}));
  auto payment = s.started(one);
  // Whichever side comes second shows it.
  const auto only = [&](const std::string& kind) {
    for (const auto& log : {s.log, by_partition(s.log), shuffled(s.log, 1)}) {
      const auto all = found_in(log);
      REQUIRE(all.size() == 1);
      CHECK(all.front().starts_with(kind + " at "));
    }
  };
  SECTION("taken twice") {
    s.write(payment).write(s.debited(one)).write(s.debited(one)).write(s.confirmed(one));
    only("payment_disagrees");
  }
  SECTION("taken after it was refused") {
    s.write(payment).write(s.refused(one)).write(s.debited(one)).write(s.confirmed(one));
    only("payment_disagrees");
  }
  SECTION("given back without having been taken") {
    s.write(payment).write(s.credited(one));
    CHECK(found(s).size() == 2);  // by the wallet itself, and by the reservation, which still waits
  }
  SECTION("another amount") {
    auto e = s.debited(one);
    e[0].mutable_wallet()->mutable_debited()->set_amount(1);
    e[0].mutable_wallet()->mutable_debited()->set_balance(5 * price - 1);
    s.write(payment).write(e).write(s.confirmed(one));
    only("payment_disagrees");
  }
  SECTION("from somebody else's wallet") {
    auto e = s.debited(one);
    e[0].mutable_stream()->set_group(bob);
    s.write(payment).write(s.confirmed(one));
    auto& r = s.log.emplace_back();
    r.set_partition(partition_of(bob));
    r.set_index(2);
    *r.add_events() = e[0];
    only("payment_disagrees");
  }
  SECTION("by the wallet, though a provider was asked") {
    payment[0].mutable_reservation()->mutable_payment_started()->set_provider("bank");
    s.write(payment).write(s.debited(one));
    only("payment_disagrees");
  }
}

TEST_CASE("a reservation that does what its state rules out is found") {
  const std::map<std::string, deed> spoilt{
      {"placed again", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.expired(one)).write(s.placed(one, ann, {"A-1"})); }},
      {"ended twice", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.expired(one)).write({s.expired(one)[0]}); }},
      {"given up when it is sold", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.confirmed(one)).write(s.gave_up(one));
       }},
      {"paid twice at once", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.started(one, "bank")); }},
      {"extended after its end", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.expired(one)).write(s.extended(one)); }},
      {"cancelled without a refund", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.confirmed(one)).write(s.cancelled(one));
       }},
      {"exchanged for another price", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.confirmed(one));
         auto e = s.exchanged(one, "A-1", "A-2");
         e[0].mutable_reservation()->mutable_exchanged()->set_amount(1);
         s.write(e);
       }},
      {"late money that is not late", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.late_refund(one)); }},
      {"late money back that never went", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.lapsed(one)).write(s.late_refunded(one));
       }},
  };
  for (const auto& [name, tell] : spoilt) {
    INFO(name);
    story s;
    tell(s);
    check_newest(s, "reservation_disagrees");
  }
  story s;
  s.write(s.placed(one, ann, {"A-1"}));
  auto e = s.started(one, "bank");
  s.write(s.confirmed(one));  // without the record before it
  const auto all = found(s);
  CHECK(all.size() == 2);
  CHECK(all.front() == "reservation_disagrees at " + s.here());
  CHECK(all.back() == "seated_without_payment at " + s.here());
}

TEST_CASE("a payment or refund that does not end is found a minute after it should have") {
  story s;
  s.write(s.charged(ann, 5 * price)).write(s.placed(one, ann, {"A-1"}));
  std::int64_t due_ms = 0;
  SECTION("of the wallet") {
    s.write(s.started(one)).write(s.debited(one));
    due_ms = s.now_ms + 60'000;
  }
  SECTION("of a provider, after its lease") {
    s.write(s.started(one, "bank"));
    due_ms = s.now_ms + 180'000;
  }
  SECTION("a refund") {
    s.write(s.started(one)).write(s.debited(one)).write(s.confirmed(one)).write(s.refunding(one)).write(s.credited(one));
    due_ms = s.now_ms + 60'000;
  }
  SECTION("money that came too late, which the provider has an hour to take back") {
    s.write(s.started(one, "bank")).write(s.lapsed(one)).write(s.late_refund(one));
    due_ms = s.now_ms + 3'600'000;
  }
  auditor a;
  take_all(a, s.log);
  CHECK(a.count() == 0);
  CHECK(a.oldest_process() == from_ms(s.now_ms));
  const auto long_ago = from_ms(0);
  a.watch_processes(from_ms(due_ms - 1), long_ago);
  CHECK(a.count() == 0);
  a.watch_processes(from_ms(due_ms), from_ms(due_ms));  // the node has only just started
  CHECK(a.count() == 0);
  a.watch_processes(from_ms(due_ms), long_ago);
  a.watch_processes(from_ms(due_ms + 1), long_ago);
  CHECK(a.count(fault_kind::process_stalled) == 1);
  CHECK(a.take_faults().size() == 1);
}

TEST_CASE("a payment that ends is under way no more") {
  const auto processes_after = [](const deed& tell) {
    story s;
    s.write(s.charged(ann, 5 * price)).write(s.placed(one, ann, {"A-1"}));
    tell(s);
    auditor a;
    take_all(a, s.log);
    a.watch_processes(from_ms(s.now_ms + 100'000'000), from_ms(0));
    CHECK(a.count() == 0);
    return a.processes();
  };
  CHECK(processes_after([](story& s) { s.write(s.started(one)).write(s.debited(one)).write(s.confirmed(one)); }) == 0);
  CHECK(processes_after([](story& s) { s.write(s.started(one)).write(s.refused(one)).write(s.declined(one)); }) == 0);
  CHECK(processes_after([](story& s) { s.write(s.started(one, "bank")).write(s.lapsed(one)); }) == 0);
  CHECK(processes_after([](story& s) { s.write(s.started(one, "bank")).write(s.lapsed(one)).write(s.late_refund(one)).write(s.late_refunded(one)); }) == 0);
  CHECK(processes_after([](story& s) {
          s.write(s.started(one)).write(s.debited(one)).write(s.confirmed(one)).write(s.refunding(one)).write(s.credited(one)).write(s.cancelled(one));
        }) == 0);
}

TEST_CASE("what two partitions tell is judged only when nothing that explains it can be on its way") {
  story s;
  s.write(s.placed(one, ann, {"A-1"})).write(s.charged(ann, 5 * price)).write(s.started(one)).write(s.debited(one)).write(s.confirmed(one));
  s.write(s.refunding(one)).write(s.credited(one)).write(s.cancelled(one));
  auditor a;
  const auto settled_after = [&](std::size_t from, std::size_t to, bool of_the_wallet) {
    for (auto i = from; i != to; ++i)
      if ((s.log[i].partition() == partition_of(ann)) == of_the_wallet) a.take(s.log[i]);
    a.settle();
    CHECK(a.count() == 0);
  };
  REQUIRE(s.log.size() == 9);
  settled_after(0, 6, false);  // up to the confirmation, while the wallet's records are on their way
  settled_after(0, 6, true);
  settled_after(6, 9, false);  // up to the end
  settled_after(6, 9, true);
  a.finish();
  CHECK(a.take_faults().empty());
}

// --- against the oracle --------------------------------------------------------------------------------------------

namespace {

constexpr std::uint32_t limit = 4;

v1::Command wish(const std::string& user, const std::set<std::string>& seats, std::uint32_t standing) {
  v1::Command c;
  auto& p = *c.mutable_reservation()->mutable_place();
  p.set_user_id(user);
  for (const auto& seat : seats) {
    p.add_seats()->set_seat(seat);
    p.mutable_seats()->rbegin()->set_price(price);
  }
  if (standing != 0) {
    auto& item = *p.add_general_admission();
    item.set_section("floor");
    item.set_quantity(standing);
    item.set_price(price);
    item.set_capacity(5);
  }
  p.set_currency("EUR");
  p.set_ticket_limit(limit);
  p.set_hold_seconds(300);
  return c;
}

v1::Command order(const std::function<void(v1::ReservationCommand&)>& how) {
  v1::Command c;
  how(*c.mutable_reservation());
  return c;
}

/// What some people who want the same seats leave in the log: the show, and then as it is on disk.
std::vector<v1::Record> log_of_a_crowd(std::uint64_t seed) {
  disk d;
  world w{seed, d};
  const auto show = make_show_id("crowd " + std::to_string(seed));
  std::vector<std::string> buyers;
  for (const auto* name : {"ann", "bob", "cem"}) buyers.push_back(make_user_id(name + show));
  for (std::size_t i = 0; i != buyers.size(); ++i) {
    v1::Command charge;
    charge.mutable_wallet()->mutable_charge()->set_amount((i == 0 ? 20 : 3) * price);
    w.send(wallet_ref(buyers[i]), charge);
  }
  std::vector<question_ptr> placed;
  for (int i = 0; i != 30; ++i) {
    if (placed.empty() || w.below(2) == 0) {
      std::set<std::string> seats;
      for (auto n = w.below(3); n != 0; --n) seats.insert("A-" + std::to_string(1 + w.below(6)));
      const auto standing = static_cast<std::uint32_t>(seats.empty() ? 1 + w.below(2) : w.below(2));
      const auto& user = buyers[w.below(buyers.size())];
      placed.push_back(w.send(reservation_ref(make_reservation_id(show, std::to_string(i))), wish(user, seats, standing), user));
    } else {
      const auto& before = *placed[w.below(placed.size())];
      const auto what = w.below(5);
      w.send(before.to, order([&](auto& r) {
               if (what == 0) r.mutable_release();
               else if (what == 1) r.mutable_cancel();
               else r.mutable_pay();
             }),
             before.request->user_id);
    }
    w.run_some(w.below(12));
    if (w.below(4) == 0) w.let_pass(std::chrono::milliseconds{w.below(40'000)});
  }
  w.settle();
  w.pass(2s);
  w.book.check_settled();
  for (const auto& fault : w.book.faults) FAIL_CHECK(fault);

  std::vector<v1::Record> log(1);
  log[0].set_partition(partition_of(show));
  auto& opening = *log[0].add_events();
  *opening.mutable_stream() = show_ref(show);
  opening.mutable_show()->mutable_opened()->mutable_plan()->set_ticket_limit(limit);
  w.read_log([&](store::record_ptr r, std::string_view) { log.push_back(*r); });
  return log;
}

bool oracle_objects(const std::vector<v1::Record>& log) {
  ledger book;
  book.ticket_limit = limit;
  book.checks_places = false;  // the journal's
  for (const auto& r : log) book.take(r);
  book.check_settled();
  return !book.faults.empty();
}

/// Spoils one record. @return how
std::string spoil(std::vector<v1::Record>& log, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return static_cast<int>(random() % n); };
  auto& r = log[1 + random() % (log.size() - 1)];
  if (r.events_size() == 0) return "nothing";
  const auto at = " in " + to_token({r.partition(), r.index()});
  const int which = below(static_cast<std::size_t>(r.events_size()));
  auto& e = *r.mutable_events(which);
  switch (below(6)) {
    case 0: r.mutable_events()->DeleteSubrange(which, 1); return "dropped event " + std::to_string(which) + at;
    case 1: *r.add_events() = v1::StreamEvent{e}; return "repeated event " + std::to_string(which) + at;
    case 2: r.clear_events(); return "dropped all events" + at;
    case 3: {
      auto& other = log[1 + random() % (log.size() - 1)];
      if (other.events_size() == 0) return "nothing";
      e.Swap(other.mutable_events(below(static_cast<std::size_t>(other.events_size()))));
      return "swapped event " + std::to_string(which) + at + " with one" + " in " + to_token({other.partition(), other.index()});
    }
    case 4:
      if (e.has_seat()) e.mutable_stream()->set_name("A-7");
      if (e.has_stock() && e.stock().has_taken()) e.mutable_stock()->mutable_taken()->set_quantity(e.stock().taken().quantity() + 1);
      if (e.has_allowance() && e.allowance().has_used()) e.mutable_allowance()->mutable_used()->set_quantity(e.allowance().used().quantity() + 1);
      if (e.wallet().has_debited()) e.mutable_wallet()->mutable_debited()->set_amount(1);
      return "changed event " + std::to_string(which) + at;
    default: {
      const auto next = std::find_if(log.begin() + 1, log.end(), [&](const auto& o) { return &o != &r && o.partition() == r.partition(); });
      if (next == log.end()) return "nothing";
      r.mutable_events()->Swap(next->mutable_events());
      return "swapped all events" + at + " with those in " + to_token({next->partition(), next->index()});
    }
  }
}

}  // namespace

TEST_CASE("a log that the engine wrote has no fault in any interleaving, and each that the oracle finds in a spoilt one is found") {
  int spoilt = 0;
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    INFO("crowd " << seed);
    const auto log = log_of_a_crowd(seed);
    REQUIRE(log.size() > 10);
    CHECK(found_in(log).empty());
    for (std::uint64_t order = 1; order <= 5; ++order) CHECK(found_in(shuffled(log, order)).empty());
    for (std::uint64_t mutation = 1; mutation <= 30; ++mutation) {
      std::mt19937_64 random{seed * 1000 + mutation};
      auto bad = log;
      const auto how = spoil(bad, random);
      INFO("mutation " << mutation << ": " << how);
      if (!oracle_objects(bad)) continue;
      ++spoilt;
      auditor a;
      take_all(a, bad);
      a.watch_processes(from_ms(1'000'000'000'000), from_ms(0));
      CHECK(a.count() > 0);
    }
  }
  CHECK(spoilt > 200);
}

// --- in a node -----------------------------------------------------------------------------------------------------

namespace {

/// A node with a show on it, and what its auditor says.
struct box_office : test_node {
  std::string show;

  box_office() {
    const auto opened = client{*this}.post("/shows",
                                           R"({"title":"Evening","venue":"Hall","currency":"EUR","startsAt":"2096-03-01T19:30:00Z",
            "tiers":[{"name":"All","price":1000}],"sections":[{"name":"Stalls","kind":"seated","rows":[{"name":"A","seats":9,"tier":"All"}]}]})",
                                           token("usr_boss", http::role::operator_));
    REQUIRE(opened.status == 201);
    show = opened.text("showId");
  }

  /// @return the reservation's id
  std::string sell(const std::string& user, const std::string& seat) {
    client c{*this};
    REQUIRE(c.post("/balance/charge", R"({"amount":1000})", token(user)).status == 200);
    const auto held = c.post("/reservations", R"({"showId":")" + show + R"(","seats":[")" + seat + R"("]})", token(user));
    REQUIRE(held.status == 201);
    REQUIRE(c.post("/payment", R"({"reservationId":")" + held.text("reservationId") + R"("})", token(user)).status == 200);
    return held.text("reservationId");
  }

  /// @return the gauge's value; -1 where there is none
  double gauge(const std::string& name) {
    const auto text = "\n" + client{*this}.get("/metrics").body;
    const auto at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  bool judged() {
    return eventually([&] { return gauge("usher_audit_lag") == 0; });
  }

  /// A record that nobody decided.
  void forge(events all) {
    auto db = store::database::open(log_directory(directory())).value();
    store::engine_index index;
    index.load(*db).value();
    store::journal journal{*db, index, {}};
    journal.load().value();
    auto r = std::make_unique<v1::Record>();
    r->set_partition(partition_of(all.front().stream().group()));
    r->set_at_ms(to_ms(clock.now()));
    for (auto& e : all) {
      e.set_version(index.head(e.stream()).version + 1);
      *r->add_events() = e;
    }
    journal.hand_over(std::move(r), [](auto) {});
    while (journal.write_round()) {
    }
    index.flush(*db).value();
  }
};

const names audit_gauges{"usher_paid_without_seat", "usher_seat_held_twice", "usher_ledger_imbalance",
                         "usher_audit_faults{kind=\"seated_without_payment\"}", "usher_audit_faults{kind=\"seat_disagrees\"}",
                         "usher_audit_faults{kind=\"stock_disagrees\"}", "usher_audit_faults{kind=\"oversold\"}",
                         "usher_audit_faults{kind=\"allowance_disagrees\"}", "usher_audit_faults{kind=\"limit_exceeded\"}",
                         "usher_audit_faults{kind=\"queue_disagrees\"}", "usher_audit_faults{kind=\"reservation_disagrees\"}",
                         "usher_audit_faults{kind=\"payment_disagrees\"}", "usher_audit_faults{kind=\"process_stalled\"}",
                         "usher_audit_faults{kind=\"event_unreadable\"}",
                         "usher_process_oldest_seconds"};

/// The node's log while this lives.
struct listener {
  std::ostringstream heard;
  std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  listener() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_mt>(heard))); }
  ~listener() { spdlog::set_default_logger(before); }
};

}  // namespace

TEST_CASE("after a sale the node finds nothing wrong with its log, and neither after a restart") {
  box_office office;
  const auto id = office.sell("usr_ann", "A-1");
  office.sell("usr_bob", "A-2");
  REQUIRE(client{office}.post("/reservations/" + id + "/cancel", "{}", office.token("usr_ann")).status < 300);
  for (const auto again : {false, true}) {
    if (again) office.restart();
    REQUIRE(office.judged());
    for (const auto& name : audit_gauges) {
      INFO(name);
      CHECK(office.gauge(name) == 0);
    }
  }
}

TEST_CASE("a node that is started on a log with a contradiction says so, once, and whom it concerns it does not say") {
  box_office office;
  const auto id = office.sell("usr_ann", "A-1");
  office.stop();
  listener node_log;
  v1::StreamEvent held;
  *held.mutable_stream() = seat_ref(office.show, "A-1");
  held.mutable_seat()->mutable_held()->set_reservation_id(make_reservation_id(office.show, "nobody"));
  office.forge({held});
  v1::StreamEvent debited;
  *debited.mutable_stream() = wallet_ref("usr_ann");
  auto& d = *debited.mutable_wallet()->mutable_debited();
  d.set_payment_id(make_payment_id(id, 2));
  d.set_reservation_id(id);
  d.set_amount(300);
  d.set_balance(-400);
  office.forge({debited});
  office.start();
  CHECK(eventually([&] { return office.gauge("usher_seat_held_twice") == 1; }));
  CHECK(eventually([&] { return office.gauge("usher_paid_without_seat") == 1; }));
  CHECK(office.gauge("usher_ledger_imbalance") == 1);
  CHECK(office.gauge("usher_audit_lag") == 0);
  CHECK(client{office}.get("/readyz").status == 200);
  office.stop();

  const auto said = node_log.heard.str();
  INFO(said);
  const auto times = [&](const std::string& what) {
    std::size_t n = 0;
    for (auto at = said.find(what); at != std::string::npos; at = said.find(what, at + 1)) ++n;
    return n;
  };
  CHECK(times("kind=seat_held_twice") == 1);
  CHECK(times("entity=seat/" + office.show + "/A-1 ") == 1);
  CHECK(times("kind=ledger_imbalance") == 1);
  CHECK(times("kind=paid_without_seat") == 1);
  CHECK(times("entity=reservation/" + office.show + "/" + id + " ") == 1);
  CHECK(times("usr_ann") == 0);
}

TEST_CASE("more faults than anybody reads are counted, and only the first of them told") {
  box_office office;
  office.stop();
  listener node_log;
  events all;
  for (int i = 0; i != 100; ++i) {
    all.emplace_back();
    *all.back().mutable_stream() = seat_ref(office.show, "B-" + std::to_string(i));
    all.back().mutable_seat()->mutable_released()->set_reservation_id(make_reservation_id(office.show, std::to_string(i)));
  }
  office.forge(all);
  office.start();
  CHECK(eventually([&] { return office.gauge("usher_audit_faults{kind=\"seat_disagrees\"}") == 100; }));
  office.stop();
  std::size_t lines = 0;
  const auto said = node_log.heard.str();
  for (auto at = said.find("event=audit_fault "); at != std::string::npos; at = said.find("event=audit_fault ", at + 1)) ++lines;
  CHECK(lines == 20);
}

TEST_CASE("the log of a node that is stopped can be judged as well") {
  box_office office;
  office.sell("usr_ann", "A-1");
  office.stop();
  const auto verify = [&](const std::string& how) {
    std::string out;
    auto* pipe = ::popen((USHER_BINARY " verify --data " + office.directory() + how + " 2>&1").c_str(), "r");
    REQUIRE(pipe);
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) out += static_cast<char>(c);
    const int status = ::pclose(pipe);
    return std::pair{WEXITSTATUS(status), out};
  };
  const auto good = verify("");
  INFO(good.second);
  CHECK(good.first == 0);
  CHECK(good.second.find("nothing in them contradicts anything else") != std::string::npos);
  CHECK(boost::json::parse(verify(" --json").second).at("damage").as_array().empty());

  v1::StreamEvent held;
  *held.mutable_stream() = seat_ref(office.show, "A-1");
  held.mutable_seat()->mutable_held()->set_reservation_id(make_reservation_id(office.show, "nobody"));
  office.forge({held});
  const auto bad = verify("");
  INFO(bad.second);
  CHECK(bad.first == 1);
  CHECK(bad.second.find("seat_held_twice") != std::string::npos);
  CHECK(bad.second.find("usr_ann") == std::string::npos);
  const auto json = verify(" --json");
  CHECK(json.first == 1);
}

// --- what it costs -------------------------------------------------------------------------------------------------

TEST_CASE("the cost of judging a record", "[.cost]") {
  constexpr int records = 300'000;
  std::vector<store::record_ptr> log;
  story s;
  s.log.clear();
  s.write(s.opened(1'000'000, 1'000'000));
  for (int i = 0; log.size() < records; ++i) {
    const auto user = make_user_id(std::to_string(i) + "@example.org");
    const auto id = make_reservation_id(hall, std::to_string(i));
    s.write(s.placed(id, user, {"A-" + std::to_string(i)}));
    if (i % 4 == 0) s.write(s.charged(user, price)).write(s.started(id)).write(s.debited(id)).write(s.confirmed(id));
    if (i % 4 == 1) s.write(s.expired(id));
    for (auto& r : s.log) log.push_back(std::make_shared<const v1::Record>(std::move(r)));
    s.log.clear();
  }
  const auto cpu_ns = [] {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
  };
  for (int round = 0; round != 5; ++round) {
    auto began = cpu_ns();
    std::size_t sum = 0;
    for (const auto& r : log)
      for (const auto& e : r->events()) sum += static_cast<unsigned char>(e.stream().name().c_str()[0]) + e.seat().held().reservation_id().size();
    const auto reading = (cpu_ns() - began) / static_cast<double>(log.size());
    auditor a;
    began = cpu_ns();
    for (const auto& r : log) a.take(*r);
    const auto judging = (cpu_ns() - began) / static_cast<double>(log.size());
    a.finish();
    CHECK(a.count() == 0);
    CHECK(sum != 0);
    std::cout << judging << " ns a record, of which reading what the caches have lost takes " << reading << '\n';
  }
}

}  // namespace usher::tests
