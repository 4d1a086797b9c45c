#pragma once
// Makes large logs quickly: the deciders themselves sell, refund and admit for as long as it takes, straight into a database.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/offline_engine.hpp"
#include "actors/process.hpp"
#include "actors/terms.hpp"
#include "store/journal.hpp"
#include "store/snapshots.hpp"

namespace usher::tests {

/// A box office at work for as long as it takes. The same seed makes the same log, but for what people are sealed with.
///
/// Halls with seats and a floor, each in a partition of its own; the last one has a waiting room. People sign up, charge and use their
/// wallets, set money aside, reserve, pay from the wallet or by a provider (who refuses some, forgets some and is late for some), give
/// up, forget to pay, cancel, hand over and exchange. Every record passed the deciders, so the auditor finds nothing; snapshots are
/// written as the shell writes them. On return from `make` all of it is on disk, as when a node has ended, but for the rows of the
/// read models, which a node builds when it starts. Some 40,000 records a second where malloc is a fast one (mimalloc: see CMakeLists.txt); 2 events a record.
class log_maker {
 public:
  struct settings {
    std::uint64_t seed = 1;
    int shows = 6;                                       ///< at least 2
    std::uint32_t rows = 100;                            ///< of a hall
    std::uint32_t seats = 50;                            ///< of a row
    std::uint64_t places = 4'000;                        ///< of a floor
    std::uint32_t users = 2'000;
    time_point start = from_ms(1'700'000'000'000);
    std::chrono::milliseconds pace{5'000};               ///< between two commands, on average
    std::uint64_t snapshot_every = 200;                  ///< events
  };

  /// @param db  an empty one, which outlives the maker
  explicit log_maker(store::database& db) : log_maker(db, settings()) {}
  log_maker(store::database& db, settings s)
      : settings_{std::move(s)}, random_{settings_.seed}, now_ms_{to_ms(settings_.start)}, db_{db}, journal_{db, index_, {}} {
    for (std::uint32_t p = 0; p != partition_count; ++p)
      if (db.durable_end(p) != 0) throw std::logic_error("there is a log already");
    index_.load(db).value();
    journal_.load().value();
    for (int i = 0; i != settings_.shows; ++i) open_show(i);
    for (std::uint32_t i = 0; i != settings_.users; ++i) sign_up(i);
  }

  /// Goes on until there are at least so many events more, and puts all of it on disk.
  void make(std::uint64_t events) {
    for (const auto until = events_ + events; events_ < until;) step();
    write();
    index_.flush(db_).value();
    db_.flush().value();
  }

  /// The clock is wrong from now on, as after somebody set it back.
  void set_back(std::chrono::milliseconds by) { now_ms_ -= by.count(); }

  [[nodiscard]] std::uint64_t records() const { return records_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }
  [[nodiscard]] time_point now() const { return from_ms(now_ms_); }  ///< of the newest record
  [[nodiscard]] const std::vector<std::string>& users() const { return users_; }
  /// The last one has the waiting room.
  [[nodiscard]] std::vector<std::string> shows() const {
    std::vector<std::string> ids;
    for (const auto& s : shows_) ids.push_back(s.id);
    return ids;
  }

 private:
  struct show {
    std::string id;
    actors::terms sells;
  };
  /// A reservation as its buyer remembers it. It may have ended meanwhile.
  struct purchase {
    std::string id;
    std::string user;
    std::string seat;  // one of its seats; empty: it has none
  };
  struct admitted {
    std::string user;
    std::uint64_t number = 0;
    std::int64_t expires_at_ms = 0;
  };
  /// What a provider was asked for, and when it says what.
  struct verdict {
    std::string reservation, payment, provider;
    std::int64_t amount = 0;
    bool debited = false;
  };

  // --- chance

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool chance(std::uint64_t percent) { return below(100) < percent; }
  const std::string& somebody() { return users_[below(users_.size())]; }
  /// Of those who wait for their payment: the others have most likely run out. There is one.
  std::uint64_t a_recent_one() { return pending_.size() - 1 - below(std::min<std::uint64_t>(pending_.size(), 8)); }
  static purchase taken_from(std::vector<purchase>& from, std::uint64_t at) {
    std::swap(from[at], from.back());
    auto one = std::move(from.back());
    from.pop_back();
    return one;
  }

  // --- the plans

  v1::ShowPlan plan(int number) const {
    v1::ShowPlan p;
    p.set_title("Night " + std::to_string(number + 1));
    p.set_venue("The Hall");
    p.set_starts_at_ms(to_ms(settings_.start) + std::int64_t{10} * 365 * 86'400'000);
    p.set_currency("EUR");
    p.set_ticket_limit(20);
    p.set_hold_seconds(300);
    p.set_extension_seconds(120);
    for (const auto& [name, price] : {std::pair{"front", 4500}, {"back", 2500}, {"floor", 1500}}) {
      auto& tier = *p.add_tiers();
      tier.set_name(name);
      tier.set_price(price);
    }
    auto& hall = *p.add_sections();
    hall.set_name("hall");
    hall.set_kind("seated");
    for (std::uint32_t r = 0; r != settings_.rows; ++r) {
      auto& row = *hall.add_rows();
      row.set_name("R" + std::to_string(r + 1));
      row.set_seats(settings_.seats);
      row.set_tier(r < settings_.rows / 3 ? "front" : "back");
    }
    auto& floor = *p.add_sections();
    floor.set_name("floor");
    floor.set_kind("generalAdmission");
    floor.set_stock(settings_.places);
    floor.set_tier("floor");
    if (number + 1 != settings_.shows) return p;
    auto& queue = *p.mutable_queue();
    queue.set_order("joining");
    queue.set_admit_per_window(1);
    queue.set_window_seconds(150);
    queue.set_admission_seconds(600);
    return p;
  }

  void open_show(int number) {
    v1::Command c;
    auto& open = *c.mutable_show()->mutable_open();
    *open.mutable_plan() = plan(number);
    open.set_draw_secret(std::string(32, static_cast<char>('a' + number % 26)));
    auto id = make_show_id(std::to_string(settings_.seed) + "/" + std::to_string(number));
    v1::ShowState state;
    *state.mutable_plan() = open.plan();
    state.set_open(true);
    state.set_version(1);
    ask(show_ref(id), std::move(c), "operator", v1::ROLE_OPERATOR);
    shows_.push_back({std::move(id), actors::terms{state}});
  }

  void sign_up(std::uint32_t number) {
    v1::PersonalData who;
    who.set_name("Buyer " + std::to_string(number));
    who.set_email("buyer-" + std::to_string(number) + "@example.com");
    const auto key = store::new_person_key();
    v1::Command c;
    c.mutable_user()->mutable_sign_up()->set_sealed(store::seal(who, key));
    users_.push_back(make_user_id(who.email()));
    const auto r = request_to(user_ref(users_.back()), std::move(c), {}, v1::ROLE_SERVICE);
    r->person_key = key;
    ask(*r);
    charge(users_.back());
  }

  // --- what people do

  void step() {
    now_ms_ += static_cast<std::int64_t>(below(static_cast<std::uint64_t>(2 * settings_.pace.count()) + 1));
    wake_who_is_due();
    hear_providers();
    const auto what = below(100);
    if (what < 28) return reserve(shows_[below(shows_.size() - 1)]);
    if (what < 33) return join_queue();
    if (what < 38) return reserve_from_inside();
    if (what < 62) return pay();
    if (what < 68) return give_up();
    if (what < 72) return extend();
    if (what < 76) return exchange_seat();
    if (what < 78) return transfer();
    if (what < 86) return charge(somebody());
    if (what < 89) return charge_the_rich();
    if (what < 92) return use_money();
    if (what < 94) return set_money_aside();
    return cancel();
  }

  void reserve(const show& in, const admitted* inside = nullptr) {
    const auto user = inside ? inside->user : somebody();
    v1::Command c;
    auto& place = *c.mutable_reservation()->mutable_place();
    place.set_user_id(user);
    if (inside) place.set_queue_number(inside->number);
    if (chance(70)) {
      const auto row = below(settings_.rows), count = 1 + below(4), first = below(settings_.seats - count + 1);
      for (std::uint64_t i = 0; i != count; ++i)
        place.add_seats()->set_seat(std::string{in.sells.at(static_cast<std::uint32_t>(row * settings_.seats + first + i)).name});
    }
    if (place.seats_size() == 0 || chance(10)) {
      place.add_general_admission()->set_section("floor");
      place.mutable_general_admission(0)->set_quantity(static_cast<std::uint32_t>(1 + below(4)));
    }
    if (actors::apply_terms(in.sells, place)) throw std::logic_error("the plan has no such seat");
    const purchase p{make_reservation_id(in.id, std::to_string(++last_key_)), user, place.seats_size() == 0 ? "" : place.seats(0).seat()};
    if (!ask_with_key(reservation_ref(p.id), std::move(c), user)) return;
    pending_.push_back(p);
    if (pending_.size() > 64) pending_.erase(pending_.begin(), pending_.begin() + 32);  // these have run out
  }

  void join_queue() {
    v1::Command c;
    const auto& user = somebody();
    c.mutable_queue()->mutable_join()->set_user_id(user);
    ask(queue_ref(shows_.back().id), std::move(c), user, v1::ROLE_USER);
  }

  void reserve_from_inside() {
    std::erase_if(inside_, [this](const admitted& a) { return a.expires_at_ms <= now_ms_; });
    if (inside_.empty()) return join_queue();
    std::swap(inside_[below(inside_.size())], inside_.back());
    const auto who = std::move(inside_.back());
    inside_.pop_back();
    reserve(shows_.back(), &who);
  }

  void pay() {
    if (pending_.empty()) return;
    const auto p = taken_from(pending_, a_recent_one());
    v1::Command c;
    auto& pay = *c.mutable_reservation()->mutable_pay();
    if (chance(10)) {
      pay.set_provider("card");
      pay.set_method("any");
      pay.set_lease_seconds(120);
      ask_with_key(reservation_ref(p.id), std::move(c), p.user);
      by_provider_.insert_or_assign(p.id, p);
      return;
    }
    const auto r = request_to(reservation_ref(p.id), std::move(c), p.user, v1::ROLE_USER);
    r->idempotency_key = next_key();
    r->fingerprint = last_key_;
    auto& key = *r->command.mutable_reservation()->mutable_pay()->mutable_key();
    key.set_user_id(p.user);
    key.set_key(r->idempotency_key);
    key.set_fingerprint(r->fingerprint);
    confirmed_here_ = false;
    if (!ask(*r)) return;
    if (confirmed_here_) remember(p);
    else if (chance(80)) pending_.push_back(p), charge(p.user);
  }

  void give_up() {
    if (pending_.empty()) return;
    const auto p = taken_from(pending_, a_recent_one());
    v1::Command c;
    c.mutable_reservation()->mutable_release();
    ask_with_key(reservation_ref(p.id), std::move(c), p.user);
  }

  void extend() {
    if (pending_.empty()) return;
    const auto p = pending_[a_recent_one()];
    v1::Command c;
    c.mutable_reservation()->mutable_extend()->set_seconds(120);
    ask_with_key(reservation_ref(p.id), std::move(c), p.user);
  }

  void exchange_seat() {
    auto& from = chance(50) || confirmed_.empty() ? pending_ : confirmed_;
    if (from.empty()) return;
    auto& p = from[below(from.size())];
    if (p.seat.empty()) return;
    const auto& sells = show_of(p.id).sells;
    const auto to = sells.at(static_cast<std::uint32_t>(below(sells.size())));
    v1::Command c;
    auto& exchange = *c.mutable_reservation()->mutable_exchange();
    exchange.set_from(p.seat);
    exchange.mutable_to()->set_seat(std::string{to.name});
    exchange.mutable_to()->set_tier(std::string{to.tier});
    exchange.mutable_to()->set_price(to.price);
    if (ask_with_key(reservation_ref(p.id), std::move(c), p.user)) p.seat = std::string{to.name};
  }

  void transfer() {
    if (confirmed_.empty()) return;
    auto& p = confirmed_[below(confirmed_.size())];
    v1::Command c;
    const auto& to = somebody();
    c.mutable_reservation()->mutable_transfer()->set_to_user_id(to);
    c.mutable_reservation()->mutable_transfer()->set_ticket_limit(show_of(p.id).sells.ticket_limit());
    if (ask_with_key(reservation_ref(p.id), std::move(c), p.user)) p.user = to;
  }

  /// The fuller the halls, the more people change their minds.
  void cancel() {
    const auto capacity = (settings_.rows * settings_.seats + settings_.places) * static_cast<std::uint64_t>(settings_.shows);
    const auto times = confirmed_.size() * 4 > capacity ? 4 : confirmed_.size() * 6 > capacity ? 2 : 1;
    for (int i = 0; i != times && !confirmed_.empty(); ++i) {
      const auto p = taken_from(confirmed_, below(confirmed_.size()));
      v1::Command c;
      auto& cancel = *c.mutable_reservation()->mutable_cancel();
      cancel.set_reason("changed my mind");
      const auto r = request_to(reservation_ref(p.id), std::move(c), p.user, v1::ROLE_USER);
      r->idempotency_key = next_key();
      r->fingerprint = last_key_;
      auto& key = *r->command.mutable_reservation()->mutable_cancel()->mutable_key();
      key.set_user_id(p.user);
      key.set_key(r->idempotency_key);
      key.set_fingerprint(r->fingerprint);
      ask(*r);
    }
  }

  void charge(const std::string& user) {
    v1::Command c;
    auto& charge = *c.mutable_wallet()->mutable_charge();
    charge.set_amount(static_cast<std::int64_t>(1 + below(5)) * 5'000);
    charge.set_transaction_id(make_transaction_id(std::to_string(last_key_ + 1)));
    ask_with_key(wallet_ref(user), std::move(c), user);
  }
  /// One wallet with a long history.
  void charge_the_rich() { charge(users_.front()); }

  void use_money() {
    const auto& user = somebody();
    v1::Command c;
    auto& use = *c.mutable_wallet()->mutable_use();
    use.set_amount(static_cast<std::int64_t>(1 + below(20)) * 100);
    use.set_transaction_id(make_transaction_id(std::to_string(last_key_ + 1)));
    ask_with_key(wallet_ref(user), std::move(c), user);
  }

  void set_money_aside() {
    const auto user = somebody();
    const auto id = make_authorization_id(std::to_string(last_key_ + 1));
    v1::Command c;
    auto& authorize = *c.mutable_wallet()->mutable_authorize();
    authorize.set_authorization_id(id);
    authorize.set_amount(1'000);
    authorize.set_seconds(600);
    if (!ask_with_key(wallet_ref(user), std::move(c), user) || chance(30)) return;  // the others run out
    now_ms_ += 1'000;
    v1::Command end;
    if (chance(50)) {
      end.mutable_wallet()->mutable_void_funds()->set_authorization_id(id);
    } else {
      auto& capture = *end.mutable_wallet()->mutable_capture();
      capture.set_authorization_id(id);
      capture.set_amount(600);
      capture.set_transaction_id(make_transaction_id(std::to_string(last_key_ + 1)));
    }
    ask_with_key(wallet_ref(user), std::move(end), user);
  }

  // --- what happens by itself

  void wake_who_is_due() {
    const auto next = index_.next_deadline();
    if (!next || to_ms(*next) > now_ms_) return;
    for (const auto& due : index_.due_at(from_ms(now_ms_), 256)) {
      auto& quiet = quiet_until_[key_of(due.entity)];
      if (quiet > now_ms_) continue;
      if (auto wake = actors::wake_command(due.entity.kind()); wake && ask(due.entity, std::move(*wake), {}, v1::ROLE_SYSTEM)) {
        quiet_until_.erase(key_of(due.entity));
      } else {
        quiet = now_ms_ + 30'000;  // it waits for a provider
      }
    }
    if (quiet_until_.size() > 10'000) std::erase_if(quiet_until_, [this](const auto& q) { return q.second <= now_ms_; });
  }

  void hear_providers() {
    while (!verdicts_.empty() && verdicts_.begin()->first <= now_ms_) {
      const auto v = std::move(verdicts_.begin()->second);
      verdicts_.erase(verdicts_.begin());
      hear(v, false);
      const auto p = by_provider_.find(v.reservation);
      if (p == by_provider_.end()) continue;
      if (v.debited && confirmed_here_) remember(p->second);
      by_provider_.erase(p);
    }
  }

  void hear(const verdict& v, bool give_back) {
    v1::Command c;
    auto& settle = *c.mutable_reservation()->mutable_settle_payment();
    settle.set_payment_id(v.payment);
    settle.set_provider(v.provider);
    settle.set_debited(v.debited);
    settle.set_amount(v.amount);
    settle.set_give_back(give_back);
    settle.set_ticket_limit(show_of(v.reservation).sells.ticket_limit());
    confirmed_here_ = false;
    if (!ask(reservation_ref(v.reservation), std::move(c), {}, v1::ROLE_SYSTEM) && v.debited && !give_back) hear(v, true);
  }

  /// Sends what a reservation owes to others, and lets it hear their answers.
  void drive(const v1::EntityRef& ref) {
    if (ref.kind() != v1::RESERVATION) return;
    for (auto& e : engine_.react(ref)) {
      if (e.to.kind() == v1::PROVIDER) {
        ask_provider(ref, e);
        continue;
      }
      const auto r = request_to(e.to, e.command, {}, v1::ROLE_SYSTEM);
      r->causation = key_of(ref);
      actors::answer a;
      if (!ask(*r, &a)) continue;
      if (auto next = actors::heard(e.command, a)) ask(ref, std::move(*next), {}, v1::ROLE_SYSTEM);
    }
  }

  void ask_provider(const v1::EntityRef& ref, const actors::errand& e) {
    if (e.command.provider().has_give_back()) {
      v1::Command c;
      auto& settle = *c.mutable_reservation()->mutable_settle_refund();
      settle.set_payment_id(e.command.provider().give_back().payment_id());
      settle.set_provider(e.to.group());
      ask(ref, std::move(c), {}, v1::ROLE_SYSTEM);
      return;
    }
    const auto& take = e.command.provider().take();
    if (take.payment_id() == last_taken_) return;  // asked again
    last_taken_ = take.payment_id();
    if (chance(10)) return;  // it forgot
    const auto at_ms = now_ms_ + 1'000 * static_cast<std::int64_t>(1 + below(chance(10) ? 900 : 60));
    verdicts_.emplace(at_ms, verdict{ref.name(), take.payment_id(), e.to.group(), take.amount(), chance(80)});
  }

  // --- asking

  std::string next_key() { return "key-" + std::to_string(++last_key_); }
  const show& show_of(const std::string& reservation) const {
    const auto id = show_of_reservation(reservation);
    return *std::find_if(shows_.begin(), shows_.end(), [&](const show& s) { return s.id == id; });
  }
  void remember(purchase p) {
    if (confirmed_.size() == 200'000) std::swap(confirmed_[below(confirmed_.size())], confirmed_.back()), confirmed_.pop_back();
    confirmed_.push_back(std::move(p));
  }

  static actors::request_ptr request_to(v1::EntityRef to, v1::Command c, std::string user, v1::Role role) {
    auto r = std::make_shared<actors::request>();
    r->to = std::move(to);
    r->command = std::move(c);
    r->user_id = std::move(user);
    r->role = role;
    return r;
  }
  bool ask(v1::EntityRef to, v1::Command c, std::string user, v1::Role role) {
    return ask(*request_to(std::move(to), std::move(c), std::move(user), role));
  }
  bool ask_with_key(v1::EntityRef to, v1::Command c, const std::string& user) {
    const auto r = request_to(std::move(to), std::move(c), user, v1::ROLE_USER);
    r->idempotency_key = next_key();
    r->fingerprint = last_key_;
    return ask(*r);
  }

  /// Decides and records, and does at once what follows from it. @return whether something was recorded
  bool ask(actors::request& r, actors::answer* answer = nullptr) {
    auto d = engine_.decide(r.to, r.command, {now(), r.user_id, r.role});
    if (answer) answer->outcome = std::make_shared<v1::Outcome>(d.outcome);
    if (!d.records()) return answer && !d.is_refused();
    const auto to = r.to;
    auto made = engine_.record(r, now(), std::move(d));
    note(*made.record);
    hand_over(std::move(made), r.person_key);
    engine_.trim();
    drive(to);
    return true;
  }

  void hand_over(actors::offline_record made, const std::optional<store::person_key>& key) {
    ++records_;
    events_ += static_cast<std::uint64_t>(made.record->events_size());
    auto snapshots = snapshots_due(made);
    store::durable_callback stored;
    if (!snapshots.empty())
      stored = [this, snapshots = std::move(snapshots)](std::optional<log_position> at) mutable {
        for (auto& s : snapshots) {
          s.set_index(at->index);
          store::put_snapshot(db_, s).value();
        }
      };
    journal_.hand_over(std::move(made.record), made.hashes, std::move(stored), key);
    if (journal_.waiting() >= 1024) write();
    if (records_ % 65'536 == 0) index_.flush(db_).value();
  }
  void write() {
    while (journal_.write_round()) {
    }
  }

  /// As the shell: every so many events, and a large state less often.
  std::vector<v1::Snapshot> snapshots_due(const actors::offline_record& made) {
    std::vector<v1::Snapshot> due;
    const auto& events = made.record->events();
    for (int i = 0; i != events.size(); ++i) {
      const auto& key = made.hashes.streams[static_cast<std::size_t>(i)];
      const bool goes_on = i + 1 != events.size() && made.hashes.streams[static_cast<std::size_t>(i) + 1] == key;
      if (goes_on || events[i].version() < settings_.snapshot_every) continue;
      auto& [version, bytes] = last_snapshot_[key];
      if (events[i].version() - version < std::max(settings_.snapshot_every, bytes / 256)) continue;
      auto& s = due.emplace_back(engine_.state_of(key));
      s.set_schema(2);  // of the shell's
      s.set_deadline_ms(events[i].deadline_ms());
      version = s.version();
      bytes = s.ByteSizeLong();
    }
    return due;
  }

  /// What the people of this story get to know.
  void note(const v1::Record& record) {
    for (const auto& e : record.events()) {
      if (e.reservation().has_confirmed() || e.reservation().has_late_payment_seated()) confirmed_here_ = true;
      if (e.queue().has_joined()) waiting_.push_back(e.queue().joined().user_id());
      if (e.queue().has_admitted())
        for (; let_in_ < e.queue().admitted().through(); ++let_in_)
          inside_.push_back({waiting_.at(let_in_), let_in_ + 1, e.queue().admitted().expires_at_ms()});
    }
  }

  const settings settings_;
  std::mt19937_64 random_;
  std::int64_t now_ms_;
  store::database& db_;
  store::engine_index index_;
  store::journal journal_;
  actors::offline_engine engine_;

  std::vector<show> shows_;
  std::vector<std::string> users_;
  std::vector<purchase> pending_;
  std::vector<purchase> confirmed_;
  std::unordered_map<std::string, purchase> by_provider_;
  std::multimap<std::int64_t, verdict> verdicts_;  // by when they come
  std::string last_taken_;                         // the payment that a provider was asked for last
  bool confirmed_here_ = false;                    // by the last question
  std::vector<std::string> waiting_;               // everybody who ever joined, by number
  std::uint64_t let_in_ = 0;
  std::vector<admitted> inside_;
  std::unordered_map<std::string, std::int64_t> quiet_until_;
  std::map<store::short_hash, std::pair<std::uint64_t, std::uint64_t>> last_snapshot_;  // version and bytes
  std::uint64_t last_key_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t events_ = 0;
};

}  // namespace usher::tests
