#pragma once
// What every aggregate is: pure functions over Protobuf messages. No clock, no I/O, no CAF.

#include <concepts>
#include <optional>
#include <utility>
#include <vector>

#include "events/vocabulary.hpp"

namespace usher::actors {

/// Everything besides state and command that a decision may depend on.
struct context {
  time_point now;
  std::string user_id;  ///< who asks
  v1::Role role = v1::ROLE_SYSTEM;
};

/// A part of a decision that another entity of the same show has to agree to, or a command for another partition.
struct errand {
  v1::EntityRef to;
  v1::Command command;
};

/// What the requests that wait for the end of a process are told when it ends.
struct settlement {
  v1::Outcome outcome;
  std::optional<v1::Rejection> rejection;  ///< where it is set, `outcome` says nothing
  std::optional<v1::ClientKey> key;        ///< recorded with the outcome, so that a retry gets the same answer
};

/// What `decide` returns. Exactly one of four things, told by `kind`.
template <class Event>
struct decision {
  enum class kind {
    accept,    ///< record `events` (none: nothing to record) and answer `outcome`
    park,      ///< record `events`; the answer comes with the settlement of the process that they start
    reject,    ///< record nothing and answer `rejection`
    postpone,  ///< not now: decide again when the state has changed
  };
  kind what = kind::accept;
  std::vector<Event> events;
  v1::Outcome outcome;
  v1::Rejection rejection;
  std::vector<errand> parts;           ///< entities of the same show that must agree, in the fixed order; one record for all
  std::optional<settlement> settles;   ///< this decision ends a process

  static decision accepted(std::vector<Event> events, v1::Outcome outcome = {}) {
    decision d;
    d.events = std::move(events);
    d.outcome = std::move(outcome);
    return d;
  }
  static decision accepted(Event event, v1::Outcome outcome = {}) {
    decision d;
    d.events.push_back(std::move(event));
    d.outcome = std::move(outcome);
    return d;
  }
  static decision parked(Event event) {
    auto d = accepted(std::move(event));
    d.what = kind::park;
    return d;
  }
  static decision rejected(v1::Code code, std::string detail) {
    decision d;
    d.what = kind::reject;
    d.rejection.set_code(code);
    d.rejection.set_detail(std::move(detail));
    return d;
  }
  static decision postponed() {
    decision d;
    d.what = kind::postpone;
    return d;
  }
};

/// An aggregate is a struct of static functions:
/// - `decide(ref, state, command, context) -> decision<event>`: all rules of the business, pure
/// - `evolve(state&, event)`: total, never fails, never asks a clock
/// - `deadline(state) -> time?`: when the entity must be woken, if ever
/// - `wake() -> command?`: what the deadline sends
/// - `react(ref, state) -> errands`: commands that the process under way owes to other partitions; repeated until answered
template <class A>
concept aggregate = requires(const typename A::state& s, typename A::state& m, const typename A::command& c,
                             const typename A::event& e, const context& ctx, const v1::EntityRef& ref) {
  { A::decide(ref, s, c, ctx) } -> std::same_as<decision<typename A::event>>;
  { A::evolve(m, e) } -> std::same_as<void>;
  { A::deadline(s) } -> std::same_as<std::optional<time_point>>;
  { A::wake() } -> std::same_as<std::optional<typename A::command>>;
  { A::react(ref, s) } -> std::same_as<std::vector<errand>>;
};

}  // namespace usher::actors
