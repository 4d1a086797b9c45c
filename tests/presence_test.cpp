// Who waits and is still there. Nothing but the read model of the queues, a clock that is set, and a list of what was ordered.

#include <catch2/catch.hpp>

#include <numeric>

#include "cluster/presence.hpp"

namespace usher {
namespace {

const std::string hall = "shw_aaaaaaaaaaaaaaaa";

struct virtual_clock final : wall_clock {
  std::int64_t now_ms = 1'000'000;
  [[nodiscard]] time_point now() const override { return from_ms(now_ms); }
  void pass(std::int64_t seconds) { now_ms += seconds * 1000; }
};

struct waiting_room {
  virtual_clock clock;
  projections::queues queues;
  std::vector<actors::request_ptr> orders;
  cluster::presence under_test{queues, clock, [this](const actors::request_ptr& r) { orders.push_back(r); }};
  std::uint64_t joined = 0;

  void tell(const std::function<void(v1::QueueEvent&)>& of) {
    v1::Record record;
    auto& event = *record.add_events();
    *event.mutable_stream() = queue_ref(hall);
    of(*event.mutable_queue());
    queues.apply(record);
  }
  static std::string ticket(std::uint64_t number) { return make_ticket_id(hall, number); }
  void join(std::uint64_t count) {
    for (const auto end = joined + count; joined != end;) {
      ++joined;
      tell([&](v1::QueueEvent& e) {
        e.mutable_joined()->set_number(joined);
        e.mutable_joined()->set_user_id("usr_" + std::to_string(joined));
        e.mutable_joined()->set_ticket_id(ticket(joined));
        e.mutable_joined()->set_at_ms(clock.now_ms);
      });
    }
  }
  void leave(std::uint64_t number) {
    tell([&](v1::QueueEvent& e) { e.mutable_left()->set_number(number); });
  }
  void admit(std::uint64_t through) {
    tell([&](v1::QueueEvent& e) {
      e.mutable_admitted()->set_through(through);
      e.mutable_admitted()->set_count(static_cast<std::uint32_t>(through));
      e.mutable_admitted()->set_at_ms(clock.now_ms);
      e.mutable_admitted()->set_expires_at_ms(clock.now_ms + 300'000);
    });
  }
  /// What one sweep orders to be dropped.
  std::vector<std::uint64_t> sweep() {
    orders.clear();
    under_test.sweep();
    std::vector<std::uint64_t> out;
    for (const auto& r : orders) {
      CHECK(key_of(r->to) == key_of(queue_ref(hall)));
      const auto& numbers = r->command.queue().drop().numbers();
      out.insert(out.end(), numbers.begin(), numbers.end());
    }
    return out;
  }
};

using numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("within the grace nobody loses a place, after it whoever was silent does") {
  waiting_room w;
  w.join(3);
  CHECK(w.sweep() == numbers{});
  w.clock.pass(300);
  CHECK(w.sweep() == numbers{});
  w.under_test.heard(w.ticket(2));
  w.clock.pass(1);
  CHECK(w.sweep() == numbers{1, 3});
}

TEST_CASE("a ticket that is held never vanishes, and has the whole grace once it is released") {
  waiting_room w;
  w.under_test.hold(waiting_room::ticket(1));  // two tabs, opened before any sweep
  w.under_test.hold(waiting_room::ticket(1));
  w.join(2);
  w.sweep();
  w.clock.pass(1'000);
  CHECK(w.sweep() == numbers{2});
  w.leave(2);
  w.under_test.release(w.ticket(1));
  w.clock.pass(1'000);
  CHECK(w.sweep() == numbers{});
  w.under_test.release(w.ticket(1));
  w.clock.pass(300);
  CHECK(w.sweep() == numbers{});
  w.clock.pass(1);
  CHECK(w.sweep() == numbers{1});
}

TEST_CASE("who came in or left is not dropped") {
  waiting_room w;
  w.join(4);
  w.sweep();
  w.admit(2);
  w.leave(3);
  w.clock.pass(301);
  CHECK(w.sweep() == numbers{4});
}

TEST_CASE("what was ordered is ordered again after a while, until it has happened") {
  waiting_room w;
  w.join(2);
  w.sweep();
  w.clock.pass(301);
  CHECK(w.sweep() == numbers{1, 2});
  w.leave(1);
  w.clock.pass(5);
  CHECK(w.sweep() == numbers{});
  w.under_test.heard(w.ticket(2));  // just in time
  w.clock.pass(1);
  CHECK(w.sweep() == numbers{});
  w.clock.pass(300);
  CHECK(w.sweep() == numbers{2});
  w.clock.pass(6);
  CHECK(w.sweep() == numbers{2});
}

TEST_CASE("a crowd that vanishes goes in portions, and the front goes first") {
  waiting_room w;
  w.join(25'000);
  w.sweep();
  w.clock.pass(301);
  numbers all;
  for (const std::size_t portion : {10'000, 10'000, 5'000}) {
    const auto gone = w.sweep();
    REQUIRE(w.orders.size() == 1);
    CHECK(gone.size() == portion);
    all.insert(all.end(), gone.begin(), gone.end());
  }
  numbers expected(25'000);
  std::iota(expected.begin(), expected.end(), 1);
  CHECK(all == expected);
  CHECK(w.sweep() == numbers{});
}

TEST_CASE("after a start everybody has the whole grace again") {
  waiting_room w;
  w.join(2);
  w.clock.pass(10'000);
  w.orders.clear();
  cluster::presence fresh{w.queues, w.clock, [&](const actors::request_ptr& r) { w.orders.push_back(r); }};
  fresh.sweep();
  w.clock.pass(300);
  fresh.sweep();
  CHECK(w.orders.empty());
  w.clock.pass(1);
  fresh.sweep();
  CHECK(w.orders.size() == 1);
}

}  // namespace usher
