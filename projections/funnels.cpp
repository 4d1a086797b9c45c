#include "projections/funnels.hpp"

#include <mutex>

#include "projections/bytes.hpp"

namespace usher::projections {

namespace {

// The order of the fields in a row.
constexpr auto fields = {&funnel::joined, &funnel::admitted, &funnel::left,     &funnel::held,
                         &funnel::paid,   &funnel::expired,  &funnel::released, &funnel::cancelled,
                         &funnel::vanished, &funnel::evicted, &funnel::turned_away, &funnel::expired_admissions};

void count(funnel& show, const v1::QueueEvent& event) {
  switch (event.kind_case()) {
    case v1::QueueEvent::kJoined: ++show.joined; return;
    case v1::QueueEvent::kLeft: ++show.left; return;
    case v1::QueueEvent::kAdmitted: show.admitted += event.admitted().count(); return;
    case v1::QueueEvent::kExpired: show.expired_admissions += event.expired().count(); return;
    case v1::QueueEvent::kVanished: show.vanished += static_cast<std::uint64_t>(event.vanished().numbers_size()); return;
    case v1::QueueEvent::kEvicted: ++show.evicted; return;
    case v1::QueueEvent::kClosed: show.turned_away += event.closed().count(); return;
    case v1::QueueEvent::kOpened:
    case v1::QueueEvent::kRescheduled:
    case v1::QueueEvent::kSpent:  // its reservation counts as paid
    case v1::QueueEvent::kMoved:
    case v1::QueueEvent::kLaneAssigned:
    case v1::QueueEvent::kChanged:
    case v1::QueueEvent::kPaused:
    case v1::QueueEvent::kResumed:
    case v1::QueueEvent::kDrained:
    case v1::QueueEvent::kNoticed:
    case v1::QueueEvent::kEntriesClosed:
    case v1::QueueEvent::kDrawHeld:
    case v1::QueueEvent::kSupplyNoted:
    case v1::QueueEvent::kReopened:
    case v1::QueueEvent::KIND_NOT_SET: return;
  }
}

void count(funnel& show, const v1::ReservationEvent& event) {
  switch (event.kind_case()) {
    case v1::ReservationEvent::kPlaced: ++show.held; return;
    case v1::ReservationEvent::kConfirmed:
    case v1::ReservationEvent::kLatePaymentSeated: ++show.paid; return;
    case v1::ReservationEvent::kExpired:
    case v1::ReservationEvent::kPaymentLapsed: ++show.expired; return;
    case v1::ReservationEvent::kReleased: ++show.released; return;
    case v1::ReservationEvent::kCancelled: ++show.cancelled; return;
    case v1::ReservationEvent::kPaymentStarted:
    case v1::ReservationEvent::kPaymentDeclined:
    case v1::ReservationEvent::kRefundStarted:
    case v1::ReservationEvent::kLateRefundStarted:
    case v1::ReservationEvent::kLateRefunded:
    case v1::ReservationEvent::kExtended:
    case v1::ReservationEvent::kTransferred:
    case v1::ReservationEvent::kExchanged:
    case v1::ReservationEvent::KIND_NOT_SET: return;
  }
}

}  // namespace

result<void> funnels::load(const store::database& db, const std::string& rows) {
  return each_row(db, rows, "", [this](std::string_view key, std::string_view value) {
    const std::unique_lock lock(mutex_);
    byte_reader in(value);
    for (const auto field : fields) shows_[std::string(key)].*field = in.number();
    return true;
  });
}

void funnels::apply(const v1::Record& record) {
  for (const auto& event : record.events()) {
    if (!event.has_queue() && !event.has_reservation()) continue;
    look_at(event);
    const auto& show_id = event.stream().group();
    const std::unique_lock lock(mutex_);
    if (event.has_queue()) count(shows_[show_id], event.queue());
    if (event.has_reservation()) count(shows_[show_id], event.reservation());
    changed_.insert(show_id);
  }
}

void funnels::collect(row_writer& out) {
  const std::shared_lock lock(mutex_);
  for (const auto& id : changed_) {
    std::string row;
    for (const auto field : fields) put_number(row, shows_.at(id).*field);
    out.put(id, row);
  }
  changed_.clear();
}

std::size_t funnels::unwritten() const {
  const std::shared_lock lock(mutex_);
  return changed_.size();
}

void funnels::swap_in(projection& built) {
  auto& other = static_cast<funnels&>(built);
  const std::unique_lock lock(mutex_);
  shows_.swap(other.shows_);
  changed_.swap(other.changed_);
}

funnel funnels::find(std::string_view show_id) const {
  const std::shared_lock lock(mutex_);
  const auto found = shows_.find(show_id);
  return found == shows_.end() ? funnel{} : found->second;
}

}  // namespace usher::projections
