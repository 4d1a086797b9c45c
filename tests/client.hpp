#pragma once
// A node in this process whose clock stands still until a test moves it, and what talks to it over real sockets.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "http/auth.hpp"
#include "node.hpp"
#include "node_config.hpp"
#include "tests/support.hpp"

namespace usher::tests {

/// How long a test waits for a socket at most; nothing takes that long unless it is broken.
constexpr std::chrono::seconds patience{20};

/// Tries until it holds. @return false where it never did
inline bool eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return true;
}

/// Moves only when told to. Thread-safe.
class settable_clock final : public wall_clock {
 public:
  [[nodiscard]] time_point now() const override { return from_ms(now_ms_); }
  void advance(std::chrono::milliseconds by) { now_ms_ += by.count(); }

 private:
  std::atomic<std::int64_t> now_ms_{1'800'000'000'000};
};

/// A node on a directory and a port of its own. It can be stopped and started again on what it stored.
class test_node {
 public:
  /// @param env  where the log is kept, instead of on the disk; outlives it
  explicit test_node(v1::Configuration config = default_configuration(), rocksdb::Env* env = nullptr) : config_{std::move(config)}, env_{env} {
    config_.set_data_directory(directory_.path);
    config_.set_listen_address("127.0.0.1");
    config_.set_listen_port(0);
    config_.set_command_wait_ms(30'000);  // a busy machine must not decide what a test sees
    start();
  }
  void start() {
    auto started = node::start(config_, clock, {env_, {}});
    if (!started) throw std::runtime_error("no node: " + started.error().detail);
    node_ = std::move(*started);
  }
  void stop() { node_.reset(); }
  void restart() {
    stop();
    start();
  }
  [[nodiscard]] std::uint16_t port() const { return node_->port(); }
  [[nodiscard]] node& running() { return *node_; }
  [[nodiscard]] const std::string& directory() const { return directory_.path; }
  /// An access token that outlives any test.
  [[nodiscard]] std::string token(const std::string& user_id, http::role role = http::role::user) {
    http::claims c;
    c.user_id = user_id;
    c.role = role;
    c.expires_at = clock.now() + std::chrono::hours{24 * 365};
    return node_->access().issue(c);
  }

  settable_clock clock;

 private:
  temp_dir directory_;
  v1::Configuration config_;
  rocksdb::Env* env_;
  std::unique_ptr<node> node_;
};

struct request {
  std::string method = "GET";
  std::string path;
  std::string body;
  std::string token;  ///< empty: nobody
  std::vector<std::pair<std::string, std::string>> headers;
};

struct answer {
  unsigned status = 0;
  std::string body;
  boost::beast::http::fields headers;
  std::size_t order = 0;  ///< in which it came, among those that were asked at once

  [[nodiscard]] boost::json::object json() const { return boost::json::parse(body).as_object(); }
  [[nodiscard]] std::string text(const char* member) const { return std::string{json().at(member).as_string()}; }
  [[nodiscard]] std::int64_t number(const char* member) const { return json().at(member).to_number<std::int64_t>(); }
  [[nodiscard]] std::string header(const char* name) const { return std::string{headers[name]}; }
};

/// Asks one request after the other on one connection.
inline boost::asio::awaitable<answer> ask_on(boost::beast::tcp_stream& stream, boost::beast::flat_buffer& buffer, const request& r) {
  namespace beast = boost::beast;
  beast::http::request<beast::http::string_body> message{beast::http::string_to_verb(r.method), r.path, 11, r.body};
  message.set(beast::http::field::host, "localhost");
  if (!r.token.empty()) message.set(beast::http::field::authorization, "Bearer " + r.token);
  if (!r.body.empty()) message.set(beast::http::field::content_type, "application/json");
  for (const auto& [name, value] : r.headers) message.set(name, value);
  message.prepare_payload();
  stream.expires_after(patience);
  co_await beast::http::async_write(stream, message, boost::asio::use_awaitable);
  beast::http::response_parser<beast::http::string_body> parser;
  parser.body_limit(64 * 1024 * 1024);
  co_await beast::http::async_read(stream, buffer, parser, boost::asio::use_awaitable);
  auto read = parser.release();
  co_return answer{read.result_int(), std::move(read.body()), std::move(read.base()), 0};
}

/// A keep-alive connection. Throws where the node does not answer in time or ends the connection.
class client {
 public:
  explicit client(std::uint16_t port) {
    stream_.connect({boost::asio::ip::address_v4::loopback(), port});
  }
  explicit client(const test_node& n) : client(n.port()) {}

  answer ask(const request& r) {
    auto asked = boost::asio::co_spawn(io_, ask_on(stream_, buffer_, r), boost::asio::use_future);
    io_.restart();
    io_.run();
    return asked.get();
  }
  answer get(std::string path, std::string token = {}) { return ask({"GET", std::move(path), {}, std::move(token), {}}); }
  answer post(std::string path, std::string body, std::string token, std::string idempotency_key = {}) {
    request r{"POST", std::move(path), std::move(body), std::move(token), {}};
    if (!idempotency_key.empty()) r.headers.emplace_back("Idempotency-Key", std::move(idempotency_key));
    return ask(r);
  }

 private:
  boost::asio::io_context io_;
  boost::beast::tcp_stream stream_{io_};
  boost::beast::flat_buffer buffer_;
};

/// All requests over so many connections, which are opened before the first request leaves. Request i goes over
/// connection i modulo `connections`, after those before it there. @return the answers, by request
inline std::vector<answer> at_once(std::uint16_t port, std::size_t connections, const std::vector<request>& requests) {
  struct line {
    explicit line(boost::asio::io_context& io) : stream{io} {}
    boost::beast::tcp_stream stream;
    boost::beast::flat_buffer buffer;
  };
  boost::asio::io_context io{1};
  std::vector<std::unique_ptr<line>> lines;
  for (std::size_t i = 0; i < std::min(connections, requests.size()); ++i) {
    lines.push_back(std::make_unique<line>(io));
    lines.back()->stream.connect({boost::asio::ip::address_v4::loopback(), port});
  }
  std::vector<answer> answers(requests.size());
  std::size_t order = 0;
  std::exception_ptr failed;
  const auto work = [&](std::size_t first) -> boost::asio::awaitable<void> {
    auto& l = *lines[first];
    for (auto i = first; i < requests.size(); i += lines.size()) {
      answers[i] = co_await ask_on(l.stream, l.buffer, requests[i]);
      answers[i].order = order++;
    }
  };
  for (std::size_t i = 0; i < lines.size(); ++i)
    boost::asio::co_spawn(io, work(i), [&failed](std::exception_ptr e) { if (e) failed = e; });
  io.run();
  if (failed) std::rethrow_exception(failed);
  return answers;
}

/// A WebSocket of the subprotocol usher.v1.
class watcher {
 public:
  watcher(std::uint16_t port, const std::string& token) {
    namespace ws = boost::beast::websocket;
    boost::beast::get_lowest_layer(stream_).connect({boost::asio::ip::address_v4::loopback(), port});
    stream_.set_option(ws::stream_base::decorator([token](ws::request_type& r) {
      r.set(boost::beast::http::field::sec_websocket_protocol, "usher.v1");
      r.set(boost::beast::http::field::authorization, "Bearer " + token);
    }));
    stream_.handshake("localhost", "/ws");
  }
  void send(const std::string& text) { stream_.write(boost::asio::buffer(text)); }
  void subscribe(const std::string& channel) {
    send(boost::json::serialize(boost::json::object{{"op", "subscribe"}, {"channel", channel}}));
  }
  boost::json::object read() {
    boost::beast::flat_buffer buffer;
    std::optional<boost::system::error_code> done;  // not a future, whose handler another thread may call
    stream_.async_read(buffer, [&done](boost::system::error_code failed, std::size_t) { done = failed; });
    io_.restart();
    io_.run_for(patience);
    if (!done) {
      boost::beast::get_lowest_layer(stream_).cancel();
      io_.run();
      throw std::runtime_error("nothing was said on the WebSocket");
    }
    if (*done) throw boost::system::system_error{*done};
    return boost::json::parse(boost::beast::buffers_to_string(buffer.data())).as_object();
  }
  /// Reads until the node closes it. @return the code
  std::uint16_t closed_with() {
    try {
      for (;;) read();
    } catch (const boost::system::system_error&) {
      return stream_.reason().code;
    }
  }

 private:
  boost::asio::io_context io_;
  boost::beast::websocket::stream<boost::beast::tcp_stream> stream_{io_};
};

}  // namespace usher::tests
