// The arbiter of seats and places: who gets them, for how long, and what ends it.

#include "actors/reservation.hpp"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "actors/rules.hpp"

namespace usher::actors {
namespace {

using state = v1::ReservationState;
using event = v1::ReservationEvent;
using reservation_decision = decision<event>;

constexpr std::int64_t second_ms = 1000;
constexpr std::int64_t redrive_after_ms = second_ms;

// --- parts and answers ---------------------------------------------------------------------------------------------

/// Indexes of `items` in the order of their names: the fixed order in which a slip visits them.
template <class Items, class Name>
std::vector<int> sorted_by_name(const Items& items, Name name) {
  std::vector<int> order(static_cast<std::size_t>(items.size()));
  for (std::size_t i = 0; i != order.size(); ++i) order[i] = static_cast<int>(i);
  std::sort(order.begin(), order.end(), [&](int a, int b) { return name(items[a]) < name(items[b]); });
  return order;
}

/// One command for each seat, then one for each section, each list by name.
/// @param with_seat, with_places  fill in the command
template <class Placed, class WithSeat, class WithPlaces>
void add_parts(std::vector<errand>& parts, const std::string& show_id, const Placed& p, WithSeat with_seat,
               WithPlaces with_places) {
  for (const int i : sorted_by_name(p.seats(), [](const auto& item) -> const auto& { return item.seat(); })) {
    auto& part = parts.emplace_back();
    part.to = seat_ref(show_id, p.seats(i).seat());
    with_seat(*part.command.mutable_seat());
  }
  for (const int i : sorted_by_name(p.general_admission(), [](const auto& item) -> const auto& { return item.section(); })) {
    auto& part = parts.emplace_back();
    part.to = stock_ref(show_id, p.general_admission(i).section());
    with_places(*part.command.mutable_stock(), p.general_admission(i));
  }
}

/// Seats and places together. The number fits where `place` has let it through.
template <class Placed>
std::uint64_t quantity_of(const Placed& p) {
  std::uint64_t n = static_cast<std::uint64_t>(p.seats_size());
  for (const auto& places : p.general_admission()) n += places.quantity();
  return n;
}

std::vector<errand> taking_parts(const v1::EntityRef& ref, const v1::PlaceReservation& c) {
  std::vector<errand> parts;
  parts.reserve(static_cast<std::size_t>(1 + c.seats_size() + c.general_admission_size()));
  auto& first = parts.emplace_back();
  first.to = allowance_ref(ref.group(), c.user_id());
  auto* use = first.command.mutable_allowance()->mutable_use();
  use->set_reservation_id(ref.name());
  use->set_quantity(static_cast<std::uint32_t>(quantity_of(c)));
  use->set_limit(c.ticket_limit());
  add_parts(
      parts, ref.group(), c, [&](v1::SeatCommand& seat) { seat.mutable_hold()->set_reservation_id(ref.name()); },
      [&](v1::StockCommand& stock, const v1::PlacesItem& item) {
        auto* take = stock.mutable_take();
        take->set_reservation_id(ref.name());
        take->set_quantity(item.quantity());
        take->set_capacity(item.capacity());
      });
  return parts;
}

std::vector<errand> selling_parts(const v1::EntityRef& ref, const state& s) {
  std::vector<errand> parts;
  add_parts(
      parts, ref.group(), s, [&](v1::SeatCommand& seat) { seat.mutable_sell()->set_reservation_id(ref.name()); },
      [&](v1::StockCommand& stock, const v1::PlacesItem& item) {
        stock.mutable_sell()->set_reservation_id(ref.name());
        stock.mutable_sell()->set_quantity(item.quantity());
      });
  return parts;
}

std::vector<errand> freeing_parts(const v1::EntityRef& ref, const state& s, bool sold) {
  std::vector<errand> parts;
  auto& first = parts.emplace_back();
  first.to = allowance_ref(ref.group(), s.user_id());
  auto* restore = first.command.mutable_allowance()->mutable_restore();
  restore->set_reservation_id(ref.name());
  restore->set_quantity(static_cast<std::uint32_t>(quantity_of(s)));
  add_parts(
      parts, ref.group(), s, [&](v1::SeatCommand& seat) { seat.mutable_release()->set_reservation_id(ref.name()); },
      [&](v1::StockCommand& stock, const v1::PlacesItem& item) {
        auto* back = stock.mutable_give_back();
        back->set_reservation_id(ref.name());
        back->set_quantity(item.quantity());
        back->set_sold(sold);
      });
  return parts;
}

/// What was placed, in the client's order.
template <class Placed, class Out>
void list_places(const Placed& p, Out& out) {
  for (const auto& item : p.seats()) out.add_seats(item.seat());
  for (const auto& item : p.general_admission()) {
    auto* places = out.add_general_admission();
    places->set_section(item.section());
    places->set_quantity(item.quantity());
  }
}

/// @param p  the state or the event that makes it
template <class Placed>
v1::Outcome reservation_outcome(const v1::EntityRef& ref, const Placed& p, v1::ReservationStatus after) {
  v1::Outcome out;
  auto* r = out.mutable_reservation();
  r->set_reservation_id(ref.name());
  r->set_status(after);
  list_places(p, *r);
  r->set_amount(p.amount());
  r->set_currency(p.currency());
  r->set_hold_expires_at_ms(p.hold_expires_at_ms());
  return out;
}

v1::Outcome payment_outcome(const v1::EntityRef& ref, const state& s) {
  v1::Outcome out;
  auto* p = out.mutable_payment();
  p->set_payment_id(s.payment_id());
  p->set_reservation_id(ref.name());
  p->set_status(v1::CONFIRMED);
  p->set_amount(s.amount());
  p->set_currency(s.currency());
  list_places(s, *p);
  return out;
}

reservation_decision not_found() { return reservation_decision::rejected(v1::NOT_FOUND, "There is no such reservation."); }
reservation_decision expired() {
  return reservation_decision::rejected(v1::RESERVATION_EXPIRED, "The hold of this reservation has ended.");
}
reservation_decision not_pending(std::string detail) {
  return reservation_decision::rejected(v1::RESERVATION_NOT_PENDING, std::move(detail));
}
reservation_decision not_ours(const std::string& payment_id) {
  return reservation_decision::rejected(v1::NOT_THE_HOLDER, "This reservation does not wait for " + payment_id + ".");
}

bool is_due(const state& s, const context& ctx) { return to_ms(ctx.now) >= s.hold_expires_at_ms(); }

bool is_for_somebody_else(const std::string& user_id, const context& ctx) {
  return ctx.role == v1::ROLE_USER && ctx.user_id != user_id;
}

/// The client's key, where the request that started the process had one.
std::optional<v1::ClientKey> recorded_key(const state& s) {
  if (s.process_key().key().empty()) return std::nullopt;
  return s.process_key();
}

// --- place ---------------------------------------------------------------------------------------------------------

std::string at(const char* list, int index, const char* field = "") {
  return std::string{list} + '[' + std::to_string(index) + ']' + field;
}

/// What is wrong with the client's choice, in itself.
v1::Rejection faults_of(const v1::PlaceReservation& c) {
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
  if (auto faults = faults_of(c); faults.faults_size() != 0) {
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
  placed->set_hold_expires_at_ms(to_ms(ctx.now) + std::int64_t{c.hold_seconds()} * second_ms);
  auto outcome = reservation_outcome(ref, *placed, v1::PENDING);
  auto d = reservation_decision::accepted(std::move(e), std::move(outcome));
  d.parts = taking_parts(ref, c);
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
    case v1::REFUNDING: return reservation_decision::postponed();
    case v1::CONFIRMED: return not_pending("The reservation is paid for; it can be cancelled.");
    case v1::CANCELLED: return not_pending("The reservation is cancelled.");
    case v1::RESERVATION_STATUS_UNSPECIFIED:
    case v1::ReservationStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::ReservationStatus_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return not_found();
}

reservation_decision wake_up(const v1::EntityRef& ref, const state& s, const context& ctx) {
  // A payment or refund under way needs no event: the errands are repeated because it was asked.
  if (s.status() != v1::PENDING || !is_due(s, ctx)) return unchanged<event>();
  event e;
  e.mutable_expired()->set_at_ms(to_ms(ctx.now));
  auto d = reservation_decision::accepted(std::move(e), reservation_outcome(ref, s, v1::EXPIRED));
  d.parts = freeing_parts(ref, s, false);
  return d;
}

// --- payment -------------------------------------------------------------------------------------------------------

reservation_decision start_payment(const v1::EntityRef& ref, const state& s, const v1::PayReservation& c, const context& ctx) {
  event e;
  auto* started = e.mutable_payment_started();
  started->set_payment_id(make_payment_id(ref.name(), s.attempts() + 1));
  started->set_at_ms(to_ms(ctx.now));
  if (c.has_key()) *started->mutable_key() = c.key();
  return reservation_decision::parked(std::move(e));
}

bool is_same_request(const v1::ClientKey& a, const v1::ClientKey& b) {
  return !a.key().empty() && a.key() == b.key() && a.user_id() == b.user_id();
}

reservation_decision pay(const v1::EntityRef& ref, const state& s, const v1::PayReservation& c, const context& ctx) {
  switch (s.status()) {
    case v1::PENDING: return is_due(s, ctx) ? expired() : start_payment(ref, s, c, ctx);
    case v1::PAYING: return reservation_decision::postponed();
    case v1::CONFIRMED:
      return is_same_request(c.key(), s.process_key()) ? unchanged<event>(payment_outcome(ref, s))
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

reservation_decision confirm(const v1::EntityRef& ref, const state& s, const context& ctx) {
  event e;
  e.mutable_confirmed()->set_payment_id(s.payment_id());
  e.mutable_confirmed()->set_at_ms(to_ms(ctx.now));
  auto d = reservation_decision::accepted(std::move(e));
  d.parts = selling_parts(ref, s);
  d.settles = settlement{payment_outcome(ref, s), std::nullopt, recorded_key(s)};
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

reservation_decision settle_payment(const v1::EntityRef& ref, const state& s, const v1::SettlePayment& c, const context& ctx) {
  const bool is_current = !s.payment_id().empty() && s.payment_id() == c.payment_id();
  if (s.status() == v1::PAYING && is_current) return c.debited() ? confirm(ref, s, ctx) : decline(s, ctx);
  // Verdicts may come twice. Only a payment that went through keeps its id.
  if (c.debited() != is_current) return not_ours(c.payment_id());
  return unchanged<event>();
}

// --- refund --------------------------------------------------------------------------------------------------------

reservation_decision start_refund(const state& s, const v1::CancelReservation& c, const context& ctx) {
  event e;
  auto* started = e.mutable_refund_started();
  started->set_payment_id(s.payment_id());
  started->set_reason(c.reason());
  started->set_at_ms(to_ms(ctx.now));
  if (c.has_key()) *started->mutable_key() = c.key();
  return reservation_decision::parked(std::move(e));
}

reservation_decision cancel(const v1::EntityRef& ref, const state& s, const v1::CancelReservation& c, const context& ctx) {
  switch (s.status()) {
    case v1::CONFIRMED: return start_refund(s, c, ctx);
    case v1::CANCELLED: return unchanged<event>(reservation_outcome(ref, s, v1::CANCELLED));
    case v1::PAYING:
    case v1::REFUNDING: return reservation_decision::postponed();
    case v1::EXPIRED: return expired();
    case v1::PENDING: return not_pending("The reservation is not paid for; it can be released.");
    case v1::RELEASED: return not_pending("The reservation was given up.");
    case v1::RESERVATION_STATUS_UNSPECIFIED:
    case v1::ReservationStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::ReservationStatus_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return not_found();
}

reservation_decision settle_refund(const v1::EntityRef& ref, const state& s, const v1::SettleRefund& c, const context& ctx) {
  if (s.payment_id().empty() || s.payment_id() != c.payment_id()) return not_ours(c.payment_id());
  if (s.status() == v1::CANCELLED) return unchanged<event>();
  if (s.status() != v1::REFUNDING) return not_ours(c.payment_id());
  event e;
  e.mutable_cancelled()->set_at_ms(to_ms(ctx.now));
  auto d = reservation_decision::accepted(std::move(e));
  d.parts = freeing_parts(ref, s, true);
  d.settles = settlement{reservation_outcome(ref, s, v1::CANCELLED), std::nullopt, recorded_key(s)};
  return d;
}

// --- evolve --------------------------------------------------------------------------------------------------------

void evolve_placed(state& s, const v1::ReservationPlaced& e) {
  s.set_status(v1::PENDING);
  s.set_user_id(e.user_id());
  *s.mutable_seats() = e.seats();
  *s.mutable_general_admission() = e.general_admission();
  s.set_currency(e.currency());
  s.set_amount(e.amount());
  s.set_placed_at_ms(e.at_ms());
  s.set_hold_expires_at_ms(e.hold_expires_at_ms());
}

void end(state& s, v1::ReservationStatus status, std::int64_t at_ms) {
  s.set_status(status);
  s.set_ended_at_ms(at_ms);
  s.clear_process_started_at_ms();
}

/// @param e  PaymentStarted or RefundStarted
template <class Started>
void start(state& s, v1::ReservationStatus status, const Started& e) {
  s.set_status(status);
  s.set_payment_id(e.payment_id());
  s.set_process_started_at_ms(e.at_ms());
  if (e.has_key())
    *s.mutable_process_key() = e.key();
  else
    s.clear_process_key();
}

void evolve_declined(state& s, const v1::PaymentDeclined& e) {
  s.set_status(v1::PENDING);
  s.set_hold_expires_at_ms(e.hold_expires_at_ms());
  s.clear_payment_id();
  s.clear_process_started_at_ms();
  s.clear_process_key();
}

/// The wallet's command of the process under way. Debit and credit have the same fields.
template <class Command>
void fill_in(Command& c, const v1::EntityRef& ref, const state& s) {
  c.set_payment_id(s.payment_id());
  c.set_reservation_id(ref.name());
  c.set_show_id(show_of_reservation(ref.name()));
  c.set_amount(s.amount());
}

/// Why a command to a reservation is refused whatever its state, if so.
std::optional<reservation_decision> refusal(const state& s, const v1::ReservationCommand& c, const context& ctx) {
  if (c.has_place()) return std::nullopt;
  if (s.status() == v1::RESERVATION_STATUS_UNSPECIFIED) return not_found();
  const bool from_a_client = c.has_release() || c.has_cancel() || c.has_pay();
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
    case command::kExtend:
    case command::kTransfer:
    case command::kExchange:
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

void reservation::evolve(state& s, const event& e) {
  switch (e.kind_case()) {
    case event::kPlaced: return evolve_placed(s, e.placed());
    case event::kReleased: return end(s, v1::RELEASED, e.released().at_ms());
    case event::kExpired: return end(s, v1::EXPIRED, e.expired().at_ms());
    case event::kPaymentStarted:
      s.set_attempts(s.attempts() + 1);
      return start(s, v1::PAYING, e.payment_started());
    case event::kPaymentDeclined: return evolve_declined(s, e.payment_declined());
    case event::kConfirmed:
      s.set_status(v1::CONFIRMED);
      return s.clear_process_started_at_ms();
    case event::kRefundStarted: return start(s, v1::REFUNDING, e.refund_started());
    case event::kCancelled: return end(s, v1::CANCELLED, e.cancelled().at_ms());
    case event::kPaymentLapsed:
    case event::kLatePaymentSeated:
    case event::kLateRefundStarted:
    case event::kLateRefunded:
    case event::kExtended:
    case event::kTransferred:
    case event::kExchanged:
    case event::KIND_NOT_SET: return;
  }
}

std::optional<time_point> reservation::deadline(const state& s) {
  switch (s.status()) {
    case v1::PENDING: return from_ms(s.hold_expires_at_ms());
    case v1::PAYING:
    case v1::REFUNDING: return from_ms(s.process_started_at_ms() + redrive_after_ms);
    case v1::CONFIRMED:
    case v1::CANCELLED:
    case v1::EXPIRED:
    case v1::RELEASED:
    case v1::RESERVATION_STATUS_UNSPECIFIED:
    case v1::ReservationStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::ReservationStatus_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return std::nullopt;
}

std::optional<reservation::command> reservation::wake() {
  command c;
  c.mutable_wake();
  return c;
}

std::vector<errand> reservation::react(const v1::EntityRef& ref, const state& s) {
  if (s.status() != v1::PAYING && s.status() != v1::REFUNDING) return {};
  errand out;
  out.to = wallet_ref(s.user_id());
  auto& wallet = *out.command.mutable_wallet();
  if (s.status() == v1::PAYING)
    fill_in(*wallet.mutable_debit(), ref, s);
  else
    fill_in(*wallet.mutable_credit(), ref, s);
  return {std::move(out)};
}

}  // namespace usher::actors
