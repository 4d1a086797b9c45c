#pragma once
// Feeds every read model with the log, writes them behind, and knows how far they are.

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "projections/catalogue.hpp"
#include "projections/status.hpp"

namespace usher::projections {

class builder;

/// How a read model is doing, without a look at the disk.
struct projection_health {
  std::string name;
  bool parked = false;     ///< it threw on a record and takes in no more; what it answers is from before
  std::string error;       ///< what it threw, and on which event of which record
  std::uint64_t written = 0;  ///< records that the rows on disk hold, over all partitions
};

struct runner_health {
  bool healthy = true;  ///< started, and nothing is parked
  std::vector<projection_health> projections;
};

/// One thread calls start, and then one thread offer, catch_up and flush; every other member may be called from any thread.
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

  /// What the caller of a rebuild or a retry hears: records taken in, of how many there are. @return false: end here
  using progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

  /// Builds one read model again from the log, in the caller's thread, beside the one that serves and goes on; then they
  /// are exchanged between two records. Several read models may be built at once. A parked one is healed.
  /// One that was told to end, or ended with the process, is `unfinished`; asked for again it goes on from its last batch.
  /// @return false: it was told to end. Else the rows are on disk for good
  /// @error invalid_argument (no such read model, or it is being built already), io_failure, corrupted (also: it met an
  ///        event that it can't fold, and the one that serves stays)
  /// Memory: that of another read model. Cost: a pass through the log, and a flush of the database.
  [[nodiscard]] result<bool> rebuild(std::string_view name, const progress& = {});
  /// Has a parked read model try again from its last checkpoint, beside the one that answers; does nothing for one that
  /// is not parked. Where it throws again it is parked there, unless it then knew less of some partition than before.
  /// It writes the rows of the one that answers. A read model in memory answers as before until they are exchanged; one whose
  /// rows stay on disk (users, ledger, reservations, wallets: projections::table) may show each batch from when it is written, so
  /// some rows may be further on than others until this ends. All of them are what the log says, none goes back.
  /// @return, @error as rebuild
  [[nodiscard]] result<bool> retry(std::string_view name, const progress& = {});
  /// Notes that these shall be built again, so that it happens also where the process ends before it comes to them; `rebuild`
  /// does so for its own. Names that there are. Durable on return. @error io_failure
  [[nodiscard]] result<void> plan_rebuilds(const std::vector<std::string>& names);
  /// Read models that shall be built again, and were not before the process before this one ended. @error io_failure
  [[nodiscard]] result<std::vector<std::string>> unfinished() const;
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> names() const;  ///< in the order of application

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

  /// Adds a listener that is called after a read model was exchanged for another one: what it answers may be another thing,
  /// without a record that says so. As on_applied otherwise, but in the thread of the rebuild or the retry.
  void on_exchanged(std::function<void()>);

  [[nodiscard]] runner_health health() const;
  /// With lags and what is being built. Cost: as lag_of, for each read model.
  [[nodiscard]] std::vector<projection_status> status(time_point now) const;

 private:
  struct member;
  using offered = std::vector<store::record_ptr>;

  /// Who may touch the live read models: the thread that feeds them, or, between two of its batches, whoever exchanges
  /// one. The guests go first, else a busy feeder would let nobody in.
  class turnstile {
   public:
    void enter_to_feed();
    void enter_as_guest();
    void leave();

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    unsigned guests_ = 0;
    bool taken_ = false;
  };
  class feeding;
  class visiting;

  [[nodiscard]] member* find(std::string_view name) const;
  [[nodiscard]] result<void> load(member&);
  [[nodiscard]] result<void> load_rows(member&);
  [[nodiscard]] result<void> catch_up_all();
  void skip_what_parked_ones_miss();
  [[nodiscard]] result<void> pull(std::uint32_t partition, std::uint64_t before, bool announced);
  [[nodiscard]] result<void> take_in(const offered&);
  void take(const v1::Record&);
  void fold_into(member&, const v1::Record&);
  [[nodiscard]] result<void> write_all();
  [[nodiscard]] result<void> write(member&);
  [[nodiscard]] result<void> flush_if_due();

  [[nodiscard]] positions applied_now() const;
  [[nodiscard]] result<bool> build(member&, builder&, const progress&);
  [[nodiscard]] result<bool> fold_beside(member&, builder&, const progress&);
  [[nodiscard]] result<bool> fold_last(member&, builder&);
  [[nodiscard]] result<bool> finish_rebuild(const member&);
  [[nodiscard]] result<void> exchange(member&, builder&);
  [[nodiscard]] result<void> give_up(const member&, const builder&);
  [[nodiscard]] result<bool> park_again(member&, builder&);
  void note_written(member&, const builder&);
  [[nodiscard]] std::optional<offence> parked_on(const member&) const;

  void wake_waiters();
  void announce(const v1::Record&);
  void announce_exchanged();

  settings settings_;
  projections::views views_;
  std::vector<std::unique_ptr<projection>> more_;
  std::vector<std::unique_ptr<member>> members_;
  store::database* db_ = nullptr;
  turnstile turnstile_;
  std::array<std::atomic<std::uint64_t>, partition_count> applied_{};
  std::atomic<std::uint64_t> total_{0};
  std::uint64_t since_flush_ = 0;
  std::uint64_t parkings_ = 0;  // that the feeding thread has seen
  std::vector<std::uint32_t> moved_;  // the partitions that got on since it woke waiters

  mutable std::mutex status_mutex_;  // guards what health() and status() read
  bool started_ = false;

  std::mutex waiters_mutex_;
  std::map<std::pair<log_position, waiter_id>, std::function<void()>> waiters_;
  std::map<waiter_id, log_position> waiting_;
  waiter_id last_waiter_ = 0;

  std::mutex listeners_mutex_;
  std::vector<std::function<void(const v1::Record&)>> listeners_;
  std::vector<std::function<void()>> exchanged_listeners_;
};

}  // namespace usher::projections
