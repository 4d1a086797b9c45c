#pragma once
// The part of a reservation's rules that is about money: paying, money that comes late, and giving it back.

#include "actors/reservation_parts.hpp"

namespace usher::actors {

reservation_decision pay(const v1::EntityRef&, const v1::ReservationState&, const v1::PayReservation&, const context&);
reservation_decision cancel(const v1::EntityRef&, const v1::ReservationState&, const v1::CancelReservation&, const context&);

/// A verdict on a payment of this reservation: of the wallet, or of a provider, which may tell it late, twice, or otherwise
/// than before. The first verdict stands; what it can't be given anything for is given back.
reservation_decision settle_payment(const v1::EntityRef&, const v1::ReservationState&, const v1::SettlePayment&, const context&);
reservation_decision settle_refund(const v1::EntityRef&, const v1::ReservationState&, const v1::SettleRefund&, const context&);

/// Ends a payment whose lease is over.
reservation_decision lapse(const v1::EntityRef&, const v1::ReservationState&, const context&);

/// When to look again at money that is under way. @return nullopt where none is
std::optional<time_point> money_deadline(const v1::ReservationState&);
/// What is owed to wallets and providers now.
std::vector<errand> money_errands(const v1::EntityRef&, const v1::ReservationState&);

}  // namespace usher::actors
