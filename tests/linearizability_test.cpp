// Seats and wallets that many use at the same time look to each of them as if they were used by one after the other.

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "events/vocabulary.hpp"
#include "tests/child_node.hpp"
#include "tests/sale_models.hpp"

namespace usher::tests {
namespace {

namespace json = boost::json;
using money = wallet_model::deed;
using place = seat_model::deed;
using verdict_kind = verdict::kind;

// --- histories by hand ---------------------------------------------------------------------------------------------

using wallet_operation = operation<wallet_model>;
using seat_operation = operation<seat_model>;

/// @param balance  what was answered; nothing: it was refused
wallet_operation wallet(int client, std::uint64_t from, std::uint64_t to, money what, std::int64_t amount, std::optional<std::int64_t> balance) {
  return {client, from, to, {what, amount}, wallet_model::output{balance.has_value(), balance}};
}
wallet_operation lost(int client, std::uint64_t from, money what, std::int64_t amount, int reservation = 0) {
  return {client, from, 0, {what, amount, reservation}, std::nullopt};
}
wallet_operation pays(int client, std::uint64_t from, std::uint64_t to, std::int64_t amount, int reservation, bool accepted = true) {
  return {client, from, to, {money::pay, amount, reservation}, wallet_model::output{accepted, {}}};
}
wallet_operation refunds(int client, std::uint64_t from, std::uint64_t to, std::int64_t amount, int reservation) {
  return {client, from, to, {money::refund, amount, reservation}, wallet_model::output{}};
}
seat_operation seat(int client, std::uint64_t from, std::uint64_t to, place what, int reservation, unsigned status, std::string seen = {}) {
  return {client, from, to, {what, reservation, client}, seat_model::output{status, std::move(seen)}};
}
seat_operation lost(int client, std::uint64_t from, place what, int reservation) {
  return {client, from, 0, {what, reservation, client}, std::nullopt};
}
seat_operation reads(int client, std::uint64_t from, std::uint64_t to, int reservation, std::string seen) {
  const unsigned status = seen.empty() ? 404 : 200;
  return seat(client, from, to, place::read, reservation, status, std::move(seen));
}

bool possible(const std::vector<wallet_operation>& h) { return bool{check_history(h)}; }
bool possible(const std::vector<seat_operation>& h) { return bool{check_history(h)}; }

}  // namespace

TEST_CASE("what nobody asked anything needs no order, and what one asked has the order in which they asked") {
  CHECK(possible(std::vector<wallet_operation>{}));
  CHECK(possible({wallet(1, 1, 2, money::charge, 50, 50), wallet(1, 3, 4, money::use, 20, 30), wallet(1, 5, 6, money::read, 0, 30)}));
  CHECK_FALSE(possible({wallet(1, 1, 2, money::charge, 50, 50), wallet(1, 3, 4, money::use, 20, 40)}));
}

TEST_CASE("a reader may see either of what happens at once, but never what is over") {
  const auto charged = wallet(1, 1, 2, money::charge, 50, 50);
  const auto more = wallet(1, 3, 6, money::charge, 10, 60);
  CHECK(possible({charged, more, wallet(2, 4, 5, money::read, 0, 50)}));
  CHECK(possible({charged, more, wallet(2, 4, 5, money::read, 0, 60)}));
  CHECK(possible({charged, more, wallet(2, 4, 7, money::read, 0, 50), wallet(3, 4, 5, money::read, 0, 60)}));
  CHECK_FALSE(possible({charged, more, wallet(2, 7, 8, money::read, 0, 50)}));
  CHECK_FALSE(possible({charged, more, wallet(2, 4, 5, money::read, 0, 40)}));
  // Once somebody has seen the new balance, nobody who asks later sees the old one, though the charge is still under way.
  CHECK_FALSE(possible({charged, wallet(1, 3, 9, money::charge, 10, 60), wallet(2, 4, 5, money::read, 0, 60), wallet(3, 6, 7, money::read, 0, 50)}));
}

TEST_CASE("a charge that another one overwrites is noticed") {
  const auto one = wallet(1, 1, 4, money::charge, 50, 50);
  CHECK(possible({one, wallet(2, 2, 3, money::charge, 50, 100), wallet(3, 5, 6, money::read, 0, 100)}));
  CHECK_FALSE(possible({one, wallet(2, 2, 3, money::charge, 50, 50)}));
  CHECK_FALSE(possible({one, wallet(2, 2, 3, money::charge, 50, 100), wallet(3, 5, 6, money::read, 0, 50)}));
}

TEST_CASE("money that is spent twice is noticed, and so is money that is refused though it is there") {
  const auto charged = wallet(1, 1, 2, money::charge, 50, 50);
  CHECK(possible({charged, wallet(2, 3, 6, money::use, 50, 0), wallet(3, 4, 5, money::use, 50, {})}));
  CHECK_FALSE(possible({charged, wallet(2, 3, 6, money::use, 50, 0), wallet(3, 4, 5, money::use, 50, 0)}));
  CHECK_FALSE(possible({charged, wallet(3, 4, 5, money::use, 50, {})}));
  CHECK(possible({charged, pays(2, 3, 6, 50, 7), wallet(3, 4, 5, money::use, 50, {})}));
  CHECK_FALSE(possible({charged, pays(2, 3, 4, 50, 7), pays(3, 5, 6, 50, 8)}));
  CHECK_FALSE(possible({charged, pays(2, 3, 4, 50, 7, false)}));
  const auto back = refunds(2, 5, 6, 50, 7);
  CHECK(possible({charged, pays(2, 3, 4, 50, 7), back, refunds(3, 5, 8, 50, 7), wallet(1, 9, 10, money::read, 0, 50)}));
  CHECK_FALSE(possible({charged, pays(2, 3, 4, 50, 7), back, refunds(3, 5, 8, 50, 7), wallet(1, 9, 10, money::read, 0, 100)}));
  CHECK_FALSE(possible({charged, back}));
}

TEST_CASE("what nobody heard the end of may have happened, at any time since, or not at all, but not in part and not twice") {
  const auto charged = wallet(1, 1, 2, money::charge, 50, 50);
  const auto unheard = lost(2, 3, money::use, 30);
  const auto sees = [](std::uint64_t at, std::int64_t balance) { return wallet(3, at, at + 1, money::read, 0, balance); };
  CHECK(possible({charged, unheard, sees(5, 50)}));
  CHECK(possible({charged, unheard, sees(5, 20)}));
  CHECK(possible({charged, unheard, sees(5, 50), sees(7, 50), sees(9, 20)}));
  CHECK_FALSE(possible({charged, unheard, sees(5, 20), sees(7, 50)}));
  CHECK_FALSE(possible({charged, unheard, sees(5, 40)}));
  CHECK_FALSE(possible({charged, unheard, sees(5, 20), wallet(3, 7, 8, money::charge, 30, 50), sees(9, 20)}));
  CHECK_FALSE(possible({charged, sees(3, 20), lost(2, 5, money::use, 30)}));  // it had not begun
  CHECK_FALSE(possible({charged, unheard, wallet(3, 5, 6, money::use, 50, {}), sees(7, 50)}));  // it must have happened for that
  CHECK(possible({charged, unheard, wallet(3, 5, 6, money::use, 50, {}), sees(7, 20)}));
}

TEST_CASE("two who both get one seat are noticed, and so is a seat that is refused though it is free") {
  const auto ann = seat(1, 1, 4, place::reserve, 1, 201);
  CHECK(possible({ann, seat(2, 2, 3, place::reserve, 2, 409)}));
  CHECK_FALSE(possible({ann, seat(2, 2, 3, place::reserve, 2, 201)}));
  CHECK_FALSE(possible({ann, seat(2, 5, 6, place::reserve, 2, 201)}));
  CHECK_FALSE(possible({seat(2, 2, 3, place::reserve, 2, 409), seat(1, 4, 5, place::reserve, 1, 201)}));
  const auto released = seat(1, 5, 8, place::release, 1, 200);
  CHECK(possible({ann, released, seat(2, 6, 7, place::reserve, 2, 201)}));
  CHECK(possible({ann, released, seat(2, 6, 7, place::reserve, 2, 409)}));
  CHECK_FALSE(possible({ann, released, seat(2, 9, 10, place::reserve, 2, 409)}));
  CHECK(possible({lost(1, 1, place::reserve, 1), seat(2, 2, 3, place::reserve, 2, 409), reads(3, 4, 5, 1, "PENDING")}));
  CHECK_FALSE(possible({lost(1, 1, place::reserve, 1), seat(2, 2, 3, place::reserve, 2, 409), reads(3, 4, 5, 1, "")}));
}

namespace {

std::vector<seat_operation> in_halves(place first, place second, int client, std::uint64_t from, std::uint64_t to, int reservation, unsigned status) {
  return {seat(client, from, to, first, reservation, status), seat(client, from, to, second, reservation, status)};
}
std::vector<seat_operation> joined(std::vector<std::vector<seat_operation>> parts) {
  std::vector<seat_operation> out;
  for (auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

}  // namespace

TEST_CASE("a payment is seen before, under way and done, in this order, and once") {
  const std::vector<seat_operation> held{seat(1, 1, 2, place::reserve, 1, 201)};
  const auto paid = in_halves(place::start_payment, place::end_payment, 1, 3, 20, 1, 200);
  const auto seen = [](std::uint64_t at, std::string what) { return std::vector{reads(2, at, at + 1, 1, std::move(what))}; };
  CHECK(possible(joined({held, paid, seen(4, "PENDING"), seen(6, "PAYING"), seen(8, "CONFIRMED")})));
  CHECK_FALSE(possible(joined({held, paid, seen(4, "PAYING"), seen(6, "PENDING")})));
  CHECK_FALSE(possible(joined({held, paid, seen(4, "CONFIRMED"), seen(6, "PAYING")})));
  CHECK_FALSE(possible(joined({held, paid, seen(21, "PAYING")})));
  CHECK_FALSE(possible(joined({held, paid, in_halves(place::start_payment, place::end_payment, 2, 3, 20, 1, 200)})));
  CHECK_FALSE(possible(joined({held, paid, {seat(2, 21, 22, place::release, 1, 200)}})));
  const auto declined = in_halves(place::start_payment, place::end_payment, 1, 3, 20, 1, 402);
  CHECK(possible(joined({held, declined, seen(4, "PAYING"), seen(6, "PENDING")})));
  CHECK_FALSE(possible(joined({held, declined, seen(4, "CONFIRMED")})));
  const std::vector<seat_operation> unheard{lost(1, 3, place::start_payment, 1), lost(1, 3, place::end_payment, 1)};
  CHECK(possible(joined({held, unheard, seen(4, "PAYING"), seen(6, "PENDING")})));
  CHECK(possible(joined({held, unheard, seen(4, "PAYING"), seen(6, "CONFIRMED")})));
  CHECK(possible(joined({held, unheard, seen(4, "PAYING"), seen(6, "PAYING")})));
  CHECK_FALSE(possible(joined({held, unheard, seen(4, "PENDING"), seen(6, "PAYING"), seen(8, "PENDING"), seen(10, "CONFIRMED")})));
  const auto cancelled = in_halves(place::start_refund, place::end_refund, 1, 23, 30, 1, 200);
  CHECK(possible(joined({held, paid, cancelled, {seat(2, 24, 25, place::reserve, 2, 201)}})));
  CHECK_FALSE(possible(joined({held, cancelled})));
}

namespace {

/// The definition, word by word: any order in which nothing comes after what was called only after its return.
template <sequential_model M>
bool some_order_fits(const std::vector<operation<M>>& h, std::vector<bool>& placed, const typename M::state& now) {
  const auto is_left = [&](std::size_t i) { return h[i].output && !placed[i]; };
  bool all = true;
  for (std::size_t i = 0; i < h.size(); ++i) all = all && !is_left(i);
  if (all) return true;
  for (std::size_t i = 0; i < h.size(); ++i) {
    bool comes_later = placed[i];
    for (std::size_t j = 0; j < h.size(); ++j) comes_later = comes_later || (is_left(j) && h[j].returned < h[i].called);
    if (comes_later) continue;
    placed[i] = true;
    for (const auto& next : M::next(now, h[i].input, h[i].output))
      if (some_order_fits(h, placed, next)) return true;
    placed[i] = false;
  }
  return false;
}

/// @param make  what an operation asked and heard, at random
template <sequential_model M, class Make>
void check_against_the_definition(std::uint64_t seed, Make make) {
  std::mt19937_64 random{seed};
  std::array<int, 2> verdicts{};
  for (int n = 0; n < 20'000; ++n) {
    std::vector<operation<M>> h(1 + random() % 6);
    for (auto& o : h) {
      o = make(random);
      o.called = random() % 8;
      o.returned = o.called + random() % 4;
      if (random() % 4 == 0) o.output.reset();
    }
    std::vector<bool> placed(h.size());
    const bool expected = some_order_fits(h, placed, {});
    ++verdicts[expected];
    const auto v = check_history(h);
    if (v.is == (expected ? verdict_kind::linearizable : verdict_kind::impossible)) continue;
    FAIL_CHECK("history " << n << " of seed " << seed << " should be " << (expected ? "possible" : "impossible") << ": " << v.why);
  }
  CHECK(std::min(verdicts[0], verdicts[1]) > 1000);
}

}  // namespace

TEST_CASE("the search says what the definition says, of many small histories") {
  check_against_the_definition<wallet_model>(1, [](auto& random) {
    wallet_operation o;
    o.input = {static_cast<money>(random() % 5), static_cast<std::int64_t>(1 + random() % 2), static_cast<int>(random() % 2)};
    o.output = wallet_model::output{random() % 5 > 0, {}};
    if (random() % 2 == 0) o.output->balance = static_cast<std::int64_t>(random() % 4);
    return o;
  });
  check_against_the_definition<seat_model>(2, [](auto& random) {
    static constexpr std::array statuses{200U, 200U, 402U, 404U, 409U};
    static constexpr std::array words{"PENDING", "PAYING", "CONFIRMED", "REFUNDING", "RELEASED", "CANCELLED"};
    seat_operation o;
    o.input = {static_cast<place>(random() % 7), static_cast<int>(random() % 2), static_cast<int>(random() % 2)};
    o.output = seat_model::output{statuses[random() % statuses.size()], words[random() % words.size()]};
    return o;
  });
}

TEST_CASE("where no order is possible one is told how far one gets, and what can't be") {
  const auto v = check_history<wallet_model>({wallet(1, 1, 2, money::charge, 50, 50), wallet(2, 3, 6, money::use, 40, 10),
                                              wallet(3, 4, 5, money::use, 40, 10), wallet(4, 7, 8, money::read, 0, 10)});
  CHECK(v.is == verdict_kind::impossible);
  CHECK(v.order == std::vector<std::size_t>{0, 2});
  CHECK(v.offending == std::size_t{1});
  INFO(v.why);
  CHECK(v.why.find("client 3: use 40 -> 10\nThis leaves: balance 10\nNow it had to be the turn of\n  [3 to 6] client 2: use 40 -> 10") != std::string::npos);
}

TEST_CASE("the search ends, also where it has not found out") {
  std::vector<wallet_operation> h;
  for (int i = 0; i < 24; ++i) h.push_back(wallet(i, 1, 2, money::charge, std::int64_t{1} << i, std::int64_t{1} << 40));
  for (int i = 0; i < 24; ++i) h.push_back(lost(i, 1, money::charge, std::int64_t{1} << i));
  CHECK(check_history(h, 1000).is != verdict_kind::linearizable);
  for (auto& o : h) o.output = o.output ? std::optional{wallet_model::output{true, {}}} : std::nullopt;
  CHECK(check_history(h).is == verdict_kind::linearizable);
  h.push_back(wallet(99, 3, 4, money::read, 0, 1));
  CHECK(check_history(h, 1000).is == verdict_kind::undecided);
}

// --- histories of a real server ------------------------------------------------------------------------------------

namespace {

constexpr std::int64_t price = 500;
constexpr int users = 3;
constexpr int seats = 5;
constexpr int clients = 12;

/// A request, and what its client knows of it.
struct request_made {
  enum class kind { reserve, release, pay, cancel, read, charge, use, balance };
  kind what = kind::read;
  int client = 0;
  int number = 0;       ///< among all requests
  int user = 0;         ///< whose money it is about
  int reservation = 0;  ///< where it is about one
  std::int64_t amount = 0;
  std::uint64_t called = 0;
  std::uint64_t returned = 0;
  unsigned status = 0;  ///< 0: no answer came
  std::string said = {};

  [[nodiscard]] bool is_about_a_reservation() const { return what < kind::charge; }
  [[nodiscard]] bool ends_it() const {
    return what == kind::reserve ? status == 409 : (what == kind::release || what == kind::cancel) && status == 200;
  }
  [[nodiscard]] bool never_executed() const { return status == 503; }
  [[nodiscard]] bool is_known() const { return status != 0 && status != 504; }
};
using made = request_made::kind;

/// A reservation that somebody asked for, whether or not there came to be one.
struct wish {
  std::string id = {};
  int user = 0;
  std::vector<std::string> seats = {};
  bool over = false;  ///< refused, released or cancelled, and somebody knows
};

/// What all clients of one sale share: a clock, and the reservations that anybody ever wanted.
class sale {
 public:
  sale(const child_node& node, std::uint64_t seed) : seed_{seed} {
    client c{node.port()};
    const auto opened = c.post("/shows", plan(), node.token("operator", http::role::operator_));
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    show = opened.text("showId");
    for (int u = 0; u < users; ++u) tokens.push_back(node.token(user_id(u)));
  }

  /// Of this sale alone: their wallets are empty before.
  [[nodiscard]] std::string user_id(int user) const { return "usr_" + std::to_string(seed_) + '_' + std::to_string(user); }
  std::uint64_t tick() { return ++clock_; }
  int next_request() { return ++requests_; }
  int add(wish w) {
    std::scoped_lock lock(mutex_);
    w.id = make_reservation_id(show, user_id(w.user) + "\nwish-" + std::to_string(wishes_.size()));
    wishes_.push_back(std::move(w));
    return static_cast<int>(wishes_.size()) - 1;
  }
  /// One that the user has, as far as is known, or one of the last wanted, so that clients meet.
  std::optional<int> one_of(int user, std::mt19937_64& random) {
    std::scoped_lock lock(mutex_);
    std::vector<int> out;
    const bool any = random() % 4 == 0;
    for (int i = static_cast<int>(wishes_.size()) - 1; i >= 0 && out.size() < 6; --i) {
      const auto& w = wishes_[static_cast<std::size_t>(i)];
      if (w.user == user && (any || !w.over)) out.push_back(i);
    }
    return out.empty() ? std::nullopt : std::optional{out[random() % out.size()]};
  }
  void is_over(int reservation) {
    std::scoped_lock lock(mutex_);
    wishes_.at(static_cast<std::size_t>(reservation)).over = true;
  }
  wish at(int reservation) {
    std::scoped_lock lock(mutex_);
    return wishes_.at(static_cast<std::size_t>(reservation));
  }
  int wishes() {
    std::scoped_lock lock(mutex_);
    return static_cast<int>(wishes_.size());
  }

  std::string show;
  std::vector<std::string> tokens;  // by user

 private:
  static std::string plan() {
    return json::serialize(json::object{
        {"title", "Evening"}, {"venue", "Hall"}, {"currency", "EUR"}, {"holdSeconds", 3600}, {"ticketLimit", 10'000},
        {"tiers", json::array{json::object{{"name", "all"}, {"price", price}}}},
        {"sections", json::array{json::object{{"name", "Stalls"}, {"kind", "seated"},
                                              {"rows", json::array{json::object{{"name", "A"}, {"seats", seats}, {"tier", "all"}}}}}}}});
  }

  std::uint64_t seed_;
  std::atomic<std::uint64_t> clock_{0};
  std::atomic<int> requests_{0};
  std::mutex mutex_;
  std::vector<wish> wishes_;
};

/// One connection that does whatever its dice say, for a user that it shares with others.
class guest {
 public:
  guest(sale& s, int number, std::uint64_t seed) : sale_{s}, number_{number}, random_{seed * 1000 + static_cast<std::uint64_t>(number)} {}

  /// Ends early where the node is gone: then the last request has no answer.
  void play(std::uint16_t port, int requests, std::vector<request_made>& notes, std::atomic<int>& answered) {
    try {
      client c{port};
      for (int i = 0; i < requests; ++i, ++answered) send(c, next(), notes);
    } catch (const std::exception&) {
    }
  }

  /// Sends it, and notes it down before: an answer that never comes is one of the outcomes.
  void send(client& c, request_made r, std::vector<request_made>& notes) {
    r.client = number_;
    r.number = sale_.next_request();
    const auto message = message_for(r, r.is_about_a_reservation() ? sale_.at(r.reservation) : wish{});
    r.called = sale_.tick();
    notes.push_back(r);
    auto a = c.ask(message);
    notes.back().returned = sale_.tick();
    notes.back().status = a.status;
    notes.back().said = std::move(a.body);
    if (notes.back().ends_it()) sale_.is_over(r.reservation);
  }

 private:
  request_made next() {
    request_made r;
    r.user = number_ % users;
    const auto dice = static_cast<int>(random_() % 100);
    if (dice < 11) return with(r, made::charge, amount(10));
    if (dice < 22) return with(r, made::use, amount(14));
    if (dice < 32) return with(r, made::balance, 0);
    const auto known = sale_.one_of(r.user, random_);
    if (dice < 55 || !known) {
      r.reservation = sale_.add({.user = r.user, .seats = pick_seats()});
      return with(r, made::reserve, 0);
    }
    r.reservation = *known;
    if (dice < 70) return with(r, made::pay, 0);
    if (dice < 77) return with(r, made::release, 0);
    if (dice < 86) return with(r, made::cancel, 0);
    return with(r, made::read, 0);
  }
  static request_made with(request_made r, request_made::kind what, std::int64_t amount) {
    r.what = what;
    r.amount = amount;
    return r;
  }
  std::int64_t amount(std::uint64_t times) { return 50 * static_cast<std::int64_t>(1 + random_() % times); }

  std::vector<std::string> pick_seats() {
    const auto first = random_() % seats;
    std::vector<std::string> out{"A-" + std::to_string(first + 1)};
    if (random_() % 4 == 0) out.push_back("A-" + std::to_string((first + 1 + random_() % (seats - 1)) % seats + 1));
    return out;
  }

  request message_for(const request_made& r, const wish& w) {
    const auto& token = sale_.tokens[static_cast<std::size_t>(r.user)];
    const std::vector<std::pair<std::string, std::string>> key{{"Idempotency-Key", "request-" + std::to_string(r.number)}};
    const auto body = [](json::object o) { return json::serialize(o); };
    switch (r.what) {
      case made::reserve: {
        json::array names(w.seats.begin(), w.seats.end());
        return {"POST", "/reservations", body({{"showId", sale_.show}, {"seats", names}}), token,
                {{"Idempotency-Key", "wish-" + std::to_string(r.reservation)}}};
      }
      case made::release: return {"DELETE", "/reservations/" + w.id, {}, token, key};
      case made::pay: return {"POST", "/payment", body({{"reservationId", w.id}}), token, key};
      case made::cancel: return {"POST", "/reservations/" + w.id + "/cancel", "{}", token, key};
      case made::read: return {"GET", "/reservations/" + w.id, {}, token, {}};
      case made::charge: return {"POST", "/balance/charge", body({{"amount", r.amount}}), token, key};
      case made::use: return {"POST", "/balance/use", body({{"amount", r.amount}}), token, key};
      case made::balance: return {"GET", "/balance", {}, token, {}};
    }
    return {};
  }

  sale& sale_;
  int number_;
  std::mt19937_64 random_;
};

/// The requests by what they touched: every seat and every wallet has a history of its own.
struct histories {
  std::map<std::string, std::vector<seat_operation>> seats;
  std::map<int, std::vector<wallet_operation>> wallets;  // by user
};

void add_to_wallet(const request_made& r, const wish& w, histories& all) {
  wallet_operation o{r.client, r.called, r.returned, {money::read, r.amount, r.reservation}, {}};
  const bool ok = r.status == 200;
  if (r.is_known()) o.output = wallet_model::output{ok, {}};
  switch (r.what) {
    case made::charge: o.input.what = money::charge; break;
    case made::use: o.input.what = money::use; break;
    case made::balance: break;
    case made::pay:
      if (r.is_known() && !ok && r.status != 402) return;  // refused before it came to money
      o.input = {money::pay, price * static_cast<std::int64_t>(w.seats.size()), r.reservation};
      break;
    case made::cancel:
      if (r.is_known() && !ok) return;
      o.input = {money::refund, price * static_cast<std::int64_t>(w.seats.size()), r.reservation};
      break;
    default: return;
  }
  const bool says_balance = ok && (r.what == made::charge || r.what == made::use || r.what == made::balance);
  if (says_balance) o.output->balance = json::parse(r.said).as_object().at("balance").to_number<std::int64_t>();
  all.wallets[r.user].push_back(o);
}

/// The seats that the answer is about: where some were taken, only these are known to have been.
std::vector<std::string> seats_of(const request_made& r, const wish& w) {
  if (r.what != made::reserve || r.status != 409) return w.seats;
  std::vector<std::string> out;
  const auto said = json::parse(r.said);
  for (const auto& seat : said.as_object().at("seats").as_array()) out.emplace_back(seat.as_string());
  return out;
}

void add_to_seats(const request_made& r, const wish& w, histories& all) {
  std::vector<place> deeds;
  const bool refused = r.status == 404 || r.status == 409;
  switch (r.what) {
    case made::reserve: deeds = {place::reserve}; break;
    case made::release: deeds = {place::release}; break;
    case made::pay: deeds = {place::start_payment, place::end_payment}; break;
    case made::cancel: deeds = {place::start_refund, place::end_refund}; break;
    case made::read: deeds = {place::read}; break;
    default: return;
  }
  if (refused) deeds.resize(1);
  seat_operation o{r.client, r.called, r.returned, {place::read, r.reservation, r.number}, {}};
  if (r.is_known()) o.output = seat_model::output{r.status, {}};
  if (r.what == made::read && r.status == 200) o.output->seen = json::parse(r.said).as_object().at("status").as_string();
  for (const auto& seat : seats_of(r, w)) {
    for (const auto deed : deeds) {
      o.input.what = deed;
      all.seats[seat].push_back(o);
    }
  }
}

histories by_what_they_touched(sale& s, const std::vector<request_made>& requests) {
  histories all;
  for (const auto& r : requests) {
    const bool reads = r.what == made::read || r.what == made::balance;
    if (r.never_executed() || (reads && !r.is_known())) continue;
    const auto w = r.is_about_a_reservation() ? s.at(r.reservation) : wish{};
    add_to_wallet(r, w, all);
    add_to_seats(r, w, all);
  }
  return all;
}

/// A server, those who use it, and all that they saw.
struct run {
  child_node& node;
  sale s;
  std::vector<guest> guests;
  std::vector<request_made> requests;

  run(child_node& n, std::uint64_t seed) : node{n}, s{n, seed} {
    for (int i = 0; i < clients; ++i) guests.emplace_back(s, i, seed);
  }

  /// All at once, so many requests each. @param kill_after  so many answers; the rest is cut off
  void play(int each, std::optional<int> kill_after = {}) {
    std::vector<std::vector<request_made>> notes(guests.size());
    std::atomic<int> answered{0};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < guests.size(); ++i)
      threads.emplace_back([&, i, port = node.port()] { guests[i].play(port, each, notes[i], answered); });
    if (kill_after) {
      CHECK(eventually([&] { return answered >= *kill_after; }));
      node.kill();
    }
    for (auto& t : threads) t.join();
    for (auto& n : notes) requests.insert(requests.end(), n.begin(), n.end());
  }

  /// What is left when all is over.
  void look_at_everything() {
    client c{node.port()};
    for (int u = 0; u < users; ++u) guests[0].send(c, {.what = made::balance, .user = u}, requests);
    for (int i = 0; i < s.wishes(); ++i) guests[0].send(c, {.what = made::read, .user = s.at(i).user, .reservation = i}, requests);
  }

  [[nodiscard]] std::map<std::pair<request_made::kind, unsigned>, int> counts() const {
    std::map<std::pair<request_made::kind, unsigned>, int> out;
    for (const auto& r : requests) ++out[{r.what, r.status}];
    return out;
  }
};

void check_all(const histories& all) {
  CHECK(all.seats.size() == seats);
  CHECK(all.wallets.size() == users);
  for (const auto& [seat, history] : all.seats) {
    const auto v = check_history(history);
    INFO("seat " << seat << ": " << v.why);
    CHECK(v);
  }
  for (const auto& [user, history] : all.wallets) {
    const auto v = check_history(history);
    INFO("wallet of user " << user << ": " << v.why);
    CHECK(v);
  }
}

/// All that can happen did, else the run has shown nothing.
void check_that_it_was_lively(const run& r) {
  const auto counts = r.counts();
  for (const auto& [what, status] : std::initializer_list<std::pair<request_made::kind, unsigned>>{
           {made::reserve, 201}, {made::reserve, 409}, {made::release, 200}, {made::release, 409}, {made::pay, 200}, {made::pay, 402},
           {made::pay, 409}, {made::cancel, 200}, {made::cancel, 409}, {made::read, 200}, {made::read, 404}, {made::charge, 200},
           {made::use, 200}, {made::use, 402}, {made::balance, 200}}) {
    INFO("request " << static_cast<int>(what) << " answered " << status);
    CHECK(counts.contains({what, status}));
  }
}

/// One wrong balance in an answer, which no order can have led to: all amounts are multiples of 50.
void check_that_a_lie_is_noticed(histories all) {
  auto& history = all.wallets.begin()->second;
  const auto told = std::find_if(history.begin() + static_cast<std::ptrdiff_t>(history.size() / 2), history.end(),
                                 [](const wallet_operation& o) { return o.input.what == money::read; });
  REQUIRE(told != history.end());
  *told->output->balance += 1;
  const auto v = check_history(history);
  CHECK(v.is == verdict_kind::impossible);
  CHECK(v.offending == static_cast<std::size_t>(told - history.begin()));
}

}  // namespace

TEST_CASE("what many do at once with a few seats and wallets could have been done by one after the other") {
  const temp_dir directory;
  child_node node{directory.path + "/node"};
  const auto rounds = number_from_environment("USHER_TEST_ROUNDS", 2);
  for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
    INFO("seed " << seed);
    run r{node, seed};
    r.play(400);
    CHECK_NOTHROW(r.look_at_everything());
    check_that_it_was_lively(r);
    const auto all = by_what_they_touched(r.s, r.requests);
    check_all(all);
    check_that_a_lie_is_noticed(all);
  }
}

TEST_CASE("so it could where the server was killed in the middle, and what was cut off happened once or never") {
  const temp_dir directory;
  child_node node{directory.path + "/node"};
  const auto rounds = number_from_environment("USHER_TEST_ROUNDS", 2);
  for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
    INFO("seed " << seed);
    run r{node, seed};
    std::mt19937_64 random{seed};
    for (int kills = 0; kills < 2; ++kills) {
      r.play(2000, 600 + static_cast<int>(random() % 900));
      node.start();
    }
    r.play(100);
    CHECK_NOTHROW(r.look_at_everything());
    check_that_it_was_lively(r);
    CHECK(std::any_of(r.requests.begin(), r.requests.end(), [](const request_made& q) { return q.status == 0; }));
    const auto all = by_what_they_touched(r.s, r.requests);
    check_all(all);
    check_that_a_lie_is_noticed(all);
  }
}

}  // namespace usher::tests
