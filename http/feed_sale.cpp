// What operators are told of a sale: its funnel and its waiting room, in one text for all of them.

#include "http/bodies.hpp"
#include "http/feeds_impl.hpp"
#include "http/tickets.hpp"

namespace usher::http {

namespace {

constexpr std::uint64_t sale_pace_ticks = 10;  // between two messages

}  // namespace

// Always a snapshot: values are absolute, and all readers share it.
text_ptr feeds::impl::sale_text(const std::string& show_id, std::uint64_t log_index) const {
  const auto room = totals_of(show_id);
  return message_text({ops, show_id}, log_index, {}, [&](json_writer& out) {
    write_funnel(out, views.views().funnels.find(show_id));
    out.member("waiting", room.waiting).member("inside", room.inside);
    out.raw(room_members(room));
  });
}

void feeds::impl::begin_sale(const std::string& show_id, reader& to) {
  to.v = views.applied(partition_of(show_id));  // before the views are read, so that it never claims too much
  to.to->send(sale_text(show_id, to.v));
}

// Sales that changed, now or when it was too early to tell.
std::vector<std::string> feeds::impl::due_sales(const std::set<std::string>& changed) {
  std::vector<std::string> due;
  const std::lock_guard lock(mutex);
  for (auto& [show_id, shared] : watched[ops]) {
    if (changed.contains(show_id)) shared.dirty = true;
    if (!shared.dirty || ticks - shared.flushed_at_tick < sale_pace_ticks) continue;
    shared.dirty = false;
    shared.flushed_at_tick = ticks;
    due.push_back(show_id);
  }
  return due;
}

void feeds::impl::flush_sale(const std::string& show_id) {
  const auto log_index = views.applied(partition_of(show_id));
  const auto text = sale_text(show_id, log_index);
  each_reader(ops, show_id, [&](topic&, const reader_key&, reader& to) {
    if (to.v >= log_index) return;
    to.v = log_index;
    to.to->send(text);
  });
}

}  // namespace usher::http
