#pragma once
// The rules of one numbered seat.

#include "actors/aggregate.hpp"

namespace usher::actors {

/// One numbered seat of one show: available, held for a reservation, sold to it, or blocked.
///
/// Its commands are parts of the decisions of reservations, which are the arbiters, so a seat has no deadline of its own.
/// The first hold to reach the log wins; one that is paid for already sells in the same step. A command that was already served is accepted again and records nothing.
/// Rejects `hold` with SEAT_UNAVAILABLE, which names the seat, and `sell` and `release` with NOT_THE_HOLDER.
struct seat {
  using state = v1::SeatState;
  using command = v1::SeatCommand;
  using event = v1::SeatEvent;
  static constexpr v1::Kind kind = v1::SEAT;

  static decision<event> decide(const v1::EntityRef&, const state&, const command&, const context&);
  static void evolve(state&, const event&);
  static std::optional<time_point> deadline(const state&);
  static std::optional<command> wake();
  static std::vector<errand> react(const v1::EntityRef&, const state&);
};
static_assert(aggregate<seat>);

}  // namespace usher::actors
