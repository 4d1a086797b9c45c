#pragma once
// The rules of how many places one person may have of one show.

#include "actors/aggregate.hpp"

namespace usher::actors {

/// How many places of one show one person has, over all reservations.
///
/// Its commands are parts of the decisions of reservations. It counts and does not remember which reservation used what,
/// so each command must be sent once; reservations do. The limit that `use` carries is the truth.
/// Rejects `use` with TICKET_LIMIT_EXCEEDED, which names the limit and what is left of it, and `restore` with
/// NOT_THE_HOLDER where fewer are in use.
struct allowance {
  using state = v1::AllowanceState;
  using command = v1::AllowanceCommand;
  using event = v1::AllowanceEvent;
  static constexpr v1::Kind kind = v1::ALLOWANCE;

  static decision<event> decide(const v1::EntityRef&, const state&, const command&, const context&);
  static void evolve(state&, const event&);
  static std::optional<time_point> deadline(const state&);
  static std::optional<command> wake();
  static std::vector<errand> react(const v1::EntityRef&, const state&);
};
static_assert(aggregate<allowance>);

}  // namespace usher::actors
