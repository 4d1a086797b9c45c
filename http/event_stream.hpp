#pragma once
// Server-sent events: a feed's messages for a client that can't use a WebSocket.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <mutex>

#include "http/websocket.hpp"
#include "http/router.hpp"

namespace usher::http {

/// One answer of text/event-stream, which a socket_handler serves like any WebSocket: each message is one event's `data`.
///
/// A slow reader is treated as on a WebSocket. Before a restart the client is given its `retry` time.
class event_stream final : public connection, public std::enable_shared_from_this<event_stream> {
 public:
  /// @param executor  that of the thread on which `serve` runs
  /// @param id        unique among the connections of this process
  event_stream(boost::asio::any_io_executor executor, socket_handler&, std::uint64_t id, principal);

  /// Writes what comes until the stream is closed or the peer is gone; a comment every 15 s keeps it alive.
  asio::awaitable<void> serve(exchange&);

  void send(std::shared_ptr<const std::string> text) override;
  void close(std::uint16_t code, std::string reason) override;
  [[nodiscard]] std::optional<principal> caller() const override;
  void identify(principal) override;
  [[nodiscard]] std::uint64_t id() const override { return id_; }

 private:
  struct due {
    std::string text;
    bool last = false;
  };
  due take();
  void wake();
  void close_locked(std::uint16_t code, const std::string& reason);

  const boost::asio::any_io_executor executor_;
  socket_handler& handler_;
  const std::uint64_t id_;
  boost::asio::steady_timer timer_;  // on the executor

  mutable std::mutex mutex_;  // of everything below
  std::deque<std::shared_ptr<const std::string>> queue_;
  std::optional<std::string> farewell_;
  principal caller_;
  bool overflowed_ = false;  // since the queue was last empty
};

}  // namespace usher::http
