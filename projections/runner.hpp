#pragma once
// Feeds every read model with the log, writes them behind, and knows how far they are.

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "projections/catalogue.hpp"

namespace usher::projections {

/// How a read model is doing.
struct projection_health {
  std::string name;
  bool parked = false;     ///< it threw on a record and takes in no more; what it answers is from before
  std::string error;       ///< what it threw, and on which record
  std::uint64_t written = 0;  ///< records that the rows on disk hold, over all partitions
};

struct runner_health {
  bool healthy = true;  ///< started, and nothing is parked
  std::vector<projection_health> projections;
};

/// One thread calls start, offer, flush and rebuild; every other member may be called from any thread.
class runner {
 public:
  struct settings {
    std::uint64_t flush_every = 1024;     ///< records between two writes of what changed: the log waits meanwhile
    std::size_t waiters_max = 65'536;     ///< callbacks that may wait at the same time
  };
  runner();
  /// @param more  read models besides the catalogue, applied after it
  explicit runner(settings, std::vector<std::unique_ptr<projection>> more = {});
  ~runner();
  runner(const runner&) = delete;
  runner& operator=(const runner&) = delete;

  [[nodiscard]] const projections::views& views() const { return views_; }

  /// Loads every read model and catches up with the log. `db` must outlive the runner. Before anything else.
  /// Cost: the rows in memory, and the records since the last flush. @error io_failure, corrupted
  [[nodiscard]] result<void> start(store::database& db);

  /// Takes committed records in, each once: older ones are skipped, and where one is missing in between it is read
  /// from the database. Visible to readers on return.
  /// @error io_failure, corrupted (the log has a hole)
  [[nodiscard]] result<void> offer(const std::vector<store::record_ptr>&);
  /// Takes in whatever the log has beyond what was offered. @error as offer
  [[nodiscard]] result<void> catch_up();

  /// Writes what changed, each read model with its checkpoint in one batch. @error io_failure
  [[nodiscard]] result<void> flush();

  /// Builds one read model again from the log, in place: until it returns, readers see it grow. Heals a parked one.
  /// @param progress  called now and then with the number of records taken in
  /// @error invalid_argument (no such read model), io_failure, corrupted
  [[nodiscard]] result<void> rebuild(std::string_view name, const std::function<void(std::uint64_t)>& progress = {});

  /// Index of the last record of the partition that every read model (that is not parked) has taken in.
  [[nodiscard]] std::uint64_t applied(std::uint32_t partition) const;
  /// Records taken in since the log began.
  [[nodiscard]] std::uint64_t applied_total() const;
  [[nodiscard]] bool reached(log_position) const;  ///< false for a partition that does not exist

  using waiter_id = std::uint64_t;
  /// Calls back once the position is reached: at once in the caller's thread, or later in the runner's.
  /// @return what `forget` wants (0: it was called already); nullopt where too many wait: not taken, answer `busy`
  [[nodiscard]] std::optional<waiter_id> when_reached(log_position, std::function<void()>);
  /// Drops a callback that nobody waits for any more. It may be running right now.
  void forget(waiter_id);

  /// Adds a listener that is called in the runner's thread for each offered record, in order, after every read model
  /// has taken it in. Not for the records of `start` or `rebuild`. Listeners stay for the life of the runner;
  /// they must not throw, nor add listeners.
  void on_applied(std::function<void(const v1::Record&)>);

  [[nodiscard]] runner_health health() const;

 private:
  struct member;
  [[nodiscard]] result<void> load(member&);
  [[nodiscard]] result<void> catch_up_all();
  [[nodiscard]] result<void> pull(std::uint32_t partition, std::uint64_t before, bool announced);
  [[nodiscard]] result<void> refold(member&, const std::function<void(std::uint64_t)>& progress);
  void take(const v1::Record&);
  void apply_to(member&, const v1::Record&);
  [[nodiscard]] result<void> write(member&);
  [[nodiscard]] result<void> flush_if_due();
  void wake_waiters(log_position);
  void announce(const v1::Record&);

  settings settings_;
  projections::views views_;
  std::vector<std::unique_ptr<projection>> more_;
  std::vector<std::unique_ptr<member>> members_;
  store::database* db_ = nullptr;
  std::array<std::atomic<std::uint64_t>, partition_count> applied_{};
  std::atomic<std::uint64_t> total_{0};
  std::uint64_t since_flush_ = 0;

  mutable std::mutex status_mutex_;  // guards what health() reads
  bool started_ = false;

  std::mutex waiters_mutex_;
  std::map<std::pair<log_position, waiter_id>, std::function<void()>> waiters_;
  std::map<waiter_id, log_position> waiting_;
  waiter_id last_waiter_ = 0;

  std::mutex listeners_mutex_;
  std::vector<std::function<void(const v1::Record&)>> listeners_;
};

}  // namespace usher::projections
