#pragma once
// Whether what many clients saw of one thing at the same time could have been seen by one after the other.
//
// Wing and Gong's search for such an order ("Testing and Verifying Concurrent Objects", 1993), with Lowe's memory of what
// was tried before ("Testing for Linearizability", 2017): the set of operations in the order so far, and where it led to.

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace usher::tests {

/// What a thing does when it is asked one request after the other.
///
/// `next` returns every state that may follow, and none where this output can't be given in this state. Without an output
/// it returns the states of a request that happened though nobody heard of it; that it did not happen needs no saying.
template <class M>
concept sequential_model =
    std::regular<typename M::state> &&
    requires(const typename M::state& s, const typename M::input& in, const std::optional<typename M::output>& out) {
      { M::next(s, in, out) } -> std::same_as<std::vector<typename M::state>>;
      { M::hash(s) } -> std::same_as<std::size_t>;
      { M::text(s) } -> std::same_as<std::string>;
      { M::text(in, out) } -> std::same_as<std::string>;
    };

/// One request of one client, as it looked from outside. Times are of any clock that all clients share.
template <sequential_model M>
struct operation {
  int client = 0;
  std::uint64_t called = 0;
  std::uint64_t returned = 0;  ///< of no meaning without an output
  typename M::input input{};
  std::optional<typename M::output> output;  ///< empty: never known; it happened at any time after the call, or not at all
};

/// Whether there is an order, and if not, how far one can get.
struct verdict {
  enum class kind { linearizable, impossible, undecided };
  kind is = kind::linearizable;
  std::string why;                       ///< for people; empty where it is linearizable
  std::vector<std::size_t> order;        ///< indices into the history: an order of all, or the one that gets farthest
  std::optional<std::size_t> offending;  ///< the first operation to return that fits into no order
  std::uint64_t steps = 0;

  explicit operator bool() const { return is == kind::linearizable; }
};

namespace linearizability {

/// The search, for one history.
template <sequential_model M>
class search {
 public:
  using state = typename M::state;

  explicit search(const std::vector<operation<M>>& history) : history_{history}, placed_(history.size()) { line_up(); }

  /// What was never heard of is tried last: it may wait until it is needed.
  verdict run(std::uint64_t steps_max) {
    bool heard = true;
    for (auto at = candidate(first(), heard); missing_ > 0;) {
      if (++steps_ > steps_max) return told(verdict::kind::undecided);
      if (moments_[at].is_call) {
        auto nexts = nexts_of(at);
        const bool idle = changes_nothing(nexts);
        if (place(at, std::move(nexts), 0)) {
          at = candidate(first(), heard = true);
          continue;
        }
        if (!idle) {
          at = candidate(moments_[at].after, heard);
          continue;
        }
      } else if (heard) {
        at = candidate(first(), heard = false);
        continue;
      } else {
        remember_farthest(at);
      }
      const auto resumed = take_back();
      if (!resumed) return told(verdict::kind::impossible);
      heard = of(resumed->last).output.has_value();
      at = resumed->again ? candidate(first(), heard = true) : candidate(moments_[resumed->last].after, heard);
    }
    farthest_ = order();
    return told(verdict::kind::linearizable);
  }

 private:
  /// A call or a return, in a list by time. Those of operations in the order are unlinked.
  struct moment {
    std::uint64_t time = 0;
    std::size_t operation = 0;
    bool is_call = false;
    std::size_t before = 0;
    std::size_t after = 0;
  };
  /// An operation in the order, and what it takes to try the next possibility in its place.
  struct choice {
    std::size_t call;
    state before;
    std::vector<state> nexts;
    std::size_t taken;
  };
  struct tried {
    std::vector<bool> placed;
    state led_to;
    bool operator==(const tried&) const = default;
  };
  struct hash_of_tried {
    std::size_t operator()(const tried& t) const { return std::hash<std::vector<bool>>{}(t.placed) * 31 + M::hash(t.led_to); }
  };

  [[nodiscard]] std::size_t first() const { return moments_[0].after; }
  [[nodiscard]] const operation<M>& of(std::size_t at) const { return history_[moments_[at].operation]; }

  /// The first call from here on whose output is known, or is not; the first return where there is none before it.
  [[nodiscard]] std::size_t candidate(std::size_t at, bool heard) const {
    while (moments_[at].is_call && of(at).output.has_value() != heard) at = moments_[at].after;
    return at;
  }

  [[nodiscard]] std::vector<state> nexts_of(std::size_t call) const {
    auto nexts = M::next(now_, of(call).input, of(call).output);
    if (!of(call).output) std::erase(nexts, now_);  // as if it had not happened
    return nexts;
  }
  /// Then it may as well come now as later: nothing else need be tried in its place, and where the order fails with it, it
  /// fails without it.
  [[nodiscard]] bool changes_nothing(const std::vector<state>& nexts) const { return nexts.size() == 1 && nexts.front() == now_; }

  /// Calls go before returns of the same time: what touches is concurrent.
  void line_up() {
    moments_.push_back({});  // the head of the list
    for (std::size_t i = 0; i < history_.size(); ++i) {
      moments_.push_back({history_[i].called, i, true});
      if (!history_[i].output) continue;
      moments_.push_back({history_[i].returned, i, false});
      ++missing_;
    }
    std::stable_sort(moments_.begin() + 1, moments_.end(), [](const moment& a, const moment& b) {
      return std::pair{a.time, !a.is_call} < std::pair{b.time, !b.is_call};
    });
    return_of_.resize(history_.size());
    for (std::size_t at = 0; at < moments_.size(); ++at) {
      moments_[at].before = at == 0 ? moments_.size() - 1 : at - 1;
      moments_[at].after = at + 1 == moments_.size() ? 0 : at + 1;
      if (at > 0 && !moments_[at].is_call) return_of_[moments_[at].operation] = at;
    }
  }

  /// Appends the operation to the order with the first possibility, from `from` on, that was not tried before.
  bool place(std::size_t call, std::vector<state> nexts, std::size_t from) {
    const auto i = moments_[call].operation;
    placed_[i] = true;
    for (auto n = from; n < nexts.size(); ++n) {
      if (!tried_.insert({placed_, nexts[n]}).second) continue;
      choices_.push_back({call, std::exchange(now_, nexts[n]), std::move(nexts), n});
      unlink(call);
      return true;
    }
    placed_[i] = false;
    return false;
  }

  struct resumption {
    std::size_t last;  // the call that was taken back
    bool again;        // and placed once more, with another state after it
  };

  /// Undoes the order up to the last step that another could take the place of.
  std::optional<resumption> take_back() {
    while (!choices_.empty()) {
      auto last = std::move(choices_.back());
      choices_.pop_back();
      link(last.call);
      placed_[moments_[last.call].operation] = false;
      now_ = std::move(last.before);
      if (changes_nothing(last.nexts)) continue;
      return resumption{last.call, place(last.call, std::move(last.nexts), last.taken + 1)};
    }
    return std::nullopt;
  }

  void unlink(std::size_t call) {
    drop(call);
    if (!of(call).output) return;
    drop(return_of_[moments_[call].operation]);
    --missing_;
  }
  /// The opposite, in the opposite order.
  void link(std::size_t call) {
    if (of(call).output) {
      put_back(return_of_[moments_[call].operation]);
      ++missing_;
    }
    put_back(call);
  }
  void drop(std::size_t at) {
    moments_[moments_[at].before].after = moments_[at].after;
    moments_[moments_[at].after].before = moments_[at].before;
  }
  void put_back(std::size_t at) {
    moments_[moments_[at].before].after = at;
    moments_[moments_[at].after].before = at;
  }

  [[nodiscard]] std::vector<std::size_t> order() const {
    std::vector<std::size_t> out;
    for (const auto& c : choices_) out.push_back(moments_[c.call].operation);
    return out;
  }

  /// An order gets as far as the first return that it can't pass.
  void remember_farthest(std::size_t at) {
    if (stuck_at_ && moments_[at].time <= moments_[*stuck_at_].time) return;
    stuck_at_ = at;
    farthest_ = order();
    left_ = now_;
  }

  verdict told(verdict::kind kind) {
    verdict v{kind, {}, std::move(farthest_), {}, steps_};
    if (kind == verdict::kind::undecided) v.why = "gave up after " + std::to_string(steps_) + " steps";
    if (kind != verdict::kind::impossible) return v;
    v.offending = moments_[*stuck_at_].operation;
    v.why = explained(v);
    return v;
  }

  [[nodiscard]] std::string line(std::size_t i) const {
    const auto& o = history_[i];
    return "\n  [" + std::to_string(o.called) + " to " + (o.output ? std::to_string(o.returned) : "?") + "] client " +
           std::to_string(o.client) + ": " + M::text(o.input, o.output);
  }

  [[nodiscard]] std::string explained(const verdict& v) const {
    constexpr std::size_t shown = 12;
    const auto& o = history_[*v.offending];
    std::vector<bool> in_order(history_.size());
    for (const auto i : v.order) in_order[i] = true;
    std::string out = "No order explains what " + std::to_string(history_.size()) + " operations saw. The one that gets farthest has " +
                      std::to_string(v.order.size()) + " of them and ends with";
    for (auto i = v.order.size() - std::min(shown, v.order.size()); i < v.order.size(); ++i) out += line(v.order[i]);
    out += "\nThis leaves: " + M::text(left_) + "\nNow it had to be the turn of" + line(*v.offending) + "\nbut this can't be";
    std::string others;
    for (std::size_t i = 0; i < history_.size(); ++i)
      if (!in_order[i] && i != *v.offending && history_[i].called <= o.returned) others += line(i);
    return others.empty() ? out : out + ", also not after any of" + others;
  }

  const std::vector<operation<M>>& history_;
  std::vector<moment> moments_;
  std::vector<std::size_t> return_of_;
  std::size_t missing_ = 0;  // operations with an output that are not in the order
  std::vector<bool> placed_;
  state now_{};
  std::vector<choice> choices_;
  std::unordered_set<tried, hash_of_tried> tried_;
  std::uint64_t steps_ = 0;
  std::optional<std::size_t> stuck_at_;
  std::vector<std::size_t> farthest_;
  state left_{};
};

}  // namespace linearizability

/// Looks for an order of all operations in which each has its effect at one moment between its call and its return, and
/// every answer is the one that the model gives. A history of several independent things is checked thing by thing.
///
/// Begins with a default-constructed state. Undecided after `steps_max`: the problem is NP-complete, and a test must end.
template <sequential_model M>
[[nodiscard]] verdict check_history(const std::vector<operation<M>>& history, std::uint64_t steps_max = 2'000'000) {
  return linearizability::search<M>{history}.run(steps_max);
}

}  // namespace usher::tests
