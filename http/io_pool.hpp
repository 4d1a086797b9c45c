#pragma once
// The threads that serve connections.

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace usher::http {

namespace asio = boost::asio;

/// Threads with an io_context each. What belongs to a connection runs on one of them from its beginning to its end, so it
/// needs no locks, and stays in one processor's cache.
class io_pool {
 public:
  /// @param threads  at least one
  explicit io_pool(std::size_t threads);
  ~io_pool();  ///< as finish(0)

  /// For what belongs to no connection: timers, and whatever accepts. Thread-safe, as all that is posted to it.
  [[nodiscard]] asio::io_context& first() { return members_.front()->io; }
  /// The one that gets the next connection, in turn. Thread-safe.
  [[nodiscard]] asio::io_context& next();

  /// Starts the threads. Each calls `run` with its own context, which runs that until it has no more work.
  void start(const std::function<void(asio::io_context&)>& run);

  /// Lets each thread end when nothing is left to do on it, and waits for them; what is still under way after `patience` is
  /// left undone. Once. @return whether all came to their end
  bool finish(std::chrono::milliseconds patience);

 private:
  struct member {
    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
    std::thread thread;
  };

  std::vector<std::unique_ptr<member>> members_;
  std::atomic<std::size_t> turn_{0};
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_ = 0;
};

}  // namespace usher::http
