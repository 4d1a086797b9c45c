#include "actors/admission.hpp"

#include <algorithm>
#include <limits>

namespace usher::actors {
namespace {

constexpr std::int64_t smooth_step_ms = 100;    // admissions of a smooth queue are gathered, so that there are at most ten a second
constexpr std::int64_t smooth_arrears_ms = 1000;  // what a smooth queue may catch up with

/// Where the pace stands: so many were admitted since `started_at_ms`, and so many more may be.
struct pace_state {
  std::int64_t started_at_ms;
  std::uint32_t admitted;
  std::uint64_t room;
};

/// The window that `now` falls into. Windows stay aligned to the one that is recorded.
pace_state window_at(const admission_limits& m) {
  const auto whole = std::max<std::int64_t>(m.now_ms - m.window_started_at_ms, 0) / m.pace.window_ms;
  if (whole > 0) return {m.window_started_at_ms + whole * m.pace.window_ms, 0, m.pace.per_window};
  return {m.window_started_at_ms, m.admitted_in_window, m.pace.per_window - std::min(m.pace.per_window, m.admitted_in_window)};
}

std::uint64_t minus(std::uint64_t n, std::uint64_t less) { return n - std::min(n, less); }

/// How many more may be inside.
std::uint64_t vacancies(const admission_limits& m) {
  return m.pace.max_active == 0 ? std::numeric_limits<std::uint64_t>::max() : minus(m.pace.max_active, m.inside);
}

/// How many what is left is enough for. Whoever is let in could get a place even if everybody inside wants one that isn't sold;
/// beyond that, each window lets in as many as there are places to be had, so that people inside who do nothing don't stop the queue.
std::uint64_t enough_for(const admission_limits& m, std::uint32_t admitted_in_window) {
  if (!m.left) return std::numeric_limits<std::uint64_t>::max();
  if (m.left->available == 0) return 0;
  return std::max(minus(m.left->available + m.left->held, m.inside), minus(m.left->available, admitted_in_window));
}

/// Places open one after the other at equal distances, the first one at the start.
pace_state slots_at(const admission_limits& m) {
  const auto whole = m.admitted_in_window / m.pace.per_window;
  const auto started = m.window_started_at_ms + whole * m.pace.window_ms;
  const auto admitted = m.admitted_in_window % m.pace.per_window;
  const auto elapsed = m.now_ms - started;
  if (elapsed < 0) return {started, admitted, 0};
  if (enough_for(m, admitted) == 0) return elapsed < m.pace.window_ms ? pace_state{started, admitted, 0} : pace_state{m.now_ms, 0, 1};
  const auto opened = static_cast<std::uint64_t>(elapsed) * m.pace.per_window / static_cast<std::uint64_t>(m.pace.window_ms) + 1;
  const auto room = opened - std::min<std::uint64_t>(opened, admitted);
  const auto arrears_max = 1 + std::uint64_t{m.pace.per_window} * smooth_arrears_ms / static_cast<std::uint64_t>(m.pace.window_ms);
  if (room > arrears_max) return {m.now_ms, 0, arrears_max};
  return {started, admitted, room};
}

pace_state pace_at(const admission_limits& m) {
  if (m.window_started_at_ms == 0) return {m.now_ms, 0, m.pace.is_smooth ? 1 : m.pace.per_window};  // nobody was ever admitted
  return m.pace.is_smooth ? slots_at(m) : window_at(m);
}

/// How many may come in now, however many want to.
std::uint64_t room_now(const admission_limits& m, const pace_state& at) {
  if (m.paused || m.closed || m.now_ms < m.opens_at_ms || m.room.draw_is_due()) return 0;
  return std::min({at.room, vacancies(m), enough_for(m, at.admitted)});
}

v1::QueueEvent admitted(const admission_limits& m, const pace_state& at, std::uint64_t count) {
  v1::QueueEvent e;
  auto* a = e.mutable_admitted();
  a->set_through(m.room.through(0));
  a->set_count(static_cast<std::uint32_t>(count));
  a->set_at_ms(m.now_ms);
  a->set_expires_at_ms(m.now_ms + m.pace.admission_ms);
  a->set_window_started_at_ms(at.started_at_ms);
  a->set_admitted_in_window(at.admitted + static_cast<std::uint32_t>(count));
  return e;
}

void set_lane(v1::TicketsAdmitted& a, std::size_t lane, std::uint64_t through, std::uint64_t count) {
  if (lane == 0) return a.set_through(through);
  auto* share = a.add_lanes();
  share->set_lane(static_cast<std::uint32_t>(lane));
  share->set_through(through);
  share->set_count(static_cast<std::uint32_t>(count));
}

/// How many of the next `count` come from each lane: one after the other from the lane that has come the least far.
std::vector<std::uint64_t> shares(const admission_limits& m, std::uint64_t count) {
  const auto lanes = m.room.lanes();
  std::vector<std::uint64_t> out(lanes);
  if (lanes == 1) {
    out[0] = count;
    return out;
  }
  std::vector<std::uint64_t> pass(lanes);
  for (std::size_t i = 0; i != lanes; ++i) pass[i] = m.room.pass(i);
  for (; count != 0; --count) {
    auto next = lanes;
    for (std::size_t i = 0; i != lanes; ++i)
      if (out[i] < m.room.waiting(i) && (next == lanes || pass[i] < pass[next])) next = i;
    ++out[next];
    pass[next] += waiting_room::stride(m.pace.weights[next]);
  }
  return out;
}

}  // namespace

admission_limits::admission_limits(const waiting_room& r, std::int64_t now)
    : room(r),
      now_ms(now),
      pace(r.pace()),
      window_started_at_ms(r.head().window_started_at_ms()),
      admitted_in_window(r.head().admitted_in_window()),
      inside(r.inside(now)),
      paused(r.head().paused()),
      closed(r.head().end() != v1::QUEUE_IS_OPEN),
      opens_at_ms(r.head().opens_at_ms()) {
  if (r.head().supply_known()) left = supply{r.head().available(), r.head().held()};
}

std::optional<v1::QueueEvent> admission(const admission_limits& m) {
  const auto at = pace_at(m);
  const auto count = std::min(m.room.waiting(), room_now(m, at));
  if (count == 0) return std::nullopt;
  auto e = admitted(m, at, count);
  const auto of_lane = shares(m, count);
  for (std::size_t lane = 0; lane != of_lane.size(); ++lane)
    if (of_lane[lane] != 0) set_lane(*e.mutable_admitted(), lane, m.room.place_of_next(lane, of_lane[lane]), of_lane[lane]);
  return e;
}

std::optional<v1::QueueEvent> admission_of_newcomer(const admission_limits& m, std::uint32_t lane) {
  const auto at = pace_at(m);
  if (m.room.waiting() != 0 || room_now(m, at) == 0) return std::nullopt;
  auto e = admitted(m, at, 1);
  set_lane(*e.mutable_admitted(), lane, m.room.places(lane) + 1, 1);
  return e;
}

std::optional<std::int64_t> next_admission_ms(const waiting_room& room) {
  if (room.waiting() == 0 || room.draw_is_due()) return std::nullopt;
  admission_limits m{room, std::max(room.head().window_started_at_ms(), room.head().opens_at_ms())};
  // Whoever's time is over is inside until that is recorded, which has a deadline of its own.
  m.inside = room.inside(std::numeric_limits<std::int64_t>::min());
  if (m.paused || m.closed || vacancies(m) == 0 || (m.left && m.left->available == 0)) return std::nullopt;
  if (m.window_started_at_ms == 0) return m.opens_at_ms;
  const auto per_window = m.pace.per_window;
  // Where the pace has no room in this window, or what is left is not enough for more, the next one has.
  const auto windows = m.pace.is_smooth ? m.admitted_in_window / per_window : 0;
  const auto started = m.window_started_at_ms + windows * m.pace.window_ms;
  const auto admitted = m.admitted_in_window - windows * per_window;
  auto next = started;
  if (admitted >= per_window || enough_for(m, admitted) == 0) next += m.pace.window_ms;
  else if (m.pace.is_smooth) next += (std::int64_t{admitted} * m.pace.window_ms + per_window - 1) / per_window;
  if (m.pace.is_smooth) next = (next + smooth_step_ms - 1) / smooth_step_ms * smooth_step_ms;
  return std::max(m.opens_at_ms, next);
}

}  // namespace usher::actors
