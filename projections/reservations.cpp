#include "projections/reservations.hpp"

#include <stdexcept>

namespace usher::projections {

namespace {

std::string row_key(std::string_view reservation_id) { return "i/" + std::string(reservation_id); }
std::string user_prefix(std::string_view user_id) { return "u/" + std::string(user_id) + '/'; }

void place(v1::ReservationState& state, const v1::ReservationPlaced& placed) {
  state.set_status(v1::PENDING);
  state.set_user_id(placed.user_id());
  *state.mutable_seats() = placed.seats();
  *state.mutable_general_admission() = placed.general_admission();
  state.set_currency(placed.currency());
  state.set_amount(placed.amount());
  state.set_placed_at_ms(placed.at_ms());
  state.set_hold_expires_at_ms(placed.hold_expires_at_ms());
}

void end(v1::ReservationState& state, v1::ReservationStatus as, std::int64_t at_ms) {
  state.set_status(as);
  state.set_ended_at_ms(at_ms);
}

void fold(v1::ReservationState& state, const v1::ReservationEvent& event) {
  switch (event.kind_case()) {
    case v1::ReservationEvent::kPlaced: return place(state, event.placed());
    case v1::ReservationEvent::kReleased: return end(state, v1::RELEASED, event.released().at_ms());
    case v1::ReservationEvent::kExpired: return end(state, v1::EXPIRED, event.expired().at_ms());
    case v1::ReservationEvent::kPaymentStarted:
      state.set_status(v1::PAYING);
      state.set_payment_id(event.payment_started().payment_id());
      state.set_attempts(state.attempts() + 1);
      state.set_process_started_at_ms(event.payment_started().at_ms());
      return;
    case v1::ReservationEvent::kPaymentDeclined:
      state.set_status(v1::PENDING);
      state.set_hold_expires_at_ms(event.payment_declined().hold_expires_at_ms());
      state.clear_payment_id();
      state.clear_process_started_at_ms();
      return;
    case v1::ReservationEvent::kConfirmed:
      state.set_payment_id(event.confirmed().payment_id());
      state.clear_process_started_at_ms();
      state.set_status(v1::CONFIRMED);
      return;
    case v1::ReservationEvent::kRefundStarted:
      state.set_status(v1::REFUNDING);
      state.set_process_started_at_ms(event.refund_started().at_ms());
      return;
    case v1::ReservationEvent::kCancelled:
      state.clear_process_started_at_ms();
      return end(state, v1::CANCELLED, event.cancelled().at_ms());
    case v1::ReservationEvent::kPaymentLapsed:
    case v1::ReservationEvent::kLatePaymentSeated:
    case v1::ReservationEvent::kLateRefundStarted:
    case v1::ReservationEvent::kLateRefunded:
    case v1::ReservationEvent::kExtended:
    case v1::ReservationEvent::kTransferred:
    case v1::ReservationEvent::kExchanged:
    case v1::ReservationEvent::KIND_NOT_SET: return;
  }
}

result<reservation_view> view_from(std::string reservation_id, const std::string& row) {
  v1::Snapshot stored;
  if (!stored.ParseFromString(row) || !stored.has_reservation()) {
    return failure{errc::corrupted, "the row of reservation " + reservation_id + " cannot be parsed"};
  }
  return reservation_view{std::move(reservation_id), stored.version(), std::move(*stored.mutable_reservation())};
}

}  // namespace

result<void> reservations::load(const store::database& db) {
  table_.open(db);
  return {};
}

void reservations::apply(const v1::Record& record) {
  for (const auto& event : record.events()) {
    if (!event.has_reservation()) continue;
    const auto& id = event.stream().name();
    v1::Snapshot stored;
    std::optional<std::string> row;
    if (event.version() > 1) row = table_.get(row_key(id)).value();
    if (row && !stored.ParseFromString(*row)) throw std::runtime_error("a reservation's row cannot be parsed");
    fold(*stored.mutable_reservation(), event.reservation());
    stored.set_version(event.version());
    table_.put(row_key(id), stored.SerializeAsString());
    if (!event.reservation().has_placed()) continue;
    const auto& placed = event.reservation().placed();
    table_.put(user_prefix(placed.user_id()) + newest_first(static_cast<std::uint64_t>(placed.at_ms())) + id, "");
  }
}

result<std::optional<reservation_view>> reservations::find(std::string_view reservation_id) const {
  auto row = table_.get(row_key(reservation_id));
  if (!row) return row.error();
  if (!*row) return std::optional<reservation_view>{};
  auto view = view_from(std::string(reservation_id), **row);
  if (!view) return view.error();
  return std::optional{std::move(*view)};
}

result<page<reservation_view>> reservations::of_user(std::string_view user_id, std::string_view cursor,
                                                     std::size_t limit) const {
  const auto prefix = user_prefix(user_id);
  auto keys = table_.read(prefix, prefix + std::string(cursor), limit);
  if (!keys) return keys.error();
  page<reservation_view> answer;
  for (const auto& item : keys->items) {
    auto found = find(std::string_view(item.key).substr(prefix.size() + 16));
    if (!found) return found.error();
    if (*found) answer.items.push_back(std::move(**found));
  }
  if (!keys->next_cursor.empty()) answer.next_cursor = keys->next_cursor.substr(prefix.size());
  return answer;
}

}  // namespace usher::projections
