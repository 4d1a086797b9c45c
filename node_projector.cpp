// A bounded queue in front of the runner; a full one is emptied, since the log has it all.

#include "node_projector.hpp"

#include <chrono>

namespace usher {
namespace {

constexpr std::size_t waiting_max = 65'536;  // records
constexpr std::chrono::seconds flush_every{5};

}  // namespace

projector::projector(projections::runner& runner, std::function<void(const failure&)> failed)
    : runner_{runner}, failed_{std::move(failed)}, thread_{[this] { run(); }} {}

projector::~projector() { stop(); }

void projector::offer(const std::vector<store::record_ptr>& records) {
  {
    const std::lock_guard lock{mutex_};
    if (waiting_.size() + records.size() > waiting_max) {
      waiting_.clear();
      behind_ = true;
    } else {
      waiting_.insert(waiting_.end(), records.begin(), records.end());
    }
  }
  changed_.notify_one();
}

void projector::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void projector::run() {
  auto next_flush = std::chrono::steady_clock::now() + flush_every;
  for (bool more = true; more;) {
    std::vector<store::record_ptr> records;
    bool behind = false;
    {
      std::unique_lock lock{mutex_};
      changed_.wait_until(lock, next_flush, [this] { return !waiting_.empty() || behind_ || stopping_; });
      records.swap(waiting_);
      behind = std::exchange(behind_, false);
      more = !stopping_ || !records.empty() || behind;
    }
    if (!take_in(std::move(records), behind)) return;
    if (more && std::chrono::steady_clock::now() < next_flush) continue;
    if (!keep(runner_.flush())) return;
    next_flush = std::chrono::steady_clock::now() + flush_every;
  }
}

bool projector::take_in(std::vector<store::record_ptr> records, bool behind) {
  // Catching up first would find these records in the log already; offering them first may find a gap, which the
  // runner fills by itself. Either way each is taken once.
  if (!records.empty() && !keep(runner_.offer(records))) return false;
  return !behind || keep(runner_.catch_up());
}

bool projector::keep(const result<void>& outcome) {
  if (outcome) return true;
  failed_(outcome.error());
  return false;
}

}  // namespace usher
