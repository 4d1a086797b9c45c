#include "events/fold.hpp"

#include <algorithm>

namespace usher {
namespace {

using state = v1::ReservationState;

void place_it(state& s, const v1::ReservationPlaced& e) {
  s.set_status(v1::PENDING);
  s.set_user_id(e.user_id());
  *s.mutable_seats() = e.seats();
  *s.mutable_general_admission() = e.general_admission();
  s.set_currency(e.currency());
  s.set_amount(e.amount());
  s.set_placed_at_ms(e.at_ms());
  s.set_hold_expires_at_ms(e.hold_expires_at_ms());
  s.set_queue_number(e.queue_number());
}

/// Money of an earlier attempt may still be on its way back.
void end_process(state& s) {
  s.clear_lease_ends_at_ms();
  const bool giving_back = std::any_of(s.payments().begin(), s.payments().end(), [](const auto& p) { return p.status() == v1::GIVING_BACK; });
  if (!giving_back) s.clear_process_started_at_ms();
}

void end(state& s, v1::ReservationStatus status, std::int64_t at_ms) {
  s.set_status(status);
  s.set_ended_at_ms(at_ms);
  end_process(s);
}

/// Money is looked up by the payment's id; there are as many as there were attempts.
void set_payment(state& s, const std::string& payment_id, v1::PaymentStatus status) {
  for (auto& payment : *s.mutable_payments())
    if (payment.payment_id() == payment_id) payment.set_status(status);
}

/// @param e  PaymentStarted or RefundStarted
template <class Started>
void start_process(state& s, v1::ReservationStatus status, const Started& e) {
  s.set_status(status);
  s.set_payment_id(e.payment_id());
  s.set_process_started_at_ms(e.at_ms());
  if (e.has_key())
    *s.mutable_process_key() = e.key();
  else
    s.clear_process_key();
}

void start_payment(state& s, const v1::PaymentStarted& e) {
  start_process(s, v1::PAYING, e);
  s.set_attempts(s.attempts() + 1);
  s.set_lease_ends_at_ms(e.lease_ends_at_ms());
  auto& payment = *s.add_payments();
  payment.set_payment_id(e.payment_id());
  payment.set_provider(e.provider());
  payment.set_method(e.method());
  payment.set_payer_id(s.user_id());
  payment.set_amount(s.amount());
  payment.set_status(v1::UNDER_WAY);
}

void decline(state& s, const v1::PaymentDeclined& e) {
  s.set_status(v1::PENDING);
  s.set_hold_expires_at_ms(e.hold_expires_at_ms());
  s.clear_payment_id();
  s.clear_process_key();
  set_payment(s, e.payment_id(), v1::DECLINED);
  end_process(s);
}

void confirm(state& s, const std::string& payment_id) {
  s.set_status(v1::CONFIRMED);
  s.set_payment_id(payment_id);
  s.clear_ended_at_ms();
  set_payment(s, payment_id, v1::PAID);
  end_process(s);
}

void cancel(state& s, const v1::ReservationCancelled& e) {
  set_payment(s, s.payment_id(), v1::GIVEN_BACK);
  end(s, v1::CANCELLED, e.at_ms());
}

void lapse(state& s, const v1::PaymentLapsed& e) {
  s.clear_payment_id();
  set_payment(s, e.payment_id(), v1::LAPSED);
  end(s, v1::EXPIRED, e.at_ms());
}

void exchange(state& s, const v1::SeatExchanged& e) {
  const auto seat = std::find_if(s.mutable_seats()->begin(), s.mutable_seats()->end(), [&](const auto& item) { return item.seat() == e.from(); });
  if (seat != s.mutable_seats()->end()) *seat = e.to();
  s.set_amount(e.amount());
}

}  // namespace

void fold(v1::ReservationState& s, const v1::ReservationEvent& e) {
  using event = v1::ReservationEvent;
  switch (e.kind_case()) {
    case event::kPlaced: return place_it(s, e.placed());
    case event::kReleased: return end(s, v1::RELEASED, e.released().at_ms());
    case event::kExpired: return end(s, v1::EXPIRED, e.expired().at_ms());
    case event::kPaymentStarted: return start_payment(s, e.payment_started());
    case event::kPaymentDeclined: return decline(s, e.payment_declined());
    case event::kConfirmed: return confirm(s, e.confirmed().payment_id());
    case event::kRefundStarted:
      set_payment(s, e.refund_started().payment_id(), v1::GIVING_BACK);
      return start_process(s, v1::REFUNDING, e.refund_started());
    case event::kCancelled: return cancel(s, e.cancelled());
    case event::kPaymentLapsed: return lapse(s, e.payment_lapsed());
    case event::kLatePaymentSeated: return confirm(s, e.late_payment_seated().payment_id());
    case event::kLateRefundStarted:
      s.set_process_started_at_ms(e.late_refund_started().at_ms());
      return set_payment(s, e.late_refund_started().payment_id(), v1::GIVING_BACK);
    case event::kLateRefunded: return set_payment(s, e.late_refunded().payment_id(), v1::GIVEN_BACK);
    case event::kExtended:
      s.set_hold_expires_at_ms(e.extended().hold_expires_at_ms());
      return s.set_is_extended(true);
    case event::kTransferred: return s.set_user_id(e.transferred().to_user_id());
    case event::kExchanged: return exchange(s, e.exchanged());
    case event::KIND_NOT_SET: return;
  }
}

void fold(v1::ShowPlan& plan, const v1::ShowChange& c) {
  if (c.has_title()) plan.set_title(c.title());
  if (c.has_venue()) plan.set_venue(c.venue());
  if (c.has_starts_at_ms()) plan.set_starts_at_ms(c.starts_at_ms());
  if (c.has_sale_opens_at_ms()) plan.set_sale_opens_at_ms(c.sale_opens_at_ms());
  if (c.has_sale_closes_at_ms()) plan.set_sale_closes_at_ms(c.sale_closes_at_ms());
  if (c.has_ticket_limit()) plan.set_ticket_limit(c.ticket_limit());
  if (c.has_hold_seconds()) plan.set_hold_seconds(c.hold_seconds());
  if (c.has_extension_seconds()) plan.set_extension_seconds(c.extension_seconds());
  if (c.has_forbid_orphans()) plan.set_forbid_orphans(c.forbid_orphans());
  for (const auto& changed : c.tiers())
    for (auto& tier : *plan.mutable_tiers())
      if (tier.name() == changed.name()) tier.set_price(changed.price());
}

}  // namespace usher
