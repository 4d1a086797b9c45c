#pragma once
// Long work that somebody asked the node for: started by one request, looked at by others, and ended with the node.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "events/vocabulary.hpp"

namespace usher::http {

/// What the work says about itself while it runs. Thread-safe.
class operation_progress {
 public:
  /// How much there is to do, in whatever unit the work counts; 0: nobody knows.
  void expect(std::uint64_t total) { total_.store(total, std::memory_order_relaxed); }
  void done(std::uint64_t sum) { done_.store(sum, std::memory_order_relaxed); }
  /// Nobody wants the result any more: end soon, with any result.
  [[nodiscard]] bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  friend class operations;
  std::atomic<std::uint64_t> total_{0};
  std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> cancelled_{false};
};

enum class operation_state : std::uint8_t { waiting, running, succeeded, failed };
std::string_view word_of(operation_state);  ///< WAITING, RUNNING, SUCCEEDED or FAILED

struct operation_view {
  std::string id;       ///< op_ and a number
  std::string kind;     ///< rebuild, verify …
  std::string subject;  ///< what it is about; may be empty
  operation_state state = operation_state::waiting;
  std::uint64_t done = 0;
  std::uint64_t total = 0;                  ///< 0: nobody knows
  std::optional<std::int64_t> eta_seconds;  ///< while it runs and its pace is known
  std::string result;                       ///< a JSON object, once it has succeeded
  std::string error;                        ///< a sentence, where it has failed
  std::int64_t started_at_ms = 0;           ///< 0: not yet
  std::int64_t ended_at_ms = 0;             ///< 0: not yet
};

/// Runs work on threads of its own that give way to those that serve buyers. In memory: with the node it is all forgotten, and
/// what must go on is started again by whoever looks after it. Thread-safe.
class operations {
 public:
  /// @return a JSON object that says what came of it
  using work = std::function<result<std::string>(operation_progress&)>;

  /// @param clock  outlives it
  explicit operations(const wall_clock& clock, unsigned threads = 2);
  ~operations();  ///< stops it first

  /// @return the operation's id. Of one kind and subject there is one at a time: asked for again, the one under way is returned.
  ///         nullopt where 64 wait already, or it has been stopped.
  std::optional<std::string> start(std::string kind, std::string subject, work);
  /// The last 1,000 that ended are remembered.
  [[nodiscard]] std::optional<operation_view> find(std::string_view id) const;
  [[nodiscard]] std::vector<operation_view> all() const;  ///< the newest first

  /// Tells all work to end, waits for it, and takes no more.
  void stop();

 private:
  struct operation;
  void run();
  [[nodiscard]] operation_view view_of(const operation&) const;

  const wall_clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<operation>> all_;  // the oldest first
  std::uint64_t last_number_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // last: they use all of the above
};

}  // namespace usher::http
