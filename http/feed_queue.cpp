// What those who wait are told: each their place, and all of them what is the same for all.

#include "http/feeds_impl.hpp"
#include "http/tickets.hpp"

namespace usher::http {

using projections::queue_totals;
using projections::ticket_status;
using projections::ticket_view;

namespace {

constexpr std::uint64_t totals_pace_ticks = 10;  // between two messages that only say how many wait

/// What an estimate depends on besides the place.
std::string rate_of(const queue_totals& room) {
  std::string out;
  json_writer json{out};
  json.begin_array().value(room.paused).value(room.admit_per_window).value(room.window_seconds).value(room.is_smooth).value(room.max_active)
      .value(room.supply_known && room.available == 0).value(room.opens_at_ms);
  for (const auto& lane : room.lanes) json.value(lane.weight);
  json.end_array();
  return out;
}

text_ptr room_text(std::string_view show_id, std::uint64_t v, const topic& now) {
  auto text = std::make_shared<std::string>();
  json_writer out{*text};
  out.begin_object().member("op", "room").member("show", show_id).member("v", v).key("data").begin_object();
  out.raw(now.totals).raw(now.room).end_object().end_object();
  return text;
}

}  // namespace

// Always a snapshot: it is as small as a delta.
void feeds::impl::begin_queue(const std::string& ticket_id, topic& shared, reader& to) {
  const auto show_id = show_of_ticket(ticket_id);
  const auto log_index = views.applied(partition_of(show_id));  // before the view is read, so that it never claims too much
  const auto seen = views.views().queues.by_ticket(ticket_id, clock.now());
  if (!seen) return;
  const auto room = totals_of(show_id);
  if (shared.room.empty()) {
    shared.room = room_members(room);
    shared.totals = total_members(room);
    shared.rate = rate_of(room);
  }
  send_place(*seen, shared, to, log_index, room_members(room), true);
}

queue_totals feeds::impl::totals_of(std::string_view show_id) const {
  return views.views().queues.totals(show_id, clock.now()).value_or(queue_totals{});
}

void feeds::impl::send_place(const ticket_view& seen, topic& shared, reader& to, std::uint64_t log_index,
                             std::string_view room, bool whole) {
  if (!same_device(seen.device, to.device)) return to.to->close(close_ticket_moved, "the ticket has moved to another login");
  const auto pv = to.v;
  to.v = std::max(log_index, pv + 1);
  to.sent_at_tick = ticks;
  to.status = seen.status;
  to.position = seen.position;
  to.pace = shared.pace;
  to.expires_at_ms = seen.status == ticket_status::admitted ? seen.admission_expires_at_ms : never_ms;
  shared.next_expiry_ms = std::min(shared.next_expiry_ms, to.expires_at_ms);
  to.to->send(message_text({queue, seen.ticket_id}, to.v, whole || pv == 0 ? std::nullopt : std::optional{pv},
                           [&](json_writer& out) { write_place(out, access, seen, to.device, room); }));
}

// Rooms of which there is something to tell now, with the text for all of their readers.
std::map<std::string, text_ptr> feeds::impl::due_rooms(const std::set<std::string>& changed) {
  std::map<std::string, text_ptr> due;
  const std::lock_guard lock(mutex);
  ++ticks;
  for (auto& [show_id, shared] : watched[queue]) {
    if (changed.contains(show_id)) shared.room_dirty = true;
    if (!shared.room_dirty) continue;
    const auto log_index = views.applied(partition_of(show_id));
    const auto now = totals_of(show_id);
    auto room = room_members(now);
    auto totals = total_members(now);
    const bool same_room = room == shared.room;
    if (same_room && totals != shared.totals && ticks - shared.room_told_at_tick < totals_pace_ticks) continue;
    shared.room_dirty = false;
    if (same_room && totals == shared.totals) continue;
    if (auto rate = rate_of(now); rate != shared.rate) {
      shared.rate = std::move(rate);
      ++shared.pace;
      shared.dirty = true;
    }
    shared.room = std::move(room);
    shared.totals = std::move(totals);
    shared.room_told_at_tick = ticks;
    due.emplace(show_id, room_text(show_id, log_index, shared));
  }
  return due;
}

void feeds::impl::tell_room(const std::string& show_id, const text_ptr& text) {
  std::uint64_t told = 0;  // the connection before; ids begin with 1
  each_reader(queue, show_id, [&](topic&, const reader_key& key, reader& to) {
    if (std::exchange(told, key.first) != key.first) to.to->send(text);
  });
}

// Queues where places changed, now or when it was too early to tell, and those where an admission has ended by the clock.
std::vector<std::string> feeds::impl::due_queues(const std::set<std::string>& changed) {
  std::vector<std::string> due;
  const auto now_ms = to_ms(clock.now());
  const std::lock_guard lock(mutex);
  for (auto& [show_id, shared] : watched[queue]) {
    if (changed.contains(show_id) || now_ms >= shared.next_expiry_ms) shared.dirty = true;
    if (!shared.dirty || ticks - shared.flushed_at_tick < queue_pace_ticks) continue;
    shared.dirty = false;
    shared.flushed_at_tick = ticks;
    shared.next_expiry_ms = never_ms;  // found again by the flush
    due.push_back(show_id);
  }
  return due;
}

void feeds::impl::flush_queue(const std::string& show_id) {
  const auto log_index = views.applied(partition_of(show_id));
  const auto now = clock.now();
  const auto room = room_members(totals_of(show_id));
  each_reader(queue, show_id, [&](topic& shared, const reader_key& key, reader& to) {
    if (ticks - to.sent_at_tick < queue_pace_ticks) {  // it subscribed a moment ago
      shared.dirty = true;
      shared.next_expiry_ms = std::min(shared.next_expiry_ms, to.expires_at_ms);
      return;
    }
    const auto seen = views.views().queues.by_ticket(make_ticket_id(show_id, key.second), now);
    if (!seen) return;
    const bool waits = seen->status == ticket_status::waiting;
    if (seen->status != to.status || !same_device(seen->device, to.device) || (waits && (seen->position != to.position || shared.pace != to.pace))) {
      return send_place(*seen, shared, to, log_index, room, false);
    }
    shared.next_expiry_ms = std::min(shared.next_expiry_ms, to.expires_at_ms);
  });
}

}  // namespace usher::http
