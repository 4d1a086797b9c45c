// What a buyer was told is still true after the node was killed in the middle of it, any number of times.
#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "store/audit.hpp"
#include "tests/child_node.hpp"

namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using usher::tests::answer;
using usher::tests::child_node;
using usher::tests::client;
using usher::tests::eventually;

constexpr std::int64_t seat_price = 500;
constexpr std::int64_t place_price = 300;
constexpr int places = 40;

/// Twelve rows of thirty seats, and a floor with fewer places than the buyers want.
std::string plan(int hold_seconds) {
  json::array rows;
  for (int i = 0; i < 12; ++i) rows.push_back(json::object{{"name", std::string(1, static_cast<char>('A' + i))}, {"seats", 30}, {"tier", "Seat"}});
  return json::serialize(json::object{
      {"title", "Winterreise"}, {"venue", "Hall"}, {"startsAt", "2096-05-31T20:00:00Z"}, {"currency", "EUR"},
      {"holdSeconds", hold_seconds}, {"ticketLimit", 10'000},
      {"tiers", json::array{json::object{{"name", "Seat"}, {"price", seat_price}}, json::object{{"name", "Floor"}, {"price", place_price}}}},
      {"sections", json::array{json::object{{"name", "Stalls"}, {"kind", "seated"}, {"rows", std::move(rows)}},
                               json::object{{"name", "Floor"}, {"kind", "generalAdmission"}, {"stock", places}, {"tier", "Floor"}}}}});
}

std::string open_show(const child_node& node, int hold_seconds = 3600) {
  client c{node.port()};
  const auto opened = c.post("/shows", plan(hold_seconds), node.token("operator", usher::http::role::operator_), "opening");
  INFO(opened.body);
  REQUIRE(opened.status == 201);
  return opened.text("showId");
}

std::string wants_seat(const std::string& show, const std::string& seat) {
  return json::serialize(json::object{{"showId", show}, {"seats", json::array{seat}}});
}
std::string wants_places(const std::string& show, int quantity) {
  return json::serialize(json::object{{"showId", show}, {"generalAdmission", json::array{json::object{{"section", "Floor"}, {"quantity", quantity}}}}});
}
std::string pays_for(const std::string& reservation) { return json::serialize(json::object{{"reservationId", reservation}}); }

/// All pages of a list.
std::vector<json::object> items_of(client& c, const std::string& path, const std::string& token) {
  std::vector<json::object> out;
  for (std::string cursor;;) {
    const auto page = c.get(path + "?limit=200" + (cursor.empty() ? "" : "&cursor=" + cursor), token);
    INFO(page.body);
    REQUIRE(page.status == 200);
    auto body = page.json();
    for (auto& item : body.at("items").as_array()) out.push_back(item.as_object());
    if (!body.at("nextCursor").is_string()) return out;
    cursor = body.at("nextCursor").as_string();
  }
}

std::map<std::string, std::string> phases(client& c, const std::string& show) {
  std::map<std::string, std::string> out;
  for (const auto& seat : items_of(c, "/shows/" + show + "/seats", {}))
    out[std::string{seat.at("seat").as_string()}] = seat.at("status").as_string();
  return out;
}

bool said_nothing_final(unsigned status) { return status == 0 || status == 503 || status == 504; }

/// A write, and what the buyer knows of it.
struct write {
  std::string path;
  std::string body;
  std::string key;
  unsigned status = 0;  ///< 0: no answer came
  std::string said;
};

/// Charges, reserves and pays one after the other until the node is gone, and remembers all that it did.
class buyer {
 public:
  buyer(const child_node& node, std::string show, int number)
      : show_{std::move(show)}, number_{number}, user_{"usr_crash" + std::to_string(number)}, token_{node.token(user_)} {}

  void buy_until_it_is_gone(std::uint16_t port, std::atomic<int>& answered) {
    try {
      client c{port};
      for (;;) {
        if (said_nothing_final(one_round(c, answered))) return;
      }
    } catch (const std::exception&) {
    }
  }

  /// Asks again, with the same keys, for everything; what was answered before is answered alike.
  void ask_again(std::uint16_t port) {
    client c{port};
    for (auto& w : writes_) {
      const auto again = c.post(w.path, w.body, token_, w.key);
      INFO(w.path << ' ' << w.body << ": first " << w.status << ' ' << w.said << ", then " << again.status << ' ' << again.body);
      CHECK_FALSE(said_nothing_final(again.status));
      if (w.status == 200 || w.status == 201) {
        CHECK(again.status == w.status);
        CHECK(again.body == w.said);
        CHECK(again.header("Idempotency-Replayed") == "true");
      }
      w.status = again.status;
      w.said = again.body;
    }
  }

  [[nodiscard]] const std::vector<write>& writes() const { return writes_; }
  [[nodiscard]] const std::string& user() const { return user_; }
  [[nodiscard]] const std::string& token() const { return token_; }

 private:
  unsigned one_round(client& c, std::atomic<int>& answered) {
    const auto turn = turns_++;
    if (const auto s = ask(c, answered, "/balance/charge", json::serialize(json::object{{"amount", 400 + turn % 7}})).status; said_nothing_final(s)) return s;
    const auto wish = turn % 4 == 3 ? wants_places(show_, 2) : wants_seat(show_, next_seat());
    const auto reserved = ask(c, answered, "/reservations", wish);
    if (reserved.status != 201) return reserved.status;
    const auto id = std::string{json::parse(reserved.said).as_object().at("reservationId").as_string()};
    return ask(c, answered, "/payment", pays_for(id)).status;
  }

  /// Remembers the write before it is sent: an answer that never comes is one of the outcomes.
  write ask(client& c, std::atomic<int>& answered, std::string path, std::string body) {
    writes_.push_back({std::move(path), std::move(body), std::to_string(number_) + "-" + std::to_string(writes_.size()), 0, {}});
    auto& w = writes_.back();
    const auto a = c.post(w.path, w.body, token_, w.key);
    w.status = a.status;
    w.said = a.body;
    ++answered;
    return w;
  }

  /// Every second seat is the buyer's own, the others are wanted by all.
  std::string next_seat() {
    const int at = seats_++;
    const auto row = [](int i) { return std::string(1, static_cast<char>('A' + i)); };
    if (at % 2 == 0) return row(number_) + "-" + std::to_string(at / 2 % 30 + 1);
    return row(8 + at / 2 / 30 % 4) + "-" + std::to_string(at / 2 % 30 + 1);
  }

  std::string show_;
  int number_;
  std::string user_;
  std::string token_;
  int turns_ = 0;
  int seats_ = 0;
  std::vector<write> writes_;
};

/// Lets all buy at once and kills the node when it has given so many answers.
void kill_under_load(child_node& node, std::vector<buyer>& buyers, int answers) {
  std::atomic<int> answered{0};
  std::atomic<std::size_t> at_work{buyers.size()};
  std::vector<std::thread> threads;
  for (auto& b : buyers)
    threads.emplace_back([&] {
      b.buy_until_it_is_gone(node.port(), answered);
      --at_work;
    });
  const bool busy = eventually([&] { return answered >= answers || at_work == 0; }) && at_work > 0;
  node.kill();
  for (auto& t : threads) t.join();
  REQUIRE(busy);
}

/// What the buyers were told, after every open question was asked again.
struct told {
  std::int64_t charged = 0;
  std::int64_t paid = 0;
  std::set<std::string> confirmed;  // reservations
};

told what_was_told(const buyer& b) {
  told out;
  for (const auto& w : b.writes()) {
    if (w.status != 200) continue;
    const auto said = json::parse(w.said).as_object();
    if (w.path == "/balance/charge") out.charged += json::parse(w.body).as_object().at("amount").to_number<std::int64_t>();
    if (w.path != "/payment") continue;
    out.paid += said.at("amount").to_number<std::int64_t>();
    out.confirmed.emplace(said.at("reservationId").as_string());
  }
  return out;
}

void check_wallet(client& c, const buyer& b, const told& t) {
  CHECK(c.get("/balance", b.token()).number("balance") == t.charged - t.paid);
  std::int64_t history = 0;
  for (const auto& entry : items_of(c, "/balance/histories", b.token())) {
    const auto amount = entry.at("amount").to_number<std::int64_t>();
    history += entry.at("type").as_string() == "CHARGE" ? amount : -amount;
  }
  CHECK(history == t.charged - t.paid);
}

/// Who has which seat, by all reservations of all buyers.
struct holdings {
  std::map<std::string, std::string> phase_by_seat;
  std::int64_t places_held = 0;
  std::int64_t places_sold = 0;
};

bool nobody_is_paying(client& c, const std::vector<buyer>& buyers) {
  for (const auto& b : buyers)
    for (const auto& r : items_of(c, "/users/" + b.user() + "/reservations", b.token()))
      if (r.at("status").as_string() == "PAYING") return false;
  return true;
}

void add_reservations(client& c, const buyer& b, const told& t, holdings& all) {
  std::set<std::string> confirmed;
  for (const auto& r : items_of(c, "/users/" + b.user() + "/reservations", b.token())) {
    const auto status = r.at("status").as_string();
    CHECK((status == "PENDING" || status == "CONFIRMED"));
    const bool sold = status == "CONFIRMED";
    if (sold) confirmed.emplace(r.at("reservationId").as_string());
    for (const auto& seat : r.at("seats").as_array()) {
      INFO("seat " << seat.as_string());
      CHECK(all.phase_by_seat.emplace(seat.as_string(), sold ? "SOLD" : "HELD").second);
    }
    for (const auto& p : r.at("generalAdmission").as_array())
      (sold ? all.places_sold : all.places_held) += p.at("quantity").to_number<std::int64_t>();
  }
  CHECK(confirmed == t.confirmed);
  for (const auto& w : b.writes()) {
    if (w.status != 201) continue;
    const std::string id{json::parse(w.said).as_object().at("reservationId").as_string()};
    CHECK(c.get("/reservations/" + id, b.token()).status == 200);
  }
}

void check_seats(client& c, const std::string& show, const holdings& all) {
  for (const auto& [seat, phase] : phases(c, show)) {
    INFO("seat " << seat);
    const auto has = all.phase_by_seat.find(seat);
    CHECK(phase == (has == all.phase_by_seat.end() ? "AVAILABLE" : has->second));
  }
  CHECK(all.places_held + all.places_sold <= places);
  const auto now = c.get("/shows/" + show).json();
  for (const auto& section : now.at("sections").as_array()) {
    if (section.at("kind").as_string() != "generalAdmission") continue;
    CHECK(section.at("counts").at("held").to_number<std::int64_t>() == all.places_held);
    CHECK(section.at("counts").at("sold").to_number<std::int64_t>() == all.places_sold);
  }
}

void check_everything(const child_node& node, const std::string& show, std::vector<buyer>& buyers) {
  for (auto& b : buyers) b.ask_again(node.port());
  client c{node.port()};
  REQUIRE(eventually([&] { return nobody_is_paying(c, buyers); }));
  holdings all;
  std::int64_t paid = 0;
  for (const auto& b : buyers) {
    const auto t = what_was_told(b);
    paid += t.paid;
    check_wallet(c, b, t);
    add_reservations(c, b, t, all);
  }
  check_seats(c, show, all);
  std::int64_t sold = all.places_sold * place_price;
  for (const auto& [seat, phase] : all.phase_by_seat) sold += phase == "SOLD" ? seat_price : 0;
  CHECK(paid == sold);
  CHECK(sold > 0);
}

/// Needs the directory for itself.
void check_log(const std::string& data_directory) {
  const auto db = usher::store::database::open(usher::log_directory(data_directory));
  REQUIRE(db.has_value());
  const auto audited = usher::store::verify_all(**db);
  INFO((audited ? std::string{} : audited.error().detail));
  REQUIRE(audited.has_value());
  CHECK(audited->records > 0);
}

/// The reservations whose payment has begun and not ended, by the log. Needs the directory for itself.
std::set<std::string> under_way(const std::string& data_directory) {
  const auto db = usher::store::database::open(usher::log_directory(data_directory));
  REQUIRE(db.has_value());
  std::set<std::string> out;
  const auto follow = [&out](const usher::store::record_ptr& record, std::string_view) {
    for (const auto& e : record->events()) {
      if (!e.has_reservation()) continue;
      if (e.reservation().has_payment_started()) out.insert(e.stream().name());
      if (e.reservation().has_confirmed() || e.reservation().has_payment_declined()) out.erase(e.stream().name());
    }
    return true;
  };
  for (std::uint32_t p = 0; p < usher::partition_count; ++p) REQUIRE((*db)->scan(p, 1, follow).has_value());
  return out;
}

}  // namespace

TEST_CASE("what buyers were told outlives a node that is killed while they buy") {
  const usher::tests::temp_dir directory;
  const auto data = directory.path + "/node";
  child_node node{data};
  const auto show = open_show(node);
  std::vector<buyer> buyers;
  for (int i = 0; i < 6; ++i) buyers.emplace_back(node, show, i);
  for (const int answers : {90, 160, 240}) {
    kill_under_load(node, buyers, answers);
    check_log(data);
    node.start();
    check_everything(node, show, buyers);
  }
  node.kill();
  check_log(data);
}

TEST_CASE("a payment that a kill interrupts is driven to its end without being asked again") {
  const usher::tests::temp_dir directory;
  const auto data = directory.path + "/node";
  child_node node{data};
  const auto show = open_show(node);
  std::vector<buyer> buyers;
  for (int i = 0; i < 6; ++i) buyers.emplace_back(node, show, i);
  // Nobody can say when a kill falls between a payment's two records, so it is tried until one did.
  std::set<std::string> interrupted;
  for (int tries = 0; tries < 25 && interrupted.empty(); ++tries) {
    if (tries > 0) node.start();
    kill_under_load(node, buyers, 60);
    interrupted = under_way(data);
  }
  REQUIRE_FALSE(interrupted.empty());
  node.start();
  client c{node.port()};
  const auto service = node.token("service", usher::http::role::service);
  for (const auto& id : interrupted) {
    INFO(id);
    CHECK(eventually([&] { return c.get("/reservations/" + id, service).text("status") != "PAYING"; }));
  }
  node.kill();
  CHECK(under_way(data).empty());
}

TEST_CASE("a request that is repeated after a kill has one effect and the same answer") {
  const usher::tests::temp_dir directory;
  child_node node{directory.path + "/node"};
  const auto show = open_show(node);
  const auto token = node.token("usr_ann");
  std::vector<std::array<std::string, 3>> requests{{"/balance/charge", R"({"amount":10000})", "charge"},
                                                   {"/reservations", wants_seat(show, "A-12"), "seat"},
                                                   {"/reservations", wants_places(show, 3), "places"}};
  std::vector<answer> first;
  {
    client c{node.port()};
    for (const auto& [path, body, key] : requests) first.push_back(c.post(path, body, token, key));
    requests.push_back({"/payment", pays_for(first[1].text("reservationId")), "pay"});
    first.push_back(c.post("/payment", requests.back()[1], token, "pay"));
  }
  node.restart();
  client c{node.port()};
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto& [path, body, key] = requests[i];
    INFO(path << ' ' << body);
    CHECK((first[i].status == 200 || first[i].status == 201));
    CHECK(first[i].header("Idempotency-Replayed").empty());
    const auto again = c.post(path, body, token, key);
    CHECK(again.status == first[i].status);
    CHECK(again.body == first[i].body);
    CHECK(again.header("Idempotency-Replayed") == "true");
    CHECK(again.header("Log-Position") == first[i].header("Log-Position"));
  }
  CHECK(c.get("/balance", token).number("balance") == 10'000 - seat_price);
  CHECK(items_of(c, "/users/usr_ann/reservations", token).size() == 2);
  CHECK(c.post("/balance/charge", R"({"amount":10001})", token, "charge").status == 422);
}

TEST_CASE("a hold ends by itself on time though the node was killed meanwhile") {
  const usher::tests::temp_dir directory;
  child_node node{directory.path + "/node"};
  const auto show = open_show(node, 1);
  const auto token = node.token("usr_ann");
  const auto reserved = client{node.port()}.post("/reservations", wants_seat(show, "A-12"), token, "seat");
  REQUIRE(reserved.status == 201);
  node.restart();
  const auto restarted = std::chrono::steady_clock::now();
  client c{node.port()};
  CHECK(eventually([&] { return phases(c, show).at("A-12") == "AVAILABLE"; }));
  CHECK(std::chrono::steady_clock::now() - restarted < 5s);
  CHECK(c.get("/reservations/" + reserved.text("reservationId"), token).text("status") == "EXPIRED");
}
