// A record that has just been folded into the read models is in the processor's caches; judged later it costs many times as much.

#include "node_auditor.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "events/upcast.hpp"
#include "events/words.hpp"
#include "store/thread.hpp"

namespace usher {
namespace {

constexpr unsigned portion = 256;  // records
constexpr std::chrono::milliseconds look_around_every{500};
constexpr std::chrono::minutes shouting_span{1};
constexpr unsigned shouts_max = 20;  // within that span

}  // namespace

audit_thread::audit_thread(const store::database& db, const wall_clock& clock) : db_{db}, clock_{clock}, running_since_{clock.now()} {}

audit_thread::~audit_thread() { stop(); }

void audit_thread::start() {
  thread_ = std::thread{[this] { run(); }};
}

void audit_thread::judge(const v1::Record& record) {
  const std::unique_lock lock{mutex_, std::try_to_lock};
  if (!lock || record.index() > applied_[record.partition()] + 1) return fall_behind();
  if (record.index() == applied_[record.partition()] + 1) take(record);
}

void audit_thread::fall_behind() {
  const std::lock_guard lock{waking_mutex_};
  if (!std::exchange(behind_, true)) wakes_.notify_one();
}

void audit_thread::stop() {
  {
    const std::lock_guard lock{waking_mutex_};
    stopping_ = true;
  }
  wakes_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::chrono::milliseconds audit_thread::oldest_process() const {
  const auto started_ms = oldest_process_ms_.load(std::memory_order_relaxed);
  if (started_ms == 0) return {};
  return std::max(clock_.now() - from_ms(started_ms), std::chrono::milliseconds{0});
}

std::string audit_thread::fault() const {
  const std::lock_guard lock{waking_mutex_};
  return fault_;
}

void audit_thread::run() {
  store::give_way();
  auto next_look_around = std::chrono::steady_clock::now();
  while (!stopping_) {
    if (wait()) {
      if (auto caught_up = catch_up(); !caught_up) {
        spdlog::error("event=audit_ended detail=\"{}\"", caught_up.error().detail);
        const std::lock_guard lock{waking_mutex_};
        fault_ = caught_up.error().detail;
        return;
      }
    }
    if (std::chrono::steady_clock::now() < next_look_around) continue;
    const std::lock_guard lock{mutex_};
    look_around();
    next_look_around = std::chrono::steady_clock::now() + look_around_every;
  }
}

/// @return whether the log has more than what was judged
bool audit_thread::wait() {
  std::unique_lock lock{waking_mutex_};
  wakes_.wait_for(lock, look_around_every, [this] { return behind_ || stopping_; });
  return std::exchange(behind_, false);
}

result<void> audit_thread::catch_up() {
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    for (bool more = true; more && !stopping_;) {
      const std::lock_guard lock{mutex_};
      auto pulled = pull(p);
      if (!pulled) return pulled.error();
      more = *pulled;
    }
  }
  return {};
}

/// Takes in a portion, so that nobody finds the auditor busy for long. @return whether there is more
result<bool> audit_thread::pull(std::uint32_t partition) {
  if (applied_[partition] >= db_.durable_end(partition)) return false;
  v1::Record record;  // one for all, since making each anew costs more than reading it
  std::string wrong;
  unsigned left = portion;
  const auto scanned = db_.scan_stored(partition, applied_[partition] + 1, [&](std::uint64_t index, std::string_view stored) {
    if (index != applied_[partition] + 1) wrong = "has a hole before ";
    else if (!decode(stored, record)) wrong = "can't be decoded at ";
    if (wrong.empty()) {
      take(record);
    } else {
      wrong += place_of({partition, index});
    }
    return wrong.empty() && --left != 0 && !stopping_;
  });
  if (!scanned) return scanned.error();
  if (!wrong.empty()) return failure{errc::corrupted, "the log " + wrong};
  return left == 0;
}

void audit_thread::take(const v1::Record& record) {
  auditor_.take(record);
  applied_[record.partition()] = record.index();
  taken_.store(taken_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

/// What is between records: verdicts that need all sides, the time, and telling of it.
void audit_thread::look_around() {
  settle();
  auditor_.watch_processes(clock_.now(), running_since_);
  for (std::size_t k = 0; k != counts_.size(); ++k)
    counts_[k].store(auditor_.count(static_cast<projections::fault_kind>(k)), std::memory_order_relaxed);
  const auto oldest = auditor_.oldest_process();
  oldest_process_ms_.store(oldest ? to_ms(*oldest) : 0, std::memory_order_relaxed);
  shout();
}

audit_thread::ends audit_thread::on_disk() const {
  ends out;
  for (std::uint32_t p = 0; p != partition_count; ++p) out[p] = db_.durable_end(p);
  return out;
}

void audit_thread::settle() {
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    if (applied_[p] < on_disk_at_last_settling_[p]) return;
  }
  auditor_.settle();
  on_disk_at_last_settling_ = on_disk();
}

void audit_thread::shout() {
  if (const auto now = std::chrono::steady_clock::now(); now >= minute_ends_) {
    if (unsaid_ != 0) spdlog::error("event=audit_faults_unsaid count={}", std::exchange(unsaid_, 0));
    minute_ends_ = now + shouting_span;
    shouts_left_ = shouts_max;
  }
  for (auto& f : auditor_.take_faults()) {
    if (shouts_left_ == 0) {
      ++unsaid_;
      continue;
    }
    --shouts_left_;
    if (f.entity.empty()) {
      if (const auto record = db_.read(f.at); record && *record) f.entity = projections::entity_of(**record);
    }
    spdlog::error("event=audit_fault kind={} position={} entity={} detail=\"{}\"", projections::word_of(f.kind), place_of(f.at), f.entity, f.detail);
  }
}

}  // namespace usher
