#pragma once
// The rules of the waiting room of one show.

#include "actors/aggregate.hpp"
#include "events/waiting_room.hpp"

namespace usher::actors {

/// The waiting room of one show: tickets with the numbers 1, 2, 3 … in the order of joining, admitted by the clock.
///
/// **Who is next.** People are admitted lane by lane in the order of their places; lanes share by their weights (stride scheduling,
/// Waldspurger and Weihl 1995). Those who come before the sale opens are put into a random order at the opening (events/draw.hpp), or keep
/// the order of joining, as the settings say; that can't be switched once somebody has joined.
///
/// **When.** Not before the sale opens, not while the queue is paused or the draw is due, and then as many as all of these allow:
/// - the pace. "window": windows follow each other without a gap, the first one starts with the first admission, and each has room for
///   so many people, who are admitted at its start or, where it has room and nobody waits, as they come. Windows that passed unused are lost.
///   "smooth": as many, evenly spread; what was missed for more than a second is lost.
/// - the cap on people inside. Who pays, leaves, is evicted or runs out of time makes room.
/// - what is left: nobody while nothing is available, else until as many are inside as there are places that are not sold, and beyond
///   that in each window as many as there are places available, so that people inside who do nothing don't stop the queue.
/// When nothing is available and nobody holds anything, or the sale is over, the queue closes: nobody waits any more, and nobody joins.
///
/// A user has at most one live ticket (waiting, or inside) and joins again with a new number after it. `join` with a live ticket is accepted
/// again, and records at most that it moved to another device. In the moment between the opening and the end of the entries, `join` is put off.
/// Rejects `join` with SALE_CLOSED (closed or draining) and VALIDATION_FAILED (no such lane); `leave`, `evict` and `assign_lane` without a ticket
/// with NOT_FOUND; operators' commands without a reason, and settings that make no sense, with VALIDATION_FAILED.
/// Cost: O(log n); an admission O(1) for each that it admits or steps over; see waiting_room for the draw and the end.
struct queue {
  using state = waiting_room;
  using command = v1::QueueCommand;
  using event = v1::QueueEvent;
  static constexpr v1::Kind kind = v1::QUEUE;

  static decision<event> decide(const v1::EntityRef&, const state&, const command&, const context&);
  static void evolve(state& s, const event& e) { s.fold(e); }
  static std::optional<time_point> deadline(const state&);
  static std::optional<command> wake();
  static std::vector<errand> react(const v1::EntityRef&, const state&);
};
static_assert(aggregate<queue>);

}  // namespace usher::actors
