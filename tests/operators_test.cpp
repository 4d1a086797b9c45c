// What operators do with a waiting room while people are in it, as they and those who wait see it.

#include <catch2/catch.hpp>

#include "store/database.hpp"
#include "tests/client.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

/// Two are admitted every ten seconds, where a test says nothing else.
const std::string slow_queue = R"({"admitPerWindow":2,"windowSeconds":10,"admissionSeconds":60,"order":"joining"})";

struct house : test_node {
  std::string director = token("op_director", http::role::operator_);

  /// A show of 1,000 places with this queue. @return its id
  std::string open(const std::string& queue = slow_queue) {
    const auto opened = client{*this}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","startsAt":"2030-03-01T19:30:00Z",
        "tiers":[{"name":"all","price":1000}],"sections":[{"name":"floor","kind":"generalAdmission","tier":"all","stock":1000}],"queue":)" +
        queue + "}", director);
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    return opened.text("showId");
  }
  answer join(const std::string& show, const std::string& user) {
    return client{*this}.post("/queue/token", json::serialize(json::object{{"showId", show}}), token(user));
  }
  /// Joins and says how that went, as in `3 WAITING 1`: number, status, position.
  std::string joins(const std::string& show, const std::string& user) { return place_in(join(show, user)); }
  /// The user's ticket now; joining again finds it.
  std::string place(const std::string& show, const std::string& user) { return joins(show, user); }

  static std::string place_in(const answer& a) {
    INFO(a.body);
    REQUIRE((a.status == 200 || a.status == 201));
    return std::to_string(a.number("number")) + ' ' + a.text("status") + ' ' + std::to_string(a.number("position"));
  }
  static std::string path(const std::string& show) { return "/admin/shows/" + show + "/queue"; }
  answer room(const std::string& show) { return client{*this}.get(path(show), director); }
  answer act(const std::string& show, const std::string& action, const json::object& body, const std::string& key = {}) {
    return client{*this}.post(path(show) + '/' + action, json::serialize(body), director, key);
  }
  answer patch(const std::string& show, const json::object& body, const std::string& if_match, const std::string& key = {}) {
    request r{"PATCH", path(show), json::serialize(body), director, {}};
    if (!if_match.empty()) r.headers.emplace_back("If-Match", if_match);
    if (!key.empty()) r.headers.emplace_back("Idempotency-Key", key);
    return client{*this}.ask(r);
  }
  /// On what is in force.
  answer change(const std::string& show, const json::object& body) { return patch(show, body, room(show).header("ETag")); }
};

/// Reads until a message about the queue has this, and nothing more comes of it. Throws where it never does.
void hear(watcher& socket, const char* member, const json::value& value) {
  for (;;) {
    const auto message = socket.read();
    const auto* data = message.if_contains("data");
    if (!data) continue;
    const auto* said = data->as_object().if_contains(member);
    if (said && *said == value) return;
  }
}

/// The fields that an answer blames.
std::string faults_in(const answer& a) {
  std::string out;
  const auto body = a.json();
  REQUIRE(body.contains("faults"));
  for (const auto& fault : body.at("faults").as_array()) {
    if (!out.empty()) out += ' ';
    out += fault.as_object().at("field").as_string();
  }
  return out;
}

/// An operator's event as `who: what: why`, or nothing for any other.
std::string deed_in(const v1::Record& record, const v1::QueueEvent& e) {
  using event = v1::QueueEvent;
  const auto told = [&](const char* what, const std::string& why) { return record.user_id() + ": " + what + ": " + why; };
  switch (e.kind_case()) {
    case event::kChanged: return told("changed", e.changed().reason());
    case event::kPaused: return told("paused", e.paused().reason());
    case event::kResumed: return told("resumed", e.resumed().reason());
    case event::kDrained: return told("drained", e.drained().reason());
    case event::kNoticed: return told("noticed", e.noticed().reason());
    case event::kEvicted: return told("evicted", e.evicted().user_id() + ", " + e.evicted().reason());
    case event::kLaneAssigned: return told("lane", e.lane_assigned().user_id() + ", " + e.lane_assigned().reason());
    case event::kJoined:
    case event::kLeft:
    case event::kAdmitted:
    case event::kOpened:
    case event::kRescheduled:
    case event::kExpired:
    case event::kSpent:
    case event::kMoved:
    case event::kVanished:
    case event::kEntriesClosed:
    case event::kDrawHeld:
    case event::kSupplyNoted:
    case event::kClosed:
    case event::kReopened:
    case event::KIND_NOT_SET: return {};
  }
  return {};
}

/// What operators did, of a node that has stopped.
std::vector<std::string> deeds(const test_node& node, const std::string& show) {
  std::vector<std::string> out;
  const auto db = std::move(*store::database::open(log_directory(node.directory())));
  const auto read = [&](const store::record_ptr& record, std::string_view) {
    for (const auto& e : record->events()) {
      if (!e.has_queue() || e.stream().group() != show) continue;
      if (auto deed = deed_in(*record, e.queue()); !deed.empty()) out.push_back(std::move(deed));
    }
    return true;
  };
  REQUIRE(db->scan(partition_of(show), 1, read).has_value());
  return out;
}

/// What the program prints, and whether it says that all went well.
struct told {
  bool well = false;
  std::string text;
};

/// `usher queue` with these words against the node.
told command(const house& h, const std::string& words) {
  const auto line = std::string{USHER_BINARY} + " queue " + words + " --server 127.0.0.1:" + std::to_string(h.port()) + " --token " + h.director + " 2>&1";
  auto* pipe = ::popen(line.c_str(), "r");
  REQUIRE(pipe);
  told out;
  char piece[4096];
  while (const auto got = std::fread(piece, 1, sizeof piece, pipe)) out.text.append(piece, got);
  out.well = ::pclose(pipe) == 0;
  return out;
}

}  // namespace

TEST_CASE("an operator sees who waits, who is inside, and what is left to sell") {
  house h;
  const auto show = h.open();
  CHECK(h.joins(show, "usr_ann") == "1 ADMITTED 0");
  CHECK(h.joins(show, "usr_bob") == "2 ADMITTED 0");
  CHECK(h.joins(show, "usr_cat") == "3 WAITING 1");
  const auto seen = h.room(show);
  INFO(seen.body);
  REQUIRE(seen.status == 200);
  CHECK(seen.number("joined") == 3);
  CHECK(seen.number("waiting") == 1);
  CHECK(seen.number("inside") == 2);
  CHECK(seen.number("admitted") == 2);
  CHECK(seen.number("admitPerWindow") == 2);
  CHECK(seen.number("maxActive") == 0);
  CHECK(seen.text("mode") == "window");
  CHECK(seen.text("order") == "joining");
  CHECK(seen.json().at("paused") == false);
  CHECK(seen.json().at("supply").as_object().at("available").to_number<int>() == 1000);
  CHECK(seen.json().at("lanes").as_array().size() == 1);
  const auto asked_again = [&] { return client{h}.ask({"GET", h.path(show), {}, h.director, {{"If-None-Match", seen.header("ETag")}}}).status; };
  CHECK(asked_again() == 304);
  h.joins(show, "usr_dan");
  CHECK(asked_again() == 200);
}

TEST_CASE("a waiting room can be prepared before anybody has come") {
  house h;
  const auto show = h.open();
  CHECK(h.room(show).number("joined") == 0);
  CHECK(h.act(show, "pause", {{"reason", "not yet"}}).text("pauseReason") == "not yet");
  CHECK(h.act(show, "notice", {{"text", "Doors at seven"}, {"reason", "as usual"}}).text("notice") == "Doors at seven");
  CHECK(h.change(show, {{"admitPerWindow", 5}}).number("admitPerWindow") == 5);
  CHECK(h.joins(show, "usr_ann") == "1 WAITING 1");
  CHECK(h.act(show, "resume", {}).status == 200);
  CHECK(eventually([&] { return h.place(show, "usr_ann") == "1 ADMITTED 0"; }));
}

TEST_CASE("nobody but an operator sees or steers a waiting room") {
  house h;
  const auto show = h.open();
  for (const auto& token : {h.token("usr_ann"), h.token("svc_shop", http::role::service)}) {
    CHECK(client{h}.get(h.path(show), token).status == 403);
    CHECK(client{h}.ask({"PATCH", h.path(show), R"({"admitPerWindow":9})", token, {{"If-Match", h.room(show).header("ETag")}}}).status == 403);
    for (const auto* action : {"pause", "resume", "drain", "notice", "evict", "lane"})
      CHECK(client{h}.post(h.path(show) + '/' + action, R"({"reason":"mine"})", token).status == 403);
  }
  CHECK(client{h}.get(h.path(show)).status == 401);
  CHECK(h.room(show).json().at("paused") == false);
  CHECK(h.room(show).number("admitPerWindow") == 2);
}

TEST_CASE("a show that does not exist or has no queue has no waiting room") {
  house h;
  const auto opened = client{h}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
      "sections":[{"name":"floor","kind":"generalAdmission","tier":"all","stock":10}]})", h.director);
  for (const auto& show : {opened.text("showId"), std::string{"shw_nowhere"}}) {
    CHECK(h.room(show).status == 404);
    CHECK(h.act(show, "pause", {{"reason", "why not"}}).status == 404);
    CHECK(h.patch(show, {{"admitPerWindow", 9}}, "\"v1\"").status == 404);
  }
}

TEST_CASE("a change keeps what it does not name") {
  house h;
  const auto show = h.open(R"({"admitPerWindow":2,"windowSeconds":20,"admissionSeconds":60,"maxActive":7,"graceSeconds":90,"mode":"smooth","order":"joining",
      "lanes":[{"name":"everybody","weight":1},{"name":"members","weight":3}]})");
  const auto changed = h.change(show, {{"admitPerWindow", 4}, {"reason", "the hall is ready"}});
  INFO(changed.body);
  REQUIRE(changed.status == 200);
  CHECK(changed.number("admitPerWindow") == 4);
  CHECK(changed.number("windowSeconds") == 20);
  CHECK(changed.number("admissionSeconds") == 60);
  CHECK(changed.number("maxActive") == 7);
  CHECK(changed.number("graceSeconds") == 90);
  CHECK(changed.text("mode") == "smooth");
  CHECK(changed.text("order") == "joining");
  CHECK(changed.json().at("lanes").as_array().size() == 2);
  CHECK(h.change(show, {{"maxActive", 0}}).number("maxActive") == 0);
  CHECK(h.room(show).number("admitPerWindow") == 4);
  h.restart();
  CHECK(h.room(show).number("admitPerWindow") == 4);
  CHECK(h.room(show).number("maxActive") == 0);
}

TEST_CASE("who joins meanwhile does not stand in the way of a change, another change does") {
  house h;
  const auto show = h.open();
  const auto seen = h.room(show).header("ETag");
  CHECK(h.patch(show, {{"admitPerWindow", 3}}, {}).status == 428);
  h.joins(show, "usr_ann");
  CHECK(h.patch(show, {{"admitPerWindow", 3}}, seen).status == 200);
  const auto late = h.patch(show, {{"admitPerWindow", 1}}, seen);
  CHECK(late.status == 412);
  CHECK(late.text("code") == "version-mismatch");
  CHECK(h.room(show).number("admitPerWindow") == 3);
}

TEST_CASE("an operator's request that is sent again is done once") {
  house h;
  const auto show = h.open();
  const auto seen = h.room(show).header("ETag");
  for (const bool again : {false, true}) {
    const auto changed = h.patch(show, {{"admitPerWindow", 3}, {"reason", "once"}}, seen, "change-1");
    CHECK(changed.status == 200);
    CHECK(changed.header("Idempotency-Replayed") == (again ? "true" : ""));
    CHECK(h.act(show, "notice", {{"text", "Hello"}, {"reason", "once"}}, "notice-1").status == 200);
  }
  CHECK(h.act(show, "notice", {{"text", "Other"}, {"reason", "once"}}, "notice-1").text("code") == "idempotency-key-reused");
  h.stop();
  CHECK(deeds(h, show) == std::vector<std::string>{"op_director: changed: once", "op_director: noticed: once"});
}

TEST_CASE("a request that makes no sense is refused, and the field is named") {
  house h;
  const auto show = h.open();
  const std::string too_long(501, 'x');
  const auto refused = [&](const std::string& action, const json::object& body) {
    const auto a = h.act(show, action, body);
    INFO(a.body);
    CHECK(a.status == 422);
    return faults_in(a);
  };
  for (const auto* action : {"pause", "drain"}) {
    CHECK(refused(action, {}) == "reason");
    CHECK(refused(action, {{"reason", too_long}}) == "reason");
    CHECK(refused(action, {{"reason", "x"}, {"text", "x"}}) == "text");
  }
  CHECK(refused("resume", {{"reason", too_long}}) == "reason");
  CHECK(refused("notice", {{"text", too_long}}) == "text");
  CHECK(refused("evict", {}) == "userId reason");
  CHECK(refused("lane", {{"userId", "usr_ann"}, {"reason", "x"}}) == "lane");
  CHECK(refused("lane", {{"userId", "usr_ann"}, {"lane", "nowhere"}, {"reason", "x"}}) == "lane");
  CHECK(h.act(show, "pause", {{"because", "x"}}).status == 400);

  const auto no_change = [&](const json::object& body) {
    const auto a = h.change(show, body);
    INFO(a.body);
    CHECK(a.status == 422);
    return faults_in(a);
  };
  CHECK(no_change({{"admitPerWindow", 0}, {"windowSeconds", 0}, {"graceSeconds", 0}, {"admissionSeconds", 0}}) ==
        "admitPerWindow windowSeconds admissionSeconds graceSeconds");
  CHECK(no_change({{"mode", "fast"}}) == "mode");
  CHECK(no_change({{"mode", ""}}) == "mode");
  CHECK(no_change({{"windowSeconds", 3601}}) == "windowSeconds");
  CHECK(no_change({{"lanes", {{{"name", "a"}, {"weight", 1}}, {{"name", "a"}, {"weight", 0}}}}}) == "lanes[1].name lanes[1].weight");
  CHECK(no_change({{"reason", too_long}}) == "reason");
  h.stop();
  CHECK(deeds(h, show).empty());
}

TEST_CASE("when an operator lets more in, those who wait come in at once") {
  house h;
  const auto show = h.open();
  for (const auto* user : {"usr_1", "usr_2", "usr_3", "usr_4", "usr_5", "usr_6"}) h.joins(show, user);
  CHECK(h.place(show, "usr_3") == "3 WAITING 1");
  CHECK(h.change(show, {{"admitPerWindow", 5}}).status == 200);
  CHECK(eventually([&] { return h.room(show).number("inside") == 5; }));
  CHECK(h.place(show, "usr_5") == "5 ADMITTED 0");
  CHECK(h.place(show, "usr_6") == "6 WAITING 1");
}

TEST_CASE("a cap on the people inside holds from the moment that it is set") {
  house h;
  const auto show = h.open();
  for (const auto* user : {"usr_1", "usr_2", "usr_3", "usr_4"}) h.joins(show, user);
  CHECK(h.change(show, {{"maxActive", 2}}).status == 200);
  h.clock.advance(10s);
  const auto left = client{h}.ask({"DELETE", "/queue/token?token=" + h.join(show, "usr_1").text("token"), {}, h.token("usr_1"), {}});
  CHECK(left.status == 204);
  CHECK(eventually([&] { return h.place(show, "usr_3") == "3 ADMITTED 0"; }));
  CHECK(h.place(show, "usr_4") == "4 WAITING 1");
  CHECK(h.room(show).number("inside") == 2);
}

TEST_CASE("while a queue is paused nobody is admitted, and those who wait see why") {
  house h;
  const auto show = h.open();
  for (const auto* user : {"usr_1", "usr_2", "usr_3"}) h.joins(show, user);
  watcher cat{h.port(), h.token("usr_3")};
  cat.subscribe("queue:" + h.join(show, "usr_3").text("ticketId"));
  const auto paused = h.act(show, "pause", {{"reason", "The till is down"}});
  CHECK(paused.json().at("paused") == true);
  CHECK(paused.text("pauseReason") == "The till is down");
  hear(cat, "pauseReason", "The till is down");
  h.clock.advance(30s);
  CHECK(h.joins(show, "usr_4") == "4 WAITING 2");
  CHECK(h.place(show, "usr_3") == "3 WAITING 1");
  h.restart();
  CHECK(h.room(show).text("pauseReason") == "The till is down");
  watcher again{h.port(), h.token("usr_3")};
  again.subscribe("queue:" + h.join(show, "usr_3").text("ticketId"));
  hear(again, "pauseReason", "The till is down");
  CHECK(h.act(show, "resume", {{"reason", "It works again"}}).json().at("paused") == false);
  hear(again, "status", "ADMITTED");
  CHECK(eventually([&] { return h.place(show, "usr_4") == "4 ADMITTED 0"; }));
}

TEST_CASE("a notice reaches those who wait, and goes away when it is taken back") {
  house h;
  const auto show = h.open();
  for (const auto* user : {"usr_1", "usr_2", "usr_3"}) h.joins(show, user);
  watcher cat{h.port(), h.token("usr_3")};
  cat.subscribe("queue:" + h.join(show, "usr_3").text("ticketId"));
  CHECK(h.act(show, "notice", {{"text", "Balcony seats are left"}, {"reason", "news"}}).text("notice") == "Balcony seats are left");
  hear(cat, "notice", "Balcony seats are left");
  CHECK(h.act(show, "notice", {{"text", ""}}).json().at("notice").is_null());
  hear(cat, "notice", nullptr);
  CHECK(h.place(show, "usr_3") == "3 WAITING 1");
}

TEST_CASE("a queue that is drained takes nobody in any more, and lets in those who wait") {
  house h;
  const auto show = h.open();
  for (const auto* user : {"usr_1", "usr_2", "usr_3"}) h.joins(show, user);
  CHECK(h.act(show, "drain", {{"reason", "The house closes at ten"}}).json().at("draining") == true);
  const auto late = h.join(show, "usr_4");
  CHECK(late.status == 410);
  CHECK(late.text("code") == "sale-closed");
  CHECK(late.text("detail").find("The house closes at ten") != std::string::npos);
  CHECK(h.place(show, "usr_3") == "3 WAITING 1");
  h.clock.advance(10s);
  CHECK(eventually([&] { return h.place(show, "usr_3") == "3 ADMITTED 0"; }));
  CHECK(h.act(show, "resume", {}).json().at("draining") == false);
  CHECK(h.joins(show, "usr_4") == "4 ADMITTED 0");
}

TEST_CASE("who is sent away loses the place, and may queue up again at the end") {
  house h;
  const auto show = h.open();
  for (const auto* user : {"usr_1", "usr_2", "usr_3", "usr_4"}) h.joins(show, user);
  const auto ticket = h.join(show, "usr_3").text("token");
  CHECK(h.act(show, "evict", {{"userId", "usr_3"}, {"reason", "a bot"}}).number("waiting") == 1);
  CHECK(client{h}.get("/queue/status?token=" + ticket, h.token("usr_3")).text("code") == "queue-ticket-expired");
  CHECK(h.place(show, "usr_4") == "4 WAITING 1");
  CHECK(h.joins(show, "usr_3") == "5 WAITING 2");
  // Whoever is inside loses the right to reserve.
  const auto inside = h.join(show, "usr_1").json().at("admission").as_object().at("token").as_string();
  CHECK(h.act(show, "evict", {{"userId", "usr_1"}, {"reason", "another bot"}}).number("inside") == 1);
  const auto wish = R"({"showId":")" + show + R"(","generalAdmission":[{"section":"floor","quantity":1}]})";
  CHECK(client{h}.ask({"POST", "/reservations", wish, h.token("usr_1"), {{"Queue-Token", std::string{inside}}}}).text("code") == "admission-required");
  CHECK(h.act(show, "evict", {{"userId", "usr_stranger"}, {"reason", "x"}}).status == 404);
}

TEST_CASE("lanes go in by their weights, and a position is the one in the lane") {
  house h;
  const auto show = h.open(R"({"admitPerWindow":4,"windowSeconds":10,"admissionSeconds":600,"order":"joining",
      "lanes":[{"name":"everybody","weight":1},{"name":"members","weight":3}]})");
  h.act(show, "pause", {{"reason", "until all are here"}});
  for (int i = 1; i <= 8; ++i) h.joins(show, "usr_" + std::to_string(i));
  const auto service = h.token("svc_shop", http::role::service);
  const auto in_lane = [&](int i) {
    return client{h}.post("/queue/token", R"({"showId":")" + show + R"(","userId":"usr_)" + std::to_string(i) + R"(","lane":"members"})", service);
  };
  for (int i = 9; i <= 14; ++i) CHECK(h.place_in(in_lane(i)) == std::to_string(i) + " WAITING " + std::to_string(i - 8));
  const auto greedy = client{h}.post("/queue/token", R"({"showId":")" + show + R"(","lane":"members"})", h.token("usr_15"));
  CHECK(greedy.status == 403);
  // An operator may put somebody into a lane, at its end.
  const auto moved = h.act(show, "lane", {{"userId", "usr_8"}, {"lane", "members"}, {"reason", "a member after all"}});
  INFO(moved.body);
  CHECK(h.place(show, "usr_8") == "8 WAITING 7");
  const auto waiting = [&](std::size_t lane) { return h.room(show).json().at("lanes").as_array().at(lane).as_object().at("waiting").to_number<int>(); };
  CHECK(waiting(0) == 7);
  CHECK(waiting(1) == 7);
  h.act(show, "resume", {});
  CHECK(eventually([&] { return h.room(show).number("inside") == 4; }));
  CHECK(waiting(0) == 6);
  CHECK(waiting(1) == 4);
}

TEST_CASE("everything that operators do is in the log, with who and why") {
  house h;
  const auto show = h.open();
  for (const auto* user : {"usr_1", "usr_2", "usr_3"}) h.joins(show, user);
  CHECK(h.change(show, {{"lanes", {{{"name", "everybody"}, {"weight", 1}}, {{"name", "members"}, {"weight", 2}}}}, {"reason", "r1"}}).status == 200);
  CHECK(h.act(show, "pause", {{"reason", "r2"}}).status == 200);
  CHECK(h.act(show, "resume", {{"reason", "r3"}}).status == 200);
  CHECK(h.act(show, "drain", {{"reason", "r4"}}).status == 200);
  CHECK(h.act(show, "notice", {{"text", "Hello"}, {"reason", "r5"}}).status == 200);
  CHECK(h.act(show, "lane", {{"userId", "usr_3"}, {"lane", "members"}, {"reason", "r6"}}).status == 200);
  CHECK(h.act(show, "evict", {{"userId", "usr_3"}, {"reason", "r7"}}).status == 200);
  h.stop();
  CHECK(deeds(h, show) == std::vector<std::string>{
      "op_director: changed: r1", "op_director: paused: r2", "op_director: resumed: r3", "op_director: drained: r4",
      "op_director: noticed: r5", "op_director: lane: usr_3, r6", "op_director: evicted: usr_3, r7"});
}

TEST_CASE("an operator does all of it from the command line as well") {
  house h;
  const auto show = h.open();
  for (const auto* user : {"usr_1", "usr_2", "usr_3"}) h.joins(show, user);
  const auto says = [&](const std::string& words, const std::string& what) {
    const auto said = command(h, show + ' ' + words);
    INFO(words << "\n" << said.text);
    CHECK(said.well);
    CHECK(said.text.find(what) != std::string::npos);
  };
  says("", "1 wait, 2 inside");
  says("pause --reason \"The till is down\"", "paused: The till is down");
  says("notice \"Back soon\" --reason news", "Back soon");
  says("drain --reason late", "draining: late");
  says("resume", "open\n");
  says("set --max-active 7 --mode smooth --lane everybody=1 --lane members=3", "members");
  says("set --per-window 3", "at most 7 inside");
  says("lane usr_3 members --reason friend", "members");
  says("evict usr_3 --reason bot", "0 wait");
  says("--json", "\"maxActive\":7");
  CHECK_FALSE(command(h, show + " evict usr_stranger --reason x").well);
  CHECK_FALSE(command(h, "shw_nowhere").well);
  h.stop();
  CHECK(deeds(h, show).size() == 8);
}

}  // namespace usher::tests
