#pragma once
// The oracle: folds a log and says what contradicts the rules that span entities. It asks `evolve` and never `decide`.

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/allowance.hpp"
#include "actors/reservation.hpp"
#include "actors/seat.hpp"
#include "actors/stock.hpp"
#include "actors/wallet.hpp"
#include "events/ledger.hpp"
#include "events/vocabulary.hpp"
#include "tests/simulation/waiting_line.hpp"

namespace usher::tests {

/// What became of the money of one payment, where it was moved.
struct moved_money {
  int times_taken = 0;
  int times_given_back = 0;
  std::int64_t taken = 0;
  std::int64_t given_back = 0;
};
using payment_book = std::map<std::string, moved_money>;  ///< by payment

/// Says after every record of a log what is wrong with all that was recorded up to it.
class ledger {
 public:
  struct hall {
    std::map<std::string, v1::SeatState> seats;
    std::map<std::string, v1::StockState> stocks;
    std::map<std::string, v1::AllowanceState> allowances;  ///< by user
    std::map<std::string, v1::ReservationState> reservations;
    waiting_line queue;
  };
  struct purse {
    v1::WalletState state;
    std::int64_t expected = 0;  ///< charges minus uses, payments and captures, plus refunds, added up here
    payment_book payments;
  };
  struct head {
    std::uint64_t version = 0;
    std::uint64_t index = 0;
  };
  std::map<std::string, hall> halls;     ///< by show
  std::map<std::string, purse> purses;   ///< by user
  payment_book provider;                 ///< told by the simulated provider, for it has no log
  std::map<std::string, head> streams;   ///< by the stream's name
  std::vector<std::string> faults;       ///< whole sentences; empty where all is well
  std::uint32_t ticket_limit = 4;        ///< of every show of the world
  std::uint64_t records = 0;
  bool checks_places = true;             ///< also what the journal sees to: indexes, versions, keys

  /// The next record of its partition. Checks the show that it touches, as a whole.
  void take(const v1::Record& r) {
    ++records;
    at_ = to_token({r.partition(), r.index()});
    if (checks_places) check_place(r);
    std::string show;
    for (const auto& e : r.events()) {
      fold(e);
      if (e.stream().kind() != v1::WALLET) show = e.stream().group();
    }
    if (!show.empty()) check(halls[show]);
  }

  /// To be called when no process is open: whoever paid is seated or has the money back, and nobody else paid.
  void check_settled() {
    at_ = "the end";
    std::set<std::string> known;
    for (const auto& [show, h] : halls) {
      for (const auto& [id, r] : h.reservations) check_money(id, r, known);
      expect(h.queue.waiting() == 0, "somebody still waits in a queue that has let everybody in.");
    }
    for (const auto& [user, p] : purses) check_known(p.payments, known);
    check_known(provider, known);
  }

 private:
  static bool holds(const v1::ReservationState& r) { return r.status() == v1::PENDING || r.status() == v1::PAYING; }
  static bool owns(const v1::ReservationState& r) { return r.status() == v1::CONFIRMED || r.status() == v1::REFUNDING; }
  void expect(bool ok, const std::string& what) {
    if (!ok) faults.push_back("At " + at_ + ": " + what);
  }

  /// Where a record stands among the others: each stream one list, each idempotency key once.
  void check_place(const v1::Record& r) {
    expect(r.index() == ++ends_[r.partition()], "a record has not the next index.");
    if (!r.idempotency_key().empty())
      expect(keys_.emplace(r.user_id(), r.idempotency_key()).second, "the key " + r.idempotency_key() + " was recorded twice.");
    for (const auto& e : r.events()) {
      auto& h = streams[key_of(e.stream())];
      expect(e.version() == ++h.version, "a version of " + key_of(e.stream()) + " is missing.");
      expect(e.previous_index() == h.index || h.index == r.index(), "an event of " + key_of(e.stream()) + " does not name the one before.");
      h.index = r.index();
    }
  }

  void fold(const v1::StreamEvent& e) {
    auto& h = halls[e.stream().group()];
    const auto& name = e.stream().name();
    if (e.has_seat()) actors::seat::evolve(h.seats[name], e.seat());
    if (e.has_stock()) actors::stock::evolve(h.stocks[name], e.stock());
    if (e.has_allowance()) actors::allowance::evolve(h.allowances[name], e.allowance());
    if (e.has_reservation()) actors::reservation::evolve(h.reservations[name], e.reservation());
    if (e.has_queue())
      for (auto& fault : h.queue.take(e.queue())) expect(false, fault);
    if (e.has_wallet()) fold_wallet(purses[e.stream().group()], e.wallet());
  }

  void fold_wallet(purse& p, const v1::WalletEvent& e) {
    actors::wallet::evolve(p.state, e);
    if (e.has_charged()) p.expected += e.charged().amount();
    if (e.has_used()) p.expected -= e.used().amount();
    if (e.has_captured()) p.expected -= e.captured().amount();
    if (e.has_debited()) {
      p.expected -= e.debited().amount();
      auto& money = p.payments[e.debited().payment_id()];
      ++money.times_taken;
      money.taken += e.debited().amount();
    }
    if (e.has_credited()) {
      p.expected += e.credited().amount();
      auto& money = p.payments[e.credited().payment_id()];
      ++money.times_given_back;
      money.given_back += e.credited().amount();
    }
    expect(p.state.balance() == p.expected, "a balance is not what was moved.");
    expect(p.state.balance() >= 0, "a balance is below zero.");
    std::int64_t held = 0;
    for (const auto& [id, a] : p.state.authorizations()) held += a.amount();
    expect(p.state.held() == held, "what is set aside is not the sum of the open authorizations.");
    expect(held <= p.state.balance(), "more is set aside than there is.");
    std::int64_t both_sides = 0;
    for (const auto& one : postings_of(e)) both_sides += one.amount;
    expect(both_sides == 0, "money was made or lost.");
  }

  void check(const hall& h) {
    std::map<std::string, std::string> holder;  // of seats, by what the reservations say
    std::map<std::string, std::uint64_t> held, sold, used;
    for (const auto& [id, r] : h.reservations) {
      if (!holds(r) && !owns(r)) continue;
      for (const auto& item : r.seats()) {
        expect(holder.emplace(item.seat(), id).second, item.seat() + " has two holders.");
        const auto s = h.seats.find(item.seat());
        const auto wanted = owns(r) ? v1::SOLD : v1::HELD;
        expect(s != h.seats.end() && s->second.phase() == wanted && s->second.reservation_id() == id,
               item.seat() + " is not what " + id + " says.");
      }
      used[r.user_id()] += static_cast<std::uint64_t>(r.seats_size());
      for (const auto& item : r.general_admission()) {
        (owns(r) ? sold : held)[item.section()] += item.quantity();
        used[r.user_id()] += item.quantity();
      }
    }
    for (const auto& [name, s] : h.seats)
      expect(s.phase() == v1::AVAILABLE || (holder.contains(name) && holder[name] == s.reservation_id()),
             name + " is taken by nobody who says so.");
    for (const auto& [name, s] : h.stocks) {
      expect(s.held() == held[name] && s.sold() == sold[name], "the count of " + name + " is wrong.");
      expect(s.held() + s.sold() <= s.capacity(), name + " has more people than places.");
    }
    for (const auto& [user, a] : h.allowances) {
      expect(a.used() == used[user], "the allowance of " + user + " is not the sum of the live places.");
      expect(a.used() <= ticket_limit, user + " has more places than allowed.");
    }
    for (const auto& [user, n] : used) expect(h.allowances.contains(user), user + " has places without an allowance.");
  }

  void check_money(const std::string& id, const v1::ReservationState& r, std::set<std::string>& known) {
    expect(r.status() != v1::PAYING && r.status() != v1::REFUNDING, id + " is still under way.");
    int paid = 0;
    for (const auto& p : r.payments()) {
      known.insert(p.payment_id());
      paid += p.status() == v1::PAID;
      auto& book = p.provider().empty() ? purses[p.payer_id()].payments : provider;
      check_payment(p, book[p.payment_id()]);
    }
    expect(paid == (r.status() == v1::CONFIRMED ? 1 : 0), id + " is seated and not paid for, or paid for and not seated.");
  }

  void check_payment(const v1::Payment& p, const moved_money& m) {
    const bool back = p.status() == v1::GIVEN_BACK;
    const bool took = back || p.status() == v1::PAID;
    expect(took || p.status() == v1::DECLINED || p.status() == v1::LAPSED, p.payment_id() + " is still under way.");
    expect(m.times_taken == (took ? 1 : 0) && m.taken == (took ? p.amount() : 0), p.payment_id() + " was not paid exactly once, or paid for nothing.");
    expect(m.times_given_back == (back ? 1 : 0) && m.given_back == (back ? p.amount() : 0), p.payment_id() + " has the wrong refund.");
  }

  void check_known(const payment_book& book, const std::set<std::string>& known) {
    for (const auto& [id, money] : book)
      expect(known.contains(id) || (money.times_taken == 0 && money.times_given_back == 0), "no reservation knows of " + id + ".");
  }

  std::string at_;
  std::map<std::uint32_t, std::uint64_t> ends_;
  std::set<std::pair<std::string, std::string>> keys_;
};

}  // namespace usher::tests
