#pragma once
// The rules of one show's description.

#include "actors/aggregate.hpp"

namespace usher::actors {

/// One dated occasion with something to sell, as the operator described it.
///
/// `open` checks the whole plan, because everything else of the show trusts it. `change` touches only the fields that are
/// present; reservations that exist keep their terms. The caller compares `expected_version`, since versions are the
/// shell's. A change to what is already so is accepted and records nothing. The queue of a show is a part of its opening,
/// and of a change of the sale's times: one record for both. After that the queue owns its settings.
/// Rejects `open` with ALREADY_EXISTS (and with INVALID_REQUEST where a queue comes without its secret), and `change` with NOT_FOUND, then both with VALIDATION_FAILED, which names each bad
/// field by its JSON path (at most 100 of them).
/// Cost: `open` is linear in the number of seats, of which there may be 200,000.
struct show {
  using state = v1::ShowState;
  using command = v1::ShowCommand;
  using event = v1::ShowEvent;
  static constexpr v1::Kind kind = v1::SHOW;

  static decision<event> decide(const v1::EntityRef&, const state&, const command&, const context&);
  static void evolve(state&, const event&);
  static std::optional<time_point> deadline(const state&);
  static std::optional<command> wake();
  static std::vector<errand> react(const v1::EntityRef&, const state&);
};
static_assert(aggregate<show>);

}  // namespace usher::actors
