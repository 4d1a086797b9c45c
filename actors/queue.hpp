#pragma once
// The rules of the waiting room of one show.

#include "actors/aggregate.hpp"

namespace usher::actors {

/// The waiting room of one show: tickets with the numbers 1, 2, 3 … in the order of joining, admitted by the clock.
///
/// Windows follow each other without a gap, the first one starts with the first admission, and each has room for so many
/// people. Whoever joins while nobody waits and the window has room is inside at once; everyone else is admitted, in the
/// order of numbers and a whole window's worth at a time, when a window starts. Windows that passed unused are lost: a
/// queue that slept through three of them does not let three crowds in at once.
/// A user has at most one live ticket (waiting, or admitted and not expired) and joins again with a new number after it.
/// `join` with a live ticket is accepted again and records nothing. `leave` without one is rejected with NOT_FOUND.
/// Cost: everything is O(1), or O(log n) in the number of admissions, except that an admission steps over those who left.
struct queue {
  using state = v1::QueueState;
  using command = v1::QueueCommand;
  using event = v1::QueueEvent;
  static constexpr v1::Kind kind = v1::QUEUE;

  static decision<event> decide(const v1::EntityRef&, const state&, const command&, const context&);
  static void evolve(state&, const event&);
  static std::optional<time_point> deadline(const state&);
  static std::optional<command> wake();
  static std::vector<errand> react(const v1::EntityRef&, const state&);
};
static_assert(aggregate<queue>);

}  // namespace usher::actors
