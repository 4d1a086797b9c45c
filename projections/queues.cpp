#include "projections/queues.hpp"

#include <algorithm>
#include <mutex>
#include <stdexcept>

#include "events/draw.hpp"
#include "events/waiting_room.hpp"
#include "projections/bytes.hpp"
#include "projections/queue_estimates.hpp"
#include "projections/table.hpp"

namespace usher::projections {

namespace {

// What was folded since the room was saved as a whole may grow to half of that before it is saved again.
constexpr std::size_t saved_bytes_min = 64 * 1024;

ticket_status status_of(const waiting_room& room, std::uint64_t number, time_point now) {
  switch (room.at(number).phase()) {
    case v1::TICKET_WAITING: return room.is_early(number) ? ticket_status::early : ticket_status::waiting;
    case v1::TICKET_ADMITTED: return room.is_inside(number, to_ms(now)) ? ticket_status::admitted : ticket_status::expired;
    case v1::TICKET_EXPIRED: return ticket_status::expired;
    case v1::TICKET_LEFT: return ticket_status::left;
    case v1::TICKET_SPENT: return ticket_status::paid;
    case v1::TICKET_VANISHED: return ticket_status::vanished;
    case v1::TICKET_EVICTED: return ticket_status::evicted;
    case v1::TICKET_CLOSED: return ticket_status::closed;
    case v1::TicketPhase_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::TicketPhase_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return ticket_status::left;
}

/// What makes no sense parks the projection, so that nobody is told wrong positions.
void check(const waiting_room& room, const v1::QueueEvent& e) {
  if (e.has_joined() && e.joined().number() != room.joined() + 1) throw std::runtime_error("a ticket's number does not follow the one before it");
  if (e.has_left() && e.left().number() > room.joined()) throw std::runtime_error("a queue has no ticket of this number");
  if (e.has_admitted() && e.admitted().through() < room.through(0)) throw std::runtime_error("an admission goes backwards");
}

}  // namespace

std::string_view word_of(ticket_status status) {
  switch (status) {
    case ticket_status::early: return "EARLY";
    case ticket_status::waiting: return "WAITING";
    case ticket_status::admitted: return "ADMITTED";
    case ticket_status::expired: return "EXPIRED";
    case ticket_status::left: return "LEFT";
    case ticket_status::paid: return "PAID";
    case ticket_status::vanished: return "VANISHED";
    case ticket_status::evicted: return "EVICTED";
    case ticket_status::closed: return "CLOSED";
  }
  return {};
}

/// A room, and what of it is on disk: the row "s/<show>" is the room as it was before the row "e/<show>/<n>" of the number in it;
/// each of those holds events in their order.
struct queues::line {
  waiting_room room;
  queue_estimates estimates;
  std::uint64_t version = 0;       // of the stream
  std::string fresh;               // events that were folded and not written yet
  std::uint64_t first_row = 1;     // after the room was saved
  std::uint64_t next_row = 1;
  std::size_t bytes_since = 0;     // in the rows after it
  std::size_t saved_bytes = 0;

  void fold(const v1::QueueEvent& e) {
    check(room, e);
    estimates.fold(room, e);
    ++version;
  }

  void note(const v1::QueueEvent& e) {
    put_number(fresh, e.ByteSizeLong());
    e.AppendToString(&fresh);
  }

  void replay(std::string_view events) {
    while (!events.empty()) {
      byte_reader in(events);
      const auto size = in.number();
      v1::QueueEvent e;
      if (size > in.rest().size() || !e.ParseFromArray(in.rest().data(), static_cast<int>(size))) throw std::runtime_error("a queue's event cannot be parsed");
      events = in.rest().substr(size);
      fold(e);
    }
  }

  /// @param before_row  the first row of events that is not in it
  [[nodiscard]] std::string saved(std::uint64_t before_row) const {
    std::string row;
    put_number(row, before_row);
    put_number(row, version);
    estimates.save(row);
    v1::QueueState state;
    room.save(state);
    state.AppendToString(&row);
    return row;
  }

  [[nodiscard]] ticket_view view(const std::string& show_id, std::uint64_t number, time_point now) const {
    const auto& t = room.at(number);
    ticket_view seen;
    seen.show_id = show_id;
    seen.ticket_id = make_ticket_id(show_id, number);
    seen.user_id = room.user_of(number);
    seen.number = number;
    seen.status = status_of(room, number, now);
    seen.total = room.waiting(t.lane);
    if (t.lane < room.settings().lanes_size()) seen.lane = room.settings().lanes(t.lane).name();
    seen.device = t.device;
    seen.joined_at_ms = t.joined_at_ms;
    if (seen.status == ticket_status::waiting) {
      seen.ahead = room.ahead_of(number);
      seen.position = seen.ahead + 1;
      if (const auto wait = estimates.estimate(room, t.lane, seen.position, to_ms(now))) {
        seen.eta_p50_s = wait->p50_s;
        seen.eta_p90_s = wait->p90_s;
      }
    } else if (seen.status == ticket_status::admitted) {
      seen.admitted_at_ms = room.run_of(number)->at_ms;
      seen.admission_expires_at_ms = room.run_of(number)->expires_at_ms;
    }
    return seen;
  }

  [[nodiscard]] queue_totals totals(time_point now) const {
    const auto& head = room.head();
    const auto& pace = room.pace();
    queue_totals seen;
    seen.version = version;
    seen.joined = room.joined();
    seen.waiting = room.waiting();
    seen.admitted = head.admitted();
    seen.left = head.left();
    seen.inside = room.inside(to_ms(now));
    seen.admit_per_window = pace.per_window;
    seen.window_seconds = static_cast<std::uint32_t>(pace.window_ms / 1000);
    seen.admission_seconds = static_cast<std::uint32_t>(pace.admission_ms / 1000);
    seen.grace_seconds = static_cast<std::uint32_t>(pace.grace_ms / 1000);
    seen.max_active = pace.max_active;
    seen.is_smooth = pace.is_smooth;
    seen.is_drawn_by_lot = pace.is_drawn_by_lot;
    seen.window_started_at_ms = head.window_started_at_ms();
    seen.admitted_in_window = head.admitted_in_window();
    seen.opens_at_ms = head.opens_at_ms();
    seen.closes_at_ms = head.closes_at_ms();
    seen.paused = head.paused();
    seen.pause_reason = head.pause_reason();
    seen.draining = head.draining();
    seen.drain_reason = head.drain_reason();
    seen.notice = head.notice();
    seen.end = head.end();
    seen.supply_known = head.supply_known();
    seen.available = head.available();
    seen.held = head.held();
    seen.sold_out_tiers.assign(head.sold_out_tiers().begin(), head.sold_out_tiers().end());
    for (std::size_t i = 0; i != room.lanes(); ++i) {
      const auto at = static_cast<int>(i);
      seen.lanes.push_back({at < room.settings().lanes_size() ? room.settings().lanes(at).name() : "", pace.weights[i], room.waiting(i)});
    }
    seen.score = estimates.score();
    seen.settings = room.settings();
    return seen;
  }
};

queues::queues() = default;
queues::~queues() = default;

void queues::apply(const v1::Record& record) {
  const bool concerned = std::any_of(record.events().begin(), record.events().end(), [](const auto& event) { return event.has_queue(); });
  if (!concerned) return;
  fold(record);
  // What is to be written is this thread's own: readers needn't wait for it.
  for (const auto& event : record.events()) {
    if (!event.has_queue()) continue;
    lines_.find(event.stream().group())->second->note(event.queue());
    changed_.insert(event.stream().group());
  }
}

void queues::fold(const v1::Record& record) {
  const std::unique_lock lock(mutex_);
  for (const auto& event : record.events()) {
    if (!event.has_queue()) continue;
    look_at(event);
    auto& found = lines_[event.stream().group()];
    if (!found) found = std::make_unique<line>();
    found->fold(event.queue());
  }
}

void queues::collect(row_writer& out) {
  const std::shared_lock lock(mutex_);
  for (const auto& id : std::exchange(changed_, {})) {
    auto& line = *lines_.at(id);
    line.bytes_since += line.fresh.size();
    if (line.bytes_since < std::max(saved_bytes_min, line.saved_bytes / 2)) {
      out.put("e/" + id + '/' + in_order(line.next_row++), line.fresh);
    } else {
      const auto saved = line.saved(line.next_row);
      out.put("s/" + id, saved);
      for (; line.first_row != line.next_row; ++line.first_row) out.erase("e/" + id + '/' + in_order(line.first_row));
      line.saved_bytes = saved.size();
      line.bytes_since = 0;
    }
    std::string{}.swap(line.fresh);
  }
}

bool queues::collect_whole(row_writer& out) const {
  const std::shared_lock lock(mutex_);
  for (const auto& [id, line] : lines_) out.put("s/" + id, line->saved(0));
  return true;
}

result<void> queues::load(const store::database& db, const std::string& rows) {
  const std::unique_lock lock(mutex_);
  const auto rooms = each_row(db, rows, "s/", [this](std::string_view key, std::string_view value) {
    auto& made = lines_[std::string{key.substr(2)}];
    made = std::make_unique<line>();
    byte_reader in(value);
    made->first_row = made->next_row = in.number();
    made->version = in.number();
    made->saved_bytes = value.size();
    const auto rest = made->estimates.restore(in.rest());
    v1::QueueState state;
    if (!state.ParseFromArray(rest.data(), static_cast<int>(rest.size()))) throw std::runtime_error("a queue's row cannot be parsed");
    made->room.restore(state);
    return true;
  });
  if (!rooms) return rooms;
  return each_row(db, rows, "e/", [this](std::string_view key, std::string_view value) {
    auto& found = lines_[std::string{key.substr(2, key.rfind('/') - 2)}];
    if (!found) found = std::make_unique<line>();
    found->replay(value);
    ++found->next_row;
    found->bytes_since += value.size();
    return true;
  });
}

std::size_t queues::unwritten() const {
  const std::shared_lock lock(mutex_);
  return changed_.size();
}

void queues::swap_in(projection& built) {
  auto& other = static_cast<queues&>(built);
  const std::unique_lock lock(mutex_);
  lines_.swap(other.lines_);
  changed_.swap(other.changed_);
}

std::optional<ticket_view> queues::by_ticket(std::string_view ticket_id, time_point now) const {
  const auto show_id = show_of_ticket(ticket_id);
  const auto number = number_of_ticket(ticket_id);
  if (number == 0 || make_ticket_id(show_id, number) != ticket_id) return std::nullopt;
  const std::shared_lock lock(mutex_);
  const auto found = lines_.find(show_id);
  if (found == lines_.end() || number > found->second->room.joined()) return std::nullopt;
  return found->second->view(found->first, number, now);
}

std::optional<ticket_view> queues::by_user(std::string_view show_id, std::string_view user_id, time_point now) const {
  const std::shared_lock lock(mutex_);
  const auto found = lines_.find(show_id);
  const auto number = found == lines_.end() ? 0 : found->second->room.newest_of(user_id);
  if (number == 0) return std::nullopt;
  return found->second->view(found->first, number, now);
}

std::optional<queue_totals> queues::totals(std::string_view show_id, time_point now) const {
  const std::shared_lock lock(mutex_);
  const auto found = lines_.find(show_id);
  if (found == lines_.end()) return std::nullopt;
  return found->second->totals(now);
}

wait_score queues::score() const {
  wait_score all;
  const std::shared_lock lock(mutex_);
  for (const auto& [id, line] : lines_) all.add(line->estimates.score());
  return all;
}

std::vector<std::string> queues::with_waiting() const {
  std::vector<std::string> out;
  const std::shared_lock lock(mutex_);
  for (const auto& [id, line] : lines_)
    if (line->room.waiting() != 0) out.push_back(id);
  return out;
}

std::optional<draw_view> queues::draw(std::string_view show_id) const {
  const std::shared_lock lock(mutex_);
  const auto found = lines_.find(show_id);
  if (found == lines_.end()) return std::nullopt;
  const auto& room = found->second->room;
  const auto& head = room.head();
  const bool sells_at_once = head.opens_at_ms() == 0 && !head.entries_closed();
  if (head.draw_secret().empty() || !room.pace().is_drawn_by_lot || sells_at_once) return std::nullopt;
  draw_view seen;
  seen.commitment = draw::commitment(head.draw_secret());
  seen.entries_closed = head.entries_closed();
  if (seen.entries_closed) {
    seen.count = room.entries();
    seen.root = room.draw_root();
    seen.closed_at_ms = head.entries_closed_at_ms();
  }
  seen.drawn = head.drawn();
  if (seen.drawn) {
    seen.secret = head.draw_secret();
    seen.drawn_at_ms = head.drawn_at_ms();
  }
  return seen;
}

void queues::visit_drawn(std::string_view show_id, std::uint64_t from, std::size_t max,
                         const std::function<void(const drawn_ticket&)>& visit) const {
  const std::shared_lock lock(mutex_);
  const auto found = lines_.find(show_id);
  if (found == lines_.end()) return;
  const auto& room = found->second->room;
  if (!room.head().drawn()) return;
  for (auto n = std::max<std::uint64_t>(from, 1); n <= room.entries() && max != 0; ++n, --max)
    visit({n, room.rank_of(n), room.user_of(n), room.at(n).joined_at_ms});
}

}  // namespace usher::projections
