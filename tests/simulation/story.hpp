#pragma once
// What happens in one seed: a small cast and a list of steps. The list can be shortened and played again.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "events/vocabulary.hpp"
#include "tests/simulation/provider.hpp"
#include "tests/simulation/world.hpp"

namespace usher::tests {

/// One thing that is done to the node, and how many messages it handles afterwards.
struct step {
  enum class kind {
    send,         ///< a client's command
    again,        ///< the same request as in step `of` once more
    give_up,      ///< the client of step `of` waits no longer
    pass,         ///< time
    meet,         ///< time, until `time` after the next deadline, or before it
    idle,         ///< nothing is left to do
    stall,        ///< those who have work get no turn for a while, others do
    retire,       ///< who has nothing to do goes to sleep
    drop,         ///< the read models miss what was told to them
    write_behind, ///< rows of the index and the read models
    rebuild,      ///< one read model, from the whole log
    flush,        ///< RocksDB writes its memtables out; power_cut_at: the table at which the power goes
    disk,         ///< `befalls` the next write of the log
    crash,        ///< a power cut between two messages, and a start
    stop,         ///< an orderly end, and a start
  };
  kind what = kind::idle;
  std::size_t number = 0;    ///< its place in the whole story: keeps its name when others are dropped
  std::uint64_t seed = 0;    ///< of every choice while it is played, so that dropping others changes little
  std::uint64_t messages = 0;
  std::string words;         ///< for people

  v1::EntityRef to;
  v1::Command command;
  std::string user;
  std::string key;
  std::size_t of = 0;
  std::chrono::milliseconds time{};
  trouble befalls;
  int power_cut_at = 0;
};

struct person {
  std::string name;
  std::string id;
};

struct occasion {
  std::string name;
  std::string id;
  std::uint32_t seats = 0;
  std::uint64_t places = 0;
  std::uint32_t admitted_per_second = 0;
  std::uint32_t admission_seconds = 0;
};

inline constexpr std::int64_t seat_price = 1000;
inline constexpr std::int64_t place_price = 600;

/// A life story: everything follows from the seed, except what was dropped.
struct story {
  std::uint64_t seed = 0;
  std::vector<person> people;
  std::vector<person> visitors;  ///< of the queues: they and everybody else
  std::vector<occasion> shows;
  std::uint32_t ticket_limit = 0;
  std::uint32_t hold_seconds = 0;
  std::uint32_t lease_seconds = 0;
  std::uint64_t snapshot_every = 0;
  std::uint64_t views_flush_every = 0;
  bool ends_with_crash = false;  ///< before the last look at everything
  std::vector<step> steps;
};

/// Makes a story up.
class draft {
 public:
  explicit draft(std::uint64_t seed) : random_{seed} {
    out_.seed = seed;
    choose_cast();
    auto length = 8 + below(22);
    for (std::size_t i = 0; i != out_.people.size(); ++i) {
      begin_step();
      charge(out_.people[i].id);
    }
    if (below(3) == 0) {
      rush();
      length += out_.visitors.size();
    }
    while (out_.steps.size() < length) add_step();
  }
  story take() { return std::move(out_); }

 private:
  // --- what clients do ---------------------------------------------------------------------------------------------

  /// What clients do, with weights: how often. A new command of a reservation is one more line.
  void clients_command() {
    using c = v1::ReservationCommand;
    switch (pick({8, 7, 4, 2, 4, 4, 1, 2, 2, 8, 2})) {
      case 0: return place();
      case 1: return about_reservation("pays for", [this](c& x) { *x.mutable_pay()->mutable_key() = key(); });
      case 2: return about_reservation("has the provider pay for", [this](c& x) { ask_provider(*x.mutable_pay()); });
      case 3: return about_reservation("releases", [](c& x) { x.mutable_release(); });
      case 4: return about_reservation("cancels", [this](c& x) { *x.mutable_cancel()->mutable_key() = key(); });
      case 5: return charge(anybody());
      case 6: return about_reservation("extends", [this](c& x) { x.mutable_extend()->set_seconds(out_.hold_seconds); });
      case 7: return about_reservation("hands over", [this](c& x) { transfer(*x.mutable_transfer()); });
      case 8: return about_reservation("exchanges a seat of", [this](c& x) { exchange(*x.mutable_exchange()); });
      case 9: return join_queue(anybody_who_waits());
      case 10: return leave_queue(anybody_who_waits());
    }
  }

  void place() {
    const auto& show = out_.shows[below(out_.shows.size())];
    auto& s = send(anybody(), "reserves");
    auto& p = *s.command.mutable_reservation()->mutable_place();
    p.set_user_id(s.user);
    for (std::uint32_t seat = 1; seat <= show.seats; ++seat)
      if (below(show.seats) == 0) add_seat(p, "A-" + std::to_string(seat));
    if (p.seats_size() == 0 || below(3) == 0) add_places(p, show, static_cast<std::uint32_t>(1 + below(2)));
    p.set_currency("EUR");
    p.set_ticket_limit(out_.ticket_limit);
    p.set_hold_seconds(out_.hold_seconds);
    s.words += " of " + show.name + ", as R" + std::to_string(s.number);
    // As the interface does it: the id follows from the buyer and the key, so that a retry meets the same entity.
    s.to = reservation_ref(make_reservation_id(show.id, s.user + s.key));
    reservations_.push_back(out_.steps.size() - 1);
  }
  void add_seat(v1::PlaceReservation& p, const std::string& seat) {
    auto* item = p.add_seats();
    item->set_seat(seat);
    item->set_price(seat_price);
    out_.steps.back().words += " " + seat;
  }
  void add_places(v1::PlaceReservation& p, const occasion& show, std::uint32_t quantity) {
    auto* item = p.add_general_admission();
    item->set_section("floor");
    item->set_quantity(quantity);
    item->set_price(place_price);
    item->set_capacity(show.places);
    out_.steps.back().words += " " + std::to_string(quantity) + " on the floor";
  }

  /// A command of somebody, mostly of the buyer, to a reservation that was asked for, mostly lately.
  void about_reservation(const std::string& verb, const std::function<void(v1::ReservationCommand&)>& fill) {
    if (reservations_.empty()) return place();
    const auto lately = std::min<std::uint64_t>(reservations_.size(), below(3) == 0 ? 100 : 2);
    const auto about = reservations_[reservations_.size() - 1 - below(lately)];
    const auto buyer = out_.steps[about].user;
    auto& s = send(below(12) == 0 ? anybody() : buyer, verb + " R" + std::to_string(about));
    s.to = out_.steps[about].to;
    fill(*s.command.mutable_reservation());
  }

  void ask_provider(v1::PayReservation& pay) {
    const auto hold_ms = std::int64_t{out_.hold_seconds} * 1000;
    const auto late = "late " + std::to_string(std::array<std::int64_t, 4>{500, hold_ms - 200, hold_ms + 200, hold_ms + 5000}[below(4)]);
    *pay.mutable_key() = key();
    pay.set_provider(simulated_provider::name);
    pay.set_method(std::array<std::string, 6>{"accept", "decline", "twice", "never", "changes", late}[pick({3, 2, 1, 1, 1, 5})]);
    pay.set_lease_seconds(out_.lease_seconds);
    out_.steps.back().words += ", which will " + pay.method();
  }
  void transfer(v1::TransferReservation& t) {
    t.set_to_user_id(anybody());
    t.set_ticket_limit(out_.ticket_limit);
    out_.steps.back().words += " to " + name_of(t.to_user_id());
  }
  void exchange(v1::ExchangeSeat& e) {
    const auto& id = out_.steps.back().to.group();
    const auto show = std::find_if(out_.shows.begin(), out_.shows.end(), [&](const auto& s) { return s.id == id; });
    e.set_from("A-" + std::to_string(1 + below(show->seats)));
    e.mutable_to()->set_seat("A-" + std::to_string(1 + below(show->seats)));
    e.mutable_to()->set_price(seat_price);
    out_.steps.back().words += ", " + e.from() + " for " + e.to().seat();
  }

  /// All visitors come before anything else happens, so that some of them wait.
  void rush() {
    for (const auto& visitor : out_.visitors) {
      begin_step();
      join_queue(visitor.id);
    }
  }
  void join_queue(const std::string& user) { queue_step(user, "joins").mutable_join()->set_user_id(user); }
  void leave_queue(const std::string& user) { queue_step(user, "leaves").mutable_leave()->set_user_id(user); }
  v1::QueueCommand& queue_step(const std::string& user, const std::string& verb) {
    const auto& show = out_.shows[below(out_.shows.size())];
    auto& s = send(user, verb);
    s.words += " the queue of " + show.name;
    s.to = queue_ref(show.id);
    return *s.command.mutable_queue();
  }
  std::string anybody_who_waits() {
    const auto who = below(out_.people.size() + out_.visitors.size());
    return who < out_.people.size() ? out_.people[who].id : out_.visitors[who - out_.people.size()].id;
  }

  void charge(const std::string& user) {
    auto& s = send(user, "charges");
    const auto amount = static_cast<std::int64_t>(below(8)) * 1000 + 600;
    s.to = wallet_ref(s.user);
    s.command.mutable_wallet()->mutable_charge()->set_amount(amount);
    s.words += " " + std::to_string(amount);
  }

  step& send(const std::string& user, const std::string& verb) {
    auto& s = out_.steps.back();
    s.what = step::kind::send;
    s.user = user;
    if (below(8) != 0) s.key = "key " + std::to_string(s.number);
    s.words = name_of(user) + " " + verb;
    return s;
  }
  v1::ClientKey key() const {
    const auto& s = out_.steps.back();
    v1::ClientKey k;
    if (s.key.empty()) return k;
    k.set_user_id(s.user);
    k.set_key(s.key);
    k.set_fingerprint(s.number);
    return k;
  }
  std::string anybody() { return out_.people[below(out_.people.size())].id; }
  std::string name_of(const std::string& user) const {
    for (const auto* group : {&out_.people, &out_.visitors})
      for (const auto& p : *group)
        if (p.id == user) return p.name;
    return user;
  }

  // --- what befalls the node ---------------------------------------------------------------------------------------

  void begin_step() {
    auto& s = out_.steps.emplace_back();
    s.number = out_.steps.size() - 1;
    s.seed = random_();
    s.messages = below(3) == 0 ? 1000 : below(14);
  }
  void add_step() {
    begin_step();
    switch (pick({60, 10, 3, 7, 6, 3, 4, 4, 2, 3, 1, 2, 6, 5, 1})) {
      case 0: return clients_command();
      case 1: return about_request(step::kind::again, "The client asks again, as in step ");
      case 2: return about_request(step::kind::give_up, "The client waits no longer for the answer to step ");
      case 3: return pass();
      case 4: return meet();
      case 5: return simply(step::kind::idle, "The node comes to rest.");
      case 6: return simply(step::kind::stall, "Those who have work get no turn for a while.");
      case 7: return simply(step::kind::retire, "Who has nothing to do goes to sleep.");
      case 8: return simply(step::kind::drop, "The read models miss what they were told.");
      case 9: return simply(step::kind::write_behind, "Rows are written.");
      case 10: return simply(step::kind::rebuild, "A read model is built again.");
      case 11: return flush();
      case 12: return disk();
      case 13: return simply(step::kind::crash, "The power is cut, and the node starts again.");
      case 14: return simply(step::kind::stop, "The node is stopped and starts again.");
    }
  }
  void simply(step::kind what, const char* words) {
    out_.steps.back().what = what;
    out_.steps.back().words = words;
  }
  void about_request(step::kind what, const std::string& words) {
    std::vector<std::size_t> all;
    for (const auto& s : out_.steps)
      if (s.what == step::kind::send && !s.user.empty()) all.push_back(s.number);
    if (all.empty()) return charge(anybody());
    const auto lately = std::min<std::uint64_t>(all.size(), below(2) == 0 ? 100 : 2);
    auto& s = out_.steps.back();
    s.what = what;
    s.of = all[all.size() - 1 - below(lately)];
    s.words = words + std::to_string(s.of) + ".";
  }
  void pass() {
    auto& s = out_.steps.back();
    s.what = step::kind::pass;
    s.time = std::chrono::milliseconds{std::array{1, 20, 500, 1000, 3000, 20'000}[below(6)]};
    s.words = std::to_string(s.time.count()) + " ms pass.";
  }
  void meet() {
    auto& s = out_.steps.back();
    s.what = step::kind::meet;
    s.time = std::chrono::milliseconds{std::array{-1, 0, 1}[below(3)]};
    s.words = "Time passes until " + std::to_string(s.time.count()) + " ms after the next deadline.";
  }
  void flush() {
    auto& s = out_.steps.back();
    s.what = step::kind::flush;
    s.power_cut_at = static_cast<int>(below(3) == 0 ? 0 : 1 + below(5));
    s.words = "RocksDB writes its tables";
    s.words += s.power_cut_at == 0 ? "." : ", and the power goes at number " + std::to_string(s.power_cut_at) + ", if there are so many.";
  }
  void disk() {
    auto& s = out_.steps.back();
    s.what = step::kind::disk;
    s.befalls.what = std::array{trouble::kind::append_fails, trouble::kind::sync_fails, trouble::kind::power_cut, trouble::kind::slow, trouble::kind::slow}[below(5)];
    s.befalls.messages = below(20);
    s.befalls.takes = std::chrono::milliseconds{std::array{1, 100, 2000}[below(3)]};
    switch (s.befalls.what) {
      case trouble::kind::none: break;
      case trouble::kind::append_fails: s.words = "The next write of the log will fail."; break;
      case trouble::kind::sync_fails: s.words = "The next sync of the log will fail."; break;
      case trouble::kind::power_cut: s.words = "The power will go in the next sync of the log."; break;
      case trouble::kind::slow: s.words = "The next sync of the log will take " + std::to_string(s.befalls.takes.count()) + " ms."; break;
    }
  }

  // --- the cast ----------------------------------------------------------------------------------------------------

  void choose_cast() {
    const auto people = 1 + below(3);
    for (const auto* name : {"Ann", "Bob", "Cem"})
      if (out_.people.size() != people) out_.people.push_back({name, make_user_id(name)});
    for (const auto* name : {"Dee", "Eva", "Fay", "Gil"}) out_.visitors.push_back({name, make_user_id(name)});
    const auto shows = 1 + below(4) / 3;
    for (const auto* name : {"Salome", "Tosca"})
      if (out_.shows.size() != shows) out_.shows.push_back({name, make_show_id(name), static_cast<std::uint32_t>(1 + below(4)), 1 + below(4),
                              static_cast<std::uint32_t>(1 + below(2)), static_cast<std::uint32_t>(std::array{1, 5, 60}[below(3)])});
    out_.ticket_limit = static_cast<std::uint32_t>(2 + below(4));
    out_.hold_seconds = static_cast<std::uint32_t>(std::array{1, 5, 60}[below(3)]);
    out_.lease_seconds = static_cast<std::uint32_t>(std::array{1, 3, 20}[below(3)]);
    out_.snapshot_every = std::array{1, 3, 200}[below(3)];
    out_.views_flush_every = std::array{1, 7, 1024}[below(3)];
    out_.ends_with_crash = below(3) == 0;
  }

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  /// An index, each as likely as its weight says.
  std::size_t pick(std::initializer_list<unsigned> weights) {
    std::uint64_t sum = 0;
    for (const auto w : weights) sum += w;
    auto at = below(sum);
    std::size_t i = 0;
    for (const auto w : weights) {
      if (at < w) break;
      at -= w;
      ++i;
    }
    return i;
  }

  std::mt19937_64 random_;
  story out_;
  std::vector<std::size_t> reservations_;  ///< the steps that asked for one
};

inline story make_story(std::uint64_t seed) { return draft{seed}.take(); }

}  // namespace usher::tests
