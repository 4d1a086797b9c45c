#pragma once
// The rules of one reservation.

#include "actors/aggregate.hpp"

namespace usher::actors {

/// Seats and places of one show held for one user, together or not at all, until they are paid for or the hold ends.
///
///   PENDING -> PAYING -> CONFIRMED -> REFUNDING -> CANCELLED
///   PENDING -> EXPIRED or RELEASED, PAYING -> PENDING where the payment is declined
///
/// It is the only arbiter: expiry, release, payment and cancellation are commands to it, so exactly one of them wins.
/// Everything of the show that has to agree travels as `parts` in the fixed order: allowance, seats by name, stocks by
/// name. Money is in another partition: while PAYING or REFUNDING, `react` repeats the payment's command to the wallet, whose
/// verdict under the payment id comes back as `settle_payment` or `settle_refund`; until then other commands are postponed.
/// A command that was already served is accepted again and records nothing; so is a verdict.
///
/// Rejections in order:
/// - place: FORBIDDEN (for somebody else), ALREADY_EXISTS (of somebody else), VALIDATION_FAILED, SALE_CLOSED; then the parts
///   have their say: TICKET_LIMIT_EXCEEDED, SEAT_UNAVAILABLE, STOCK_UNAVAILABLE
/// - release, cancel, pay: NOT_FOUND, FORBIDDEN, RESERVATION_EXPIRED, RESERVATION_NOT_PENDING. A hold that is due has
///   expired for `pay`, whether or not that is recorded yet
/// - wake: NOT_FOUND
/// - settle_payment, settle_refund: NOT_FOUND, NOT_THE_HOLDER where the reservation can't have asked for this
/// A declined payment ends with INSUFFICIENT_BALANCE and leaves the hold as it was.
struct reservation {
  using state = v1::ReservationState;
  using command = v1::ReservationCommand;
  using event = v1::ReservationEvent;
  static constexpr v1::Kind kind = v1::RESERVATION;

  static decision<event> decide(const v1::EntityRef&, const state&, const command&, const context&);
  static void evolve(state&, const event&);
  static std::optional<time_point> deadline(const state&);
  static std::optional<command> wake();
  static std::vector<errand> react(const v1::EntityRef&, const state&);
};
static_assert(aggregate<reservation>);

}  // namespace usher::actors
