#pragma once
// The rules of the places of one general-admission section.

#include "actors/aggregate.hpp"

namespace usher::actors {

/// The places of one general-admission section of one show: so many held, so many sold, never more than there are.
///
/// Its commands are parts of the decisions of reservations. It counts and does not remember who has what, so each command
/// must be sent once; reservations do. The capacity that `take` carries is the truth.
/// Rejects with VALIDATION_FAILED where no place is asked for, then `take` with STOCK_UNAVAILABLE, which says how many are
/// left, and `sell` and `give_back` with NOT_THE_HOLDER where fewer are held or sold.
struct stock {
  using state = v1::StockState;
  using command = v1::StockCommand;
  using event = v1::StockEvent;
  static constexpr v1::Kind kind = v1::STOCK;

  static decision<event> decide(const v1::EntityRef&, const state&, const command&, const context&);
  static void evolve(state&, const event&);
  static std::optional<time_point> deadline(const state&);
  static std::optional<command> wake();
  static std::vector<errand> react(const v1::EntityRef&, const state&);
};
static_assert(aggregate<stock>);

}  // namespace usher::actors
