#pragma once
// Judges the log: first all that is on disk, on a thread of its own, then each record as it comes.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "projections/auditor.hpp"
#include "store/database.hpp"

namespace usher {

/// Owns an auditor and a thread that gives way to all others. Each start judges the log from its first record in the
/// background; once that is done, records are judged where they come by. Faults go to the node's log, each once, a few a minute. Nobody waits for it, and the node goes on
/// whatever it finds or fails at; what it has not judged shows.
class audit_thread {
 public:
  /// Both outlive it.
  audit_thread(const store::database&, const wall_clock&);
  ~audit_thread();  ///< stops it first

  /// Starts to read.
  void start();
  /// The next record of its partition, which is on disk. Judged at once where all before it were, otherwise read from the log
  /// in the background. Never blocks. Cost: a microsecond. For one thread at a time.
  void judge(const v1::Record&);
  /// Ends the thread wherever it is. Nothing may be judged afterwards.
  void stop();

  // As of a moment ago, for any thread.
  [[nodiscard]] std::uint64_t taken() const { return taken_.load(std::memory_order_relaxed); }  ///< records that were judged
  [[nodiscard]] std::uint64_t count(projections::fault_kind kind) const {
    return counts_[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
  }
  /// How long the oldest payment or refund is under way; zero where none is.
  [[nodiscard]] std::chrono::milliseconds oldest_process() const;
  /// Why nothing is judged any more; empty while it is.
  [[nodiscard]] std::string fault() const;

 private:
  using ends = std::array<std::uint64_t, partition_count>;

  void run();
  bool wait();
  void fall_behind();
  result<void> catch_up();
  result<bool> pull(std::uint32_t partition);
  void take(const v1::Record&);
  void look_around();
  void settle();
  void shout();
  [[nodiscard]] ends on_disk() const;

  const store::database& db_;
  const wall_clock& clock_;
  const time_point running_since_;

  mutable std::mutex waking_mutex_;
  std::condition_variable wakes_;
  bool behind_ = true;  // nothing of what is on disk was read yet
  std::string fault_;
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;  // guards all of what follows but the atomics
  projections::auditor auditor_;
  ends applied_{};
  ends on_disk_at_last_settling_{};
  std::chrono::steady_clock::time_point minute_ends_;
  unsigned shouts_left_ = 0;
  std::uint64_t unsaid_ = 0;

  std::atomic<std::uint64_t> taken_{0};
  std::array<std::atomic<std::uint64_t>, projections::fault_kind_count> counts_{};
  std::atomic<std::int64_t> oldest_process_ms_{0};  // when it was started; 0: there is none

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace usher
