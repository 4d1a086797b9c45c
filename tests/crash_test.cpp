// What a buyer was told is still true after the node was killed in the middle of it, any number of times.
#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <iostream>
#include <map>
#include <random>
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
using usher::tests::number_from_environment;

constexpr std::int64_t seat_price = 500;
constexpr std::int64_t place_price = 300;
constexpr int rows = 6;
constexpr int seats_in_a_row = 20;
constexpr int places = 40;

/// Fewer seats and places than the buyers want.
std::string plan(int hold_seconds, const json::object& more) {
  json::array all;
  for (int i = 0; i < rows; ++i)
    all.push_back(json::object{{"name", std::string(1, static_cast<char>('A' + i))}, {"seats", seats_in_a_row}, {"tier", "Seat"}});
  json::object out{
      {"title", "Winterreise"}, {"venue", "Hall"}, {"startsAt", "2096-05-31T20:00:00Z"}, {"currency", "EUR"},
      {"holdSeconds", hold_seconds}, {"ticketLimit", 10'000},
      {"tiers", json::array{json::object{{"name", "Seat"}, {"price", seat_price}}, json::object{{"name", "Floor"}, {"price", place_price}}}},
      {"sections", json::array{json::object{{"name", "Stalls"}, {"kind", "seated"}, {"rows", std::move(all)}},
                               json::object{{"name", "Floor"}, {"kind", "generalAdmission"}, {"stock", places}, {"tier", "Floor"}}}}};
  for (const auto& member : more) out.insert(member);
  return json::serialize(out);
}

std::string open_show(const child_node& node, int hold_seconds = 86'400, const json::object& more = {}) {
  client c{node.port()};
  const auto opened = c.post("/shows", plan(hold_seconds, more), node.token("operator", usher::http::role::operator_), "opening");
  INFO(opened.body);
  REQUIRE(opened.status == 201);
  return opened.text("showId");
}

std::string wants_seats(const std::string& show, const std::vector<std::string>& seats) {
  return json::serialize(json::object{{"showId", show}, {"seats", json::array(seats.begin(), seats.end())}});
}
std::string wants_seat(const std::string& show, const std::string& seat) { return wants_seats(show, {seat}); }
std::string wants_places(const std::string& show, std::int64_t quantity) {
  const json::object item{{"section", "Floor"}, {"quantity", quantity}};
  return json::serialize(json::object{{"showId", show}, {"generalAdmission", json::array{item}}});
}
std::string pays_for(const std::string& reservation) { return json::serialize(json::object{{"reservationId", reservation}}); }

/// All pages of a list, as of this position at least.
std::vector<json::object> items_of(client& c, const std::string& path, const std::string& token, const std::string& position = {}) {
  usher::tests::request r{"GET", {}, {}, token, {}};
  if (!position.empty()) r.headers.emplace_back("Min-Log-Position", position);
  std::vector<json::object> out;
  for (std::string cursor;;) {
    r.path = path + "?limit=200" + (cursor.empty() ? "" : "&cursor=" + cursor);
    const auto page = c.ask(r);
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

/// What is not as it was promised; for one thread.
class faults {
 public:
  void expect(bool holds, const std::string& otherwise) {
    if (!holds && text_.size() < 4000) text_ += otherwise + '\n';
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// A write, and what the buyer knows of it.
struct write {
  enum class kind { charge, use, reserve, pay, release, cancel };
  kind what = kind::charge;
  std::string method = "POST";
  std::string path;
  std::string body;
  std::int64_t amount = 0;       ///< of a charge or use
  std::string reservation = {};  ///< of a payment, release or cancellation
  std::string key = {};
  unsigned status = 0;  ///< 0: no answer came
  std::string said = {};

  /// Nobody knows yet whether it has happened.
  [[nodiscard]] bool is_open() const {
    return status == 0 || status == 503 || status == 504 || (status == 409 && said.find("idempotency-in-flight") != std::string::npos);
  }
  [[nodiscard]] bool is_done() const { return status == 200 || status == 201; }
  [[nodiscard]] std::string text() const { return method + ' ' + path + ' ' + body + " (key " + key + ") -> " + std::to_string(status) + ' ' + said; }
};

struct reservation {
  std::string status;
  std::vector<std::string> seats;
  std::int64_t places = 0;
  std::int64_t amount = 0;
  bool operator==(const reservation&) const = default;

  [[nodiscard]] std::string text() const {
    std::string out = status + " amount " + std::to_string(amount) + " places " + std::to_string(places) + " seats";
    for (const auto& seat : seats) out += ' ' + seat;
    return out;
  }
};
using reservations = std::map<std::string, reservation>;  // by id

reservation reservation_in(const json::object& o) {
  reservation r{std::string{o.at("status").as_string()}, {}, 0, o.at("amount").to_number<std::int64_t>()};
  for (const auto& seat : o.at("seats").as_array()) r.seats.emplace_back(seat.as_string());
  for (const auto& p : o.at("generalAdmission").as_array()) r.places += p.at("quantity").to_number<std::int64_t>();
  return r;
}

struct ledger {
  std::int64_t charged = 0, used = 0, paid = 0, refunded = 0;
  bool operator==(const ledger&) const = default;
  ledger& operator+=(const ledger& l) {
    charged += l.charged, used += l.used, paid += l.paid, refunded += l.refunded;
    return *this;
  }
  [[nodiscard]] std::int64_t balance() const { return charged - used - paid + refunded; }
};

/// How much was asked and answered.
struct figures {
  std::size_t cut_off = 0, cut_off_but_done = 0, repeated = 0;
};

/// Asks for one thing after the other until the node is gone, and knows what must be by all that was answered.
class buyer {
 public:
  buyer(const child_node& node, std::string show, int number, std::uint64_t seed)
      : show_{std::move(show)}, number_{number}, random_{seed * 100 + static_cast<std::uint64_t>(number)} {
    const auto a = sign_up(node.port());
    REQUIRE(a.status == 201);
    signed_up_ = a.body;
    user_ = a.text("userId");
    token_ = a.text("token");
  }

  void buy_until_it_is_gone(std::uint16_t port, std::atomic<int>& answered) {
    try {
      for (client c{port};; ++answered) {
        writes_.push_back(next());
        writes_.back().key = std::to_string(number_) + '-' + std::to_string(writes_.size());
        ask(c, writes_.back());
        if (writes_.back().is_open()) return;
        learn(writes_.back());
      }
    } catch (const std::exception&) {
    }
  }

  /// Before anything is asked again: all that was answered is there, and at most what was cut off besides.
  void check_what_was_answered(client& c) {
    const auto* open = cut_off();
    const auto moved = open ? effect_of(*open) : 0;
    const auto balance = c.get("/balance", token_).number("balance");
    wrong_.expect(balance == money_.balance() || balance == money_.balance() + moved,
                  user_ + " was told of " + std::to_string(money_.balance()) + " and has " + std::to_string(balance));
    const auto there = reservations_now(c);
    for (const auto& [id, told] : reservations_) {
      const auto found = there.find(id);
      wrong_.expect(found != there.end(), id + " is gone");
      if (found == there.end() || found->second == told) continue;
      const bool may_follow = open && open->reservation == id && follows(open->what, told.status, found->second.status);
      wrong_.expect(may_follow, id + " was " + told.text() + " and is " + found->second.text());
    }
    const std::size_t unheard = open && open->what == write::kind::reserve ? 1 : 0;
    wrong_.expect(there.size() <= reservations_.size() + unheard, user_ + " has reservations that were never made");
  }

  /// Asks with the same key for what was cut off, until it is answered.
  void finish(client& c, figures& f) {
    if (writes_.empty() || !writes_.back().is_open()) return;
    auto& w = writes_.back();
    ++f.cut_off;
    std::string replayed;
    const bool answered = eventually([&] {
      replayed = ask(c, w).header("Idempotency-Replayed");
      return !w.is_open();
    });
    wrong_.expect(answered, "no end to " + w.text());
    f.cut_off_but_done += replayed == "true";
    learn(w);
  }

  /// Asks again for what was done since the last time, and for so many of what was done before.
  void repeat(client& c, std::size_t older, figures& f) {
    const auto again = sign_up(c);
    wrong_.expect(again.status == 201 && again.body == signed_up_, "another answer to the same sign-up: " + again.body);
    for (std::size_t i = 0; i < older && repeated_ > 0; ++i) repeat(c, writes_[random_() % repeated_], f);
    for (; repeated_ < writes_.size(); ++repeated_) repeat(c, writes_[repeated_], f);
  }
  void repeat_all(client& c, figures& f) {
    for (const auto& w : writes_) repeat(c, w, f);
  }

  /// Nothing is open: what is there is exactly what was answered.
  void check_books(client& c) {
    const auto balance = c.get("/balance", token_).number("balance");
    wrong_.expect(balance == money_.balance(), user_ + " should have " + std::to_string(money_.balance()) + " and has " + std::to_string(balance));
    wrong_.expect(history(c) == money_, "the history of " + user_ + " is not what was answered");
    const auto there = reservations_now(c);
    for (const auto& [id, r] : there) {
      const auto told = reservations_.find(id);
      wrong_.expect(told != reservations_.end(), id + " was never made");
      if (told == reservations_.end()) continue;
      wrong_.expect(told->second == r, id + " should be " + told->second.text() + " and is " + r.text());
    }
    wrong_.expect(there.size() == reservations_.size(), user_ + " lacks reservations");
  }

  [[nodiscard]] const reservations& has() const { return reservations_; }
  [[nodiscard]] const ledger& money() const { return money_; }
  [[nodiscard]] const std::string& wrong() const { return wrong_.text(); }
  [[nodiscard]] const std::string& user() const { return user_; }
  [[nodiscard]] const std::string& token() const { return token_; }
  [[nodiscard]] std::size_t asked() const { return writes_.size(); }

 private:
  using kind = write::kind;

  answer sign_up(client& c) const {
    return c.post("/users", json::serialize(json::object{{"name", "Buyer"}, {"email", "buyer" + std::to_string(number_) + "@example.org"}}), {},
                  "sign-up-" + std::to_string(number_));
  }
  [[nodiscard]] answer sign_up(std::uint16_t port) const {
    client c{port};
    return sign_up(c);
  }

  // --- what to ask for ---

  write next() {
    const auto dice = random_() % 100;
    const auto pending = one_that_is("PENDING"), confirmed = one_that_is("CONFIRMED");
    const bool enough = kept_.size() > 10;
    if (dice < 15) return changes_balance(kind::charge, "/balance/charge", 100 + static_cast<std::int64_t>(random_() % 1500));
    if (dice < 25) return changes_balance(kind::use, "/balance/use", 1 + static_cast<std::int64_t>(random_() % 400));
    if (dice < 50 && pending) return {.what = kind::pay, .path = "/payment", .body = pays_for(*pending), .reservation = *pending};
    if ((dice < 58 || enough) && pending)
      return {.what = kind::release, .method = "DELETE", .path = "/reservations/" + *pending, .body = {}, .reservation = *pending};
    if ((dice < 66 || enough) && confirmed)
      return {.what = kind::cancel, .path = "/reservations/" + *confirmed + "/cancel", .body = R"({"reason":"ill"})", .reservation = *confirmed};
    const bool stands = random_() % 4 == 0;
    const auto body = stands ? wants_places(show_, static_cast<std::int64_t>(1 + random_() % 3)) : wants_seats(show_, pick_seats());
    return {.what = kind::reserve, .path = "/reservations", .body = body};
  }
  static write changes_balance(kind what, std::string path, std::int64_t amount) {
    return {.what = what, .path = std::move(path), .body = json::serialize(json::object{{"amount", amount}}), .amount = amount};
  }
  std::optional<std::string> one_that_is(const std::string& status) {
    std::vector<std::string> all;
    for (const auto& id : kept_)
      if (reservations_.at(id).status == status) all.push_back(id);
    return all.empty() ? std::nullopt : std::optional{all[random_() % all.size()]};
  }
  /// One, or up to four beside each other.
  std::vector<std::string> pick_seats() {
    const std::string row(1, static_cast<char>('A' + random_() % rows));
    const auto quantity = random_() % 2 == 0 ? 1 : 2 + random_() % 3;
    const auto first = 1 + random_() % (seats_in_a_row - quantity + 1);
    std::vector<std::string> out;
    for (auto i = first; i < first + quantity; ++i) out.push_back(row + '-' + std::to_string(i));
    return out;
  }

  // --- asking ---

  /// What is open already stays so until an answer comes, which may be never.
  answer ask(client& c, write& w) {
    const auto a = send(c, w);
    w.status = a.status;
    w.said = a.body;
    const bool of_the_show = w.what != kind::charge && w.what != kind::use;
    if (of_the_show && w.is_done()) position_ = a.header("Log-Position");
    return a;
  }
  answer send(client& c, const write& w) const { return c.ask({w.method, w.path, w.body, token_, {{"Idempotency-Key", w.key}}}); }
  void repeat(client& c, const write& w, figures& f) {
    if (!w.is_done()) return;
    const auto again = send(c, w);
    wrong_.expect(again.status == w.status && again.body == w.said && again.header("Idempotency-Replayed") == "true",
                  "first " + w.text() + "\n  then " + std::to_string(again.status) + ' ' + again.body);
    ++f.repeated;
  }

  // --- what was answered ---

  [[nodiscard]] const write* cut_off() const { return !writes_.empty() && writes_.back().is_open() ? &writes_.back() : nullptr; }

  /// What a write does to the balance if it happens.
  [[nodiscard]] std::int64_t effect_of(const write& w) const {
    switch (w.what) {
      case kind::charge: return w.amount;
      case kind::use: return -w.amount;
      case kind::pay: return -reservations_.at(w.reservation).amount;
      case kind::cancel: return reservations_.at(w.reservation).amount;
      case kind::reserve:
      case kind::release: break;
    }
    return 0;
  }
  static bool follows(kind what, const std::string& before, const std::string& after) {
    switch (what) {
      case kind::pay: return before == "PENDING" && (after == "PAYING" || after == "CONFIRMED");
      case kind::release: return before == "PENDING" && after == "RELEASED";
      case kind::cancel: return before == "CONFIRMED" && (after == "REFUNDING" || after == "CANCELLED");
      case kind::charge:
      case kind::use:
      case kind::reserve: break;
    }
    return false;
  }

  /// Takes an answer for true, once it is seen to fit all that was answered before.
  void learn(const write& w) {
    const bool too_poor = w.status == 402 && money_.balance() + effect_of(w) < 0 && (w.what == kind::use || w.what == kind::pay);
    const bool taken = w.status == 409 && w.what == kind::reserve && w.said.find("seat-unavailable") != std::string::npos;
    wrong_.expect(w.is_done() || too_poor || taken, "a balance of " + std::to_string(money_.balance()) + ", and yet " + w.text());
    if (!w.is_done()) return;
    const auto said = json::parse(w.said).as_object();
    const auto amount = effect_of(w) < 0 ? -effect_of(w) : effect_of(w);
    switch (w.what) {
      case kind::charge: money_.charged += amount; break;
      case kind::use: money_.used += amount; break;
      case kind::pay: money_.paid += amount; break;
      case kind::cancel: money_.refunded += amount; break;
      case kind::reserve:
      case kind::release: break;
    }
    const auto left = money_.balance();
    const bool is_money = w.what == kind::charge || w.what == kind::use;
    wrong_.expect(left >= 0, "more than there was: " + w.text());
    if (is_money) wrong_.expect(said.at("balance") == left, std::to_string(left) + " should be left: " + w.text());
    else learn_of_reservation(w, std::string{said.at("reservationId").as_string()}, reservation_in(said));
  }
  static std::string status_after(kind what) {
    return what == kind::reserve ? "PENDING" : what == kind::pay ? "CONFIRMED" : what == kind::release ? "RELEASED" : "CANCELLED";
  }
  void learn_of_reservation(const write& w, const std::string& id, const reservation& now) {
    const bool is_new = w.what == kind::reserve;
    auto expected = is_new ? now : reservations_.at(w.reservation);
    expected.status = status_after(w.what);
    expected.amount = static_cast<std::int64_t>(expected.seats.size()) * seat_price + expected.places * place_price;
    wrong_.expect(now == expected && is_new != reservations_.contains(id), "it should be " + expected.text() + ": " + w.text());
    reservations_[id] = expected;
    if (w.what == kind::reserve) kept_.insert(id);
    if (w.what == kind::release || w.what == kind::cancel) kept_.erase(id);
  }

  // --- what is there ---

  reservations reservations_now(client& c) const {
    reservations out;
    for (const auto& item : items_of(c, "/users/" + user_ + "/reservations", token_, position_))
      out[std::string{item.at("reservationId").as_string()}] = reservation_in(item);
    return out;
  }
  ledger history(client& c) const {
    ledger out;
    for (const auto& entry : items_of(c, "/balance/histories", token_)) {
      const auto amount = entry.at("amount").to_number<std::int64_t>();
      const auto type = entry.at("type").as_string();
      (type == "CHARGE" ? out.charged : type == "USE" ? out.used : type == "PAYMENT" ? out.paid : out.refunded) += amount;
    }
    return out;
  }

  std::string show_;
  int number_;
  std::mt19937_64 random_;
  std::string signed_up_;
  std::string user_;
  std::string token_;
  std::string position_;        // of the last write to the show
  std::vector<write> writes_;   // only the last one may be open
  std::size_t repeated_ = 0;    // so many of them were asked again
  reservations reservations_;   // all there ever were
  std::set<std::string> kept_;  // those that are not over
  ledger money_;
  faults wrong_;
};

std::vector<buyer> sign_up(const child_node& node, const std::string& show, std::uint64_t seed) {
  std::vector<buyer> out;
  for (int i = 0; i < 6; ++i) out.emplace_back(node, show, i, seed);
  return out;
}

/// Lets all buy at once and kills the node when it has given so many answers, and a moment later.
void kill_under_load(child_node& node, std::vector<buyer>& buyers, int answers, std::chrono::microseconds later = {}) {
  std::atomic<int> answered{0};
  std::atomic<std::size_t> at_work{buyers.size()};
  std::vector<std::thread> threads;
  for (auto& b : buyers)
    threads.emplace_back([&] {
      b.buy_until_it_is_gone(node.port(), answered);
      --at_work;
    });
  const bool busy = eventually([&] { return answered >= answers || at_work == 0; }) && at_work > 0;
  std::this_thread::sleep_for(later);
  node.kill();
  for (auto& t : threads) t.join();
  INFO("the node ended by itself, or the buyers stopped, after " << answered << " answers");
  REQUIRE(busy);
}

void check_counts(faults& wrong, const json::object& c, std::int64_t capacity, std::int64_t held, std::int64_t sold) {
  const auto n = [&](const char* name) { return c.at(name).to_number<std::int64_t>(); };
  const auto is = " of " + std::to_string(capacity) + ": " + json::serialize(c);
  wrong.expect(n("held") == held && n("sold") == sold, std::to_string(held) + " should be held and " + std::to_string(sold) + " sold" + is);
  wrong.expect(n("capacity") == capacity && n("available") + n("held") + n("sold") + n("blocked") == capacity, "the counts don't add up" + is);
}

/// No seat has two holders, each is what its holder's reservation is, and the counts say so.
void check_seats(faults& wrong, client& c, const std::string& show, const std::vector<buyer>& buyers) {
  std::map<std::string, std::string> expected;
  std::int64_t seats_sold = 0, places_held = 0, places_sold = 0;
  for (const auto& b : buyers) {
    for (const auto& [id, r] : b.has()) {
      if (r.status != "PENDING" && r.status != "CONFIRMED") continue;
      const bool sold = r.status == "CONFIRMED";
      for (const auto& seat : r.seats)
        wrong.expect(expected.emplace(seat, sold ? "SOLD" : "HELD").second, "seat " + seat + " has two holders, one of them " + id);
      seats_sold += sold ? static_cast<std::int64_t>(r.seats.size()) : 0;
      (sold ? places_sold : places_held) += r.places;
    }
  }
  const auto seats_held = static_cast<std::int64_t>(expected.size()) - seats_sold;
  const auto there = phases(c, show);
  wrong.expect(there.size() == rows * seats_in_a_row, "seats are missing");
  for (const auto& [seat, phase] : there) {
    const auto has = expected.find(seat);
    wrong.expect(phase == (has == expected.end() ? "AVAILABLE" : has->second), "seat " + seat + " is " + phase);
  }
  const auto now = c.get("/shows/" + show).json();
  check_counts(wrong, now.at("counts").as_object(), rows * seats_in_a_row + places, seats_held + places_held, seats_sold + places_sold);
  check_counts(wrong, now.at("tiers").at(0).at("counts").as_object(), rows * seats_in_a_row, seats_held, seats_sold);
  check_counts(wrong, now.at("tiers").at(1).at("counts").as_object(), places, places_held, places_sold);
}

/// Whoever paid has the seats, and the money of all is what was charged and neither used nor paid.
void check_money(faults& wrong, client& c, const std::vector<buyer>& buyers, const std::string& service) {
  ledger all;
  std::int64_t seated = 0, balances = 0;
  for (const auto& b : buyers) {
    all += b.money();
    balances += c.get("/balance/" + b.user(), service).number("balance");
    for (const auto& [id, r] : b.has()) seated += r.status == "CONFIRMED" ? r.amount : 0;
  }
  wrong.expect(all.paid - all.refunded == seated, "what was paid is not what the sold seats cost");
  wrong.expect(balances == all.balance(), "the wallets have " + std::to_string(balances) + " in place of " + std::to_string(all.balance()));
}

void require_no_faults(const faults& wrong, const std::vector<buyer>& buyers) {
  auto text = wrong.text();
  for (const auto& b : buyers) text += b.wrong();
  INFO(text);
  REQUIRE(text.empty());
}

/// All promises, on a node that was just started after a kill.
void check_everything(const child_node& node, const std::string& show, std::vector<buyer>& buyers, figures& f) {
  client c{node.port()};
  faults wrong;
  for (auto& b : buyers) b.check_what_was_answered(c);
  require_no_faults(wrong, buyers);
  for (auto& b : buyers) b.finish(c, f);
  for (auto& b : buyers) b.repeat(c, 20, f);
  for (auto& b : buyers) b.check_books(c);  // which waits for the read models
  check_seats(wrong, c, show, buyers);
  check_money(wrong, c, buyers, node.token("service", usher::http::role::service));
  require_no_faults(wrong, buyers);
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

TEST_CASE("what buyers were told outlives a node that is killed while they buy, again and again") {
  const auto rounds = number_from_environment("USHER_TEST_ROUNDS", 10);
  const auto seed = number_from_environment("USHER_TEST_SEED", 1);
  const usher::tests::temp_dir directory;
  const auto data = directory.path + "/node";
  child_node node{data};
  const auto show = open_show(node);
  auto buyers = sign_up(node, show, seed);
  std::mt19937_64 random{seed};
  const auto up_to = [&random](std::uint64_t n) { return random() % (n + 1); };
  figures f;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    INFO("seed " << seed << ", round " << round);
    kill_under_load(node, buyers, 40 + static_cast<int>(up_to(400)), std::chrono::microseconds{up_to(4000)});
    if (up_to(2) == 0) node.start_in_vain(std::chrono::milliseconds{up_to(250)});
    node.start();
    check_everything(node, show, buyers, f);
  }
  client c{node.port()};
  std::size_t writes = 0;
  for (auto& b : buyers) {
    b.repeat_all(c, f);
    writes += b.asked();
  }
  require_no_faults({}, buyers);
  node.kill();
  check_log(data);
  std::cout << rounds << " kills, " << writes << " writes; " << f.cut_off << " of them cut off, of which " << f.cut_off_but_done
            << " were done; asked again " << f.repeated << " times\n";
}

TEST_CASE("a payment that a kill interrupts is driven to its end without being asked again") {
  const usher::tests::temp_dir directory;
  const auto data = directory.path + "/node";
  child_node node{data};
  const auto show = open_show(node);
  auto buyers = sign_up(node, show, 1);
  // Nobody can say when a kill falls between a payment's two records, so it is tried until one did.
  std::set<std::string> interrupted;
  for (int tries = 0; tries < 25 && interrupted.empty(); ++tries) {
    if (tries > 0) {
      node.start();
      client c{node.port()};
      figures ignored;
      for (auto& b : buyers) b.finish(c, ignored);
    }
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

TEST_CASE("after each kill every place in the queue is as before, admissions go on by the clock and nobody is let in twice") {
  const usher::tests::temp_dir directory;
  child_node node{directory.path + "/node"};
  constexpr int people = 60, per_window = 6;
  const auto show = open_show(node, 86'400, {{"queue", json::object{{"admitPerWindow", per_window}, {"windowSeconds", 1}, {"admissionSeconds", 3600}}}});
  std::vector<std::string> tokens;
  std::vector<std::int64_t> positions(people);
  {
    client c{node.port()};
    for (int i = 0; i < people; ++i) {
      const auto joined = c.post("/queue/token", R"({"showId":")" + show + "\"}", node.token("usr_" + std::to_string(i)));
      REQUIRE(joined.status == 201);
      CHECK(joined.number("number") == i + 1);
      tokens.push_back(joined.text("token"));
      positions[static_cast<std::size_t>(i)] = people;
    }
  }
  const auto look = [&] {
    client c{node.port()};
    int admitted = 0;
    for (std::size_t i = 0; i < people; ++i) {
      const auto seen = c.get("/queue/status?token=" + tokens[i], node.token("usr_" + std::to_string(i)));
      REQUIRE(seen.status == 200);
      CHECK(seen.number("number") == static_cast<std::int64_t>(i) + 1);
      CHECK(seen.number("position") <= positions[i]);
      positions[i] = seen.number("position");
      CHECK((positions[i] == 0) == (seen.text("status") == "ADMITTED"));
      admitted += positions[i] == 0;
    }
    return admitted;
  };
  for (int kill = 0; kill < 4; ++kill) {
    const auto before = look();
    node.restart();
    const auto since = std::chrono::steady_clock::now();
    CHECK(look() >= before);
    CHECK(eventually([&] { return look() >= std::min(people, before + per_window); }));
    CHECK(std::chrono::steady_clock::now() - since < 5s);
  }
  CHECK(eventually([&] { return look() == people; }));
  const auto funnel = client{node.port()}.get("/admin/shows/" + show + "/funnel", node.token("usr_boss", usher::http::role::operator_));
  CHECK(funnel.number("admitted") == people);
}
