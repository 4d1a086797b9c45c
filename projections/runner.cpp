#include "projections/runner.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <limits>
#include <thread>

#include "events/words.hpp"
#include "projections/builder.hpp"

namespace usher::projections {

namespace {

// Records that a read model being built comes near to those that serve, before it asks them to wait for the exchange; and how
// many are folded while they wait, since more may have come while it waited for them.
constexpr std::uint64_t last_stretch = 256;
constexpr std::uint64_t last_stretch_max = 4096;

}  // namespace

struct runner::member {
  projection* view = nullptr;
  std::array<std::atomic<std::uint64_t>, partition_count> applied{};
  bool changed = false;
  std::atomic<bool> building{false};
  std::atomic<std::uint64_t> build_done{0};
  std::atomic<std::uint64_t> build_total{0};
  // Written in the turnstile, under status_mutex_: whoever is in the turnstile reads without it.
  std::uint64_t generation = 1;
  std::optional<offence> parked_on;
  std::uint64_t written = 0;

  [[nodiscard]] positions at() const {
    positions out{};
    for (std::uint32_t p = 0; p < partition_count; ++p) out[p] = applied[p].load(std::memory_order_relaxed);
    return out;
  }
  void set(const positions& to) {
    for (std::uint32_t p = 0; p < partition_count; ++p) applied[p].store(to[p], std::memory_order_relaxed);
  }
};

void runner::turnstile::enter_to_feed() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !taken_ && guests_ == 0; });
  taken_ = true;
}

void runner::turnstile::enter_as_guest() {
  std::unique_lock lock(mutex_);
  ++guests_;
  changed_.wait(lock, [this] { return !taken_; });
  --guests_;
  taken_ = true;
}

void runner::turnstile::leave() {
  {
    const std::lock_guard lock(mutex_);
    taken_ = false;
  }
  changed_.notify_all();
}

class runner::feeding {
 public:
  explicit feeding(turnstile& t) : turnstile_(t) { turnstile_.enter_to_feed(); }
  ~feeding() { turnstile_.leave(); }
  feeding(const feeding&) = delete;
  feeding& operator=(const feeding&) = delete;

 private:
  turnstile& turnstile_;
};

class runner::visiting {
 public:
  explicit visiting(turnstile& t) : turnstile_(t) { turnstile_.enter_as_guest(); }
  ~visiting() { turnstile_.leave(); }
  visiting(const visiting&) = delete;
  visiting& operator=(const visiting&) = delete;

 private:
  turnstile& turnstile_;
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
    auto least = members_.front()->applied[p].load();
    for (const auto& m : members_) least = std::min(least, m->applied[p].load());
    applied_[p] = least;
    total_ += least;
  }
  if (auto caught_up = catch_up_all(); !caught_up) return caught_up;
  const std::lock_guard lock(status_mutex_);
  started_ = true;
  return {};
}

result<void> runner::load(member& m) {
  const auto name = m.view->name();
  const auto live = find_checkpoint(*db_, checkpoint_key(name));
  if (!live) return live.error();
  const bool usable = *live && (*live)->version == m.view->version();
  std::uint64_t beside = 0;
  if (usable) {
    m.set((*live)->at);
    m.generation = (*live)->generation;
    const auto wanted = is_rebuild_wanted(*db_, name);
    if (!wanted) return wanted.error();
    if (*wanted) beside = m.generation + 1;
  } else {
    // The checkpoints go first: rows without one are erased again, a checkpoint without its rows would be a lie.
    if (*live) m.generation = (*live)->generation + 1;
    if (auto gone = db_->put_derived(store::family::views, {{checkpoint_key(name), std::nullopt}, {building_key(name), std::nullopt}}); !gone) return gone;
  }
  if (auto gone = erase_other_generations(*db_, name, usable ? m.generation : 0, beside); !gone) return gone;
  return load_rows(m);
}

// Rows that make no sense are nothing to stop for: the log has it all.
result<void> runner::load_rows(member& m) {
  const auto rows = rows_of(m.view->name(), m.generation);
  try {
    if (auto loaded = m.view->load(*db_, rows); !loaded) return loaded;
  } catch (const std::exception& e) {
    spdlog::warn("event=rows_unreadable view={} detail=\"{}\"", m.view->name(), e.what());
    const auto anew = m.view->fresh();
    m.view->swap_in(*anew);
    m.set({});
    if (auto gone = db_->put_derived(store::family::views, {{checkpoint_key(m.view->name()), std::nullopt}}); !gone) return gone;
    if (auto gone = db_->erase_prefix(store::family::views, rows); !gone) return gone;
    if (auto loaded = m.view->load(*db_, rows); !loaded) return loaded;
  }
  const std::lock_guard lock(status_mutex_);
  m.written = sum_of(m.at());
  return {};
}

result<void> runner::catch_up_all() {
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    for (auto parked_before = parkings_ + 1; parked_before != parkings_;) {
      parked_before = parkings_;
      if (auto pulled = pull(p, std::numeric_limits<std::uint64_t>::max(), false); !pulled) return pulled;
      if (parked_before != parkings_) skip_what_parked_ones_miss();
    }
  }
  return {};
}

/// What has parked wants no records any more: on from where the least of the others stands.
void runner::skip_what_parked_ones_miss() {
  if (std::ranges::all_of(members_, [](const auto& m) { return m->parked_on.has_value(); })) return;
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    auto least = std::numeric_limits<std::uint64_t>::max();
    for (const auto& m : members_)
      if (!m->parked_on) least = std::min(least, m->applied[p].load());
    const auto before = applied(p);
    if (least <= before) continue;
    applied_[p] = least;
    total_ += least - before;
  }
}

result<void> runner::catch_up() {
  const feeding turn(turnstile_);
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    if (auto pulled = pull(p, std::numeric_limits<std::uint64_t>::max(), true); !pulled) return pulled;
  }
  wake_waiters();
  return {};
}

result<void> runner::pull(std::uint32_t partition, std::uint64_t before, bool announced) {
  result<void> inner;
  const auto parked_before = parkings_;
  const auto scanned = db_->scan(partition, applied(partition) + 1, [&](store::record_ptr record, std::string_view) {
    if (record->index() >= before) return false;
    if (record->index() != applied(partition) + 1) {
      inner = failure{errc::corrupted, "the log has a hole before " + place_of({record->partition(), record->index()})};
      return false;
    }
    take(*record);
    if (announced) announce(*record);
    inner = flush_if_due();
    return inner.has_value() && (announced || parked_before == parkings_);
  });
  return scanned ? inner : scanned;
}

result<void> runner::offer(const std::vector<store::record_ptr>& records) {
  const feeding turn(turnstile_);
  auto taken = take_in(records);
  wake_waiters();
  return taken;
}

result<void> runner::take_in(const offered& records) {
  for (const auto& record : records) {
    const auto partition = record->partition();
    if (record->index() > applied(partition) + 1) {
      if (auto pulled = pull(partition, record->index(), true); !pulled) return pulled;
    }
    const auto next = applied(partition) + 1;
    if (record->index() < next) continue;
    if (record->index() > next) return failure{errc::corrupted, "the log has a hole before " + place_of({record->partition(), record->index()})};
    take(*record);
    announce(*record);
    if (auto flushed = flush_if_due(); !flushed) return flushed;
  }
  return {};
}

void runner::take(const v1::Record& record) {
  for (auto& m : members_) {
    if (record.index() > m->applied[record.partition()].load(std::memory_order_relaxed)) fold_into(*m, record);
  }
  applied_[record.partition()].store(record.index(), std::memory_order_release);
  total_.fetch_add(1, std::memory_order_relaxed);
  ++since_flush_;
  if (moved_.empty() || moved_.back() != record.partition()) moved_.push_back(record.partition());
}

void runner::fold_into(member& m, const v1::Record& record) {
  if (m.parked_on) return;
  auto failed = apply_to(*m.view, record);
  if (!failed) {
    m.applied[record.partition()].store(record.index(), std::memory_order_relaxed);
    m.changed = true;
    return;
  }
  spdlog::error("event=view_parked view={} detail=\"{}\"", m.view->name(), failed->text());
  ++parkings_;
  const std::lock_guard lock(status_mutex_);
  m.parked_on = std::move(failed);
}

result<void> runner::flush_if_due() {
  if (since_flush_ < settings_.flush_every) return {};
  wake_waiters();
  return write_all();
}

result<void> runner::flush() {
  const feeding turn(turnstile_);
  return write_all();
}

result<void> runner::write_all() {
  since_flush_ = 0;
  for (auto& m : members_) {
    if (auto wrote = write(*m); !wrote) return wrote;
  }
  return {};
}

// What a parked projection holds may be half a record, so it is not written: its rows stay those of its checkpoint.
result<void> runner::write(member& m) {
  if (m.parked_on || !m.changed) return {};
  const checkpoint now{m.view->version(), m.generation, m.at()};
  const auto put = db_->put_derived(store::family::views, [&](row_writer& rows) {
    prefixed_rows own{rows_of(m.view->name(), m.generation), rows};
    m.view->collect(own);
    rows.put(checkpoint_key(m.view->name()), row_of(now));
  });
  if (!put) return put;
  m.view->written();
  m.changed = false;
  const std::lock_guard lock(status_mutex_);
  m.written = sum_of(now.at);
  return {};
}

// --- building beside ----------------------------------------------------------------------------------------------

runner::member* runner::find(std::string_view name) const {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const auto& m) { return m->view->name() == name; });
  return found == members_.end() ? nullptr : found->get();
}

bool runner::has(std::string_view name) const { return find(name) != nullptr; }

std::vector<std::string> runner::names() const {
  std::vector<std::string> out;
  for (const auto& m : members_) out.emplace_back(m->view->name());
  return out;
}

namespace {

failure no_such_view(std::string_view name) { return {errc::invalid_argument, "there is no read model " + std::string(name)}; }
failure is_being_built(std::string_view name) { return {errc::invalid_argument, std::string(name) + " is being built already"}; }
failure parked_again(std::string_view name, const offence& on) { return {errc::corrupted, std::string(name) + " can't fold " + on.text()}; }

/// Of one builder at a time.
class building_flag {
 public:
  explicit building_flag(std::atomic<bool>& flag) : flag_(flag), taken_(!flag.exchange(true)) {}
  ~building_flag() {
    if (taken_) flag_ = false;
  }
  building_flag(const building_flag&) = delete;
  building_flag& operator=(const building_flag&) = delete;
  [[nodiscard]] bool taken() const { return taken_; }

 private:
  std::atomic<bool>& flag_;
  const bool taken_;
};

}  // namespace

result<bool> runner::rebuild(std::string_view name, const progress& heard) {
  auto* m = find(name);
  if (m == nullptr) return no_such_view(name);
  const building_flag mine(m->building);
  if (!mine.taken()) return is_being_built(name);
  if (auto noted = note_rebuild(*db_, name, true); !noted) return noted.error();
  builder built(*db_, *m->view, building_key(name), m->generation + 1);
  auto done = build(*m, built, heard);
  if (done && !*done) return false;
  if (done && !built.failed_on()) return finish_rebuild(*m);
  if (auto dropped = give_up(*m, built); !dropped) return dropped.error();
  return done ? parked_again(name, *built.failed_on()) : done.error();
}

result<bool> runner::retry(std::string_view name, const progress& heard) {
  auto* m = find(name);
  if (m == nullptr) return no_such_view(name);
  const building_flag mine(m->building);
  if (!mine.taken()) return is_being_built(name);
  if (!parked_on(*m)) return true;
  builder built(*db_, *m->view, checkpoint_key(name), m->generation);
  auto done = build(*m, built, heard);
  if (done && built.failed_on()) return park_again(*m, built);
  if (!done || !*done) note_written(*m, built);
  return done;
}

/// Nobody may see less than they saw: of no partition.
result<bool> runner::park_again(member& m, builder& built) {
  const auto parked = parked_again(m.view->name(), *built.failed_on());
  bool exchanges = false;
  {
    const visiting turn(turnstile_);
    const auto before = m.at();
    exchanges = std::ranges::equal(built.reached().at, before, std::greater_equal{});
    if (exchanges)
      if (auto exchanged = exchange(m, built); !exchanged) return exchanged.error();
  }
  note_written(m, built);
  if (exchanges) announce_exchanged();
  return parked;
}

void runner::note_written(member& m, const builder& built) {
  const std::lock_guard lock(status_mutex_);
  m.written = sum_of(built.written());
}

result<void> runner::plan_rebuilds(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (!has(name)) return no_such_view(name);
    if (auto noted = note_rebuild(*db_, name, true); !noted) return noted;
  }
  return {};
}

/// @return false where it was told to end. True with an offence in the builder: nothing was exchanged
result<bool> runner::build(member& m, builder& built, const progress& heard) {
  if (auto begun = built.begin(); !begun) return begun.error();
  m.build_done = sum_of(built.reached().at);
  for (bool exchanged = false; !exchanged;) {
    auto folded = fold_beside(m, built, heard);
    if (!folded) return folded;
    if (!*folded && !built.failed_on()) {
      if (auto kept = built.write(); !kept) return kept.error();
      return false;
    }
    if (built.failed_on()) return true;
    auto tried = fold_last(m, built);
    if (!tried) return tried;
    if (built.failed_on()) return true;
    exchanged = *tried;
  }
  announce_exchanged();
  return true;
}

/// @return false: there is too much to fold while others wait, or there is an offence
result<bool> runner::fold_last(member& m, builder& built) {
  const visiting turn(turnstile_);
  const auto ends = applied_now();
  if (built.left(ends) > last_stretch_max) return false;
  if (auto last = built.fold(ends, {}); !last || !*last) return last;
  if (auto wrote = built.write(); !wrote) return wrote.error();
  if (auto exchanged = exchange(m, built); !exchanged) return exchanged.error();
  return true;
}

namespace {

/// While the log grows, whoever builds beside works for a third of the time: those who write it need the processors, and what
/// a build writes costs more in RocksDB's own threads. As soon as nobody writes it goes on without a pause.
class courtesy {
 public:
  explicit courtesy(const std::atomic<std::uint64_t>& applied) : applied_(applied), seen_(applied) {}

  void give_way() {
    const auto now = applied_.load(std::memory_order_relaxed);
    const auto worked = std::chrono::steady_clock::now() - since_;
    if (now != std::exchange(seen_, now)) std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(2 * worked, pause_max));
    since_ = std::chrono::steady_clock::now();
  }

 private:
  static constexpr std::chrono::milliseconds pause_max{250};
  const std::atomic<std::uint64_t>& applied_;
  std::uint64_t seen_;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace

/// Comes close to those that serve, however fast the log grows: folding one read model beside takes a fraction of the time
/// that it takes to decide and write.
result<bool> runner::fold_beside(member& m, builder& built, const progress& heard) {
  courtesy way(total_);
  const build_progress tell = [&](std::uint64_t done) {
    m.build_done = done;
    way.give_way();
    return !heard || heard(done, m.build_total);
  };
  do {
    const auto ends = applied_now();
    m.build_total = sum_of(ends);
    const auto folded = built.fold(ends, tell);
    if (!folded || !*folded) return folded;
  } while (built.left(applied_now()) > last_stretch);
  return true;
}

/// In the turnstile. The rows that nobody reads any more go last, so that a crash leaves either all of the old or all of
/// the new; what is left over is erased at the next start.
result<void> runner::exchange(member& m, builder& built) {
  const auto name = m.view->name();
  const auto& reached = built.reached();
  const auto before = m.generation;
  m.view->swap_in(built.view());
  m.set(reached.at);
  m.changed = false;
  {
    const std::lock_guard lock(status_mutex_);
    m.generation = reached.generation;
    m.parked_on = built.failed_on();
    m.written = sum_of(built.written());
  }
  if (before == reached.generation) return {};
  const auto switched = db_->put_derived(store::family::views, {{checkpoint_key(name), row_of(reached)}, {building_key(name), std::nullopt}});
  if (!switched) return switched;
  return db_->erase_prefix(store::family::views, rows_of(name, before));
}

/// Rows are written behind: until they are on disk a crash would bring the old ones back.
result<bool> runner::finish_rebuild(const member& m) {
  if (auto flushed = db_->flush(); !flushed) return flushed.error();
  if (auto noted = note_rebuild(*db_, m.view->name(), false); !noted) return noted.error();
  return true;
}

result<void> runner::give_up(const member& m, const builder& built) {
  const auto name = m.view->name();
  // In this order: a checkpoint that outlived the note would vouch for rows that the next start erases.
  if (auto gone = db_->put_derived(store::family::views, {{building_key(name), std::nullopt}}); !gone) return gone;
  if (auto noted = note_rebuild(*db_, name, false); !noted) return noted;
  if (built.reached().generation == m.generation) return {};
  return db_->erase_prefix(store::family::views, rows_of(name, built.reached().generation));
}

result<std::vector<std::string>> runner::unfinished() const {
  std::vector<std::string> out;
  for (const auto& m : members_) {
    const auto wanted = is_rebuild_wanted(*db_, m->view->name());
    if (!wanted) return wanted.error();
    if (*wanted && !m->building) out.emplace_back(m->view->name());
  }
  return out;
}

std::optional<offence> runner::parked_on(const member& m) const {
  const std::lock_guard lock(status_mutex_);
  return m.parked_on;
}

positions runner::applied_now() const {
  positions out{};
  for (std::uint32_t p = 0; p < partition_count; ++p) out[p] = applied(p);
  return out;
}

// --- what others ask ----------------------------------------------------------------------------------------------

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

/// Not with each record: whoever is woken reads at once, and would meet the thread that folds the next one.
void runner::wake_waiters() {
  std::vector<std::function<void()>> due;
  {
    const std::lock_guard lock(waiters_mutex_);
    for (const auto partition : moved_) {
      const log_position reached{partition, applied(partition)};
      auto i = waiters_.lower_bound({log_position{partition, 0}, 0});
      while (i != waiters_.end() && i->first.first <= reached) {
        due.push_back(std::move(i->second));
        waiting_.erase(i->first.second);
        i = waiters_.erase(i);
      }
    }
  }
  moved_.clear();
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

void runner::on_exchanged(std::function<void()> listener) {
  const std::lock_guard lock(listeners_mutex_);
  exchanged_listeners_.push_back(std::move(listener));
}

void runner::announce_exchanged() {
  const std::lock_guard lock(listeners_mutex_);
  for (const auto& listener : exchanged_listeners_) listener();
}

runner_health runner::health() const {
  const std::lock_guard lock(status_mutex_);
  runner_health seen;
  seen.healthy = started_;
  for (const auto& m : members_) {
    const bool parked = m->parked_on.has_value();
    seen.projections.push_back({std::string(m->view->name()), parked, parked ? m->parked_on->text() : std::string{}, m->written});
    seen.healthy = seen.healthy && !parked;
  }
  return seen;
}

std::vector<projection_status> runner::status(time_point now) const {
  std::vector<projection_status> out;
  record_times known;
  for (const auto& m : members_) {
    projection_status seen;
    seen.name = m->view->name();
    seen.version = m->view->version();
    const auto at = m->at();
    seen.applied = sum_of(at);
    if (db_ != nullptr) seen.lag = lag_of(*db_, at, now, known);
    {
      const std::lock_guard lock(status_mutex_);
      seen.generation = m->generation;
      seen.written = m->written;
      seen.failed_on = m->parked_on;
    }
    if (m->building) seen.building = build_state{m->build_done, m->build_total};
    seen.state = seen.failed_on ? projection_state::parked : m->building ? projection_state::rebuilding : projection_state::live;
    out.push_back(std::move(seen));
  }
  return out;
}

}  // namespace usher::projections
