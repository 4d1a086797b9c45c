// The auditor as a whole: each way in which a show and what it sells can contradict themselves is found where it happens, and a
// log that doesn't is left alone, also in a node. Money, reservations and queues have files of their own.

#include <catch2/catch.hpp>

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "projections/auditor.hpp"
#include "store/journal.hpp"
#include "tests/auditor.hpp"
#include "tests/client.hpp"
#include "tests/simulation/world.hpp"
#include "tests/small_sale.hpp"

namespace usher::tests {

using namespace std::chrono_literals;

TEST_CASE("nothing is wrong with a box office that does as it says, whatever becomes of a reservation") {
  const std::map<std::string, deed> paths{
      {"expired", [](story& s) { s.write(s.placed(one, ann, {"A-1", "A-2"}, 2)).write(s.expired(one)); }},
      {"given up", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.extended(one)).write(s.gave_up(one)); }},
      {"sold", [](story& s) { s.bought(one, ann, {"A-1", "A-2"}, 2); }},
      {"places only", [](story& s) { s.bought(one, ann, {}, 4); }},
      {"cancelled",
       [](story& s) { s.bought(one, ann, {"A-1"}, 2).write(s.refunding(one)).write(s.credited(one)).write(s.cancelled(one)); }},
      {"sold again after an end",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.expired(one));
         s.bought(two, bob, {"A-1"});
       }},
      {"declined, then paid",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one)).write(s.refused(one)).write(s.declined(one));
         s.write(s.charged(ann, price)).write(s.started(one)).write(s.debited(one)).write(s.confirmed(one));
       }},
      {"declined, then expired",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one)).write(s.refused(one)).write(s.declined(one)).write(s.expired(one));
       }},
      {"transferred as a hold", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}, 1)).write(s.transferred(one, bob)).write(s.charged(bob, 5 * price));
         s.write(s.started(one)).write(s.debited(one)).write(s.confirmed(one));
       }},
      {"transferred when sold, and the payer gets it back",
       [](story& s) {
         s.bought(one, ann, {"A-1"}).write(s.transferred(one, bob));
         s.write(s.refunding(one)).write(s.credited(one)).write(s.cancelled(one));
       }},
      {"exchanged",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1", "A-2"})).write(s.exchanged(one, "A-2", "A-3"));
         s.write(s.placed(two, bob, {"A-2"})).write(s.expired(one));
       }},
      {"exchanged when sold",
       [](story& s) { s.bought(one, ann, {"A-1"}).write(s.exchanged(one, "A-1", "A-3")).write(s.placed(two, bob, {"A-1"})); }},
      {"paid by a provider",
       [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.confirmed(one)); }},
      {"paid by a provider and cancelled",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.confirmed(one));
         s.write(s.refunding(one)).write(s.cancelled(one));
       }},
      {"late money gets the seats after all",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}, 2)).write(s.started(one, "bank")).write(s.lapsed(one)).write(s.seated_late(one));
         s.write(s.refunding(one)).write(s.cancelled(one));
       }},
      {"late money goes back",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.lapsed(one));
         s.bought(two, bob, {"A-1"}).write(s.late_refund(one)).write(s.late_refunded(one));
       }},
      {"late money for a payment that was declined, after another one",
       [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank"));
         const auto late = [](events e) {
           auto& r = *e[0].mutable_reservation();
           const auto first = make_payment_id(one, 1);
           r.has_late_refunded() ? r.mutable_late_refunded()->set_payment_id(first) : r.mutable_late_refund_started()->set_payment_id(first);
           return e;
         };
         s.write(s.declined(one)).write(s.charged(ann, price)).write(s.started(one)).write(s.debited(one)).write(s.confirmed(one));
         s.write(late(s.late_refund(one))).write(late(s.late_refunded(one)));
       }},
      {"money set aside",
       [](story& s) {
         s.write(s.charged(ann, 100)).write(s.authorized(ann, "a", 60)).write(s.authorized(ann, "b", 40));
         s.write(s.captured(ann, "a", 50)).write(s.voided(ann, "b")).write(s.used(ann, 50));
       }},
      {"money set aside runs out, and is used before that is recorded",
       [](story& s) {
         s.write(s.charged(ann, 100)).write(s.authorized(ann, "a", 60, 10));
         s.now_ms += 10'000;
         s.write(s.used(ann, 100)).write(s.voided(ann, "a"));
       }},
      {"a queue",
       [](story& s) { s.write(s.joined(1)).write(s.joined(2)).write(s.left(1)).write(s.admitted(2)).write(s.joined(3)).write(s.admitted(3)); }},
      {"a limit that sinks", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}, 3)).write(s.limited_to(2));
         s.now_ms += 1000;
         s.write(s.placed(two, bob, {"A-2"}, 2));  // it was asked for when three were allowed
       }},
  };
  for (const auto& [name, tell] : paths) {
    INFO(name);
    story s;
    tell(s);
    CHECK(found(s).empty());
  }
}

TEST_CASE("a seat that is given to a second buyer is found") {
  story s;
  s.write(s.placed(one, ann, {"A-1"}));
  SECTION("while it is held") {
    s.write(s.placed(two, bob, {"A-1"}));
    check_newest(s, "seat_held_twice");
    auditor a;
    take_all(a, s.log);
    CHECK(a.take_faults().front().entity == "seat/" + hall + "/A-1");
  }
  SECTION("while it is sold") {
    s.write(s.started(one)).write(s.charged(ann, price)).write(s.debited(one)).write(s.confirmed(one)).write(s.placed(two, bob, {"A-1"}));
    check_newest(s, "seat_held_twice");
  }
  SECTION("by a sale") {
    s.write(s.placed(two, bob, {"A-2"})).write(s.started(two, "bank"));
    auto e = s.confirmed(two);
    *e[1].mutable_stream() = seat_ref(hall, "A-1");
    s.write(e);
    check_newest(s, "seat_held_twice");
  }
}

TEST_CASE("more places than there are, or other ones than the reservations say, are found") {
  story s;
  s.write(s.placed(one, ann, {}, 4));
  SECTION("more than the plan has, whatever the record says") {
    auto e = s.placed(two, bob, {}, 3);
    e[2].mutable_stock()->mutable_taken()->set_capacity(100);
    s.write(e);
    check_newest(s, "oversold");
  }
  SECTION("none taken") {
    auto e = s.placed(two, bob, {}, 2);
    without_event(e, 2);
    s.write(e);
    check_newest(s, "stock_disagrees");
  }
  SECTION("too few taken") {
    auto e = s.placed(two, bob, {}, 2);
    e[2].mutable_stock()->mutable_taken()->set_quantity(1);
    s.write(e);
    check_newest(s, "stock_disagrees");
  }
  SECTION("not sold") {
    s.write(s.started(one, "bank"));
    auto e = s.confirmed(one);
    without_event(e, 1);
    s.write(e);
    check_newest(s, "stock_disagrees");
  }
  SECTION("not given back") {
    auto e = s.expired(one);
    without_event(e, 2);
    s.write(e);
    check_newest(s, "stock_disagrees");
  }
  SECTION("given back as if they had been sold") {
    auto e = s.expired(one);
    e[2].mutable_stock()->mutable_returned()->set_sold(true);
    s.write(e);
    CHECK(found(s) == names(2, "stock_disagrees at " + s.here()));  // the section has none, and the reservation had none
  }
}

TEST_CASE("a person with more places than the show allows, or than their reservations have, is found") {
  story s;
  s.write(s.placed(one, ann, {"A-1"}, 2));
  SECTION("more than the limit") {
    s.write(s.placed(two, ann, {"A-2", "A-3"}));
    check_newest(s, "limit_exceeded");
  }
  SECTION("more than the limit by a transfer") {
    s.write(s.placed(two, bob, {"A-2", "A-3"})).write(s.transferred(two, ann));
    check_newest(s, "limit_exceeded");
  }
  SECTION("more than a limit that sank long ago") {
    s.write(s.limited_to(1));
    s.now_ms += 61'000;
    s.write(s.placed(two, bob, {"A-2", "A-3"}));
    check_newest(s, "limit_exceeded");
  }
  SECTION("more than eight where the show names no limit") {
    s.write(s.limited_to(0)).write(s.placed(two, ann, {"B-1", "B-2", "B-3", "B-4", "B-5", "B-6"}));
    check_newest(s, "limit_exceeded");
  }
  SECTION("not counted") {
    auto e = s.placed(two, bob, {"A-2"});
    without_event(e, 1);
    s.write(e);
    check_newest(s, "allowance_disagrees");
  }
  SECTION("counted for somebody else") {
    auto e = s.placed(two, bob, {"A-2"});
    e[1].mutable_stream()->set_name(ann);
    s.write(e);
    check_newest(s, "allowance_disagrees");
  }
  SECTION("not given back") {
    auto e = s.expired(one);
    without_event(e, 1);
    s.write(e);
    check_newest(s, "allowance_disagrees");
  }
  SECTION("not moved with the reservation") {
    auto e = s.transferred(one, bob);
    without_event(e, 2);
    s.write(e);
    check_newest(s, "allowance_disagrees");
  }
  SECTION("given back twice") {
    auto e = s.expired(one);
    s.write(e).write({e[1]});
    CHECK(found(s) == names(2, "allowance_disagrees at " + s.here()));  // the person has none, and the reservation had none
  }
}

// --- against the oracle --------------------------------------------------------------------------------------------

namespace {

constexpr std::uint32_t limit = 4;

v1::Command wish(const std::string& user, const std::set<std::string>& seats, std::uint32_t standing) {
  v1::Command c;
  auto& p = *c.mutable_reservation()->mutable_place();
  p.set_user_id(user);
  for (const auto& seat : seats) {
    p.add_seats()->set_seat(seat);
    p.mutable_seats()->rbegin()->set_price(price);
  }
  if (standing != 0) {
    auto& item = *p.add_general_admission();
    item.set_section("floor");
    item.set_quantity(standing);
    item.set_price(price);
    item.set_capacity(5);
  }
  p.set_currency("EUR");
  p.set_ticket_limit(limit);
  p.set_hold_seconds(300);
  return c;
}

v1::Command order(const std::function<void(v1::ReservationCommand&)>& how) {
  v1::Command c;
  how(*c.mutable_reservation());
  return c;
}

/// What some people who want the same seats leave in the log: the show, and then as it is on disk.
std::vector<v1::Record> log_of_a_crowd(std::uint64_t seed) {
  disk d;
  world w{seed, d};
  const auto show = make_show_id("crowd " + std::to_string(seed));
  std::vector<std::string> buyers;
  for (const auto* name : {"ann", "bob", "cem"}) buyers.push_back(make_user_id(name + show));
  for (std::size_t i = 0; i != buyers.size(); ++i) {
    v1::Command charge;
    charge.mutable_wallet()->mutable_charge()->set_amount((i == 0 ? 20 : 3) * price);
    w.send(wallet_ref(buyers[i]), charge);
  }
  std::vector<question_ptr> placed;
  for (int i = 0; i != 30; ++i) {
    if (placed.empty() || w.below(2) == 0) {
      std::set<std::string> seats;
      for (auto n = w.below(3); n != 0; --n) seats.insert("A-" + std::to_string(1 + w.below(6)));
      const auto standing = static_cast<std::uint32_t>(seats.empty() ? 1 + w.below(2) : w.below(2));
      const auto& user = buyers[w.below(buyers.size())];
      placed.push_back(w.send(reservation_ref(make_reservation_id(show, std::to_string(i))), wish(user, seats, standing), user));
    } else {
      const auto& before = *placed[w.below(placed.size())];
      const auto what = w.below(5);
      w.send(before.to, order([&](auto& r) {
               if (what == 0) r.mutable_release();
               else if (what == 1) r.mutable_cancel();
               else r.mutable_pay();
             }),
             before.request->user_id);
    }
    w.run_some(w.below(12));
    if (w.below(4) == 0) w.let_pass(std::chrono::milliseconds{w.below(40'000)});
  }
  w.settle();
  w.pass(2s);
  w.book.check_settled();
  for (const auto& fault : w.book.faults) FAIL_CHECK(fault);

  std::vector<v1::Record> log(1);
  log[0].set_partition(partition_of(show));
  auto& opening = *log[0].add_events();
  *opening.mutable_stream() = show_ref(show);
  opening.mutable_show()->mutable_opened()->mutable_plan()->set_ticket_limit(limit);
  w.read_log([&](store::record_ptr r, std::string_view) { log.push_back(*r); });
  return log;
}

bool oracle_objects(const std::vector<v1::Record>& log) {
  ledger book;
  book.ticket_limit = limit;
  book.checks_places = false;  // the journal's
  for (const auto& r : log) book.take(r);
  book.check_settled();
  return !book.faults.empty();
}

/// Spoils one record. @return how
std::string spoil(std::vector<v1::Record>& log, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return static_cast<int>(random() % n); };
  auto& r = log[1 + random() % (log.size() - 1)];
  if (r.events_size() == 0) return "nothing";
  const auto at = " in " + to_token({r.partition(), r.index()});
  const int which = below(static_cast<std::size_t>(r.events_size()));
  auto& e = *r.mutable_events(which);
  switch (below(6)) {
    case 0: r.mutable_events()->DeleteSubrange(which, 1); return "dropped event " + std::to_string(which) + at;
    case 1: *r.add_events() = v1::StreamEvent{e}; return "repeated event " + std::to_string(which) + at;
    case 2: r.clear_events(); return "dropped all events" + at;
    case 3: {
      auto& other = log[1 + random() % (log.size() - 1)];
      if (other.events_size() == 0) return "nothing";
      e.Swap(other.mutable_events(below(static_cast<std::size_t>(other.events_size()))));
      return "swapped event " + std::to_string(which) + at + " with one" + " in " + to_token({other.partition(), other.index()});
    }
    case 4:
      if (e.has_seat()) e.mutable_stream()->set_name("A-7");
      if (e.has_stock() && e.stock().has_taken()) e.mutable_stock()->mutable_taken()->set_quantity(e.stock().taken().quantity() + 1);
      if (e.has_allowance() && e.allowance().has_used()) e.mutable_allowance()->mutable_used()->set_quantity(e.allowance().used().quantity() + 1);
      if (e.wallet().has_debited()) e.mutable_wallet()->mutable_debited()->set_amount(1);
      return "changed event " + std::to_string(which) + at;
    default: {
      const auto next = std::find_if(log.begin() + 1, log.end(), [&](const auto& o) { return &o != &r && o.partition() == r.partition(); });
      if (next == log.end()) return "nothing";
      r.mutable_events()->Swap(next->mutable_events());
      return "swapped all events" + at + " with those in " + to_token({next->partition(), next->index()});
    }
  }
}

}  // namespace

TEST_CASE("a log that the engine wrote has no fault in any interleaving, and each that the oracle finds in a spoilt one is found") {
  int spoilt = 0;
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    INFO("crowd " << seed);
    const auto log = log_of_a_crowd(seed);
    REQUIRE(log.size() > 10);
    CHECK(found_in(log).empty());
    for (std::uint64_t order = 1; order <= 5; ++order) CHECK(found_in(shuffled(log, order)).empty());
    for (std::uint64_t mutation = 1; mutation <= 30; ++mutation) {
      std::mt19937_64 random{seed * 1000 + mutation};
      auto bad = log;
      const auto how = spoil(bad, random);
      INFO("mutation " << mutation << ": " << how);
      if (!oracle_objects(bad)) continue;
      ++spoilt;
      auditor a;
      take_all(a, bad);
      a.watch_processes(from_ms(1'000'000'000'000), from_ms(0));
      CHECK(a.count() > 0);
    }
  }
  CHECK(spoilt > 200);
}

// --- in a node -----------------------------------------------------------------------------------------------------

namespace {

/// What the auditor of a node says.
struct box_office : small_sale {
  /// @return the gauge's value; -1 where there is none
  double gauge(const std::string& name) {
    const auto text = "\n" + client{*this}.get("/metrics").body;
    const auto at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  bool judged() {
    return eventually([&] { return gauge("usher_audit_lag") == 0; });
  }

  /// A record that nobody decided.
  void forge(events all) {
    auto db = store::database::open(log_directory(directory())).value();
    store::engine_index index;
    index.load(*db).value();
    store::journal journal{*db, index, {}};
    journal.load().value();
    auto r = std::make_unique<v1::Record>();
    r->set_partition(partition_of(all.front().stream().group()));
    r->set_at_ms(to_ms(clock.now()));
    for (auto& e : all) {
      e.set_version(index.head(e.stream()).version + 1);
      *r->add_events() = e;
    }
    journal.hand_over(std::move(r), [](auto) {});
    while (journal.write_round()) {
    }
    index.flush(*db).value();
  }
};

const names audit_gauges{"usher_paid_without_seat", "usher_seat_held_twice", "usher_ledger_imbalance",
                         "usher_audit_faults{kind=\"seated_without_payment\"}", "usher_audit_faults{kind=\"seat_disagrees\"}",
                         "usher_audit_faults{kind=\"stock_disagrees\"}", "usher_audit_faults{kind=\"oversold\"}",
                         "usher_audit_faults{kind=\"allowance_disagrees\"}", "usher_audit_faults{kind=\"limit_exceeded\"}",
                         "usher_audit_faults{kind=\"queue_disagrees\"}", "usher_audit_faults{kind=\"reservation_disagrees\"}",
                         "usher_audit_faults{kind=\"payment_disagrees\"}", "usher_audit_faults{kind=\"process_stalled\"}",
                         "usher_audit_faults{kind=\"event_unreadable\"}",
                         "usher_process_oldest_seconds"};

/// The node's log while this lives.
struct listener {
  std::ostringstream heard;
  std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  listener() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_mt>(heard))); }
  ~listener() { spdlog::set_default_logger(before); }
};

}  // namespace

TEST_CASE("after a sale the node finds nothing wrong with its log, and neither after a restart") {
  box_office office;
  const auto id = office.sell("usr_ann", "A-1");
  office.sell("usr_bob", "A-2");
  REQUIRE(client{office}.post("/reservations/" + id + "/cancel", "{}", office.token("usr_ann")).status < 300);
  for (const auto again : {false, true}) {
    if (again) office.restart();
    REQUIRE(office.judged());
    for (const auto& name : audit_gauges) {
      INFO(name);
      CHECK(office.gauge(name) == 0);
    }
  }
}

TEST_CASE("a node that is started on a log with a contradiction says so, once, and whom it concerns it does not say") {
  box_office office;
  const auto id = office.sell("usr_ann", "A-1");
  office.stop();
  listener node_log;
  v1::StreamEvent held;
  *held.mutable_stream() = seat_ref(office.show, "A-1");
  held.mutable_seat()->mutable_held()->set_reservation_id(make_reservation_id(office.show, "nobody"));
  office.forge({held});
  v1::StreamEvent debited;
  *debited.mutable_stream() = wallet_ref("usr_ann");
  auto& d = *debited.mutable_wallet()->mutable_debited();
  d.set_payment_id(make_payment_id(id, 2));
  d.set_reservation_id(id);
  d.set_amount(300);
  d.set_balance(-400);
  office.forge({debited});
  office.start();
  CHECK(eventually([&] { return office.gauge("usher_seat_held_twice") == 1; }));
  CHECK(eventually([&] { return office.gauge("usher_paid_without_seat") == 1; }));
  CHECK(office.gauge("usher_ledger_imbalance") == 1);
  CHECK(office.gauge("usher_audit_lag") == 0);
  CHECK(client{office}.get("/readyz").status == 200);
  office.stop();

  const auto said = node_log.heard.str();
  INFO(said);
  const auto times = [&](const std::string& what) {
    std::size_t n = 0;
    for (auto at = said.find(what); at != std::string::npos; at = said.find(what, at + 1)) ++n;
    return n;
  };
  CHECK(times("kind=seat_held_twice") == 1);
  CHECK(times("entity=seat/" + office.show + "/A-1 ") == 1);
  CHECK(times("kind=ledger_imbalance") == 1);
  CHECK(times("kind=paid_without_seat") == 1);
  CHECK(times("entity=reservation/" + office.show + "/" + id + " ") == 1);
  CHECK(times("usr_ann") == 0);
}

TEST_CASE("more faults than anybody reads are counted, and only the first of them told") {
  box_office office;
  office.stop();
  listener node_log;
  events all;
  for (int i = 0; i != 100; ++i) {
    all.emplace_back();
    *all.back().mutable_stream() = seat_ref(office.show, "B-" + std::to_string(i));
    all.back().mutable_seat()->mutable_released()->set_reservation_id(make_reservation_id(office.show, std::to_string(i)));
  }
  office.forge(all);
  office.start();
  CHECK(eventually([&] { return office.gauge("usher_audit_faults{kind=\"seat_disagrees\"}") == 100; }));
  office.stop();
  std::size_t lines = 0;
  const auto said = node_log.heard.str();
  for (auto at = said.find("event=audit_fault "); at != std::string::npos; at = said.find("event=audit_fault ", at + 1)) ++lines;
  CHECK(lines == 20);
}

TEST_CASE("the log of a node that is stopped can be judged as well") {
  box_office office;
  office.sell("usr_ann", "A-1");
  office.stop();
  const auto verify = [&](const std::string& how) { return usher_says("verify --data " + office.directory() + how); };
  const auto good = verify("");
  INFO(good.second);
  CHECK(good.first == 0);
  CHECK(good.second.find("nothing in them contradicts anything else") != std::string::npos);
  CHECK(boost::json::parse(verify(" --json").second).at("damage").as_array().empty());

  v1::StreamEvent held;
  *held.mutable_stream() = seat_ref(office.show, "A-1");
  held.mutable_seat()->mutable_held()->set_reservation_id(make_reservation_id(office.show, "nobody"));
  office.forge({held});
  const auto bad = verify("");
  INFO(bad.second);
  CHECK(bad.first == 1);
  CHECK(bad.second.find("seat_held_twice") != std::string::npos);
  CHECK(bad.second.find("usr_ann") == std::string::npos);
  const auto json = verify(" --json");
  CHECK(json.first == 1);
}

// --- what it costs -------------------------------------------------------------------------------------------------

TEST_CASE("the cost of judging a record", "[.cost]") {
  constexpr int records = 300'000;
  std::vector<store::record_ptr> log;
  story s;
  s.log.clear();
  s.write(s.opened(1'000'000, 1'000'000));
  for (int i = 0; log.size() < records; ++i) {
    const auto user = make_user_id(std::to_string(i) + "@example.org");
    const auto id = make_reservation_id(hall, std::to_string(i));
    s.write(s.placed(id, user, {"A-" + std::to_string(i)}));
    if (i % 4 == 0) s.write(s.charged(user, price)).write(s.started(id)).write(s.debited(id)).write(s.confirmed(id));
    if (i % 4 == 1) s.write(s.expired(id));
    for (auto& r : s.log) log.push_back(std::make_shared<const v1::Record>(std::move(r)));
    s.log.clear();
  }
  const auto cpu_ns = [] {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
  };
  for (int round = 0; round != 5; ++round) {
    auto began = cpu_ns();
    std::size_t sum = 0;
    for (const auto& r : log)
      for (const auto& e : r->events()) sum += static_cast<unsigned char>(e.stream().name().c_str()[0]) + e.seat().held().reservation_id().size();
    const auto reading = (cpu_ns() - began) / static_cast<double>(log.size());
    auditor a;
    began = cpu_ns();
    for (const auto& r : log) a.take(*r);
    const auto judging = (cpu_ns() - began) / static_cast<double>(log.size());
    a.finish();
    CHECK(a.count() == 0);
    CHECK(sum != 0);
    std::cout << judging << " ns a record, of which reading what the caches have lost takes " << reading << '\n';
  }
}

}  // namespace usher::tests
