#include "projections/auditor_queue.hpp"

#include <algorithm>

#include "events/draw.hpp"

namespace usher::projections {
namespace {

constexpr std::uint64_t gap_max = 1'000'000;  // numbers that may have been left out; beyond that the number itself is damaged

}  // namespace

const char* queue_audit::take(const v1::QueueEvent& e) {
  switch (e.kind_case()) {
    case v1::QueueEvent::kOpened: return open(e.opened());
    case v1::QueueEvent::kRescheduled: schedule(e.rescheduled().opens_at_ms(), e.rescheduled().closes_at_ms()); return nullptr;
    case v1::QueueEvent::kJoined: return join(e.joined());
    case v1::QueueEvent::kLeft: return end(e.left().number(), true, true, "A number left that was not there.");
    case v1::QueueEvent::kAdmitted: return admit(e.admitted());
    case v1::QueueEvent::kExpired: return expire(e.expired());
    case v1::QueueEvent::kSpent: return end(e.spent().number(), false, true, "An admission was spent by somebody who was not inside.");
    case v1::QueueEvent::kMoved:
      return exists(e.moved().number()) && phase_of(e.moved().number()) != over ? nullptr : "A ticket moved that was nobody's.";
    case v1::QueueEvent::kVanished: return vanish(e.vanished());
    case v1::QueueEvent::kEvicted: return end(e.evicted().number(), true, true, "A number was sent away that was not there.");
    case v1::QueueEvent::kLaneAssigned: return assign(e.lane_assigned());
    case v1::QueueEvent::kChanged: set(e.changed().settings()); return nullptr;
    case v1::QueueEvent::kPaused: paused_ = true; return nullptr;
    case v1::QueueEvent::kResumed: paused_ = draining_ = false; return nullptr;
    case v1::QueueEvent::kEntriesClosed: return close_entries(e.entries_closed());
    case v1::QueueEvent::kDrawHeld: return draw(e.draw_held());
    case v1::QueueEvent::kClosed: return close(e.closed());
    case v1::QueueEvent::kReopened: return std::exchange(closed_, false) ? nullptr : "A queue opened again that was open.";
    case v1::QueueEvent::kDrained: draining_ = true; return nullptr;
    case v1::QueueEvent::kSupplyNoted: left_ = e.supply_noted(); return nullptr;
    case v1::QueueEvent::kNoticed:
    case v1::QueueEvent::KIND_NOT_SET: break;
  }
  return nullptr;
}

void queue_audit::schedule(std::int64_t opens_at_ms, std::int64_t closes_at_ms) {
  opens_at_ms_ = opens_at_ms;
  closes_at_ms_ = closes_at_ms;
}

void queue_audit::set(const v1::QueueSettings& s) {
  max_active_ = s.max_active();
  by_lot_ = s.order() != "joining";
  lanes_.resize(std::max<std::size_t>(lanes_.size(), static_cast<std::size_t>(s.lanes_size())));
}

void queue_audit::set_phase(std::uint64_t number, phase now) {
  const auto before = phase_of(number);
  waiting_ -= before == waiting ? 1 : 0;
  inside_ -= before == inside ? 1 : 0;
  inside_ += now == inside ? 1 : 0;
  auto& ticket = tickets_[number - 1];
  ticket = static_cast<char>((ticket & ~3) | now);
}

void queue_audit::put(std::uint32_t number, std::size_t lane) { lanes_[lane].order.push_back(number); }

const char* queue_audit::open(const v1::QueueOpened& e) {
  if (std::exchange(opened_, true)) return "A queue was opened twice.";
  schedule(e.opens_at_ms(), e.closes_at_ms());
  if (!e.draw_secret().empty()) commitment_ = draw::commitment(e.draw_secret());
  set(e.settings());
  return nullptr;
}

const char* queue_audit::join(const v1::QueueJoined& e) {
  if (e.number() <= joined()) return "A number was given out twice.";
  const bool is_next = e.number() == joined() + 1;
  if (e.number() - joined() > gap_max) return "A number was given out that is not the next.";
  if (e.has_settings()) set(e.settings());
  const bool has_lane = e.lane() < lanes_.size();
  const std::size_t lane = has_lane ? e.lane() : 0;
  const bool takes_part = commitment_ && by_lot_ && !entries_closed_at_ms_ && e.at_ms() < opens_at_ms_ && entries_.size() == joined();
  tickets_.resize(e.number() - 1, static_cast<char>(over));
  tickets_.push_back(static_cast<char>(lane << 2 | waiting));
  ++waiting_;
  put(static_cast<std::uint32_t>(e.number()), lane);
  if (takes_part) entries_.add(draw::leaf_of(e.number(), e.ticket_id(), e.user_id(), e.at_ms()));
  if (!is_next) return "A number was given out that is not the next.";
  if (!has_lane) return "Somebody joined a lane that there is not.";
  if (closed_) return "Somebody joined a queue that was closed.";
  if (draining_) return "Somebody joined a queue that takes nobody in any more.";
  return is_over(e.at_ms()) ? "Somebody joined after the sale was over." : nullptr;
}

/// A ticket that changed lanes has left a place behind that is nobody's.
bool queue_audit::waits_at(std::size_t lane, std::uint64_t place, std::uint32_t number) const {
  if (phase_of(number) != waiting || lane_of(number) != lane) return false;
  const auto found = moved_.find(number);
  return found == moved_.end() || found->second == place;
}

std::uint64_t queue_audit::let_in(std::size_t which, std::uint64_t through, std::vector<std::uint32_t>& people) {
  auto& l = lanes_[which];
  std::uint64_t count = 0;
  while (l.through < through && !l.order.empty()) {
    const auto number = l.order.front();
    l.order.pop_front();
    if (!waits_at(which, ++l.through, number)) continue;
    set_phase(number, inside);
    people.push_back(number);
    ++count;
  }
  return count;
}

std::uint64_t queue_audit::still_inside(const std::vector<std::uint32_t>& people) const {
  return static_cast<std::uint64_t>(std::count_if(people.begin(), people.end(), [this](auto number) { return phase_of(number) == inside; }));
}

/// Whose time is over is out, whether that is recorded or not.
std::uint64_t queue_audit::inside_at(std::int64_t now_ms) const {
  auto count = inside_;
  for (auto run = let_in_.begin(); run != let_in_.end() && run->first <= now_ms; ++run) count -= still_inside(run->second);
  return count;
}

const char* queue_audit::admit(const v1::TicketsAdmitted& e) {
  const char* wrong = nullptr;
  if (paused_) wrong = "Somebody was let in while the queue was paused.";
  if (closed_) wrong = "Somebody was let in by a queue that was closed.";
  if (e.at_ms() < opens_at_ms_) wrong = "Somebody was let in before the sale opened.";
  if (entries_.size() != 0 && !drawn_) wrong = "Somebody was let in before the draw.";
  if (left_ && left_->available() == 0) wrong = "Somebody was let in when nothing was to be had.";
  if (e.expires_at_ms() <= e.at_ms()) wrong = "Somebody was let in for no time at all.";

  auto& people = let_in_[e.expires_at_ms()];
  std::uint64_t count = 0;
  const auto come_to = [&](std::size_t which, std::uint64_t through) -> std::uint64_t {
    if (which >= lanes_.size() || through < lanes_[which].through) {
      wrong = "Places were let in that were inside already, or that there are not.";
      return 0;
    }
    if (through > lanes_[which].through + lanes_[which].order.size()) wrong = "A place was let in that was never given out.";
    const auto came = let_in(which, through, people);
    count += came;
    return came;
  };
  come_to(0, e.through());
  for (const auto& other : e.lanes())
    if (come_to(other.lane(), other.through()) != other.count()) wrong = "Of a lane other people were let in than the event counts.";
  if (people.empty()) let_in_.erase(e.expires_at_ms());
  if (wrong) return wrong;
  if (count != e.count() || count == 0) return "Others were let in than the event counts.";
  if (max_active_ != 0 && inside_at(e.at_ms()) > max_active_) return "More people are inside than may be.";
  return nullptr;
}

const char* queue_audit::expire(const v1::AdmissionsExpired& e) {
  std::uint64_t count = 0;
  while (!let_in_.empty() && let_in_.begin()->first <= e.until_ms()) {
    for (const auto number : let_in_.begin()->second) {
      if (phase_of(number) != inside) continue;
      set_phase(number, over);
      ++count;
    }
    let_in_.erase(let_in_.begin());
  }
  if (e.until_ms() > e.at_ms()) return "Admissions ended before their time was over.";
  return count == e.count() ? nullptr : "Other admissions ran out than the event counts.";
}

const char* queue_audit::end(std::uint64_t number, bool waits, bool is_inside, const char* otherwise) {
  if (!exists(number)) return otherwise;
  const auto now = phase_of(number);
  if (!(now == waiting && waits) && !(now == inside && is_inside)) return otherwise;
  set_phase(number, over);
  return nullptr;
}

const char* queue_audit::vanish(const v1::TicketsVanished& e) {
  const char* wrong = nullptr;
  for (const auto number : e.numbers())
    if (const auto* found = end(number, true, false, "A number vanished that did not wait.")) wrong = found;
  return wrong;
}

const char* queue_audit::assign(const v1::LaneAssigned& e) {
  if (e.lane() >= lanes_.size()) return "Somebody was put into a lane that there is not.";
  if (e.number() == 0) return nullptr;
  if (!exists(e.number()) || phase_of(e.number()) != waiting) return "A number changed lanes that did not wait.";
  if (lane_of(e.number()) == e.lane()) return "A number changed to the lane that it was in.";
  if (entries_closed_at_ms_ && !drawn_ && e.number() <= entries_.size()) return "A number changed lanes that was about to be drawn.";
  const auto number = static_cast<std::uint32_t>(e.number());
  tickets_[number - 1] = static_cast<char>(e.lane() << 2 | waiting);
  put(number, e.lane());
  moved_[number] = lanes_[e.lane()].through + lanes_[e.lane()].order.size();
  return nullptr;
}

const char* queue_audit::close(const v1::QueueClosed& e) {
  const auto count = waiting_;
  const bool was_closed = std::exchange(closed_, true);
  for (auto& l : lanes_) {
    l.through += l.order.size();
    for (const auto number : l.order)
      if (phase_of(number) == waiting) set_phase(number, over);
    l.order.clear();
  }
  if (was_closed) return "A queue was closed twice.";
  if (e.why() == v1::SALE_OVER && !is_over(e.at_ms())) return "A queue closed before its sale was over.";
  if (e.why() == v1::SOLD_OUT && (!left_ || left_->available() + left_->held() != 0)) return "A queue closed as sold out that was not.";
  return count == e.count() ? nullptr : "Others waited at the end than the event counts.";
}

const char* queue_audit::close_entries(const v1::EntriesClosed& e) {
  if (entries_closed_at_ms_) return "The entries of a draw were closed twice.";
  entries_closed_at_ms_ = e.at_ms();
  if (e.at_ms() < opens_at_ms_) return "The entries of a draw were closed before the sale opened.";
  const auto root = entries_.root();
  if (e.count() != entries_.size()) return "Others take part in the draw than came in time.";
  return e.root() == bytes_of(root) ? nullptr : "The root of the draw is not that of its tickets.";
}

/// Puts those who took part into the order of the draw; whoever came later stays behind them.
const char* queue_audit::draw(const v1::DrawHeld& e) {
  if (!entries_closed_at_ms_ || std::exchange(drawn_, true)) return "A draw was held before its entries were closed, or twice.";
  const char* wrong = nullptr;
  if (!commitment_ || *commitment_ != draw::commitment(e.secret())) return "The secret of the draw is not what its commitment says.";
  if (e.at_ms() <= *entries_closed_at_ms_) wrong = "The secret of the draw was told before anybody could see its root.";
  const auto count = static_cast<std::uint32_t>(entries_.size());
  std::vector<lane> sorted(lanes_.size());
  for (const auto number : draw::order(e.secret(), entries_.root(), count))
    if (phase_of(number) == waiting) sorted[lane_of(number)].order.push_back(number);
  for (std::size_t which = 0; which != lanes_.size(); ++which) {
    auto place = lanes_[which].through;
    for (const auto number : lanes_[which].order)
      if (waits_at(which, ++place, number) && number > count) sorted[which].order.push_back(number);
  }
  lanes_.swap(sorted);
  moved_.clear();
  return wrong;
}

}  // namespace usher::projections
