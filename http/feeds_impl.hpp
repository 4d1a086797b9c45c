#pragma once
// The inside of the feeds: who watches what, and what they were told last. feeds.cpp has the sessions and the ticks,
// feed_queue.cpp and feed_seats.cpp what is said.

#include <boost/asio/steady_timer.hpp>

#include <array>
#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cluster/presence.hpp"
#include "events/json.hpp"
#include "http/feeds.hpp"

namespace usher::http {

namespace feed {

inline constexpr std::size_t slice_readers = 1024;  // who are served before others may have the lock
inline constexpr std::uint64_t queue_pace_ticks = 3;    // 3.3 messages a second, at most 4 are promised
inline constexpr std::int64_t never_ms = std::numeric_limits<std::int64_t>::max();

using text_ptr = std::shared_ptr<const std::string>;
using connection_ptr = std::shared_ptr<connection>;

enum channel_kind : std::uint8_t { queue, seats, reservation, ops };
inline constexpr std::size_t channel_kinds = 4;
inline constexpr std::array<std::string_view, channel_kinds> channel_words{"queue:", "seats:", "reservation:", "ops:"};

struct channel {
  channel_kind of = queue;
  std::string id;

  bool operator==(const channel&) const = default;
  [[nodiscard]] std::string name() const { return std::string{channel_words[of]} + id; }
  /// What its readers are gathered by: everybody in the same queue changes together.
  [[nodiscard]] std::string topic() const { return of == queue ? show_of_ticket(id) : id; }
};

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

/// One connection that watches one channel.
struct reader {
  connection_ptr to;
  std::uint64_t v = 0;  // what it was told last
  // Of a queue only:
  std::uint64_t sent_at_tick = 0;
  std::uint64_t position = 0;
  std::uint64_t pace = 0;                 // of its topic, when it was told how long it waits
  std::int64_t expires_at_ms = never_ms;  // when an admission ends, which no record tells
  projections::ticket_status status = projections::ticket_status::waiting;
  std::uint32_t device = 0;  // that it watches from
};

/// The connection's id and the ticket's number (0 where it is no queue): all of a connection's readers of a topic in a row.
using reader_key = std::pair<std::uint64_t, std::uint64_t>;

inline reader_key key_of(const channel& of, const connection& to) {
  return {to.id(), of.of == queue ? number_of_ticket(of.id) : 0};
}

/// All readers of a show's queue, of a show's seats, of a reservation, or of how a show's sale goes.
struct topic {
  std::map<reader_key, reader> readers;
  // Of seats: the last snapshot, shared by all who come at the same version.
  text_ptr snapshot;
  std::uint64_t snapshot_v = 0;
  // Of a queue, its places; of a sale:
  bool dirty = false;
  std::uint64_t flushed_at_tick = 0;
  std::int64_t next_expiry_ms = never_ms;  // no later than the first admission of a reader ends
  // and its room, as all were told last:
  bool room_dirty = false;
  std::uint64_t room_told_at_tick = 0;
  std::string room;
  std::string totals;
  std::string rate;                        // what estimates depend on
  std::uint64_t pace = 0;                  // counts the changes of the rate
};

/// One connection and all that it watches.
struct watcher {
  connection_ptr to;
  std::vector<channel> channels;
};

using topics = std::map<std::string, topic, std::less<>>;

}  // namespace feed

using namespace feed;  // the feeds' own files see this

struct feeds::impl : std::enable_shared_from_this<feeds::impl> {
  impl(const projections::runner& runner, tokens& issuer, const wall_clock& wall, cluster::presence& who_is_there,
       boost::asio::io_context& io)
      : views(runner), access(issuer), clock(wall), presence(who_is_there), timer(io) {}

  const projections::runner& views;
  tokens& access;
  const wall_clock& clock;
  cluster::presence& presence;

  // Sending happens with it held, so that one channel's messages leave in order: connection::send neither blocks nor
  // calls back. The views' own locks are taken inside of it, never the other way round.
  std::mutex mutex;
  std::unordered_map<std::uint64_t, watcher> sessions;
  std::array<topics, channel_kinds> watched;
  std::set<std::uint64_t> overflowed;
  std::uint64_t ticks = queue_pace_ticks;  // so that the first change of a queue is due at once
  bool stopped = false;

  // Apart from the rest, so that the thread of the read models never waits for a flush. A reader counts before it reads
  // a view: where `applied` sees none, whoever comes later finds the record in the view.
  std::mutex dirty_mutex;
  std::array<std::set<std::string>, channel_kinds> dirty;
  std::set<std::string> dirty_rooms;  // shows
  std::array<std::atomic<std::size_t>, channel_kinds> readers_count{};

  std::mutex timer_mutex;
  boost::asio::steady_timer timer;
  bool ticking = true;

  void note(channel_kind, const std::string& topic_id);
  void note_room(const std::string& show_id);
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
  [[nodiscard]] text_ptr sale_text(const std::string& show_id, std::uint64_t log_index) const;
  void begin_sale(const std::string& show_id, reader&);
  [[nodiscard]] text_ptr shared_snapshot(topic&, const projections::show_seats&) const;
  [[nodiscard]] projections::queue_totals totals_of(std::string_view show_id) const;
  [[nodiscard]] std::optional<projections::reservation_view> find_reservation(const std::string& reservation_id) const;
  void send_place(const projections::ticket_view&, topic&, reader&, std::uint64_t log_index, std::string_view room, bool whole);

  template <class Each>
  void each_reader(channel_kind, const std::string& topic_id, const Each& each);
  void refresh_overflowed();
  void flush_seats(const std::string& show_id);
  void flush_reservation(const std::string& reservation_id);
  [[nodiscard]] std::vector<std::string> due_queues(const std::set<std::string>& changed);
  void flush_queue(const std::string& show_id);
  [[nodiscard]] std::map<std::string, text_ptr> due_rooms(const std::set<std::string>& changed);
  void tell_room(const std::string& show_id, const text_ptr&);
  [[nodiscard]] std::vector<std::string> due_sales(const std::set<std::string>& changed);
  void flush_sale(const std::string& show_id);
};

// Visits the readers of a topic with the lock held, but not for all of them at a stretch.
template <class Each>
void feeds::impl::each_reader(channel_kind of, const std::string& topic_id, const Each& each) {
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

}  // namespace usher::http
