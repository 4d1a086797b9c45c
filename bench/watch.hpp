// Following one's place in a waiting room, by each of the ways that the interface offers.
#pragma once

#include "bench/client.hpp"
#include "bench/waiting.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <string>

namespace usher::bench {

struct watched_ticket {
  std::string id;
  std::string token;         // of the queue
  std::string access_token;  // of its owner
};

/// What one hears; false: that was enough. A refusal (see told::refusal) is heard as well.
using listener = std::function<bool(const told&)>;

/// Follows tickets of one server for coroutines of one single-threaded io_context.
class watcher {
 public:
  /// @param requests  for polls, which hold a connection only as long as an answer takes
  /// @param connections  of the watcher's own at most, for long polls; it is up to the caller not to watch more at a time
  watcher(boost::asio::io_context& io, endpoint server, connection_pool& requests, std::size_t connections);

  /// Listens until the listener has had enough, the connection is lost or refused, or `until`. Its connection is dropped then
  /// without a word. Answers of a long poll come when something changes, those of a poll every ten seconds.
  boost::asio::awaitable<void> follow(channel by, watched_ticket ticket, std::chrono::steady_clock::time_point until, listener hears);
  /// What the ticket's place is right now, as one channel tells it to whoever comes fresh; an empty `told` where it doesn't.
  boost::asio::awaitable<told> ask_once(channel by, watched_ticket ticket);

 private:
  boost::asio::awaitable<void> by_websocket(const watched_ticket&, std::chrono::steady_clock::time_point until, const listener&);
  boost::asio::awaitable<void> by_events(const watched_ticket&, std::chrono::steady_clock::time_point until, const listener&);
  boost::asio::awaitable<void> by_asking(bool held, const watched_ticket&, std::chrono::steady_clock::time_point until, const listener&);

  boost::asio::io_context& io_;
  endpoint server_;
  connection_pool& requests_;
  connection_pool held_;
  unsigned polls_ = 0;  // spreads them
};

}  // namespace usher::bench
