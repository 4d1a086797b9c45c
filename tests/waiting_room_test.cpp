// What a waiting room promises whatever people, operators and the clock do: exact positions that never grow, nobody let in twice, no
// more inside than agreed, and no standing still.

#include <google/protobuf/util/message_differencer.h>
#include <malloc.h>

#include <map>
#include <random>
#include <set>

#include "actors/admission.hpp"
#include "actors/queue.hpp"
#include "actors/queue_settings.hpp"
#include "events/draw.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

const std::string secret(32, 's');

struct opened {
  v1::QueueSettings settings;
  std::int64_t opens_at_ms = 0;
  std::int64_t closes_at_ms = 0;
};

/// A queue with its show, seen from outside.
class queue_of_show {
 public:
  explicit queue_of_show(const opened& as) {
    v1::QueueCommand c;
    *c.mutable_open()->mutable_settings() = as.settings;
    c.mutable_open()->set_opens_at_ms(as.opens_at_ms);
    c.mutable_open()->set_closes_at_ms(as.closes_at_ms);
    c.mutable_open()->set_draw_secret(secret);
    CHECK(accepted(q.when(c)));
  }

  decision<v1::QueueEvent> join(const std::string& user, const std::string& lane = "", std::uint32_t device = 0) {
    v1::QueueCommand c;
    c.mutable_join()->set_user_id(user);
    c.mutable_join()->set_lane(lane);
    c.mutable_join()->set_device(device);
    return q.when(c);
  }
  void join_many(int from, int to) {
    for (int i = from; i <= to; ++i) CHECK(accepted(join(user(i))));
  }
  static std::string user(int i) { return "usr_" + std::to_string(i); }

  /// Lets time pass, waking the queue whenever it asks for it.
  void live_until(std::int64_t ms) {
    for (auto due = q.deadline(); due && to_ms(*due) <= ms; due = q.deadline()) {
      if (*due > q.now()) q.pass(*due - q.now());
      const auto d = q.when_woken();
      REQUIRE_FALSE(d.events.empty());  // a queue that asks to be woken for nothing would ask for ever
    }
    q.pass(from_ms(ms) - q.now());
  }
  void live(seconds time) { live_until(to_ms(q.now() + time)); }

  const waiting_room& room() const { return q.state(); }
  std::int64_t now_ms() const { return to_ms(q.now()); }
  std::uint64_t position(int i) const {
    const auto n = room().newest_of(user(i));
    return room().at(n).phase() == v1::TICKET_WAITING ? room().ahead_of(n) + 1 : 0;
  }
  v1::TicketPhase phase(int i) const { return room().at(room().newest_of(user(i))).phase(); }

  given<queue> q{queue_ref("shw_x")};
};

opened paced(std::uint32_t per_window, std::uint32_t window_seconds = 10) {
  opened out;
  out.settings.set_admit_per_window(per_window);
  out.settings.set_window_seconds(window_seconds);
  out.settings.set_admission_seconds(60);
  return out;
}

v1::QueueCommand supply(std::uint64_t available, std::uint64_t held) {
  v1::QueueCommand c;
  c.mutable_supply()->set_available(available);
  c.mutable_supply()->set_held(held);
  return c;
}

}  // namespace

TEST_CASE("who leaves frees the place: everyone behind moves up by one, nobody else") {
  queue_of_show s{paced(2)};
  s.join_many(1, 10);
  s.q.when("leave { user_id: 'usr_6' }");
  CHECK(s.position(5) == 3);
  CHECK(s.position(7) == 4);
  CHECK(s.position(10) == 7);
}

TEST_CASE("thirty join and ten vanish, and the queue goes on as if they had never been there") {
  queue_of_show s{paced(5)};
  s.join_many(1, 30);
  CHECK(s.q.when("drop { numbers: [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15, 99] }").events.at(0).vanished().numbers_size() == 10);
  CHECK(accepted_unchanged(s.q.when("drop { numbers: [6, 1, 0] }")));
  CHECK(s.position(16) == 1);
  s.live(seconds{10});
  for (int i = 16; i <= 20; ++i) CHECK(s.phase(i) == v1::TICKET_ADMITTED);
  s.live(seconds{20});
  CHECK(s.room().waiting() == 0);
}

TEST_CASE("a smooth queue admits as many as asked, evenly, and not all at a time") {
  auto as = paced(100);
  as.settings.set_mode("smooth");
  queue_of_show s{as};
  s.join_many(1, 1000);
  CHECK(s.room().head().admitted() == 1);
  for (int second = 1; second <= 60; ++second) {
    s.live(seconds{1});
    const auto admitted = s.room().head().admitted();
    CHECK(admitted >= static_cast<std::uint64_t>(second) * 10);
    CHECK(admitted <= static_cast<std::uint64_t>(second) * 10 + 2);
  }
}

TEST_CASE("a smooth queue that stood still catches up with no more than a second") {
  auto as = paced(100);
  as.settings.set_mode("smooth");
  queue_of_show s{as};
  s.join_many(1, 500);
  s.q.when("pause { reason: 'the till is broken' }");
  s.live(seconds{30});
  CHECK(s.room().head().admitted() == 1);
  CHECK(accepted(s.q.when("resume {}")));
  CHECK(s.room().head().admitted() <= 12);
  s.live(seconds{10});
  CHECK(s.room().head().admitted() >= 101);
  CHECK(s.room().head().admitted() <= 113);
}

TEST_CASE("with a cap on people inside, each who pays, leaves, is evicted or runs out of time lets the next one in at once") {
  auto as = paced(250);
  as.settings.set_max_active(3);
  queue_of_show s{as};
  s.join_many(1, 9);
  CHECK(s.room().inside(s.now_ms()) == 3);
  CHECK(s.position(4) == 1);
  s.q.when("spend { user_id: 'usr_1' number: 1 reservation_id: 'rsv_1' }");
  CHECK(s.phase(1) == v1::TICKET_SPENT);
  CHECK(s.phase(4) == v1::TICKET_ADMITTED);
  s.q.when("leave { user_id: 'usr_2' }");
  CHECK(s.phase(5) == v1::TICKET_ADMITTED);
  s.q.when("evict { user_id: 'usr_3' reason: 'a robot' }");
  CHECK(s.phase(6) == v1::TICKET_ADMITTED);
  CHECK(s.room().inside(s.now_ms()) == 3);
  s.live(seconds{59});
  CHECK(s.phase(7) == v1::TICKET_WAITING);
  s.live(seconds{1});
  for (int i = 4; i <= 6; ++i) CHECK(s.phase(i) == v1::TICKET_EXPIRED);
  for (int i = 7; i <= 9; ++i) CHECK(s.phase(i) == v1::TICKET_ADMITTED);
  CHECK(accepted_unchanged(s.q.when("spend { user_id: 'usr_1' number: 1 }")));
}

TEST_CASE("with forty of a hundred abandoning, the room stays full to within one in twenty, as long as people wait") {
  auto as = paced(250);
  as.settings.set_max_active(200);
  queue_of_show s{as};
  s.join_many(1, 5000);
  std::mt19937_64 random{7};
  std::map<std::int64_t, std::vector<std::uint64_t>> pays_at;
  std::uint64_t seen = 0, samples = 0;
  for (int second = 1; s.room().waiting() != 0; ++second) {
    REQUIRE(second < 3600);
    s.live(seconds{1});
    for (auto& n = seen; n != s.room().joined() && s.room().at(n + 1).run != 0; ++n)
      if (random() % 100 >= 40) pays_at[second + static_cast<int>(random() % 50)].push_back(n + 1);
    for (const auto n : pays_at[second]) s.q.when("spend { number: " + std::to_string(n) + " }");
    if (s.room().waiting() == 0) break;
    const auto inside = s.room().inside(s.now_ms());
    CHECK(inside <= 200);
    CHECK(inside >= 190);
    ++samples;
  }
  CHECK(samples > 300);
}

TEST_CASE("nobody is let in to nothing: no more inside than places that are not sold, and none while all are held") {
  queue_of_show s{paced(250)};
  s.q.when(supply(3, 0));
  s.join_many(1, 10);
  CHECK(s.room().inside(s.now_ms()) == 3);
  s.q.when(supply(0, 3));
  s.live(seconds{15});
  s.q.when("leave { user_id: 'usr_1' }");
  CHECK(s.room().inside(s.now_ms()) == 2);
  s.q.when(supply(1, 2));  // a hold has ended
  CHECK(s.room().inside(s.now_ms()) == 3);
  CHECK(s.phase(4) == v1::TICKET_ADMITTED);
}

TEST_CASE("people inside who do nothing don't stop the queue: the next window lets in as many as there are places") {
  queue_of_show s{paced(250)};
  s.q.when(supply(3, 0));
  s.join_many(1, 10);
  s.live(seconds{9});
  CHECK(s.room().head().admitted() == 3);
  s.live(seconds{1});
  CHECK(s.room().head().admitted() == 6);
  s.live(seconds{10});
  CHECK(s.room().head().admitted() == 9);
}

TEST_CASE("when the last seat is sold the queue closes, and opens again for newcomers when seats come back") {
  queue_of_show s{paced(2)};
  s.q.when(supply(2, 0));
  s.join_many(1, 5);
  const auto d = s.q.when(supply(0, 0));
  REQUIRE(d.events.size() == 2);
  CHECK(to_text(d.events[1]) == "closed { why: SOLD_OUT count: 3 at_ms: 1000000 }");
  CHECK(s.phase(1) == v1::TICKET_ADMITTED);
  CHECK(s.phase(5) == v1::TICKET_CLOSED);
  CHECK(s.room().waiting() == 0);
  CHECK(refused(s.join("usr_late")) == v1::SALE_CLOSED);
  CHECK(s.join("usr_1").outcome.ticket().existing());
  CHECK(s.q.when(supply(1, 0)).events.at(1).has_reopened());
  CHECK(accepted(s.join("usr_5")));
  CHECK(s.room().newest_of("usr_5") == 6);
}

TEST_CASE("when the sale is over the queue closes by itself") {
  auto as = paced(2);
  as.closes_at_ms = 1'015'000;
  queue_of_show s{as};
  s.join_many(1, 9);
  s.live_until(1'015'000);
  CHECK(s.room().head().end() == v1::SALE_OVER);
  CHECK(s.phase(4) == v1::TICKET_ADMITTED);
  CHECK(s.phase(5) == v1::TICKET_CLOSED);
  CHECK(refused(s.join("usr_late")) == v1::SALE_CLOSED);
  CHECK(accepted(s.q.when("reschedule { closes_at_ms: 2000000 }")));
  CHECK(accepted(s.join("usr_late")));
}

TEST_CASE("nobody is let in before the sale opens; with first come, first served the order is that of joining") {
  auto as = paced(3);
  as.opens_at_ms = 1'030'000;
  as.settings.set_order("joining");
  queue_of_show s{as};
  s.join_many(1, 7);
  CHECK(s.position(1) == 1);
  s.live_until(1'029'999);
  CHECK(s.room().head().admitted() == 0);
  s.live_until(1'030'000);
  CHECK(s.phase(3) == v1::TICKET_ADMITTED);
  CHECK(s.phase(4) == v1::TICKET_WAITING);
}

TEST_CASE("who comes early is drawn by lot, who comes later stands behind them, and the draw can be computed again") {
  auto as = paced(10);
  as.opens_at_ms = 1'030'000;
  queue_of_show s{as};
  s.join_many(1, 50);
  s.q.when("leave { user_id: 'usr_20' }");
  s.live_until(1'029'000);
  CHECK(s.room().is_early(1));
  s.q.pass(seconds{1});
  CHECK(s.join("usr_postponed").what == decision<v1::QueueEvent>::kind::postpone);
  const auto closed = s.q.when_woken();
  CHECK(closed.events.at(0).entries_closed().count() == 50);
  CHECK(accepted(s.join("usr_51")));
  CHECK_FALSE(s.room().is_early(51));
  CHECK(s.position(51) == 50);
  s.live_until(1'031'999);
  CHECK(s.room().head().admitted() == 0);
  const auto root = s.room().draw_root();
  const auto order = draw::order(secret, root, 50);
  s.live_until(1'032'000);
  CHECK(s.room().head().admitted() == 10);
  std::vector<std::uint32_t> ranked;
  for (const auto n : order)
    if (n != 20) ranked.push_back(n);
  CHECK(ranked != [] { std::vector<std::uint32_t> v; for (std::uint32_t i = 1; i <= 50; ++i) if (i != 20) v.push_back(i); return v; }());
  for (std::size_t i = 0; i != ranked.size(); ++i) {
    INFO("rank " << i + 1);
    const auto phase = s.room().at(ranked[i]).phase();
    CHECK(phase == (i < 10 ? v1::TICKET_ADMITTED : v1::TICKET_WAITING));
    if (i >= 10) CHECK(s.room().ahead_of(ranked[i]) == i - 10);
    CHECK(order[s.room().rank_of(ranked[i]) - 1] == ranked[i]);
  }
  CHECK(s.position(51) == 40);
}

TEST_CASE("when everybody who came early has gone, the opening still comes") {
  auto as = paced(10);
  as.opens_at_ms = 1'030'000;
  queue_of_show s{as};
  s.join_many(1, 1);
  s.q.when("leave { user_id: 'usr_1' }");
  s.live_until(1'040'000);
  CHECK(accepted(s.join("usr_2")));
  CHECK(s.phase(2) == v1::TICKET_ADMITTED);
}

TEST_CASE("lanes share each admission by their weights, and what one can't use goes to the other") {
  auto as = paced(8);
  for (const auto& [name, weight] : {std::pair{"all", 1u}, std::pair{"members", 3u}}) {
    auto* lane = as.settings.add_lanes();
    lane->set_name(name);
    lane->set_weight(weight);
  }
  queue_of_show s{as};
  s.q.when("pause { reason: 'everybody first comes together' }");
  for (int i = 1; i <= 40; ++i) s.join("usr_" + std::to_string(i), i % 2 ? "all" : "members");
  CHECK(refused(s.join("usr_x", "friends")) == v1::VALIDATION_FAILED);
  CHECK(s.position(40) == 20);  // in the lane
  CHECK(s.q.when("resume {}").events.at(1).admitted().count() == 8);
  CHECK(s.room().waiting(0) == 18);
  CHECK(s.room().waiting(1) == 14);
  s.live(seconds{20});
  CHECK(s.room().waiting(0) == 14);
  CHECK(s.room().waiting(1) == 2);
  s.live(seconds{10});
  CHECK(s.room().waiting(1) == 0);
  CHECK(s.room().waiting(0) == 8);
}

TEST_CASE("what a lane got in quiet times is no debt when the rush begins, whoever comes first") {
  auto as = paced(8);
  for (const auto* name : {"all", "members"}) {
    as.settings.add_lanes()->set_name(name);
    as.settings.mutable_lanes(as.settings.lanes_size() - 1)->set_weight(1);
  }
  queue_of_show s{as};
  for (int i = 1; i <= 200; ++i) {
    CHECK(accepted(s.join("usr_quiet" + std::to_string(i), "all")));
    s.live(seconds{2});
  }
  REQUIRE(s.room().waiting() == 0);
  s.q.when("pause { reason: 'the rush begins' }");
  for (int i = 1; i <= 40; ++i) s.join("usr_" + std::to_string(i), i % 2 ? "members" : "all");
  s.live(seconds{10});
  s.q.when("resume {}");
  CHECK(s.room().waiting(0) == 16);
  CHECK(s.room().waiting(1) == 16);
}

TEST_CASE("nobody who takes part in a draw is put before those who have been told a place behind them") {
  auto as = paced(10);
  as.opens_at_ms = 1'030'000;
  for (const auto* name : {"all", "members"}) {
    as.settings.add_lanes()->set_name(name);
    as.settings.mutable_lanes(as.settings.lanes_size() - 1)->set_weight(1);
  }
  queue_of_show s{as};
  s.join_many(1, 5);
  const std::string move = "assign_lane { user_id: 'usr_3' lane: 'members' reason: 'press' }";
  s.q.pass(seconds{30});
  s.q.when_woken();
  CHECK(accepted(s.join("usr_late", "members")));
  CHECK(s.q.when(move).what == decision<v1::QueueEvent>::kind::postpone);
}

TEST_CASE("of two operators who change the same settings at once the second is told") {
  queue_of_show s{paced(2)};
  const auto version = std::to_string(version_of(s.room().settings()));
  CHECK(accepted(s.q.when("change { settings { admit_per_window: 500 } version: " + version + " }")));
  CHECK(refused(s.q.when("change { settings { max_active: 60 } version: " + version + " }")) == v1::VERSION_MISMATCH);
  CHECK(accepted(s.q.when("change { settings { max_active: 60 } }")));
}

TEST_CASE("a change of the pace before the sale starts no window, and one during the sale lets nobody in twice") {
  auto as = paced(5);
  as.opens_at_ms = 1'030'000;
  as.settings.set_order("joining");
  queue_of_show s{as};
  s.join_many(1, 20);
  s.live(seconds{7});
  s.q.when("change { settings { admit_per_window: 5 window_seconds: 9 order: 'joining' mode: 'smooth' } }");
  s.q.when("change { settings { admit_per_window: 5 window_seconds: 9 order: 'joining' } }");
  s.live_until(1'030'000);
  CHECK(s.room().head().admitted() == 5);
  s.live_until(1'035'000);
  CHECK(s.room().head().admitted() == 5);
  s.q.when("change { settings { admit_per_window: 5 window_seconds: 6 order: 'joining' } }");
  CHECK(s.room().head().admitted() == 5);
  s.live_until(1'035'999);
  CHECK(s.room().head().admitted() == 5);
  s.live_until(1'036'000);
  CHECK(s.room().head().admitted() == 10);
}

TEST_CASE("an operator gives somebody another lane only if they stand better there, and before they come if need be") {
  auto as = paced(1);
  for (const auto* name : {"all", "members"}) {
    as.settings.add_lanes()->set_name(name);
    as.settings.mutable_lanes(as.settings.lanes_size() - 1)->set_weight(1);
  }
  queue_of_show s{as};
  s.join_many(1, 5);
  CHECK(refused(s.q.when("assign_lane { user_id: 'usr_4' lane: 'members' }")) == v1::VALIDATION_FAILED);  // why?
  CHECK(accepted(s.q.when("assign_lane { user_id: 'usr_4' lane: 'members' reason: 'a wheelchair' }")));
  CHECK(s.position(4) == 1);
  CHECK(s.position(5) == 3);
  CHECK(refused(s.q.when("assign_lane { user_id: 'usr_2' lane: 'members' reason: 'x' }")) == v1::VALIDATION_FAILED);
  CHECK(accepted(s.q.when("assign_lane { user_id: 'usr_9' lane: 'members' reason: 'press' }")));
  CHECK(accepted_unchanged(s.q.when("assign_lane { user_id: 'usr_9' lane: 'members' reason: 'press' }")));
  s.join("usr_9");
  CHECK(s.room().at(s.room().newest_of("usr_9")).lane == 1);
}

TEST_CASE("a login elsewhere takes the ticket along, and a service's call does not") {
  queue_of_show s{paced(1)};
  s.join_many(1, 1);
  s.join("usr_2", "", 7);
  CHECK(accepted_unchanged(s.join("usr_2", "", 7)));
  CHECK(accepted_unchanged(s.join("usr_2", "", 0)));
  const auto d = s.join("usr_2", "", 8);
  CHECK(d.outcome.ticket().existing());
  CHECK(to_text(d.events.at(0)) == "moved { user_id: \"usr_2\" number: 2 device: 8 at_ms: 1000000 }");
  CHECK(s.room().at(2).device == 8);
}

TEST_CASE("a paused queue lets nobody in and loses nobody; a draining one takes nobody in and lets the others through") {
  queue_of_show s{paced(2)};
  s.join_many(1, 6);
  CHECK(refused(s.q.when("pause {}")) == v1::VALIDATION_FAILED);
  s.q.when("pause { reason: 'fire alarm' }");
  CHECK(accepted_unchanged(s.q.when("pause { reason: 'fire alarm' }")));
  s.live(seconds{30});
  CHECK(s.room().waiting() == 4);
  CHECK(accepted(s.join("usr_7")));
  s.q.when("drain { reason: 'the doors close' }");
  CHECK(refused(s.join("usr_8")) == v1::SALE_CLOSED);
  CHECK(s.q.when("resume {}").events.at(1).admitted().count() == 2);
  CHECK(accepted(s.join("usr_8")));
  CHECK(accepted_unchanged(s.q.when("resume {}")));
}

TEST_CASE("a new rate is in force at once") {
  queue_of_show s{paced(2)};
  s.join_many(1, 30);
  const auto d = s.q.when("change { settings { admit_per_window: 12 window_seconds: 10 admission_seconds: 60 } reason: 'it goes well' }");
  CHECK(d.events.at(1).admitted().count() == 10);  // of this window, two are inside already
  s.live(seconds{10});
  CHECK(s.room().head().admitted() == 24);
  CHECK(refused(s.q.when("change { settings { order: 'joining' } }")) == v1::VALIDATION_FAILED);
  CHECK(refused(s.q.when("change { settings { window_seconds: 999999 } }")) == v1::VALIDATION_FAILED);
}

TEST_CASE("a million tickets take at most 100 bytes each") {
  queue_of_show s{paced(250)};
  const auto used = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  constexpr std::uint64_t tickets = 1'000'000;
  v1::QueueEvent e;
  waiting_room room;
  const auto before = used();
  for (std::uint64_t n = 1; n <= tickets; ++n) {
    auto* joined = e.mutable_joined();
    joined->set_user_id("usr_" + std::to_string(1'000'000'000'000'000 + n));
    joined->set_number(n);
    joined->set_at_ms(static_cast<std::int64_t>(n));
    room.fold(e);
  }
  const auto bytes = used() - before;
  INFO(bytes / tickets << " bytes a ticket");
  CHECK(bytes <= 100 * tickets);
  CHECK(room.ahead_of(tickets) == tickets - 1);
}

// --- whatever happens -----------------------------------------------------------------------------------------------

namespace {

/// One queue under random people, operators and interruptions, and a count of its own of who stands where.
class chaos {
 public:
  explicit chaos(std::uint64_t seed) : random_(seed), show_(random_show()) {}

  void run(int steps) {
    for (int i = 0; i != steps; ++i) {
      act();
      check();
    }
  }

 private:
  std::uint64_t any(std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>{0, n - 1}(random_); }
  bool chance(int percent) { return any(100) < static_cast<std::uint64_t>(percent); }

  opened random_show() {
    opened out;
    random_settings(out.settings);
    if (chance(50)) out.settings.set_order("joining");
    if (chance(50)) out.opens_at_ms = 1'000'000 + static_cast<std::int64_t>(any(60'000));
    if (chance(20)) out.closes_at_ms = 1'400'000;
    return out;
  }
  void random_settings(v1::QueueSettings& s) {
    s.set_admit_per_window(static_cast<std::uint32_t>(1 + any(9)));
    s.set_window_seconds(static_cast<std::uint32_t>(1 + any(12)));
    s.set_admission_seconds(static_cast<std::uint32_t>(5 + any(60)));
    s.set_mode(chance(40) ? "smooth" : "window");
    s.set_max_active(chance(40) ? static_cast<std::uint32_t>(1 + any(12)) : 0);
    if (s.lanes_size() == 0 && chance(40))
      for (const auto* name : {"all", "members", "press"}) s.add_lanes()->set_name(name);
    for (auto& lane : *s.mutable_lanes()) lane.set_weight(static_cast<std::uint32_t>(1 + any(5)));
  }
  std::string somebody() { return queue_of_show::user(static_cast<int>(any(80))); }
  std::string some_lane() {
    const auto& lanes = room().settings().lanes();
    return lanes.empty() ? "" : lanes[static_cast<int>(any(static_cast<std::uint64_t>(lanes.size())))].name();
  }

  void act() {
    const auto what = any(100);
    if (what < 40) return observe(show_.join(somebody(), chance(30) ? some_lane() : "", static_cast<std::uint32_t>(any(3))));
    if (what < 55) return observe(show_.q.when("leave { user_id: '" + somebody() + "' }"));
    if (what < 60) return vanish();
    if (what < 63) return observe(show_.q.when("evict { user_id: '" + somebody() + "' reason: 'r' }"));
    if (what < 70) return spend();
    if (what < 73) return observe(show_.q.when(room().head().paused() ? "resume {}" : "pause { reason: 'r' }"));
    if (what < 75) return change();
    if (what < 77) return observe(show_.q.when("assign_lane { user_id: '" + somebody() + "' lane: '" + some_lane() + "' reason: 'r' }"));
    if (what < 79) return observe(show_.q.when(supply(any(6), any(6) + 1)));
    if (what < 82) return restart();
    live(static_cast<std::int64_t>(any(4'000)));
  }
  void vanish() {
    v1::QueueCommand c;
    for (auto n = any(4); n != 0; --n) c.mutable_drop()->add_numbers(any(room().joined() + 2));
    observe(show_.q.when(c));
  }
  void spend() {
    v1::QueueCommand c;
    c.mutable_spend()->set_number(any(room().joined() + 2));
    observe(show_.q.when(c));
  }
  void change() {
    v1::QueueCommand c;
    auto* settings = c.mutable_change()->mutable_settings();
    *settings = room().settings();
    random_settings(*settings);
    observe(show_.q.when(c));
  }
  /// What is saved is all there is.
  void restart() {
    v1::QueueState saved, again;
    room().save(saved);
    waiting_room restored;
    restored.restore(saved);
    restored.save(again);
    CHECK(google::protobuf::util::MessageDifferencer::Equals(saved, again));
    for (std::uint64_t n = 1; n <= room().joined(); ++n) {
      if (room().at(n).phase() == v1::TICKET_WAITING) CHECK(restored.ahead_of(n) == room().ahead_of(n));
      CHECK(restored.is_inside(n, show_.now_ms()) == room().is_inside(n, show_.now_ms()));
      CHECK(restored.rank_of(n) == room().rank_of(n));
    }
    const_cast<waiting_room&>(show_.q.state()) = std::move(restored);
  }
  void live(std::int64_t ms) {
    const auto until = show_.now_ms() + ms;
    for (auto due = show_.q.deadline(); due && to_ms(*due) <= until; due = show_.q.deadline()) {
      if (*due > show_.q.now()) show_.q.pass(*due - show_.q.now());
      const auto d = show_.q.when_woken();
      REQUIRE_FALSE(d.events.empty());
      observe(d);
    }
    show_.q.pass(milliseconds{until - show_.now_ms()});
  }

  void observe(const decision<v1::QueueEvent>& d) {
    for (const auto& e : d.events) {
      if (e.has_admitted()) admissions(e.admitted());
      if (e.has_lane_assigned()) last_position_.erase(e.lane_assigned().number());  // better there, but of another lane
    }
  }
  void admissions(const v1::TicketsAdmitted& a) {
    CHECK(a.admitted_in_window() <= (room().pace().is_smooth ? 2 : 1) * std::max(a.admitted_in_window() - a.count(), room().pace().per_window));
    std::uint64_t fresh = 0;
    for (std::uint64_t n = 1; n <= room().joined(); ++n) {
      if (room().at(n).run == 0 || !admitted_.insert(n).second) continue;
      ++fresh;
    }
    CHECK(fresh == a.count());  // so nobody for the second time
  }

  void check() {
    const auto now_ms = show_.now_ms();
    std::uint64_t waiting = 0, inside = 0;
    std::map<std::string, int> live;
    for (std::uint64_t n = 1; n <= room().joined(); ++n) {
      const auto& t = room().at(n);
      if (room().is_inside(n, now_ms)) ++inside;
      if (room().is_inside(n, now_ms) || t.phase() == v1::TICKET_WAITING) ++live[std::string{room().user_of(n)}];
      if (t.phase() != v1::TICKET_WAITING) continue;
      ++waiting;
      if (room().is_early(n)) continue;
      std::uint64_t ahead = 0;
      for (std::uint64_t other = 1; other <= room().joined(); ++other)
        ahead += room().at(other).phase() == v1::TICKET_WAITING && room().at(other).lane == t.lane && room().at(other).place < t.place;
      REQUIRE(room().ahead_of(n) == ahead);
      const auto before = last_position_.find(n);
      if (before != last_position_.end()) REQUIRE(ahead <= before->second);
      last_position_[n] = ahead;
    }
    REQUIRE(room().waiting() == waiting);
    REQUIRE(room().inside(now_ms) == inside);
    for (const auto& [user, tickets] : live) REQUIRE(tickets == 1);
    // Whoever could be let in now is let in by a deadline that is due.
    if (admission({room(), now_ms})) {
      REQUIRE(show_.q.deadline());
      REQUIRE(*show_.q.deadline() <= show_.q.now() + milliseconds{100});
    }
  }
  const waiting_room& room() const { return show_.room(); }

  std::mt19937_64 random_;
  queue_of_show show_;
  std::set<std::uint64_t> admitted_;
  std::map<std::uint64_t, std::uint64_t> last_position_;
};

}  // namespace

TEST_CASE("positions never grow, nobody is let in twice and the queue never stands still, whatever happens") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    INFO("seed " << seed);
    chaos{seed}.run(300);
  }
}

}  // namespace usher::actors::test
