#pragma once
// What WebSocket clients may watch: their place in a queue, the seats of a show, a reservation.

#include <boost/asio/io_context.hpp>

#include <memory>
#include <string_view>

#include "http/engine.hpp"
#include "http/websocket.hpp"

namespace usher::http {

/// Serves the channels `queue:<ticketId>` and `reservation:<id>` (their owner, service and operator), `seats:<showId>`
/// (whoever is authenticated) and `ops:<showId>` (operators: the funnel and the waiting room of a sale, a snapshot at most once
/// a second).
///
/// A snapshot answers each subscription, deltas follow: seats and reservations within a tick of 100 ms, a place in the
/// queue within three, so that what happens in between travels as one message. Values are absolute. `v` grows with each
/// change of a channel: of a reservation it is the ETag's version, else a position in the log of the show's partition.
/// Whoever subscribes with `since` gets the changes of seats from there on, and nothing where there are none.
///
/// A place is told again when it changed, or how long it waits did because the rate changed. What is the same for all who
/// wait in a show goes to each of their connections as one text, `{op:"room", show, v, data}`: within a tick where
/// it matters (a pause, a notice, the end), and once a second where only the number of those who wait is another.
/// Whoever watches a ticket keeps it from vanishing.
///
/// 64 channels a connection. Some 300 bytes for one that waits in a queue. Thread-safe.
class feeds final : public socket_handler {
 public:
  /// Starts the ticks. What the engine refers to, and `io`, outlive this.
  feeds(engine&, boost::asio::io_context& io);
  feeds(const projections::runner&, tokens&, const wall_clock&, cluster::presence&, boost::asio::io_context& io);
  ~feeds() override;

  void opened(std::shared_ptr<connection>) override;
  void message(const std::shared_ptr<connection>&, std::string_view text) override;
  void overflowed(const std::shared_ptr<connection>&) override;
  void closed(const std::shared_ptr<connection>&) override;

  /// What the read models answer may be another thing without records that say so: all who watch are told anew. Thread-safe.
  void start_over();
  /// A record that every read model has taken in: for runner::on_applied. Cost: a look at its events; it waits for no
  /// reader.
  void applied(const v1::Record&);

  /// Sends what is due. The timer does this every 100 ms; never at the same time from two threads. Nothing is read
  /// where nothing has changed.
  void tick();

  /// Ends the ticks and closes every connection with 1012, also those that open from now on. The reason is
  /// `retry-after-ms=<n>`, one to five seconds, spread evenly.
  void stop();

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace usher::http
