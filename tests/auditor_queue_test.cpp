// What the auditor makes of waiting rooms: who joins, comes in and goes, the draw, and the end. What is right is decided by
// the queue's own rules, so that a right log is one that a node could have written.

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "actors/queue.hpp"
#include "events/merkle.hpp"
#include "projections/auditor.hpp"
#include "tests/auditor.hpp"
#include "tests/decide.hpp"

namespace usher::tests {
namespace {

/// The one fault, at the newest record, and in these words: all faults of queues are of one kind.
void check_newest_of_queue(const story& s, const std::string& words) {
  check_newest(s, "queue_disagrees");
  auditor a;
  take_all(a, s.log);
  const auto faults = a.take_faults();
  REQUIRE(faults.size() == 1);
  CHECK(faults.front().detail == words);
  CHECK(faults.front().entity == "queue/" + hall);
}

/// A waiting room that keeps its rules, and the log of it.
class waiting_story : public story {
 public:
  using spoiling = std::function<void(v1::QueueEvent&)>;

  /// @param opening  the fields of OpenQueue
  explicit waiting_story(const std::string& opening) { does("open { " + opening + " }"); }

  waiting_story& write(const events& all) {
    story::write(all);
    return *this;
  }
  waiting_story& does(const std::string& command) { return write(asked(command)); }
  waiting_story& join(const names& users, const std::string& lane = {}) {
    for (const auto& user : users) does("join { user_id: '" + user + "' lane: '" + lane + "' }");
    return *this;
  }
  waiting_story& leave(const std::string& user) { return does("leave { user_id: '" + user + "' }"); }
  waiting_story& evict(const std::string& user) { return does("evict { user_id: '" + user + "' reason: 'a robot' }"); }
  waiting_story& move(const std::string& user, const std::string& to_lane) {
    return does("assign_lane { user_id: '" + user + "' lane: '" + to_lane + "' reason: 'a card' }");
  }
  /// Time goes by, and nobody wakes the queue.
  waiting_story& pass(std::int64_t ms) {
    rules_.pass(std::chrono::milliseconds{ms});
    now_ms += ms;
    return *this;
  }
  /// Time goes by, and the queue is woken whenever it asks for it.
  waiting_story& live(std::int64_t ms) {
    const auto until_ms = now_ms + ms;
    for (auto due = rules_.deadline(); due && to_ms(*due) <= until_ms; due = rules_.deadline()) {
      pass(std::max<std::int64_t>(to_ms(*due) - now_ms, 0));
      write(woken());
    }
    return pass(until_ms - now_ms);
  }

  /// What follows from a command.
  events asked(const std::string& command) {
    const auto decided = rules_.when(command);
    INFO(command);
    REQUIRE(actors::test::accepted(decided));
    REQUIRE_FALSE(decided.events.empty());
    events out;
    for (const auto& e : decided.events) out.push_back(in_stream(e));
    return out;
  }
  events woken() { return asked("wake {}"); }
  /// What nobody decided, as of now.
  events said(const std::string& event) {
    auto e = actors::test::from_text<v1::QueueEvent>(event);
    const auto* kind = e.GetReflection()->GetOneofFieldDescriptor(e, e.GetDescriptor()->oneof_decl(0));
    auto& what = *e.GetReflection()->MutableMessage(&e, kind);
    what.GetReflection()->SetInt64(&what, what.GetDescriptor()->FindFieldByName("at_ms"), now_ms);
    return {in_stream(e)};
  }

  /// All was right so far, and this is not.
  void finds(const std::string& words, const events& wrong) {
    CHECK(found(*this).empty());
    write(wrong);
    check_newest_of_queue(*this, words);
  }
  /// This would be right, and is not once its first event is spoilt.
  void finds(const std::string& words, const events& right, const spoiling& spoil) {
    write(right);
    CHECK(found(*this).empty());
    spoil(*log.back().mutable_events(0)->mutable_queue());
    check_newest_of_queue(*this, words);
  }

  [[nodiscard]] const waiting_room& room() const { return rules_.state(); }
  [[nodiscard]] std::string user_at(std::size_t lane, std::uint64_t place) const {
    return std::string{room().user_of(room().number_at(lane, place))};
  }

 private:
  v1::StreamEvent in_stream(const v1::QueueEvent& e) {
    v1::StreamEvent out;
    *out.mutable_stream() = queue_ref(hall);
    out.set_version(++version_);
    *out.mutable_queue() = e;
    return out;
  }

  actors::test::given<actors::queue> rules_{queue_ref(hall)};
  std::uint64_t version_ = 0;
};

/// Of a waiting room whose sale is open: two come in every ten seconds, for a minute.
const std::string two_at_a_time = "settings { admit_per_window: 2 admission_seconds: 60 }";
const std::string two_lanes = "lanes { name: 'all' weight: 1 } lanes { name: 'members' weight: 1 }";
const std::string secret = "'" + std::string(32, 's') + "'";
constexpr std::int64_t opening_ms = 1'060'000;  // a minute after the stories begin
const std::string later = " opens_at_ms: " + std::to_string(opening_ms);
const std::string later_by_lot = later + " draw_secret: " + secret;
const std::string sold_out = "supply {}";
const std::string fire_alarm = "pause { reason: 'a fire alarm' }";

/// Ann and Bob are inside, Cem and Dan wait, and Eve has left.
waiting_story a_busy_room() {
  waiting_story w{two_at_a_time};
  w.join({"ann", "bob", "cem", "dan", "eve"}).leave("eve");
  return w;
}

/// Six have come before the sale, two of them as members.
waiting_story an_early_room() {
  waiting_story w{"settings { admit_per_window: 2 admission_seconds: 60 " + two_lanes + " }" + later_by_lot};
  w.join({"ann", "bob", "cem", "dan"}).join({"eve", "fay"}, "members");
  return w;
}

// What the auditor says.
const std::string not_the_next = "A number was given out that is not the next.";
const std::string given_out_twice = "A number was given out twice.";
const std::string no_such_lane = "Somebody joined a lane that there is not.";
const std::string joined_too_late = "Somebody joined a queue that was closed.";
const std::string opened_while_open = "A queue opened again that was open.";
const std::string left_from_nowhere = "A number left that was not there.";
const std::string let_in_while_paused = "Somebody was let in while the queue was paused.";
const std::string let_in_before_draw = "Somebody was let in before the draw.";
const std::string others_let_in = "Others were let in than the event counts.";
const std::string others_of_lane = "Of a lane other people were let in than the event counts.";
const std::string inside_already = "Places were let in that were inside already, or that there are not.";
const std::string never_given_out = "A place was let in that was never given out.";
const std::string too_many_inside = "More people are inside than may be.";
const std::string others_ran_out = "Other admissions ran out than the event counts.";
const std::string other_entries = "Others take part in the draw than came in time.";
const std::string another_root = "The root of the draw is not that of its tickets.";
const std::string no_draw_now = "A draw was held before its entries were closed, or twice.";
const std::string another_secret = "The secret of the draw is not what its commitment says.";
const std::string others_waited = "Others waited at the end than the event counts.";
const std::string closed_twice = "A queue was closed twice.";
const std::string vanished_from_nowhere = "A number vanished that did not wait.";
const std::string into_no_lane = "Somebody was put into a lane that there is not.";
const std::string opened_twice = "A queue was opened twice.";

/// What is wrong about whom.
struct misdeed {
  std::string event;
  std::string words;
};

}  // namespace

TEST_CASE("a queue with a gap, a number twice or a number that nobody has is found") {
  story s;
  s.write(s.joined(1)).write(s.joined(2)).write(s.admitted(1));
  CHECK(found(s).empty());
  std::string words = others_let_in;
  SECTION("a gap") {
    s.write(s.joined(4));
    words = not_the_next;
  }
  SECTION("a number twice") {
    s.write(s.joined(2));
    words = given_out_twice;
  }
  SECTION("somebody left who never came") {
    s.write(s.left(3));
    words = left_from_nowhere;
  }
  SECTION("somebody was let in who never came") {
    s.write(s.admitted(3));
    words = never_given_out;
  }
  SECTION("somebody was let in again") { s.write(s.admitted(1)); }
  SECTION("more were let in than are counted") { s.write(s.joined(3)).write(s.admitted(3)); }
  SECTION("nobody was let in") { s.write(s.left(2)).write(s.admitted(2)); }
  SECTION("somebody left twice") {
    s.write(s.left(1)).write(s.left(1));
    words = left_from_nowhere;
  }
  check_newest_of_queue(s, words);
}

TEST_CASE("each show has a waiting room of its own") {
  auto w = a_busy_room();
  const auto elsewhere = [&](const std::string& event) {
    auto e = w.said(event);
    e[0].mutable_stream()->set_group(make_show_id("another hall"));
    return e;
  };
  w.write(elsewhere("opened {}")).write(elsewhere("joined { number: 1 }")).write(elsewhere("closed { count: 1 }"));
  CHECK(found(w).empty());
  w.write(elsewhere("left { number: 3 }"));
  check_newest(w, "queue_disagrees");
}

TEST_CASE("a queue opens once, and opens again only after it has closed") {
  auto w = a_busy_room();
  SECTION("opened twice") { w.finds(opened_twice, w.said("opened {}")); }
  SECTION("opened again without having closed") { w.finds(opened_while_open, w.said("reopened {}")); }
  SECTION("opened again twice") {
    w.does(sold_out).does("supply { available: 1 }");
    w.finds(opened_while_open, w.said("reopened {}"));
  }
}

TEST_CASE("whoever joins has the next number, in a lane that there is, of a queue that is open") {
  waiting_story w{"settings { admit_per_window: 1 " + two_lanes + " }"};
  w.join({"ann", "bob"});
  const auto cem = "join { user_id: 'cem' }";
  SECTION("a number is left out") {
    w.finds(not_the_next, w.asked(cem), [](auto& e) { e.mutable_joined()->set_number(4); });
  }
  SECTION("the number of somebody else") {
    w.finds(given_out_twice, w.asked(cem), [](auto& e) { e.mutable_joined()->set_number(1); });
  }
  SECTION("no number") {
    w.finds(given_out_twice, w.asked(cem), [](auto& e) { e.mutable_joined()->clear_number(); });
  }
  SECTION("a lane that there is not") {
    w.finds(no_such_lane, w.asked(cem), [](auto& e) { e.mutable_joined()->set_lane(2); });
  }
  SECTION("one lane more than were added") {
    w.does("change { settings { " + two_lanes + " lanes { name: 'press' weight: 1 } } }").join({"dan"}, "press");
    w.finds(no_such_lane, w.said("joined { number: 4 lane: 3 }"));
  }
  SECTION("the queue has closed") {
    w.does(sold_out);
    w.finds(joined_too_late, w.said("joined { number: 3 }"));
  }
}

TEST_CASE("a queue that was not opened with its show has the settings of the first who joins, if they bring any") {
  story without;
  without.write(without.joined(1)).write(without.joined(2)).write(without.admitted(2, 2));
  CHECK(found(without).empty());
  story s;
  auto first = s.joined(1);
  auto& settings = *first[0].mutable_queue()->mutable_joined()->mutable_settings();
  settings.set_max_active(1);
  for (const auto* name : {"all", "members"}) settings.add_lanes()->set_name(name);
  auto second = s.joined(2);
  second[0].mutable_queue()->mutable_joined()->set_lane(1);
  s.write(first).write(second).write(s.joined(3)).write(s.admitted(1));
  CHECK(found(s).empty());
  s.write(s.admitted(2));
  check_newest_of_queue(s, too_many_inside);
}

// --- who goes ------------------------------------------------------------------------------------------------------

TEST_CASE("nobody goes who is not there, pays who is not inside or vanishes who does not wait") {
  const std::string evicted = "A number was sent away that was not there.";
  const std::string spent = "An admission was spent by somebody who was not inside.";
  const std::string moved = "A ticket moved that was nobody's.";
  const std::string lane = "A number changed lanes that did not wait.";
  const std::vector<misdeed> wrong{
      {"left {}", left_from_nowhere},
      {"left { number: 5 }", left_from_nowhere},
      {"left { number: 6 }", left_from_nowhere},
      {"evicted {}", evicted},
      {"evicted { number: 5 }", evicted},
      {"evicted { number: 6 }", evicted},
      {"spent {}", spent},
      {"spent { number: 3 }", spent},
      {"spent { number: 5 }", spent},
      {"spent { number: 6 }", spent},
      {"vanished { numbers: 0 }", vanished_from_nowhere},
      {"vanished { numbers: 1 }", vanished_from_nowhere},
      {"vanished { numbers: 5 }", vanished_from_nowhere},
      {"vanished { numbers: 6 }", vanished_from_nowhere},
      {"vanished { numbers: [1, 3] }", vanished_from_nowhere},
      {"vanished { numbers: [3, 4, 3] }", vanished_from_nowhere},
      {"moved {}", moved},
      {"moved { number: 5 }", moved},
      {"moved { number: 6 }", moved},
      {"lane_assigned { number: 1 }", lane},
      {"lane_assigned { number: 5 }", lane},
      {"lane_assigned { number: 6 }", lane},
      {"lane_assigned { lane: 1 }", into_no_lane},
      {"lane_assigned { number: 3 lane: 1 }", into_no_lane},
  };
  for (const auto& [event, words] : wrong) {
    INFO(event);
    auto w = a_busy_room();
    w.finds(words, w.said(event));
  }
  for (const auto* event :
       {"left { number: 1 }", "left { number: 3 }", "evicted { number: 1 }", "evicted { number: 3 }", "spent { number: 1 }",
        "vanished { numbers: [4, 3] }", "moved { number: 1 }", "moved { number: 3 }", "lane_assigned {}"}) {
    INFO(event);
    auto w = a_busy_room();
    w.write(w.said(event));
    CHECK(found(w).empty());
  }
}

TEST_CASE("whoever has gone is there no more, however they went") {
  auto w = a_busy_room();
  std::uint64_t gone = 1;
  SECTION("by leaving from inside") { w.leave("ann"); }
  SECTION("by paying") { w.does("spend { number: 1 }"); }
  SECTION("by being sent away") { w.evict("ann"); }
  SECTION("by running out of time") { w.pass(60'000).write(w.woken()); }
  SECTION("by vanishing") {
    w.does("drop { numbers: 3 }");
    gone = 3;
  }
  SECTION("with the queue's end") {
    w.does(sold_out);
    gone = 4;
  }
  w.finds(left_from_nowhere, w.left(gone));
}

// --- who is let in -------------------------------------------------------------------------------------------------

TEST_CASE("nobody is let in while the queue is paused, and whoever is next once it is resumed") {
  auto w = a_busy_room();
  w.does(fire_alarm).pass(10'000);
  SECTION("paused") { w.finds(let_in_while_paused, w.admitted(4, 2)); }
  SECTION("resumed, and paused again") {
    w.does("resume {}").does(fire_alarm).join({"fay"});
    w.finds(let_in_while_paused, w.admitted(6));
  }
}

TEST_CASE("nobody is let in by a queue that has closed") {
  auto w = a_busy_room();
  w.does("reschedule { closes_at_ms: 1005000 }").live(10'000);
  w.finds("Somebody was let in by a queue that was closed.", w.admitted(5, 0));
}

TEST_CASE("nobody is let in before the sale opens, whenever that is by now") {
  const std::string words = "Somebody was let in before the sale opened.";
  waiting_story w{"settings { order: 'joining' }" + later};
  w.join({"ann", "bob"});
  std::int64_t opens_ms = opening_ms;
  SECTION("as it was announced") {}
  SECTION("later than was announced") {
    opens_ms += 60'000;
    w.does("reschedule { opens_at_ms: " + std::to_string(opens_ms) + " }");
  }
  SECTION("earlier than was announced") {
    opens_ms -= 30'000;
    w.does("reschedule { opens_at_ms: " + std::to_string(opens_ms) + " }");
  }
  w.pass(opens_ms - w.now_ms);
  w.finds(words, w.woken(), [&](auto& e) { e.mutable_admitted()->set_at_ms(opens_ms - 1); });
}

TEST_CASE("an admission lets those in who are next, and counts them") {
  auto w = a_busy_room();
  w.join({"fay", "gil"}).pass(10'000);
  const auto admit = [](std::uint64_t through, std::uint32_t count) {
    return [=](v1::QueueEvent& e) {
      e.mutable_admitted()->set_through(through);
      e.mutable_admitted()->set_count(count);
    };
  };
  SECTION("too many are counted") { w.finds(others_let_in, w.woken(), admit(4, 3)); }
  SECTION("too few are counted") { w.finds(others_let_in, w.woken(), admit(4, 1)); }
  SECTION("nobody is let in, and nobody counted") { w.finds(others_let_in, w.woken(), admit(2, 0)); }
  SECTION("somebody who has gone is counted") {
    w.leave("cem");
    w.finds(others_let_in, w.woken(), admit(5, 2));  // Dan, and Eve, who left long ago
  }
  SECTION("those who are inside already") { w.finds(inside_already, w.woken(), admit(1, 1)); }
  SECTION("more than have come") { w.finds(never_given_out, w.woken(), admit(8, 4)); }
  SECTION("the same again") {
    w.write(w.woken());
    w.finds(others_let_in, w.admitted(4, 2));
  }
}

TEST_CASE("an admission lets those in who are next in each lane, and counts them") {
  waiting_story w{"settings { admit_per_window: 2 " + two_lanes + " }"};
  w.join({"ann", "bob", "cem"}).join({"dan", "eve"}, "members").pass(10'000);
  const auto right = w.woken();
  REQUIRE(right[0].queue().admitted().through() == 3);
  REQUIRE(right[0].queue().admitted().lanes_size() == 1);
  const auto spoil = [&](const std::string& words, const std::function<void(v1::LaneAdmission&)>& how) {
    w.finds(words, right, [&](auto& e) { how(*e.mutable_admitted()->mutable_lanes(0)); });
  };
  SECTION("too many are counted") { spoil(others_of_lane, [](auto& of_lane) { of_lane.set_count(2); }); }
  SECTION("too few are counted") { spoil(others_of_lane, [](auto& of_lane) { of_lane.set_count(0); }); }
  SECTION("too many are let in") { spoil(others_of_lane, [](auto& of_lane) { of_lane.set_through(2); }); }
  SECTION("a lane that there is not") { spoil(others_of_lane, [](auto& of_lane) { of_lane.set_lane(1'000'000'000); }); }
  SECTION("the first lane for another") {
    spoil(others_of_lane, [](auto& of_lane) {
      of_lane.set_lane(0);
      of_lane.set_through(3);
    });
  }
  SECTION("nobody of a lane that there is not") {
    spoil(inside_already, [](auto& of_lane) {
      of_lane.set_lane(1'000'000'000);
      of_lane.set_count(0);
    });
  }
  SECTION("more than have come") {
    spoil(never_given_out, [](auto& of_lane) {
      of_lane.set_through(3);
      of_lane.set_count(2);
    });
  }
  SECTION("those who are inside already") {
    w.write(right).pass(10'000);
    w.finds(inside_already, w.said("admitted { through: 3 expires_at_ms: 1320000 lanes { lane: 1 } }"));
  }
  SECTION("all lanes together come to something else") {
    w.finds(others_let_in, right, [](auto& e) { e.mutable_admitted()->set_count(3); });
  }
}

TEST_CASE("whoever changed lanes stands at the end of the new one, and nowhere else") {
  waiting_story w{"settings { admit_per_window: 1 " + two_lanes + " }"};
  w.join({"ann", "bob"}).move("bob", "members");
  SECTION("not where they stood before") {
    w.pass(10'000);
    w.finds(others_let_in, w.admitted(2));
  }
  SECTION("not where they stood before, though both places have the same number") {
    w.leave("bob").join({"dan"}, "members").leave("dan").join({"cem"}).move("cem", "members").pass(10'000);
    REQUIRE(w.room().at(4).place == 3);
    w.finds(others_let_in, w.admitted(3));
  }
  SECTION("but at the end") {
    w.pass(10'000);
    w.finds(others_of_lane, w.woken(), [](auto& e) { e.mutable_admitted()->mutable_lanes(0)->set_through(0); });
  }
  SECTION("not where they stood first, when they are back") {
    w.move("bob", "all").pass(10'000);
    w.finds(others_let_in, w.woken(), [](auto& e) { e.mutable_admitted()->set_through(2); });
  }
  SECTION("not before those who were in that lane already") {
    w.join({"cem", "dan"}, "members").leave("bob").pass(10'000);
    w.finds(others_of_lane, w.woken(), [](auto& e) { e.mutable_admitted()->mutable_lanes(0)->set_through(1); });
  }
}

// --- how many are inside -------------------------------------------------------------------------------------------

TEST_CASE("not more people are inside than may be") {
  waiting_story w{"settings { max_active: 3 admission_seconds: 60 }"};
  w.join({"ann", "bob"}).pass(10'000).join({"cem", "dan"});
  SECTION("one more") { w.finds(too_many_inside, w.admitted(4)); }
  SECTION("one more, in the place of somebody who did not wait") {
    w.leave("dan").join({"eve"});
    w.finds(too_many_inside, w.admitted(5));
  }
  SECTION("one more than the one who went made room for") {
    w.join({"eve"}).leave("ann");
    w.finds(too_many_inside, w.admitted(5));
  }
  SECTION("one more than the one who paid made room for") {
    w.join({"eve"}).does("spend { number: 1 }");
    w.finds(too_many_inside, w.admitted(5));
  }
  SECTION("one more, a moment before the first run out of time") {
    w.pass(49'999);
    w.finds(too_many_inside, w.admitted(4));
  }
  SECTION("one more than those whose time is over, though nobody has recorded that") {
    w.leave("ann");  // Dan comes in for her
    w.pass(50'000).join({"eve", "fay"});
    w.finds(too_many_inside, w.admitted(6));
  }
  SECTION("one more than those whose time is over and recorded") {
    w.join({"eve", "fay"}).live(50'000);
    w.finds(too_many_inside, w.admitted(6));
  }
  SECTION("fewer may be than before") {
    w.does("change { settings { max_active: 2 } }").leave("ann");
    w.finds(too_many_inside, w.admitted(4));
  }
  SECTION("more may be than before") {
    w.join({"eve", "fay"}).does("change { settings { max_active: 5 } }");
    w.finds(too_many_inside, w.admitted(6));
  }
}

TEST_CASE("an admission that ran out is recorded with all others whose time is over, and counted") {
  auto w = a_busy_room();
  w.live(20'000).does("spend { number: 1 }").pass(40'000);  // Bob runs out of time, and ten seconds later Cem and Dan
  const auto count = [](std::uint32_t n) { return [n](v1::QueueEvent& e) { e.mutable_expired()->set_count(n); }; };
  SECTION("whoever paid is counted") { w.finds(others_ran_out, w.woken(), count(2)); }
  SECTION("nobody is counted") { w.finds(others_ran_out, w.woken(), count(0)); }
  SECTION("as of a moment at which nobody's time is over") {
    w.finds(others_ran_out, w.woken(), [](auto& e) { e.mutable_expired()->set_until_ms(1'059'999); });
  }
  SECTION("as of a moment at which the time of some of them is not over") {
    w.pass(10'000);
    w.finds(others_ran_out, w.woken(), [](auto& e) { e.mutable_expired()->set_until_ms(1'069'999); });
  }
  SECTION("the same again") {
    w.write(w.woken());
    w.finds(others_ran_out, w.said("expired { until_ms: 1060000 count: 1 }"));
  }
  SECTION("of two admissions at once, one is counted") {
    w.pass(10'000);
    w.finds(others_ran_out, w.woken(), count(2));
  }
}

// --- the draw ------------------------------------------------------------------------------------------------------

TEST_CASE("the entries of a draw close once, over the tickets that came in time") {
  auto w = an_early_room();
  w.leave("bob").pass(60'000);
  const auto entries = w.woken();
  REQUIRE(entries[0].queue().entries_closed().count() == 6);
  const auto count = [](std::uint64_t n) { return [n](v1::QueueEvent& e) { e.mutable_entries_closed()->set_count(n); }; };
  SECTION("somebody is left out") { w.finds(other_entries, entries, count(5)); }
  SECTION("somebody is added") { w.finds(other_entries, entries, count(7)); }
  SECTION("another root") {
    w.finds(another_root, entries, [](auto& e) { e.mutable_entries_closed()->mutable_root()->back() ^= 1; });
  }
  SECTION("no root") {
    w.finds(another_root, entries, [](auto& e) { e.mutable_entries_closed()->clear_root(); });
  }
  SECTION("closed twice") {
    w.write(entries);
    w.finds("The entries of a draw were closed twice.", entries);
  }
}

TEST_CASE("a ticket that was changed after it was given out is not what the root of the draw stands for") {
  const std::vector<waiting_story::spoiling> changes{
      [](auto& e) { e.mutable_joined()->set_user_id("zoe"); },
      [](auto& e) { e.mutable_joined()->set_ticket_id(make_ticket_id(hall, 99)); },
      [](auto& e) { e.mutable_joined()->set_at_ms(999'999); },
      [](auto& e) { e.mutable_joined()->set_at_ms(opening_ms); },  // which counts as too late for the draw
  };
  for (std::size_t i = 0; i != changes.size(); ++i) {
    INFO("change " << i);
    auto w = an_early_room();
    w.pass(60'000).write(w.woken());
    CHECK(found(w).empty());
    changes[i](*w.log[4].mutable_events(0)->mutable_queue());
    check_newest_of_queue(w, i == 3 ? other_entries : another_root);
  }
}

TEST_CASE("nobody takes part in a draw who comes too late for it, or where there is none") {
  const auto nobody_does = [](waiting_story& w) { w.finds(other_entries, w.said("entries_closed { count: 1 }")); };
  SECTION("the order is that of joining") {
    waiting_story w{"settings { order: 'joining' }" + later_by_lot};
    w.join({"ann"}).live(60'000);
    nobody_does(w);
  }
  SECTION("it was changed to that of joining, before anybody came") {
    waiting_story w{"settings {}" + later_by_lot};
    w.does("change { settings { order: 'joining' } }").join({"ann"}).live(60'000);
    nobody_does(w);
  }
  SECTION("there is no secret to draw with") {
    waiting_story w{"settings {}" + later};
    w.join({"ann"}).live(60'000);
    nobody_does(w);
  }
  SECTION("they come when the sale opens") {
    waiting_story w{"settings {}" + later_by_lot};
    w.pass(60'000).join({"ann"});
    nobody_does(w);
  }
  SECTION("the sale is put off, and somebody has come already") {
    waiting_story w{"settings {}" + later_by_lot};
    w.pass(60'000).join({"ann"}).does("reschedule { opens_at_ms: 1120000 }").join({"bob"}).live(60'000);
    nobody_does(w);
  }
  SECTION("the sale is put off before anybody has come, so that they do") {
    waiting_story w{"settings {}" + later_by_lot};
    w.does("reschedule { opens_at_ms: 1120000 }").pass(60'000).join({"ann"}).pass(60'000);
    w.finds(other_entries, w.woken(), [](auto& e) { e.mutable_entries_closed()->set_count(0); });
  }
}

TEST_CASE("a draw is held once, after its entries are closed, by the secret that was committed to") {
  const auto draw = "draw_held { secret: " + secret + " }";
  auto w = an_early_room();
  w.pass(60'000);
  SECTION("before the entries are closed") { w.finds(no_draw_now, w.said(draw)); }
  SECTION("twice") {
    w.live(2'000);
    w.finds(no_draw_now, w.said(draw));
  }
  SECTION("by another secret") {
    w.live(1'999).pass(1);
    w.finds(another_secret, w.woken(), [](auto& e) { e.mutable_draw_held()->mutable_secret()->back() ^= 1; });
  }
  SECTION("by no secret") {
    w.live(1'999).pass(1);
    w.finds(another_secret, w.woken(), [](auto& e) { e.mutable_draw_held()->clear_secret(); });
  }
  SECTION("by a secret that nobody committed to") {
    waiting_story without{"settings {}" + later};
    without.pass(60'000);
    auto none = without.said("entries_closed {}");
    none[0].mutable_queue()->mutable_entries_closed()->set_root(std::string{bytes_of(merkle::frontier{}.root())});
    without.write(none).pass(2'000);
    without.finds(another_secret, without.said(draw));
  }
}

TEST_CASE("nobody is let in before the draw, and then in its order") {
  auto w = an_early_room();
  w.pass(60'000);
  SECTION("before the entries are closed") { w.finds(let_in_before_draw, w.admitted(1)); }
  SECTION("before the draw") {
    w.write(w.woken());
    w.finds(let_in_before_draw, w.admitted(1));
  }
  // Whoever is drawn first leaves, so that the first place of their lane is nobody's.
  const auto first_place_only = [](v1::QueueEvent& e) {
    e.mutable_admitted()->set_through(1);
    e.mutable_admitted()->mutable_lanes(0)->set_through(1);
  };
  const auto first_leaves = [&](std::size_t lane) {
    w.write(w.woken()).join({"gil"}).pass(2'000).write(w.woken()).leave(w.user_at(lane, 1));
    REQUIRE(w.room().head().drawn());
    return w.woken();
  };
  SECTION("somebody else than the draw says") { w.finds(others_let_in, first_leaves(0), first_place_only); }
  SECTION("of the members somebody else than the draw says") { w.finds(others_of_lane, first_leaves(1), first_place_only); }
}

TEST_CASE("those who were drawn come in the order of the draw, and whoever came later behind them") {
  auto w = an_early_room();
  w.move("cem", "members").leave("ann").does("drop { numbers: 5 }").pass(60'000).write(w.woken());
  SECTION("in one lane and the other") { w.join({"gil", "hal"}).join({"ida", "joe"}, "members"); }
  SECTION("though some of them leave before the draw, or change lanes") {
    w.join({"gil", "hal"}).join({"ida", "joe"}, "members");
    w.leave("ida").leave("joe").move("gil", "members");
  }
  SECTION("though the sale is put off once the entries are closed, so that newcomers are early again") {
    w.does("reschedule { opens_at_ms: 1120000 }").join({"gil", "hal"}).join({"ida"}, "members");
  }
  w.pass(2'000).write(w.woken());
  REQUIRE(w.room().head().drawn());
  // Whoever leaves is stepped over, so that where an admission ends tells who stands where.
  for (const std::size_t lane : {0, 1})
    for (std::uint64_t place = 2; place <= w.room().places(lane); place += 2) w.leave(w.user_at(lane, place));
  w.live(120'000);
  CHECK(w.room().waiting() == 0);
  CHECK(found(w).empty());
}

TEST_CASE("a draw is held though all is sold out by then, and newcomers have the first places") {
  auto w = an_early_room();
  w.does(sold_out).live(70'000);
  REQUIRE(w.room().head().drawn());
  w.does("supply { available: 9 }").join({"gil"}).live(10'000).join({"hal"}, "members");
  CHECK(w.room().inside(w.now_ms) == 2);
  CHECK(found(w).empty());
}

// --- the end -------------------------------------------------------------------------------------------------------

TEST_CASE("a queue closes once, and counts those who waited in vain") {
  auto w = a_busy_room();
  w.does("reschedule { closes_at_ms: 1005000 }").pass(5'000);
  const auto count = [](std::uint64_t n) { return [n](v1::QueueEvent& e) { e.mutable_closed()->set_count(n); }; };
  SECTION("whoever has gone is counted") { w.finds(others_waited, w.woken(), count(3)); }
  SECTION("whoever is inside is counted") { w.finds(others_waited, w.woken(), count(4)); }
  SECTION("nobody is counted") { w.finds(others_waited, w.woken(), count(0)); }
  SECTION("closed twice") {
    w.write(w.woken());
    w.finds(closed_twice, w.said("closed {}"));
  }
  SECTION("closed twice, and the same counted again") {
    w.write(w.woken());
    w.finds(closed_twice, w.said("closed { count: 2 }"));
  }
  SECTION("closed again after it was opened again, and those counted who waited the first time") {
    w.write(w.woken()).does("reschedule {}").join({"fay"});
    w.finds(others_waited, w.said("closed { count: 3 }"));
  }
}

// --- what a queue would not do -------------------------------------------------------------------------------------

TEST_CASE("nobody joins who would have been turned away") {
  auto w = a_busy_room();
  SECTION("the queue takes nobody in any more") {
    w.does("drain { reason: 'the hall is wet' }");
    w.finds("Somebody joined a queue that takes nobody in any more.", w.said("joined { number: 6 }"));
  }
  SECTION("it does again") {
    w.does("drain { reason: 'the hall is wet' }").does("resume {}").join({"fay"});
    CHECK(found(w).empty());
  }
  SECTION("the sale is over, though the queue has not closed yet") {
    w.does("reschedule { closes_at_ms: 1005000 }").pass(5'000);
    w.finds("Somebody joined after the sale was over.", w.said("joined { number: 6 }"));
  }
}

TEST_CASE("nobody is let in where nothing is left, or for no time") {
  auto w = a_busy_room();
  w.pass(10'000);
  SECTION("all that is left is held by others") {
    w.does("supply { held: 4 }");
    w.finds("Somebody was let in when nothing was to be had.", w.admitted(4, 2));
  }
  SECTION("the admission is over as it begins") {
    w.finds("Somebody was let in for no time at all.", w.woken(),
            [](auto& e) { e.mutable_admitted()->set_expires_at_ms(e.admitted().at_ms()); });
  }
}

TEST_CASE("nobody's admission ends before its time") {
  auto w = a_busy_room();
  w.finds("Admissions ended before their time was over.", w.said("expired { until_ms: 1060000 count: 2 }"));
}

TEST_CASE("a queue closes when its sale is over or all is sold, and not before") {
  auto w = a_busy_room();
  const std::string not_sold_out = "A queue closed as sold out that was not.";
  SECTION("the sale goes on") {
    w.finds("A queue closed before its sale was over.", w.said("closed { why: SALE_OVER count: 2 }"));
  }
  SECTION("nobody has said how much is left") { w.finds(not_sold_out, w.said("closed { why: SOLD_OUT count: 2 }")); }
  SECTION("something is left") {
    w.does("supply { available: 1 }");
    w.finds(not_sold_out, w.said("closed { why: SOLD_OUT count: 2 }"));
  }
  SECTION("something may come back") {
    w.does("supply { held: 1 }");
    w.finds(not_sold_out, w.said("closed { why: SOLD_OUT count: 2 }"));
  }
}

TEST_CASE("a ticket changes to another lane, and not while it is drawn") {
  SECTION("the lane that it is in") {
    auto w = a_busy_room();
    w.finds("A number changed to the lane that it was in.", w.said("lane_assigned { number: 3 }"));
  }
  SECTION("between the end of the entries and the draw") {
    auto w = an_early_room();
    w.pass(60'000).write(w.woken());
    w.finds("A number changed lanes that was about to be drawn.", w.said("lane_assigned { number: 1 lane: 1 }"));
  }
}

TEST_CASE("everybody can see the root of a draw before its secret is told, and its entries are open until the sale is") {
  auto w = an_early_room();
  SECTION("entries that close early") {
    w.finds("The entries of a draw were closed before the sale opened.", w.said("entries_closed { count: 6 }"));
  }
  SECTION("a secret that comes with the root") {
    w.pass(60'000).write(w.woken());
    w.finds("The secret of the draw was told before anybody could see its root.",
            w.said("draw_held { secret: " + secret + " }"));
  }
}

TEST_CASE("a number or a lane beyond all measure is a fault, and not the end of the auditor") {
  SECTION("a number that no memory would hold") {
    auto w = a_busy_room();
    w.finds(not_the_next, w.said("joined { number: 4611686018427387904 }"));
    w.write(w.said("joined { number: 6 }"));
    CHECK(found(w).size() == 1);
  }
  SECTION("more lanes than anybody may have") {
    waiting_story w{"settings {}" + later_by_lot};
    std::string lanes;
    for (int i = 0; i != 40; ++i) lanes += " lanes { name: 'l" + std::to_string(i) + "' }";
    w.write(w.said("changed { settings {" + lanes + " } }")).write(w.said("joined { number: 1 lane: 35 }")).pass(60'000);
    w.finds(another_root, w.said("entries_closed { count: 1 }"));
    w.pass(2'000).write(w.said("draw_held { secret: " + secret + " }"));
    CHECK(found(w).size() == 1);
  }
}

// --- all of it -----------------------------------------------------------------------------------------------------

TEST_CASE("nothing is wrong with a waiting room that does as it says, whatever happens in it") {
  waiting_story w{"settings { admit_per_window: 3 admission_seconds: 60 max_active: 5 " + two_lanes + " }" + later_by_lot +
                  " closes_at_ms: 1600000"};
  // Before the sale: some go again, others change lanes, and the opening is put off.
  w.does("notice { text: 'Please have your cards ready.' }").move("ida", "members");
  w.join({"ann", "bob", "cem", "dan", "eve", "fay", "gil", "hal", "ida"}).join({"joe", "kim"}, "members");
  w.does("join { user_id: 'ann' device: 7 }").leave("bob").evict("cem").does("drop { numbers: [4, 11] }").join({"bob"});
  for (const std::string lane : {"members", "all", "members"}) w.move("eve", lane);
  w.does("reschedule { opens_at_ms: 1070000 closes_at_ms: 1600000 }").live(70'000);

  // The draw, behind which newcomers stand.
  w.join({"lea", "max"}).join({"ned"}, "members").live(2'000);
  REQUIRE(w.room().head().drawn());

  // People come in, and make room for others in each way.
  w.live(1'000).leave(w.user_at(0, 1)).evict(w.user_at(1, 1)).live(20'000);
  CHECK(w.room().inside(w.now_ms) == 5);
  w.does("spend { number: " + std::to_string(w.room().number_at(0, 2)) + " }");
  CHECK(w.room().inside(w.now_ms) == 5);
  w.does(fire_alarm).does("pause { reason: 'the firemen are here' }").live(60'000);
  CHECK(w.room().inside(w.now_ms) == 0);
  w.does("drain { reason: 'the hall is wet' }").does("resume {}").live(15'000);

  // There is little left, then another lane and pace, and then nothing.
  w.join({"ola", "pia", "quin"}).does("supply { available: 4 }").live(10'000).does("supply { held: 4 }").live(60'000);
  w.join({"rob"}).does("change { settings { mode: 'smooth' admit_per_window: 2 admission_seconds: 60 " + two_lanes +
                       " lanes { name: 'press' weight: 3 } } }");
  w.join({"sam", "tom"}, "press").does("supply { available: 3 held: 1 }").live(10'000).does(sold_out);
  CHECK(w.log.back().events(1).queue().closed().count() == 1);
  w.does("spend { number: " + std::to_string(w.room().newest_of("sam")) + " }").live(70'000);

  // Some tickets come back, until the sale is over, and is prolonged.
  w.does("supply { available: 2 }").join({"uma", "vic", "wes"}).live(1'000).join({"xen"}, "press").live(270'000);
  w.does(fire_alarm).join({"yul", "zoe"}).live(11'000);
  CHECK(w.log.back().events(0).queue().closed().count() == 2);
  w.does("reschedule { opens_at_ms: 1070000 closes_at_ms: 1700000 }").does("resume {}").join({"yul", "zoe"}).live(200'000);
  CHECK(w.room().waiting() == 0);

  std::set<int> kinds;
  for (const auto& r : w.log)
    for (const auto& e : r.events()) kinds.insert(e.queue().kind_case());
  kinds.erase(v1::QueueEvent::KIND_NOT_SET);  // of the show
  CHECK(kinds.size() == static_cast<std::size_t>(v1::QueueEvent::descriptor()->field_count()));
  CHECK(found(w).empty());
}

TEST_CASE("after a fault the rest is judged as if all had been right") {
  auto w = a_busy_room();
  std::size_t faults = 1;
  const auto early = [&] {
    w = an_early_room();
    return w.pass(60'000).woken();
  };
  SECTION("after a number that is not the next, the one after it is, and nobody has those between") {
    w.finds(not_the_next, w.said("joined { number: 8 }"));
    w.write(w.said("joined { number: 9 }")).write(w.admitted(7, 4));
    CHECK(found(w).size() == 1);
    w.write(w.left(7));
    faults = 2;
  }
  SECTION("whoever joined a lane that there is not stands in the first one") {
    w.finds(no_such_lane, w.asked("join { user_id: 'fay' }"), [](auto& e) { e.mutable_joined()->set_lane(1); });
    w.live(30'000);
  }
  SECTION("whoever joined when it was too late is there") {
    w.does(sold_out);
    w.finds(joined_too_late, w.said("joined { number: 6 }"));
    w.write(w.left(6));
  }
  SECTION("whoever was let in at the wrong time is inside") {
    w.does(fire_alarm);
    w.finds(let_in_while_paused, w.admitted(4, 2));
    w.write(w.said("spent { number: 3 }")).pass(300'000).write(w.said("expired { until_ms: 1300000 count: 3 }"));
  }
  SECTION("whoever was one too many is inside") {
    w.does("change { settings { max_active: 2 admission_seconds: 60 } }");
    w.finds(too_many_inside, w.admitted(3));
    w.write(w.said("spent { number: 1 }")).write(w.said("spent { number: 2 }"));
    w.write(w.admitted(4)).write(w.said("spent { number: 3 }"));
  }
  SECTION("whoever was let in and not counted is inside") {
    w.pass(10'000);
    w.finds(others_let_in, w.woken(), [](auto& e) { e.mutable_admitted()->set_count(1); });
    w.live(70'000);
  }
  SECTION("those whose time is over are out, however many were counted") {
    w.live(59'999).pass(1);
    w.finds(others_ran_out, w.woken(), [](auto& e) { e.mutable_expired()->set_count(7); });
    w.join({"ann", "bob"}).live(70'000);
  }
  SECTION("whoever vanished together with somebody who did not wait has vanished") {
    w.finds(vanished_from_nowhere, w.asked("drop { numbers: [3, 4] }"),
            [](auto& e) { e.mutable_vanished()->mutable_numbers()->Set(0, 1); });
    w.write(w.left(3)).join({"fay"}).live(30'000);
  }
  SECTION("those take part in the draw who came in time") {
    w.finds(another_root, early(), [](auto& e) { e.mutable_entries_closed()->clear_root(); });
    w.live(60'000);
  }
  SECTION("a draw was held, whatever the secret") {
    w.write(early()).pass(2'000);
    w.finds(another_secret, w.woken(), [](auto& e) { e.mutable_draw_held()->clear_secret(); });
    w.live(60'000);
  }
  SECTION("a draw that was held too early is held yet") {
    w = an_early_room();
    w.finds(no_draw_now, w.said("draw_held { secret: " + secret + " }"));
    w.live(90'000);
  }
  SECTION("nobody waits after the end, however many were counted") {
    w.finds(others_waited, w.said("closed { count: 3 }"));
    w.write(w.said("reopened {}")).write(w.said("joined { number: 6 }")).write(w.said("closed { count: 1 }"));
  }
  SECTION("a queue that closed twice opens again once") {
    w.does(sold_out);
    w.finds(closed_twice, w.said("closed {}"));
    w.does("supply { available: 5 }").join({"fay"}).live(30'000);
  }
  SECTION("a queue that was opened twice keeps what it was opened with") {
    w.finds(opened_twice, w.said("opened { settings { max_active: 1 } opens_at_ms: 1060000 }"));
    w.live(30'000);
  }
  CHECK(found(w).size() == faults);
}

}  // namespace usher::tests
