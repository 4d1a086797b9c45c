// What a sale promises its buyers, asked over real sockets of a whole node with a real log.

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>

#include "store/database.hpp"
#include "tests/client.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr std::size_t crowd = 400;  // connections of those who come at once

/// A node with what the tests do on it.
struct box_office : test_node {
  std::string service = token("svc_door", http::role::service);
  std::string director = token("op_director", http::role::operator_);

  std::string open(const std::string& body) {
    const auto opened = client{*this}.post("/shows", body, director);
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    return opened.text("showId");
  }
  /// Seats A-1 to A-10 at 1,000 each.
  std::string open_hall() {
    return open(R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
                    "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":10,"tier":"all"}]}]})");
  }
  void charge(const std::string& user, std::int64_t amount) {
    REQUIRE(client{*this}.post("/balance/charge", amount_body(amount), token(user)).status == 200);
  }
  static std::string amount_body(std::int64_t amount) { return json::serialize(json::object{{"amount", amount}}); }
  static std::string seat_body(const std::string& show, const std::string& seat) {
    return json::serialize(json::object{{"showId", show}, {"seats", json::array{json::value(seat)}}});
  }
  static std::string payment_body(const std::string& reservation) {
    return json::serialize(json::object{{"reservationId", reservation}});
  }
  /// Holds the seat. @return the reservation's id
  std::string hold(const std::string& user, const std::string& show, const std::string& seat) {
    const auto held = client{*this}.post("/reservations", seat_body(show, seat), token(user));
    INFO(held.body);
    REQUIRE(held.status == 201);
    CHECK(held.text("status") == "PENDING");
    return held.text("reservationId");
  }
  std::string seat_status(const std::string& show, const std::string& seat) {
    const auto page = client{*this}.get("/shows/" + show + "/seats?limit=200").json();
    for (const auto& item : page.at("items").as_array())
      if (item.at("seat").as_string() == seat) return std::string{item.at("status").as_string()};
    return "no such seat";
  }
  std::string reservation_status(const std::string& id) { return client{*this}.get("/reservations/" + id, service).text("status"); }
  std::int64_t balance(const std::string& user) { return client{*this}.get("/balance/" + user, service).number("balance"); }
  bool seat_becomes(const std::string& show, const std::string& seat, const std::string& status) {
    return eventually([&] { return seat_status(show, seat) == status; });
  }
  bool reservation_becomes(const std::string& id, const std::string& status) {
    return eventually([&] { return reservation_status(id) == status; });
  }
  bool balance_becomes(const std::string& user, std::int64_t balance_) {
    return eventually([&] { return balance(user) == balance_; });
  }
  json::array history(const std::string& user) {
    return client{*this}.get("/balance/histories?limit=200&userId=" + user, service).json().at("items").as_array();
  }
  json::object counts(const std::string& show) { return client{*this}.get("/shows/" + show).json().at("counts").as_object(); }
};

std::map<unsigned, std::size_t> by_status(const std::vector<answer>& answers) {
  std::map<unsigned, std::size_t> out;
  for (const auto& a : answers) ++out[a.status];
  return out;
}

using statuses = std::map<unsigned, std::size_t>;

}  // namespace

TEST_CASE("of 10,000 who want one of 1,000 places at once exactly 1,000 get one, and a restart knows it") {
  box_office office;
  const auto show = office.open(R"({"title":"Open air","venue":"Field","currency":"EUR","tiers":[{"name":"all","price":2500}],
      "sections":[{"name":"field","kind":"generalAdmission","stock":1000,"tier":"all"}]})");
  std::vector<request> wishes;
  for (int i = 0; i < 10'000; ++i)
    wishes.push_back({"POST", "/reservations",
                      json::serialize(json::object{{"showId", show}, {"userId", "usr_" + std::to_string(i)},
                                                   {"generalAdmission", json::array{json::object{{"section", "field"}, {"quantity", 1}}}}}),
                      office.service, {}});
  const auto answers = at_once(office.port(), crowd, wishes);
  CHECK(by_status(answers) == statuses{{201, 1000}, {409, 9000}});
  std::set<std::string> ids;
  for (const auto& a : answers)
    if (a.status == 201) ids.insert(a.text("reservationId"));
  CHECK(ids.size() == 1000);

  const json::object sold_out{{"capacity", 1000}, {"available", 0}, {"held", 1000}, {"sold", 0}, {"blocked", 0}};
  CHECK(eventually([&] { return office.counts(show) == sold_out; }));
  office.restart();
  CHECK(office.counts(show) == sold_out);
  CHECK(office.reservation_status(*ids.begin()) == "PENDING");
}

TEST_CASE("of all who want one seat at once exactly one gets it, and the others are told which seat is gone") {
  box_office office;
  const auto show = office.open_hall();
  const auto race = [&](const std::string& seat, int buyers) {
    std::vector<request> wishes;
    for (int i = 0; i < buyers; ++i)
      wishes.push_back({"POST", "/reservations", office.seat_body(show, seat), office.token("usr_" + std::to_string(i)), {}});
    const auto answers = at_once(office.port(), crowd, wishes);
    CHECK(by_status(answers) == statuses{{201, 1}, {409, static_cast<std::size_t>(buyers) - 1}});
    std::size_t named = 0;
    for (const auto& a : answers)
      if (a.status == 409 && a.text("code") == "seat-unavailable" && a.json().at("seats") == json::array{json::value(seat)}) ++named;
    CHECK(named == static_cast<std::size_t>(buyers) - 1);
    CHECK(office.seat_becomes(show, seat, "HELD"));
  };
  race("A-1", 10);
  race("A-2", 1000);
}

TEST_CASE("1,000 who join a queue at once get the numbers 1 to 1,000 and are let in 250 every ten seconds") {
  box_office office;
  const auto show = office.open(R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],"queue":{},
      "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":10,"tier":"all"}]},{"name":"field","kind":"generalAdmission","stock":1000,"tier":"all"}]})");
  std::vector<request> wishes;
  for (int i = 0; i < 1000; ++i)
    wishes.push_back({"POST", "/queue/token", json::serialize(json::object{{"showId", show}}), office.token("usr_" + std::to_string(i)), {}});
  const auto answers = at_once(office.port(), crowd, wishes);
  REQUIRE(by_status(answers) == statuses{{201, 1000}});

  struct place {
    std::string user, token, ticket;
  };
  std::map<std::int64_t, place> line;
  for (std::size_t i = 0; i < answers.size(); ++i)
    line[answers[i].number("number")] = {"usr_" + std::to_string(i), answers[i].text("token"), answers[i].text("ticketId")};
  REQUIRE(line.size() == 1000);
  CHECK(line.begin()->first == 1);
  CHECK(line.rbegin()->first == 1000);

  client door{office};
  const auto status = [&](std::int64_t number) {
    return door.ask({"GET", "/queue/status", {}, office.token(line[number].user), {{"Queue-Token", line[number].token}}});
  };
  // Everyone up to `through` is inside, and those behind are as far from the door as there are people before them.
  const auto check_admitted = [&](std::int64_t through) {
    CHECK(eventually([&] { return status(through).text("status") == "ADMITTED"; }));
    CHECK(status(through).number("position") == 0);
    for (const auto number : {through + 1, std::int64_t{1000}}) {
      if (number > 1000 || through == 1000) continue;
      const auto behind = status(number);
      CHECK(behind.text("status") == "WAITING");
      CHECK(behind.number("position") == number - through);
    }
  };
  check_admitted(250);

  struct seen {
    std::unique_ptr<watcher> socket;
    std::int64_t number, position;
  };
  std::vector<seen> watchers;
  for (const std::int64_t number : {251, 300, 500, 501, 625, 750}) {
    watchers.push_back({std::make_unique<watcher>(office.port(), office.token(line[number].user)), number, 0});
    watchers.back().socket->subscribe("queue:" + line[number].ticket);
    const auto first = watchers.back().socket->read();
    CHECK(first.at("op").as_string() == "snapshot");
    CHECK(first.at("data").at("status").as_string() == "WAITING");
    CHECK(first.at("data").at("position").to_number<std::int64_t>() == number - 250);
  }

  office.clock.advance(9'999ms);
  check_admitted(250);
  office.clock.advance(1ms);
  check_admitted(500);
  for (auto& w : watchers) {
    INFO("number " << w.number);
    auto moved = w.socket->read();
    while (moved.at("op").as_string() == "room") moved = w.socket->read();  // for everybody
    INFO(json::serialize(moved));
    CHECK(moved.at("op").as_string() == "delta");
    const auto& data = moved.at("data").as_object();
    const bool inside = w.number <= 500;
    CHECK(data.at("status").as_string() == (inside ? "ADMITTED" : "WAITING"));
    CHECK(data.at("position").to_number<std::int64_t>() == (inside ? 0 : w.number - 500));
    CHECK(data.contains("admission") == inside);
  }
  office.clock.advance(10s);
  check_admitted(750);
  office.clock.advance(10s);
  check_admitted(1000);

  const auto wish = [&](const std::vector<std::pair<std::string, std::string>>& headers) {
    return door.ask({"POST", "/reservations", office.seat_body(show, "A-1"), office.token(line[1000].user), headers});
  };
  CHECK(wish({}).status == 403);
  const auto admission = status(1000).json().at("admission").at("token").as_string();
  CHECK(wish({{"Queue-Token", std::string{admission}}}).status == 201);
}

TEST_CASE("of 70 who take 1 from 50 at once exactly 50 succeed, and the history has every change") {
  box_office office;
  office.charge("usr_ann", 50);
  const std::vector<request> uses(70, {"POST", "/balance/use", office.amount_body(1), office.token("usr_ann"), {}});
  const auto answers = at_once(office.port(), 70, uses);
  CHECK(by_status(answers) == statuses{{200, 50}, {402, 20}});
  CHECK(office.balance_becomes("usr_ann", 0));
  const auto history = office.history("usr_ann");
  CHECK(history.size() == 51);
  std::set<std::int64_t> balances;
  for (const auto& entry : history) balances.insert(entry.at("balance").to_number<std::int64_t>());
  CHECK(balances.size() == 51);
}

TEST_CASE("two charges at once both count, and so do five purchases at once") {
  box_office office;
  const auto ann = office.token("usr_ann");
  CHECK(by_status(at_once(office.port(), 2, std::vector<request>(2, {"POST", "/balance/charge", office.amount_body(5000), ann, {}}))) ==
        statuses{{200, 2}});
  CHECK(office.balance_becomes("usr_ann", 10'000));

  const auto show = office.open_hall();
  std::vector<request> wishes, payments;
  for (int i = 1; i <= 5; ++i) wishes.push_back({"POST", "/reservations", office.seat_body(show, "A-" + std::to_string(i)), ann, {}});
  for (const auto& held : at_once(office.port(), 5, wishes)) {
    REQUIRE(held.status == 201);
    payments.push_back({"POST", "/payment", office.payment_body(held.text("reservationId")), ann, {}});
  }
  const auto paid = at_once(office.port(), 5, payments);
  CHECK(by_status(paid) == statuses{{200, 5}});
  for (const auto& p : paid) CHECK(p.text("status") == "CONFIRMED");
  CHECK(office.balance_becomes("usr_ann", 5000));
  CHECK(office.seat_becomes(show, "A-5", "SOLD"));
}

TEST_CASE("a hold that is not paid ends by itself after five minutes and the seat is free again") {
  box_office office;
  office.charge("usr_ann", 10'000);
  const auto show = office.open_hall();
  const auto id = office.hold("usr_ann", show, "A-3");
  office.clock.advance(5min - 1ms);
  CHECK(office.seat_becomes(show, "A-3", "HELD"));
  CHECK(office.reservation_becomes(id, "PENDING"));
  office.clock.advance(1ms);
  CHECK(office.seat_becomes(show, "A-3", "AVAILABLE"));
  CHECK(office.reservation_becomes(id, "EXPIRED"));
  const auto late = client{office}.post("/payment", office.payment_body(id), office.token("usr_ann"));
  CHECK(late.status == 410);
  CHECK(late.text("code") == "reservation-expired");
  CHECK(office.balance("usr_ann") == 10'000);
  office.hold("usr_ben", show, "A-3");
}

TEST_CASE("a hold that ends while the node is down ends when the node is back, though nobody asks for it") {
  box_office office;
  const auto show = office.open_hall();
  const auto id = office.hold("usr_ann", show, "A-3");
  office.restart();
  CHECK(office.seat_status(show, "A-3") == "HELD");
  CHECK(office.reservation_status(id) == "PENDING");
  office.stop();
  office.clock.advance(5min);
  office.start();
  CHECK(office.seat_becomes(show, "A-3", "AVAILABLE"));
  CHECK(office.reservation_becomes(id, "EXPIRED"));
}

TEST_CASE("the same request twice with one key has one effect and one answer, also after a restart") {
  box_office office;
  const auto show = office.open_hall();
  const auto ann = office.token("usr_ann");
  const auto twice = [&](const std::string& path, const std::string& body, const std::string& other_body, const std::string& key) {
    INFO(path);
    const auto first = client{office}.post(path, body, ann, key);
    INFO(first.body);
    CHECK(first.status < 300);
    CHECK(first.header("Idempotency-Replayed").empty());
    const auto check_replay = [&] {
      const auto again = client{office}.post(path, body, ann, key);
      CHECK(again.status == first.status);
      CHECK(again.body == first.body);
      CHECK(again.header("Idempotency-Replayed") == "true");
      const auto other = client{office}.post(path, other_body, ann, key);
      CHECK(other.status == 422);
      CHECK(other.text("code") == "idempotency-key-reused");
    };
    check_replay();
    office.restart();
    check_replay();
    return first;
  };
  twice("/balance/charge", office.amount_body(3000), office.amount_body(4000), "charge-1");
  CHECK(office.balance_becomes("usr_ann", 3000));
  const auto held = twice("/reservations", office.seat_body(show, "A-1"), office.seat_body(show, "A-2"), "reserve-1");
  CHECK(office.seat_becomes(show, "A-1", "HELD"));
  CHECK(office.seat_status(show, "A-2") == "AVAILABLE");
  const auto id = held.text("reservationId");
  const auto another = id.substr(0, id.size() - 1) + (id.back() == 'a' ? 'b' : 'a');
  twice("/payment", office.payment_body(id), office.payment_body(another), "pay-1");
  CHECK(office.balance_becomes("usr_ann", 2000));
  CHECK(office.history("usr_ann").size() == 2);
}

TEST_CASE("a seat that is paid for stays sold until it is cancelled, and then the money is back") {
  box_office office;
  office.charge("usr_ann", 1500);
  const auto show = office.open_hall();
  const auto id = office.hold("usr_ann", show, "A-4");
  client ann{office};
  const auto token = office.token("usr_ann");
  const auto paid = ann.post("/payment", office.payment_body(id), token);
  INFO(paid.body);
  REQUIRE(paid.status == 200);
  CHECK(paid.number("amount") == 1000);
  CHECK(office.balance_becomes("usr_ann", 500));
  // What is due at the new time has been looked at once a hold that began later has ended.
  const auto witness = office.hold("usr_ben", show, "A-5");
  office.clock.advance(10min);
  CHECK(office.reservation_becomes(witness, "EXPIRED"));
  CHECK(office.seat_becomes(show, "A-4", "SOLD"));
  CHECK(office.reservation_status(id) == "CONFIRMED");

  CHECK(ann.post("/reservations/" + id + "/cancel", "{}", token).status == 200);
  CHECK(office.seat_becomes(show, "A-4", "AVAILABLE"));
  CHECK(office.balance_becomes("usr_ann", 1500));
  CHECK(office.history("usr_ann").size() == 3);
  office.hold("usr_ben", show, "A-4");
}

TEST_CASE("requests of different users run side by side, those of one user in order") {
  constexpr std::size_t users = 20, charges = 50;
  box_office office;
  std::vector<request> wishes;
  for (std::size_t i = 0; i < charges; ++i)
    for (std::size_t user = 0; user < users; ++user)
      wishes.push_back({"POST", "/balance/charge", office.amount_body(1), office.token("usr_" + std::to_string(user)), {}});
  const auto answers = at_once(office.port(), users, wishes);
  CHECK(by_status(answers) == statuses{{200, users * charges}});
  // Each answer counts all charges before it, and everybody has a first one before anybody has the last.
  std::size_t in_order = 0, latest_first = 0, earliest_last = answers.size();
  for (std::size_t i = 0; i < answers.size(); ++i)
    if (answers[i].number("balance") == static_cast<std::int64_t>(i / users + 1)) ++in_order;
  for (std::size_t user = 0; user < users; ++user) {
    latest_first = std::max(latest_first, answers[user].order);
    earliest_last = std::min(earliest_last, answers[(charges - 1) * users + user].order);
  }
  CHECK(in_order == answers.size());
  CHECK(latest_first < earliest_last);
}

TEST_CASE("a seat that was lost takes nothing from what a person may have") {
  box_office office;
  const auto show = office.open(R"({"title":"Evening","venue":"Hall","currency":"EUR","ticketLimit":1,"tiers":[{"name":"all","price":1000}],
      "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":3,"tier":"all"}]}]})");
  office.hold("usr_ann", show, "A-1");
  for (int i = 0; i < 3; ++i)
    CHECK(client{office}.post("/reservations", office.seat_body(show, "A-1"), office.token("usr_ben")).text("code") == "seat-unavailable");
  office.hold("usr_ben", show, "A-2");
  CHECK(client{office}.post("/reservations", office.seat_body(show, "A-3"), office.token("usr_ben")).text("code") == "ticket-limit-exceeded");
}

TEST_CASE("who has a long history wakes as they were, wherever their snapshots were taken") {
  box_office office;
  const auto show = office.open(R"({"title":"Evening","venue":"Hall","currency":"EUR","ticketLimit":2,"tiers":[{"name":"all","price":1000}],
      "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":3,"tier":"all"}]}]})");
  client ann{office};
  const auto token = office.token("usr_ann");
  for (int i = 0; i < 230; ++i) {  // each is two events of the seat, and two of the allowance, which always goes along
    const auto held = ann.post("/reservations", office.seat_body(show, "A-1"), token);
    REQUIRE(held.status == 201);
    REQUIRE(ann.ask({"DELETE", held.header("Location"), {}, token, {}}).status == 200);
    REQUIRE(ann.post("/balance/charge", office.amount_body(1), token).status == 200);
  }
  office.hold("usr_ann", show, "A-2");
  office.restart();
  CHECK(office.balance("usr_ann") == 230);
  client again{office};
  CHECK(again.post("/balance/use", office.amount_body(230), token).number("balance") == 0);
  office.hold("usr_ann", show, "A-1");
  CHECK(again.post("/reservations", office.seat_body(show, "A-3"), token).text("code") == "ticket-limit-exceeded");
}

TEST_CASE("every record of a payment names the request that it came from") {
  box_office office;
  office.charge("usr_ann", 1000);
  const auto show = office.open_hall();
  const auto id = office.hold("usr_ann", show, "A-1");
  REQUIRE(client{office}.ask({"POST", "/payment", office.payment_body(id), office.token("usr_ann"), {{"Request-Id", "pay-42"}}}).status == 200);
  office.stop();
  const auto db = std::move(*store::database::open(log_directory(office.directory())));
  std::size_t of_the_payment = 0;
  for (const auto partition : std::set{partition_of(show), partition_of("usr_ann")}) {
    const auto count = [&](const store::record_ptr& record, std::string_view) {
      of_the_payment += record->correlation() == "pay-42" ? 1 : 0;
      return true;
    };
    REQUIRE(db->scan(partition, 1, count).has_value());
  }
  CHECK(of_the_payment == 3);  // started, debited, confirmed
}

TEST_CASE("whoever was answered finds at once what they did") {
  box_office office;
  const auto show = office.open_hall();
  client ann{office};
  const auto token = office.token("usr_ann");
  for (int i = 1; i <= 10; ++i) {
    const auto held = ann.post("/reservations", office.seat_body(show, "A-" + std::to_string(i)), office.token("usr_" + std::to_string(i)));
    CHECK(ann.get(held.header("Location"), office.service).status == 200);
    CHECK(ann.post("/balance/charge", office.amount_body(1), token).status == 200);
    CHECK(ann.get("/balance", token).number("balance") == i);
  }
}

TEST_CASE("a retry is answered as the first time, whatever has become of the hall and the admission") {
  box_office office;
  const auto show = office.open(R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
      "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":2,"tier":"all"}]}],
      "queue":{"admitPerWindow":1,"windowSeconds":10,"admissionSeconds":60}})");
  const auto token = office.token("usr_ann");
  client ann{office};
  const auto joined = ann.post("/queue/token", R"({"showId":")" + show + "\"}", token);
  const auto status = ann.get("/queue/status?token=" + joined.text("token"), token).json();
  const std::string admission{status.at("admission").as_object().at("token").as_string()};
  request wish{"POST", "/reservations", R"({"showId":")" + show + R"(","bestAvailable":{"quantity":2}})", token,
               {{"Idempotency-Key", "two"}, {"Queue-Token", admission}}};
  const auto first = ann.ask(wish);
  REQUIRE(first.status == 201);
  office.clock.advance(120s);  // the admission is over, and nothing is left to choose
  const auto again = ann.ask(wish);
  CHECK(again.status == 201);
  CHECK(again.body == first.body);
  CHECK(again.header("Idempotency-Replayed") == "true");
}

TEST_CASE("a hundred who leave the choice to the house at once get seats, each their own") {
  box_office office;
  json::array rows;
  for (int row = 0; row < 20; ++row) rows.push_back({{"name", "R" + std::to_string(row)}, {"seats", 50}, {"tier", "all"}});
  const auto show = office.open(json::serialize(json::object{
      {"title", "Evening"}, {"venue", "Hall"}, {"currency", "EUR"}, {"tiers", json::array{json::object{{"name", "all"}, {"price", 1000}}}},
      {"sections", json::array{json::object{{"name", "stalls"}, {"kind", "seated"}, {"rows", rows}}}}}));
  std::vector<request> wishes;
  for (int i = 0; i < 100; ++i)
    wishes.push_back({"POST", "/reservations", R"({"showId":")" + show + R"(","bestAvailable":{"quantity":2}})", office.token("usr_" + std::to_string(i)), {}});
  const auto answers = at_once(office.port(), 100, wishes);
  CHECK(by_status(answers)[201] >= 90);  // they choose at random when they lost, so a few may lose to the last
  std::set<std::string> seats;
  std::size_t held = 0;
  for (const auto& a : answers) {
    if (a.status != 201) continue;
    const auto body = a.json();
    for (const auto& seat : body.at("seats").as_array()) seats.emplace(seat.as_string());
    held += 2;
  }
  CHECK(seats.size() == held);
}

TEST_CASE("an old ticket gives up nothing but itself") {
  box_office office;
  const auto show = office.open(R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
      "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":2,"tier":"all"}]}],
      "queue":{"admitPerWindow":1,"windowSeconds":10}})");
  const auto token = office.token("usr_ann");
  client ann{office};
  ann.post("/queue/token", R"({"showId":")" + show + "\"}", office.token("usr_first"));
  const auto join = [&] { return ann.post("/queue/token", R"({"showId":")" + show + "\"}", token).text("token"); };
  const auto leave = [&](const std::string& ticket) { return ann.ask({"DELETE", "/queue/token?token=" + ticket, {}, token, {}}).status; };
  const auto old = join();
  CHECK(leave(old) == 204);
  const auto fresh = join();
  CHECK(leave(old) == 204);
  CHECK(ann.get("/queue/status?token=" + fresh, token).text("status") == "WAITING");
}

TEST_CASE("signing up again with the same key, but not the same password, gives no token") {
  box_office office;
  const auto sign_up = [&](const std::string& password) {
    return client{office}.post("/users", R"({"name":"Ann","email":"ann@example.org","password":")" + password + "\"}", {}, "ann-1");
  };
  const auto first = sign_up("correct horse");
  REQUIRE(first.status == 201);
  CHECK(sign_up("correct horse").body == first.body);
  CHECK(sign_up("battery staple").status == 422);
}

TEST_CASE("an operator sees how many came how far") {
  box_office office;
  const auto show = office.open_hall();
  office.hold("usr_ann", show, "A-1");
  const auto path = "/admin/shows/" + show + "/funnel";
  CHECK(eventually([&] { return client{office}.get(path, office.director).number("held") == 1; }));
  CHECK(client{office}.get(path, office.director).number("paid") == 0);
  CHECK(client{office}.get(path, office.token("usr_ann")).status == 403);
}

}  // namespace usher::tests
