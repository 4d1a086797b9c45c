#pragma once
// The rules of one reservation.

#include "actors/aggregate.hpp"

namespace usher::actors {

/// Seats and places of one show held for one user, together or not at all, until they are paid for or the hold ends.
///
///   PENDING -> PAYING -> CONFIRMED -> REFUNDING -> CANCELLED
///   PENDING -> EXPIRED or RELEASED, PAYING -> PENDING where the payment is declined
///   PAYING -> EXPIRED where a provider gives no verdict in time, EXPIRED -> CONFIRMED where its money comes after all
///
/// It is the only arbiter: expiry, release, payment and cancellation are commands to it, so exactly one of them wins.
/// Everything of the show that has to agree travels as `parts` in the fixed order: allowances by user, seats by name, stocks by
/// name. Money is in another partition or outside: while it is under way, `react` repeats the payment's command to the wallet
/// or the provider, whose verdict under the payment id comes back as `settle_payment` or `settle_refund`. Until then other
/// commands are postponed behind a wallet's verdict and refused behind a provider's, which may take as long as its lease.
/// A command that was already served is accepted again and records nothing; so is a verdict.
///
/// Money that comes after the lease gets the same seats if all of them are still free and the buyer's limit allows them:
/// `settle_payment` then is decided like a placing, and refused by its parts like one. Whoever sent it sends it again with
/// `give_back`, and the money goes back. So does money under a payment that was declined before.
///
/// Rejections in order:
/// - place: FORBIDDEN (for somebody else), ALREADY_EXISTS (of somebody else), VALIDATION_FAILED, SALE_CLOSED; then the parts
///   have their say: TICKET_LIMIT_EXCEEDED, SEAT_UNAVAILABLE, STOCK_UNAVAILABLE
/// - release, cancel, pay: NOT_FOUND, FORBIDDEN, RESERVATION_EXPIRED, RESERVATION_NOT_PENDING. A hold that is due has
///   expired for `pay`, whether or not that is recorded yet
/// - extend, transfer, exchange: the same, VALIDATION_FAILED; then EXTENSION_UNAVAILABLE, or what the parts say. A user hands
///   over what is paid for; a hold only a service or an operator
/// - wake: NOT_FOUND
/// - settle_payment: NOT_FOUND, VALIDATION_FAILED for another amount; where it is late, what the parts say
/// - settle_refund: NOT_FOUND, NOT_THE_HOLDER where nobody asked for the money back
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
