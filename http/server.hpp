#pragma once
// The listening side of a node: accepts connections and runs a session on each until it ends or the node stops.

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "events/vocabulary.hpp"
#include "http/auth.hpp"
#include "http/io_pool.hpp"
#include "http/metrics.hpp"
#include "http/rate_limit.hpp"
#include "http/router.hpp"
#include "http/websocket.hpp"

namespace usher::http {

struct server_settings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                      ///< 0: any free one
  std::size_t connections_max = 10'000;        ///< one more is answered with 503 and closed
  std::size_t header_bytes_max = 8 * 1024;     ///< 431
  std::chrono::milliseconds header_timeout{10'000};  ///< from a request's first byte, or the connection's start, to the end of its header
  std::chrono::milliseconds body_timeout{60'000};    ///< from the end of the header to the end of the body
  std::chrono::milliseconds idle_timeout{75'000};    ///< between two requests
  std::chrono::milliseconds write_timeout{30'000};   ///< for one answer
  websocket_settings websocket;
  rate_limit_settings limits;
};

/// What a server needs of the rest of the node. All of it outlives the server and the threads.
struct server_parts {
  const http::router& routes;
  http::tokens& tokens;
  const wall_clock& clock;
  http::metrics& metrics;
  socket_handler* sockets = nullptr;      ///< none: WebSocket upgrades are answered with 404
  std::string socket_path = "/ws";        ///< with and without /v1
};

/// An HTTP/1.1 and WebSocket server. Each connection stays on one of the given threads.
///
/// Answers of one connection come in the order of its requests. Time-outs are checked by one timer for all connections, so they
/// are exact to a quarter of the shortest of them, at most a second.
class server {
 public:
  server(io_pool&, server_settings, server_parts);
  ~server();  ///< the threads have ended, or stop() is done

  /// Listens and accepts from now on. @return the port. @error invalid_argument the address is none, or the port is taken
  [[nodiscard]] result<std::uint16_t> listen();

  /// Stops accepting, lets requests under way finish (answered with `Connection: close`), closes WebSockets with 1012, and returns
  /// when every connection is gone, or cuts off those that still are there at the deadline. Call it once, on the first of the threads.
  [[nodiscard]] asio::awaitable<void> stop(std::chrono::milliseconds deadline);

  [[nodiscard]] std::size_t connections() const;

  struct core;

 private:
  std::shared_ptr<core> core_;
};

}  // namespace usher::http
