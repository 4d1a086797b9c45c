#include "projections/runner.hpp"

#include <algorithm>
#include <exception>
#include <limits>
#include <stdexcept>

#include "projections/bytes.hpp"

namespace usher::projections {

namespace {

// A projection's checkpoint is the row "<name>!": its version, then pairs of partition and index. The rows themselves
// are "<name>/…", so neither prefix covers the other projection's keys.
std::string checkpoint_key(const projection& p) { return std::string(p.name()) + '!'; }
std::string row_prefix(const projection& p) { return std::string(p.name()) + '/'; }

/// Puts a projection's prefix before the keys of its rows.
class named_rows final : public row_writer {
 public:
  named_rows(std::string prefix, row_writer& into) : prefix_(std::move(prefix)), into_(into) {}
  void put(std::string_view key, std::string_view value) override { into_.put(whole(key), value); }
  void erase(std::string_view key) override { into_.erase(whole(key)); }

 private:
  std::string_view whole(std::string_view key) { return key_.assign(prefix_).append(key); }

  const std::string prefix_;
  row_writer& into_;
  std::string key_;
};

using positions = std::array<std::uint64_t, partition_count>;

std::string checkpoint_row(std::uint32_t version, const positions& at) {
  std::string row;
  put_number(row, version);
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    if (at[p] == 0) continue;
    put_number(row, p);
    put_number(row, at[p]);
  }
  return row;
}

/// @return whether the row is of this version; `at` is set only then
bool read_checkpoint(std::string_view row, std::uint32_t version, positions& at) {
  byte_reader in(row);
  if (in.number() != version) return false;
  while (!in.rest().empty()) {
    const auto partition = in.number();
    const auto index = in.number();
    if (partition >= partition_count) throw std::runtime_error("a checkpoint names a partition that does not exist");
    at[partition] = index;
  }
  return true;
}

std::string place_of(const v1::Record& record) {
  return std::to_string(record.partition()) + '/' + std::to_string(record.index());
}

}  // namespace

struct runner::member {
  projection* view = nullptr;
  positions applied{};  // runner's thread only
  bool changed = false;
  // Guarded by status_mutex_, written by the runner's thread only.
  bool parked = false;
  std::string error;
  std::uint64_t written = 0;
};

runner::runner() : runner(settings{}) {}

runner::runner(settings s, std::vector<std::unique_ptr<projection>> more) : settings_(s), more_(std::move(more)) {
  auto all = views_.all();
  for (const auto& extra : more_) all.push_back(extra.get());
  for (auto* view : all) {
    members_.push_back(std::make_unique<member>());
    members_.back()->view = view;
  }
}

runner::~runner() = default;

result<void> runner::start(store::database& db) {
  db_ = &db;
  for (auto& m : members_) {
    if (auto loaded = load(*m); !loaded) return loaded;
  }
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    std::uint64_t least = members_.front()->applied[p];
    for (const auto& m : members_) least = std::min(least, m->applied[p]);
    applied_[p] = least;
    total_ += least;
  }
  if (auto caught_up = catch_up_all(); !caught_up) return caught_up;
  const std::lock_guard lock(status_mutex_);
  started_ = true;
  return {};
}

result<void> runner::load(member& m) {
  try {
    const auto row = db_->get(store::family::views, checkpoint_key(*m.view));
    if (!row) return row.error();
    if (!*row || !read_checkpoint(**row, m.view->version(), m.applied)) {
      // The checkpoint goes first: rows without one are erased again, a checkpoint without its rows would be a lie.
      if (auto gone = db_->put_derived(store::family::views, {{checkpoint_key(*m.view), std::nullopt}}); !gone) return gone;
      if (auto gone = db_->erase_prefix(store::family::views, row_prefix(*m.view)); !gone) return gone;
    }
    if (auto loaded = m.view->load(*db_); !loaded) return loaded;
  } catch (const std::exception& e) {
    return failure{errc::corrupted, "the rows of " + std::string(m.view->name()) + ": " + e.what()};
  }
  const std::lock_guard lock(status_mutex_);
  for (const auto index : m.applied) m.written += index;
  return {};
}

result<void> runner::catch_up_all() {
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    if (auto pulled = pull(p, std::numeric_limits<std::uint64_t>::max(), false); !pulled) return pulled;
  }
  return {};
}

result<void> runner::catch_up() {
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    if (auto pulled = pull(p, std::numeric_limits<std::uint64_t>::max(), true); !pulled) return pulled;
  }
  return {};
}

result<void> runner::pull(std::uint32_t partition, std::uint64_t before, bool announced) {
  result<void> inner;
  const auto scanned = db_->scan(partition, applied(partition) + 1, [&](store::record_ptr record, std::string_view) {
    if (record->index() >= before) return false;
    if (record->index() != applied(partition) + 1) {
      inner = failure{errc::corrupted, "the log has a hole before " + place_of(*record)};
      return false;
    }
    take(*record);
    if (announced) announce(*record);
    inner = flush_if_due();
    return inner.has_value();
  });
  return scanned ? inner : scanned;
}

result<void> runner::offer(const std::vector<store::record_ptr>& records) {
  for (const auto& record : records) {
    const auto partition = record->partition();
    if (record->index() > applied(partition) + 1) {
      if (auto pulled = pull(partition, record->index(), true); !pulled) return pulled;
    }
    const auto next = applied(partition) + 1;
    if (record->index() < next) continue;
    if (record->index() > next) return failure{errc::corrupted, "the log has a hole before " + place_of(*record)};
    take(*record);
    announce(*record);
    if (auto flushed = flush_if_due(); !flushed) return flushed;
  }
  return {};
}

void runner::take(const v1::Record& record) {
  for (auto& m : members_) {
    if (record.index() > m->applied[record.partition()]) apply_to(*m, record);
  }
  applied_[record.partition()].store(record.index(), std::memory_order_release);
  total_.fetch_add(1, std::memory_order_relaxed);
  ++since_flush_;
  wake_waiters({record.partition(), record.index()});
}

void runner::apply_to(member& m, const v1::Record& record) {
  if (m.parked) return;
  try {
    m.view->apply(record);
    m.applied[record.partition()] = record.index();
    m.changed = true;
  } catch (const std::exception& e) {
    const std::lock_guard lock(status_mutex_);
    m.parked = true;
    m.error = "record " + place_of(record) + ": " + e.what();
  }
}

result<void> runner::flush_if_due() {
  if (since_flush_ < settings_.flush_every) return {};
  return flush();
}

result<void> runner::flush() {
  since_flush_ = 0;
  for (auto& m : members_) {
    if (auto wrote = write(*m); !wrote) return wrote;
  }
  return {};
}

// What a parked projection holds may be half a record, so it is not written: its rows stay those of its checkpoint.
result<void> runner::write(member& m) {
  if (m.parked || !m.changed) return {};
  const auto put = db_->put_derived(store::family::views, [&m](row_writer& rows) {
    named_rows own{row_prefix(*m.view), rows};
    m.view->collect(own);
    rows.put(checkpoint_key(*m.view), checkpoint_row(m.view->version(), m.applied));
  });
  if (!put) return put;
  m.view->written();
  m.changed = false;
  const std::lock_guard lock(status_mutex_);
  m.written = 0;
  for (const auto index : m.applied) m.written += index;
  return {};
}

result<void> runner::rebuild(std::string_view name, const std::function<void(std::uint64_t)>& progress) {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const auto& m) { return m->view->name() == name; });
  if (found == members_.end()) return failure{errc::invalid_argument, "there is no read model " + std::string(name)};
  member& m = **found;
  {
    const std::lock_guard lock(status_mutex_);
    m.parked = false;
    m.error.clear();
    m.written = 0;
  }
  if (auto gone = db_->put_derived(store::family::views, {{checkpoint_key(*m.view), std::nullopt}}); !gone) return gone;
  if (auto gone = db_->erase_prefix(store::family::views, row_prefix(*m.view)); !gone) return gone;
  m.view->clear();
  m.applied = {};
  m.changed = true;
  return refold(m, progress);
}

// Up to where the others are, and no further: what lies beyond comes to all of them alike.
result<void> runner::refold(member& m, const std::function<void(std::uint64_t)>& progress) {
  constexpr std::uint64_t progress_every = 1024;
  std::uint64_t taken = 0;
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    result<void> inner;
    const auto scanned = db_->scan(p, 1, [&](store::record_ptr record, std::string_view) {
      if (record->index() > applied(p) || m.parked) return false;
      apply_to(m, *record);
      if (++taken % progress_every == 0 && progress) progress(taken);
      if (taken % settings_.flush_every == 0) inner = write(m);
      return inner.has_value();
    });
    if (!scanned) return scanned;
    if (!inner) return inner;
  }
  if (progress) progress(taken);
  return write(m);
}

std::uint64_t runner::applied(std::uint32_t partition) const {
  return partition < partition_count ? applied_[partition].load(std::memory_order_acquire) : 0;
}

std::uint64_t runner::applied_total() const { return total_.load(std::memory_order_relaxed); }

bool runner::reached(log_position at) const { return at.partition < partition_count && applied(at.partition) >= at.index; }

std::optional<runner::waiter_id> runner::when_reached(log_position at, std::function<void()> call) {
  {
    // Under the lock, so that a record that arrives meanwhile finds either the waiter or its own index.
    const std::lock_guard lock(waiters_mutex_);
    if (!reached(at)) {
      if (waiters_.size() >= settings_.waiters_max) return std::nullopt;
      const auto id = ++last_waiter_;
      waiters_.emplace(std::pair{at, id}, std::move(call));
      waiting_.emplace(id, at);
      return id;
    }
  }
  call();
  return waiter_id{0};
}

void runner::forget(waiter_id id) {
  const std::lock_guard lock(waiters_mutex_);
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  waiters_.erase({found->second, id});
  waiting_.erase(found);
}

void runner::wake_waiters(log_position at) {
  std::vector<std::function<void()>> due;
  {
    const std::lock_guard lock(waiters_mutex_);
    auto i = waiters_.lower_bound({log_position{at.partition, 0}, 0});
    while (i != waiters_.end() && i->first.first <= at) {
      due.push_back(std::move(i->second));
      waiting_.erase(i->first.second);
      i = waiters_.erase(i);
    }
  }
  for (const auto& call : due) call();
}

void runner::on_applied(std::function<void(const v1::Record&)> listener) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(std::move(listener));
}

void runner::announce(const v1::Record& record) {
  const std::lock_guard lock(listeners_mutex_);
  for (const auto& listener : listeners_) listener(record);
}

runner_health runner::health() const {
  const std::lock_guard lock(status_mutex_);
  runner_health seen;
  seen.healthy = started_;
  for (const auto& m : members_) {
    seen.projections.push_back({std::string(m->view->name()), m->parked, m->error, m->written});
    seen.healthy = seen.healthy && !m->parked;
  }
  return seen;
}

}  // namespace usher::projections
