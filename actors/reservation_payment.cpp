#include "actors/reservation_payment.hpp"

#include <algorithm>

#include "events/fold.hpp"

namespace usher::actors {
namespace {

using state = v1::ReservationState;
using event = v1::ReservationEvent;

constexpr std::int64_t redrive_after_ms = 1000;
constexpr std::uint32_t attempts_max = 20;  // every one of them stays in the state

/// @param by  who speaks of it: a verdict of somebody else's is none
const v1::Payment* find_payment(const state& s, const std::string& payment_id, const std::string& by) {
  for (const auto& payment : s.payments())
    if (payment.payment_id() == payment_id && payment.provider() == by) return &payment;
  return nullptr;
}

reservation_decision no_such_payment(const std::string& payment_id) {
  return reservation_decision::rejected(v1::NOT_FOUND, "This reservation knows no payment " + payment_id + ".");
}

/// The client's key, where the request that started the process had one.
std::optional<v1::ClientKey> recorded_key(const state& s) {
  if (s.process_key().key().empty()) return std::nullopt;
  return s.process_key();
}

bool is_same_request(const v1::ClientKey& a, const v1::ClientKey& b) {
  return !a.key().empty() && a.key() == b.key() && a.user_id() == b.user_id();
}

// --- paying --------------------------------------------------------------------------------------------------------

/// From the wallet the answer comes with its verdict. A provider takes its time, so the client is told that it is asked.
reservation_decision start_payment(const v1::EntityRef& ref, const state& s, const v1::PayReservation& c, const context& ctx) {
  if (s.attempts() == attempts_max) return not_pending("Too many payments for it were declined.");
  event e;
  auto* started = e.mutable_payment_started();
  started->set_payment_id(make_payment_id(ref.name(), s.attempts() + 1));
  started->set_at_ms(to_ms(ctx.now));
  if (c.provider().empty()) {
    if (c.has_key()) *started->mutable_key() = c.key();
    return reservation_decision::parked(std::move(e));
  }
  if (s.amount() == 0) return invalid<event>("provider", "There is nothing to pay: the wallet does it.");
  started->set_provider(c.provider());
  started->set_method(c.method());
  // Never before the hold itself ends, so that a payment that lapses has nothing left to wait for.
  const auto lease_ends = to_ms(ctx.now + std::chrono::seconds{c.lease_seconds()});
  started->set_lease_ends_at_ms(std::max(lease_ends, s.hold_expires_at_ms()));
  auto after = s;
  fold(after, e);
  return reservation_decision::accepted(std::move(e), payment_outcome(ref, after, v1::PAYING));
}

reservation_decision confirm(const v1::EntityRef& ref, const state& s, const context& ctx) {
  event e;
  e.mutable_confirmed()->set_payment_id(s.payment_id());
  e.mutable_confirmed()->set_at_ms(to_ms(ctx.now));
  auto outcome = payment_outcome(ref, s, v1::CONFIRMED);
  auto d = reservation_decision::accepted(std::move(e), outcome);
  d.parts = selling_parts(ref, s);
  d.settles = settlement{std::move(outcome), std::nullopt, recorded_key(s)};
  return d;
}

reservation_decision decline(const state& s, const context& ctx) {
  event e;
  auto* declined = e.mutable_payment_declined();
  declined->set_payment_id(s.payment_id());
  declined->set_at_ms(to_ms(ctx.now));
  declined->set_hold_expires_at_ms(s.hold_expires_at_ms());
  auto d = reservation_decision::accepted(std::move(e));
  v1::Rejection why;
  why.set_code(v1::INSUFFICIENT_BALANCE);
  why.set_detail("The balance does not cover " + std::to_string(s.amount()) + "; the hold stays as it is.");
  // Without a key: a refusal is decided afresh when the client tries again.
  d.settles = settlement{{}, std::move(why), std::nullopt};
  return d;
}

// --- money that comes late -----------------------------------------------------------------------------------------

/// The hold has ended, and somebody may have the seats by now: the parts say so.
reservation_decision seat_after_all(const v1::EntityRef& ref, const state& s, const v1::SettlePayment& c, const context& ctx) {
  event e;
  e.mutable_late_payment_seated()->set_payment_id(c.payment_id());
  e.mutable_late_payment_seated()->set_at_ms(to_ms(ctx.now));
  auto after = s;
  fold(after, e);
  auto d = reservation_decision::accepted(std::move(e), payment_outcome(ref, after, v1::CONFIRMED));
  d.parts = taking_parts(ref, s, c.ticket_limit(), true);
  return d;
}

reservation_decision give_late_money_back(const v1::SettlePayment& c, const context& ctx) {
  event e;
  e.mutable_late_refund_started()->set_payment_id(c.payment_id());
  e.mutable_late_refund_started()->set_at_ms(to_ms(ctx.now));
  return reservation_decision::accepted(std::move(e));
}

// --- giving money back ---------------------------------------------------------------------------------------------

reservation_decision start_refund(const v1::EntityRef& ref, const state& s, const v1::CancelReservation& c, const context& ctx) {
  event e;
  auto* started = e.mutable_refund_started();
  started->set_payment_id(s.payment_id());
  started->set_reason(c.reason());
  started->set_at_ms(to_ms(ctx.now));
  if (!waits_for_wallet(s)) return reservation_decision::accepted(std::move(e), reservation_outcome(ref, s, v1::REFUNDING));
  if (c.has_key()) *started->mutable_key() = c.key();
  return reservation_decision::parked(std::move(e));
}

template <class Command>
void fill_in(Command& c, const v1::EntityRef& ref, const v1::Payment& payment) {
  c.set_payment_id(payment.payment_id());
  c.set_reservation_id(ref.name());
  c.set_show_id(show_of_reservation(ref.name()));
  c.set_amount(payment.amount());
}

errand taking_money(const v1::EntityRef& ref, const state& s, const v1::Payment& payment) {
  errand out;
  if (payment.provider().empty()) {
    out.to = wallet_ref(payment.payer_id());
    fill_in(*out.command.mutable_wallet()->mutable_debit(), ref, payment);
    return out;
  }
  out.to = provider_ref(payment.provider());
  auto& take = *out.command.mutable_provider()->mutable_take();
  take.set_payment_id(payment.payment_id());
  take.set_method(payment.method());
  take.set_amount(payment.amount());
  take.set_currency(s.currency());
  return out;
}

errand giving_money_back(const v1::EntityRef& ref, const state& s, const v1::Payment& payment) {
  errand out;
  if (payment.provider().empty()) {
    out.to = wallet_ref(payment.payer_id());
    fill_in(*out.command.mutable_wallet()->mutable_credit(), ref, payment);
    return out;
  }
  out.to = provider_ref(payment.provider());
  auto& back = *out.command.mutable_provider()->mutable_give_back();
  back.set_payment_id(payment.payment_id());
  back.set_amount(payment.amount());
  back.set_currency(s.currency());
  return out;
}

}  // namespace

reservation_decision pay(const v1::EntityRef& ref, const state& s, const v1::PayReservation& c, const context& ctx) {
  switch (s.status()) {
    case v1::PENDING: return is_due(s, ctx) ? expired() : start_payment(ref, s, c, ctx);
    case v1::PAYING: return busy_with_money(s);
    case v1::CONFIRMED:
      return is_same_request(c.key(), s.process_key()) ? unchanged<event>(payment_outcome(ref, s, v1::CONFIRMED))
                                                       : not_pending("The reservation is paid for already.");
    case v1::EXPIRED: return expired();
    case v1::RELEASED: return not_pending("The reservation was given up.");
    case v1::REFUNDING:
    case v1::CANCELLED: return not_pending("The reservation is cancelled.");
    case v1::RESERVATION_STATUS_UNSPECIFIED:
    case v1::ReservationStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::ReservationStatus_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return not_found();
}

reservation_decision cancel(const v1::EntityRef& ref, const state& s, const v1::CancelReservation& c, const context& ctx) {
  switch (s.status()) {
    case v1::CONFIRMED: return start_refund(ref, s, c, ctx);
    case v1::CANCELLED: return unchanged<event>(reservation_outcome(ref, s, v1::CANCELLED));
    case v1::PAYING: return busy_with_money(s);
    case v1::REFUNDING:
      if (waits_for_wallet(s)) return reservation_decision::postponed();
      return unchanged<event>(reservation_outcome(ref, s, v1::REFUNDING));
    case v1::EXPIRED: return expired();
    case v1::PENDING: return not_pending("The reservation is not paid for; it can be released.");
    case v1::RELEASED: return not_pending("The reservation was given up.");
    case v1::RESERVATION_STATUS_UNSPECIFIED:
    case v1::ReservationStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::ReservationStatus_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return not_found();
}

reservation_decision settle_payment(const v1::EntityRef& ref, const state& s, const v1::SettlePayment& c, const context& ctx) {
  const auto* payment = find_payment(s, c.payment_id(), c.provider());
  if (!payment) return no_such_payment(c.payment_id());
  if (c.amount() != 0 && c.amount() != payment->amount())
    return invalid<event>("amount", "The payment is about " + std::to_string(payment->amount()) + ".");
  switch (payment->status()) {
    case v1::UNDER_WAY: return c.debited() ? confirm(ref, s, ctx) : decline(s, ctx);
    case v1::LAPSED:
      if (!c.debited()) return unchanged<event>();
      return c.give_back() ? give_late_money_back(c, ctx) : seat_after_all(ref, s, c, ctx);
    case v1::DECLINED: return c.debited() ? give_late_money_back(c, ctx) : unchanged<event>();
    case v1::PAID:
    case v1::GIVING_BACK:
    case v1::GIVEN_BACK: return unchanged<event>();
    case v1::PAYMENT_STATUS_UNSPECIFIED:
    case v1::PaymentStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::PaymentStatus_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return no_such_payment(c.payment_id());
}

reservation_decision settle_refund(const v1::EntityRef& ref, const state& s, const v1::SettleRefund& c, const context& ctx) {
  const auto* payment = find_payment(s, c.payment_id(), c.provider());
  if (!payment) return no_such_payment(c.payment_id());
  if (payment->status() == v1::GIVEN_BACK) return unchanged<event>();
  if (payment->status() != v1::GIVING_BACK)
    return reservation_decision::rejected(v1::NOT_THE_HOLDER, "Nobody asked for the money of " + c.payment_id() + " back.");
  event e;
  if (s.status() != v1::REFUNDING || s.payment_id() != c.payment_id()) {
    e.mutable_late_refunded()->set_payment_id(c.payment_id());
    e.mutable_late_refunded()->set_at_ms(to_ms(ctx.now));
    return reservation_decision::accepted(std::move(e));
  }
  e.mutable_cancelled()->set_at_ms(to_ms(ctx.now));
  auto outcome = reservation_outcome(ref, s, v1::CANCELLED);
  auto d = reservation_decision::accepted(std::move(e), outcome);
  d.parts = freeing_parts(ref, s, true);
  d.settles = settlement{std::move(outcome), std::nullopt, recorded_key(s)};
  return d;
}

reservation_decision lapse(const v1::EntityRef& ref, const state& s, const context& ctx) {
  event e;
  e.mutable_payment_lapsed()->set_payment_id(s.payment_id());
  e.mutable_payment_lapsed()->set_at_ms(to_ms(ctx.now));
  auto d = reservation_decision::accepted(std::move(e), reservation_outcome(ref, s, v1::EXPIRED));
  d.parts = freeing_parts(ref, s, false);
  return d;
}

std::optional<time_point> money_deadline(const state& s) {
  const bool under_way = std::any_of(s.payments().begin(), s.payments().end(), [](const auto& p) {
    return p.status() == v1::UNDER_WAY || p.status() == v1::GIVING_BACK;
  });
  if (!under_way) return std::nullopt;
  return from_ms(s.process_started_at_ms() + redrive_after_ms);
}

std::vector<errand> money_errands(const v1::EntityRef& ref, const state& s) {
  std::vector<errand> out;
  for (const auto& payment : s.payments()) {
    if (payment.status() == v1::UNDER_WAY) out.push_back(taking_money(ref, s, payment));
    if (payment.status() == v1::GIVING_BACK) out.push_back(giving_money_back(ref, s, payment));
  }
  return out;
}

}  // namespace usher::actors
