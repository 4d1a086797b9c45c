// How a queue's events change a waiting room.

#include "events/waiting_room.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "events/draw.hpp"

namespace usher {
namespace {

constexpr std::size_t chunk_bytes = 64 * 1024;
constexpr std::uint32_t nobody = 0;

std::uint32_t or_default(std::uint32_t value, std::uint32_t otherwise) { return value == 0 ? otherwise : value; }

std::uint32_t hash_of(std::string_view user_id) { return static_cast<std::uint32_t>(std::hash<std::string_view>{}(user_id)); }

std::size_t lowest_bit(std::size_t n) { return n & (~n + 1); }

}  // namespace

queue_pace::queue_pace(const v1::QueueSettings& s)
    : per_window(or_default(s.admit_per_window(), 250)),
      window_ms(std::int64_t{1000} * or_default(s.window_seconds(), 10)),
      admission_ms(std::int64_t{1000} * or_default(s.admission_seconds(), 300)),
      grace_ms(std::int64_t{1000} * or_default(s.grace_seconds(), 300)),
      max_active(s.max_active()),
      is_smooth(s.mode() == "smooth"),
      is_drawn_by_lot(s.order() != "joining") {
  for (const auto& lane : s.lanes()) weights.push_back(or_default(lane.weight(), 1));
  if (weights.empty()) weights.push_back(1);
}

void marks::append() {
  const auto i = sums_.size();  // the node of number i covers (i - lowest bit of i, i]
  sums_.push_back(static_cast<std::uint32_t>(up_to(i - 1) - up_to(i - lowest_bit(i))));
}
void marks::mark(std::size_t number) {
  for (auto i = number; i < sums_.size(); i += lowest_bit(i)) ++sums_[i];
}
std::uint64_t marks::up_to(std::size_t number) const {
  std::uint64_t sum = 0;
  for (auto i = number; i > 0; i -= lowest_bit(i)) sum += sums_[i];
  return sum;
}

void waiting_room::fold(const v1::QueueEvent& e) {
  switch (e.kind_case()) {
    case v1::QueueEvent::kOpened:
      head_.set_opened(true);
      head_.set_opens_at_ms(e.opened().opens_at_ms());
      head_.set_closes_at_ms(e.opened().closes_at_ms());
      head_.set_draw_secret(e.opened().draw_secret());
      return set_settings(e.opened().settings());
    case v1::QueueEvent::kRescheduled:
      head_.set_opens_at_ms(e.rescheduled().opens_at_ms());
      return head_.set_closes_at_ms(e.rescheduled().closes_at_ms());
    case v1::QueueEvent::kJoined: return join(e.joined());
    case v1::QueueEvent::kLeft: return end(e.left().number(), v1::TICKET_LEFT);
    case v1::QueueEvent::kAdmitted: return admit(e.admitted());
    case v1::QueueEvent::kExpired: return expire(e.expired().until_ms());
    case v1::QueueEvent::kSpent: return end(e.spent().number(), v1::TICKET_SPENT);
    case v1::QueueEvent::kMoved:
      if (const auto n = e.moved().number(); n != 0 && n <= joined()) tickets_[n - 1].device = e.moved().device();
      return;
    case v1::QueueEvent::kVanished:
      for (const auto n : e.vanished().numbers()) end(n, v1::TICKET_VANISHED);
      return;
    case v1::QueueEvent::kEvicted: return end(e.evicted().number(), v1::TICKET_EVICTED);
    case v1::QueueEvent::kLaneAssigned:
      if (e.lane_assigned().number() != 0) return move_to_lane(e.lane_assigned().number(), e.lane_assigned().lane());
      (*head_.mutable_assigned_lanes())[e.lane_assigned().user_id()] = e.lane_assigned().lane();
      return;
    case v1::QueueEvent::kChanged:
      if (head_.window_started_at_ms() != 0 && !keeps_windows(pace_, queue_pace{e.changed().settings()})) {
        head_.set_window_started_at_ms(e.changed().at_ms());
        head_.set_admitted_in_window(0);
      }
      return set_settings(e.changed().settings());
    case v1::QueueEvent::kPaused:
      head_.set_paused(true);
      return head_.set_pause_reason(e.paused().reason());
    case v1::QueueEvent::kResumed:
      head_.set_paused(false);
      head_.clear_pause_reason();
      head_.set_draining(false);
      return head_.clear_drain_reason();
    case v1::QueueEvent::kDrained:
      head_.set_draining(true);
      return head_.set_drain_reason(e.drained().reason());
    case v1::QueueEvent::kNoticed: return head_.set_notice(e.noticed().text());
    case v1::QueueEvent::kEntriesClosed:
      head_.set_entries_closed(true);
      head_.set_draw_root(e.entries_closed().root());
      return head_.set_entries_closed_at_ms(e.entries_closed().at_ms());
    case v1::QueueEvent::kDrawHeld:
      head_.set_drawn_at_ms(e.draw_held().at_ms());
      return draw(e.draw_held().secret());
    case v1::QueueEvent::kSupplyNoted:
      head_.set_supply_known(true);
      head_.set_available(e.supply_noted().available());
      head_.set_held(e.supply_noted().held());
      *head_.mutable_sold_out_tiers() = e.supply_noted().sold_out_tiers();
      return;
    case v1::QueueEvent::kClosed: return close(e.closed().why());
    case v1::QueueEvent::kReopened: return head_.set_end(v1::QUEUE_IS_OPEN);
    case v1::QueueEvent::KIND_NOT_SET: return;
  }
}

bool waiting_room::keeps_windows(const queue_pace& before, const queue_pace& after) {
  if (!before.is_smooth && !after.is_smooth) return true;
  return before.is_smooth == after.is_smooth && before.per_window == after.per_window && before.window_ms == after.window_ms;
}

void waiting_room::set_settings(const v1::QueueSettings& s) {
  *head_.mutable_settings() = s;
  pace_ = queue_pace{s};
  if (lanes_.size() < pace_.weights.size()) lanes_.resize(pace_.weights.size());
  while (pace_.weights.size() < lanes_.size()) pace_.weights.push_back(1);
}

void waiting_room::join(const v1::QueueJoined& e) {
  if (e.number() != joined() + 1) return;
  if (e.has_settings()) set_settings(e.settings());
  // Those who take part in a draw are the first ones: the numbers 1 to so many.
  const bool takes_part = !head_.draw_secret().empty() && pace_.is_drawn_by_lot && !head_.entries_closed() && e.at_ms() < head_.opens_at_ms() &&
                          entries_.size() == joined();
  auto& fresh = tickets_.emplace_back();
  fresh.joined_at_ms = e.at_ms();
  fresh.user = keep(e.user_id());
  fresh.device = e.device();
  index_user(e.number());
  enter_lane(e.number(), fresh, std::min<std::size_t>(e.lane(), lanes_.size() - 1));
  if (takes_part) entries_.add(draw::leaf_of(e.number(), e.ticket_id(), e.user_id(), e.at_ms()));
  if (head_.assigned_lanes_size() != 0) head_.mutable_assigned_lanes()->erase(e.user_id());
}

/// Puts a ticket at the end of a lane. A lane that was empty has no claim to what others were given meanwhile.
void waiting_room::enter_lane(std::uint64_t number, ticket& t, std::size_t to) {
  auto& l = lanes_[to];
  if (l.waiting == 0) {
    std::uint64_t most = 0;
    auto least = std::numeric_limits<std::uint64_t>::max();
    for (const auto& other : lanes_) {
      most = std::max(most, other.pass);
      if (other.waiting != 0) least = std::min(least, other.pass);
    }
    // Where nobody waits, what some got in quiet times is no debt to anybody.
    l.pass = std::max(l.pass, waiting_ == 0 ? most : least);
  }
  l.order.push_back(static_cast<std::uint32_t>(number));
  l.gone.append();
  ++l.waiting;
  ++waiting_;
  t.lane = static_cast<std::uint8_t>(to);
  t.place = static_cast<std::uint32_t>(l.order.size());
}

bool waiting_room::waits_at(std::size_t lane, std::uint64_t place) const {
  const auto number = lanes_[lane].order[place - 1];
  if (number == nobody) return false;
  const auto& t = at(number);
  return t.phase() == v1::TICKET_WAITING && t.lane == lane && t.place == place;
}

void waiting_room::admit(const v1::TicketsAdmitted& e) {
  const auto number = open_run(e.at_ms(), e.expires_at_ms());
  auto& into = runs_[number];
  admit_lane(0, e.through(), number, into);
  for (const auto& other : e.lanes())
    if (other.lane() < lanes_.size()) admit_lane(other.lane(), other.through(), number, into);
  head_.set_admitted(head_.admitted() + e.count());
  head_.set_window_started_at_ms(e.window_started_at_ms());
  head_.set_admitted_in_window(e.admitted_in_window());
}

/// Admissions of one moment are one run, so that a rush leaves few of them.
std::uint32_t waiting_room::open_run(std::int64_t at_ms, std::int64_t expires_at_ms) {
  if (const auto last = runs_.find(runs_made_); last != runs_.end() && last->second.at_ms == at_ms && last->second.expires_at_ms == expires_at_ms)
    return runs_made_;
  ++runs_made_;
  runs_[runs_made_] = {at_ms, expires_at_ms, 0, {}};
  run_ends_.emplace(expires_at_ms, runs_made_);
  return runs_made_;
}

void waiting_room::admit_lane(std::size_t which, std::uint64_t through, std::uint32_t run_number, run& into) {
  auto& l = lanes_[which];
  const auto until = std::min<std::uint64_t>(through, l.order.size());
  for (auto place = l.through + 1; place <= until; ++place) {
    if (!waits_at(which, place)) continue;
    const auto number = l.order[place - 1];
    auto& t = tickets_[number - 1];
    t.phase_byte = v1::TICKET_ADMITTED;
    t.run = run_number;
    into.people.push_back(number);
    ++into.inside;
    ++inside_;
    --l.waiting;
    --waiting_;
    l.pass += stride(pace_.weights[which]);
  }
  l.through = std::max(l.through, until);
}

void waiting_room::expire(std::int64_t until_ms) {
  while (!run_ends_.empty() && run_ends_.begin()->first <= until_ms) {
    const auto number = run_ends_.begin()->second;
    run_ends_.erase(run_ends_.begin());
    const auto over = runs_.extract(number);
    for (const auto n : over.mapped().people)
      if (auto& t = tickets_[n - 1]; t.phase() == v1::TICKET_ADMITTED) t.phase_byte = v1::TICKET_EXPIRED;
    inside_ -= over.mapped().inside;
  }
}

void waiting_room::end(std::uint64_t number, v1::TicketPhase how) {
  if (number == 0 || number > joined()) return;
  auto& t = tickets_[number - 1];
  if (t.phase() == v1::TICKET_WAITING) stop_waiting(t);
  else if (t.phase() == v1::TICKET_ADMITTED) leave_run(t.run);
  else return;
  if (how == v1::TICKET_LEFT) head_.set_left(head_.left() + 1);
  t.phase_byte = static_cast<std::uint8_t>(how);
}

void waiting_room::stop_waiting(ticket& t) {
  auto& l = lanes_[t.lane];
  l.gone.mark(t.place);
  --l.waiting;
  --waiting_;
}

void waiting_room::leave_run(std::uint32_t run_number) {
  const auto found = runs_.find(run_number);
  if (found == runs_.end()) return;
  --inside_;
  if (--found->second.inside != 0) return;
  run_ends_.erase({found->second.expires_at_ms, run_number});
  runs_.erase(found);
}

void waiting_room::move_to_lane(std::uint64_t number, std::uint32_t lane) {
  if (number > joined() || lane >= lanes_.size()) return;
  auto& t = tickets_[number - 1];
  if (t.phase() != v1::TICKET_WAITING || t.lane == lane) return;
  stop_waiting(t);
  enter_lane(number, t, lane);
}

void waiting_room::close(v1::QueueEnd why) {
  head_.set_end(why);
  for (auto& t : tickets_)
    if (t.phase() == v1::TICKET_WAITING) t.phase_byte = v1::TICKET_CLOSED;
  for (auto& l : lanes_) {
    l.waiting = 0;
    l.through = l.order.size();
  }
  waiting_ = 0;
}

bool waiting_room::draw_is_due() const { return entries_.size() != 0 && !head_.drawn(); }

void waiting_room::draw(const std::string& secret) {
  if (!draw_is_due()) return;
  head_.set_drawn(true);
  head_.set_draw_secret(secret);
  sort_lanes();
}

/// Notes the rank of each ticket that took part. @return their numbers, by rank
std::vector<std::uint32_t> waiting_room::rank() {
  auto order = draw::order(head_.draw_secret(), entries_.root(), static_cast<std::uint32_t>(entries_.size()));
  ranks_.resize(order.size());
  for (std::size_t i = 0; i != order.size(); ++i) ranks_[order[i] - 1] = static_cast<std::uint32_t>(i + 1);
  return order;
}

/// Puts those who took part into the order of the draw; whoever came later stays behind them.
void waiting_room::sort_lanes() {
  const auto order = rank();
  std::vector<lane> sorted(lanes_.size());
  const auto put = [&](std::uint32_t number) {
    auto& t = tickets_[number - 1];
    if (!waits_at(t.lane, t.place)) {
      t.place = 0;  // whoever has gone needs none
      return;
    }
    auto& l = sorted[t.lane];
    l.order.push_back(number);
    l.gone.append();
  };
  for (const auto number : order) put(number);
  for (std::size_t which = 0; which != lanes_.size(); ++which)
    for (std::size_t place = 1; place <= lanes_[which].order.size(); ++place) {
      const auto number = lanes_[which].order[place - 1];
      if (number > order.size() && at(number).lane == which && at(number).place == place) put(number);
    }
  for (std::size_t which = 0; which != lanes_.size(); ++which) {
    lanes_[which].order.swap(sorted[which].order);
    std::swap(lanes_[which].gone, sorted[which].gone);
    lanes_[which].through = 0;
    for (std::size_t i = 0; i != lanes_[which].order.size(); ++i)
      tickets_[lanes_[which].order[i] - 1].place = static_cast<std::uint32_t>(i + 1);
  }
}

std::string_view waiting_room::user_of(std::uint64_t number) const {
  const auto where = at(number).user;
  const auto offset = where >> 8;
  return std::string_view{names_[offset / chunk_bytes]}.substr(offset % chunk_bytes, where & 0xff);
}

std::uint64_t waiting_room::keep(std::string_view user_id) {
  user_id = user_id.substr(0, 0xff);
  if (names_.empty() || names_.back().size() + user_id.size() > chunk_bytes) names_.emplace_back().reserve(chunk_bytes);
  const auto offset = (names_.size() - 1) * chunk_bytes + names_.back().size();
  names_.back().append(user_id);
  return offset << 8 | user_id.size();
}

/// Where this user's number is, or would be put.
std::size_t waiting_room::slot_of(std::string_view user_id, std::uint32_t hash) const {
  const auto mask = newest_.size() - 1;
  auto i = hash & mask;
  while (newest_[i].number != nobody && (newest_[i].hash != hash || user_of(newest_[i].number) != user_id)) i = (i + 1) & mask;
  return i;
}

void waiting_room::index_user(std::uint64_t number) {
  if (users_ * 4 >= newest_.size() * 3) grow_index();
  const auto user_id = user_of(number);
  const auto hash = hash_of(user_id);
  auto& newest = newest_[slot_of(user_id, hash)];
  if (newest.number == nobody) ++users_;
  newest = {static_cast<std::uint32_t>(number), hash};
}

void waiting_room::grow_index() {
  const auto before = std::exchange(newest_, std::vector<slot>(std::max<std::size_t>(16, newest_.size() * 2)));
  const auto mask = newest_.size() - 1;
  for (const auto& of_user : before) {
    if (of_user.number == nobody) continue;
    auto i = of_user.hash & mask;
    while (newest_[i].number != nobody) i = (i + 1) & mask;
    newest_[i] = of_user;
  }
}

std::uint64_t waiting_room::newest_of(std::string_view user_id) const {
  return newest_.empty() ? nobody : newest_[slot_of(user_id, hash_of(user_id))].number;
}

std::uint64_t waiting_room::live_of(std::string_view user_id, std::int64_t now_ms) const {
  const auto number = newest_of(user_id);
  if (number == nobody) return 0;
  return at(number).phase() == v1::TICKET_WAITING || is_inside(number, now_ms) ? number : 0;
}

const waiting_room::run* waiting_room::run_of(std::uint64_t number) const {
  const auto found = runs_.find(at(number).run);
  return found == runs_.end() ? nullptr : &found->second;
}

bool waiting_room::is_inside(std::uint64_t number, std::int64_t now_ms) const {
  if (at(number).phase() != v1::TICKET_ADMITTED) return false;
  const auto* through = run_of(number);
  return through && now_ms < through->expires_at_ms;
}

bool waiting_room::is_early(std::uint64_t number) const {
  return draw_is_due() && number <= entries_.size() && at(number).phase() == v1::TICKET_WAITING;
}

std::uint64_t waiting_room::ahead_of(std::uint64_t number) const {
  const auto& t = at(number);
  const auto& l = lanes_[t.lane];
  return t.place <= l.through + 1 ? 0 : (t.place - 1 - l.through) - l.gone.between(l.through, t.place - 1);
}

std::uint32_t waiting_room::lane_for(const std::string& user_id) const {
  const auto found = head_.assigned_lanes().find(user_id);
  return found == head_.assigned_lanes().end() ? 0 : found->second;
}

std::optional<std::uint32_t> waiting_room::lane_named(std::string_view name) const {
  for (int i = 0; i != settings().lanes_size(); ++i)
    if (!name.empty() && settings().lanes(i).name() == name) return static_cast<std::uint32_t>(i);
  return std::nullopt;
}

std::uint64_t waiting_room::place_of_next(std::size_t which, std::uint64_t count) const {
  auto place = lanes_[which].through;
  while (count != 0)
    if (waits_at(which, ++place)) --count;
  return place;
}

std::uint64_t waiting_room::expired_by(std::int64_t now_ms) const {
  std::uint64_t count = 0;
  for (const auto& [ends_at_ms, number] : run_ends_) {
    if (ends_at_ms > now_ms) break;
    count += runs_.at(number).inside;
  }
  return count;
}

std::optional<std::int64_t> waiting_room::next_expiry_ms() const {
  return run_ends_.empty() ? std::nullopt : std::optional{run_ends_.begin()->first};
}

void waiting_room::save(v1::QueueState& out) const {
  out = head_;
  out.set_runs_made(runs_made_);
  for (const auto& [number, r] : runs_) {
    auto* saved = out.add_runs();
    saved->set_number(number);
    saved->set_at_ms(r.at_ms);
    saved->set_expires_at_ms(r.expires_at_ms);
  }
  for (const auto& l : lanes_) {
    auto* saved = out.add_lanes();
    saved->set_through(l.through);
    saved->set_pass(l.pass);
    saved->set_places(l.order.size());
  }
  out.set_drawn_count(entries_.size());
  for (const auto& hash : entries_.subtrees()) out.add_frontier(hash.data(), hash.size());
  out.set_tickets(joined());
  std::int64_t before_ms = 0;
  for (std::uint64_t number = 1; number <= joined(); ++number) {
    const auto& t = at(number);
    const auto user = user_of(number);
    out.mutable_user_ids()->append(user);
    out.add_user_id_bytes(static_cast<std::uint32_t>(user.size()));
    out.add_joined_ms(t.joined_at_ms - before_ms);
    before_ms = t.joined_at_ms;
    out.mutable_phases()->push_back(static_cast<char>(t.phase_byte));
    out.mutable_lane_of()->push_back(static_cast<char>(t.lane));
    out.add_places(t.place);
    out.add_runs_of(t.run);
    out.add_devices(t.device);
  }
}

void waiting_room::restore(const v1::QueueState& saved) {
  *this = {};
  head_ = saved;
  for (const auto* column : {"runs", "lanes", "frontier", "user_ids", "user_id_bytes", "joined_ms", "phases", "lane_of", "places", "runs_of", "devices"})
    head_.GetReflection()->ClearField(&head_, head_.GetDescriptor()->FindFieldByName(column));
  if (saved.has_settings()) set_settings(saved.settings());
  runs_made_ = saved.runs_made();
  for (const auto& r : saved.runs()) {
    runs_[r.number()] = {r.at_ms(), r.expires_at_ms(), 0, {}};
    run_ends_.emplace(r.expires_at_ms(), r.number());
  }
  if (lanes_.size() < static_cast<std::size_t>(saved.lanes_size())) lanes_.resize(static_cast<std::size_t>(saved.lanes_size()));
  for (int i = 0; i != saved.lanes_size(); ++i) {
    auto& l = lanes_[static_cast<std::size_t>(i)];
    l.through = saved.lanes(i).through();
    l.pass = saved.lanes(i).pass();
    l.order.resize(saved.lanes(i).places(), nobody);
  }
  restore_tickets(saved);
  for (std::size_t which = 0; which != lanes_.size(); ++which) {
    auto& l = lanes_[which];
    for (std::size_t place = 1; place <= l.order.size(); ++place) {
      l.gone.append();
      // Nobody's: whoever stood there is in another lane now.
      if (l.order[place - 1] == nobody || (place > l.through && !waits_at(which, place))) l.gone.mark(place);
    }
  }
  restore_draw(saved);
}

void waiting_room::restore_tickets(const v1::QueueState& saved) {
  std::size_t user_begin = 0;
  std::int64_t joined_at_ms = 0;
  for (std::uint64_t number = 1; number <= saved.tickets(); ++number) {
    const auto i = static_cast<int>(number - 1);
    auto& t = tickets_.emplace_back();
    t.joined_at_ms = joined_at_ms += saved.joined_ms(i);
    t.user = keep(std::string_view{saved.user_ids()}.substr(user_begin, saved.user_id_bytes(i)));
    user_begin += saved.user_id_bytes(i);
    t.phase_byte = static_cast<std::uint8_t>(saved.phases()[number - 1]);
    t.lane = static_cast<std::uint8_t>(saved.lane_of()[number - 1]);
    t.place = saved.places(i);
    t.run = saved.runs_of(i);
    t.device = saved.devices(i);
    index_user(number);
    auto& l = lanes_[t.lane];
    if (t.place != 0) l.order[t.place - 1] = static_cast<std::uint32_t>(number);
    if (t.phase() == v1::TICKET_WAITING) {
      ++l.waiting;
      ++waiting_;
    } else if (t.phase() == v1::TICKET_ADMITTED) {
      auto& r = runs_[t.run];
      r.people.push_back(static_cast<std::uint32_t>(number));
      ++r.inside;
      ++inside_;
    }
  }
}

void waiting_room::restore_draw(const v1::QueueState& saved) {
  std::vector<merkle::digest> subtrees;
  for (const auto& hash : saved.frontier()) std::copy_n(hash.begin(), hash.size(), subtrees.emplace_back().begin());
  entries_ = merkle::frontier::from(saved.drawn_count(), std::move(subtrees));
  if (head_.drawn()) rank();
}

}  // namespace usher
