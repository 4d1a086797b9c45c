// What those who wait are told.

#include "http/feeds_impl.hpp"
#include "http/tickets.hpp"

namespace usher::http {

using projections::ticket_status;
using projections::ticket_view;

// Always a snapshot: it is as small as a delta.
void feeds::impl::begin_queue(const std::string& ticket_id, topic& shared, reader& to) {
  const auto show_id = show_of_ticket(ticket_id);
  const auto log_index = views.applied(partition_of(show_id));  // before the view is read, so that it never claims too much
  const auto seen = views.views().queues.by_ticket(ticket_id, clock.now());
  if (seen) send_place(*seen, shared, to, log_index, room_of(show_id), true);
}

std::string feeds::impl::room_of(std::string_view show_id) const {
  return room_members(views.views().queues.totals(show_id, clock.now()).value_or(projections::queue_totals{}));
}

void feeds::impl::send_place(const ticket_view& seen, topic& shared, reader& to, std::uint64_t log_index,
                             std::string_view room, bool whole) {
  const auto pv = to.v;
  to.v = std::max(log_index, pv + 1);
  to.sent_at_tick = ticks;
  to.status = seen.status;
  to.position = seen.position;
  to.total = seen.total;
  to.expires_at_ms = seen.status == ticket_status::admitted ? seen.admission_expires_at_ms : never_ms;
  shared.next_expiry_ms = std::min(shared.next_expiry_ms, to.expires_at_ms);
  to.to->send(message_text({queue, seen.ticket_id}, to.v, whole || pv == 0 ? std::nullopt : std::optional{pv},
                           [&](json_writer& out) { write_place(out, access, seen, room); }));
}

// Queues that changed, now or when it was too early to tell, and those where an admission has ended by the clock.
std::vector<std::string> feeds::impl::due_queues(const std::set<std::string>& changed) {
  std::vector<std::string> due;
  const auto now_ms = to_ms(clock.now());
  const std::lock_guard lock(mutex);
  ++ticks;
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
  const auto room = room_of(show_id);
  each_reader(queue, show_id, [&](topic& shared, const reader_key& key, reader& to) {
    if (ticks - to.sent_at_tick < queue_pace_ticks) {  // it subscribed a moment ago
      shared.dirty = true;
      shared.next_expiry_ms = std::min(shared.next_expiry_ms, to.expires_at_ms);
      return;
    }
    const auto seen = views.views().queues.by_ticket(make_ticket_id(show_id, key.first), now);
    if (!seen) return;
    const bool waits = seen->status == ticket_status::waiting;
    if (seen->status != to.status || (waits && (seen->position != to.position || seen->total != to.total))) {
      return send_place(*seen, shared, to, log_index, room, false);
    }
    shared.next_expiry_ms = std::min(shared.next_expiry_ms, to.expires_at_ms);
  });
}

}  // namespace usher::http
