#pragma once
// A WebSocket as its handler sees it: text messages in, text messages out, with limits on both.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/auth.hpp"

namespace usher::http {

struct websocket_settings {
  std::string subprotocol = "usher.v1";   ///< chosen where the client offers it; a client that offers only others is refused
  std::size_t message_bytes_max = 4 * 1024;  ///< a longer one closes with 1009
  std::size_t messages_per_second = 50;      ///< more closes with 4029
  std::size_t queue_messages_max = 64;       ///< not yet sent; more is an overflow
  std::chrono::milliseconds idle_timeout{30'000};  ///< after half of it in silence a ping is sent, after all of it the connection is cut
};

/// Close codes of the interface.
enum close_code : std::uint16_t {
  close_normal = 1000,
  close_restarting = 1012,
  close_unauthenticated = 4001,
  close_bad_message = 4002,
  close_slow_reader = 4008,
  close_ticket_moved = 4009,
  close_too_many_messages = 4029,
};

/// One open WebSocket. Every member may be called from any thread.
class connection {
 public:
  virtual ~connection() = default;

  /// Queues a text message; it is sent after all that were queued before. Never blocks.
  ///
  /// Where the queue is full it is emptied, this message too, and socket_handler::overflowed is called on the connection's thread.
  /// Full once more before all of what followed was sent: closed with 4008. Nothing happens on a closed connection.
  virtual void send(std::shared_ptr<const std::string> text) = 0;

  /// Closes after the message that is being sent now; what is queued is dropped. Only the first call counts.
  virtual void close(std::uint16_t code, std::string reason) = 0;

  /// Whoever the Authorization header of the upgrade named, or identify() since.
  [[nodiscard]] virtual std::optional<principal> caller() const = 0;
  virtual void identify(principal) = 0;

  /// Unique among the connections of this process.
  [[nodiscard]] virtual std::uint64_t id() const = 0;
};

/// What answers WebSockets. Calls for one connection come one at a time, in order, on its thread; those for several come in parallel.
/// A handler doesn't block.
struct socket_handler {
  virtual ~socket_handler() = default;
  virtual void opened(std::shared_ptr<connection>) = 0;
  virtual void message(const std::shared_ptr<connection>&, std::string_view text) = 0;  ///< `text` lives as long as the call
  /// What was queued for this reader has been dropped: send it fresh snapshots.
  virtual void overflowed(const std::shared_ptr<connection>&) = 0;
  virtual void closed(const std::shared_ptr<connection>&) = 0;                          ///< once, after everything else
};

}  // namespace usher::http
