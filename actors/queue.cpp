// The waiting room of one show: who is next, and when.

#include "actors/queue.hpp"

#include <algorithm>

#include "actors/rules.hpp"

namespace usher::actors {
namespace {

using queue_decision = decision<v1::QueueEvent>;

/// Settings with their defaults filled in.
struct pace {
  std::uint32_t per_window;
  std::int64_t window_ms;
  std::int64_t admission_ms;
};

pace pace_of(const v1::QueueSettings& q) {
  return {q.admit_per_window() == 0 ? 250 : q.admit_per_window(),
          (q.window_seconds() == 0 ? 10 : std::int64_t{q.window_seconds()}) * 1000,
          (q.admission_seconds() == 0 ? 300 : std::int64_t{q.admission_seconds()}) * 1000};
}

struct window {
  std::int64_t started_at_ms;
  std::uint32_t admitted;
};

/// The window that `now` falls into. Windows stay aligned to the one that is recorded.
window window_at(const v1::QueueState& s, const pace& p, std::int64_t now_ms) {
  if (s.runs_size() == 0) return {now_ms, 0};
  const auto whole = (std::max(now_ms, s.window_started_at_ms()) - s.window_started_at_ms()) / p.window_ms;
  if (whole == 0) return {s.window_started_at_ms(), s.admitted_in_window()};
  return {s.window_started_at_ms() + whole * p.window_ms, 0};
}

std::int64_t next_window_ms(const v1::QueueState& s) { return s.window_started_at_ms() + pace_of(s.settings()).window_ms; }

v1::QueueEvent admission(std::uint64_t through, std::uint32_t count, const window& w, const pace& p, std::int64_t now_ms) {
  v1::QueueEvent e;
  auto* admitted = e.mutable_admitted();
  admitted->set_through(through);
  admitted->set_count(count);
  admitted->set_at_ms(now_ms);
  admitted->set_expires_at_ms(now_ms + p.admission_ms);
  admitted->set_window_started_at_ms(w.started_at_ms);
  admitted->set_admitted_in_window(w.admitted + count);
  return e;
}

/// The number of the last of the next `count` people who wait. There are that many.
std::uint64_t last_of_next(const v1::QueueState& s, std::uint32_t count) {
  auto number = s.admitted_through();
  while (count != 0)
    if (!s.left(static_cast<int>(number++))) --count;
  return number;
}

/// When the admission of a ticket that no longer waits expires.
std::int64_t admission_expires_ms(const v1::QueueState& s, std::uint64_t number) {
  const auto run = std::partition_point(s.runs().begin(), s.runs().end(), [&](const auto& r) { return r.through() < number; });
  return run == s.runs().end() ? 0 : run->expires_at_ms();
}

/// The number of the user's ticket if it waits or lets its owner in, else 0.
std::uint64_t live_ticket(const v1::QueueState& s, const std::string& user_id, std::int64_t now_ms) {
  const auto known = s.number_by_user().find(user_id);
  if (known == s.number_by_user().end()) return 0;
  const auto number = known->second;
  const bool live = number > s.admitted_through() || now_ms < admission_expires_ms(s, number);
  return live ? number : 0;
}

v1::Outcome ticket_outcome(const v1::EntityRef& ref, std::uint64_t number, std::int64_t joined_at_ms, bool existing) {
  v1::Outcome out;
  auto* ticket = out.mutable_ticket();
  ticket->set_ticket_id(make_ticket_id(ref.group(), number));
  ticket->set_number(number);
  ticket->set_joined_at_ms(joined_at_ms);
  ticket->set_existing(existing);
  return out;
}

bool same(const v1::QueueSettings& a, const v1::QueueSettings& b) {
  return a.admit_per_window() == b.admit_per_window() && a.window_seconds() == b.window_seconds() &&
         a.admission_seconds() == b.admission_seconds();
}

queue_decision join(const v1::EntityRef& ref, const v1::QueueState& s, const v1::JoinQueue& c, std::int64_t now_ms) {
  if (c.user_id().empty()) return invalid<v1::QueueEvent>("userId", "Somebody must join.");
  if (const auto number = live_ticket(s, c.user_id(), now_ms); number != 0)
    return unchanged<v1::QueueEvent>(ticket_outcome(ref, number, s.joined_at_ms(static_cast<int>(number - 1)), true));

  const std::uint64_t number = static_cast<std::uint64_t>(s.joined_at_ms_size()) + 1;
  auto outcome = ticket_outcome(ref, number, now_ms, false);
  std::vector<v1::QueueEvent> events(1);
  auto* joined = events[0].mutable_joined();
  joined->set_user_id(c.user_id());
  joined->set_ticket_id(outcome.ticket().ticket_id());
  joined->set_number(number);
  joined->set_at_ms(now_ms);
  if (c.has_settings() && !(s.has_settings() && same(c.settings(), s.settings()))) *joined->mutable_settings() = c.settings();

  const auto p = pace_of(c.has_settings() ? c.settings() : s.settings());
  const auto w = window_at(s, p, now_ms);
  if (s.waiting() == 0 && w.admitted < p.per_window) events.push_back(admission(number, 1, w, p, now_ms));
  return queue_decision::accepted(std::move(events), std::move(outcome));
}

queue_decision leave(const v1::EntityRef& ref, const v1::QueueState& s, const v1::LeaveQueue& c, std::int64_t now_ms) {
  const auto number = live_ticket(s, c.user_id(), now_ms);
  if (c.number() != 0 && c.number() != number) return unchanged<v1::QueueEvent>();  // that one is given up, or has run out, already
  if (number == 0) return queue_decision::rejected(v1::NOT_FOUND, "There is no ticket to give up.");
  v1::QueueEvent e;
  auto* left = e.mutable_left();
  left->set_user_id(c.user_id());
  left->set_number(number);
  left->set_at_ms(now_ms);
  return queue_decision::accepted(std::move(e),
                                  ticket_outcome(ref, number, s.joined_at_ms(static_cast<int>(number - 1)), true));
}

queue_decision wake_up(const v1::QueueState& s, std::int64_t now_ms) {
  if (s.waiting() == 0 || now_ms < next_window_ms(s)) return unchanged<v1::QueueEvent>();
  const auto p = pace_of(s.settings());
  const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(s.waiting(), p.per_window));
  return queue_decision::accepted(admission(last_of_next(s, count), count, window_at(s, p, now_ms), p, now_ms));
}

void evolve_joined(v1::QueueState& s, const v1::QueueJoined& e) {
  (*s.mutable_number_by_user())[e.user_id()] = e.number();
  s.add_joined_at_ms(e.at_ms());
  s.add_left(false);
  s.set_waiting(s.waiting() + 1);
  if (e.has_settings()) *s.mutable_settings() = e.settings();
}

void evolve_left(v1::QueueState& s, const v1::QueueLeft& e) {
  s.mutable_number_by_user()->erase(e.user_id());
  s.set_left(static_cast<int>(e.number() - 1), true);
  if (e.number() > s.admitted_through()) s.set_waiting(s.waiting() - 1);
}

void evolve_admitted(v1::QueueState& s, const v1::TicketsAdmitted& e) {
  auto* run = s.runs_size() == 0 ? nullptr : s.mutable_runs(s.runs_size() - 1);
  // Admissions of one moment are one run, so that a rush leaves few of them.
  if (!run || run->at_ms() != e.at_ms() || run->expires_at_ms() != e.expires_at_ms()) run = s.add_runs();
  run->set_through(e.through());
  run->set_at_ms(e.at_ms());
  run->set_expires_at_ms(e.expires_at_ms());
  s.set_admitted_through(e.through());
  s.set_waiting(s.waiting() - e.count());
  s.set_window_started_at_ms(e.window_started_at_ms());
  s.set_admitted_in_window(e.admitted_in_window());
}

}  // namespace

decision<queue::event> queue::decide(const v1::EntityRef& ref, const state& s, const command& c, const context& ctx) {
  const auto now_ms = to_ms(ctx.now);
  switch (c.kind_case()) {
    case command::kJoin: return join(ref, s, c.join(), now_ms);
    case command::kLeave: return leave(ref, s, c.leave(), now_ms);
    case command::kWake: return wake_up(s, now_ms);
    case command::kOpen:
    case command::kReschedule:
    case command::kChange:
    case command::kPause:
    case command::kResume:
    case command::kDrain:
    case command::kNotice:
    case command::kEvict:
    case command::kAssignLane:
    case command::kDrop:
    case command::kSpend:
    case command::kSupply:
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

void queue::evolve(state& s, const event& e) {
  switch (e.kind_case()) {
    case event::kJoined: return evolve_joined(s, e.joined());
    case event::kLeft: return evolve_left(s, e.left());
    case event::kAdmitted: return evolve_admitted(s, e.admitted());
    case event::kOpened:
    case event::kRescheduled:
    case event::kExpired:
    case event::kSpent:
    case event::kMoved:
    case event::kVanished:
    case event::kEvicted:
    case event::kLaneAssigned:
    case event::kChanged:
    case event::kPaused:
    case event::kResumed:
    case event::kDrained:
    case event::kNoticed:
    case event::kEntriesClosed:
    case event::kDrawHeld:
    case event::kSupplyNoted:
    case event::kClosed:
    case event::kReopened:
    case event::KIND_NOT_SET: return;
  }
}

std::optional<time_point> queue::deadline(const state& s) {
  if (s.waiting() == 0) return std::nullopt;
  return from_ms(next_window_ms(s));
}

std::optional<queue::command> queue::wake() {
  command c;
  c.mutable_wake();
  return c;
}

std::vector<errand> queue::react(const v1::EntityRef&, const state&) { return {}; }

}  // namespace usher::actors
