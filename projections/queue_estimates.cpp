#include "projections/queue_estimates.hpp"

#include <numeric>
#include <stdexcept>

#include "projections/bytes.hpp"

namespace usher::projections {

namespace {

/// Whether it waits at a place that says when it is its turn.
bool is_in_line(const waiting_room& room, std::uint64_t number) {
  return number != 0 && number <= room.joined() && room.at(number).phase() == v1::TICKET_WAITING && !room.is_early(number);
}

void put_row(std::string& out, const std::string& row) {
  put_number(out, row.size());
  out += row;
}

std::string_view take_row(std::string_view& in) {
  byte_reader reader(in);
  const auto size = reader.number();
  if (size > reader.rest().size()) throw std::runtime_error("a row is shorter than its fields");
  in = reader.rest().substr(size);
  return reader.rest().substr(0, size);
}

}  // namespace

void queue_estimates::fold(waiting_room& room, const v1::QueueEvent& e) {
  switch (e.kind_case()) {
    case v1::QueueEvent::kJoined:
      room.fold(e);
      if (e.joined().has_settings() || lanes_.size() != room.lanes()) declare(room, e.joined().at_ms());
      return join(room, e.joined().number(), e.joined().at_ms());
    case v1::QueueEvent::kAdmitted: return admit(room, e);
    case v1::QueueEvent::kLeft: return stop_waiting(room, e, {e.left().number()}, e.left().at_ms());
    case v1::QueueEvent::kEvicted: return stop_waiting(room, e, {e.evicted().number()}, e.evicted().at_ms());
    case v1::QueueEvent::kVanished:
      return stop_waiting(room, e, {e.vanished().numbers().begin(), e.vanished().numbers().end()}, e.vanished().at_ms());
    case v1::QueueEvent::kLaneAssigned: return move(room, e);
    case v1::QueueEvent::kDrawHeld: return enter_drawn(room, e);
    case v1::QueueEvent::kPaused:
      room.fold(e);
      for (auto& lane : lanes_) lane.pause(e.paused().at_ms());
      return;
    case v1::QueueEvent::kResumed:
      room.fold(e);
      for (auto& lane : lanes_) lane.resume(e.resumed().at_ms());
      return;
    case v1::QueueEvent::kClosed:
      room.fold(e);
      for (auto& lane : lanes_) lane.close(e.closed().at_ms());
      return;
    case v1::QueueEvent::kOpened: room.fold(e); return declare(room, e.opened().at_ms());
    case v1::QueueEvent::kChanged: room.fold(e); return declare(room, e.changed().at_ms());
    case v1::QueueEvent::kRescheduled: room.fold(e); return declare(room, e.rescheduled().at_ms());
    case v1::QueueEvent::kExpired:
    case v1::QueueEvent::kSpent:
    case v1::QueueEvent::kMoved:
    case v1::QueueEvent::kDrained:
    case v1::QueueEvent::kNoticed:
    case v1::QueueEvent::kEntriesClosed:
    case v1::QueueEvent::kSupplyNoted:
    case v1::QueueEvent::kReopened:
    case v1::QueueEvent::KIND_NOT_SET: return room.fold(e);
  }
}

void queue_estimates::declare(const waiting_room& room, std::int64_t at_ms) {
  const auto& declared = room.pace();
  const auto known = lanes_.size();
  lanes_.resize(room.lanes());
  const double weights = std::accumulate(declared.weights.begin(), declared.weights.end(), 0.0);
  for (std::size_t i = 0; i != lanes_.size(); ++i) {
    lane_pace pace{declared.per_window, declared.window_ms, declared.is_smooth, declared.max_active, declared.admission_ms};
    pace.share = declared.weights[i] / weights;
    pace.opens_at_ms = room.head().opens_at_ms();
    lanes_[i].declare(at_ms, pace);
    if (i >= known && room.head().paused()) lanes_[i].pause(at_ms);
  }
}

void queue_estimates::join(const waiting_room& room, std::uint64_t number, std::int64_t at_ms) {
  promises_.resize(room.joined());
  if (!is_in_line(room, number)) return;
  const auto& ticket = room.at(number);
  const auto position = room.ahead_of(number) + 1;
  lanes_[ticket.lane].join(at_ms, ticket.place, position);
  promises_[number - 1] = wait_promise{estimate(room, ticket.lane, position, at_ms)};
}

void queue_estimates::admit(waiting_room& room, const v1::QueueEvent& e) {
  const auto at_ms = e.admitted().at_ms();
  struct front {
    std::uint64_t through;
    std::uint64_t waiting;
  };
  std::vector<front> before;
  for (std::size_t i = 0; i != room.lanes(); ++i) before.push_back({room.through(i), room.waiting(i)});
  room.fold(e);
  for (std::size_t i = 0; i != lanes_.size(); ++i) {
    // A lane of whom nobody is admitted learns when the window began, too.
    lanes_[i].admit(at_ms, before[i].waiting - room.waiting(i), room.through(i), room.head().window_started_at_ms(), room.inside(at_ms));
    for (auto place = before[i].through + 1; place <= room.through(i); ++place) {
      const auto number = room.number_at(i, place);
      if (number == 0) continue;  // whoever stood there has moved to another lane
      const auto& ticket = room.at(number);
      const bool is_let_in = ticket.lane == i && ticket.place == place && ticket.phase() == v1::TICKET_ADMITTED;
      if (is_let_in && ticket.joined_at_ms != at_ms) score_.note(promises_[number - 1], at_ms - ticket.joined_at_ms);
    }
  }
}

void queue_estimates::stop_waiting(waiting_room& room, const v1::QueueEvent& e, const std::vector<std::uint64_t>& numbers, std::int64_t at_ms) {
  std::vector<std::uint64_t> people(lanes_.size());
  for (const auto number : numbers)
    if (is_in_line(room, number)) ++people[room.at(number).lane];
  room.fold(e);
  for (std::size_t i = 0; i != lanes_.size(); ++i)
    if (people[i] != 0) lanes_[i].leave(at_ms, people[i]);
}

void queue_estimates::move(waiting_room& room, const v1::QueueEvent& e) {
  const auto& assigned = e.lane_assigned();
  if (!is_in_line(room, assigned.number())) return room.fold(e);
  stop_waiting(room, e, {assigned.number()}, assigned.at_ms());
  const auto& ticket = room.at(assigned.number());
  lanes_[ticket.lane].join(assigned.at_ms(), ticket.place, room.ahead_of(assigned.number()) + 1);
}

void queue_estimates::enter_drawn(waiting_room& room, const v1::QueueEvent& e) {
  std::vector<std::uint64_t> people(lanes_.size());
  for (std::uint64_t number = 1; number <= room.entries(); ++number)
    if (room.is_early(number)) ++people[room.at(number).lane];
  room.fold(e);
  for (std::size_t i = 0; i != lanes_.size(); ++i)
    if (people[i] != 0) lanes_[i].join(e.draw_held().at_ms(), people[i], people[i], people[i]);
}

std::optional<wait_range> queue_estimates::estimate(const waiting_room& room, std::size_t lane, std::uint64_t position, std::int64_t now_ms) const {
  if (room.head().supply_known() && room.head().available() == 0) return std::nullopt;
  return lanes_[lane].estimate(position, now_ms);
}

void queue_estimates::save(std::string& row) const {
  put_number(row, lanes_.size());
  for (const auto& lane : lanes_) put_row(row, lane.save());
  put_row(row, score_.save());
  std::string promises;
  for (const auto& p : promises_) {
    for (const std::uint16_t seconds : {p.p50_s, p.p90_s}) {
      promises += static_cast<char>(seconds);
      promises += static_cast<char>(seconds >> 8);
    }
  }
  put_row(row, promises);
}

std::string_view queue_estimates::restore(std::string_view row) {
  byte_reader in(row);
  lanes_.assign(in.number(), {});
  auto rest = in.rest();
  for (auto& lane : lanes_) lane.restore(take_row(rest));
  score_.restore(take_row(rest));
  const auto promises = take_row(rest);
  const auto at = [&](std::size_t i) { return static_cast<std::uint16_t>(static_cast<unsigned char>(promises[i]) | static_cast<unsigned char>(promises[i + 1]) << 8); };
  promises_.resize(promises.size() / 4);
  for (std::size_t i = 0; i != promises_.size(); ++i) {
    promises_[i].p50_s = at(4 * i);
    promises_[i].p90_s = at(4 * i + 2);
  }
  return rest;
}

}  // namespace usher::projections
