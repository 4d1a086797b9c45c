// Sessions, subscriptions and ticks: who watches what, and when they are told.

#include <spdlog/spdlog.h>

#include <algorithm>

#include "events/api.pb.h"
#include "http/feeds_impl.hpp"

namespace usher::http {

namespace {

constexpr std::chrono::milliseconds tick_every{100};
constexpr std::size_t channels_max = 64;
constexpr std::uint64_t retry_ms_min = 1000;
constexpr std::uint64_t retry_ms_spread = 4000;

std::optional<channel> channel_from(std::string_view name) {
  for (const auto of : {queue, seats, reservation, ops}) {
    if (name.starts_with(channel_words[of]) && name.size() > channel_words[of].size()) {
      return channel{of, std::string{name.substr(channel_words[of].size())}};
    }
  }
  return std::nullopt;
}

text_ptr error_text(std::string_view channel_name, std::string_view code) {
  auto text = std::make_shared<std::string>();
  json_writer out{*text};
  out.begin_object().member("op", "error").member("channel", channel_name).member("code", code).end_object();
  return text;
}

text_ptr pong_text() { return std::make_shared<const std::string>(R"({"op":"pong"})"); }

}  // namespace

feeds::feeds(engine& e, boost::asio::io_context& io) : feeds(e.views, e.access, e.clock, e.presence, io) {}

feeds::feeds(const projections::runner& views, tokens& access, const wall_clock& clock, cluster::presence& presence,
             boost::asio::io_context& io)
    : impl_(std::make_shared<impl>(views, access, clock, presence, io)) {
  impl_->arm();
}

feeds::~feeds() {
  const std::lock_guard lock(impl_->timer_mutex);
  impl_->ticking = false;
  impl_->timer.cancel();
}

void feeds::stop() {
  {
    const std::lock_guard lock(impl_->timer_mutex);
    impl_->ticking = false;
    impl_->timer.cancel();
  }
  std::vector<connection_ptr> all;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
    for (const auto& [id, one] : impl_->sessions) all.push_back(one.to);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto wait_ms = retry_ms_min + retry_ms_spread * i / all.size();
    all[i]->close(close_restarting, "retry-after-ms=" + std::to_string(wait_ms));
  }
}

void feeds::opened(std::shared_ptr<connection> to) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->stopped) {
      impl_->sessions.try_emplace(to->id(), watcher{to, {}});
      return;
    }
  }
  to->close(close_restarting, "retry-after-ms=" + std::to_string(retry_ms_min + to->id() % retry_ms_spread));
}

void feeds::message(const std::shared_ptr<connection>& from, std::string_view text) {
  v1::SocketBody body;
  if (!from_json(text, body).empty()) return from->close(close_bad_message, "not a message of usher.v1");
  if (body.op() == "ping") return from->send(pong_text());
  if (body.op() == "auth") return impl_->auth(from, body.token());
  if (body.op() != "subscribe" && body.op() != "unsubscribe") return from->close(close_bad_message, "unknown op");
  const auto wanted = channel_from(body.channel());
  if (!wanted) return from->close(close_bad_message, "unknown channel");
  if (body.op() == "subscribe") {
    impl_->subscribe(from, *wanted, body.has_since() ? std::optional{body.since()} : std::nullopt);
  } else {
    const std::lock_guard lock(impl_->mutex);
    impl_->remove(*from, *wanted);
  }
}

void feeds::overflowed(const std::shared_ptr<connection>& slow) {
  const std::lock_guard lock(impl_->mutex);
  impl_->overflowed.insert(slow->id());
}

void feeds::closed(const std::shared_ptr<connection>& gone) {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->sessions.find(gone->id());
  if (found == impl_->sessions.end()) return;
  while (!found->second.channels.empty()) impl_->remove(*gone, channel{found->second.channels.back()});
  impl_->sessions.erase(found);
  impl_->overflowed.erase(gone->id());
}

void feeds::applied(const v1::Record& record) {
  for (const auto& event : record.events()) {
    const auto& stream = event.stream();
    if (event.has_seat() || event.has_stock()) impl_->note(seats, stream.group());
    if (event.has_queue()) impl_->note_room(stream.group());
    if (event.has_queue() && !event.queue().has_joined()) impl_->note(queue, stream.group());  // who joins moves nobody
    if (event.has_reservation()) impl_->note(reservation, stream.name());
    if (event.has_reservation() || event.has_queue()) impl_->note(ops, stream.group());
  }
}

void feeds::start_over() {
  const std::lock_guard lock(impl_->mutex);
  for (auto& topics : impl_->watched) {
    for (auto& [id, shared] : topics) {
      shared.snapshot.reset();  // the same version may mean something else now
      shared.room.clear();
    }
  }
  for (const auto& [id, one] : impl_->sessions) impl_->overflowed.insert(id);
}

void feeds::tick() { impl_->tick(); }

void feeds::impl::note(channel_kind of, const std::string& topic_id) {
  if (readers_count[of].load() == 0) return;
  const std::lock_guard lock(dirty_mutex);
  dirty[of].insert(topic_id);
}

void feeds::impl::note_room(const std::string& show_id) {
  if (readers_count[queue].load() == 0) return;
  const std::lock_guard lock(dirty_mutex);
  dirty_rooms.insert(show_id);
}

void feeds::impl::arm() {
  const std::lock_guard lock(timer_mutex);
  if (!ticking) return;
  timer.expires_after(tick_every);
  timer.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (cancelled || !self) return;
    self->tick();
    self->arm();
  });
}

void feeds::impl::auth(const connection_ptr& from, const std::string& token) {
  const auto said = access.verify(token, purpose::access, clock.now());
  if (!said) return from->close(close_unauthenticated, "no valid access token");
  const auto before = from->caller();
  if (before && (before->user_id != said->user_id || before->role != said->role)) {
    // What is subscribed already was allowed to somebody else.
    return from->close(close_unauthenticated, "a connection belongs to one user");
  }
  from->identify({said->user_id, said->role, said->expires_at, said->device});
}

void feeds::impl::subscribe(const connection_ptr& from, const channel& wanted, std::optional<std::uint64_t> since) {
  const auto who = from->caller();
  if (!who || who->expires_at <= clock.now()) return from->close(close_unauthenticated, "authenticate first");
  if (const auto code = refusal(wanted, *who); !code.empty()) return from->send(error_text(wanted.name(), code));
  const std::lock_guard lock(mutex);
  auto* to = add(from, wanted);  // before the view is read: see readers_count
  if (to == nullptr) return;
  to->device = who->device;
  begin(wanted, watched[wanted.of].at(wanted.topic()), *to, since);
}

// Why the caller may not watch a channel; empty where it may.
std::string_view feeds::impl::refusal(const channel& wanted, const principal& who) const {
  const auto judged = [&who](std::string_view owner) -> std::string_view {
    return who.may_act_for(owner) ? "" : "forbidden";
  };
  switch (wanted.of) {
    case queue: {
      const auto ticket = views.views().queues.by_ticket(wanted.id, clock.now());
      if (!ticket) return "not-found";
      if (const auto code = judged(ticket->user_id); !code.empty()) return code;
      return same_device(ticket->device, who.device) ? "" : "ticket-moved";
    }
    case seats: return views.views().seat_map.seating(wanted.id) ? "" : "not-found";
    case ops:
      if (who.role != role::operator_) return "forbidden";
      return views.views().seat_map.seating(wanted.id) ? "" : "not-found";
    case reservation: {
      const auto found = views.views().reservations.find(wanted.id);
      if (!found) return "busy";
      return *found ? judged((*found)->state.user_id()) : "not-found";
    }
  }
  return "not-found";
}

// Notes a reader, or finds it where it subscribes again. nullptr: the connection ended, or watches too much and is closed.
reader* feeds::impl::add(const connection_ptr& to, const channel& wanted) {
  const auto found = sessions.find(to->id());
  if (found == sessions.end()) return nullptr;
  auto& channels = found->second.channels;
  if (std::find(channels.begin(), channels.end(), wanted) == channels.end()) {
    if (channels.size() == channels_max) {
      to->close(close_bad_message, "too many channels");
      return nullptr;
    }
    channels.push_back(wanted);
    ++readers_count[wanted.of];
    if (wanted.of == queue) presence.hold(wanted.id);
  }
  auto& one = watched[wanted.of][wanted.topic()].readers[key_of(wanted, *to)];
  one.to = to;
  return &one;
}

void feeds::impl::remove(const connection& from, const channel& unwanted) {
  const auto found = sessions.find(from.id());
  if (found == sessions.end() || std::erase(found->second.channels, unwanted) == 0) return;
  --readers_count[unwanted.of];
  if (unwanted.of == queue) presence.release(unwanted.id);
  auto& all = watched[unwanted.of];
  const auto at = all.find(unwanted.topic());
  at->second.readers.erase(key_of(unwanted, from));
  if (at->second.readers.empty()) all.erase(at);
}

// Brings a reader from `since`, or from nothing, to now.
void feeds::impl::begin(const channel& of, topic& shared, reader& to, std::optional<std::uint64_t> since) {
  switch (of.of) {
    case queue: return begin_queue(of.id, shared, to);
    case seats: return begin_seats(of.id, shared, to, since);
    case reservation: return begin_reservation(of.id, to, since);
    case ops: return begin_sale(of.id, to);
  }
}

void feeds::impl::tick() {
  std::array<std::set<std::string>, channel_kinds> changed;
  std::set<std::string> changed_rooms;
  {
    const std::lock_guard lock(dirty_mutex);
    changed.swap(dirty);
    changed_rooms.swap(dirty_rooms);
  }
  refresh_overflowed();
  for (const auto& id : changed[seats]) flush_seats(id);
  for (const auto& id : changed[reservation]) flush_reservation(id);
  for (const auto& [id, text] : due_rooms(changed_rooms)) tell_room(id, text);
  for (const auto& id : due_queues(changed[queue])) flush_queue(id);
  for (const auto& id : due_sales(changed[ops])) flush_sale(id);
}

void feeds::impl::refresh_overflowed() {
  const std::lock_guard lock(mutex);
  for (const auto id : std::exchange(overflowed, {})) {
    const auto found = sessions.find(id);
    if (found == sessions.end()) continue;
    for (const auto& of : found->second.channels) {
      auto& shared = watched[of.of].at(of.topic());
      begin(of, shared, shared.readers.at(key_of(of, *found->second.to)), std::nullopt);
    }
  }
}

}  // namespace usher::http
