// What the auditor makes of reservations: events that a state rules out, seats that disagree, payments that don't end.

#include <catch2/catch.hpp>

#include <map>

#include "projections/auditor.hpp"
#include "tests/auditor.hpp"

namespace usher::tests {

using projections::fault_kind;

TEST_CASE("a reservation that does what its state rules out is found") {
  const std::map<std::string, deed> spoilt{
      {"placed again", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.expired(one)).write(s.placed(one, ann, {"A-1"})); }},
      {"ended twice", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.expired(one)).write({s.expired(one)[0]}); }},
      {"given up when it is sold", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.confirmed(one)).write(s.gave_up(one));
       }},
      {"paid twice at once", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.started(one, "bank")); }},
      {"extended after its end", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.expired(one)).write(s.extended(one)); }},
      {"cancelled without a refund", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.confirmed(one)).write(s.cancelled(one));
       }},
      {"exchanged for another price", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.confirmed(one));
         auto e = s.exchanged(one, "A-1", "A-2");
         e[0].mutable_reservation()->mutable_exchanged()->set_amount(1);
         s.write(e);
       }},
      {"late money that is not late", [](story& s) { s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.late_refund(one)); }},
      {"late money back that never went", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.lapsed(one)).write(s.late_refunded(one));
       }},
  };
  for (const auto& [name, tell] : spoilt) {
    INFO(name);
    story s;
    tell(s);
    check_newest(s, "reservation_disagrees");
  }
  story s;
  s.write(s.placed(one, ann, {"A-1"}));
  auto e = s.started(one, "bank");
  s.write(s.confirmed(one));  // without the record before it
  const auto all = found(s);
  CHECK(all.size() == 2);
  CHECK(all.front() == "reservation_disagrees at " + s.here());
  CHECK(all.back() == "seated_without_payment at " + s.here());
}

TEST_CASE("a seat that is not what its reservation says is found where that begins") {
  const std::map<std::string, deed> spoilt{
      {"placed, and one seat not held", [](story& s) {
         auto e = s.placed(one, ann, {"A-1", "A-2"});
         without_event(e, 3);
         s.write(e);
       }},
      {"placed, and another seat held", [](story& s) {
         auto e = s.placed(one, ann, {"A-1", "A-2"});
         *e[3].mutable_stream() = seat_ref(hall, "A-3");
         s.write(e);
       }},
      {"placed, and held for nobody who is known", [](story& s) {
         auto e = s.placed(one, ann, {"A-1"});
         s.write({e[2]});
       }},
      {"placed, and sold at once", [](story& s) {
         auto e = s.placed(one, ann, {"A-1"});
         e[2].mutable_seat()->mutable_sold()->set_reservation_id(one);
         s.write(e);
       }},
      {"held again", [](story& s) {
         auto e = s.placed(one, ann, {"A-1"});
         s.write(e).write({e[2]});
       }},
      {"expired, and a seat kept", [](story& s) {
         s.write(s.placed(one, ann, {"A-1", "A-2"}));
         auto e = s.expired(one);
         without_event(e, 2);
         s.write(e);
       }},
      {"confirmed, and a seat only held", [](story& s) {
         s.write(s.placed(one, ann, {"A-1", "A-2"})).write(s.started(one, "bank"));
         auto e = s.confirmed(one);
         without_event(e, 2);
         s.write(e);
       }},
      {"sold again", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank"));
         auto e = s.confirmed(one);
         s.write(e).write({e[1]});
       }},
      {"released by another one", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.placed(two, bob, {"A-2"}));
         auto e = s.expired(two);
         *e[2].mutable_stream() = seat_ref(hall, "A-1");
         s.write(e);
       }},
      {"released without having been taken", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}));
         auto e = s.expired(one);
         s.write(e).write({e[2]});
       }},
      {"lapsed, and a seat kept", [](story& s) {
         s.write(s.placed(one, ann, {"A-1", "A-2"})).write(s.started(one, "bank"));
         auto e = s.lapsed(one);
         without_event(e, 3);
         s.write(e);
       }},
      {"late money, and a seat not sold", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"})).write(s.started(one, "bank")).write(s.lapsed(one));
         auto e = s.seated_late(one);
         without_event(e, 3);
         s.write(e);
       }},
      {"exchanged, and the old seat kept", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}));
         auto e = s.exchanged(one, "A-1", "A-2");
         without_event(e, 1);
         s.write(e);
       }},
      {"exchanged, and the new seat not taken", [](story& s) {
         s.write(s.placed(one, ann, {"A-1"}));
         auto e = s.exchanged(one, "A-1", "A-2");
         without_event(e, 2);
         s.write(e);
       }},
      {"exchanged when sold, and the new seat only held", [](story& s) {
         s.bought(one, ann, {"A-1"});
         auto e = s.exchanged(one, "A-1", "A-2");
         without_event(e, 3);
         s.write(e);
       }},
  };
  for (const auto& [name, tell] : spoilt) {
    INFO(name);
    story s;
    tell(s);
    check_newest(s, "seat_disagrees");
  }
}

TEST_CASE("a payment or refund that does not end is found a minute after it should have") {
  story s;
  s.write(s.charged(ann, 5 * price)).write(s.placed(one, ann, {"A-1"}));
  std::int64_t due_ms = 0;
  SECTION("of the wallet") {
    s.write(s.started(one)).write(s.debited(one));
    due_ms = s.now_ms + 60'000;
  }
  SECTION("of a provider, after its lease") {
    s.write(s.started(one, "bank"));
    due_ms = s.now_ms + 180'000;
  }
  SECTION("a refund") {
    s.write(s.started(one)).write(s.debited(one)).write(s.confirmed(one)).write(s.refunding(one)).write(s.credited(one));
    due_ms = s.now_ms + 60'000;
  }
  SECTION("money that came too late, which the provider has an hour to take back") {
    s.write(s.started(one, "bank")).write(s.lapsed(one)).write(s.late_refund(one));
    due_ms = s.now_ms + 3'600'000;
  }
  auditor a;
  take_all(a, s.log);
  CHECK(a.count() == 0);
  CHECK(a.oldest_process() == from_ms(s.now_ms));
  const auto long_ago = from_ms(0);
  a.watch_processes(from_ms(due_ms - 1), long_ago);
  CHECK(a.count() == 0);
  a.watch_processes(from_ms(due_ms), from_ms(due_ms));  // the node has only just started
  CHECK(a.count() == 0);
  a.watch_processes(from_ms(due_ms), long_ago);
  a.watch_processes(from_ms(due_ms + 1), long_ago);
  CHECK(a.count(fault_kind::process_stalled) == 1);
  CHECK(a.take_faults().size() == 1);
}

TEST_CASE("a payment that ends is under way no more") {
  const auto processes_after = [](const deed& tell) {
    story s;
    s.write(s.charged(ann, 5 * price)).write(s.placed(one, ann, {"A-1"}));
    tell(s);
    auditor a;
    take_all(a, s.log);
    a.watch_processes(from_ms(s.now_ms + 100'000'000), from_ms(0));
    CHECK(a.count() == 0);
    return a.processes();
  };
  CHECK(processes_after([](story& s) { s.write(s.started(one)).write(s.debited(one)).write(s.confirmed(one)); }) == 0);
  CHECK(processes_after([](story& s) { s.write(s.started(one)).write(s.refused(one)).write(s.declined(one)); }) == 0);
  CHECK(processes_after([](story& s) { s.write(s.started(one, "bank")).write(s.lapsed(one)); }) == 0);
  CHECK(processes_after([](story& s) { s.write(s.started(one, "bank")).write(s.lapsed(one)).write(s.late_refund(one)).write(s.late_refunded(one)); }) == 0);
  CHECK(processes_after([](story& s) {
          s.write(s.started(one)).write(s.debited(one)).write(s.confirmed(one)).write(s.refunding(one)).write(s.credited(one)).write(s.cancelled(one));
        }) == 0);
}

}  // namespace usher::tests
