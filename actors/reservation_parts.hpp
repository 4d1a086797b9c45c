#pragma once
// What the rules of a reservation share: the entities that have to agree, and the answers.

#include <algorithm>
#include <string>
#include <vector>

#include "actors/rules.hpp"

namespace usher::actors {

using reservation_decision = decision<v1::ReservationEvent>;

/// Seats and places together. The number fits where `place` has let it through.
template <class Placed>
std::uint64_t quantity_of(const Placed& p) {
  std::uint64_t n = static_cast<std::uint64_t>(p.seats_size());
  for (const auto& places : p.general_admission()) n += places.quantity();
  return n;
}

/// The parts of a decision stand in the fixed order in which a slip visits them: allowances by user, seats by name,
/// stocks by name, and last the queue: it is the hottest, and what comes last never waits for others.

/// @param paid  the money is there: seats and places are sold in the same step, and the buyer's admission is spent
template <class Placed>
std::vector<errand> taking_parts(const v1::EntityRef&, const Placed&, std::uint32_t ticket_limit, bool paid);
std::vector<errand> selling_parts(const v1::EntityRef&, const v1::ReservationState&);
/// @param sold  they were sold, not only held
std::vector<errand> freeing_parts(const v1::EntityRef&, const v1::ReservationState&, bool sold);
std::vector<errand> transfer_parts(const v1::EntityRef&, const v1::ReservationState&, const v1::TransferReservation&);
std::vector<errand> exchange_parts(const v1::EntityRef&, const std::string& from, const std::string& to, bool sold);

/// @param p  the state, or the event that makes it
template <class Placed>
v1::Outcome reservation_outcome(const v1::EntityRef&, const Placed& p, v1::ReservationStatus after);
/// Of the payment under way, or of the one that paid.
v1::Outcome payment_outcome(const v1::EntityRef&, const v1::ReservationState&, v1::ReservationStatus after);

inline reservation_decision not_found() { return reservation_decision::rejected(v1::NOT_FOUND, "There is no such reservation."); }
inline reservation_decision expired() {
  return reservation_decision::rejected(v1::RESERVATION_EXPIRED, "The hold of this reservation has ended.");
}
inline reservation_decision not_pending(std::string detail) {
  return reservation_decision::rejected(v1::RESERVATION_NOT_PENDING, std::move(detail));
}

inline bool is_due(const v1::ReservationState& s, const context& ctx) { return to_ms(ctx.now) >= s.hold_expires_at_ms(); }

/// A wallet's verdict comes within moments, so commands wait for it; a provider's may take minutes.
inline bool waits_for_wallet(const v1::ReservationState& s) {
  return s.payments_size() == 0 || s.payments(s.payments_size() - 1).provider().empty();
}

/// For whatever else is asked while money is under way.
inline reservation_decision busy_with_money(const v1::ReservationState& s) {
  if (waits_for_wallet(s)) return reservation_decision::postponed();
  return not_pending(s.status() == v1::REFUNDING ? "The reservation is about to be cancelled." : "A payment is under way.");
}

}  // namespace usher::actors
