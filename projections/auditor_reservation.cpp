// What a reservation says: which of its events may follow which, and what they mean for its seats and its money.

#include <algorithm>
#include <utility>

#include "projections/auditor.hpp"

namespace usher::projections {
namespace {

constexpr std::int64_t patience_ms = 60'000;                  // after which a verdict of the wallet, or after a lease, is overdue
constexpr std::int64_t provider_refund_ms = 60 * patience_ms;  // providers give money back in their own time

}  // namespace

void auditor::take_reservation(const v1::StreamEvent& e) {
  const auto& r = e.reservation();
  auto& t = touch(e.stream(), e.stream().name());
  switch (r.kind_case()) {
    case v1::ReservationEvent::kPlaced: return place(t, e);
    case v1::ReservationEvent::kReleased:
    case v1::ReservationEvent::kExpired: return end(t);
    case v1::ReservationEvent::kPaymentStarted: return start(t, r.payment_started());
    case v1::ReservationEvent::kPaymentDeclined: return lapse(t, hash(r.payment_declined().payment_id()), said::declined, status::pending);
    case v1::ReservationEvent::kPaymentLapsed: return lapse(t, hash(r.payment_lapsed().payment_id()), said::lapsed, status::ended);
    case v1::ReservationEvent::kConfirmed: return confirm(t, hash(r.confirmed().payment_id()));
    case v1::ReservationEvent::kRefundStarted: return refund(t, r.refund_started());
    case v1::ReservationEvent::kCancelled: return cancel(t);
    case v1::ReservationEvent::kLatePaymentSeated: return seat_late(t, hash(r.late_payment_seated().payment_id()));
    case v1::ReservationEvent::kLateRefundStarted: return refund_late(t, r.late_refund_started());
    case v1::ReservationEvent::kLateRefunded: return end_late_refund(t, hash(r.late_refunded().payment_id()));
    case v1::ReservationEvent::kExtended:
      return expect(t.says.now == status::pending || t.says.now == status::paying, t, "A hold was extended that there is not.");
    case v1::ReservationEvent::kTransferred:
      expect(t.says.now != status::none && t.says.now != status::ended, t, "A reservation went to somebody else that had ended.");
      t.says.user = hash(r.transferred().to_user_id());
      return;
    case v1::ReservationEvent::kExchanged: return exchange(t, r.exchanged());
    case v1::ReservationEvent::KIND_NOT_SET: return;
  }
}

/// One that has ended may be forgotten; that its id comes again shows in the version.
void auditor::place(touched& t, const v1::StreamEvent& e) {
  expect(t.says.now == status::none && e.version() <= 1, t, "A reservation was placed that there was already.");
  const auto& placed = e.reservation().placed();
  t.says = {};
  t.says.now = status::pending;
  t.says.user = hash(placed.user_id(), user_);
  t.says.amount = placed.amount();
  t.says.quantity = static_cast<std::uint32_t>(placed.seats_size());
  for (const auto& item : placed.seats()) t.says.seats += within(t.show, hash(item.seat()), v1::SEAT);
  for (const auto& item : placed.general_admission()) {
    t.says.places += within(t.show, hash(item.section()), v1::STOCK) * item.quantity();
    t.says.quantity += item.quantity();
  }
}

/// Released or expired.
void auditor::end(touched& t) {
  expect(t.says.now == status::pending, t, "A hold ended that there was not.");
  if (t.says.now == status::paying) lapse(t, t.says.payment, said::lapsed, status::ended);
  t.says.now = status::ended;
}

void auditor::open(key payment, std::int64_t at_ms, std::int64_t due_at_ms) {
  processes_.insert_or_assign(payment, process{at_ms, due_at_ms, at_, false});
}

void auditor::start(touched& t, const v1::PaymentStarted& e) {
  expect(t.says.now == status::pending, t, "A payment was started for what is not held.");
  const auto id = hash(e.payment_id());
  t.says.now = status::paying;
  t.says.payment = id;
  t.says.by_provider = !e.provider().empty();
  auto& p = note(id, said::started);
  p.by_provider = t.says.by_provider;
  if (!p.by_provider) agree(p, t.says.amount, t.says.user, "reservation/" + std::string{t.group} + '/' + std::string{t.name});
  weigh(id, p);
  open(id, e.at_ms(), std::max(e.at_ms(), e.lease_ends_at_ms()) + patience_ms);
}

void auditor::confirm(touched& t, key id) {
  expect(t.says.now == status::paying && t.says.payment == id, t, "A reservation was confirmed without a payment under way.");
  t.says.now = status::confirmed;
  t.says.payment = id;
  processes_.erase(id);
  weigh(id, note(id, said::confirmed));
}

/// Declined, or without a verdict in time.
void auditor::lapse(touched& t, key id, said outcome, status then) {
  expect(t.says.now == status::paying && t.says.payment == id, t, "A payment ended without a seat that was not under way.");
  t.says.now = then;
  t.says.payment = 0;
  t.says.money_may_come = t.says.money_may_come || t.says.by_provider;
  processes_.erase(id);
  weigh(id, note(id, outcome));
}

void auditor::refund(touched& t, const v1::RefundStarted& e) {
  const auto id = hash(e.payment_id());
  expect(t.says.now == status::confirmed && t.says.payment == id, t, "A refund was started for what was not paid for.");
  t.says.now = status::refunding;
  t.says.payment = id;
  auto& p = note(id, said::refunding);
  p.by_provider = t.says.by_provider;
  weigh(id, p);
  open(id, e.at_ms(), e.at_ms() + (t.says.by_provider ? provider_refund_ms : patience_ms));
}

void auditor::cancel(touched& t) {
  expect(t.says.now == status::refunding, t, "A reservation was cancelled without a refund.");
  t.says.now = status::ended;
  if (t.says.payment == 0) return;
  processes_.erase(t.says.payment);
  auto& p = note(t.says.payment, said::refunded);
  p.by_provider = t.says.by_provider;
  weigh(t.says.payment, p);
}

/// Only a payment that ended without a seat can be late, and its reservation has to have ended as well.
void auditor::seat_late(touched& t, key id) {
  const auto* known = payments_.find(id);
  const bool is_late = known != nullptr && (known->reservation == said::lapsed || known->reservation == said::declined);
  expect(t.says.now == status::ended && is_late, t, "Seats were sold for late money that was not late.");
  t.says.now = status::confirmed;
  t.says.payment = id;
  t.says.by_provider = known != nullptr && known->by_provider;
  weigh(id, note(id, said::confirmed));
}

void auditor::refund_late(touched& t, const v1::LateRefundStarted& e) {
  const auto id = hash(e.payment_id());
  const auto* known = payments_.find(id);
  const bool is_late = known != nullptr && (known->reservation == said::lapsed || known->reservation == said::declined);
  expect(is_late, t, "Late money goes back that was not late.");
  auto& p = note(id, said::refunding);
  weigh(id, p);
  open(id, e.at_ms(), e.at_ms() + provider_refund_ms);
}

void auditor::end_late_refund(touched& t, key id) {
  const auto* known = payments_.find(id);
  const bool on_its_way = known != nullptr && known->reservation == said::refunding && t.says.payment != id;
  expect(on_its_way, t, "Late money went back that was not on its way.");
  processes_.erase(id);
  weigh(id, note(id, said::refunded));
}

/// What is paid for is exchanged at the same price only.
void auditor::exchange(touched& t, const v1::SeatExchanged& e) {
  const bool holds = t.says.now == status::pending || t.says.now == status::paying;
  expect(holds || (t.says.now == status::confirmed && e.amount() == t.says.amount), t, "A seat was exchanged that could not be.");
  t.says.seats -= within(t.show, hash(e.from()), v1::SEAT);
  t.says.seats += within(t.show, hash(e.to().seat()), v1::SEAT);
  t.says.amount = e.amount();
}

void auditor::watch_processes(time_point now, time_point running_since) {
  auto& stalled = counts_[static_cast<std::size_t>(fault_kind::process_stalled)];
  std::uint64_t still = 0;
  for (auto& [id, p] : processes_) {
    if (to_ms(now) < std::max(p.due_at_ms, to_ms(running_since) + patience_ms)) continue;
    ++still;
    if (std::exchange(p.stalled, true)) continue;
    blame(fault_kind::process_stalled, p.at, {}, "A payment or refund is under way for longer than it may be.");
  }
  stalled = still;
}

std::optional<time_point> auditor::oldest_process() const {
  std::optional<time_point> oldest;
  for (const auto& [id, p] : processes_) {
    if (!oldest || from_ms(p.started_at_ms) < *oldest) oldest = from_ms(p.started_at_ms);
  }
  return oldest;
}

}  // namespace usher::projections
