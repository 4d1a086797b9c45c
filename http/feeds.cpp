// Who watches what, what they were told last, and what they are told next.

#include "http/feeds.hpp"

#include <boost/asio/steady_timer.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "events/api.pb.h"
#include "events/json.hpp"

namespace usher::http {

namespace {

using projections::place_counts;
using projections::reservation_view;
using projections::show_counts;
using projections::show_seats;
using projections::ticket_status;
using projections::ticket_view;

constexpr std::chrono::milliseconds tick_every{100};
constexpr std::uint64_t queue_pace_ticks = 3;  // 3.3 messages a second, at most 4 are promised
constexpr std::size_t channels_max = 64;
constexpr std::size_t slice_readers = 1024;    // who are served before others may have the lock
constexpr std::uint64_t retry_ms_min = 1000;
constexpr std::uint64_t retry_ms_spread = 4000;
constexpr std::int64_t never_ms = std::numeric_limits<std::int64_t>::max();

using text_ptr = std::shared_ptr<const std::string>;
using connection_ptr = std::shared_ptr<connection>;

enum kind : std::uint8_t { queue, seats, reservation };
constexpr std::array<std::string_view, 3> words{"queue:", "seats:", "reservation:"};

struct channel {
  kind of = queue;
  std::string id;

  bool operator==(const channel&) const = default;
  [[nodiscard]] std::string name() const { return std::string{words[of]} + id; }
  /// What its readers are gathered by: everybody in the same queue changes together.
  [[nodiscard]] std::string topic() const { return of == queue ? show_of_ticket(id) : id; }
};

std::optional<channel> channel_from(std::string_view name) {
  for (const auto of : {queue, seats, reservation}) {
    if (name.starts_with(words[of]) && name.size() > words[of].size()) {
      return channel{of, std::string{name.substr(words[of].size())}};
    }
  }
  return std::nullopt;
}

/// A snapshot, or a delta where there is a `pv`. `data` writes the members.
template <class Data>
text_ptr message_text(const channel& of, std::uint64_t v, std::optional<std::uint64_t> pv, const Data& data) {
  auto text = std::make_shared<std::string>();
  json_writer out{*text};
  out.begin_object().member("op", pv ? "delta" : "snapshot").member("channel", of.name()).member("v", v);
  if (pv) out.member("pv", *pv);
  out.key("data").begin_object();
  data(out);
  out.end_object().end_object();
  return text;
}

text_ptr error_text(std::string_view channel_name, std::string_view code) {
  auto text = std::make_shared<std::string>();
  json_writer out{*text};
  out.begin_object().member("op", "error").member("channel", channel_name).member("code", code).end_object();
  return text;
}

text_ptr pong_text() { return std::make_shared<const std::string>(R"({"op":"pong"})"); }

void write_places(json_writer& out, const place_counts& counts) {
  out.member("capacity", counts.capacity)
      .member("available", counts.available)
      .member("held", counts.held)
      .member("sold", counts.sold)
      .member("blocked", counts.blocked);
}

void write_counts(json_writer& out, const show_seats& show, const show_counts& counts) {
  out.key("counts").begin_object();
  write_places(out, counts.total);
  out.key("tiers").begin_array();
  for (std::size_t i = 0; i < counts.tiers.size(); ++i) {
    out.begin_object().member("name", show.plan->tiers(static_cast<int>(i)).name());
    write_places(out, counts.tiers[i]);
    out.end_object();
  }
  out.end_array().key("generalAdmission").begin_array();
  for (std::size_t i = 0; i < counts.general_admission.size(); ++i) {
    out.begin_object().member("section", show.seating->sections_without_seats()[i].name);
    write_places(out, counts.general_admission[i]);
    out.end_object();
  }
  out.end_array().end_object();
}

text_ptr seats_snapshot(const show_seats& show) {
  return message_text({seats, show.show_id}, show.version, {}, [&](json_writer& out) {
    write_counts(out, show, show.counts);
    out.member("states", show.bits_base64());
  });
}

text_ptr seats_delta(const show_seats& show, const projections::seat_delta& delta) {
  return message_text({seats, show.show_id}, delta.to, delta.from, [&](json_writer& out) {
    out.key("changes").begin_array();
    for (const auto& change : delta.changes) {
      out.begin_array().value(change.seat).value(static_cast<int>(change.phase)).end_array();
    }
    out.end_array();
    write_counts(out, show, delta.counts);
  });
}

text_ptr reservation_text(const reservation_view& seen, std::optional<std::uint64_t> pv) {
  const auto& state = seen.state;
  return message_text({reservation, seen.reservation_id}, seen.version, pv, [&](json_writer& out) {
    out.member("reservationId", seen.reservation_id).member("status", v1::ReservationStatus_Name(state.status()));
    out.key("seats").begin_array();
    for (const auto& item : state.seats()) out.value(item.seat());
    out.end_array().key("generalAdmission").begin_array();
    for (const auto& item : state.general_admission()) {
      out.begin_object().member("section", item.section()).member("quantity", item.quantity()).end_object();
    }
    out.end_array().member("amount", state.amount()).member("currency", state.currency());
    out.member("holdExpiresAt", from_ms(state.hold_expires_at_ms()));
    if (!state.payment_id().empty()) out.member("paymentId", state.payment_id());
  });
}

/// One connection that watches one channel.
struct reader {
  connection_ptr to;
  std::uint64_t v = 0;  // what it was told last
  // Of a queue only:
  std::uint64_t sent_at_tick = 0;
  std::uint64_t position = 0;
  std::uint64_t total = 0;
  std::int64_t expires_at_ms = never_ms;  // when an admission ends, which no record tells
  ticket_status status = ticket_status::waiting;
};

/// The ticket's number (0 where it is no queue) and the connection's id.
using reader_key = std::pair<std::uint64_t, std::uint64_t>;

reader_key key_of(const channel& of, const connection& to) {
  return {of.of == queue ? number_of_ticket(of.id) : 0, to.id()};
}

/// All readers of a show's queue, of a show's seats, or of a reservation.
struct topic {
  std::map<reader_key, reader> readers;
  // Of seats: the last snapshot, shared by all who come at the same version.
  text_ptr snapshot;
  std::uint64_t snapshot_v = 0;
  // Of a queue:
  bool dirty = false;
  std::uint64_t flushed_at_tick = 0;
  std::int64_t next_expiry_ms = never_ms;  // no later than the first admission of a reader ends
};

struct session {
  connection_ptr to;
  std::vector<channel> channels;
};

using topics = std::map<std::string, topic, std::less<>>;

}  // namespace

struct feeds::impl : std::enable_shared_from_this<feeds::impl> {
  impl(const projections::runner& runner, tokens& issuer, const wall_clock& wall, boost::asio::io_context& io)
      : views(runner), access(issuer), clock(wall), timer(io) {}

  const projections::runner& views;
  tokens& access;
  const wall_clock& clock;

  // Sending happens with it held, so that one channel's messages leave in order: connection::send neither blocks nor
  // calls back. The views' own locks are taken inside of it, never the other way round.
  std::mutex mutex;
  std::unordered_map<std::uint64_t, session> sessions;
  std::array<topics, 3> watched;
  std::set<std::uint64_t> overflowed;
  std::uint64_t ticks = queue_pace_ticks;  // so that the first change of a queue is due at once
  bool stopped = false;

  // Apart from the rest, so that the thread of the read models never waits for a flush. A reader counts before it reads
  // a view: where `applied` sees none, whoever comes later finds the record in the view.
  std::mutex dirty_mutex;
  std::array<std::set<std::string>, 3> dirty;
  std::array<std::atomic<std::size_t>, 3> readers_count{};

  std::mutex timer_mutex;
  boost::asio::steady_timer timer;
  bool ticking = true;

  void note(kind, const std::string& topic_id);
  void arm();
  void tick();

  void auth(const connection_ptr&, const std::string& token);
  void subscribe(const connection_ptr&, const channel&, std::optional<std::uint64_t> since);
  [[nodiscard]] std::string_view refusal(const channel&, const principal&) const;
  [[nodiscard]] reader* add(const connection_ptr&, const channel&);
  void remove(const connection&, const channel&);

  void begin(const channel&, topic&, reader&, std::optional<std::uint64_t> since);
  void begin_seats(const std::string& show_id, topic&, reader&, std::optional<std::uint64_t> since);
  void begin_queue(const std::string& ticket_id, topic&, reader&);
  void begin_reservation(const std::string& reservation_id, reader&, std::optional<std::uint64_t> since);
  [[nodiscard]] text_ptr shared_snapshot(topic&, const show_seats&) const;
  [[nodiscard]] std::uint64_t admit_per_window(std::string_view show_id) const;
  [[nodiscard]] std::optional<reservation_view> find_reservation(const std::string& reservation_id) const;
  void send_place(const ticket_view&, topic&, reader&, std::uint64_t log_index, std::uint64_t per_window, bool whole);
  void write_place(json_writer&, const ticket_view&, std::uint64_t per_window) const;

  template <class Each>
  void each_reader(kind, const std::string& topic_id, const Each& each);
  void refresh_overflowed();
  void flush_seats(const std::string& show_id);
  void flush_reservation(const std::string& reservation_id);
  [[nodiscard]] std::vector<std::string> due_queues(const std::set<std::string>& changed);
  void flush_queue(const std::string& show_id);
};

feeds::feeds(engine& e, boost::asio::io_context& io) : feeds(e.views, e.access, e.clock, io) {}

feeds::feeds(const projections::runner& views, tokens& access, const wall_clock& clock, boost::asio::io_context& io)
    : impl_(std::make_shared<impl>(views, access, clock, io)) {
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
      impl_->sessions.try_emplace(to->id(), session{to, {}});
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
    if (event.has_queue()) impl_->note(queue, stream.group());
    if (event.has_reservation()) impl_->note(reservation, stream.name());
  }
}

void feeds::tick() { impl_->tick(); }

void feeds::impl::note(kind of, const std::string& topic_id) {
  if (readers_count[of].load() == 0) return;
  const std::lock_guard lock(dirty_mutex);
  dirty[of].insert(topic_id);
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
  from->identify({said->user_id, said->role, said->expires_at});
}

void feeds::impl::subscribe(const connection_ptr& from, const channel& wanted, std::optional<std::uint64_t> since) {
  const auto who = from->caller();
  if (!who || who->expires_at <= clock.now()) return from->close(close_unauthenticated, "authenticate first");
  if (const auto code = refusal(wanted, *who); !code.empty()) return from->send(error_text(wanted.name(), code));
  const std::lock_guard lock(mutex);
  auto* to = add(from, wanted);  // before the view is read: see readers_count
  if (to != nullptr) begin(wanted, watched[wanted.of].at(wanted.topic()), *to, since);
}

// Why the caller may not watch a channel; empty where it may.
std::string_view feeds::impl::refusal(const channel& wanted, const principal& who) const {
  const auto judged = [&who](std::string_view owner) -> std::string_view {
    return who.may_act_for(owner) ? "" : "forbidden";
  };
  switch (wanted.of) {
    case queue: {
      const auto ticket = views.views().queues.by_ticket(wanted.id, clock.now());
      return ticket ? judged(ticket->user_id) : "not-found";
    }
    case seats: return views.views().seat_map.seating(wanted.id) ? "" : "not-found";
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
  }
  auto& one = watched[wanted.of][wanted.topic()].readers[key_of(wanted, *to)];
  one.to = to;
  return &one;
}

void feeds::impl::remove(const connection& from, const channel& unwanted) {
  const auto found = sessions.find(from.id());
  if (found == sessions.end() || std::erase(found->second.channels, unwanted) == 0) return;
  --readers_count[unwanted.of];
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
  }
}

void feeds::impl::begin_seats(const std::string& show_id, topic& shared, reader& to, std::optional<std::uint64_t> since) {
  const auto show = views.views().seat_map.find(show_id);
  if (!show) return;
  if (const auto delta = since ? views.views().seat_map.changes_since(show_id, *since) : std::nullopt) {
    to.v = delta->to;
    if (delta->to != *since) to.to->send(seats_delta(*show, *delta));
    return;
  }
  to.v = show->version;
  to.to->send(shared_snapshot(shared, *show));
}

text_ptr feeds::impl::shared_snapshot(topic& shared, const show_seats& show) const {
  if (!shared.snapshot || shared.snapshot_v != show.version) {
    shared.snapshot = seats_snapshot(show);
    shared.snapshot_v = show.version;
  }
  return shared.snapshot;
}

// Always a snapshot: it is as small as a delta.
void feeds::impl::begin_queue(const std::string& ticket_id, topic& shared, reader& to) {
  const auto show_id = show_of_ticket(ticket_id);
  const auto log_index = views.applied(partition_of(show_id));  // before the view is read, so that it never claims too much
  const auto seen = views.views().queues.by_ticket(ticket_id, clock.now());
  if (seen) send_place(*seen, shared, to, log_index, admit_per_window(show_id), true);
}

void feeds::impl::begin_reservation(const std::string& reservation_id, reader& to, std::optional<std::uint64_t> since) {
  const auto seen = find_reservation(reservation_id);
  if (!seen) return;
  to.v = seen->version;
  if (since != seen->version) to.to->send(reservation_text(*seen, std::nullopt));
}

std::optional<reservation_view> feeds::impl::find_reservation(const std::string& reservation_id) const {
  auto found = views.views().reservations.find(reservation_id);
  if (found) return std::move(*found);
  spdlog::error("event=feed_read_failed reservation={} detail=\"{}\"", reservation_id, found.error().detail);
  return std::nullopt;
}

std::uint64_t feeds::impl::admit_per_window(std::string_view show_id) const {
  const auto totals = views.views().queues.totals(show_id, clock.now());
  return totals ? totals->admit_per_window : 0;
}

void feeds::impl::send_place(const ticket_view& seen, topic& shared, reader& to, std::uint64_t log_index,
                             std::uint64_t per_window, bool whole) {
  const auto pv = to.v;
  to.v = std::max(log_index, pv + 1);
  to.sent_at_tick = ticks;
  to.status = seen.status;
  to.position = seen.position;
  to.total = seen.total;
  to.expires_at_ms = seen.status == ticket_status::admitted ? seen.admission_expires_at_ms : never_ms;
  shared.next_expiry_ms = std::min(shared.next_expiry_ms, to.expires_at_ms);
  to.to->send(message_text({queue, seen.ticket_id}, to.v, whole || pv == 0 ? std::nullopt : std::optional{pv},
                           [&](json_writer& out) { write_place(out, seen, per_window); }));
}

void feeds::impl::write_place(json_writer& out, const ticket_view& seen, std::uint64_t per_window) const {
  out.member("status", projections::word_of(seen.status))
      .member("position", seen.position)
      .member("ahead", seen.ahead)
      .member("total", seen.total);
  out.key("eta").begin_object().member("p50", seen.eta_p50_s).member("p90", seen.eta_p90_s).end_object();
  out.member("admittedPerWindow", per_window).member("paused", false);
  if (seen.status != ticket_status::admitted) return;
  claims right;
  right.purpose = purpose::admission;
  right.user_id = seen.user_id;
  right.show_id = seen.show_id;
  right.ticket_id = seen.ticket_id;
  right.expires_at = from_ms(seen.admission_expires_at_ms);
  out.key("admission").begin_object();
  out.member("token", access.issue(right)).member("expiresAt", right.expires_at).end_object();
}

void feeds::impl::tick() {
  std::array<std::set<std::string>, 3> changed;
  {
    const std::lock_guard lock(dirty_mutex);
    changed.swap(dirty);
  }
  refresh_overflowed();
  for (const auto& id : changed[seats]) flush_seats(id);
  for (const auto& id : changed[reservation]) flush_reservation(id);
  for (const auto& id : due_queues(changed[queue])) flush_queue(id);
}

// Visits the readers of a topic with the lock held, but not for all of them at a stretch.
template <class Each>
void feeds::impl::each_reader(kind of, const std::string& topic_id, const Each& each) {
  std::optional<reader_key> last;
  for (;;) {
    const std::lock_guard lock(mutex);
    const auto found = watched[of].find(topic_id);
    if (found == watched[of].end()) return;
    auto& readers = found->second.readers;
    auto at = last ? readers.upper_bound(*last) : readers.begin();
    for (std::size_t n = 0; at != readers.end() && n < slice_readers; ++at, ++n) {
      each(found->second, at->first, at->second);
      last = at->first;
    }
    if (at == readers.end()) return;
  }
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

void feeds::impl::flush_seats(const std::string& show_id) {
  std::shared_ptr<const show_seats> show;
  std::map<std::uint64_t, std::pair<text_ptr, std::uint64_t>> made;  // by the version that a reader has
  each_reader(seats, show_id, [&](topic& shared, const reader_key&, reader& to) {
    if (!show) show = views.views().seat_map.find(show_id);
    if (!show || to.v >= show->version) return;
    auto [found, fresh] = made.try_emplace(to.v);
    auto& [text, v] = found->second;
    if (fresh) {
      const auto delta = views.views().seat_map.changes_since(show_id, to.v);
      text = delta ? seats_delta(*show, *delta) : shared_snapshot(shared, *show);
      v = delta ? delta->to : show->version;
    }
    to.v = v;
    to.to->send(text);
  });
}

void feeds::impl::flush_reservation(const std::string& reservation_id) {
  std::optional<reservation_view> seen;
  std::map<std::uint64_t, text_ptr> made;  // by the version that a reader has
  each_reader(reservation, reservation_id, [&](topic&, const reader_key&, reader& to) {
    if (!seen) seen = find_reservation(reservation_id);
    if (!seen || to.v >= seen->version) return;
    auto& text = made[to.v];
    if (!text) text = reservation_text(*seen, to.v == 0 ? std::nullopt : std::optional{to.v});
    to.v = seen->version;
    to.to->send(text);
  });
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
  const auto per_window = admit_per_window(show_id);
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
      return send_place(*seen, shared, to, log_index, per_window, false);
    }
    shared.next_expiry_ms = std::min(shared.next_expiry_ms, to.expires_at_ms);
  });
}

}  // namespace usher::http
