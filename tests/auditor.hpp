#pragma once
// A log as a box office writes it, which a test may spoil, and what the auditor finds in it.

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "projections/auditor.hpp"

namespace usher::tests {

using projections::auditor;
using events = std::vector<v1::StreamEvent>;
using names = std::vector<std::string>;

inline const std::string hall = make_show_id("hall");
inline constexpr std::int64_t price = 1000;

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

inline const std::string ann = make_user_id("ann@example.org");
inline const std::string bob = make_user_id("bob@example.org");
inline const std::string one = make_reservation_id(hall, "one");
inline const std::string two = make_reservation_id(hall, "two");

inline void take_all(auditor& a, const std::vector<v1::Record>& log) {
  for (const auto& r : log) a.take(r);
  a.finish();
}

/// As it stands on disk: one partition after the other.
inline std::vector<v1::Record> by_partition(std::vector<v1::Record> log) {
  std::ranges::stable_sort(log, {}, &v1::Record::partition);
  return log;
}

/// Each partition in its order, the partitions in any.
inline std::vector<v1::Record> shuffled(const std::vector<v1::Record>& log, std::uint64_t seed) {
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

inline std::string line_of(const projections::fault& f) {
  return std::string{projections::word_of(f.kind)} + " at " + to_token(f.at);
}

/// The kinds and places of all faults, in the order in which they were found. No fault says who the user is.
inline names found_in(const std::vector<v1::Record>& log) {
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
inline names found(const story& s) {
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
inline void check_newest(const story& s, const std::string& kind) { CHECK(found(s) == names{kind + " at " + s.here()}); }

using deed = std::function<void(story&)>;

inline void without_event(events& all, std::size_t which) { all.erase(all.begin() + static_cast<std::ptrdiff_t>(which)); }

}  // namespace usher::tests
