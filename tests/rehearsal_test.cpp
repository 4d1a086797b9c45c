// The judge of a rehearsal: it sees each way in which a waiting room can lie, and it believes one that doesn't.
#include "bench/waiting.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "bench/answers.hpp"
#include "bench/rehearse.hpp"
#include "tests/child_node.hpp"

namespace {

using namespace usher;
using bench::channel;
using bench::told;
using bench::waiting_book;

constexpr std::int64_t start_ms = 1'800'000'000'000;
constexpr bench::pace ten_in_ten_seconds{10, 10, 60, 0, start_ms};

told waiting(std::uint64_t position) {
  told out;
  out.status = "WAITING";
  out.position = position;
  out.ahead = position - 1;
  return out;
}

told waiting(std::uint64_t position, bench::eta promised) {
  auto out = waiting(position);
  out.promised = promised;
  return out;
}

told of(std::string status) {
  told out;
  out.status = std::move(status);
  out.closed = out.status == "CLOSED";
  return out;
}

told admitted(std::int64_t at_ms) {
  auto out = of("ADMITTED");
  out.admission = "token";
  out.admission_expires_ms = at_ms + 60'000;
  return out;
}

/// The check whose name begins like this.
const bench::verdict* find(const bench::waiting_report& in, std::string_view name) {
  const auto found = std::find_if(in.checks.begin(), in.checks.end(), [&](const auto& one) { return one.name.starts_with(name); });
  return found == in.checks.end() ? nullptr : &*found;
}

bool holds(const bench::waiting_report& in, std::string_view name) {
  const auto* found = find(in, name);
  INFO(name);
  REQUIRE(found != nullptr);
  return found->holds;
}

bool all_hold(const bench::waiting_report& in) {
  return std::all_of(in.checks.begin(), in.checks.end(), [](const auto& one) { return one.holds; });
}

/// So many people who joined one after the other and were let in by tens, each window at its start.
waiting_book orderly(std::size_t people) {
  waiting_book book;
  for (std::size_t i = 0; i < people; ++i) {
    const auto ticket = book.joined(i + 1, static_cast<channel>(i % 3));
    const auto window = static_cast<std::int64_t>(i / 10);
    for (std::int64_t w = 0; w < window; ++w) book.heard(ticket, waiting(i + 1 - static_cast<std::size_t>(w) * 10), start_ms + w * 10'000);
    book.heard(ticket, admitted(start_ms + window * 10'000), start_ms + window * 10'000 + 40);
  }
  return book;
}

}  // namespace

TEST_CASE("a place is read from a snapshot, a delta, a long poll's answer and a refusal") {
  const auto snapshot = bench::told_in(R"({"op":"snapshot","channel":"queue:qt_1","v":7,"data":{"status":"WAITING","position":4,"ahead":3,"total":9,"eta":{"p50":10,"p90":20}}})");
  CHECK(snapshot.status == "WAITING");
  CHECK(snapshot.position == 4u);
  CHECK(snapshot.ahead == 3u);
  REQUIRE(snapshot.promised);
  CHECK(snapshot.promised->p90_s == 20);

  const auto early = bench::told_in(R"({"op":"delta","channel":"queue:qt_1","v":8,"pv":7,"data":{"status":"EARLY","position":null,"ahead":null,"eta":null}})");
  CHECK(early.status == "EARLY");
  CHECK_FALSE(early.position);
  CHECK_FALSE(early.promised);

  const auto inside = bench::told_in(R"({"token":"t","status":"ADMITTED","position":0,"admission":{"token":"a","expiresAt":"2027-01-15T08:01:00.250Z"}})");
  CHECK(inside.admission == "a");
  CHECK(inside.admission_expires_ms == start_ms + 60'250);

  CHECK(bench::told_in(R"({"type":"about:blank","status":410,"code":"sale-closed"})").closed);
  const auto ended = bench::told_in(R"({"status":410,"code":"queue-ticket-expired"})");
  CHECK(ended.refusal == "queue-ticket-expired");
  CHECK(ended.status.empty());
  CHECK_FALSE(ended.closed);
}

TEST_CASE("what is told to everybody in the room speaks of nobody's place") {
  const auto room = bench::told_in(R"({"op":"room","show":"shw_1","v":3,"data":{"total":100,"paused":true}})");
  CHECK(room.status.empty());
  CHECK_FALSE(room.position);
  CHECK(bench::told_in("nonsense").status.empty());
}

TEST_CASE("a waiting room that keeps its word passes every check") {
  const auto report = orderly(35).judge(ten_in_ten_seconds);
  CHECK(report.checks.size() >= 6);
  CHECK(all_hold(report));
  CHECK(report.channels[0].people == 12);
  CHECK(report.channels[0].admitted == 12);
  CHECK(report.channels[1].late.max_us() == 40'000);
}

TEST_CASE("a position that grows is seen, also on another connection") {
  auto book = orderly(10);
  const auto ticket = book.joined(11, channel::long_poll);
  book.heard(ticket, waiting(5), start_ms);
  book.heard(ticket, waiting(6), start_ms + 1);
  CHECK_FALSE(holds(book.judge(ten_in_ten_seconds), "no position grew"));
}

TEST_CASE("somebody who overtakes is seen, whoever they leave behind") {
  auto book = orderly(20);
  const auto behind = book.joined(21, channel::websocket), ahead = book.joined(22, channel::websocket);
  book.heard(behind, waiting(1), start_ms);
  book.heard(ahead, admitted(start_ms + 20'000), start_ms + 20'000);
  SECTION("somebody who still waits") { CHECK_FALSE(holds(book.judge(ten_in_ten_seconds), "admissions followed")); }
  SECTION("somebody who was let in later") {
    book.heard(behind, admitted(start_ms + 30'000), start_ms + 30'000);
    CHECK_FALSE(holds(book.judge(ten_in_ten_seconds), "admissions followed"));
  }
  SECTION("not somebody who was let in at about the same moment") {
    book.heard(behind, admitted(start_ms + 21'000), start_ms + 21'000);
    CHECK(holds(book.judge(ten_in_ten_seconds), "admissions followed"));
  }
  SECTION("not somebody who went away") {
    book.gone(behind);
    CHECK(holds(book.judge(ten_in_ten_seconds), "admissions followed"));
  }
}

TEST_CASE("a draw puts its ranks in place of the numbers") {
  waiting_book book;
  const auto first = book.joined(1, channel::events), second = book.joined(2, channel::events);
  book.heard(second, admitted(start_ms), start_ms);
  book.heard(first, admitted(start_ms + 10'000), start_ms + 10'000);
  CHECK_FALSE(holds(book.judge(ten_in_ten_seconds), "admissions followed the numbers"));
  book.drawn(1, 2);
  book.drawn(2, 1);
  CHECK(holds(book.judge(ten_in_ten_seconds), "admissions followed the draw"));
}

TEST_CASE("nobody who took part in a draw is judged by their number") {
  waiting_book book;
  const auto first = book.joined(1, channel::events), second = book.joined(2, channel::events);
  for (const auto ticket : {first, second}) book.heard(ticket, of("EARLY"), start_ms - 1);
  book.heard(second, admitted(start_ms), start_ms);
  book.heard(first, admitted(start_ms + 10'000), start_ms + 10'000);
  CHECK(all_hold(book.judge(ten_in_ten_seconds)));
}

TEST_CASE("a window that lets in too many is seen") {
  auto book = orderly(20);
  const auto eleventh = book.joined(21, channel::events);
  book.heard(eleventh, admitted(start_ms + 19'999), start_ms + 20'000);
  CHECK_FALSE(holds(book.judge(ten_in_ten_seconds), "no window let in more"));
}

TEST_CASE("a second admission, a step back and a lost place are seen") {
  waiting_book book;
  const auto ticket = book.joined(1, channel::websocket);
  SECTION("a second admission") {
    book.heard(ticket, admitted(start_ms), start_ms);
    book.heard(ticket, admitted(start_ms + 10'000), start_ms + 10'000);
    CHECK_FALSE(holds(book.judge(ten_in_ten_seconds), "nobody was admitted twice"));
  }
  SECTION("a step back") {
    book.heard(ticket, admitted(start_ms), start_ms);
    book.heard(ticket, waiting(1), start_ms + 1);
    CHECK_FALSE(holds(book.judge(ten_in_ten_seconds), "each ticket's story"));
  }
  SECTION("a place that was taken from somebody who listened") {
    book.heard(ticket, waiting(1), start_ms);
    book.heard(ticket, of("VANISHED"), start_ms + 1);
    CHECK_FALSE(holds(book.judge(ten_in_ten_seconds), "nobody who listened"));
  }
  SECTION("but not what happens to whoever went away") {
    book.heard(ticket, waiting(1), start_ms);
    book.gone(ticket);
    book.heard(ticket, of("VANISHED"), start_ms + 1);
    CHECK(all_hold(book.judge(ten_in_ten_seconds)));
  }
}

TEST_CASE("the end has to reach everyone who waits within two seconds, and nobody is let in after it") {
  auto book = orderly(10);
  const auto quick = book.joined(11, channel::websocket), slow = book.joined(12, channel::long_poll), asks = book.joined(13, channel::poll);
  for (const auto ticket : {quick, slow, asks}) book.heard(ticket, waiting(1), start_ms);
  book.heard(quick, of("CLOSED"), start_ms + 5'000);
  book.heard(asks, of("CLOSED"), start_ms + 9'000);
  SECTION("in time") {
    book.heard(slow, of("CLOSED"), start_ms + 7'000);
    CHECK(all_hold(book.judge(ten_in_ten_seconds)));
  }
  SECTION("too late") {
    book.heard(slow, of("CLOSED"), start_ms + 7'001);
    CHECK_FALSE(holds(book.judge(ten_in_ten_seconds), "everyone who waited heard"));
  }
  SECTION("led on") {
    book.heard(slow, admitted(start_ms + 10'000), start_ms + 10'000);
    CHECK_FALSE(holds(book.judge(ten_in_ten_seconds), "nobody was let in after the end"));
  }
}

TEST_CASE("promises are compared with the waits that came, by their length") {
  waiting_book book;
  for (std::uint64_t i = 0; i < 10; ++i) {  // promised 20 s, or 40 s at worst; waited 4, 8, ... 40 s
    const auto ticket = book.joined(i + 1, channel::websocket);
    const auto waits_ms = static_cast<std::int64_t>(i + 1) * 4'000;
    book.heard(ticket, waiting(i + 1, {20, 40}), start_ms);
    book.heard(ticket, admitted(start_ms + waits_ms), start_ms + waits_ms);
  }
  const auto long_ago = book.joined(11, channel::websocket);  // promised 100 s, a minute later 70 s more, and waited 120 s
  book.heard(long_ago, waiting(11, {100, 110}), start_ms);
  book.heard(long_ago, waiting(9, {75, 80}), start_ms + 30'000);
  book.heard(long_ago, waiting(5, {70, 80}), start_ms + 60'000);
  book.heard(long_ago, admitted(start_ms + 120'000), start_ms + 120'000);

  const auto rows = book.judge(ten_in_ten_seconds).promises;
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].of == "at joining");
  CHECK(rows[0].count == 11);
  CHECK(rows[0].within_p50 == Approx(5.0 / 11));
  CHECK(rows[0].within_p90 == Approx(10.0 / 11));
  CHECK(rows[1].count == 1);
  CHECK(rows[1].within_p50 == 1);
  CHECK(rows[1].error_s == 10);
  CHECK(rows[2].of == "below 30 s");
  CHECK(rows[2].count == 10);
  CHECK(rows[2].within_p50 == 0.5);
  CHECK(rows[2].within_p90 == 1);
  CHECK(rows[2].error_s == 8);
  CHECK(rows[3].of == "below 120 s");
  CHECK(rows[3].count == 2);
}

TEST_CASE("a cap on people inside is kept from above always, from below where it is what holds people back") {
  const bench::pace capped{1'000, 10, 60, 100, start_ms};
  const auto judged = [&](std::uint64_t inside, std::optional<std::uint64_t> available) {
    waiting_book book;
    book.sampled({start_ms, 50, 500, 50, available});  // fills
    for (int s = 1; s <= 10; ++s) book.sampled({start_ms + s * 1'000, s == 1 ? 100 : inside, 500, 50, available});
    return book.judge(capped);
  };
  CHECK(all_hold(judged(96, {})));
  CHECK(judged(96, {}).inside.judged == 10);
  CHECK_FALSE(holds(judged(90, {}), "people inside stayed"));
  CHECK_FALSE(holds(judged(101, {}), "no more people inside"));
  CHECK(all_hold(judged(40, 40)));  // no more places than that
}

TEST_CASE("windows that are used up excuse an empty room") {
  const bench::pace capped{100, 10, 60, 500, start_ms};
  waiting_book book;
  for (std::uint64_t s = 0; s < 30; ++s) book.sampled({start_ms + static_cast<std::int64_t>(s) * 1'000, s == 0 ? 500u : 60u, 900, 500 + 10 * s, {}});
  const auto report = book.judge(capped);
  CHECK(report.inside.judged < 12);  // the first window only
}

TEST_CASE("sixty buyers play an opening night over real sockets, and every book agrees") {
  tests::temp_dir scratch;
  tests::child_node node{scratch.path + "/data"};
  bench::rehearsal_options options;
  options.port = node.port();
  options.operator_token = node.token("operator", http::role::operator_);
  options.new_show = R"({"title":"Rehearsal","startsAt":"2040-01-01T20:00:00Z","currency":"EUR","holdSeconds":3,
    "tiers":[{"name":"Seat","price":4500}],
    "sections":[{"name":"Hall","kind":"seated","rows":[{"name":"1","seats":40,"tier":"Seat"},{"name":"2","seats":40,"tier":"Seat"}]}],
    "queue":{"admitPerWindow":15,"windowSeconds":1,"admissionSeconds":4}})";
  options.buyers = 60;
  options.abandon = 0.4;
  options.arrive_over = std::chrono::seconds(1);
  options.at_most = std::chrono::seconds(60);
  options.think = std::chrono::milliseconds(200);
  options.json = true;
  std::ostringstream out;
  const auto code = bench::rehearse(options, out);
  INFO(out.str());
  CHECK(code == 0);
  const auto report = bench::object_of(out.str());
  const auto* waiting_part = bench::member(report, "waiting");
  REQUIRE(waiting_part != nullptr);
  const auto* channels = bench::member(*waiting_part, "channels");
  REQUIRE(channels != nullptr);
  for (const char* name : {"WebSocket", "server-sent events", "long poll"}) CHECK(bench::member(*channels, name) != nullptr);
  const auto* outcomes = bench::member(report, "outcomes");
  REQUIRE(outcomes != nullptr);
  CHECK(bench::number(*outcomes, "bought") > 0);
}
