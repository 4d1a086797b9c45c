// Listening, accepting, the one timer of all connections, and stopping.

#include "http/server.hpp"

#include <sodium.h>
#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

#include "http/quietly.hpp"
#include "http/session.hpp"

namespace usher::http {

using asio::ip::tcp;

namespace {

constexpr std::chrono::milliseconds pause_without_descriptors{100};
constexpr std::chrono::milliseconds tick_min{5};
constexpr std::chrono::milliseconds tick_max{1000};
constexpr std::chrono::milliseconds cut_grace{1000};  // for sessions that were cut to notice

std::chrono::milliseconds tick_of(const server_settings& s) {
  return std::clamp(std::min({s.header_timeout, s.body_timeout, s.idle_timeout, s.write_timeout}) / 4, tick_min, tick_max);
}

std::uint64_t random_request_id_seed() {
  std::uint64_t out;
  randombytes_buf(&out, sizeof out);
  return out;
}

/// Best effort, without waiting: the answer is small enough for any socket's buffer.
void refuse(stream_socket& socket) {
  static constexpr std::string_view body =
      R"({"type":"urn:usher:problem:busy","title":"Too busy: not executed","status":503,)"
      R"("detail":"Too many connections.","code":"busy","retryable":true})";
  const auto answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n"
                      "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(answer), ignored);
  socket.shutdown(tcp::socket::shutdown_send, ignored);
}

asio::awaitable<void> accept_all(std::shared_ptr<server::core> core) {
  while (!core->stopping) {
    auto [failed, socket] = co_await core->acceptor.async_accept(core->threads.next(), quietly);
    if (core->stopping) break;
    if (failed == boost::system::errc::too_many_files_open || failed == boost::system::errc::too_many_files_open_in_system ||
        failed == boost::system::errc::no_buffer_space || failed == boost::system::errc::not_enough_memory) {
      spdlog::warn("event=accept_failed detail=\"{}\"", failed.message());
      asio::steady_timer pause{core->acceptor.get_executor(), pause_without_descriptors};
      co_await pause.async_wait(quietly);
      continue;
    }
    if (failed == asio::error::operation_aborted || failed == asio::error::bad_descriptor) break;
    if (failed) continue;  // the client left before it was accepted
    if (core->open >= core->settings.connections_max) {
      refuse(socket);
      continue;
    }
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    start_session(core, std::move(socket));
  }
}

asio::awaitable<void> sweep_all(std::shared_ptr<server::core> core) {
  for (;;) {
    core->sweep_timer.expires_after(core->tick);
    const auto [stopped] = co_await core->sweep_timer.async_wait(quietly);
    if (stopped) co_return;
    const auto now = ++core->now_ticks;
    const std::lock_guard lock{core->mutex};
    for (auto* s : core->sessions) session_control::sweep(*s, now);
  }
}

void each_session(server::core& core, void (*deed)(session&)) {
  const std::lock_guard lock{core.mutex};
  for (auto* s : core.sessions) deed(*s);
}

asio::awaitable<void> stop_all(std::shared_ptr<server::core> core, std::chrono::milliseconds deadline) {
  core->stopping = true;
  boost::system::error_code ignored;
  core->acceptor.close(ignored);
  each_session(*core, session_control::wind_down);
  const auto end = std::chrono::steady_clock::now() + deadline;
  bool cut = false;
  while (core->open > 0) {
    const auto now = std::chrono::steady_clock::now();
    if (!cut && now >= end) {
      spdlog::warn("event=connections_cut count={}", core->open.load());
      each_session(*core, session_control::cut);
      cut = true;
    }
    if (now >= end + cut_grace) break;  // a handler that never answers
    core->gone_timer.expires_after(tick_min);
    co_await core->gone_timer.async_wait(quietly);
  }
  core->sweep_timer.cancel();
}

}  // namespace

server::core::core(io_pool& pool, server_settings s, server_parts p)
    : threads{pool}, settings{std::move(s)}, parts{p}, tick{tick_of(settings)}, limits{settings.limits}, request_id_seed{random_request_id_seed()},
      acceptor{pool.first()}, sweep_timer{acceptor.get_executor()}, gone_timer{acceptor.get_executor()} {}

void server::core::add(session& s) {
  ++open;
  const std::lock_guard lock{mutex};
  sessions.insert(&s);
}

void server::core::remove(session& s) {
  {
    const std::lock_guard lock{mutex};
    sessions.erase(&s);
  }
  --open;
}

std::string server::core::new_request_id() {
  std::uint64_t x = request_id_seed + request_ids.fetch_add(1, std::memory_order_relaxed);
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  std::string out = "req_0000000000000000";
  for (std::size_t i = out.size(); x != 0; x >>= 4) out[--i] = "0123456789abcdef"[x & 15];
  return out;
}

server::server(io_pool& threads, server_settings settings, server_parts parts)
    : core_{std::make_shared<core>(threads, std::move(settings), parts)} {}

server::~server() = default;

result<std::uint16_t> server::listen() {
  boost::system::error_code failed;
  const auto address = asio::ip::make_address(core_->settings.address, failed);
  const auto step = [&](auto deed) {
    if (!failed) deed();
  };
  const tcp::endpoint endpoint{address, core_->settings.port};
  step([&] { core_->acceptor.open(endpoint.protocol(), failed); });
  step([&] { core_->acceptor.set_option(asio::socket_base::reuse_address{true}, failed); });
  step([&] { core_->acceptor.bind(endpoint, failed); });
  step([&] { core_->acceptor.listen(asio::socket_base::max_listen_connections, failed); });
  if (failed) {
    return failure{errc::invalid_argument,
                   core_->settings.address + ":" + std::to_string(core_->settings.port) + ": " + failed.message()};
  }
  const auto port = core_->acceptor.local_endpoint().port();
  asio::co_spawn(core_->acceptor.get_executor(), accept_all(core_), asio::detached);
  asio::co_spawn(core_->acceptor.get_executor(), sweep_all(core_), asio::detached);
  spdlog::info("event=listening address={} port={}", core_->settings.address, port);
  return port;
}

asio::awaitable<void> server::stop(std::chrono::milliseconds deadline) {
  co_await asio::co_spawn(core_->acceptor.get_executor(), stop_all(core_, deadline), asio::use_awaitable);
}

std::size_t server::connections() const { return core_->open; }

}  // namespace usher::http
