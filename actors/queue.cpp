// The waiting room of one show: who joins, who goes, and what operators change. Who is let in, and when: admission.cpp.

#include "actors/queue.hpp"

#include <algorithm>
#include <set>

#include "actors/admission.hpp"
#include "actors/queue_settings.hpp"
#include "actors/rules.hpp"
#include "events/draw.hpp"

namespace usher::actors {
namespace {

using queue_decision = decision<v1::QueueEvent>;

v1::Outcome ticket_outcome(const v1::EntityRef& ref, std::uint64_t number, std::int64_t joined_at_ms, bool existing) {
  v1::Outcome out;
  auto* ticket = out.mutable_ticket();
  ticket->set_ticket_id(make_ticket_id(ref.group(), number));
  ticket->set_number(number);
  ticket->set_joined_at_ms(joined_at_ms);
  ticket->set_existing(existing);
  return out;
}

v1::Outcome existing_ticket(const v1::EntityRef& ref, const waiting_room& room, std::uint64_t number) {
  return ticket_outcome(ref, number, room.at(number).joined_at_ms, true);
}

/// The events, and the admission that they make room for.
queue_decision with_admission(std::vector<v1::QueueEvent> events, const admission_limits& after, v1::Outcome outcome = {}) {
  if (auto due = admission(after)) events.push_back(std::move(*due));
  return queue_decision::accepted(std::move(events), std::move(outcome));
}

std::vector<v1::QueueEvent> only(v1::QueueEvent e) {
  std::vector<v1::QueueEvent> out;
  out.push_back(std::move(e));
  return out;
}

queue_decision no_reason() { return invalid<v1::QueueEvent>("reason", "People will ask why."); }

bool is_over(const waiting_room& room, std::int64_t now_ms) {
  const auto closes_at_ms = room.head().closes_at_ms();
  return closes_at_ms != 0 && now_ms >= closes_at_ms;
}
bool is_sold_out(const v1::NoteSupply& left) { return left.available() == 0 && left.held() == 0; }
bool is_sold_out(const waiting_room& room) { return room.head().supply_known() && room.head().available() == 0 && room.head().held() == 0; }

v1::QueueEvent closing(const waiting_room& room, v1::QueueEnd why, std::int64_t now_ms) {
  v1::QueueEvent e;
  e.mutable_closed()->set_why(why);
  e.mutable_closed()->set_count(room.waiting());
  e.mutable_closed()->set_at_ms(now_ms);
  return e;
}

v1::QueueEvent reopening(std::int64_t now_ms) {
  v1::QueueEvent e;
  e.mutable_reopened()->set_at_ms(now_ms);
  return e;
}

// --- with the show

queue_decision open(const waiting_room& room, const v1::OpenQueue& c, std::int64_t now_ms) {
  if (room.head().opened()) return unchanged<v1::QueueEvent>();
  v1::QueueEvent e;
  auto* opened = e.mutable_opened();
  *opened->mutable_settings() = c.settings();
  opened->set_opens_at_ms(c.opens_at_ms());
  opened->set_closes_at_ms(c.closes_at_ms());
  opened->set_draw_secret(c.draw_secret());
  opened->set_at_ms(now_ms);
  return queue_decision::accepted(std::move(e));
}

queue_decision reschedule(const waiting_room& room, const v1::RescheduleQueue& c, std::int64_t now_ms) {
  v1::QueueEvent e;
  e.mutable_rescheduled()->set_opens_at_ms(c.opens_at_ms());
  e.mutable_rescheduled()->set_closes_at_ms(c.closes_at_ms());
  e.mutable_rescheduled()->set_at_ms(now_ms);
  auto events = only(std::move(e));
  admission_limits after{room, now_ms};
  after.opens_at_ms = c.opens_at_ms();
  if (room.head().end() == v1::SALE_OVER && (c.closes_at_ms() == 0 || now_ms < c.closes_at_ms())) events.push_back(reopening(now_ms));
  return with_admission(std::move(events), after);
}

// --- people

/// The lane that a newcomer named or was given. @return nullopt: there is no such lane
std::optional<std::uint32_t> lane_of(const waiting_room& room, const v1::JoinQueue& c) {
  return c.lane().empty() ? room.lane_for(c.user_id()) : room.lane_named(c.lane());
}

std::optional<queue_decision> refusal_of(const waiting_room& room, std::int64_t now_ms) {
  if (room.head().end() == v1::SOLD_OUT) return queue_decision::rejected(v1::SALE_CLOSED, "The show is sold out.");
  if (is_over(room, now_ms)) return queue_decision::rejected(v1::SALE_CLOSED, "The sale is over.");
  if (room.head().draining())
    return queue_decision::rejected(v1::SALE_CLOSED, "The queue takes nobody in any more: " + room.head().drain_reason());
  return std::nullopt;
}

queue_decision join_again(const v1::EntityRef& ref, const waiting_room& room, std::uint64_t number, const v1::JoinQueue& c, std::int64_t now_ms) {
  if (c.device() == 0 || c.device() == room.at(number).device) return unchanged<v1::QueueEvent>(existing_ticket(ref, room, number));
  v1::QueueEvent e;
  auto* moved = e.mutable_moved();
  moved->set_user_id(c.user_id());
  moved->set_number(number);
  moved->set_device(c.device());
  moved->set_at_ms(now_ms);
  return queue_decision::accepted(std::move(e), existing_ticket(ref, room, number));
}

queue_decision join(const v1::EntityRef& ref, const waiting_room& room, const v1::JoinQueue& c, std::int64_t now_ms) {
  if (c.user_id().empty()) return invalid<v1::QueueEvent>("userId", "Somebody must join.");
  if (const auto number = room.live_of(c.user_id(), now_ms); number != 0) return join_again(ref, room, number, c, now_ms);
  if (auto refused = refusal_of(room, now_ms)) return std::move(*refused);
  const auto lane = lane_of(room, c);
  if (!lane) return invalid<v1::QueueEvent>("lane", "There is no lane " + c.lane() + '.');
  // The sale has opened, but who takes part in the draw has not been recorded: whoever comes now does not.
  if (room.draw_is_due() && !room.head().entries_closed() && now_ms >= room.head().opens_at_ms()) return queue_decision::postponed();

  auto outcome = ticket_outcome(ref, room.joined() + 1, now_ms, false);
  v1::QueueEvent e;
  auto* joined = e.mutable_joined();
  joined->set_user_id(c.user_id());
  joined->set_ticket_id(outcome.ticket().ticket_id());
  joined->set_number(outcome.ticket().number());
  joined->set_at_ms(now_ms);
  joined->set_lane(*lane);
  joined->set_device(c.device());
  admission_limits after{room, now_ms};
  if (c.has_settings() && !room.head().has_settings()) {
    *joined->mutable_settings() = c.settings();
    after.pace = queue_pace{c.settings()};
  }
  auto events = only(std::move(e));
  if (auto admitted = admission_of_newcomer(after, *lane)) events.push_back(std::move(*admitted));
  return queue_decision::accepted(std::move(events), std::move(outcome));
}

/// The end of a ticket makes room where it let its owner in.
queue_decision ended(v1::QueueEvent e, const waiting_room& room, std::uint64_t number, std::int64_t now_ms, v1::Outcome outcome = {}) {
  admission_limits after{room, now_ms};
  if (!room.is_inside(number, now_ms)) return queue_decision::accepted(std::move(e), std::move(outcome));
  --after.inside;
  return with_admission(only(std::move(e)), after, std::move(outcome));
}

queue_decision leave(const v1::EntityRef& ref, const waiting_room& room, const v1::LeaveQueue& c, std::int64_t now_ms) {
  const auto number = room.live_of(c.user_id(), now_ms);
  if (c.number() != 0 && c.number() != number) return unchanged<v1::QueueEvent>();  // that one is given up, or has run out, already
  if (number == 0) return queue_decision::rejected(v1::NOT_FOUND, "There is no ticket to give up.");
  v1::QueueEvent e;
  auto* left = e.mutable_left();
  left->set_user_id(c.user_id());
  left->set_number(number);
  left->set_at_ms(now_ms);
  return ended(std::move(e), room, number, now_ms, existing_ticket(ref, room, number));
}

queue_decision evict(const v1::EntityRef& ref, const waiting_room& room, const v1::EvictTicket& c, std::int64_t now_ms) {
  if (c.reason().empty()) return no_reason();
  const auto number = room.live_of(c.user_id(), now_ms);
  if (number == 0) return queue_decision::rejected(v1::NOT_FOUND, "This user has no ticket.");
  v1::QueueEvent e;
  auto* evicted = e.mutable_evicted();
  evicted->set_user_id(c.user_id());
  evicted->set_number(number);
  evicted->set_reason(c.reason());
  evicted->set_at_ms(now_ms);
  return ended(std::move(e), room, number, now_ms, existing_ticket(ref, room, number));
}

/// A reservation that is paid for is in order whether its buyer still is inside or not.
queue_decision spend(const waiting_room& room, const v1::SpendAdmission& c, std::int64_t now_ms) {
  const auto number = c.number();
  if (number == 0 || number > room.joined() || room.at(number).phase() != v1::TICKET_ADMITTED) return unchanged<v1::QueueEvent>();
  v1::QueueEvent e;
  auto* spent = e.mutable_spent();
  spent->set_user_id(c.user_id());
  spent->set_number(number);
  spent->set_reservation_id(c.reservation_id());
  spent->set_at_ms(now_ms);
  return ended(std::move(e), room, number, now_ms);
}

queue_decision drop(const waiting_room& room, const v1::DropVanished& c, std::int64_t now_ms) {
  v1::QueueEvent e;
  auto* vanished = e.mutable_vanished();
  for (const auto number : std::set<std::uint64_t>{c.numbers().begin(), c.numbers().end()})
    if (number != 0 && number <= room.joined() && room.at(number).phase() == v1::TICKET_WAITING) vanished->add_numbers(number);
  if (vanished->numbers_size() == 0) return unchanged<v1::QueueEvent>();
  vanished->set_at_ms(now_ms);
  return queue_decision::accepted(std::move(e));
}

queue_decision assign_lane(const v1::EntityRef& ref, const waiting_room& room, const v1::AssignLane& c, std::int64_t now_ms) {
  if (c.reason().empty()) return no_reason();
  if (c.user_id().empty()) return invalid<v1::QueueEvent>("userId", "Whose lane?");
  const auto lane = room.lane_named(c.lane());
  if (!lane) return invalid<v1::QueueEvent>("lane", "There is no lane " + c.lane() + '.');
  const auto number = room.live_of(c.user_id(), now_ms);
  // Whoever came after the entries were closed has been told a place behind those who take part in their lane.
  if (number != 0 && room.is_early(number) && room.head().entries_closed()) return queue_decision::postponed();
  const bool waits = number != 0 && room.at(number).phase() == v1::TICKET_WAITING;
  if (waits ? room.at(number).lane == *lane : room.lane_for(c.user_id()) == *lane) return unchanged<v1::QueueEvent>();
  if (waits && !room.is_early(number) && room.waiting(*lane) > room.ahead_of(number))
    return invalid<v1::QueueEvent>("lane", "There they would have " + counted(room.waiting(*lane), "person") + " ahead, here " +
                                               std::to_string(room.ahead_of(number)) + '.');
  v1::QueueEvent e;
  auto* assigned = e.mutable_lane_assigned();
  assigned->set_user_id(c.user_id());
  assigned->set_lane(*lane);
  assigned->set_number(waits ? number : 0);
  assigned->set_reason(c.reason());
  assigned->set_at_ms(now_ms);
  return queue_decision::accepted(std::move(e), waits ? existing_ticket(ref, room, number) : v1::Outcome{});
}

// --- operators

/// Lanes may be added and weighed anew; those that there are keep their places, since tickets know them by these.
void check_lanes(const waiting_room& room, const v1::QueueSettings& wanted, v1::Rejection& into) {
  for (std::size_t i = 0; i != room.lanes(); ++i) {
    const auto at = static_cast<int>(i);
    const auto path = "lanes[" + std::to_string(i) + ']';
    if (at >= wanted.lanes_size()) {
      if (room.lanes() > 1) add_fault(into, path, "A lane can't be taken away.");
    } else if (at < room.settings().lanes_size() && room.settings().lanes(at).name() != wanted.lanes(at).name()) {
      add_fault(into, path + ".name", "The lane " + room.settings().lanes(at).name() + " keeps its place and its name.");
    }
  }
}

queue_decision change(const waiting_room& room, const v1::ChangeQueue& c, std::int64_t now_ms) {
  if (c.version() != 0 && room.head().has_settings() && c.version() != version_of(room.settings()))
    return queue_decision::rejected(v1::VERSION_MISMATCH, "The settings are others by now.");
  auto refused = queue_decision::rejected(v1::VALIDATION_FAILED, "The settings make no sense.");
  for (auto& fault : faults_of(c.settings(), "")) *refused.rejection.add_faults() = std::move(fault);
  check_lanes(room, c.settings(), refused.rejection);
  const queue_pace wanted{c.settings()};
  if (room.joined() != 0 && wanted.is_drawn_by_lot != room.pace().is_drawn_by_lot)
    add_fault(refused.rejection, "order", "It can't be switched once somebody has joined.");
  if (refused.rejection.faults_size() != 0) {
    refused.rejection.set_detail(refused.rejection.faults(0).detail());
    return refused;
  }
  if (room.head().has_settings() && c.settings().SerializeAsString() == room.settings().SerializeAsString()) return unchanged<v1::QueueEvent>();
  v1::QueueEvent e;
  *e.mutable_changed()->mutable_settings() = c.settings();
  e.mutable_changed()->set_reason(c.reason());
  e.mutable_changed()->set_at_ms(now_ms);
  admission_limits after{room, now_ms};
  after.pace = wanted;
  after.pace.weights.resize(std::max(after.pace.weights.size(), room.lanes()), 1);
  if (after.window_started_at_ms != 0 && !waiting_room::keeps_windows(room.pace(), wanted)) {
    after.window_started_at_ms = now_ms;
    after.admitted_in_window = 0;
  }
  return with_admission(only(std::move(e)), after);
}

queue_decision pause(const waiting_room& room, const v1::PauseQueue& c, std::int64_t now_ms) {
  if (c.reason().empty()) return no_reason();
  if (room.head().paused() && room.head().pause_reason() == c.reason()) return unchanged<v1::QueueEvent>();
  v1::QueueEvent e;
  e.mutable_paused()->set_reason(c.reason());
  e.mutable_paused()->set_at_ms(now_ms);
  return queue_decision::accepted(std::move(e));
}

queue_decision resume(const waiting_room& room, const v1::ResumeQueue& c, std::int64_t now_ms) {
  if (!room.head().paused() && !room.head().draining()) return unchanged<v1::QueueEvent>();
  v1::QueueEvent e;
  e.mutable_resumed()->set_reason(c.reason());
  e.mutable_resumed()->set_at_ms(now_ms);
  admission_limits after{room, now_ms};
  after.paused = false;
  return with_admission(only(std::move(e)), after);
}

queue_decision drain(const waiting_room& room, const v1::DrainQueue& c, std::int64_t now_ms) {
  if (c.reason().empty()) return no_reason();
  if (room.head().draining() && room.head().drain_reason() == c.reason()) return unchanged<v1::QueueEvent>();
  v1::QueueEvent e;
  e.mutable_drained()->set_reason(c.reason());
  e.mutable_drained()->set_at_ms(now_ms);
  return queue_decision::accepted(std::move(e));
}

queue_decision notice(const waiting_room& room, const v1::SetNotice& c, std::int64_t now_ms) {
  if (c.text() == room.head().notice()) return unchanged<v1::QueueEvent>();
  v1::QueueEvent e;
  e.mutable_noticed()->set_text(c.text());
  e.mutable_noticed()->set_reason(c.reason());
  e.mutable_noticed()->set_at_ms(now_ms);
  return queue_decision::accepted(std::move(e));
}

// --- what happens by itself

queue_decision note_supply(const waiting_room& room, const v1::NoteSupply& c, std::int64_t now_ms) {
  const auto& known = room.head();
  if (known.supply_known() && known.available() == c.available() && known.held() == c.held() &&
      std::equal(known.sold_out_tiers().begin(), known.sold_out_tiers().end(), c.sold_out_tiers().begin(), c.sold_out_tiers().end()))
    return unchanged<v1::QueueEvent>();
  v1::QueueEvent e;
  auto* noted = e.mutable_supply_noted();
  noted->set_available(c.available());
  noted->set_held(c.held());
  *noted->mutable_sold_out_tiers() = c.sold_out_tiers();
  noted->set_at_ms(now_ms);
  auto events = only(std::move(e));
  admission_limits after{room, now_ms};
  after.left = {c.available(), c.held()};
  if (known.end() == v1::SOLD_OUT && c.available() != 0) {
    events.push_back(reopening(now_ms));
  } else if (known.end() == v1::QUEUE_IS_OPEN && is_sold_out(c) && now_ms >= known.opens_at_ms()) {
    events.push_back(closing(room, v1::SOLD_OUT, now_ms));
    return queue_decision::accepted(std::move(events));
  }
  return with_admission(std::move(events), after);
}

/// Before the draw: the end of the entries, then the draw itself.
std::optional<v1::QueueEvent> step_of_draw(const waiting_room& room, std::int64_t now_ms) {
  if (!room.draw_is_due()) return std::nullopt;
  v1::QueueEvent e;
  if (!room.head().entries_closed()) {
    if (now_ms < room.head().opens_at_ms()) return std::nullopt;
    const auto root = room.draw_root();
    auto* closed = e.mutable_entries_closed();
    closed->set_count(room.entries());
    closed->set_root(root.data(), root.size());
    closed->set_at_ms(now_ms);
    return e;
  }
  if (now_ms < room.head().entries_closed_at_ms() + draw_delay_ms) return std::nullopt;
  e.mutable_draw_held()->set_secret(room.head().draw_secret());
  e.mutable_draw_held()->set_at_ms(now_ms);
  return e;
}

std::optional<v1::QueueEnd> end_due(const waiting_room& room, std::int64_t now_ms) {
  if (room.head().end() != v1::QUEUE_IS_OPEN) return std::nullopt;
  if (is_over(room, now_ms)) return v1::SALE_OVER;
  if (is_sold_out(room) && now_ms >= room.head().opens_at_ms()) return v1::SOLD_OUT;
  return std::nullopt;
}

queue_decision wake_up(const waiting_room& room, std::int64_t now_ms) {
  std::vector<v1::QueueEvent> events;
  if (const auto count = room.expired_by(now_ms); count != 0) {
    auto* expired = events.emplace_back().mutable_expired();
    expired->set_until_ms(now_ms);
    expired->set_count(static_cast<std::uint32_t>(count));
    expired->set_at_ms(now_ms);
  }
  if (const auto why = end_due(room, now_ms)) {
    events.push_back(closing(room, *why, now_ms));
    return queue_decision::accepted(std::move(events));
  }
  if (auto step = step_of_draw(room, now_ms)) events.push_back(std::move(*step));
  else if (auto due = admission({room, now_ms})) events.push_back(std::move(*due));
  return events.empty() ? unchanged<v1::QueueEvent>() : queue_decision::accepted(std::move(events));
}

void earlier(std::optional<std::int64_t>& soonest, std::optional<std::int64_t> other) {
  if (other && (!soonest || *other < *soonest)) soonest = other;
}

}  // namespace

decision<queue::event> queue::decide(const v1::EntityRef& ref, const state& room, const command& c, const context& ctx) {
  const auto now_ms = to_ms(ctx.now);
  switch (c.kind_case()) {
    case command::kOpen: return open(room, c.open(), now_ms);
    case command::kReschedule: return reschedule(room, c.reschedule(), now_ms);
    case command::kJoin: return join(ref, room, c.join(), now_ms);
    case command::kLeave: return leave(ref, room, c.leave(), now_ms);
    case command::kEvict: return evict(ref, room, c.evict(), now_ms);
    case command::kSpend: return spend(room, c.spend(), now_ms);
    case command::kDrop: return drop(room, c.drop(), now_ms);
    case command::kAssignLane: return assign_lane(ref, room, c.assign_lane(), now_ms);
    case command::kChange: return change(room, c.change(), now_ms);
    case command::kPause: return pause(room, c.pause(), now_ms);
    case command::kResume: return resume(room, c.resume(), now_ms);
    case command::kDrain: return drain(room, c.drain(), now_ms);
    case command::kNotice: return notice(room, c.notice(), now_ms);
    case command::kSupply: return note_supply(room, c.supply(), now_ms);
    case command::kWake: return wake_up(room, now_ms);
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

std::optional<time_point> queue::deadline(const state& room) {
  auto due = room.next_expiry_ms();
  if (room.head().end() == v1::QUEUE_IS_OPEN) {
    if (room.head().closes_at_ms() != 0) earlier(due, room.head().closes_at_ms());
    if (is_sold_out(room)) earlier(due, room.head().opens_at_ms());
    earlier(due, next_admission_ms(room));
  }
  if (room.draw_is_due()) earlier(due, room.head().entries_closed() ? room.head().entries_closed_at_ms() + draw_delay_ms : room.head().opens_at_ms());
  if (!due) return std::nullopt;
  return from_ms(std::max<std::int64_t>(*due, 1));  // 0 stands for none
}

std::optional<queue::command> queue::wake() {
  command c;
  c.mutable_wake();
  return c;
}

std::vector<errand> queue::react(const v1::EntityRef&, const state&) { return {}; }

}  // namespace usher::actors
