#pragma once
// A payment provider outside of the node: takes money and gives it back, and says so at once, late, twice, otherwise or never.
// It outlives the node, and calls until it is answered.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/world.hpp"

namespace usher::tests {

/// The method of a payment is what the provider does with it:
/// accept, decline, twice, never, changes (declines first, and takes the money after all), late N (says so after N ms).
class simulated_provider {
 public:
  static constexpr const char* name = "cashier";

  /// An order of the node's, which comes again and again.
  void order(const v1::ProviderCommand& c, time_point now) {
    if (c.has_take()) take(c.take(), now);
    if (c.has_give_back() && ordered_.emplace(c.give_back().payment_id(), "back").second) {
      auto& money = book_[c.give_back().payment_id()];
      ++money.times_given_back;
      money.given_back += c.give_back().amount();
      call(c.give_back().payment_id(), "refunded", c.give_back().amount(), now);
    }
  }

  /// Calls the node about everything that is due, and again where a life ended before it answered.
  /// @return what it could not understand
  std::vector<std::string> speak(world& w, std::uint32_t ticket_limit, std::size_t life) {
    std::vector<std::string> faults;
    for (auto& c : calls_) {
      hear(c, faults);
      if (c.done || c.due > w.now() || (c.asked && c.life == life && c.asked->answers == 0)) continue;
      c.asked = w.send(reservation_ref(reservation_of_payment(c.payment_id)), command_of(c, ticket_limit));
      c.life = life;
    }
    return faults;
  }
  [[nodiscard]] bool has_said_everything() const {
    return std::all_of(calls_.begin(), calls_.end(), [](const auto& c) { return c.done; });
  }
  [[nodiscard]] const payment_book& book() const { return book_; }

 private:
  struct call_to_node {
    std::string payment_id;
    std::string verdict;
    std::int64_t amount = 0;
    time_point due;
    bool give_back = false;
    bool done = false;
    question_ptr asked;
    std::size_t life = 0;
  };

  void take(const v1::TakeMoney& t, time_point now) {
    if (!ordered_.emplace(t.payment_id(), "take").second || t.method() == "never") return;
    if (t.method() == "decline" || t.method() == "changes") call(t.payment_id(), "declined", t.amount(), now);
    if (t.method() == "decline") return;
    auto& money = book_[t.payment_id()];
    ++money.times_taken;
    money.taken += t.amount();
    std::int64_t late = t.method() == "changes" ? 100 : 0;
    if (t.method().starts_with("late ")) std::from_chars(t.method().data() + 5, t.method().data() + t.method().size(), late);
    call(t.payment_id(), "paid", t.amount(), now + std::chrono::milliseconds{late});
    if (t.method() == "twice") call(t.payment_id(), "paid", t.amount(), now + std::chrono::milliseconds{late});
  }
  void call(const std::string& payment_id, const std::string& verdict, std::int64_t amount, time_point due) {
    calls_.push_back({payment_id, verdict, amount, due, false, false, nullptr, 0});
  }

  /// As the interface does it: where there are no seats any more, the money goes back.
  static void hear(call_to_node& c, std::vector<std::string>& faults) {
    if (c.done || !c.asked || c.asked->answers == 0) return;
    if (!c.asked->answer.rejection) {
      c.done = true;
      return;
    }
    const auto code = c.asked->answer.rejection->code();
    const bool lack = code == v1::SEAT_UNAVAILABLE || code == v1::STOCK_UNAVAILABLE || code == v1::TICKET_LIMIT_EXCEEDED;
    if (c.give_back || !lack) faults.push_back("The provider was refused: " + v1::Code_Name(code) + ".");
    c.give_back = true;
    c.asked.reset();
  }
  static v1::Command command_of(const call_to_node& c, std::uint32_t ticket_limit) {
    v1::Command out;
    if (c.verdict == "refunded") {
      auto& refund = *out.mutable_reservation()->mutable_settle_refund();
      refund.set_payment_id(c.payment_id);
      refund.set_provider(name);
      return out;
    }
    auto& settle = *out.mutable_reservation()->mutable_settle_payment();
    settle.set_payment_id(c.payment_id);
    settle.set_provider(name);
    settle.set_debited(c.verdict == "paid");
    settle.set_amount(c.amount);
    settle.set_ticket_limit(ticket_limit);
    settle.set_give_back(c.give_back);
    return out;
  }

  std::set<std::pair<std::string, std::string>> ordered_;  ///< payment and deed
  std::vector<call_to_node> calls_;
  payment_book book_;
};

}  // namespace usher::tests
