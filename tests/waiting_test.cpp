// The waiting room from outside: WebSockets, server-sent events and polling over real sockets, and a clock that is set.

#include <catch2/catch.hpp>

#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <set>

#include "projections/runner.hpp"
#include "tests/client.hpp"
#include "tests/event_reader.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

struct waiting_room : test_node {
  std::string show;

  explicit waiting_room(int per_window = 1, int window_seconds = 10) {
    const auto opened = client{*this}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
        "sections":[{"name":"floor","kind":"generalAdmission","stock":100000,"tier":"all"}],"queue":{"graceSeconds":60,"admitPerWindow":)" +
        std::to_string(per_window) + R"(,"windowSeconds":)" + std::to_string(window_seconds) + "}}", token("op_director", http::role::operator_));
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    show = opened.text("showId");
  }
  static std::string user(std::size_t n) { return "usr_" + std::to_string(n); }
  request joining(std::size_t n) { return {"POST", "/queue/token", R"({"showId":")" + show + "\"}", token(user(n)), {}}; }
  request asking(const answer& ticket, int wait_s = 0) {
    request r{"GET", "/queue/status", {}, token(owner_of(ticket)), {{"Queue-Token", ticket.text("token")}}};
    if (wait_s != 0) r.headers.emplace_back("Prefer", "wait=" + std::to_string(wait_s));
    return r;
  }
  answer status(const answer& ticket) { return client{*this}.ask(asking(ticket)); }
  answer leave(const answer& ticket) {
    return client{*this}.ask({"DELETE", "/queue/token", {}, token(owner_of(ticket)), {{"Queue-Token", ticket.text("token")}}});
  }
  std::uint64_t waiting() { return running().views().views().queues.totals(show, clock.now())->waiting; }
  std::string owner_of(const answer& ticket) { return owners_.at(ticket.number("number")); }
  std::vector<answer> join_all(std::size_t from, std::size_t count) {
    std::vector<request> wishes;
    for (auto n = from; n != from + count; ++n) wishes.push_back(joining(n));
    auto answers = at_once(port(), 20, wishes);
    for (std::size_t i = 0; i < count; ++i) {
      INFO(answers[i].body);
      REQUIRE(answers[i].status == 201);
      owners_[answers[i].number("number")] = user(from + i);
    }
    return answers;
  }

 private:
  std::map<std::int64_t, std::string> owners_;
};

/// A WebSocket that watches a ticket. Messages for everybody are skipped.
struct place_watcher {
  place_watcher(waiting_room& room, const answer& ticket) : socket{room.port(), room.token(room.owner_of(ticket))} {
    socket.subscribe("queue:" + ticket.text("ticketId"));
  }
  json::object next() {
    for (;;) {
      const auto said = socket.read();
      if (said.at("op") != "room") return said.at("data").as_object();
    }
  }
  watcher socket;
};

/// What every channel says of a place, without the tokens, which are signed anew each time.
std::string story(json::object told) {
  for (const char* apart : {"token", "ticketId", "showId", "expiresAt"}) told.erase(apart);
  if (auto* admission = told.if_contains("admission")) admission->as_object().erase("token");
  std::map<std::string, std::string> members;
  for (const auto& [name, value] : told) members[std::string{name}] = json::serialize(value);
  std::string out;
  for (const auto& [name, value] : members) out += name + '=' + value + ' ';
  return out;
}

}  // namespace

TEST_CASE("a thousand people who join at once get the numbers 1 to 1,000, and positions without a gap") {
  waiting_room room;
  const auto tickets = room.join_all(1, 1'000);
  std::set<std::int64_t> numbers, positions;
  for (const auto& t : tickets) numbers.insert(t.number("number"));
  CHECK(numbers.size() == 1'000);
  CHECK(*numbers.begin() == 1);
  CHECK(*numbers.rbegin() == 1'000);
  std::vector<request> questions;
  for (const auto& t : tickets) questions.push_back(room.asking(t));
  std::int64_t waiting = 0;
  for (const auto& a : at_once(room.port(), 20, questions)) {
    REQUIRE(a.status == 200);
    if (a.text("status") != "WAITING") continue;
    ++waiting;
    positions.insert(a.number("position"));
    CHECK(a.number("ahead") == a.number("position") - 1);
  }
  CHECK(waiting >= 999);
  CHECK(static_cast<std::int64_t>(positions.size()) == waiting);
  CHECK(*positions.begin() == 1);
  CHECK(*positions.rbegin() == waiting);
}

TEST_CASE("whoever loses the connection and comes back finds the place as it was") {
  waiting_room room;
  const auto tickets = room.join_all(1, 40);
  std::vector<std::unique_ptr<place_watcher>> watchers;
  std::vector<std::int64_t> before;
  for (const auto& t : tickets) {
    watchers.push_back(std::make_unique<place_watcher>(room, t));
    before.push_back(watchers.back()->next().at("position").to_number<std::int64_t>());
  }
  for (std::size_t i = 0; i < tickets.size(); i += 3) watchers[i].reset();  // cut, not closed
  room.clock.advance(59s);
  for (std::size_t i = 0; i < tickets.size(); i += 3) {
    place_watcher again{room, tickets[i]};
    const auto place = again.next();
    CHECK(place.at("number").to_number<std::int64_t>() == tickets[i].number("number"));
    CHECK(place.at("position").to_number<std::int64_t>() <= before[i]);
    CHECK((place.at("status") == "WAITING" || place.at("status") == "ADMITTED"));
  }
}

TEST_CASE("WebSocket, server-sent events and polling tell the same story") {
  waiting_room room;
  const auto tickets = room.join_all(1, 3);
  const auto last = *std::ranges::find_if(tickets, [](const answer& t) { return t.number("number") == 3; });
  const auto second = *std::ranges::find_if(tickets, [](const answer& t) { return t.number("number") == 2; });
  place_watcher socket{room, last};
  event_reader events{room.port(), "?token=" + last.text("token")};
  auto heard_by_socket = socket.next();
  auto heard_by_events = events.next_place();
  auto polled = room.status(last);
  const auto alike = [&] {
    CHECK(story(heard_by_socket) == story(polled.json()));
    CHECK(story(heard_by_events) == story(polled.json()));
  };
  CHECK(polled.number("position") == 2);
  alike();

  const auto change_and_hear = [&](const std::function<void()>& change) {
    auto question = room.asking(last, 30);
    question.headers.emplace_back("If-None-Match", polled.header("ETag"));
    auto asked = std::async(std::launch::async, [&] { return client{room}.ask(question); });
    change();
    polled = asked.get();
    heard_by_socket = socket.next();
    heard_by_events = events.next_place();
  };
  change_and_hear([&] { CHECK(room.leave(second).status == 204); });
  CHECK(polled.number("position") == 1);
  alike();
  change_and_hear([&] { room.clock.advance(10s); });
  CHECK(polled.text("status") == "ADMITTED");
  CHECK(polled.json().contains("admission"));
  alike();
}

TEST_CASE("a poll that knows the latest answers when there is news and not before, and an old one at once") {
  waiting_room room;
  const auto tickets = room.join_all(1, 2);
  const auto waiting = *std::ranges::find_if(tickets, [](const answer& t) { return t.number("number") == 2; });
  const auto seen = room.status(waiting);
  auto again = room.asking(waiting);
  again.headers.emplace_back("If-None-Match", seen.header("ETag"));
  CHECK(client{room}.ask(again).status == 304);
  room.join_all(3, 5);  // behind: no news
  CHECK(client{room}.ask(again).status == 304);
  room.clock.advance(10s);
  again.headers.emplace_back("Prefer", "wait=30");
  const auto news = client{room}.ask(again);
  CHECK(news.status == 200);
  CHECK(news.text("status") == "ADMITTED");
}

TEST_CASE("thirty join and ten vanish: the others move up", "[defect-8]") {
  waiting_room room{1, 3'600};
  const auto tickets = room.join_all(1, 30);
  std::map<std::int64_t, std::unique_ptr<place_watcher>> there;
  std::map<std::int64_t, json::object> places;
  for (const auto& t : tickets) {
    const auto number = t.number("number");
    if (number % 3 == 0) continue;  // closed the browser
    there[number] = std::make_unique<place_watcher>(room, t);
    places[number] = there[number]->next();
  }
  // A minute of grace passes in less than a second.
  CHECK(eventually([&] {
    room.clock.advance(500ms);
    return room.waiting() == 19;
  }));
  for (const auto& [number, one] : there) {
    if (number == 1) continue;  // was inside from the beginning
    INFO("number " << number);
    auto& place = places[number];
    const auto expected = number - 1 - number / 3;
    while (place.at("position").to_number<std::int64_t>() != expected) place = one->next();
    CHECK(place.at("status") == "WAITING");
  }
}

}  // namespace usher::tests
