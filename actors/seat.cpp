// One numbered seat: who has it.

#include "actors/seat.hpp"

#include "actors/rules.hpp"

namespace usher::actors {
namespace {

using seat_decision = decision<v1::SeatEvent>;

seat_decision not_the_holder(const v1::EntityRef& ref, const std::string& reservation_id) {
  return seat_decision::rejected(v1::NOT_THE_HOLDER, "Seat " + ref.name() + " is not with " + reservation_id + ".");
}

bool is_with(const v1::SeatState& s, const std::string& reservation_id) {
  return (s.phase() == v1::HELD || s.phase() == v1::SOLD) && s.reservation_id() == reservation_id;
}

seat_decision hold(const v1::EntityRef& ref, const v1::SeatState& s, const v1::HoldSeat& c) {
  if (is_with(s, c.reservation_id())) return unchanged<v1::SeatEvent>();
  if (s.phase() != v1::AVAILABLE) {
    auto d = seat_decision::rejected(v1::SEAT_UNAVAILABLE, "Seat " + ref.name() + " is not available.");
    d.rejection.add_seats(ref.name());
    return d;
  }
  std::vector<v1::SeatEvent> events(c.sold() ? 2 : 1);
  events[0].mutable_held()->set_reservation_id(c.reservation_id());
  if (c.sold()) events[1].mutable_sold()->set_reservation_id(c.reservation_id());
  return seat_decision::accepted(std::move(events));
}

seat_decision sell(const v1::EntityRef& ref, const v1::SeatState& s, const v1::SellSeat& c) {
  if (!is_with(s, c.reservation_id())) return not_the_holder(ref, c.reservation_id());
  if (s.phase() == v1::SOLD) return unchanged<v1::SeatEvent>();
  v1::SeatEvent e;
  e.mutable_sold()->set_reservation_id(c.reservation_id());
  return seat_decision::accepted(std::move(e));
}

seat_decision release(const v1::EntityRef& ref, const v1::SeatState& s, const v1::ReleaseSeat& c) {
  if (s.phase() == v1::AVAILABLE) return unchanged<v1::SeatEvent>();
  if (!is_with(s, c.reservation_id())) return not_the_holder(ref, c.reservation_id());
  v1::SeatEvent e;
  e.mutable_released()->set_reservation_id(c.reservation_id());
  return seat_decision::accepted(std::move(e));
}

}  // namespace

decision<seat::event> seat::decide(const v1::EntityRef& ref, const state& s, const command& c, const context&) {
  switch (c.kind_case()) {
    case command::kHold: return hold(ref, s, c.hold());
    case command::kSell: return sell(ref, s, c.sell());
    case command::kRelease: return release(ref, s, c.release());
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

void seat::evolve(state& s, const event& e) {
  switch (e.kind_case()) {
    case event::kHeld:
      s.set_phase(v1::HELD);
      s.set_reservation_id(e.held().reservation_id());
      return;
    case event::kSold:
      s.set_phase(v1::SOLD);
      s.set_reservation_id(e.sold().reservation_id());
      return;
    case event::kReleased:
      s.set_phase(v1::AVAILABLE);
      s.clear_reservation_id();
      return;
    case event::KIND_NOT_SET: return;
  }
}

std::optional<time_point> seat::deadline(const state&) { return std::nullopt; }
std::optional<seat::command> seat::wake() { return std::nullopt; }
std::vector<errand> seat::react(const v1::EntityRef&, const state&) { return {}; }

}  // namespace usher::actors
