#pragma once
// From a coroutine on an I/O thread to the actors and back.

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "cluster/router.hpp"
#include "projections/runner.hpp"

namespace usher::http {

/// Sends commands to the actors and resumes the coroutine that asked when the answer is there: answers are gathered
/// and handed to the I/O threads with one post for all that come together. Thread-safe.
class bridge {
 public:
  bridge(boost::asio::io_context&, cluster::router&);
  ~bridge();

  /// Sends the command and waits for its answer, at most `wait`.
  ///
  /// A command that nobody began to decide by then is given up: the answer is BUSY and it is never executed. One that
  /// was decided gets as long again to become durable, then the answer is OUTCOME_UNKNOWN.
  boost::asio::awaitable<actors::answer> ask(actors::request_ptr, std::chrono::milliseconds wait);

  /// The same for several commands (at least one) at once. @return the answers in the commands' order, when all are there
  boost::asio::awaitable<std::vector<actors::answer>> ask_all(std::vector<actors::request_ptr>, std::chrono::milliseconds wait);

  /// Waits until every read model has seen `at`. @return false where `wait` was not enough
  boost::asio::awaitable<bool> reached(projections::runner&, log_position at, std::chrono::milliseconds wait);

  /// Ends the sweep for late answers; what is still waiting is answered with SHUTTING_DOWN.
  void stop();

 private:
  struct pending;
  using pending_ptr = std::shared_ptr<pending>;
  using by_deadline = std::multimap<std::chrono::steady_clock::time_point, pending_ptr>;

  void begin(const pending_ptr&, const actors::request_ptr&, std::chrono::milliseconds wait);
  void await(pending_ptr);
  void answered(const pending_ptr&, actors::answer);
  void drain();
  void sweep();
  void arm_sweep();

  boost::asio::io_context& io_;
  cluster::router& router_;
  boost::asio::steady_timer sweeper_;
  std::mutex mutex_;
  by_deadline waiting_;
  std::vector<pending_ptr> ready_;
  bool posted_ = false;
  bool stopped_ = false;
};

}  // namespace usher::http
