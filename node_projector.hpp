#pragma once
// The thread that feeds the read models with what the journal committed.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "projections/runner.hpp"

namespace usher {

/// Owns the runner's thread. The journal never waits for it: what exceeds the bound is dropped here and read again from
/// the log.
class projector {
 public:
  /// @param failed  called once, from the thread, when the log or the rows can't be read or written; it then rests
  projector(projections::runner& runner, std::function<void(const failure&)> failed);
  ~projector();  ///< stops it first

  /// Thread-safe, never blocks for long. Records of a partition come in order.
  void offer(const std::vector<store::record_ptr>&);
  /// Takes in all that was offered, writes it and ends the thread. Nothing may be offered afterwards.
  void stop();

 private:
  void run();
  bool take_in(std::vector<store::record_ptr> records, bool behind);
  bool keep(const result<void>&);

  projections::runner& runner_;
  std::function<void(const failure&)> failed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<store::record_ptr> waiting_;
  bool behind_ = false;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace usher
