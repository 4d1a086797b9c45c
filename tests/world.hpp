#pragma once
// The simulated world: the engine's real parts over a file system in memory, on one thread, with a virtual clock, every
// order of events chosen by a seed. The same seed gives the same run.

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "actors/allowance.hpp"
#include "actors/registry.hpp"
#include "actors/reservation.hpp"
#include "actors/seat.hpp"
#include "actors/stock.hpp"
#include "actors/wallet.hpp"
#include "cluster/reactor.hpp"
#include "cluster/router.hpp"
#include "events/ledger.hpp"
#include "store/journal.hpp"
#include "store/journal_actor.hpp"
#include "tests/simulation/disk.hpp"

namespace usher::tests {

/// Folds a log and says after every record what contradicts the rules that span entities.
class ledger {
 public:
  struct hall {
    std::map<std::string, v1::SeatState> seats;
    std::map<std::string, v1::StockState> stocks;
    std::map<std::string, v1::AllowanceState> allowances;  ///< by user
    std::map<std::string, v1::ReservationState> reservations;
  };
  struct purse {
    v1::WalletState state;
    std::int64_t expected = 0;           ///< charges minus uses, payments and captures, plus refunds, added up here
    std::map<std::string, int> debits;   ///< by payment
    std::map<std::string, int> credits;
  };
  std::map<std::string, hall> halls;     ///< by show
  std::map<std::string, purse> purses;   ///< by user
  std::vector<std::string> faults;       ///< whole sentences; empty where all is well
  std::uint32_t ticket_limit = 4;        ///< of every show of the world
  std::uint64_t records = 0;

  /// The next record of its partition. Checks the show that it touches, as a whole.
  void take(const v1::Record& r) {
    ++records;
    at_ = to_token({r.partition(), r.index()});
    std::string show;
    for (const auto& e : r.events()) {
      fold(e);
      if (e.stream().kind() != v1::WALLET) show = e.stream().group();
    }
    if (!show.empty()) check(halls[show]);
  }

  /// To be called when no process is open: whoever paid is seated or has the money back, and nobody else paid.
  void check_settled() {
    at_ = "the end";
    for (const auto& [show, h] : halls)
      for (const auto& [id, r] : h.reservations) check_money(id, r);
  }

 private:
  static bool holds(const v1::ReservationState& r) { return r.status() == v1::PENDING || r.status() == v1::PAYING; }
  static bool owns(const v1::ReservationState& r) { return r.status() == v1::CONFIRMED || r.status() == v1::REFUNDING; }
  void expect(bool ok, const std::string& what) {
    if (!ok) faults.push_back("At " + at_ + ": " + what);
  }

  void fold(const v1::StreamEvent& e) {
    auto& h = halls[e.stream().group()];
    const auto& name = e.stream().name();
    if (e.has_seat()) actors::seat::evolve(h.seats[name], e.seat());
    if (e.has_stock()) actors::stock::evolve(h.stocks[name], e.stock());
    if (e.has_allowance()) actors::allowance::evolve(h.allowances[name], e.allowance());
    if (e.has_reservation()) actors::reservation::evolve(h.reservations[name], e.reservation());
    if (e.has_wallet()) fold_wallet(purses[e.stream().group()], e.wallet());
  }

  void fold_wallet(purse& p, const v1::WalletEvent& e) {
    actors::wallet::evolve(p.state, e);
    if (e.has_charged()) p.expected += e.charged().amount();
    if (e.has_used()) p.expected -= e.used().amount();
    if (e.has_captured()) p.expected -= e.captured().amount();
    if (e.has_debited()) {
      p.expected -= e.debited().amount();
      ++p.debits[e.debited().payment_id()];
    }
    if (e.has_credited()) {
      p.expected += e.credited().amount();
      ++p.credits[e.credited().payment_id()];
    }
    expect(p.state.balance() == p.expected, "a balance is not what was moved.");
    expect(p.state.balance() >= 0, "a balance is below zero.");
    std::int64_t held = 0;
    for (const auto& [id, a] : p.state.authorizations()) held += a.amount();
    expect(p.state.held() == held, "what is set aside is not the sum of the open authorizations.");
    expect(held <= p.state.balance(), "more is set aside than there is.");
    std::int64_t both_sides = 0;
    for (const auto& one : postings_of(e)) both_sides += one.amount;
    expect(both_sides == 0, "money was made or lost.");
  }

  void check(const hall& h) {
    std::map<std::string, std::string> holder;  // of seats, by what the reservations say
    std::map<std::string, std::uint64_t> held, sold, used;
    for (const auto& [id, r] : h.reservations) {
      if (!holds(r) && !owns(r)) continue;
      for (const auto& item : r.seats()) {
        expect(holder.emplace(item.seat(), id).second, item.seat() + " has two holders.");
        const auto s = h.seats.find(item.seat());
        const auto wanted = owns(r) ? v1::SOLD : v1::HELD;
        expect(s != h.seats.end() && s->second.phase() == wanted && s->second.reservation_id() == id,
               item.seat() + " is not what " + id + " says.");
      }
      used[r.user_id()] += static_cast<std::uint64_t>(r.seats_size());
      for (const auto& item : r.general_admission()) {
        (owns(r) ? sold : held)[item.section()] += item.quantity();
        used[r.user_id()] += item.quantity();
      }
    }
    for (const auto& [name, s] : h.seats)
      expect(s.phase() == v1::AVAILABLE || (holder.contains(name) && holder[name] == s.reservation_id()),
             name + " is taken by nobody who says so.");
    for (const auto& [name, s] : h.stocks) {
      expect(s.held() == held[name] && s.sold() == sold[name], "the count of " + name + " is wrong.");
      expect(s.held() + s.sold() <= s.capacity(), name + " has more people than places.");
    }
    for (const auto& [user, a] : h.allowances) {
      expect(a.used() == used[user], "the allowance of " + user + " is not the sum of the live places.");
      expect(a.used() <= ticket_limit, user + " has more places than allowed.");
    }
    for (const auto& [user, n] : used) expect(h.allowances.contains(user), user + " has places without an allowance.");
  }

  void check_money(const std::string& id, const v1::ReservationState& r) {
    expect(r.status() != v1::PAYING && r.status() != v1::REFUNDING, id + " is still under way.");
    auto& p = purses[r.user_id()];
    for (std::uint32_t attempt = 1; attempt <= r.attempts(); ++attempt) {
      const auto payment = make_payment_id(id, attempt);
      const bool stands = r.payment_id() == payment;
      const int debits = stands && (r.status() == v1::CONFIRMED || r.status() == v1::CANCELLED) ? 1 : 0;
      expect(p.debits[payment] == debits, id + " was not paid exactly once, or paid for nothing.");
      expect(p.credits[payment] == (stands && r.status() == v1::CANCELLED ? 1 : 0), id + " has the wrong refund.");
    }
  }

  std::string at_;
};

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
  int answers = 0;
  actors::answer answer;
  [[nodiscard]] bool accepted() const { return answers == 1 && !answer.rejection; }
  [[nodiscard]] v1::Code refused() const { return answers == 1 && answer.rejection ? answer.rejection->code() : v1::OK; }
};
using question_ptr = std::shared_ptr<question>;

/// One life of a node over a disk. Its end is a crash: what waits for the journal is lost, what a round has written stays.
class world {
 public:
  world(std::uint64_t seed, disk& d, time_point start = from_ms(1'000'000), std::uint64_t snapshot_every = 200)
      : random_(seed), disk_(d) {
    clock_.set(start);
    db_ = std::move(store::database::open(d.directory, d.env.get()).value());
    index_.load(*db_).value();
    read_log([this](store::record_ptr r, std::string_view) { book.take(*r); });
    journal_ = std::make_unique<store::journal>(*db_, index_, store::journal::hooks{
        .work_waits = [this] { caf::anon_send(writer_, store::write_atom::value); },
        .committed = [this](const std::vector<store::record_ptr>& records) {
          for (const auto& r : records) book.take(*r);
        },
        .failed = [this](const failure& f) { book.faults.push_back(f.detail); },
    });
    journal_->load().value();
    start_actors(snapshot_every);
  }

  ~world() {
    caf::anon_send_exit(reactor_, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(writer_, caf::exit_reason::user_shutdown);
    reactor_ = nullptr;
    // Without a writer nothing is answered any more, so no actor wakes another one.
    while (scheduler().try_run_once_lifo() || wind_down()) {
    }
    journal_.reset();
    writer_ = nullptr;
    system_.reset();
  }
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  ledger book;

  void reseed(std::uint64_t seed) { random_.seed(seed); }
  /// From now on whoever got a message first has the first turn, whatever the seed.
  void keep_order() { in_order_ = true; }
  /// @return 0 … n-1
  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  time_point now() const { return clock_.now(); }

  /// Sends a command without running anything.
  question_ptr send(v1::EntityRef to, v1::Command command, std::string user_id = {}, std::string key = {}) {
    auto q = std::make_shared<question>();
    q->request = std::make_shared<actors::request>();
    auto& r = *q->request;
    r.to = std::move(to);
    r.command = std::move(command);
    r.role = user_id.empty() ? v1::ROLE_SERVICE : v1::ROLE_USER;
    r.user_id = std::move(user_id);
    r.idempotency_key = std::move(key);
    // A weak pointer, or the request would own itself.
    r.reply = [weak = std::weak_ptr{q}](actors::answer a) {
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

  /// Lets one actor, chosen by the seed, handle one message. @return whether there was one
  bool step() {
    auto& jobs = scheduler().jobs;
    if (jobs.empty()) return false;
    if (!in_order_) std::swap(jobs.front(), jobs[below(jobs.size())]);
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

  /// Everything on disk, one partition after another.
  void read_log(const std::function<void(store::record_ptr, std::string_view)>& visit) const {
    for (std::uint32_t p = 0; p != partition_count; ++p) {
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
        .route = [this](actors::request_ptr r) { router_->send(std::move(r)); },
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
