#pragma once
// Vouches for the log: follows it on a thread of its own, and signs how far it goes.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "store/evidence.hpp"

namespace usher {

/// A thread that gives way to all others. Whatever it finds or fails at, the node goes on selling; it then signs nothing any more,
/// and says why.
class notary_thread {
 public:
  /// @param db, clock  outlive it
  /// @param every  how often a checkpoint is made while records come
  notary_thread(store::database& db, store::signing_key, const wall_clock& clock, std::chrono::seconds every);
  ~notary_thread();  ///< stops it first

  void start();
  /// Signs what there is, or where that would take long, as far as it is, and ends the thread. Nothing is written to the log meanwhile or after.
  void stop();

  /// A checkpoint that covers a record that is on disk; where there is none yet, one is made, at most one a second
  /// for all who ask. Waits for at most two seconds, and not at all where it is more than 100,000 records behind. Thread-safe.
  /// @error io_failure  not in time, or it signs nothing any more
  result<v1::SignedCheckpoint> vouch(log_position);
  /// Why it signs nothing any more; empty while it does. Thread-safe.
  [[nodiscard]] std::string fault() const;
  /// The number of the last checkpoint; 0 for none. Thread-safe.
  [[nodiscard]] std::uint64_t last_number() const { return last_number_.load(std::memory_order_relaxed); }

 private:
  void run();
  bool work(bool sign_now);
  bool sign();
  [[nodiscard]] bool ends_here(std::uint64_t taken) const;
  void fail(const failure&);

  const wall_clock& clock_;
  const std::chrono::seconds every_;
  store::notary notary_;  // the thread's own while it runs, but for what is copied below

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool wanted_ = false;  // somebody waits for a newer checkpoint
  std::chrono::steady_clock::time_point signed_at_;
  v1::SignedCheckpoint last_;
  v1::Checkpoint last_body_;
  std::string fault_;
  std::atomic<std::uint64_t> last_number_{0};
  std::atomic<std::uint64_t> left_{0};  // durable records that are not taken in
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace usher
