#pragma once
// A request that waits for news.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <mutex>

#include "http/websocket.hpp"

namespace usher::http {

/// A watcher of feeds that never reads a message: it only learns that there was one. What is true by then it asks itself.
class long_poll final : public connection, public std::enable_shared_from_this<long_poll> {
 public:
  /// @param executor  that of the thread on which `news` is awaited
  /// @param id        unique among the connections of this process
  long_poll(boost::asio::any_io_executor executor, std::uint64_t id, principal);

  /// Waits for a message that came since the last call, or since the beginning.
  /// @return false once the time is over or the connection was closed
  boost::asio::awaitable<bool> news(std::chrono::steady_clock::time_point until);

  void send(std::shared_ptr<const std::string>) override;
  void close(std::uint16_t code, std::string reason) override;
  [[nodiscard]] std::optional<principal> caller() const override { return caller_; }
  void identify(principal) override {}  // it was made for one
  [[nodiscard]] std::uint64_t id() const override { return id_; }

 private:
  void wake();

  const boost::asio::any_io_executor executor_;
  const std::uint64_t id_;
  const principal caller_;
  boost::asio::steady_timer timer_;  // on the executor

  std::mutex mutex_;  // of the rest
  bool news_ = false;
  bool closed_ = false;
};

}  // namespace usher::http
