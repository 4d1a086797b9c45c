// Whatever a client sends, it is told what is wrong in the one form that all refusals have, and the node goes on.

#include <catch2/catch.hpp>

#include <set>

#include "tests/client.hpp"
#include "tests/route_table.hpp"

namespace {

namespace http = usher::http;
using usher::tests::answer;
using usher::tests::client;
using usher::tests::request;
using namespace std::chrono_literals;

const std::string hall = R"({"title":"Evening","venue":"Hall","currency":"EUR","startsAt":"2027-03-01T19:30:00Z",
  "tiers":[{"name":"A","price":5000}],
  "sections":[{"name":"Stalls","kind":"seated","rows":[{"name":"A","seats":4,"tier":"A"}]},
              {"name":"Floor","kind":"generalAdmission","stock":10,"tier":"A"}]QUEUE})";

std::string hall_with(const std::string& more) {
  auto text = hall;
  return text.replace(text.find("QUEUE"), 5, more);
}

/// A node with a show, a show with a queue, and Ann, who holds a seat. Every request has a connection of its own,
/// as a refused body ends the connection.
struct venue {
  usher::tests::test_node node;
  std::string ann = node.token("usr_ann"), bob = node.token("usr_bob");
  std::string operator_token = node.token("usr_boss", http::role::operator_);
  std::string show_id = open_show("");
  std::string queue_show_id = open_show(R"(,"queue":{"admitPerWindow":1})");
  std::string reservation_id = made("/reservations", reserve(show_id, "A-1"), ann).text("reservationId");

  answer ask(const request& r) { return client{node}.ask(r); }
  answer get(const std::string& path, const std::string& token = {}) { return ask({"GET", path, {}, token, {}}); }
  answer post(const std::string& path, const std::string& body, const std::string& token = {}) {
    return ask({"POST", path, body, token, {}});
  }
  static std::string reserve(const std::string& show, const std::string& seat) {
    return R"({"showId":")" + show + R"(","seats":[")" + seat + R"("]})";
  }

 private:
  answer made(const std::string& path, const std::string& body, const std::string& token) {
    auto a = post(path, body, token);
    INFO(a.body);
    REQUIRE(a.status == 201);
    return a;
  }
  std::string open_show(const std::string& more) { return made("/shows", hall_with(more), operator_token).text("showId"); }
};

/// The code of a refusal, whose form is checked. Empty where it is none.
std::string code_of(const answer& a) {
  if (a.status < 400) return "";
  CHECK(a.header("Content-Type") == "application/problem+json");
  const auto body = a.json();
  CHECK(body.at("type").is_string());
  CHECK(body.at("title").is_string());
  CHECK(body.at("detail").is_string());
  CHECK(body.at("retryable").is_bool());
  CHECK(body.at("status").to_number<unsigned>() == a.status);
  CHECK(body.at("requestId").as_string() == a.header("Request-Id"));
  return std::string{body.at("code").as_string()};
}

std::set<std::string> fields_of(const answer& a) {
  std::set<std::string> out;
  const auto body = a.json();
  if (const auto* faults = body.if_contains("faults"))
    for (const auto& f : faults->as_array()) out.emplace(f.as_object().at("field").as_string());
  return out;
}

struct refused {
  std::string path, body;
  unsigned status;
  std::string code;
  std::string field;  ///< named among the faults; empty: none has to be
};

void check_all(venue& v, const std::string& token, const std::vector<refused>& table) {
  for (const auto& row : table) {
    INFO(row.path << ' ' << row.body.substr(0, 200));
    const auto a = v.post(row.path, row.body, token);
    INFO(a.body);
    CHECK(a.status == row.status);
    CHECK(code_of(a) == row.code);
    if (!row.field.empty()) CHECK(fields_of(a).contains(row.field));
  }
}

std::string nested(std::size_t depth, const std::string& open, const std::string& close) {
  std::string out;
  for (std::size_t i = 0; i < depth; ++i) out += open;
  out += "1";
  for (std::size_t i = 0; i < depth; ++i) out += close;
  return out;
}

std::string replaced(std::string text, std::string_view what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) text.replace(at, what.size(), with);
  return text;
}

}  // namespace

TEST_CASE("an amount is a whole number within its bounds, and money is never a fraction") {
  venue v;
  for (const std::string path : {"/balance/charge", "/balance/use"}) {
    check_all(v, v.ann, {
        {path, R"({"amount":1.5})", 400, "invalid-request", "amount"},
        {path, R"({"amount":0.1})", 400, "invalid-request", "amount"},
        {path, R"({"amount":1e-3})", 400, "invalid-request", "amount"},
        {path, R"({"amount":"100"})", 400, "invalid-request", "amount"},
        {path, R"({"amount":true})", 400, "invalid-request", "amount"},
        {path, R"({"amount":[1]})", 400, "invalid-request", "amount"},
        {path, R"({"amount":{"value":1}})", 400, "invalid-request", "amount"},
        {path, R"({"amount":99999999999999999999})", 400, "invalid-request", "amount"},
        {path, R"({"amount":1e300})", 400, "invalid-request", "amount"},
        {path, R"({"amount":-1})", 422, "validation-failed", "amount"},
        {path, R"({"amount":0})", 422, "validation-failed", "amount"},
        {path, R"({"amount":null})", 422, "validation-failed", "amount"},
        {path, R"({"amount":1000000000001})", 422, "validation-failed", "amount"},
        {path, R"({"amount":9223372036854775807})", 422, "validation-failed", "amount"},
        {path, "", 422, "validation-failed", "amount"},
        {path, R"({"amount":1,"currency":"EUR"})", 400, "invalid-request", "currency"},
        {path, R"({"Amount":1})", 400, "invalid-request", "Amount"},
        {path, R"({"amount":NaN})", 400, "invalid-request", ""},
        {path, R"({"amount":01})", 400, "invalid-request", ""},
        {path, R"({"amount":1,})", 400, "invalid-request", ""},
        {path, R"({"amount":1}})", 400, "invalid-request", ""},
        {path, R"({"amount":1)", 400, "invalid-request", ""},
    });
  }
  CHECK(v.get("/balance", v.ann).number("balance") == 0);
}

TEST_CASE("the fields of a request are known, and of the type that they must have") {
  venue v;
  const auto show = R"({"showId":")" + v.show_id + R"(",)";
  check_all(v, v.ann, {
      {"/users", R"({"name":1,"email":"a@b"})", 400, "invalid-request", "name"},
      {"/users", R"({"name":"","email":"a@b"})", 422, "validation-failed", "name"},
      {"/users", R"({"name":"A","email":"nobody"})", 422, "validation-failed", "email"},
      {"/users", R"({"name":"A","email":"a@b","password":"short"})", 422, "validation-failed", "password"},
      {"/users", R"({"name":"A","email":"a@b","role":"operator"})", 400, "invalid-request", "role"},
      {"/auth/login", R"({"password":"x"})", 422, "validation-failed", "email"},
      {"/auth/login", R"({"email":"a@b","userId":"usr_a","password":"x"})", 422, "validation-failed", "email"},
      {"/auth/login", R"({"email":"a@b","password":"wrong"})", 401, "unauthenticated", ""},
      {"/queue/token", R"({"showId":7})", 400, "invalid-request", "showId"},
      {"/queue/token", "{}", 422, "validation-failed", "showId"},
      {"/queue/token", R"({"showId":")" + v.show_id + R"("})", 422, "validation-failed", "showId"},
      {"/queue/status", "{}", 400, "invalid-request", "Queue-Token"},
      {"/reservations", R"({"seats":["A-1"]})", 422, "validation-failed", "showId"},
      {"/reservations", show + R"("seats":"A-1"})", 400, "invalid-request", "seats"},
      {"/reservations", show + R"("seats":["A-1",2]})", 400, "invalid-request", "seats[1]"},
      {"/reservations", show + R"("seats":["Z-9"]})", 422, "validation-failed", "seats[0]"},
      {"/reservations", show + R"("seats":["A-2","A-2"]})", 422, "validation-failed", "seats[1]"},
      {"/reservations", show + R"("seats":[]})", 422, "validation-failed", ""},
      {"/reservations", show + R"("generalAdmission":[{"section":"Floor","quantity":-1}]})", 400, "invalid-request", "generalAdmission[0].quantity"},
      {"/reservations", show + R"("generalAdmission":[{"section":"Floor","quantity":1.5}]})", 400, "invalid-request", "generalAdmission[0].quantity"},
      {"/reservations", show + R"("generalAdmission":[{"section":"Floor","quantity":0}]})", 422, "validation-failed", "generalAdmission[0].quantity"},
      {"/reservations", show + R"("generalAdmission":[{"section":"Roof","quantity":1}]})", 422, "validation-failed", "generalAdmission[0].section"},
      {"/reservations", show + R"("generalAdmission":[{"section":"Floor","seat":1}]})", 400, "invalid-request", "generalAdmission[0].seat"},
      {"/reservations", show + R"("bestAvailable":{"quantity":51}})", 422, "validation-failed", "bestAvailable.quantity"},
      {"/reservations", show + R"("bestAvailable":{"quantity":1,"tier":"Z"}})", 422, "validation-failed", "bestAvailable.tier"},
      {"/reservations", show + R"("seats":["A-2"],"bestAvailable":{"quantity":1}})", 422, "validation-failed", "bestAvailable"},
      {"/reservations/" + v.reservation_id + "/cancel", R"({"reason":["because"]})", 400, "invalid-request", "reason"},
      {"/payment", R"({"reservationId":5})", 400, "invalid-request", "reservationId"},
      {"/payment", R"({"amount":5})", 400, "invalid-request", "amount"},
  });
}

TEST_CASE("more places than there are numbers for are not reserved") {
  venue v;
  const auto a = v.post("/reservations", R"({"showId":")" + v.show_id + R"(","generalAdmission":[{"section":"Floor","quantity":4294967295}]})", v.ann);
  INFO(a.body);
  CHECK((a.status == 409 || a.status == 422));
  CHECK_FALSE(code_of(a).empty());
}

TEST_CASE("a show's plan is refused with the place of each mistake") {
  venue v;
  const auto plan = hall_with("");
  const auto row = std::string{R"({"name":"A","seats":4,"tier":"A"})"};
  check_all(v, v.operator_token, {
      {"/shows", replaced(plan, R"("price":5000)", R"("price":50.5)"), 400, "invalid-request", "tiers[0].price"},
      {"/shows", replaced(plan, R"("price":5000)", R"("price":-1)"), 422, "validation-failed", "tiers[0].price"},
      {"/shows", replaced(plan, "2027-03-01T19:30:00Z", "2027-02-30T19:30:00Z"), 400, "invalid-request", "startsAt"},
      {"/shows", replaced(plan, "2027-03-01T19:30:00Z", "tomorrow"), 400, "invalid-request", "startsAt"},
      {"/shows", replaced(plan, R"("EUR")", R"("euro")"), 422, "validation-failed", "currency"},
      {"/shows", replaced(plan, R"("seats":4)", R"("seats":4000000000)"), 422, "validation-failed", "sections"},
      {"/shows", replaced(plan, R"("seats":4)", R"("seats":0)"), 422, "validation-failed", "sections[0].rows[0].seats"},
      {"/shows", replaced(plan, row, row + "," + row), 422, "validation-failed", "sections[0].rows[1].name"},
      {"/shows", replaced(plan, R"("seats":4,"tier":"A")", R"("seats":4,"tier":"Z")"), 422, "validation-failed", "sections[0].rows[0].tier"},
      {"/shows", replaced(plan, R"("stock":10)", R"("stock":0)"), 422, "validation-failed", "sections[1].stock"},
      {"/shows", replaced(plan, R"("kind":"seated")", R"("kind":"standing")"), 422, "validation-failed", "sections[0].kind"},
      {"/shows", replaced(plan, "Evening", R"(Even\u0007ing)"), 422, "validation-failed", "title"},
      {"/shows", "{}", 422, "validation-failed", "title"},
  });
  CHECK(v.get("/shows").json().at("items").as_array().size() == 2);
}

TEST_CASE("a seating plan is refused with the place of each mistake") {
  venue v;
  const std::string good = R"({"title":"Opera","venue":"House","currency":"EUR","startsAt":"2027-03-01T19:30:00Z",
    "tiers":[{"name":"Box","price":9000}],"seatingPlan":{"name":"House","categories":[{"name":"Box"}],"zones":[{"name":"Left","rows":[
      {"row_number":"A","seats":[{"seat_number":"1","seat_guid":"L1","category":"Box"},{"seat_number":"2","seat_guid":"L2","category":"Box"}]}]}]}})";
  check_all(v, v.operator_token, {
      {"/shows", replaced(good, R"("seat_guid":"L2")", R"("seat_guid":"L1")"), 422, "validation-failed", "seatingPlan.zones[0].rows[0].seats[1].seat_guid"},
      {"/shows", replaced(good, R"("seat_guid":"L2")", R"("seat_guid":2)"), 422, "validation-failed", "seatingPlan.zones[0].rows[0].seats[1].seat_guid"},
      {"/shows", replaced(good, R"("seat_guid":"L2","category":"Box")", R"("seat_guid":"L2","category":"Loge")"), 422, "validation-failed",
       "seatingPlan.zones[0].rows[0].seats[1].category"},
      {"/shows", replaced(good, R"("name":"Box","price")", R"("name":"Pit","price")"), 422, "validation-failed", "seatingPlan.categories[0]"},
      {"/shows", replaced(good, R"("rows")", R"("lines")"), 422, "validation-failed", "seatingPlan.zones[0].rows"},
      {"/shows", R"({"title":"Opera","currency":"EUR","seatingPlan":[]})", 422, "validation-failed", "seatingPlan"},
  });
  CHECK(v.post("/shows", good, v.operator_token).status == 201);
}

TEST_CASE("a body that is too large is not read") {
  venue v;
  const auto long_one = R"({"amount":1,"userId":")" + std::string(20'000, 'x') + R"("})";
  for (const std::string path : {"/balance/charge", "/users", "/reservations", "/payment", "/queue/token"}) {
    const auto a = v.post(path, long_one, v.ann);
    CHECK(a.status == 413);
    CHECK(code_of(a) == "body-too-large");
  }
}

TEST_CASE("a token that is missing, made up, expired or for something else is nobody's") {
  venue v;
  http::claims late{http::purpose::access, "usr_ann", http::role::user, {}, {}, v.node.clock.now() + 60s};
  const auto soon_over = v.node.running().access().issue(late);
  late.purpose = http::purpose::queue;
  const auto for_queue = v.node.running().access().issue(late);
  CHECK(v.get("/balance", soon_over).status == 200);
  v.node.clock.advance(61s);
  auto other_signature = v.ann;
  other_signature.back() = other_signature.back() == 'A' ? 'E' : 'A';
  for (const auto& token : {std::string{}, std::string{"x"}, std::string{"a.b.c"}, soon_over, for_queue, other_signature,
                            "eyJhbGciOiJub25lIn0" + v.ann.substr(v.ann.find('.')), std::string(3000, 'x')}) {
    INFO(token);
    const auto a = v.get("/balance", token);
    CHECK(a.status == 401);
    CHECK(code_of(a) == "unauthenticated");
  }
  const auto a = v.ask({"GET", "/balance", {}, {}, {{"Authorization", "Basic YTpi"}}});
  CHECK(code_of(a) == "unauthenticated");
}

TEST_CASE("other people's things can't be seen or changed") {
  venue v;
  const auto forbidden = [&](const std::string& method, const std::string& path, const std::string& body = {}) {
    INFO(method << ' ' << path);
    const auto a = v.ask({method, path, body, v.bob, {}});
    CHECK(a.status == 403);
    CHECK(code_of(a) == "forbidden");
  };
  forbidden("GET", "/users/usr_ann");
  forbidden("GET", "/users/usr_ann/reservations");
  forbidden("GET", "/balance/usr_ann");
  forbidden("GET", "/balance?userId=usr_ann");
  forbidden("GET", "/balance/histories?userId=usr_ann");
  forbidden("GET", "/point/usr_ann");
  forbidden("GET", "/point/usr_ann/histories");
  forbidden("PATCH", "/point/usr_ann/charge", R"({"amount":1})");
  forbidden("PATCH", "/point/usr_ann/use", R"({"amount":1})");
  forbidden("POST", "/balance/charge", R"({"amount":1,"userId":"usr_ann"})");
  forbidden("POST", "/queue/token", R"({"showId":")" + v.queue_show_id + R"(","userId":"usr_ann"})");
  forbidden("POST", "/reservations", R"({"showId":")" + v.show_id + R"(","seats":["A-2"],"userId":"usr_ann"})");
  forbidden("DELETE", "/reservations/" + v.reservation_id);
  forbidden("POST", "/reservations/" + v.reservation_id + "/cancel", "{}");
  forbidden("POST", "/payment", R"({"reservationId":")" + v.reservation_id + R"("})");
  forbidden("POST", "/shows", hall_with(""));
  forbidden("PATCH", "/shows/" + v.show_id, R"({"title":"Mine"})");
  REQUIRE(usher::tests::eventually([&] { return v.get("/reservations/" + v.reservation_id, v.ann).status == 200; }));
  forbidden("GET", "/reservations/" + v.reservation_id);
  CHECK(v.get("/reservations/" + v.reservation_id).status == 401);
}

TEST_CASE("what isn't there isn't found, however its name is written") {
  venue v;
  const auto other = "rsv_" + v.show_id.substr(4) + "_0000000000000000";
  const std::string at_length(4000, 'x');
  for (const auto& path : {std::string{"/shows/shw_none"}, std::string{"/shows/shw_none/seats"}, std::string{"/shows/%00"},
                           "/shows/" + at_length, std::string{"/users/usr_none"}, "/reservations/" + other,
                           std::string{"/reservations/rsv_"}, std::string{"/reservations/rsv__"}, std::string{"/reservations/..%2f.."},
                           "/reservations/" + at_length, std::string{"/nothing/here"}, std::string{"/v1/v1/shows"}, std::string{"/shows/%zz"}}) {
    INFO(path);
    const auto a = v.get(path, v.operator_token);
    CHECK(a.status == 404);
    CHECK(code_of(a) == "not-found");
  }
  check_all(v, v.ann, {
      {"/queue/token", R"({"showId":"shw_none"})", 404, "not-found", ""},
      {"/reservations", R"({"showId":"shw_none","seats":["A-1"]})", 404, "not-found", ""},
      {"/reservations/" + other + "/cancel", "{}", 404, "not-found", ""},
      {"/payment", R"({"reservationId":")" + other + R"("})", 404, "not-found", ""},
      {"/payment", R"({"reservationId":"rsv_a\u0000b_c"})", 404, "not-found", ""},
      {"/payment", "{}", 404, "not-found", ""},
  });
  CHECK(code_of(v.ask({"DELETE", "/reservations/" + other, {}, v.ann, {}})) == "not-found");
  CHECK(code_of(v.ask({"PATCH", "/shows/shw_none", R"({"title":"X"})", v.operator_token, {{"If-Match", "\"v1\""}}})) == "not-found");
}

TEST_CASE("a cursor, a limit, a format, a date and a position are well formed") {
  venue v;
  for (const std::string path :
       {"/shows?limit=0", "/shows?limit=201", "/shows?limit=-1", "/shows?limit=ten", "/shows?limit=1.5", "/shows?limit=",
        "/shows?limit=99999999999999999999", "/shows?cursor=nonsense", "/shows?cursor=-1", "/shows?date=2027-02-30", "/shows?date=today",
        "/shows?date=", "/shows?date=2027-3-1", "/reservations/2027-13-01", "/reservations/2027-02-30", "/reservations/abcd-ef-gh",
        "/shows/ID/seats?format=csv", "/shows/ID/seats?cursor=99", "/shows/ID/seats?cursor=-1", "/shows/ID/seats?cursor=x",
        "/shows/ID/seats?limit=1000", "/shows?a=%zz"}) {
    INFO(path);
    const auto a = v.get(replaced(path, "ID", v.show_id), v.ann);
    INFO(a.body);
    CHECK(a.status == 400);
    CHECK(code_of(a) == "invalid-request");
  }
  CHECK(code_of(v.ask({"GET", "/balance", {}, v.ann, {{"Min-Log-Position", "yesterday"}}})) == "invalid-request");
}

TEST_CASE("an Idempotency-Key is visible characters, not too many of them") {
  venue v;
  for (const auto& key : {std::string(256, 'k'), std::string{"two words"}, std::string{"\xc3\xa9"}, std::string{}}) {
    INFO(key);
    const auto a = v.ask({"POST", "/balance/charge", R"({"amount":1})", v.ann, {{"Idempotency-Key", key}}});
    CHECK(a.status == 400);
    CHECK(code_of(a) == "invalid-request");
    CHECK(fields_of(a).contains("Idempotency-Key"));
  }
  client c{v.node};
  CHECK(c.post("/balance/charge", R"({"amount":1})", v.ann, "key").status == 200);
  const auto again = c.post("/balance/charge", R"({"amount":2})", v.ann, "key");
  CHECK(again.status == 422);
  CHECK(code_of(again) == "idempotency-key-reused");
}

TEST_CASE("a change of a show needs to know what it changes") {
  venue v;
  const auto change = [&](const std::vector<std::pair<std::string, std::string>>& headers) {
    return v.ask({"PATCH", "/shows/" + v.show_id, R"({"title":"Another"})", v.operator_token, headers});
  };
  const auto without = change({});
  CHECK(without.status == 428);
  CHECK(code_of(without) == "precondition-required");
  for (const std::string tag : {"\"v0\"", "\"v2\"", "\"v18446744073709551615\""}) {
    INFO(tag);
    const auto a = change({{"If-Match", tag}});
    CHECK(a.status == 412);
    CHECK(code_of(a) == "version-mismatch");
  }
  for (const std::string tag : {"v1", "1", "\"\"", "\"v\"", "\"v-1\"", "\"v1x\"", "\"v99999999999999999999\"", "W/\"v1\""}) {
    INFO(tag);
    const auto a = change({{"If-Match", tag}});
    CHECK(a.status == 400);
    CHECK(code_of(a) == "invalid-request");
  }
  CHECK(change({{"If-Match", "\"v1\""}}).status == 200);
}

TEST_CASE("a show with a queue sells only to whoever it has admitted") {
  venue v;
  const auto joined = v.post("/queue/token", R"({"showId":")" + v.queue_show_id + R"("})", v.ann);
  REQUIRE(joined.status == 201);
  for (const auto& token : {std::string{}, std::string{"x.y.z"}, joined.text("token"), v.ann}) {
    INFO(token);
    const auto a = v.ask({"POST", "/reservations", venue::reserve(v.queue_show_id, "A-1"), v.ann, {{"Queue-Token", token}}});
    CHECK(a.status == 403);
    CHECK(code_of(a) == "admission-required");
  }
}

TEST_CASE("text that isn't UTF-8 is never stored, wherever it comes from") {
  venue v;
  const std::string broken = "\xff\xfe";
  CHECK(code_of(v.ask({"PATCH", "/point/%ff%fe/charge", R"({"amount":1})", v.operator_token, {}})) == "not-found");
  CHECK(v.get("/users/%ff", v.operator_token).status == 404);
  CHECK(v.get("/shows?cursor=%ff").status == 400);
  CHECK(v.post("/reservations/rsv_%ff_abc/cancel", "{}", v.ann).status == 404);
  const auto a = v.ask({"POST", "/balance/charge", R"({"amount":7})", v.ann, {{"traceparent", broken}, {"Request-Id", broken}}});
  CHECK(a.status == 200);
  v.node.restart();
  CHECK(usher::tests::eventually([&] { return v.get("/balance", v.ann).number("balance") == 7; }));
}

TEST_CASE("no endpoint takes nonsense, none fails over it, and the node goes on") {
  venue v;
  usher::tests::route_table table;
  const std::vector<std::string> bodies{
      "[]", "null", R"({"x":1})", "1", "\"text\"", "true", "{", "}", "{}{}", "{\"amount\":1e999}", "\xef\xbb\xbf{\"x\":1}",
      std::string{"\0\0\0", 3}, "{\"name\":\"\xff\xfe\"}", "{\"\xc0\xaf\":1}", R"({"name":"\ud800"})",
      nested(5000, "[", "]"), nested(1000, R"({"a":)", "}"), nested(1000, R"({"queue":)", "}"), std::string(10'000, '[')};
  std::size_t asked = 0;
  for (const auto& row : table.rows()) {
    auto path = replaced(row.pattern, "{userId}", "usr_ann");
    path = replaced(path, "{id}", row.pattern.starts_with("/shows") ? v.show_id : "rsv_" + v.show_id.substr(4) + "_0000000000000000");
    for (const auto& body : bodies) {
      const auto method = row.method == http::method::get ? "POST" : std::string{http::word_of(row.method)};
      INFO(method << ' ' << path << ' ' << body.substr(0, 60));
      const auto a = v.ask({method, path, body, v.operator_token, {{"If-Match", "\"v1\""}}});
      INFO(a.body);
      CHECK(a.status >= 400);
      CHECK(a.status < 500);
      CHECK_FALSE(code_of(a).empty());
      ++asked;
    }
  }
  CHECK(asked > 500);
  CHECK(v.get("/healthz").status == 200);
  CHECK(v.get("/readyz").status == 200);
  CHECK(v.post("/reservations", venue::reserve(v.show_id, "A-2"), v.bob).status == 201);
}
