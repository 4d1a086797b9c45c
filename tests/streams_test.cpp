// What comes or goes line by line, and what was: users in bulk, server-sent events, the seats of an earlier moment.

#include <catch2/catch.hpp>

#include "events/json.hpp"
#include "tests/client.hpp"
#include "tests/event_reader.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

struct box_office : test_node {
  std::string director = token("op_director", http::role::operator_);

  /// Seats A-1 to A-4 at 1,000 each.
  std::string open(const std::string& more = "") {
    const auto opened = client{*this}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
        "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":4,"tier":"all"}]}])" + more + "}", director);
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    return opened.text("showId");
  }
  answer reserve(const std::string& user, const std::string& show, const std::string& seat) {
    return client{*this}.post("/reservations", R"({"showId":")" + show + R"(","seats":[")" + seat + "\"]}", token(user));
  }
  answer import_users(const std::string& lines, const std::string& type = "application/x-ndjson") {
    request r{"POST", "/users/bulk", lines, director, {}};
    r.headers.emplace_back("Content-Type", type);
    return client{*this}.ask(r);
  }
};

std::vector<json::object> lines_of(const std::string& text) {
  std::vector<json::object> out;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) out.push_back(json::parse(line).as_object());
  return out;
}

std::string user_line(const std::string& name) { return R"({"name":")" + name + R"(","email":")" + name + "@example.org\"}\n"; }

json::object tally(int lines, int created, int existing, int failed) {
  return {{"lines", lines}, {"created", created}, {"existing", existing}, {"failed", failed}, {"done", true}};
}

}  // namespace

TEST_CASE("users come by the thousand, a bad line is named, and the rest goes on") {
  box_office office;
  std::string lines;
  for (int i = 0; i < 3000; ++i) lines += user_line("person" + std::to_string(i));
  lines += "\n{\"name\":\"\",\"email\":\"nobody\"}\nnot json\n{\"name\":\"x\",\"email\":\"x@y\",\"password\":\"short\"}\n{\"name\":\"" +
           std::string(20'000, 'n') + "\",\"email\":\"long@example.org\"}\n" +
           R"({"name":"Last","email":"last@example.org","password":"correct horse"})";  // without a line feed
  const auto answered = office.import_users(lines);
  REQUIRE(answered.status == 200);
  const auto said = lines_of(answered.body);
  REQUIRE(said.size() == 5);
  std::map<std::int64_t, std::string> refused;
  for (std::size_t i = 0; i < 4; ++i) refused[said[i].at("line").as_int64()] = said[i].at("code").as_string();
  CHECK(refused == std::map<std::int64_t, std::string>{
                       {3002, "validation-failed"}, {3003, "invalid-request"}, {3004, "validation-failed"}, {3005, "body-too-large"}});
  CHECK(said.back() == tally(3006, 3001, 0, 4));

  CHECK(client{office}.post("/auth/login", R"({"email":"last@example.org","password":"correct horse"})", {}).status == 200);
  CHECK(lines_of(office.import_users(user_line("person7") + user_line("newcomer")).body).back() == tally(2, 1, 1, 0));
}

TEST_CASE("only an operator imports users, and only lines of JSON") {
  box_office office;
  request r{"POST", "/users/bulk", user_line("ann"), office.token("svc", http::role::service), {{"Content-Type", "application/x-ndjson"}}};
  CHECK(client{office}.ask(r).status == 403);
  CHECK(office.import_users(user_line("ann"), "text/csv").status == 415);
  CHECK(lines_of(office.import_users("").body).back() == tally(0, 0, 0, 0));
}

TEST_CASE("one connection serves an import and then the next request") {
  box_office office;
  client c{office};
  request r{"POST", "/users/bulk", user_line("ann"), office.director, {{"Content-Type", "application/x-ndjson"}}};
  CHECK(c.ask(r).status == 200);
  CHECK(c.get("/healthz").status == 200);
}

TEST_CASE("a place in the queue is told by server-sent events, until the node restarts") {
  box_office office;
  const auto show = office.open(R"(,"queue":{"admitPerWindow":1,"windowSeconds":10})");
  const auto join = [&](const std::string& user) {
    return client{office}.post("/queue/token", R"({"showId":")" + show + "\"}", office.token(user)).text("token");
  };
  join("usr_ann");
  event_reader ben{office.port(), "?token=" + join("usr_ben")};
  CHECK(ben.head().starts_with("HTTP/1.1 200"));
  CHECK(ben.head().find("text/event-stream") != std::string::npos);
  auto place = ben.next_place();
  CHECK(place.at("status").as_string() == "WAITING");
  office.clock.advance(10s);
  while (place.at("status").as_string() == "WAITING") place = ben.next_place();
  CHECK(place.at("status").as_string() == "ADMITTED");
  CHECK(place.at("position").to_number<int>() == 0);
  CHECK(place.at("admission").as_object().contains("token"));
  office.stop();
  auto last = ben.next();
  while (last.find(R"("op":"room")") != std::string::npos) last = ben.next();
  CHECK(last.starts_with("retry: "));
  CHECK(ben.ends());
}

TEST_CASE("nobody watches a place without its token") {
  box_office office;
  const auto show = office.open(R"(,"queue":{"admitPerWindow":1,"windowSeconds":10})");
  const auto joined = client{office}.post("/queue/token", R"({"showId":")" + show + "\"}", office.token("usr_ann"));
  CHECK(client{office}.get("/queue/stream").status == 400);
  CHECK(client{office}.get("/queue/stream?token=" + office.token("usr_ann")).status == 401);
  CHECK(client{office}.get("/queue/stream?token=" + joined.text("token"), office.token("usr_ben")).status == 403);
}

TEST_CASE("the seats of any earlier moment are what they were") {
  box_office office;
  const auto show = office.open();
  const auto path = "/shows/" + show + "/seats?format=bitset";
  const auto start = office.clock.now();
  std::map<std::int64_t, std::string> seen;  // by version
  const auto look = [&] {
    const auto now = client{office}.get(path);
    seen[now.number("version")] = now.body;
  };
  const auto see = [&](const answer& written) {
    request r{"GET", path, {}, {}, {{"Min-Log-Position", written.header("Log-Position")}}};
    const auto now = client{office}.ask(r);
    seen[now.number("version")] = now.body;
  };
  look();
  office.clock.advance(1min);
  for (const auto* seat : {"A-1", "A-2", "A-3"}) see(office.reserve("usr_ann", show, seat));
  const auto id = office.reserve("usr_ann", show, "A-4").text("reservationId");
  see(client{office}.ask({"DELETE", "/reservations/" + id, {}, office.token("usr_ann"), {}}));
  office.restart();
  REQUIRE(seen.size() == 5);
  for (const auto& [version, body] : seen) {
    INFO(version);
    CHECK(client{office}.get(path + "&asOf=" + std::to_string(version)).body == body);
  }
  CHECK(client{office}.get(path + "&asOf=" + to_rfc3339(start)).body == seen.begin()->second);
  CHECK(client{office}.get(path + "&asOf=" + to_rfc3339(start + 1min)).body == seen.rbegin()->second);
  const auto list = client{office}.get("/shows/" + show + "/seats?asOf=" + to_rfc3339(start));
  CHECK(list.json().at("items").as_array().at(0).as_object().at("status").as_string() == "AVAILABLE");
  CHECK(client{office}.get(path + "&asOf=" + to_rfc3339(start - 1h)).status == 404);
  CHECK(client{office}.get(path + "&asOf=yesterday").status == 400);
  CHECK(client{office}.get(path + "&asOf=99").status == 400);
  CHECK(client{office}.get(path + "&asOf=" + to_rfc3339(start + 1h)).status == 400);
}

TEST_CASE("a show that sells is not taken for the one that was seen before") {
  box_office office;
  const auto show = office.open();
  const auto seen = client{office}.get("/shows/" + show).header("ETag");
  const auto again = [&](const std::string& position) {
    request r{"GET", "/shows/" + show, {}, {}, {{"If-None-Match", seen}}};
    if (!position.empty()) r.headers.emplace_back("Min-Log-Position", position);
    return client{office}.ask(r).status;
  };
  CHECK(again("") == 304);
  CHECK(again(office.reserve("usr_ann", show, "A-1").header("Log-Position")) == 200);
  const auto price = [&] {
    const auto page = client{office}.get("/shows/" + show + "/seats").json();
    return page.at("items").as_array().at(0).as_object().at("price").to_number<int>();
  };
  CHECK(price() == 1000);
  request change{"PATCH", "/shows/" + show, R"({"tiers":[{"name":"all","price":1200}]})", office.director, {{"If-Match", seen}}};
  CHECK(client{office}.ask(change).status == 200);
  CHECK(price() == 1200);
}

TEST_CASE("whoever comes without an admission is shown the way to the queue") {
  box_office office;
  const auto show = office.open(R"(,"queue":{"admitPerWindow":1,"windowSeconds":10})");
  const auto refused = office.reserve("usr_ann", show, "A-1");
  CHECK(refused.status == 403);
  CHECK(refused.text("code") == "admission-required");
  CHECK(refused.text("link") == "/queue/token");
}

}  // namespace usher::tests
