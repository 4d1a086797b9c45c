// Hands over under one mutex; serialises, hashes and syncs outside of it.

#include "store/journal.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "store/bug.hpp"
#include "store/hash.hpp"

namespace usher::store {
namespace {

constexpr std::size_t round_records_max = 1024;
constexpr std::size_t round_bytes_max = 1 << 20;
constexpr std::uint64_t first_epoch = 1;

}  // namespace

journal::journal(database& db, engine_index& index, hooks h) : database_{db}, index_{index}, hooks_{std::move(h)} {}

result<void> journal::load() {
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    if (database_.durable_end(p) != index_.end(p))
      return failure{errc::corrupted, "partition " + std::to_string(p) + " ends at " + std::to_string(database_.durable_end(p)) +
                                          ", its index at " + std::to_string(index_.end(p))};
    auto stored = database_.last_stored(p);
    if (!stored) return stored.error();
    if (stored->empty()) continue;
    last_hash_[p] = usher::sha256({*stored});
    v1::Record last;
    if (!last.ParseFromString(*stored)) return failure{errc::corrupted, "the last record of partition " + std::to_string(p) + " can't be decoded"};
    latest_ms_[p] = std::max(last.at_ms(), last.latest_ms());
  }
  return {};
}

void journal::hand_over(std::shared_ptr<v1::Record> record, durable_callback done) {
  const auto hashes = record ? hashes_of(*record) : record_hashes{};
  hand_over(std::move(record), hashes, std::move(done));
}

void journal::hand_over(std::shared_ptr<v1::Record> record, const record_hashes& hashes, durable_callback done,
                        std::optional<person_key> person) {
  bool announce = false;
  {
    // One lock around index and queue: the order of the indices is the order of the queue.
    const std::lock_guard lock{mutex_};
    if (failed_) return;
    if (record) {
      record->set_epoch(first_epoch);
      index_.admit(*record, hashes);
      ++waiting_;
    }
    queue_.push_back({std::move(record), std::move(done), std::move(person)});
    announce = !std::exchange(announced_, true);
  }
  if (announce && hooks_.work_waits) hooks_.work_waits();
}

void journal::collect() {
  const std::lock_guard lock{mutex_};
  if (backlog_.empty()) return backlog_.swap(queue_);
  std::move(queue_.begin(), queue_.end(), std::back_inserter(backlog_));
  queue_.clear();
}

journal::round journal::take_round() {
  round r;
  const auto at_most = std::min(backlog_.size(), round_records_max);
  r.stored.reserve(at_most);
  r.records.reserve(at_most);
  r.callbacks.reserve(at_most);
  std::size_t bytes = 0;
  while (!backlog_.empty()) {
    if (backlog_.front().record && (r.records.size() == round_records_max || bytes >= round_bytes_max)) break;
    entry e = std::move(backlog_.front());
    backlog_.pop_front();
    if (!e.record) {
      r.callbacks.emplace_back(std::nullopt, std::move(e.done));
      continue;
    }
    const log_position at{e.record->partition(), e.record->index()};
    auto& last_hash = last_hash_[at.partition];
    if (last_hash) e.record->set_previous_hash(last_hash->data(), last_hash->size());
    auto& latest_ms = latest_ms_[at.partition];
    latest_ms = std::max(latest_ms, e.record->at_ms());
    if (latest_ms != e.record->at_ms()) e.record->set_latest_ms(latest_ms);
    if (e.person) r.persons.push_back({e.record->target().group(), *e.person});
    for (const auto& event : e.record->events())
      if (event.user().has_erased()) r.persons.push_back({event.stream().group(), std::nullopt});
    auto stored = e.record->SerializeAsString();
    last_hash = usher::sha256({stored});
    bytes += stored.size();
    r.stored.emplace_back(at, std::move(stored));
    r.records.push_back(std::move(e.record));
    r.callbacks.emplace_back(at, std::move(e.done));
  }
  return r;
}

bool journal::write_round() {
  collect();
  auto r = take_round();
  if (!r.stored.empty()) {
    if (auto written = database_.append_synced(r.stored, r.persons); !written) {
      fail(written.error());
      return false;
    }
  }
  finish(std::move(r));
  return more_waits();
}

void journal::finish(round r) {
  {
    const std::lock_guard lock{mutex_};
    waiting_ -= r.records.size();
  }
  if (!r.records.empty() && hooks_.committed) hooks_.committed(r.records);
  for (auto& [at, done] : r.callbacks)
    if (done) done(at);
}

void journal::fail(const failure& f) {
  std::deque<entry> dropped;
  {
    const std::lock_guard lock{mutex_};
    failed_ = true;  // write_round doesn't get here again: nothing is queued from now on
    dropped.swap(queue_);
  }
  backlog_.clear();
  if (hooks_.failed) hooks_.failed(f);
}

bool journal::more_waits() {
  if (!backlog_.empty()) return true;
  const std::lock_guard lock{mutex_};
  announced_ = !queue_.empty();
  return announced_;
}

std::size_t journal::waiting() const {
  const std::lock_guard lock{mutex_};
  return waiting_;
}

}  // namespace usher::store
