#pragma once
// From a coroutine on an I/O thread to the actors and back.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "actors/request.hpp"
#include "projections/runner.hpp"

namespace usher::cluster {
class router;
}

namespace usher::http {

/// Sends commands to the actors and resumes the coroutine that asked, on its own thread, when the answer is there: answers are
/// gathered and handed to each I/O thread with one post for all that come together. Thread-safe. For coroutines of io_contexts that
/// one thread runs each.
class bridge {
 public:
  /// @param timing  looks for what has waited too long
  bridge(boost::asio::io_context& timing, cluster::router&);
  ~bridge();

  /// Sends the command and waits for its answer, at most `wait`.
  ///
  /// A command that nobody began to decide by then is given up: the answer is BUSY and it is never executed. One that
  /// was decided gets as long again to become durable, then the answer is OUTCOME_UNKNOWN.
  boost::asio::awaitable<actors::answer> ask(actors::request_ptr, std::chrono::milliseconds wait);

  /// The same, and the answer comes when every read model has seen what was recorded. One that was recorded, but is late to be
  /// seen, is OUTCOME_UNKNOWN as well.
  boost::asio::awaitable<actors::answer> ask_and_see(projections::runner&, actors::request_ptr, std::chrono::milliseconds wait);

  /// The same as `ask` for several commands (at least one) at once. @return the answers in the commands' order, when all are there
  boost::asio::awaitable<std::vector<actors::answer>> ask_all(std::vector<actors::request_ptr>, std::chrono::milliseconds wait);

  /// Waits until every read model has seen `at`. @return false where `wait` was not enough
  boost::asio::awaitable<bool> reached(projections::runner&, log_position at, std::chrono::milliseconds wait);

  /// Ends the sweep for late answers; what is still waiting is answered with SHUTTING_DOWN.
  void stop();

 private:
  struct pending;
  struct lane;
  using pending_ptr = std::shared_ptr<pending>;

  lane& lane_of(boost::asio::io_context&);
  void send(const pending_ptr&, const actors::request_ptr&, std::chrono::milliseconds wait);
  static void answer_when_seen(const pending_ptr&, projections::runner&, actors::answer);
  void sweep();
  void arm_sweep();

  cluster::router& router_;
  boost::asio::steady_timer sweeper_;
  std::shared_mutex mutex_;  // of what follows
  std::vector<std::unique_ptr<lane>> lanes_;
  bool stopped_ = false;
};

}  // namespace usher::http
