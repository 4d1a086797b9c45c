// The arbiter of seats and places: who gets them, for how long, and what ends it.

#include "actors/reservation.hpp"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "actors/reservation_payment.hpp"
#include "events/fold.hpp"

namespace usher::actors {
namespace {

using state = v1::ReservationState;
using event = v1::ReservationEvent;

bool is_for_somebody_else(const std::string& user_id, const context& ctx) {
  return ctx.role == v1::ROLE_USER && ctx.user_id != user_id;
}

// --- place ---------------------------------------------------------------------------------------------------------

std::string at(const char* list, int index, const char* field = "") {
  return std::string{list} + '[' + std::to_string(index) + ']' + field;
}

/// What is wrong with the client's choice, in itself.
v1::Rejection faults_in(const v1::PlaceReservation& c) {
  v1::Rejection r;
  if (c.user_id().empty()) add_fault(r, "userId", "A reservation must be for somebody.");
  if (c.seats_size() == 0 && c.general_admission_size() == 0) add_fault(r, "seats", "At least one seat or place must be chosen.");
  std::unordered_set<std::string_view> seen;
  for (int i = 0; i != c.seats_size(); ++i)
    if (!seen.insert(c.seats(i).seat()).second) add_fault(r, at("seats", i), "The seat is named twice.");
  seen.clear();
  for (int i = 0; i != c.general_admission_size(); ++i) {
    const auto& item = c.general_admission(i);
    if (item.quantity() == 0) add_fault(r, at("generalAdmission", i, ".quantity"), "At least one place must be asked for.");
    if (!seen.insert(item.section()).second) add_fault(r, at("generalAdmission", i, ".section"), "The section is named twice.");
  }
  if (quantity_of(c) > std::numeric_limits<std::uint32_t>::max()) add_fault(r, "generalAdmission", "These are too many places.");
  return r;
}

/// What it costs, in minor units. @return nullopt where 64 bits are not enough
std::optional<std::int64_t> amount_of(const v1::PlaceReservation& c) {
  std::int64_t amount = 0;
  for (const auto& item : c.seats())
    if (__builtin_add_overflow(amount, item.price(), &amount)) return std::nullopt;
  for (const auto& item : c.general_admission()) {
    std::int64_t places = 0;
    if (__builtin_mul_overflow(item.price(), std::int64_t{item.quantity()}, &places) ||
        __builtin_add_overflow(amount, places, &amount))
      return std::nullopt;
  }
  return amount;
}

/// @return the reason why nothing is sold now, if there is one
std::optional<std::string> closed_because(const v1::PlaceReservation& c, std::int64_t now_ms) {
  if (now_ms < c.sale_opens_at_ms()) return "The sale is not open yet.";
  if (c.sale_closes_at_ms() != 0 && now_ms >= c.sale_closes_at_ms()) return "The sale is closed.";
  return std::nullopt;
}

reservation_decision place(const v1::EntityRef& ref, const state& s, const v1::PlaceReservation& c, const context& ctx) {
  if (is_for_somebody_else(c.user_id(), ctx))
    return reservation_decision::rejected(v1::FORBIDDEN, "Only a service may reserve for somebody else.");
  if (s.status() != v1::RESERVATION_STATUS_UNSPECIFIED) {
    // The id follows from the buyer and the idempotency key: this is the same request again.
    if (s.user_id() == c.user_id()) return unchanged<event>(reservation_outcome(ref, s, s.status()));
    return reservation_decision::rejected(v1::ALREADY_EXISTS, "There is a reservation with this id.");
  }
  if (auto faults = faults_in(c); faults.faults_size() != 0) {
    auto d = reservation_decision::rejected(v1::VALIDATION_FAILED, faults.faults(0).detail());
    d.rejection.mutable_faults()->Swap(faults.mutable_faults());
    return d;
  }
  const auto amount = amount_of(c);
  if (!amount) return invalid<event>("", "The price of all this is too large.");
  if (auto why = closed_because(c, to_ms(ctx.now))) return reservation_decision::rejected(v1::SALE_CLOSED, std::move(*why));

  event e;
  auto* placed = e.mutable_placed();
  placed->set_user_id(c.user_id());
  *placed->mutable_seats() = c.seats();
  *placed->mutable_general_admission() = c.general_admission();
  placed->set_currency(c.currency());
  placed->set_amount(*amount);
  placed->set_at_ms(to_ms(ctx.now));
  placed->set_hold_expires_at_ms(to_ms(ctx.now + std::chrono::seconds{c.hold_seconds()}));
  placed->set_queue_number(c.queue_number());
  auto outcome = reservation_outcome(ref, *placed, v1::PENDING);
  auto d = reservation_decision::accepted(std::move(e), std::move(outcome));
  d.parts = taking_parts(ref, c, c.ticket_limit(), false);
  return d;
}

// --- the ends of a hold --------------------------------------------------------------------------------------------

reservation_decision release(const v1::EntityRef& ref, const state& s, const context& ctx) {
  switch (s.status()) {
    case v1::PENDING: {
      event e;
      e.mutable_released()->set_at_ms(to_ms(ctx.now));
      auto d = reservation_decision::accepted(std::move(e), reservation_outcome(ref, s, v1::RELEASED));
      d.parts = freeing_parts(ref, s, false);
      return d;
    }
    case v1::RELEASED: return unchanged<event>(reservation_outcome(ref, s, v1::RELEASED));
    case v1::EXPIRED: return expired();
    case v1::PAYING:
    case v1::REFUNDING: return busy_with_money(s);
    case v1::CONFIRMED: return not_pending("The reservation is paid for; it can be cancelled.");
    case v1::CANCELLED: return not_pending("The reservation is cancelled.");
    case v1::RESERVATION_STATUS_UNSPECIFIED:
    case v1::ReservationStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::ReservationStatus_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return not_found();
}

reservation_decision wake_up(const v1::EntityRef& ref, const state& s, const context& ctx) {
  if (s.status() == v1::PAYING && s.lease_ends_at_ms() != 0 && to_ms(ctx.now) >= s.lease_ends_at_ms()) return lapse(ref, s, ctx);
  // Money under way needs no event: the errands are repeated because it was asked.
  if (s.status() != v1::PENDING || !is_due(s, ctx)) return unchanged<event>();
  event e;
  e.mutable_expired()->set_at_ms(to_ms(ctx.now));
  auto d = reservation_decision::accepted(std::move(e), reservation_outcome(ref, s, v1::EXPIRED));
  d.parts = freeing_parts(ref, s, false);
  return d;
}

// --- changes of a reservation ------------------------------------------------------------------------------------------

/// @param s  PENDING, or CONFIRMED where `paid_too`. @return why nothing can be changed now, if so
std::optional<reservation_decision> unchangeable(const state& s, bool paid_too, const context& ctx) {
  switch (s.status()) {
    case v1::PENDING:
      if (is_due(s, ctx)) return expired();
      return std::nullopt;
    case v1::CONFIRMED:
      if (!paid_too) return not_pending("The reservation is paid for already.");
      return std::nullopt;
    case v1::PAYING:
    case v1::REFUNDING: return busy_with_money(s);
    case v1::EXPIRED: return expired();
    case v1::RELEASED: return not_pending("The reservation was given up.");
    case v1::CANCELLED: return not_pending("The reservation is cancelled.");
    case v1::RESERVATION_STATUS_UNSPECIFIED:
    case v1::ReservationStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::ReservationStatus_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return not_found();
}

/// Answers with what the event makes of the reservation.
reservation_decision changed_by(const v1::EntityRef& ref, const state& s, event e) {
  auto after = s;
  fold(after, e);
  return reservation_decision::accepted(std::move(e), reservation_outcome(ref, after, after.status()));
}

reservation_decision extend(const v1::EntityRef& ref, const state& s, const v1::ExtendHold& c, const context& ctx) {
  if (auto why = unchangeable(s, false, ctx)) return std::move(*why);
  if (c.seconds() == 0) return reservation_decision::rejected(v1::EXTENSION_UNAVAILABLE, "This show has no extension of holds.");
  if (s.is_extended()) return reservation_decision::rejected(v1::EXTENSION_UNAVAILABLE, "The hold was made longer once already.");
  event e;
  e.mutable_extended()->set_at_ms(to_ms(ctx.now));
  e.mutable_extended()->set_hold_expires_at_ms(to_ms(from_ms(s.hold_expires_at_ms()) + std::chrono::seconds{c.seconds()}));
  return changed_by(ref, s, std::move(e));
}

reservation_decision transfer(const v1::EntityRef& ref, const state& s, const v1::TransferReservation& c, const context& ctx) {
  if (c.to_user_id().empty()) return invalid<event>("toUserId", "To whom?");
  if (auto why = unchangeable(s, true, ctx)) return std::move(*why);
  if (c.to_user_id() == s.user_id()) return unchanged<event>(reservation_outcome(ref, s, s.status()));
  // Or one person could hold a hall in the names of others, who know nothing of it.
  if (s.status() == v1::PENDING && ctx.role == v1::ROLE_USER) return not_pending("It can be handed over once it is paid for.");
  event e;
  e.mutable_transferred()->set_to_user_id(c.to_user_id());
  e.mutable_transferred()->set_at_ms(to_ms(ctx.now));
  auto d = changed_by(ref, s, std::move(e));
  d.parts = transfer_parts(ref, s, c);
  return d;
}

const v1::SeatItem* find_seat(const state& s, const std::string& seat) {
  for (const auto& item : s.seats())
    if (item.seat() == seat) return &item;
  return nullptr;
}

reservation_decision exchange(const v1::EntityRef& ref, const state& s, const v1::ExchangeSeat& c, const context& ctx) {
  if (auto why = unchangeable(s, true, ctx)) return std::move(*why);
  const auto* from = find_seat(s, c.from());
  if (!from) return invalid<event>("from", "The reservation has no seat " + c.from() + '.');
  if (find_seat(s, c.to().seat())) return invalid<event>("to", "The reservation has seat " + c.to().seat() + " already.");
  const bool paid = s.status() == v1::CONFIRMED;
  if (paid && from->price() != c.to().price())
    return invalid<event>("to", "What is paid for can be exchanged at the same price only: " + std::to_string(from->price()) + '.');
  std::int64_t amount = 0;
  if (__builtin_add_overflow(s.amount() - from->price(), c.to().price(), &amount)) return invalid<event>("to", "The price of all this is too large.");
  event e;
  auto* exchanged = e.mutable_exchanged();
  exchanged->set_from(c.from());
  *exchanged->mutable_to() = c.to();
  exchanged->set_amount(amount);
  exchanged->set_at_ms(to_ms(ctx.now));
  auto d = changed_by(ref, s, std::move(e));
  d.parts = exchange_parts(ref, c.from(), c.to().seat(), paid);
  return d;
}


// --- what is refused at once ---------------------------------------------------------------------------------------

/// Why a command to a reservation is refused whatever its state, if so.
std::optional<reservation_decision> refusal(const state& s, const v1::ReservationCommand& c, const context& ctx) {
  if (c.has_place()) return std::nullopt;
  if (s.status() == v1::RESERVATION_STATUS_UNSPECIFIED) return not_found();
  const bool from_a_client = !c.has_wake() && !c.has_settle_payment() && !c.has_settle_refund();
  if (from_a_client && is_for_somebody_else(s.user_id(), ctx))
    return reservation_decision::rejected(v1::FORBIDDEN, "This reservation is somebody else's.");
  return std::nullopt;
}

}  // namespace

decision<reservation::event> reservation::decide(const v1::EntityRef& ref, const state& s, const command& c, const context& ctx) {
  if (auto refused = refusal(s, c, ctx)) return std::move(*refused);
  switch (c.kind_case()) {
    case command::kPlace: return place(ref, s, c.place(), ctx);
    case command::kRelease: return release(ref, s, ctx);
    case command::kCancel: return cancel(ref, s, c.cancel(), ctx);
    case command::kPay: return pay(ref, s, c.pay(), ctx);
    case command::kWake: return wake_up(ref, s, ctx);
    case command::kSettlePayment: return settle_payment(ref, s, c.settle_payment(), ctx);
    case command::kSettleRefund: return settle_refund(ref, s, c.settle_refund(), ctx);
    case command::kExtend: return extend(ref, s, c.extend(), ctx);
    case command::kTransfer: return transfer(ref, s, c.transfer(), ctx);
    case command::kExchange: return exchange(ref, s, c.exchange(), ctx);
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

void reservation::evolve(state& s, const event& e) { fold(s, e); }

std::optional<time_point> reservation::deadline(const state& s) {
  auto next = money_deadline(s);
  if (s.status() == v1::PENDING && (!next || from_ms(s.hold_expires_at_ms()) < *next)) next = from_ms(s.hold_expires_at_ms());
  return next;
}

std::optional<reservation::command> reservation::wake() {
  command c;
  c.mutable_wake();
  return c;
}

std::vector<errand> reservation::react(const v1::EntityRef& ref, const state& s) { return money_errands(ref, s); }

}  // namespace usher::actors
