// What operators read of the past, from a running node and from the directory of one that is stopped.

#include <catch2/catch.hpp>

#include <cstdio>
#include <future>
#include <set>

#include "cli_words.hpp"
#include "events/json.hpp"
#include "events/sha256.hpp"
#include "events/words.hpp"
#include "bench/client.hpp"
#include "tests/child_node.hpp"
#include "tests/client.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

const std::string hall = R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
    "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":4,"tier":"all"}]}])";

struct box_office : test_node {
  std::string director = token("op_director", http::role::operator_);

  std::string open(const std::string& more = "") {
    const auto opened = client{*this}.post("/shows", hall + more + "}", director);
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    return opened.text("showId");
  }
  answer reserve(const std::string& user, const std::string& show, const std::string& seat) {
    return client{*this}.post("/reservations", R"({"showId":")" + show + R"(","seats":[")" + seat + "\"]}", token(user), "key-" + user + seat);
  }
  answer look(const std::string& path) { return client{*this}.get("/audit/" + path, director); }
  std::vector<json::object> log(const std::string& query) {
    std::vector<json::object> out;
    const auto answered = look("log?" + query);
    REQUIRE(answered.status == 200);
    std::istringstream lines{answered.body};
    for (std::string line; std::getline(lines, line);) out.push_back(json::parse(line).as_object());
    return out;
  }
};

std::vector<std::string> types_in(const json::object& answer, const char* list = "items") {
  std::vector<std::string> out;
  for (const auto& item : answer.at(list).as_array()) out.emplace_back(item.at("type").as_string());
  return out;
}

struct printed {
  int code = 0;
  std::string text;
};
printed run(const std::string& words) {
  auto* pipe = ::popen((std::string{USHER_BINARY} + ' ' + words + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  printed out;
  std::array<char, 4096> some{};
  for (std::size_t n = 0; (n = std::fread(some.data(), 1, some.size(), pipe)) != 0;) out.text.append(some.data(), n);
  out.code = WEXITSTATUS(::pclose(pipe));
  return out;
}

}  // namespace

TEST_CASE("operators read what happened to a seat, who did it and in which record") {
  box_office office;
  const auto show = office.open();
  const auto placed = office.reserve("usr_ann", show, "A-1");
  const auto id = placed.text("reservationId");
  office.clock.advance(1min);
  client{office}.ask({"DELETE", "/reservations/" + id, {}, office.token("usr_ann"), {}});
  const auto told = office.look("streams/seat/" + show + "/A-1").json();
  CHECK(told.at("stream").as_string() == "seat/" + show + "/A-1");
  CHECK(types_in(told) == std::vector<std::string>{"seat.held", "seat.released"});
  CHECK(told.at("nextCursor").is_null());
  const auto held = told.at("items").at(0).as_object();
  CHECK(held.at("version").to_number<int>() == 1);
  CHECK(held.at("data").at("reservationId").as_string() == id);
  CHECK(held.at("by").at("userId").as_string() == "usr_ann");
  CHECK(held.at("by").at("role").as_string() == "user");
  CHECK(held.at("command").as_string() == "reservation.place");
  CHECK(held.at("target").as_string() == "reservation/" + id);
  CHECK(held.at("correlation").as_string() == placed.header("Request-Id"));
  CHECK(held.at("idempotencyKey").as_string() == "key-usr_annA-1");
  CHECK(held.at("at").as_string() == to_rfc3339(office.clock.now() - 1min));
  const auto place = place_from(std::string_view{held.at("position").as_string()});
  REQUIRE(place);
  CHECK(to_token(*place) == placed.header("Log-Position"));
  // The records of this partition are chained: a later event names the hash of the one before it.
  CHECK(told.at("items").at(1).at("previousHash").as_string() == held.at("hash").as_string());
}

TEST_CASE("a list of events is read page by page, and only up to a moment") {
  box_office office;
  const auto show = office.open();
  const auto start = office.clock.now();
  for (int i = 0; i != 3; ++i) {
    const auto placed = office.reserve("usr_ann" + std::to_string(i), show, "A-1");
    REQUIRE(placed.status == 201);
    client{office}.ask({"DELETE", "/reservations/" + placed.text("reservationId"), {}, office.token("usr_ann" + std::to_string(i)), {}});
    office.clock.advance(1min);
  }
  const auto path = "streams/seat/" + show + "/A-1";
  std::vector<std::string> all;
  std::string cursor;
  do {
    const auto page = office.look(path + "?limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor)).json();
    for (auto& type : types_in(page)) all.push_back(std::move(type));
    cursor = page.at("nextCursor").is_null() ? "" : std::string{page.at("nextCursor").as_string()};
  } while (!cursor.empty());
  CHECK(all == std::vector<std::string>{"seat.held", "seat.released", "seat.held", "seat.released", "seat.held", "seat.released"});
  CHECK(types_in(office.look(path + "?asOf=" + to_rfc3339(start)).json()).size() == 2);
  CHECK(types_in(office.look(path + "?from=6").json()) == std::vector<std::string>{"seat.released"});
  CHECK(office.look(path + "?cursor=nonsense").status == 400);
}

TEST_CASE("the state of a reservation at any moment, and what changed since") {
  box_office office;
  const auto show = office.open();
  const auto before = to_rfc3339(office.clock.now());
  office.clock.advance(1min);
  const auto placed = office.reserve("usr_ann", show, "A-1");
  const auto id = placed.text("reservationId");
  const auto pending = to_rfc3339(office.clock.now());
  office.clock.advance(1min);
  client{office}.ask({"DELETE", "/reservations/" + id, {}, office.token("usr_ann"), {}});
  const auto path = "state/reservation/" + id;
  CHECK(office.look(path).json().at("state").at("status").as_string() == "RELEASED");
  const auto then = office.look(path + "?asOf=" + pending).json();
  CHECK(then.at("state").at("status").as_string() == "PENDING");
  CHECK(then.at("version").to_number<int>() == 1);
  CHECK(then.at("asOf").as_string() == pending);
  CHECK(office.look(path + "?asOf=" + placed.header("Log-Position")).json().at("state").at("status").as_string() == "PENDING");
  CHECK(office.look(path + "?asOf=" + before).status == 404);
  const auto diff = office.look("diff/reservation/" + id + "?from=" + pending).json();
  CHECK(types_in(diff, "events") == std::vector<std::string>{"reservation.released"});
  std::map<std::string, std::string> changes;
  for (const auto& c : diff.at("changes").as_array()) changes[std::string{c.at("path").as_string()}] = json::serialize(c.at("before")) + json::serialize(c.at("after"));
  CHECK(changes.at("status") == R"("PENDING""RELEASED")");
  const auto whole = office.look("diff/reservation/" + id + "?from=" + before + "&to=" + pending).json();
  CHECK(types_in(whole, "events") == std::vector<std::string>{"reservation.placed"});
}

TEST_CASE("a seat that nobody ever wanted is free from the opening of its show on") {
  box_office office;
  const auto before = to_rfc3339(office.clock.now());
  office.clock.advance(1min);
  const auto opened = to_rfc3339(office.clock.now());
  const auto show = office.open();
  office.clock.advance(1min);
  const auto state = office.look("state/seat/" + show + "/A-4").json();
  CHECK(state.at("version").to_number<int>() == 0);
  CHECK(state.at("state").at("phase").as_string() == "AVAILABLE");
  CHECK(state.at("at").as_string() == opened);
  CHECK(state.at("position").as_string() == std::to_string(partition_of(show)) + "/1");
  const auto stream = office.look("streams/seat/" + show + "/A-4").json();
  CHECK(stream.at("items").as_array().empty());
  CHECK(stream.at("version").to_number<int>() == 0);
  const auto early = office.look("state/seat/" + show + "/A-4?asOf=" + before);
  CHECK(early.status == 404);
  CHECK(early.text("detail").find("not there yet") != std::string::npos);
  REQUIRE(office.reserve("usr_ann", show, "A-4").status == 201);
  CHECK(office.look("state/seat/" + show + "/A-4").json().at("version").to_number<int>() == 1);
  CHECK(office.look("state/seat/" + show + "/A-4?asOf=" + opened).json().at("version").to_number<int>() == 0);
  const auto diff = office.look("diff/seat/" + show + "/A-4?from=" + opened).json();
  CHECK(diff.at("changes").at(0).at("before").as_string() == "AVAILABLE");
  CHECK(types_in(diff, "events") == std::vector<std::string>{"seat.held"});
}

TEST_CASE("a section that nobody ever wanted has all its places") {
  box_office office;
  const auto opened = client{office}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
      "sections":[{"name":"floor","kind":"generalAdmission","tier":"all","stock":70}]})", office.director);
  REQUIRE(opened.status == 201);
  const auto state = office.look("state/stock/" + opened.text("showId") + "/floor").json();
  CHECK(state.at("version").to_number<int>() == 0);
  CHECK(json::serialize(state.at("state").at("capacity")) == "70");
}

TEST_CASE("what is no entity is refused, what never was is not found, and nobody else may look") {
  box_office office;
  const auto show = office.open();
  for (const std::string what : {"streams", "state"}) {
    CHECK(office.look(what + "/table/" + show).status == 400);
    CHECK(office.look(what + "/provider/sandbox").status == 400);
    CHECK(office.look(what + "/seat/" + show).status == 400);
    CHECK(office.look(what + "/reservation/rsv_nonsense").status == 400);
    CHECK(office.look(what + "/seat/" + show + "/A-5").status == 404);
    CHECK(office.look(what + "/seat/shw_aaaaaaaaaaaaaaaa/A-1").status == 404);
    CHECK(office.look(what + "/stock/" + show + "/stalls").status == 404);
    CHECK(office.look(what + "/allowance/" + show + "/usr_ann").status == 404);
    for (const auto& yet_to_come : {std::string{"99"}, std::string{"1795324105"}, std::to_string(partition_of(show)) + "/99", to_rfc3339(office.clock.now() + 1min)})
      CHECK(office.look(what + "/show/" + show + "?asOf=" + yet_to_come).status == 400);
    CHECK(office.look(what + "/show/" + show + "?asOf=yesterday").status == 400);
    CHECK(client{office}.get("/audit/" + what + "/show/" + show, office.token("usr_ann")).status == 403);
  }
  CHECK(office.look("diff/show/" + show).status == 400);
  CHECK(client{office}.get("/audit/log", office.token("usr_ann")).status == 403);
  CHECK(office.look("log?stream=nonsense").status == 400);
  CHECK(office.look("log?since=yesterday").status == 400);
  CHECK(office.look("log?partition=256").status == 400);
  CHECK(office.look("log?type=reservation.plaice").status == 400);
  CHECK(office.look("log?type=unknown").status == 200);
}

TEST_CASE("no answer about the past holds a draw's secret, a name or a password") {
  box_office office;
  const auto show = office.open(R"(,"saleOpensAt":"2030-01-01T00:00:00Z","queue":{"admitPerWindow":1,"windowSeconds":10})");
  const auto signed_up = client{office}.post("/users", R"({"name":"Ann Example","email":"ann@example.org","password":"correct horse"})", {});
  REQUIRE(signed_up.status == 201);
  const auto user = signed_up.text("userId");
  // As a member, or as a path in which something changed.
  const auto is_nothing = [](std::string_view rest) { return rest.starts_with(R"(":"")") || rest.starts_with(R"(","before":null,"after":""})"); };
  std::string all;
  for (const auto& path : {"streams/queue/" + show, "state/queue/" + show, "diff/queue/" + show + "?from=0", "streams/user/" + user, "state/user/" + user,
                           "streams/show/" + show, "state/show/" + show, std::string{"log"}}) {
    const auto told = office.look(path);
    INFO(path << ' ' << told.body);
    CHECK(told.status == 200);
    all += told.body;
  }
  CHECK(all.find("user.signed_up") != std::string::npos);
  for (const auto* part : {"Ann Example", "ann@example.org", "argon2"}) CHECK(all.find(part) == std::string::npos);
  for (const auto* member : {"drawSecret", "sealed", "passwordHash"})
    for (auto at = all.find(member); at != std::string::npos; at = all.find(member, at + 1))
      CHECK(is_nothing(std::string_view{all}.substr(at + std::string_view{member}.size())));
}

TEST_CASE("the log is filtered by entity, type, user and time") {
  box_office office;
  const auto show = office.open();
  const auto start = office.clock.now();
  office.clock.advance(1min);
  office.reserve("usr_ann", show, "A-1");
  office.clock.advance(1min);
  office.reserve("usr_ben", show, "A-2");
  CHECK(office.log("").size() == 3);
  CHECK(office.log("limit=2").size() == 2);
  CHECK(office.log("stream=seat/" + show + "/A-2").size() == 1);
  CHECK(office.log("stream=seat/" + show + "/A-3").empty());
  CHECK(office.log("type=reservation.place").size() == 2);
  CHECK(office.log("type=show.opened").size() == 1);
  CHECK(office.log("user=usr_ben").size() == 1);
  CHECK(office.log("since=" + to_rfc3339(start + 1min)).size() == 2);
  CHECK(office.log("until=" + to_rfc3339(start + 1min)).size() == 2);
  CHECK(office.log("since=" + to_rfc3339(start + 1min) + "&until=" + to_rfc3339(start + 1min) + "&user=usr_ann").size() == 1);
  const auto partition = std::to_string(partition_of(show));
  CHECK(office.log("partition=" + partition + "&from=2").size() == 2);
  CHECK(office.log("partition=" + std::to_string((partition_of(show) + 1) % partition_count)).empty());
}

TEST_CASE("a follower is told of each new record as it comes, and the node can stop meanwhile") {
  box_office office;
  const auto show = office.open();
  office.reserve("usr_ann", show, "A-1");
  std::promise<std::string> first, second;
  std::thread follower{[&] {
    int lines = 0;
    bench::read_lines({"127.0.0.1", office.port()}, "/audit/log?follow=true&from=1&type=reservation.placed",
                      {{"Authorization", "Bearer " + office.director}}, [&](std::string_view line) {
                        if (line.empty() || lines == 2) return true;
                        (++lines == 1 ? first : second).set_value(std::string{line});
                        return true;
                      });
  }};
  const auto user_in = [](std::promise<std::string>& told) {
    auto line = told.get_future();
    if (line.wait_for(20s) != std::future_status::ready) return std::string{"nothing came"};
    return std::string{json::parse(line.get()).at("userId").as_string()};
  };
  CHECK(user_in(first) == "usr_ann");  // it follows from here on
  office.reserve("usr_ben", show, "A-2");
  CHECK(user_in(second) == "usr_ben");
  office.stop();
  follower.join();
}

TEST_CASE("the past reads the same from a running node and from its directory") {
  temp_dir directory;
  const auto data = directory.path + "/data";
  std::filesystem::create_directories(data);
  child_node node{data};
  const auto director = node.token("op_director", http::role::operator_);
  const auto show = client{node.port()}.post("/shows", hall + "}", director).text("showId");
  const auto signed_up = client{node.port()}.post("/users", R"({"name":"Ann","email":"ann@example.org","password":"correct horse"})", {});
  const auto user = signed_up.text("userId");
  const auto ann = node.token(user);
  client{node.port()}.post("/balance/charge", R"({"amount":5000})", ann, "charge");
  const auto id = client{node.port()}.post("/reservations", R"({"showId":")" + show + R"(","seats":["A-1"]})", ann, "place").text("reservationId");
  const auto paid = client{node.port()}.post("/payments", R"({"reservationId":")" + id + "\"}", ann, "pay");
  INFO(paid.body);
  const std::vector<std::string> questions{
      "log --limit 0",
      "log --json --limit 3",
      "log --user ann@example.org --type wallet.charged",
      "log --stream seat/" + show + "/A-1",
      "history seat/" + show + "/A-1",
      "history wallet/ann@example.org",
      "history --json --limit 1 reservation/" + id,
      "state reservation/" + id,
      "state --json wallet/ann@example.org",
      "state --as-of 2020-01-01T00:00:00Z wallet/ann@example.org",
      "diff reservation/" + id + " --from 2020-01-01T00:00:00Z",
      "diff --json wallet/ann@example.org --from 2020-01-01T00:00:00Z",
      "history seat/" + show + "/A-9",
      "history nonsense",
      "history seat/" + show + "/A-4",
      "state seat/" + show + "/A-4",
      "state reservation/" + show + "/" + id,
      "state --as-of 1795324105 seat/" + show + "/A-1",
      "history --as-of 2999-01-01T00:00:00Z seat/" + show + "/A-1",
  };
  std::vector<printed> live;
  for (const auto& q : questions) live.push_back(run(q + " --data " + data));
  CHECK(run("stats --data " + data).text.find("  reservation/" + id + ": ") != std::string::npos);
  node.kill();
  for (std::size_t i = 0; i != questions.size(); ++i) {
    const auto offline = run(questions[i] + " --data " + data);
    INFO(questions[i] << "\nlive: " << live[i].text << "\noffline: " << offline.text);
    CHECK(offline.code == live[i].code);
    if (live[i].code != 0) continue;
    CHECK(offline.text == live[i].text);
    CHECK(!live[i].text.empty());
  }
  CHECK(live[4].text.find("held for reservation " + id) != std::string::npos);
  CHECK(live[4].text.find("by " + user + " with reservation.place of reservation/" + id) != std::string::npos);
  CHECK(live[5].text.find("5000 put in") != std::string::npos);
  CHECK(live[11].code == 0);
  CHECK(live[12].code == 1);
  CHECK(live[13].code == 2);
  CHECK(live[14].text == "nothing happened to it yet\n");
  CHECK(live[15].text.find("version 0, to which nothing had happened yet") != std::string::npos);
  CHECK(live[15].text.find("phase  AVAILABLE") != std::string::npos);
  CHECK(live[16].text.starts_with("reservation/" + id + " at version"));
  for (const auto i : {17U, 18U}) CHECK(live[i].code == 2);
  CHECK(run("log --follow --data " + data).code == 2);
  CHECK(run("log --type reservation.plaice --data " + data).code == 2);
  CHECK(run("history --data " + directory.path + "/nowhere seat/x/y").code == 2);
}

TEST_CASE("there are words for every event") {
  const auto* payload = v1::StreamEvent::descriptor()->FindOneofByName("payload");
  for (int i = 0; i != payload->field_count(); ++i) {
    const auto* kinds = payload->field(i)->message_type()->FindOneofByName("kind");
    REQUIRE(kinds != nullptr);
    for (int k = 0; k != kinds->field_count(); ++k) {
      const auto type = payload->field(i)->name() + "." + kinds->field(k)->name();
      INFO(type);
      CHECK(cli::words_for(type, {}).has_value());
    }
  }
  CHECK(cli::words_for("reservation.placed", json::parse(R"({"userId":"usr_ann","seats":[{"seat":"A-1"},{"seat":"A-2"}],"generalAdmission":[],"amount":2000,
      "currency":"EUR","holdExpiresAt":"2026-05-31T10:05:00Z"})").as_object()) ==
        "placed for usr_ann: A-1, A-2 at 2000 EUR, held until 2026-05-31T10:05:00Z");
}

}  // namespace usher::tests
