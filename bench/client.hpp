// The clients of this folder: a pool of HTTP connections, a WebSocket and an event stream that coroutines wait on, and a closed
// loop that only measures.
#pragma once

#include "bench/histogram.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/http/verb.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace usher::bench {

struct endpoint {
  std::string host;
  std::uint16_t port = 0;
};

using headers = std::vector<std::pair<std::string, std::string>>;

struct http_request {
  boost::beast::http::verb method = boost::beast::http::verb::get;
  std::string target;
  std::string body;  // JSON, or empty
  headers fields;
  std::chrono::steady_clock::time_point give_up = std::chrono::steady_clock::time_point::max();  // its connection is dropped then
};

/// What came back. `status` 0: nothing did, and `body` is the reason in words; the server may have acted all the same.
struct http_reply {
  int status = 0;
  std::string body;
  std::string log_position;  // the header of that name, or empty
  unsigned retry_after_s = 0;
  std::string etag;          // the header of that name, or empty
};

/// Keep-alive connections to one server, shared by any number of coroutines of one single-threaded io_context.
///
/// At most `connections` requests are in flight; whoever comes later waits in the order of arrival.
/// A request that fails on a connection used before (the server may have closed it while idle) is sent once more on a
/// new one; so every write needs an Idempotency-Key.
class connection_pool {
 public:
  connection_pool(boost::asio::io_context& io, endpoint server, std::size_t connections);
  ~connection_pool();
  connection_pool(const connection_pool&) = delete;
  connection_pool& operator=(const connection_pool&) = delete;

  /// Sends one request and waits for its answer, for at most 35 s once it has a connection, and until `give_up`. Never throws.
  boost::asio::awaitable<http_reply> send(http_request request);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// One WebSocket, text messages only, of a single-threaded io_context.
class websocket_client {
 public:
  explicit websocket_client(boost::asio::io_context& io);
  ~websocket_client();
  websocket_client(websocket_client&&) noexcept;
  websocket_client& operator=(websocket_client&&) noexcept;

  /// Connects to `/ws` with subprotocol `usher.v1` and the bearer token; every later wait ends at `deadline`.
  /// @return  false where the server can't be reached or refuses the upgrade
  boost::asio::awaitable<bool> connect(endpoint server, std::string token, std::chrono::steady_clock::time_point deadline);
  boost::asio::awaitable<bool> send(std::string message);
  /// The next message, or nothing once the connection is gone or the deadline has passed.
  boost::asio::awaitable<std::optional<std::string>> receive();

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// One stream of server-sent events, of a single-threaded io_context.
class event_source {
 public:
  explicit event_source(boost::asio::io_context& io);
  ~event_source();
  event_source(event_source&&) noexcept;
  event_source& operator=(event_source&&) noexcept;

  /// Asks for the stream; every later wait ends at `deadline`.
  /// @return  status 200 once the stream is open; else the refusal with its body, or 0 where the server can't be reached
  boost::asio::awaitable<http_reply> connect(endpoint server, std::string target, std::chrono::steady_clock::time_point deadline);
  /// The data of the next event, or nothing once the stream has ended or the deadline has passed.
  boost::asio::awaitable<std::optional<std::string>> receive();

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Sends a GET and reads an answer of any length line by line, as it comes. Blocking.
///
/// @param on_line  without the line's end; valid during the call; false ends it
/// @return  status 200 where all of it came, or `on_line` had enough; else the refusal with its body, or 0 where the server can't
///          be reached or the answer broke off
http_reply read_lines(const endpoint& server, const std::string& target, const headers& fields,
                      const std::function<bool(std::string_view line)>& on_line);

/// One request of the closed loop, as the bytes that go onto the wire.
std::string wire_bytes(const http_request& request);

/// Writes the next request for a connection into `bytes` (which it may reuse); false: this connection has nothing more to send.
using request_source = std::function<bool(std::size_t connection, std::string& bytes)>;

struct load {
  endpoint server;                  // host is an IPv4 address
  std::size_t connections = 64;
  std::chrono::milliseconds at_most{0};  // no new request after this long; 0: until the source is exhausted
};

struct load_result {
  std::map<int, std::uint64_t> by_status;  // 0: the connection broke
  histogram latency;                       // of successful (2xx) answers
  double seconds = 0;                      // first request to last answer
  std::size_t body_bytes = 0;              // of the latest successful answer
  std::string first_refusal;               // body of the first answer outside 2xx, for the reader

  [[nodiscard]] std::uint64_t succeeded() const { return latency.count(); }
  [[nodiscard]] double per_second() const { return seconds > 0 ? static_cast<double>(succeeded()) / seconds : 0; }
};

/// Keeps one request in flight on each connection and measures each answer.
///
/// Blocking, one thread, raw epoll and a minimal parse (status line and Content-Length), so that the tool costs less than
/// what it measures. A closed loop sends nothing while it waits, so a stall shows up once per connection and not
/// once per missed request: its percentiles describe the saturated server, not what an arriving crowd sees (rehearse does).
/// Throws std::system_error where it can't connect at all.
load_result run_closed_loop(const load& what, const request_source& source);

/// Raises the limit of open files to what the system allows; returns the limit in force.
std::size_t raise_file_limit();

}  // namespace usher::bench
