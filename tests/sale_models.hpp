#pragma once
// What a seat and a wallet answer when they are asked one request after the other, for tests/linearizability.hpp.
//
// Written from the interface's promises, not from the engine's code, which it has to find wrong.

#include <algorithm>
#include <initializer_list>
#include <map>

#include "tests/linearizability.hpp"

namespace usher::tests {

/// One user's money. A payment and a refund are the part of POST /payment and of a cancellation that is seen here.
struct wallet_model {
  enum class deed { charge, use, pay, refund, read };
  struct input {
    deed what = deed::read;
    std::int64_t amount = 0;
    int reservation = 0;  ///< of a payment or refund
  };
  struct output {
    bool accepted = true;
    std::optional<std::int64_t> balance;  ///< where the answer has one
  };
  struct state {
    std::int64_t balance = 0;
    std::map<int, bool> refunded;  // by reservation that was paid for
    bool operator==(const state&) const = default;
  };

  static std::vector<state> next(const state& s, const input& in, const std::optional<output>& out) {
    const auto after = served(s, in);
    if (out && !out->accepted) return may_refuse(s, in) ? std::vector{s} : std::vector<state>{};
    if (!after || (out && out->balance && *out->balance != after->balance)) return {};
    return {*after};
  }
  static std::size_t hash(const state& s) {
    auto h = std::hash<std::int64_t>{}(s.balance);
    for (const auto& [reservation, refunded] : s.refunded) h = h * 31 + static_cast<std::size_t>(reservation * 2 + refunded);
    return h;
  }
  static std::string text(const state& s) { return "balance " + std::to_string(s.balance); }
  static std::string text(const input& in, const std::optional<output>& out) {
    static constexpr const char* words[]{"charge", "use", "pay", "refund", "balance"};
    std::string t = words[static_cast<int>(in.what)];
    if (in.what != deed::read) t += ' ' + std::to_string(in.amount);
    if (in.what == deed::pay || in.what == deed::refund) t += " for reservation " + std::to_string(in.reservation);
    if (!out) return t + ", outcome unknown";
    if (!out->accepted) return t + " -> refused";
    return t + " -> " + (out->balance ? std::to_string(*out->balance) : "done");
  }

 private:
  static bool may_refuse(const state& s, const input& in) {
    const bool takes = in.what == deed::use || (in.what == deed::pay && !s.refunded.contains(in.reservation));
    return takes && in.amount > s.balance;
  }
  /// The state afterwards. @return nothing where it is not to be served
  static std::optional<state> served(state s, const input& in) {
    const auto paid = s.refunded.find(in.reservation);
    switch (in.what) {
      case deed::read: return s;
      case deed::charge: s.balance += in.amount; return s;
      case deed::use:
        if (in.amount > s.balance) return std::nullopt;
        s.balance -= in.amount;
        return s;
      case deed::pay:
        if (in.amount > s.balance || paid != s.refunded.end()) return std::nullopt;
        s.balance -= in.amount;
        s.refunded[in.reservation] = false;
        return s;
      case deed::refund:
        if (paid == s.refunded.end()) return std::nullopt;
        if (!std::exchange(paid->second, true)) s.balance += in.amount;  // a second cancellation has no effect
        return s;
    }
    return std::nullopt;
  }
};

/// One seat, and all reservations that ever wanted it.
///
/// A payment and a cancellation are two operations each with the same call and return: a reader may see what is between.
struct seat_model {
  enum class deed { reserve, release, start_payment, end_payment, start_refund, end_refund, read };
  struct input {
    deed what = deed::read;
    int reservation = 0;
    int request = 0;  ///< of a payment or cancellation: its two halves belong together
  };
  struct output {
    unsigned status = 0;
    std::string seen = {};  ///< the reservation's status, of a read
  };
  struct progress {
    std::string status;
    int request = 0;  // PAYING and REFUNDING: which one
    bool operator==(const progress&) const = default;
  };
  struct state {
    std::optional<int> holder;
    std::map<int, progress> reservations;
    bool operator==(const state&) const = default;
  };

  static std::vector<state> next(const state& s, const input& in, const std::optional<output>& out) {
    switch (in.what) {
      case deed::reserve: return reserve(s, in, out);
      case deed::release: return release(s, in, out);
      case deed::start_payment: return start_payment(s, in, out);
      case deed::end_payment: return end_payment(s, in, out);
      case deed::start_refund: return start_refund(s, in, out);
      case deed::end_refund: return end_refund(s, in, out);
      case deed::read: return only_if(out && (out->status == 404 ? is(s, in, {""}) : is(s, in, {out->seen})), s);
    }
    return {};
  }
  static std::size_t hash(const state& s) {
    auto h = static_cast<std::size_t>(s.holder.value_or(-1));
    for (const auto& [reservation, p] : s.reservations)
      h = h * 31 + (static_cast<std::size_t>(reservation) ^ std::hash<std::string>{}(p.status) ^ static_cast<std::size_t>(p.request) << 20);
    return h;
  }
  static std::string text(const state& s) {
    if (!s.holder) return "the seat is free";
    return "the seat is with reservation " + std::to_string(*s.holder) + ", " + s.reservations.at(*s.holder).status;
  }
  static std::string text(const input& in, const std::optional<output>& out) {
    static constexpr const char* words[]{"reserve", "release", "begin to pay", "end paying", "begin to cancel", "end cancelling", "read"};
    const auto t = words[static_cast<int>(in.what)] + std::string{" reservation "} + std::to_string(in.reservation);
    if (!out) return t + ", outcome unknown";
    return t + " -> " + std::to_string(out->status) + ' ' + out->seen;
  }

 private:
  using states = std::vector<state>;
  using answer = std::optional<output>;
  using words = std::initializer_list<std::string_view>;

  /// Whether the reservation's status is one of these; "" is that of none.
  static bool is(const state& s, const input& in, words any_of) {
    const auto found = s.reservations.find(in.reservation);
    const std::string_view now = found == s.reservations.end() ? "" : std::string_view{found->second.status};
    return std::find(any_of.begin(), any_of.end(), now) != any_of.end();
  }
  static bool is_by(const state& s, const input& in, std::string_view status) {
    return is(s, in, {status}) && s.reservations.at(in.reservation).request == in.request;
  }
  static states only_if(bool fits, const state& s) { return fits ? states{s} : states{}; }
  static states becomes(state s, const input& in, std::string status, int request = 0) {
    const bool ends = status == "RELEASED" || status == "CANCELLED";
    s.holder = ends ? std::nullopt : std::optional{in.reservation};
    s.reservations[in.reservation] = {std::move(status), request};
    return {std::move(s)};
  }
  static bool accepted(const answer& out) { return !out || out->status == 200 || out->status == 201; }
  /// A refusal: 404 where there is no such reservation, 409 where its status is one of these.
  static states refused(const state& s, const input& in, const answer& out, words because) {
    return only_if((out->status == 404 && is(s, in, {""})) || (out->status == 409 && is(s, in, because)), s);
  }

  static states reserve(const state& s, const input& in, const answer& out) {
    if (!accepted(out)) return only_if(out->status == 409 && s.holder, s);
    return s.holder || !is(s, in, {""}) ? states{} : becomes(s, in, "PENDING");
  }
  static states release(const state& s, const input& in, const answer& out) {
    if (!accepted(out)) return refused(s, in, out, {"CONFIRMED", "CANCELLED"});
    if (is(s, in, {"RELEASED"})) return {s};
    return is(s, in, {"PENDING"}) ? becomes(s, in, "RELEASED") : states{};
  }
  static states start_payment(const state& s, const input& in, const answer& out) {
    const bool started = accepted(out) || out->status == 402;
    if (!started) return refused(s, in, out, {"CONFIRMED", "RELEASED", "REFUNDING", "CANCELLED"});
    return is(s, in, {"PENDING"}) ? becomes(s, in, "PAYING", in.request) : states{};
  }
  static states end_payment(const state& s, const input& in, const answer& out) {
    if (!is_by(s, in, "PAYING")) return {};
    states both;
    if (accepted(out)) both = becomes(s, in, "CONFIRMED");
    if (!out || out->status == 402) both.push_back(becomes(s, in, "PENDING").front());
    return both;
  }
  static states start_refund(const state& s, const input& in, const answer& out) {
    if (!accepted(out)) return refused(s, in, out, {"PENDING", "RELEASED"});
    if (is(s, in, {"CANCELLED"})) return {s};
    return is(s, in, {"CONFIRMED"}) ? becomes(s, in, "REFUNDING", in.request) : states{};
  }
  static states end_refund(const state& s, const input& in, const answer& out) {
    if (!accepted(out)) return {};
    if (is(s, in, {"CANCELLED"})) return {s};
    return is_by(s, in, "REFUNDING") ? becomes(s, in, "CANCELLED") : states{};
  }
};

static_assert(sequential_model<wallet_model> && sequential_model<seat_model>);

}  // namespace usher::tests
