#pragma once
// A node in this process whose clock stands still until a test moves it, and what talks to it over real sockets.

#include <boost/json.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
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
  std::vector<std::pair<std::string, std::string>> headers;
  std::size_t order = 0;  ///< in which it came, among those that were asked at once

  [[nodiscard]] boost::json::object json() const { return boost::json::parse(body).as_object(); }
  [[nodiscard]] std::string text(const char* member) const { return std::string{json().at(member).as_string()}; }
  [[nodiscard]] std::int64_t number(const char* member) const { return json().at(member).to_number<std::int64_t>(); }
  [[nodiscard]] std::string header(std::string_view name) const;  ///< however it is written; empty: there is none
};

/// A keep-alive connection. Throws where the node does not answer in time or ends the connection.
class client {
 public:
  explicit client(std::uint16_t port);
  explicit client(const test_node& n) : client(n.port()) {}
  ~client();

  answer ask(const request& r);
  answer get(std::string path, std::string token = {}) { return ask({"GET", std::move(path), {}, std::move(token), {}}); }
  answer post(std::string path, std::string body, std::string token, std::string idempotency_key = {});

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// All requests over so many connections, which are opened before the first request leaves. Request i goes over
/// connection i modulo `connections`, after those before it there. @return the answers, by request
std::vector<answer> at_once(std::uint16_t port, std::size_t connections, const std::vector<request>& requests);

/// A WebSocket of the subprotocol usher.v1.
class watcher {
 public:
  watcher(std::uint16_t port, const std::string& token);
  ~watcher();
  void send(const std::string& text);
  void subscribe(const std::string& channel);
  boost::json::object read();
  /// Reads until the node closes it. @return the code
  std::uint16_t closed_with();

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace usher::tests
