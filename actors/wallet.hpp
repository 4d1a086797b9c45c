#pragma once
// The rules of one user's money.

#include "actors/aggregate.hpp"

namespace usher::actors {

/// One user's money, in minor units, and what of it is set aside (held) by authorizations. What is left is available.
///
/// `authorize` sets money aside until it is captured (all of it, or a part and the rest is available again), voided, or its time is
/// over. By the clock, that is: an authorization that is due holds nothing, and its end is recorded by the wake or before the next event.
/// `debit` and `credit` belong to the payment of a reservation. A payment id has one verdict for ever: a repeated `debit`
/// is answered with the first verdict and a repeated `credit` with REFUNDED, and neither records anything. A debit that
/// what is available does not cover is no rejection but the recorded verdict REFUSED.
/// Rejects with VALIDATION_FAILED (an amount outside 1 to 10^12 or above the command's `amount_max`, or, for a payment, below 0; a balance
/// beyond 64 bits or above `balance_max`; more seconds than 7 days have; a hundred authorizations open; a capture of more than was set aside),
/// then `use` and `authorize` with INSUFFICIENT_BALANCE, which says what is missing, `credit` with NOT_FOUND where nothing was debited
/// under the id, and `capture` and `void_funds` with AUTHORIZATION_ENDED where the authorization isn't open. `authorize` with the id of an
/// open one changes nothing, or is rejected with ALREADY_EXISTS where the amount is another.
struct wallet {
  using state = v1::WalletState;
  using command = v1::WalletCommand;
  using event = v1::WalletEvent;
  static constexpr v1::Kind kind = v1::WALLET;

  static decision<event> decide(const v1::EntityRef&, const state&, const command&, const context&);
  static void evolve(state&, const event&);
  static std::optional<time_point> deadline(const state&);
  static std::optional<command> wake();
  static std::vector<errand> react(const v1::EntityRef&, const state&);
};
static_assert(aggregate<wallet>);

}  // namespace usher::actors
