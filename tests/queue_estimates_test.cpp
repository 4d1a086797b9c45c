// What the people of a queue are told about their waits, by the queue's own rules.

#include "projections/queue_estimates.hpp"

#include <algorithm>
#include <random>

#include "actors/queue.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

using projections::queue_estimates;

/// A queue that is played, with those who look at its estimates.
class sale {
 public:
  explicit sale(const std::string& settings = "", std::int64_t opens_in_ms = 0) {
    auto open = from_text<v1::QueueCommand>("open { draw_secret: \"" + std::string(32, 's') + "\" settings { " + settings + " } }");
    if (opens_in_ms != 0) open.mutable_open()->set_opens_at_ms(now_ms() + opens_in_ms);
    command(open);
  }

  void command(const v1::QueueCommand& c) {
    const auto decided = queue_.when(c);
    REQUIRE(accepted(decided));
    fold(decided.events);
  }
  void command(const std::string& text) { command(from_text<v1::QueueCommand>(text)); }
  void join(int people, const std::string& lane = "") {
    for (; people > 0; --people) command("join { user_id: \"usr_" + std::to_string(++joined_) + "\" lane: \"" + lane + "\" }");
  }
  void leave(int user) { command("leave { user_id: \"usr_" + std::to_string(user) + "\" }"); }

  /// Time passes, and whoever is due comes in.
  void pass(std::int64_t ms) {
    const auto until = queue_.now() + milliseconds{ms};
    while (queue_.deadline() && *queue_.deadline() <= until) {
      queue_.pass(std::max(*queue_.deadline() - queue_.now(), milliseconds{0}));
      fold(queue_.when_woken().events);
    }
    queue_.pass(until - queue_.now());
  }

  [[nodiscard]] std::int64_t now_ms() const { return to_ms(queue_.now()); }
  [[nodiscard]] std::optional<projections::wait_range> told(std::uint64_t number) const {
    return estimates.estimate(room, room.at(number).lane, room.ahead_of(number) + 1, now_ms());
  }

  waiting_room room;
  queue_estimates estimates;

 private:
  void fold(const std::vector<v1::QueueEvent>& events) {
    for (const auto& e : events) estimates.fold(room, e);
    CHECK(room.waiting() == queue_.state().waiting());
  }

  given<queue> queue_{queue_ref("shw_x")};
  int joined_ = 0;
};

TEST_CASE("nine of ten people of a queue that many leave are let in within the p90 they were told") {
  sale s("admit_per_window: 20");
  std::mt19937 dice(7);
  s.join(200);
  for (int second = 1; second <= 1'200; ++second) {
    s.join(static_cast<int>(dice() % 6));
    if (dice() % 2 == 0) {
      const auto number = s.room.joined() - dice() % 150;
      if (s.room.at(number).phase() == v1::TICKET_WAITING) s.leave(static_cast<int>(number));
    }
    s.pass(1000);
  }
  const auto& score = s.estimates.score();
  CHECK(score.samples() > 1'000);
  CHECK(score.samples() <= s.room.head().admitted() - 20);  // the first twenty had not to wait
  CHECK(score.within_p50() > 0.35);
  CHECK(score.within_p90() > 0.85);
}

TEST_CASE("who is let in at once was promised nothing") {
  sale s;
  s.join(250);
  CHECK(s.estimates.score().samples() == 0);
  s.join(1);
  CHECK(s.told(251)->p50_s == 10);
  s.pass(10'000);
  CHECK(s.estimates.score().samples() == 1);
  CHECK(s.estimates.score().within_p90() == 1);
}

TEST_CASE("before the sale opens, a queue by the order of joining tells when it is whose turn") {
  sale s("order: \"joining\"", 60'000);
  s.join(600);
  CHECK(s.told(250)->p50_s == 60);
  CHECK(s.told(600)->p50_s == 80);
  s.pass(90'000);
  CHECK(s.estimates.score().samples() == 600);
  CHECK(s.estimates.score().within_p90() == 1);
}

TEST_CASE("who comes before the draw is told nothing until then, and all are told their time after it") {
  sale s("", 60'000);
  s.join(600);
  s.leave(17);
  s.pass(62'000);  // drawn, and the first window is in
  REQUIRE(s.room.head().drawn());
  REQUIRE(s.room.waiting() == 349);
  std::vector<std::uint32_t> told;
  for (std::uint64_t number = 1; number <= 600; ++number)
    if (s.room.at(number).phase() == v1::TICKET_WAITING) told.push_back(s.told(number)->p50_s);
  CHECK(std::count(told.begin(), told.end(), 10U) == 250);
  CHECK(std::count(told.begin(), told.end(), 20U) == 99);
  s.pass(20'000);
  CHECK(s.estimates.score().samples() == 0);
}

TEST_CASE("nobody is told a time while nobody is let in: not in a pause, and not while nothing is left") {
  sale s;
  s.join(300);
  CHECK(s.told(300));
  s.command("pause { reason: \"The hall is full.\" }");
  CHECK_FALSE(s.told(300));
  s.command("pause { reason: \"The hall is still full.\" }");
  s.command("resume { reason: \"It is not.\" }");
  CHECK(s.told(300));
  s.command("supply { available: 0 held: 5 }");
  CHECK_FALSE(s.told(300));
  s.command("supply { available: 5 held: 0 }");
  CHECK(s.told(300));
}

TEST_CASE("lanes are told their own times, and so is who is moved to another one") {
  sale s("lanes { name: \"all\" weight: 1 } lanes { name: \"members\" weight: 3 }");
  s.join(250);
  s.join(1'000, "all");
  s.join(750, "members");
  CHECK(s.told(1'250)->p50_s == Approx(160).margin(1));  // 62 or 63 of the 250 every ten seconds
  CHECK(s.told(2'000)->p50_s == 40);
  s.command("assign_lane { user_id: \"usr_1250\" lane: \"members\" reason: \"Is one.\" }");
  CHECK(s.told(1'250)->p50_s == 50);
}

TEST_CASE("a change of the rate changes at once what people are told") {
  sale s;
  s.join(2'750);
  CHECK(s.told(2'750)->p50_s == 100);
  s.command("change { settings { admit_per_window: 500 } reason: \"More doors.\" }");
  CHECK(s.told(2'750)->p50_s <= 50);
}

TEST_CASE("that a queue was closed does not mean that its next people go away as fast, or wait longer") {
  sale s;
  s.join(5'000);
  s.pass(30'000);
  s.command("supply { available: 0 held: 0 }");
  REQUIRE(s.room.waiting() == 0);
  s.command("supply { available: 9000 held: 0 }");
  s.pass(60'000);
  s.join(2'750);
  CHECK(s.told(s.room.joined())->p50_s == 100);
}

TEST_CASE("a queue that is read from its row goes on to tell what it would have told") {
  sale s("admit_per_window: 20 lanes { name: \"all\" weight: 1 } lanes { name: \"members\" weight: 3 }");
  s.join(400);
  s.join(200, "members");
  for (int i = 0; i < 10; ++i) {
    s.pass(9'000);
    s.leave(300 + i);
  }
  std::string row;
  s.estimates.save(row);
  queue_estimates again;
  CHECK(again.restore(row + "the rest") == "the rest");

  v1::QueueState saved;
  s.room.save(saved);
  sale other;
  other.room.restore(saved);
  std::string row_again;
  again.save(row_again);
  CHECK(row_again == row);
  CHECK(again.estimate(other.room, 0, 200, s.now_ms()) == s.estimates.estimate(s.room, 0, 200, s.now_ms()));
  CHECK(again.score().samples() == s.estimates.score().samples());

  CHECK_THROWS((void)again.restore(row.substr(0, row.size() / 2)));
}

}  // namespace
TEST_CASE("whoever was moved to another lane leaves a place behind that nobody stumbles over, also after a restart") {
  sale s{"admit_per_window: 2 lanes { name: 'all' weight: 1 } lanes { name: 'members' weight: 1 }"};
  s.join(12);
  s.command("assign_lane { user_id: 'usr_5' lane: 'members' reason: 'a wheelchair' }");
  v1::QueueState saved;
  s.room.save(saved);
  s.room.restore(saved);
  s.pass(60'000);
  CHECK(s.room.waiting() == 0);
}

}  // namespace usher::actors::test
