// Buyers as coroutines of one thread; what they were promised is kept in a ledger and compared with the server at the end.
#include "bench/rehearse.hpp"

#include "bench/client.hpp"
#include "bench/histogram.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <iomanip>
#include <map>
#include <optional>
#include <ostream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace usher::bench {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using boost::beast::http::verb;
using clock = std::chrono::steady_clock;
using asio::awaitable;
using asio::use_awaitable;

constexpr int choices_max = 10;  // of seats, before a buyer gives up
constexpr int attempts_max = 6;  // of one request
constexpr std::size_t party_max = 4;
constexpr auto poll_every = std::chrono::seconds(2);

enum class step { sign_up, join, status, admission, map, reserve, charge, pay, leave, release, balance };
constexpr std::array step_names{"sign up", "join the queue", "queue status", "wait for admission", "seat map", "reserve", "charge", "pay", "leave the queue", "release", "balance"};
enum class ending { bought, sold_out, outrun, abandoned, admission_lost, out_of_time, failed };
constexpr std::array ending_names{"bought", "sold out", "lost every race", "abandoned", "admission expired", "out of time", "failed"};

struct seat {
  std::string name, row;  // row: section and row, so that equal neighbours are side by side
  std::int64_t price = 0;
};
constexpr char available = 0;
constexpr char sold = 2;

struct purchase {
  std::string reservation;
  std::vector<std::size_t> seats;
  std::int64_t amount = 0;
};

struct buyer {
  std::size_t number = 0;
  std::string user, token, ticket, queue_token, admission;
  std::int64_t charged = 0;
  std::int64_t charge_unknown = 0;  // sent, but no answer was heard
  std::optional<purchase> bought;
  std::optional<purchase> payment_unknown;
  ending end = ending::failed;
};

// --- reading answers: an absent or odd member reads as nothing, and the step that needs it fails -------------------

json::object object_of(const std::string& body) {
  json::error_code error;
  auto value = json::parse(body, error);
  return !error && value.is_object() ? std::move(value.get_object()) : json::object{};
}

std::string text(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains({name.data(), name.size()});
  if (value == nullptr) return {};
  if (value->is_string()) return std::string{value->get_string()};
  return value->is_null() ? std::string{} : json::serialize(*value);
}

std::int64_t number(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains({name.data(), name.size()});
  json::error_code error;
  const auto found = value != nullptr && value->is_number() ? value->to_number<std::int64_t>(error) : 0;
  return error ? 0 : found;
}

json::object member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_object() ? value->get_object() : json::object{};
}

// Both alphabets; anything else, such as padding, is -1. A table, since every buyer decodes the whole map.
constexpr std::array<signed char, 256> base64_values = [] {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<signed char, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i) values[static_cast<unsigned char>(alphabet[i])] = static_cast<signed char>(i);
  values['-'] = values['+'];
  values['_'] = values['/'];
  return values;
}();

std::string base64_bytes(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  unsigned gathered = 0;
  int bits = 0;
  for (const char c : text) {
    const int value = base64_values[static_cast<unsigned char>(c)];
    if (value < 0) continue;
    gathered = gathered << 6 | static_cast<unsigned>(value);
    if ((bits += 6) >= 8) bytes.push_back(static_cast<char>(gathered >> (bits -= 8) & 0xff));
  }
  return bytes;
}

// Seat i stands in byte i / 4, at bits 2 * (i % 4) from the lowest.
std::vector<char> states_of(const std::string& body, std::size_t seats) {
  const auto bytes = base64_bytes(text(object_of(body), "states"));
  std::vector<char> states(seats, 3);
  for (std::size_t i = 0; i < seats && i / 4 < bytes.size(); ++i) states[i] = static_cast<char>(static_cast<unsigned char>(bytes[i / 4]) >> 2 * (i % 4) & 3);
  return states;
}

// --- the rehearsal ------------------------------------------------------------------------------------------------

class rehearsal {
 public:
  rehearsal(const rehearsal_options& options, std::ostream& out)
      : options_(options), out_(out), server_{options.host, options.port}, pool_(io_, server_, options.connections), random_(options.seed),
        run_(std::to_string(std::random_device{}()) + std::to_string(std::random_device{}())), begin_(clock::now()) {}

  int run();

 private:
  awaitable<void> whole();
  awaitable<void> read_layout();
  awaitable<void> live(std::size_t number);
  awaitable<ending> way_of(buyer& who, clock::time_point arrival);
  awaitable<bool> sign_up(buyer& who, clock::time_point arrival);
  awaitable<std::optional<ending>> queue_up(buyer& who, bool leaves);
  awaitable<std::string> watch(buyer& who);
  awaitable<std::string> poll(buyer& who);
  awaitable<ending> buy(buyer& who, bool leaves);
  awaitable<ending> pay_for(buyer& who, purchase held);
  awaitable<http_reply> reserve(buyer& who, const std::vector<std::size_t>& seats, int choice);
  awaitable<std::vector<char>> seat_states();
  awaitable<void> audit();
  awaitable<void> audit_buyer(buyer& who);
  awaitable<void> settle_unknown(buyer& who);
  awaitable<http_reply> ask(step what, clock::time_point planned, http_request request);
  awaitable<void> pause(clock::duration time);
  awaitable<void> show_progress();

  void audit_sales(const std::vector<char>& before, const std::vector<char>& after);
  [[nodiscard]] std::size_t doubly_sold() const;
  std::vector<std::size_t> choose(const std::vector<char>& states);
  [[nodiscard]] headers fields(const buyer& who, const std::string& key) const;
  [[nodiscard]] bool late() const { return clock::now() >= begin_ + options_.at_most; }
  ending surprised(const char* at, const http_reply& by) {
    if (first_surprise_.empty()) first_surprise_ = std::string{at} + ": " + std::to_string(by.status) + " " + by.body.substr(0, 300);
    return ending::failed;
  }
  void check(std::string name, bool holds, std::string detail) { checks_.push_back({std::move(name), holds, std::move(detail)}); }
  void print_table();
  void print_json();
  void draw(bool last) const;

  struct measured {
    histogram latency;
    std::map<int, std::uint64_t> by_status;
  };
  struct verdict {
    std::string name;
    bool holds;
    std::string detail;
  };

  const rehearsal_options& options_;
  std::ostream& out_;
  asio::io_context io_{1};
  endpoint server_;
  connection_pool pool_;
  std::mt19937_64 random_;
  std::string run_;  // makes keys and addresses differ from every earlier run's
  clock::time_point begin_;
  double seconds_ = 0;

  std::vector<seat> seats_;
  std::vector<char> before_;
  std::vector<buyer> buyers_;
  std::array<measured, step_names.size()> steps_;
  std::array<std::size_t, ending_names.size()> endings_{};
  std::vector<verdict> checks_;
  std::string first_surprise_;
  std::size_t surprises_ = 0;
  std::size_t waiting_ = 0, ended_ = 0, audited_ = 0, watching_ = 0;
  std::exception_ptr failed_;
};

headers rehearsal::fields(const buyer& who, const std::string& key) const {
  headers found{{"Authorization", "Bearer " + who.token}};
  if (!key.empty()) found.push_back({"Idempotency-Key", "rehearsal-" + run_ + "-" + std::to_string(who.number) + "-" + key});
  return found;
}

awaitable<void> rehearsal::pause(clock::duration time) {
  asio::steady_timer timer{io_, time};
  co_await timer.async_wait(use_awaitable);
}

// One step with its repetitions, measured as the buyer sees it: from when it was due to when an answer was final.
awaitable<http_reply> rehearsal::ask(step what, clock::time_point planned, http_request request) {
  auto& seen = steps_[static_cast<std::size_t>(what)];
  http_reply reply;
  for (int attempt = 1;; ++attempt) {
    reply = co_await pool_.send(request);
    ++seen.by_status[reply.status];
    const bool still_running = reply.status == 409 && text(object_of(reply.body), "code") == "idempotency-in-flight";
    const bool again = reply.status == 0 || reply.status == 429 || reply.status == 503 || reply.status == 504 || still_running;
    if (!again || attempt == attempts_max || late()) break;
    const auto wait = std::max<std::int64_t>(reply.retry_after_s * 1'000, 50L << attempt);
    co_await pause(std::chrono::milliseconds(wait + static_cast<std::int64_t>(random_() % 100)));
  }
  seen.latency.record(std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - planned).count());
  co_return reply;
}

awaitable<void> rehearsal::read_layout() {
  headers as;
  if (!options_.operator_token.empty()) as.push_back({"Authorization", "Bearer " + options_.operator_token});
  std::string cursor;
  do {
    const auto target = "/shows/" + options_.show + "/seats?format=list&limit=200" + (cursor.empty() ? "" : "&cursor=" + cursor);
    http_request request{verb::get, target, {}, as};
    const auto reply = co_await pool_.send(request);
    if (reply.status != 200) throw std::runtime_error("the seats of " + options_.show + " can't be read: " + std::to_string(reply.status) + " " + reply.body);
    const auto page = object_of(reply.body);
    const auto* items = page.if_contains("items");
    if (items == nullptr || !items->is_array()) throw std::runtime_error("the list of seats has no items");
    for (const auto& item : items->get_array()) {
      const auto& one = item.as_object();
      seats_.push_back({text(one, "seat"), text(one, "section") + "/" + text(one, "row"), number(one, "price")});
    }
    cursor = text(page, "nextCursor");
  } while (!cursor.empty());
  if (seats_.empty()) throw std::runtime_error(options_.show + " has no numbered seats");
}

awaitable<std::vector<char>> rehearsal::seat_states() {
  headers as;
  if (!options_.operator_token.empty()) as.push_back({"Authorization", "Bearer " + options_.operator_token});
  http_request request{verb::get, "/shows/" + options_.show + "/seats?format=bitset", {}, as};
  const auto reply = co_await ask(step::map, clock::now(), request);
  if (reply.status != 200 || text(object_of(reply.body), "states").empty())
    throw std::runtime_error("the seat map can't be read: " + std::to_string(reply.status) + " " + reply.body.substr(0, 200));
  co_return states_of(reply.body, seats_.size());
}

// --- one buyer ----------------------------------------------------------------------------------------------------

awaitable<void> rehearsal::live(std::size_t number) {
  const auto arrival = begin_ + clock::duration{options_.arrive_over} * static_cast<std::int64_t>(number) / static_cast<std::int64_t>(options_.buyers);
  asio::steady_timer timer{io_, arrival};
  co_await timer.async_wait(use_awaitable);
  auto& who = buyers_[number];
  who.number = number;
  try {
    who.end = co_await way_of(who, arrival);
  } catch (const std::exception& error) {
    if (first_surprise_.empty()) first_surprise_ = error.what();
    who.end = ending::failed;
  }
  if (who.end == ending::failed && late()) who.end = ending::out_of_time;
  ++endings_[static_cast<std::size_t>(who.end)];
  ++ended_;
}

awaitable<ending> rehearsal::way_of(buyer& who, clock::time_point arrival) {
  const bool leaves = std::uniform_real_distribution<>{}(random_) < options_.abandon;
  const bool leaves_the_queue = leaves && random_() % 3 == 0;
  const bool signed_up = co_await sign_up(who, arrival);
  if (!signed_up) co_return ending::failed;
  const auto turned = co_await queue_up(who, leaves_the_queue);
  if (turned) co_return *turned;
  const auto end = co_await buy(who, leaves);
  co_return end;
}

awaitable<bool> rehearsal::sign_up(buyer& who, clock::time_point arrival) {
  const auto name = "buyer-" + run_ + "-" + std::to_string(who.number);
  const json::object body{{"name", name}, {"email", name + "@rehearsal.invalid"}};
  buyer as = who;
  as.token = options_.operator_token;
  http_request request{verb::post, "/users", json::serialize(body), fields(as, "user")};
  if (as.token.empty()) request.fields.erase(request.fields.begin());
  const auto reply = co_await ask(step::sign_up, arrival, request);
  const auto answer = object_of(reply.body);
  who.user = text(answer, "userId");
  who.token = text(answer, "token");
  if (who.token.empty()) surprised("sign up", reply);
  co_return !who.token.empty();
}

// Nothing: on with the purchase. A show without a queue refuses the token, and then its seats can be had at once.
awaitable<std::optional<ending>> rehearsal::queue_up(buyer& who, bool leaves) {
  const json::object body{{"showId", options_.show}};
  http_request request{verb::post, "/queue/token", json::serialize(body), fields(who, "join")};
  const auto reply = co_await ask(step::join, clock::now(), request);
  if (reply.status / 100 == 4 && reply.status != 429) co_return std::nullopt;
  if (reply.status / 100 != 2) co_return surprised("join the queue", reply);
  const auto ticket = object_of(reply.body);
  who.queue_token = text(ticket, "token");
  who.ticket = text(ticket, "ticketId");
  who.admission = text(member(ticket, "admission"), "token");
  if (leaves && who.admission.empty()) {
    http_request going{verb::delete_, "/queue/token", {}, fields(who, "leave")};
    going.fields.push_back({"Queue-Token", who.queue_token});
    const auto left = co_await ask(step::leave, clock::now(), going);
    co_return left.status / 100 == 2 ? ending::abandoned : surprised("leave the queue", left);
  }
  const auto since = clock::now();
  ++waiting_;
  if (who.admission.empty() && watching_ < options_.websockets) who.admission = co_await watch(who);
  if (who.admission.empty()) who.admission = co_await poll(who);
  --waiting_;
  if (who.admission.empty()) co_return ending::failed;
  steps_[static_cast<std::size_t>(step::admission)].latency.record(std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - since).count());
  co_return std::nullopt;
}

// The admission token, or empty where the WebSocket ended first (the buyer then asks again by polling).
awaitable<std::string> rehearsal::watch(buyer& who) {
  ++watching_;
  websocket_client socket{io_};
  std::string found;
  const json::object subscription{{"op", "subscribe"}, {"channel", "queue:" + who.ticket}};
  bool open = co_await socket.connect(server_, who.token, begin_ + options_.at_most);
  if (open) open = co_await socket.send(json::serialize(subscription));
  while (open && found.empty()) {
    const auto message = co_await socket.receive();
    if (!message) break;
    const auto data = member(object_of(*message), "data");
    found = text(member(data, "admission"), "token");
    if (text(data, "status") == "ADMITTED") break;
  }
  --watching_;
  co_return found;
}

awaitable<std::string> rehearsal::poll(buyer& who) {
  while (!late()) {
    http_request request{verb::get, "/queue/status", {}, fields(who, "")};
    request.fields.push_back({"Queue-Token", who.queue_token});
    const auto reply = co_await ask(step::status, clock::now(), request);
    if (reply.status != 200) {
      surprised("queue status", reply);
      break;
    }
    auto admission = text(member(object_of(reply.body), "admission"), "token");
    if (!admission.empty()) co_return admission;
    co_await pause(poll_every + std::chrono::milliseconds(random_() % 500));
  }
  co_return std::string{};
}

// One to four free seats side by side, from a random place on; fewer where no such block is left; empty: nothing is free.
std::vector<std::size_t> rehearsal::choose(const std::vector<char>& states) {
  const auto start = random_() % seats_.size();
  for (std::size_t party = 1 + random_() % party_max; party > 0; --party) {
    std::vector<std::size_t> block;
    for (std::size_t i = 0; i < seats_.size() + party; ++i) {
      const auto at = (start + i) % seats_.size();
      if (states[at] != available) {
        block.clear();
        continue;
      }
      if (!block.empty() && (at != block.back() + 1 || seats_[at].row != seats_[block.back()].row)) block.clear();
      block.push_back(at);
      if (block.size() == party) return block;
    }
  }
  return {};
}

awaitable<http_reply> rehearsal::reserve(buyer& who, const std::vector<std::size_t>& seats, int choice) {
  json::array names;
  for (const auto at : seats) names.emplace_back(seats_[at].name);
  const json::object body{{"showId", options_.show}, {"seats", std::move(names)}};
  http_request request{verb::post, "/reservations", json::serialize(body), fields(who, "reserve-" + std::to_string(choice))};
  if (!who.admission.empty()) request.fields.push_back({"Queue-Token", who.admission});
  auto reply = co_await ask(step::reserve, clock::now(), std::move(request));
  co_return reply;
}

awaitable<ending> rehearsal::buy(buyer& who, bool leaves) {
  for (int choice = 0; choice < choices_max; ++choice) {
    if (late()) co_return ending::out_of_time;
    const auto states = co_await seat_states();
    const auto seats = choose(states);
    if (seats.empty()) co_return ending::sold_out;
    const auto reply = co_await reserve(who, seats, choice);
    if (reply.status == 409) continue;
    if (reply.status == 403 && !who.admission.empty()) co_return ending::admission_lost;
    if (reply.status != 201) co_return surprised("reserve", reply);
    const auto answer = object_of(reply.body);
    purchase held{text(answer, "reservationId"), seats, number(answer, "amount")};
    if (leaves && random_() % 2 == 0) co_return ending::abandoned;  // without a word: the hold runs out by itself
    if (leaves) {
      http_request request{verb::delete_, "/reservations/" + held.reservation, {}, fields(who, "release")};
      const auto released = co_await ask(step::release, clock::now(), request);
      co_return released.status / 100 == 2 ? ending::abandoned : surprised("release", released);
    }
    const auto end = co_await pay_for(who, std::move(held));
    co_return end;
  }
  co_return ending::outrun;
}

awaitable<ending> rehearsal::pay_for(buyer& who, purchase held) {
  const auto charge = held.amount + static_cast<std::int64_t>(1 + random_() % 1'000);
  http_request charging{verb::post, "/balance/charge", json::serialize(json::object{{"amount", charge}}), fields(who, "charge")};
  const auto charged = co_await ask(step::charge, clock::now(), charging);
  if (charged.status == 0 || charged.status == 409 || charged.status >= 500) who.charge_unknown = charge;
  if (charged.status / 100 == 2) who.charged = charge;
  if (charged.status / 100 != 2) co_return surprised("charge", charged);
  http_request paying{verb::post, "/payment", json::serialize(json::object{{"reservationId", held.reservation}}), fields(who, "pay")};
  const auto paid = co_await ask(step::pay, clock::now(), paying);
  if (paid.status / 100 == 2) {
    who.bought = std::move(held);
    co_return ending::bought;
  }
  if (paid.status == 0 || paid.status == 409 || paid.status >= 500) who.payment_unknown = std::move(held);
  co_return surprised("pay", paid);
}

// --- afterwards ---------------------------------------------------------------------------------------------------

// A payment without an answer is not lost: the reservation knows.
awaitable<void> rehearsal::settle_unknown(buyer& who) {
  http_request request{verb::get, "/reservations/" + who.payment_unknown->reservation, {}, fields(who, "")};
  const auto reply = co_await ask(step::pay, clock::now(), request);
  if (text(object_of(reply.body), "status") == "CONFIRMED") who.bought = who.payment_unknown;
  if (reply.status == 200) who.payment_unknown.reset();
}

awaitable<void> rehearsal::audit_buyer(buyer& who) {
  try {
    if (who.payment_unknown) co_await settle_unknown(who);
    std::int64_t listed = 0;
    if (who.bought) {
      for (const auto at : who.bought->seats) listed += seats_[at].price;
    }
    http_request request{verb::get, "/balance", {}, fields(who, "")};
    const auto reply = co_await ask(step::balance, clock::now(), request);
    // A wallet that was never charged may not exist.
    const bool none = reply.status == 404 && who.charged == 0;
    const auto balance = none ? 0 : number(object_of(reply.body), "balance");
    const auto expected = who.charged - listed;
    const bool right = (reply.status == 200 || none) && (balance == expected || (who.charge_unknown != 0 && balance == expected + who.charge_unknown));
    const bool as_listed = !who.bought || who.bought->amount == listed;
    if (!right || !as_listed || who.payment_unknown) {
      ++surprises_;
      if (first_surprise_.empty()) {
        first_surprise_ = "buyer " + who.user + " charged " + std::to_string(who.charged) + ", bought for " + std::to_string(listed) + ", and has " +
                          std::to_string(balance) + " (status " + std::to_string(reply.status) + ")";
      }
    }
  } catch (const std::exception& error) {
    ++surprises_;
    if (first_surprise_.empty()) first_surprise_ = error.what();
  }
  ++audited_;
}

std::size_t rehearsal::doubly_sold() const {
  std::vector<unsigned> times(seats_.size());
  for (const auto& who : buyers_) {
    if (!who.bought) continue;
    for (const auto at : who.bought->seats) ++times[at];
  }
  return static_cast<std::size_t>(std::count_if(times.begin(), times.end(), [](unsigned n) { return n > 1; }));
}

void rehearsal::audit_sales(const std::vector<char>& before, const std::vector<char>& after) {
  std::vector<bool> ours(seats_.size());
  for (const auto& who : buyers_) {
    if (!who.bought) continue;
    for (const auto at : who.bought->seats) ours[at] = true;
  }
  std::size_t missing = 0, strange = 0, taken_before = 0;
  for (std::size_t i = 0; i < seats_.size(); ++i) {
    missing += ours[i] && after[i] != sold;
    strange += !ours[i] && after[i] == sold && before[i] != sold;
    taken_before += ours[i] && before[i] == sold;
  }
  const auto twice = doubly_sold() + taken_before;
  const auto total = static_cast<std::size_t>(std::count(ours.begin(), ours.end(), true));
  check("no seat was sold twice", twice == 0, std::to_string(twice) + " of " + std::to_string(total) + " seats");
  check("every paid seat is sold on the map", missing == 0, std::to_string(missing) + " are not");
  check("no seat is sold without a payment", strange == 0, std::to_string(strange) + " are");
}

// The map is a projection and may lag; it must arrive at the ledger's picture within ten seconds.
awaitable<void> rehearsal::audit() {
  for (auto& who : buyers_) {
    if (who.token.empty()) {
      ++audited_;
    } else {
      asio::co_spawn(io_, audit_buyer(who), asio::detached);
    }
  }
  while (audited_ < buyers_.size()) co_await pause(std::chrono::milliseconds(20));
  const auto limit = clock::now() + std::chrono::seconds(10);
  auto after = co_await seat_states();
  const auto agrees = [this, &after] {
    return std::all_of(buyers_.begin(), buyers_.end(), [&](const buyer& who) {
      return !who.bought || std::all_of(who.bought->seats.begin(), who.bought->seats.end(), [&](std::size_t at) { return after[at] == sold; });
    });
  };
  while (!agrees() && clock::now() < limit) {
    co_await pause(std::chrono::milliseconds(200));
    after = co_await seat_states();
  }
  audit_sales(before_, after);
  check("no money is missing", surprises_ == 0, std::to_string(surprises_) + " of " + std::to_string(buyers_.size()) + " wallets or prices are off");
  const auto failed = endings_[static_cast<std::size_t>(ending::failed)];
  check("no buyer met an unexpected answer", failed == 0, std::to_string(failed) + " did");
}

awaitable<void> rehearsal::show_progress() {
  while (ended_ < buyers_.size()) {
    draw(false);
    co_await pause(std::chrono::milliseconds(250));
  }
  draw(true);
}

void rehearsal::draw(bool last) const {
  constexpr std::size_t width = 30;
  const auto full = width * ended_ / std::max<std::size_t>(buyers_.size(), 1);
  const auto count = [this](ending of) { return endings_[static_cast<std::size_t>(of)]; };
  std::fprintf(stderr, "\r[%s%s] %zu/%zu done, %zu waiting, %zu bought, %zu sold out, %zu failed %s", std::string(full, '#').c_str(),
               std::string(width - full, ' ').c_str(), ended_, buyers_.size(), waiting_, count(ending::bought), count(ending::sold_out), count(ending::failed),
               last ? "\n" : "");
  std::fflush(stderr);
}

awaitable<void> rehearsal::whole() {
  co_await read_layout();
  before_ = co_await seat_states();
  buyers_.resize(options_.buyers);
  begin_ = clock::now();
  for (std::size_t i = 0; i < buyers_.size(); ++i) asio::co_spawn(io_, live(i), asio::detached);
  if (::isatty(STDERR_FILENO)) asio::co_spawn(io_, show_progress(), asio::detached);
  while (ended_ < buyers_.size()) co_await pause(std::chrono::milliseconds(20));
  seconds_ = std::chrono::duration<double>(clock::now() - begin_).count();
  co_await audit();
}

void rehearsal::print_table() {
  out_ << buyers_.size() << " buyers over " << options_.arrive_over.count() << " s, done after " << std::fixed << std::setprecision(1) << seconds_ << " s, seed "
       << options_.seed << "\n\n";
  for (std::size_t i = 0; i < endings_.size(); ++i) {
    if (endings_[i] > 0) out_ << std::left << std::setw(20) << ending_names[i] << std::right << std::setw(9) << endings_[i] << '\n';
  }
  out_ << '\n' << std::left << std::setw(20) << "step" << std::right;
  for (const char* column : {"count", "p50 ms", "p90 ms", "p99 ms", "max ms"}) out_ << std::setw(11) << column;
  out_ << "  answers\n";
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const auto& [latency, by_status] = steps_[i];
    if (latency.count() == 0) continue;
    out_ << std::left << std::setw(20) << step_names[i] << std::right << std::setw(11) << latency.count() << std::setprecision(2);
    for (const double quantile : {0.5, 0.9, 0.99}) out_ << std::setw(11) << static_cast<double>(latency.percentile_us(quantile)) / 1e3;
    out_ << std::setw(11) << static_cast<double>(latency.max_us()) / 1e3 << ' ';
    for (const auto& [status, count] : by_status) out_ << ' ' << (status == 0 ? "lost" : std::to_string(status)) << ':' << count;
    out_ << '\n';
  }
  out_ << '\n';
  for (const auto& one : checks_) out_ << (one.holds ? "ok      " : "FAILED  ") << one.name << " (" << one.detail << ")\n";
  if (!first_surprise_.empty()) out_ << "first surprise: " << first_surprise_ << '\n';
}

void rehearsal::print_json() {
  json::object outcomes, steps;
  for (std::size_t i = 0; i < endings_.size(); ++i) outcomes[ending_names[i]] = endings_[i];
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const auto& latency = steps_[i].latency;
    if (latency.count() == 0) continue;
    json::object statuses;
    for (const auto& [status, count] : steps_[i].by_status) statuses[std::to_string(status)] = count;
    steps[step_names[i]] = json::object{{"count", latency.count()}, {"p50Us", latency.percentile_us(0.5)}, {"p90Us", latency.percentile_us(0.9)},
                                        {"p99Us", latency.percentile_us(0.99)}, {"maxUs", latency.max_us()}, {"statuses", std::move(statuses)}};
  }
  json::array checks;
  for (const auto& one : checks_) checks.push_back({{"name", one.name}, {"holds", one.holds}, {"detail", one.detail}});
  out_ << json::serialize(json::object{{"buyers", buyers_.size()}, {"seconds", seconds_}, {"seed", options_.seed}, {"outcomes", std::move(outcomes)},
                                       {"steps", std::move(steps)}, {"checks", std::move(checks)}, {"firstSurprise", first_surprise_}})
       << '\n';
}

int rehearsal::run() {
  asio::co_spawn(io_, whole(), [this](std::exception_ptr error) {
    failed_ = error;
    io_.stop();
  });
  io_.run();
  if (failed_) std::rethrow_exception(failed_);
  options_.json ? print_json() : print_table();
  return std::all_of(checks_.begin(), checks_.end(), [](const verdict& one) { return one.holds; }) ? 0 : 1;
}

}  // namespace

int rehearse(const rehearsal_options& options, std::ostream& out) try {
  if (options.buyers == 0) throw std::invalid_argument("a rehearsal needs at least one buyer");
  const auto files = raise_file_limit();
  auto fitting = options;
  const std::size_t others = options.connections + 64;
  fitting.websockets = std::min(options.websockets, files > others ? files - others : 0);
  return rehearsal{fitting, out}.run();
} catch (const std::exception& error) {
  out << "rehearsal: " << error.what() << '\n';
  return 2;
}

}  // namespace usher::bench
