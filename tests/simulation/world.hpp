#pragma once
// The simulated world: the engine's real parts over a simulated disk, on one thread, with a virtual clock, every order of
// events chosen by a seed. The same seed gives the same run.

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "actors/registry.hpp"
#include "cluster/reactor.hpp"
#include "cluster/router.hpp"
#include "projections/runner.hpp"
#include "store/journal.hpp"
#include "store/journal_actor.hpp"
#include "tests/simulation/disk.hpp"
#include "tests/simulation/ledger.hpp"

namespace usher::tests {

class virtual_clock final : public wall_clock {
 public:
  [[nodiscard]] time_point now() const override { return now_; }
  void advance(std::chrono::milliseconds d) { now_ += d; }
  void set(time_point t) { now_ = t; }

 private:
  time_point now_ = from_ms(1'000'000);
};

/// A request under way, and the answer once it is there.
struct question {
  actors::request_ptr request;
  v1::EntityRef to;
  int answers = 0;
  actors::answer answer;
  [[nodiscard]] bool accepted() const { return answers == 1 && !answer.rejection; }
  [[nodiscard]] v1::Code refused() const { return answers == 1 && answer.rejection ? answer.rejection->code() : v1::OK; }
};
using question_ptr = std::shared_ptr<question>;

/// What befalls the next write of the log.
struct trouble {
  enum class kind { none, append_fails, sync_fails, power_cut, slow };
  kind what = kind::none;
  std::uint64_t messages = 0;         ///< that others handle while a slow disk syncs
  std::chrono::milliseconds takes{};  ///< a slow disk
};

struct life_settings {
  time_point start = from_ms(1'000'000);
  std::uint64_t snapshot_every = 200;
  std::uint32_t ticket_limit = 4;  ///< of every show of the world
  std::optional<projections::runner::settings> views;  ///< nothing: no read models
  /// Errands for payment providers, who are no entities here.
  std::function<void(const actors::request_ptr&)> provider;
};

/// One life of a node over a disk. Its end is a crash: what waits for the journal is lost, what a round has written stays.
class world {
 public:
  world(std::uint64_t seed, disk& d, time_point start = from_ms(1'000'000), std::uint64_t snapshot_every = 200)
      : world(seed, d, life_settings{.start = start, .snapshot_every = snapshot_every, .views = {}, .provider = {}}) {}

  world(std::uint64_t seed, disk& d, const life_settings& s) : random_(seed), disk_(d) {
    clock_.set(s.start);
    provider_ = s.provider;
    book.ticket_limit = s.ticket_limit;
    db_ = std::move(store::database::open(d.directory, d.env.get()).value());
    index_.load(*db_).value();
    read_log([this](store::record_ptr r, std::string_view) { book.take(*r); });
    journal_ = std::make_unique<store::journal>(*db_, index_, store::journal::hooks{
        .work_waits = [this] { caf::anon_send(writer_, store::write_atom::value); },
        .committed = [this](const std::vector<store::record_ptr>& records) { commit(records); },
        .failed = [this](const failure& f) { fail(f.detail); },
    });
    journal_->load().value();
    if (s.views) {
      views_ = std::make_unique<projections::runner>(*s.views);
      views_->start(*db_).value();
    }
    watch_disk();
    start_actors(s.snapshot_every);
  }

  ~world() {
    dead_ = true;
    caf::anon_send_exit(reactor_, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(writer_, caf::exit_reason::user_shutdown);
    reactor_ = nullptr;
    // Without a writer nothing is answered any more, so no actor wakes another one.
    while (scheduler().try_run_once_lifo() || wind_down()) {
    }
    disk_.files.before_log_append = nullptr;
    disk_.files.before_log_sync = nullptr;
    journal_.reset();
    writer_ = nullptr;
    system_.reset();
  }
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  ledger book;
  /// Each record that is on disk for good, after the book has taken it in.
  std::function<void(const v1::Record&)> on_record;

  void reseed(std::uint64_t seed) { random_.seed(seed); }
  /// From now on whoever got a message first has the first turn, whatever the seed.
  void keep_order() { in_order_ = true; }
  /// @return 0 … n-1
  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  time_point now() const { return clock_.now(); }

  /// Sends a command without running anything.
  question_ptr send(v1::EntityRef to, v1::Command command, std::string user_id = {}, std::string key = {}, std::uint64_t fingerprint = 0) {
    auto q = std::make_shared<question>();
    q->request = std::make_shared<actors::request>();
    q->to = to;
    auto& r = *q->request;
    r.to = std::move(to);
    r.command = std::move(command);
    r.role = user_id.empty() ? v1::ROLE_SERVICE : v1::ROLE_USER;
    r.user_id = std::move(user_id);
    r.idempotency_key = std::move(key);
    r.fingerprint = fingerprint;
    // A weak pointer, or the request would own itself.
    r.reply = [this, weak = std::weak_ptr{q}](actors::answer a) {
      if (dead_) return;
      if (stopped_) book.faults.emplace_back("An answer left after the disk had failed.");
      if (auto asked = weak.lock()) {
        ++asked->answers;
        asked->answer = std::move(a);
      }
    };
    router_->send(q->request);
    return q;
  }

  /// Sends a command and runs until nothing is left to do.
  question_ptr ask(v1::EntityRef to, v1::Command command, std::string user_id = {}, std::string key = {}) {
    auto q = send(std::move(to), std::move(command), std::move(user_id), std::move(key));
    settle();
    return q;
  }

  /// Lets one actor, or the read models, chosen by the seed, have one turn. @return whether there was one
  bool step() {
    auto& jobs = scheduler().jobs;
    const auto turns = jobs.size() + (views_wait() ? 1 : 0);
    if (turns == 0) return false;
    const auto next = in_order_ ? 0 : below(turns);
    if (next == jobs.size()) {
      feed_views();
      return true;
    }
    std::swap(jobs.front(), jobs[next]);
    scheduler().run_once();
    return true;
  }
  void run_some(std::uint64_t steps) {
    while (steps-- != 0 && step()) {
    }
  }
  /// Runs until nobody has anything to do. Time stands still.
  void settle() {
    while (step()) {
    }
  }

  /// Time passes and the reactor has a message to look at its deadlines; nothing runs.
  void let_pass(std::chrono::milliseconds d) {
    clock_.advance(d);
    scheduler().advance_time(std::chrono::milliseconds{20});
  }
  void pass(std::chrono::milliseconds d) {
    let_pass(d);
    settle();
  }

  /// Those who have a message now get no turn until `resume`; others do.
  void stall() { stalled_ = std::exchange(scheduler().jobs, {}); }
  void resume() {
    for (auto* job : std::exchange(stalled_, {})) scheduler().jobs.push_back(job);
  }

  /// Asks all actors to go that have nothing to do; nothing runs.
  void ask_to_retire() { entities_->passivate(now() + std::chrono::milliseconds{1}); }
  std::size_t awake() const { return entities_->awake(); }

  // --- the disk and its troubles -----------------------------------------------------------------------------------

  /// The power goes: from now on nothing is written, and nobody hears an answer. What is left is to end this world.
  void cut_power() {
    dead_ = true;
    disk_.files.cut_power();
  }
  void expect_trouble(trouble t) { trouble_ = t; }
  /// The disk refused a write, so the node has stopped. What still runs must change nothing, nor answer.
  bool stopped() const { return stopped_; }
  trouble::kind refused() const { return refused_; }  ///< what the disk did then
  /// It has stopped, or the power is gone.
  bool over() const { return stopped_ || dead_; }
  /// How many records the write that the disk was busy with when it failed had; 0: it was not.
  std::size_t records_in_flight() const { return in_flight_; }
  /// How many records others have handed over so far while a slow disk was busy.
  std::uint64_t decided_meanwhile() const { return decided_meanwhile_; }

  /// What the housekeeper and the read models' thread write every now and then.
  void write_behind() {
    expect_done(index_.flush(*db_));
    if (views_) expect_done(views_->flush());
  }
  /// RocksDB writes out its memtables. @return whether the power lasted
  bool flush_tables() {
    watched_ = false;  // RocksDB syncs the log once more, in a thread of its own
    const auto flushed = db_->flush();
    watched_ = true;
    if (!disk_.files.has_power()) dead_ = true;
    expect_done(flushed);
    return !dead_;
  }
  /// What was told to the read models gets lost on the way; they find it in the log. @return whether there was something
  bool drop_unread() {
    if (unread_.empty()) return false;
    unread_.clear();
    return behind_ = true;
  }
  /// Ends as a node ends that is asked to: everything is decided, told and written out.
  void stop() {
    settle();
    if (views_) expect_done(views_->catch_up());
    write_behind();
    flush_tables();
  }

  void rebuild_a_view() {
    const auto all = views_->health().projections;
    watched_ = false;  // what it notes is synced beside the journal, where no trouble waits
    const auto built = views_->rebuild(all[below(all.size())].name);
    watched_ = true;
    if (!built) return expect_done(built.error());
    if (!*built) book.faults.emplace_back("A rebuild ended early, and nobody had told it to.");
  }
  void catch_up_views() {
    behind_ = true;
    feed_views();
  }
  const projections::runner& views() const { return *views_; }
  const store::engine_index& index() const { return index_; }
  const store::database& database() const { return *db_; }

  /// Everything on disk, one partition after another.
  void read_log(const std::function<void(store::record_ptr, std::string_view)>& visit) const {
    for (std::uint32_t p = 0; p != partition_count; ++p) {
      if (db_->durable_end(p) == 0) continue;
      const auto read = db_->scan(p, 1, [&](store::record_ptr r, std::string_view stored) {
        visit(std::move(r), stored);
        return true;
      });
      read.value();
    }
  }

 private:
  class settings : public caf::actor_system_config {
   public:
    settings() { set("scheduler.policy", caf::atom("testing")); }
  };

  void commit(const std::vector<store::record_ptr>& records) {
    in_flight_ = 0;
    if (dead_) return;
    for (const auto& r : records) {
      book.take(*r);
      if (on_record) on_record(*r);
    }
    if (views_) unread_.insert(unread_.end(), records.begin(), records.end());
  }
  void fail(const std::string& what) {
    if (dead_) return;
    stopped_ = true;
    if (refused_ == trouble::kind::none) book.faults.push_back("The journal failed, and the disk had not: " + what);
  }
  void expect_done(const result<void>& done) {
    if (!done && !dead_ && !stopped_) book.faults.push_back("Writing failed, and the disk had not: " + done.error().detail);
  }

  void watch_disk() {
    disk_.files.before_log_append = [this] {
      if (!watched_) return true;
      if (in_flight_ == 0) in_flight_ = journal_->waiting();
      const bool works = trouble_.what != trouble::kind::append_fails;
      if (!works) refused_ = trouble_.what;
      return works;
    };
    disk_.files.before_log_sync = [this] { return dead_ || !watched_ || sync(std::exchange(trouble_, {})); };
  }
  bool sync(const trouble& t) {
    if (t.what == trouble::kind::sync_fails) refused_ = t.what;
    if (t.what == trouble::kind::power_cut) cut_power();
    if (t.what == trouble::kind::slow) be_slow(t);
    return t.what != trouble::kind::sync_fails;
  }
  /// Others go on while the journal waits for the disk.
  void be_slow(const trouble& t) {
    disk_is_busy_ = true;
    const auto before = journal_->waiting();
    try {
      let_pass(t.takes);
      run_some(t.messages);
    } catch (const std::exception& e) {  // not through RocksDB
      book.faults.emplace_back(e.what());
    }
    decided_meanwhile_ += journal_->waiting() - before;
    disk_is_busy_ = false;
  }

  bool views_wait() const { return (behind_ || !unread_.empty()) && !disk_is_busy_; }
  void feed_views() {
    if (std::exchange(behind_, false)) {
      unread_.clear();
      return expect_done(views_->catch_up());
    }
    const auto n = static_cast<std::ptrdiff_t>(in_order_ ? unread_.size() : 1 + below(unread_.size()));
    expect_done(views_->offer({unread_.begin(), unread_.begin() + n}));
    unread_.erase(unread_.begin(), unread_.begin() + n);
  }

  void start_actors(std::uint64_t snapshot_every) {
    system_ = std::make_unique<caf::actor_system>(settings_);
    entities_ = std::make_unique<actors::registry>(*system_);
    router_ = std::make_unique<cluster::router>(*entities_);
    around_.reset(new actors::surroundings{
        .db = *db_,
        .index = index_,
        .journal = *journal_,
        .clock = clock_,
        .entities = *entities_,
        .route = [this](actors::request_ptr r) { r->to.kind() == v1::PROVIDER ? provider_(r) : router_->send(std::move(r)); },
        .show_changed = [](const std::string&) {},
        .bug = [this](const std::string& what) {
          book.faults.push_back(what);
          throw std::logic_error(what);
        },
        .snapshot_every = snapshot_every,
    });
    entities_->connect(*around_);
    writer_ = store::spawn_journal(*system_, *journal_, false);
    reactor_ = cluster::spawn_reactor(*system_, index_, clock_, *router_);
    settle();
  }

  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
  }
  /// @return whether there was something left to end
  bool wind_down() {
    resume();
    const bool some = entities_->awake() != 0;
    entities_->stop();
    return some || scheduler().trigger_timeouts() != 0 || scheduler().has_job();
  }

  // In the order of their dependencies.
  std::mt19937_64 random_;
  bool in_order_ = false;
  disk& disk_;
  virtual_clock clock_;
  std::unique_ptr<store::database> db_;
  store::engine_index index_;
  std::unique_ptr<store::journal> journal_;
  std::unique_ptr<projections::runner> views_;
  std::vector<store::record_ptr> unread_;  ///< by the read models
  bool behind_ = false;                    ///< they missed some
  std::function<void(const actors::request_ptr&)> provider_;
  trouble trouble_;
  trouble::kind refused_ = trouble::kind::none;
  bool disk_is_busy_ = false;
  bool watched_ = true;
  std::size_t in_flight_ = 0;
  std::uint64_t decided_meanwhile_ = 0;
  bool stopped_ = false;
  bool dead_ = false;  ///< what happens now only looks as if it did
  settings settings_;
  std::unique_ptr<actors::registry> entities_;
  std::unique_ptr<cluster::router> router_;
  std::unique_ptr<actors::surroundings> around_;
  caf::actor writer_;
  caf::actor reactor_;
  std::deque<caf::resumable*> stalled_;
  std::unique_ptr<caf::actor_system> system_;
};

}  // namespace usher::tests
