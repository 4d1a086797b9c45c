// Who gets which seats: the house's choice, what a refused buyer is told, and seats that may not be left alone, over real sockets.

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/client.hpp"

namespace usher::tests {
namespace {

namespace json = boost::json;
using names = std::vector<std::string>;

names names_of(const json::value& list) {
  names out;
  for (const auto& name : list.as_array()) out.emplace_back(name.as_string());
  return out;
}

/// The names that an answer has as a list; none where it has no such list.
names listed(const answer& a, const char* member) {
  const auto body = a.json();
  return body.contains(member) ? names_of(body.at(member)) : names{};
}

std::vector<names> blocks(const answer& a) {
  std::vector<names> out;
  const auto body = a.json();
  for (const auto& block : body.at("blocks").as_array()) out.push_back(names_of(block));
  return out;
}

struct offer {
  names seats;
  std::int64_t amount;
  bool operator==(const offer&) const = default;
};

std::ostream& operator<<(std::ostream& out, const offer& o) {
  for (const auto& seat : o.seats) out << seat << ' ';
  return out << "for " << o.amount;
}

std::vector<offer> offers(const answer& a) {
  std::vector<offer> out;
  const auto body = a.json();
  if (const auto* list = body.if_contains("alternatives"))
    for (const auto& one : list->as_array()) out.push_back({names_of(one.at("seats")), one.at("amount").to_number<std::int64_t>()});
  return out;
}

json::object row(const char* name, int seats, const char* tier = "gold", json::array accessible = {}) {
  return {{"name", name}, {"seats", seats}, {"tier", tier}, {"accessible", std::move(accessible)}};
}

/// A node whose shows have two tiers: gold at 5,000 and tin at 1,000.
struct hall : test_node {
  std::string director = token("op_director", http::role::operator_);
  std::string door = token("svc_door", http::role::service);

  static json::object plan(json::array rows) {
    return {{"title", "Evening"}, {"venue", "Hall"}, {"currency", "EUR"}, {"ticketLimit", 1000},
            {"tiers", json::array{json::object{{"name", "gold"}, {"price", 5000}}, json::object{{"name", "tin"}, {"price", 1000}}}},
            {"sections", json::array{json::object{{"name", "stalls"}, {"kind", "seated"}, {"rows", std::move(rows)}}}}};
  }
  answer try_open(const json::object& body) { return client{*this}.post("/shows", json::serialize(body), director); }
  std::string open(const json::object& body) {
    const auto opened = try_open(body);
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    return opened.text("showId");
  }
  std::string open_rows(json::array rows) { return open(plan(std::move(rows))); }
  std::string open_without_orphans(json::array rows) {
    auto body = plan(std::move(rows));
    body["forbidOrphans"] = true;
    return open(body);
  }
  static std::string pick_body(const std::string& show, const names& seats) {
    return json::serialize(json::object{{"showId", show}, {"seats", json::array(seats.begin(), seats.end())}});
  }
  static std::string best_body(const std::string& show, json::object wish) {
    return json::serialize(json::object{{"showId", show}, {"bestAvailable", std::move(wish)}});
  }
  answer pick(const std::string& show, const names& seats, const std::string& user = "usr_ann") {
    return client{*this}.post("/reservations", pick_body(show, seats), token(user));
  }
  answer best(const std::string& show, json::object wish, const std::string& user = "usr_ann") {
    return client{*this}.post("/reservations", best_body(show, std::move(wish)), token(user));
  }
  /// These seats are gone, and every read model knows it.
  void sell(const std::string& show, const names& seats) {
    const auto held = pick(show, seats, "usr_others");
    INFO(held.body);
    REQUIRE(held.status == 201);
    request look{"GET", "/shows/" + show, {}, {}, {{"Min-Log-Position", held.header("Log-Position")}}};
    REQUIRE(client{*this}.ask(look).status == 200);
  }
  json::array seat_list(const std::string& show) {
    return client{*this}.get("/shows/" + show + "/seats?format=list&limit=200").json().at("items").as_array();
  }
  std::set<std::string> taken(const std::string& show) {
    std::set<std::string> out;
    for (const auto& seat : seat_list(show))
      if (seat.at("status").as_string() != "AVAILABLE") out.emplace(seat.at("seat").as_string());
    return out;
  }
  answer patch(const std::string& show, const std::string& body) {
    const auto etag = client{*this}.get("/shows/" + show).header("ETag");
    return client{*this}.ask({"PATCH", "/shows/" + show, body, director, {{"If-Match", etag}}});
  }
};

names numbered(const char* row, std::initializer_list<int> numbers) {
  names out;
  for (const int n : numbers) out.push_back(row + ('-' + std::to_string(n)));
  return out;
}

}  // namespace

TEST_CASE("the house gives seats side by side, in the middle of the first row that has them") {
  hall h;
  const auto show = h.open_rows({row("A", 6), row("B", 7)});
  const auto first = h.best(show, {{"quantity", 2}});
  INFO(first.body);
  CHECK(first.status == 201);
  CHECK(listed(first, "seats") == numbered("A", {3, 4}));
  CHECK_FALSE(first.json().at("split").as_bool());
  CHECK(blocks(first) == std::vector<names>{numbered("A", {3, 4})});
  CHECK(eventually([&] { return h.taken(show).size() == 2; }));
  CHECK(listed(h.best(show, {{"quantity", 3}}), "seats") == numbered("B", {3, 4, 5}));
}

TEST_CASE("the house gives seats of the tier that was asked for, and never of two tiers together") {
  hall h;
  const auto show = h.open_rows({row("A", 3, "gold"), row("B", 5, "tin")});
  CHECK(listed(h.best(show, {{"quantity", 1}, {"tier", "tin"}}), "seats") == numbered("B", {3}));
  CHECK(h.best(show, {{"quantity", 4}, {"tier", "gold"}}).status == 409);
  CHECK(h.best(show, {{"quantity", 1}, {"tier", "brass"}}).status == 422);
  CHECK(eventually([&] { return h.taken(show).size() == 1; }));
  const auto refused = h.best(show, {{"quantity", 5}});  // seven are free, but four of a tier at most
  CHECK(refused.status == 409);
  CHECK(refused.text("code") == "seat-unavailable");
  CHECK(offers(refused).empty());
}

TEST_CASE("what fits in no row is split between rows that are next to each other, and the answer says so") {
  hall h;
  const auto show = h.open_rows({row("A", 3), row("B", 1), row("C", 3), row("D", 2)});
  const request wish{"POST", "/reservations", hall::best_body(show, {{"quantity", 5}}), h.token("usr_ann"), {{"Idempotency-Key", "five"}}};
  const auto split = client{h}.ask(wish);
  INFO(split.body);
  CHECK(split.status == 201);
  CHECK(split.json().at("split").as_bool());
  CHECK(blocks(split) == std::vector<names>{numbered("C", {1, 2, 3}), numbered("D", {1, 2})});
  CHECK(split.number("amount") == 25'000);
  CHECK(h.pick(show, numbered("A", {1, 2, 3}), "usr_ben").status == 201);
  const auto again = client{h}.ask(wish);
  CHECK(again.header("Idempotency-Replayed") == "true");
  CHECK(again.body == split.body);
}

TEST_CASE("accessible seats are marked in the hall, kept over a restart, and given to who asks for them") {
  hall h;
  auto body = hall::plan({row("A", 4, "gold", {2, 3})});
  body["sections"].as_array().push_back(json::object{{"name", "box"}, {"kind", "seated"}, {"rows", json::array{json::object{
      {"name", "1"}, {"tier", "tin"}, {"named", json::array{json::object{{"number", "I"}, {"accessible", true}}, json::object{{"number", "II"}}}}}}}});
  const auto show = h.open(body);
  const auto accessible = [&] {
    names out;
    for (const auto& seat : h.seat_list(show))
      if (const auto* is = seat.as_object().if_contains("accessible")) out.push_back(std::string{seat.at("seat").as_string()} + (is->as_bool() ? "" : "?"));
    return out;
  };
  CHECK(accessible() == names{"stalls/A-2", "stalls/A-3", "box/1-I"});
  h.restart();
  CHECK(accessible() == names{"stalls/A-2", "stalls/A-3", "box/1-I"});
  CHECK(listed(h.best(show, {{"quantity", 2}, {"accessible", true}}), "seats") == names{"stalls/A-2", "stalls/A-3"});
  CHECK(eventually([&] { return h.taken(show).size() == 2; }));
  CHECK(h.best(show, {{"quantity", 2}, {"accessible", true}}).status == 409);
  CHECK(listed(h.best(show, {{"quantity", 1}, {"tier", "tin"}}), "seats") == names{"box/1-II"});
}

TEST_CASE("who does not ask for accessible seats gets them only when nothing else is left") {
  hall h;
  const auto show = h.open_rows({row("A", 3, "gold", {2}), row("B", 2)});
  CHECK(listed(h.best(show, {{"quantity", 2}}), "seats") == numbered("B", {1, 2}));
  CHECK(eventually([&] { return h.taken(show).size() == 2; }));
  const auto apart = h.best(show, {{"quantity", 2}});
  INFO(apart.body);
  CHECK(blocks(apart) == std::vector<names>{{"A-1"}, {"A-3"}});
  CHECK(eventually([&] { return h.taken(show).size() == 4; }));
  CHECK(listed(h.best(show, {{"quantity", 1}}), "seats") == names{"A-2"});
}

TEST_CASE("a plan that marks seats as accessible which it does not have is told where") {
  hall h;
  const auto refused = h.try_open(hall::plan({row("A", 4, "gold", {2, 5, 0, 2})}));
  CHECK(refused.status == 422);
  names fields;
  const auto body = refused.json();
  for (const auto& fault : body.at("faults").as_array()) fields.emplace_back(fault.at("field").as_string());
  CHECK(fields == names{"sections[0].rows[0].accessible[1]", "sections[0].rows[0].accessible[2]", "sections[0].rows[0].accessible[3]"});
  CHECK(h.try_open(hall::plan({row("A", 4, "gold", {"two"})})).status == 400);
}

TEST_CASE("who wants seats that are taken is told all of them, and what could be had instead") {
  hall h;
  const auto show = h.open_rows({row("A", 8), row("B", 6, "tin")});
  REQUIRE(h.pick(show, numbered("A", {4, 5, 8}), "usr_ben").status == 201);
  const auto refused = h.pick(show, numbered("A", {5, 3, 4}));  // at once: whoever was answered is known to the next one
  INFO(refused.body);
  CHECK(refused.status == 409);
  CHECK(refused.text("code") == "seat-unavailable");
  CHECK(listed(refused, "seats") == numbered("A", {5, 4}));
  CHECK(offers(refused) == std::vector<offer>{{numbered("A", {1, 2, 3}), 15'000}});
  const auto pair = h.pick(show, numbered("A", {7, 8}));
  CHECK(listed(pair, "seats") == names{"A-8"});
  CHECK(offers(pair) == std::vector<offer>{{numbered("A", {6, 7}), 10'000}, {numbered("A", {2, 3}), 10'000}});
  CHECK(h.pick(show, offers(pair)[0].seats).status == 201);

  REQUIRE(h.pick(show, numbered("B", {3}), "usr_ben").status == 201);
  const auto one = h.pick(show, numbered("B", {3}));
  CHECK(offers(one) == std::vector<offer>{{{"B-4"}, 1'000}, {{"B-6"}, 1'000}, {{"B-2"}, 1'000}});
  const auto of_two_tiers = h.pick(show, {"A-1", "B-3"});
  CHECK(listed(of_two_tiers, "seats") == names{"B-3"});
  CHECK(offers(of_two_tiers).empty());
}

TEST_CASE("who wants a wheelchair seat is offered wheelchair seats, and others are not") {
  hall h;
  const auto show = h.open_rows({row("A", 6, "gold", {1, 2, 3})});
  REQUIRE(h.pick(show, {"A-2", "A-5"}, "usr_ben").status == 201);
  CHECK(offers(h.pick(show, {"A-2"})) == std::vector<offer>{{{"A-1"}, 5'000}, {{"A-3"}, 5'000}});
  CHECK(offers(h.pick(show, {"A-5"})) == std::vector<offer>{{{"A-6"}, 5'000}, {{"A-4"}, 5'000}});
  CHECK(offers(h.pick(show, {"A-2", "A-5"})).empty());
}

TEST_CASE("where a show forbids it nobody may pick seats that leave a single one, whatever their role") {
  hall h;
  const auto show = h.open_without_orphans({row("A", 8), row("B", 5, "tin")});
  const auto refused = h.pick(show, numbered("A", {2, 3}));
  INFO(refused.body);
  CHECK(refused.status == 409);
  CHECK(refused.text("code") == "orphan-seat");
  CHECK(listed(refused, "seats") == names{"A-1"});
  CHECK(offers(refused) == std::vector<offer>{{numbered("A", {4, 5}), 10'000}, {numbered("A", {1, 2}), 10'000}, {numbered("A", {7, 8}), 10'000}});
  CHECK(h.taken(show).empty());
  for (const auto& token : {h.door, h.director}) {
    const auto body = json::serialize(json::object{{"showId", show}, {"userId", "usr_ann"}, {"seats", json::array{"A-2", "A-3"}}});
    CHECK(client{h}.post("/reservations", body, token).status == 409);
  }
  CHECK(listed(h.pick(show, {"A-2", "A-4"}), "seats") == numbered("A", {1, 3}));
  CHECK(h.pick(show, numbered("A", {4, 5})).status == 201);
  CHECK(listed(h.pick(show, {"A-7"}), "seats") == numbered("A", {6, 8}));  // at once, on what the pick before has left
  CHECK(h.pick(show, numbered("A", {6, 7, 8})).status == 201);
}

TEST_CASE("a single seat may be left where nothing else is left of that tier") {
  hall h;
  const auto show = h.open_without_orphans({row("A", 3), row("B", 9, "tin"), row("C", 3)});
  CHECK(h.pick(show, numbered("A", {1, 2})).status == 201);  // no two seats side by side would spare one
  CHECK(h.pick(show, {"C-1", "A-3"}).status == 201);                // leaves two
  CHECK(h.pick(show, {"C-2"}).status == 201);                       // either of them leaves the other
}

TEST_CASE("an operator may forbid single seats, and allow them again, while the sale goes on") {
  hall h;
  const auto show = h.open_rows({row("A", 9)});
  const auto forbids = [&] { return client{h}.get("/shows/" + show).json().at("forbidOrphans").as_bool(); };
  CHECK_FALSE(forbids());
  CHECK(h.pick(show, {"A-2"}).status == 201);
  const auto on = h.patch(show, R"({"forbidOrphans":true})");
  CHECK(on.status == 200);
  CHECK(on.json().at("forbidOrphans").as_bool());
  CHECK(h.patch(show, R"({"forbidOrphans":true})").number("version") == on.number("version"));
  CHECK(h.pick(show, {"A-8"}).text("code") == "orphan-seat");
  h.restart();
  CHECK(forbids());
  CHECK(h.pick(show, {"A-8"}).text("code") == "orphan-seat");
  CHECK(h.patch(show, R"({"forbidOrphans":false})").status == 200);
  CHECK_FALSE(forbids());
  CHECK(h.pick(show, {"A-8"}).status == 201);
}

TEST_CASE("where single seats are forbidden the house goes to another row rather than leave one") {
  hall h;
  const auto lenient = h.open_rows({row("A", 3), row("B", 4)});
  const auto strict = h.open_without_orphans({row("A", 3), row("B", 4)});
  CHECK(listed(h.best(lenient, {{"quantity", 2}}), "seats") == numbered("A", {1, 2}));
  CHECK(listed(h.best(strict, {{"quantity", 2}}), "seats") == numbered("B", {1, 2}));
}

TEST_CASE("a retry of a pick is answered as the first time, though today it would be refused") {
  hall h;
  const auto show = h.open_rows({row("A", 5)});
  const auto ann = h.token("usr_ann");
  const auto body = hall::pick_body(show, {"A-2"});
  const auto first = client{h}.post("/reservations", body, ann, "two");
  REQUIRE(first.status == 201);
  const auto id = first.text("reservationId");
  REQUIRE(client{h}.ask({"DELETE", "/reservations/" + id, {}, ann, {}}).status == 200);
  REQUIRE(h.patch(show, R"({"forbidOrphans":true})").status == 200);
  CHECK(h.pick(show, {"A-2"}).text("code") == "orphan-seat");
  const auto again = client{h}.post("/reservations", body, ann, "two");
  CHECK(again.status == 201);
  CHECK(again.body == first.body);
  CHECK(again.header("Idempotency-Replayed") == "true");
}

TEST_CASE("fifty who leave the choice to the house at once all get seats, though no seat is to spare") {
  hall h;
  const auto show = h.open_rows({row("A", 25), row("B", 25), row("C", 25), row("D", 25)});
  std::vector<request> wishes;
  for (int i = 0; i < 50; ++i)
    wishes.push_back({"POST", "/reservations", hall::best_body(show, {{"quantity", 2}}), h.token("usr_" + std::to_string(i)), {}});
  std::set<std::string> seats;
  for (const auto& a : at_once(h.port(), 50, wishes)) {
    INFO(a.body);
    CHECK(a.status == 201);
    for (const auto& seat : listed(a, "seats")) seats.insert(seat);
  }
  CHECK(seats.size() == 100);
}

TEST_CASE("of three who want overlapping seats at once nobody is refused a seat because of a set that failed") {
  hall h;
  const auto show = h.open_rows({row("A", 200)});
  std::mt19937 random{42};
  for (int round = 0; round < 40; ++round) {
    const auto seat = [&](int n) { return "A-" + std::to_string(5 * round + n); };
    h.sell(show, {seat(1)});
    std::vector<names> sets{{seat(1), seat(2)}, {seat(2), seat(3)}, {seat(3), seat(4)}};
    for (auto& set : sets) std::ranges::shuffle(set, random);
    std::ranges::shuffle(sets, random);
    std::vector<request> wishes;
    for (const auto& set : sets)
      wishes.push_back({"POST", "/reservations", hall::pick_body(show, set), h.token("usr_" + std::to_string(wishes.size())), {}});
    const auto answers = at_once(h.port(), 3, wishes);
    const auto gone = [&] {
      std::set<std::string> out{seat(1)};
      for (const auto& a : answers)
        if (a.status == 201) out.merge([&] { const auto got = listed(a, "seats"); return std::set<std::string>(got.begin(), got.end()); }());
      return out;
    }();
    INFO("round " << round);
    CHECK(std::ranges::count(answers, 201U, &answer::status) == 1);  // two of the sets could be had, and they share a seat
    for (const auto& a : answers) {
      if (a.status == 201) continue;
      INFO(a.body);
      CHECK(a.text("code") == "seat-unavailable");
      CHECK_FALSE(listed(a, "seats").empty());
      for (const auto& named : listed(a, "seats")) CHECK(gone.contains(named));
    }
  }
}

}  // namespace usher::tests
