// A queue lets people in by the order of joining, so many at a time, and nobody twice.

#include "actors/queue.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

v1::QueueCommand joins(const std::string& user_id) {
  v1::QueueCommand c;
  c.mutable_join()->set_user_id(user_id);
  return c;
}
v1::QueueCommand leaves(const std::string& user_id) {
  v1::QueueCommand c;
  c.mutable_leave()->set_user_id(user_id);
  return c;
}
/// Two people every 10 s, for 60 s.
v1::QueueCommand joins_a_slow_one(const std::string& user_id) {
  auto c = joins(user_id);
  auto* settings = c.mutable_join()->mutable_settings();
  settings->set_admit_per_window(2);
  settings->set_admission_seconds(60);
  return c;
}

given<queue> an_empty_queue() { return given<queue>{queue_ref("shw_x")}; }

/// Two are inside and the rest waits.
given<queue> a_slow_queue_of(int people) {
  auto q = an_empty_queue();
  for (int i = 1; i <= people; ++i) q.when(joins_a_slow_one("usr_" + std::to_string(i)));
  return q;
}

}  // namespace

TEST_CASE("the first who joins has the number 1 and is inside at once") {
  auto q = an_empty_queue();
  const auto d = q.when(joins_a_slow_one("usr_ann"));
  REQUIRE(d.events.size() == 2);
  CHECK(events_of(d) == "joined { user_id: \"usr_ann\" ticket_id: \"qt_x_1\" number: 1 at_ms: 1000000 settings { admit_per_window: 2 "
                        "admission_seconds: 60 } } | admitted { through: 1 count: 1 at_ms: 1000000 expires_at_ms: 1060000 "
                        "window_started_at_ms: 1000000 admitted_in_window: 1 }");
  CHECK(d.outcome.ticket().ticket_id() == "qt_x_1");
  CHECK(d.outcome.ticket().number() == 1);
  CHECK(d.outcome.ticket().joined_at_ms() == 1'000'000);
  CHECK_FALSE(d.outcome.ticket().existing());
  CHECK(q.deadline() == q.now() + seconds{60});  // when the admission ends
}

TEST_CASE("who joins again has the same ticket, waiting or inside") {
  auto q = a_slow_queue_of(3);
  q.pass(seconds{5});
  for (const auto& [user_id, number] : {std::pair{"usr_1", 1u}, std::pair{"usr_3", 3u}}) {
    const auto d = q.when(joins(user_id));
    CHECK(accepted_unchanged(d));
    CHECK(d.outcome.ticket().existing());
    CHECK(d.outcome.ticket().number() == number);
    CHECK(d.outcome.ticket().joined_at_ms() == 1'000'000);
  }
}

TEST_CASE("when the window is full, people wait for the next one") {
  auto q = a_slow_queue_of(5);
  CHECK(q.state().waiting() == 3);
  CHECK(q.deadline() == q.now() + seconds{10});
  CHECK(accepted_unchanged(q.pass(milliseconds{9'999}).when_woken()));
  const auto d = q.pass(milliseconds{1}).when_woken();
  CHECK(events_of(d) == "admitted { through: 4 count: 2 at_ms: 1010000 expires_at_ms: 1070000 window_started_at_ms: 1010000 "
                        "admitted_in_window: 2 }");
  CHECK(accepted_unchanged(q.when_woken()));
  CHECK(q.deadline() == q.now() + seconds{10});
  CHECK(q.pass(seconds{10}).when_woken().events[0].admitted().through() == 5);
  CHECK(q.deadline() == from_ms(1'060'000));  // when the first two run out of time
  CHECK(accepted_unchanged(q.pass(seconds{10}).when_woken()));
}

TEST_CASE("a thousand who join in one moment are inside within 30 seconds, 250 at a time") {
  auto q = an_empty_queue();
  const auto start = q.now();
  for (int i = 0; i != 1000; ++i) q.when(joins("usr_" + std::to_string(i)));
  CHECK(q.state().through(0) == 250);
  for (std::uint64_t through : {500, 750, 1000}) {
    REQUIRE(q.deadline());
    q.pass(*q.deadline() - q.now());
    q.when_woken();
    CHECK(q.state().through(0) == through);
  }
  CHECK(q.now() - start == seconds{30});
  CHECK(q.deadline() == start + seconds{300});
  CHECK(q.state().inside(to_ms(q.now())) == 1000);
}

TEST_CASE("a newcomer does not overtake those who wait, though a new window has begun") {
  auto q = a_slow_queue_of(3);
  const auto d = q.pass(seconds{10}).when(joins("usr_late"));
  CHECK(d.events.size() == 1);
  CHECK(q.when_woken().events[0].admitted().count() == 2);
}

TEST_CASE("a newcomer is let into what is left of a window that has begun for others") {
  auto q = a_slow_queue_of(3);
  q.pass(seconds{10}).when_woken();
  const auto d = q.pass(seconds{1}).when(joins("usr_late"));
  REQUIRE(d.events.size() == 2);
  CHECK(d.events[1].admitted().window_started_at_ms() == 1'010'000);
  CHECK(d.events[1].admitted().admitted_in_window() == 2);
  CHECK(q.when(joins("usr_later")).events.size() == 1);
}

TEST_CASE("windows stay aligned to the first and those that nobody used are lost") {
  auto q = a_slow_queue_of(2);
  const auto d = q.pass(seconds{37}).when(joins("usr_late"));
  REQUIRE(d.events.size() == 2);
  CHECK(d.events[1].admitted().window_started_at_ms() == 1'030'000);
  CHECK(d.events[1].admitted().admitted_in_window() == 1);

  auto asleep = a_slow_queue_of(9);
  CHECK(asleep.pass(seconds{37}).when_woken().events[0].admitted().count() == 2);
  CHECK(asleep.deadline() == from_ms(1'040'000));
}

TEST_CASE("a clock that runs backwards opens no window") {
  auto q = a_slow_queue_of(3);
  q.pass(seconds{-30});
  CHECK(accepted_unchanged(q.when_woken()));
  CHECK(q.when(joins("usr_late")).events.size() == 1);
}

TEST_CASE("who leaves is stepped over, and the window is filled with people who wait") {
  auto q = a_slow_queue_of(6);
  const auto d = q.when(leaves("usr_3"));
  CHECK(events_of(d) == R"(left { user_id: "usr_3" number: 3 at_ms: 1000000 })");
  CHECK(d.outcome.ticket().number() == 3);
  CHECK(q.state().waiting() == 3);
  const auto admitted = q.pass(seconds{10}).when_woken().events[0].admitted();
  CHECK(admitted.through() == 5);
  CHECK(admitted.count() == 2);
  CHECK(q.state().waiting() == 1);
}

TEST_CASE("when everyone who waited has left, nobody is woken and a newcomer with room is inside") {
  auto q = a_slow_queue_of(3);
  q.when(leaves("usr_3"));
  CHECK(q.deadline() == q.now() + seconds{60});  // nobody waits; two are inside
  const auto d = q.pass(seconds{10}).when(joins("usr_late"));
  REQUIRE(d.events.size() == 2);
  CHECK(d.events[1].admitted().through() == 4);
  CHECK(q.state().waiting() == 0);
}

TEST_CASE("who is inside may leave too, and who has no ticket can't") {
  auto q = a_slow_queue_of(3);
  CHECK(accepted(q.when(leaves("usr_1"))));
  CHECK(q.state().waiting() == 1);
  CHECK(refused(q.when(leaves("usr_1"))) == v1::NOT_FOUND);
  CHECK(refused(q.when(leaves("usr_nobody"))) == v1::NOT_FOUND);
  CHECK(refused(an_empty_queue().when(leaves("usr_1"))) == v1::NOT_FOUND);
}

TEST_CASE("who left joins again at the end") {
  auto q = a_slow_queue_of(4);
  q.when(leaves("usr_3"));
  const auto d = q.when(joins("usr_3"));
  CHECK(d.outcome.ticket().number() == 5);
  CHECK_FALSE(d.outcome.ticket().existing());
}

TEST_CASE("an admission that expired is no ticket any more, and its owner joins with a new number") {
  auto q = a_slow_queue_of(2);
  q.pass(milliseconds{59'999});
  CHECK(q.when(joins("usr_1")).outcome.ticket().number() == 1);
  q.pass(milliseconds{1});
  CHECK(refused(q.when(leaves("usr_1"))) == v1::NOT_FOUND);
  const auto d = q.when(joins("usr_1"));
  CHECK(d.outcome.ticket().number() == 3);
  CHECK(d.events.size() == 2);
  CHECK(q.when(leaves("usr_1")).events[0].left().number() == 3);
}

TEST_CASE("a queue that was not opened with its show takes its settings from the first who joins") {
  auto q = a_slow_queue_of(2);
  CHECK_FALSE(q.when(joins_a_slow_one("usr_3")).events[0].joined().has_settings());
  auto faster = joins("usr_4");
  faster.mutable_join()->mutable_settings()->set_admit_per_window(3);
  CHECK_FALSE(q.when(faster).events[0].joined().has_settings());
  CHECK(q.pass(seconds{10}).when_woken().events[0].admitted().count() == 2);
}

TEST_CASE("nobody joins without a name, a queue owes nobody anything, and an empty command is refused") {
  auto q = a_slow_queue_of(3);
  const auto d = q.when("join {}");
  CHECK(refused(d) == v1::VALIDATION_FAILED);
  CHECK(blamed(d.rejection) == std::vector<std::string>{"userId"});
  CHECK(q.reaction().empty());
  CHECK(refused(q.when("")) == v1::INVALID_REQUEST);
}

}  // namespace usher::actors::test
