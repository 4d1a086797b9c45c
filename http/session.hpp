#pragma once
// What the server keeps for all of its connections, and what each of them is to it.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>

#include "http/server.hpp"

namespace usher::http {

class session;

/// The tick at which a session is cut; 0: none. Shared with whatever else of the session may outlive it.
using session_deadline = std::shared_ptr<std::atomic<std::uint32_t>>;

/// Shared by the server and its sessions, so that it outlives whichever goes last.
struct server::core {
  core(io_pool&, server_settings, server_parts);

  /// How many ticks of the sweep a time-out lasts, one more so that it is never short.
  [[nodiscard]] std::uint32_t ticks(std::chrono::milliseconds timeout) const {
    return static_cast<std::uint32_t>(timeout / tick) + 2;
  }
  void add(session&);
  void remove(session&);
  [[nodiscard]] std::string new_request_id();

  io_pool& threads;
  const server_settings settings;
  const server_parts parts;
  const std::chrono::milliseconds tick;          // between two sweeps
  rate_limits limits;
  const std::uint64_t request_id_seed;
  std::atomic<std::uint64_t> request_ids{0};
  std::atomic<std::uint64_t> connection_ids{0};
  std::atomic<std::uint32_t> now_ticks{1};
  std::atomic<std::size_t> open{0};
  std::atomic<bool> stopping{false};
  asio::ip::tcp::acceptor acceptor;
  asio::steady_timer sweep_timer;
  asio::steady_timer gone_timer;                 // between two looks at whether all are gone

  std::mutex mutex;                              // of `sessions`
  std::unordered_set<session*> sessions;
};

/// Of the one thread on which all of a connection happens.
using stream_executor = asio::io_context::executor_type;
using stream_socket = asio::basic_stream_socket<asio::ip::tcp, stream_executor>;

/// Starts a session on an accepted socket; it runs by itself from now on, on the socket's thread.
void start_session(std::shared_ptr<server::core>, stream_socket);

/// What the server does with a session from outside. Each may be called from any thread, with core.mutex held.
struct session_control {
  static void sweep(session&, std::uint32_t now_ticks);  ///< cuts it where its time is over
  static void wind_down(session&);                       ///< ends it where it is idle, else after the answer under way
  static void cut(session&);
};

}  // namespace usher::http
