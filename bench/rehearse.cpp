// Buyers as coroutines of one thread; what they were promised is kept in a ledger and compared with the server at the end.
#include "bench/rehearse.hpp"

#include "bench/answers.hpp"
#include "bench/client.hpp"
#include "bench/histogram.hpp"
#include "bench/rehearsal_report.hpp"
#include "bench/watch.hpp"
#include "events/draw_document.hpp"

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
#include <map>
#include <optional>
#include <ostream>
#include <random>
#include <stdexcept>
#include <string_view>
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
constexpr int losses_max = 5;    // of a connection that waits, before its buyer asks now and then instead
constexpr std::size_t party_max = 4;
constexpr std::int64_t patience_ms = 30'000;  // who goes away goes within this, where no wait was promised

enum class step { sign_up, join, admission, map, reserve, charge, pay, leave, release, balance };
constexpr std::array step_names{"sign up", "join the queue", "wait for admission", "seat map", "reserve", "charge", "pay", "leave the queue", "release", "balance"};
enum class ending {
  bought, nothing_left, closed, at_the_door, outrun, left, vanished_waiting, vanished_inside, vanished_holding, released, admission_lost, hold_lost, place_lost, out_of_time, failed
};
constexpr std::array ending_names{"bought", "inside, but nothing left", "told it was over", "turned away at the door", "lost every race", "left the queue",
                                  "vanished while waiting", "vanished once inside", "vanished with seats held", "gave seats back", "admission expired", "hold ran out", "lost their place",
                                  "out of time", "failed"};
/// What somebody is going to do, though events may take the choice from them.
enum class plan { buy, leave_waiting, vanish_waiting, vanish_inside, vanish_holding, release };
constexpr std::array ways_to_abandon{plan::leave_waiting, plan::vanish_waiting, plan::vanish_inside, plan::vanish_holding, plan::release};

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
  std::string user, token, admission;
  watched_ticket ticket;
  std::optional<waiting_book::ticket> story;
  plan intends = plan::buy;
  bool waits = false;                 // in the queue, and listens
  std::optional<ending> turned_away;  // what they heard in place of an admission
  std::int64_t charged = 0;
  std::int64_t charge_unknown = 0;  // sent, but no answer was heard
  std::optional<purchase> bought;
  std::optional<purchase> payment_unknown;
  ending end = ending::failed;
};

std::int64_t wall_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

pace pace_in(const json::object& queue, pace before) {
  const auto take = [&queue](const char* name, std::uint32_t& into) {
    if (const auto found = count(queue, name); found && *found > 0) into = static_cast<std::uint32_t>(*found);
  };
  take("admitPerWindow", before.per_window);
  take("windowSeconds", before.window_s);
  take("admissionSeconds", before.admission_s);
  take("maxActive", before.max_active);
  if (const auto started = time_ms(queue, "windowStartedAt"); started != 0) before.window_started_ms = started;
  return before;
}

// --- the rehearsal ------------------------------------------------------------------------------------------------

class rehearsal {
 public:
  rehearsal(const rehearsal_options& options, std::ostream& out)
      : options_(options), out_(out), server_{options.host, options.port}, pool_(io_, server_, options.connections), aside_pool_(io_, server_, 1),
        watcher_(io_, server_, pool_, options.waiting_connections), random_(options.seed),
        run_(std::to_string(std::random_device{}()) + std::to_string(std::random_device{}())), begin_(clock::now()) {}

  int run();

 private:
  awaitable<void> whole();
  awaitable<void> open_show();
  awaitable<void> read_layout();
  awaitable<void> read_pace();
  awaitable<void> read_commitment();
  awaitable<void> live(std::size_t number);
  awaitable<ending> way_of(buyer& who, clock::time_point arrival);
  awaitable<bool> sign_up(buyer& who, clock::time_point arrival);
  awaitable<std::optional<ending>> queue_up(buyer& who);
  awaitable<std::optional<ending>> wait(buyer& who, clock::time_point going_at);
  awaitable<ending> go_away(buyer& who);
  awaitable<ending> leave(buyer& who);
  awaitable<ending> buy(buyer& who);
  awaitable<std::optional<ending>> abandon_hold(buyer& who, const purchase& held);
  awaitable<ending> pay_for(buyer& who, purchase held);
  awaitable<http_reply> reserve(buyer& who, const std::vector<std::size_t>& seats, int choice);
  awaitable<std::vector<char>> seat_states();
  awaitable<void> audit();
  awaitable<void> audit_buyer(buyer& who);
  awaitable<void> settle_unknown(buyer& who);
  awaitable<http_reply> ask(step what, clock::time_point planned, http_request request);
  awaitable<void> pause(clock::duration time);
  awaitable<void> think();
  awaitable<void> look_inside();
  awaitable<void> compare_channels();
  awaitable<void> compare_channels_for(const buyer& who);
  awaitable<void> read_draw();
  awaitable<void> show_progress();
  void aside(awaitable<void> work);

  void audit_sales(const std::vector<char>& before, const std::vector<char>& after);
  [[nodiscard]] std::size_t doubly_sold() const;
  bool hear(buyer& who, const told& said);
  void checks_of_channels();
  clock::time_point going_at(const buyer& who, const told& said);
  plan intention();
  double between(double low, double high) { return std::uniform_real_distribution<>{low, high}(random_); }
  std::vector<std::size_t> choose(const std::vector<char>& states);
  [[nodiscard]] headers fields(const buyer& who, const std::string& key) const;
  [[nodiscard]] headers as_operator() const;
  [[nodiscard]] bool late() const { return clock::now() >= begin_ + options_.at_most; }
  ending surprised(const char* at, const http_reply& by) {
    if (first_surprise_.empty()) first_surprise_ = std::string{at} + ": " + std::to_string(by.status) + " " + by.body.substr(0, 300);
    return ending::failed;
  }
  void check(std::string name, bool holds, std::string detail) { checks_.push_back({std::move(name), holds, std::move(detail)}); }
  void draw(bool last) const;
  [[nodiscard]] rehearsal_report report() const;

  struct measured {
    histogram latency;
    std::map<int, std::uint64_t> by_status;
  };

  const rehearsal_options& options_;
  std::ostream& out_;
  asio::io_context io_{1};
  endpoint server_;
  connection_pool pool_;
  connection_pool aside_pool_;  // for who looks on, so that they don't queue behind the buyers
  watcher watcher_;
  std::mt19937_64 random_;
  std::string run_;  // makes keys and addresses differ from every earlier run's
  clock::time_point begin_;
  double seconds_ = 0;

  std::string show_;
  pace pace_;
  std::vector<seat> seats_;
  std::vector<char> before_;
  std::vector<buyer> buyers_;
  std::array<measured, step_names.size()> steps_;
  std::array<std::size_t, ending_names.size()> endings_{};
  std::vector<verdict> checks_;
  std::string first_surprise_;
  std::size_t surprises_ = 0;
  waiting_book book_;
  std::vector<std::string> notes_;
  std::string first_difference_;
  std::string commitment_;  // to the draw's secret, as it was published before
  std::size_t compared_ = 0, differed_ = 0, moved_meanwhile_ = 0;
  std::size_t waiting_ = 0, ended_ = 0, audited_ = 0, watching_ = 0, asides_ = 0;
  bool early_ = false;  // somebody came before the opening, so there is a draw
  std::exception_ptr failed_;
};

headers rehearsal::fields(const buyer& who, const std::string& key) const {
  headers found{{"Authorization", "Bearer " + who.token}};
  if (!key.empty()) found.push_back({"Idempotency-Key", "rehearsal-" + run_ + "-" + std::to_string(who.number) + "-" + key});
  return found;
}

headers rehearsal::as_operator() const {
  if (options_.operator_token.empty()) return {};
  return {{"Authorization", "Bearer " + options_.operator_token}};
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

// Half of what a buyer needs inside, give or take a half.
awaitable<void> rehearsal::think() {
  const auto time = std::chrono::duration_cast<clock::duration>(options_.think * between(0.25, 0.75));
  if (time.count() > 0) co_await pause(time);
}

// What goes on beside the buyers, and ends with them.
void rehearsal::aside(awaitable<void> work) {
  ++asides_;
  asio::co_spawn(io_, std::move(work), [this](std::exception_ptr error) {
    --asides_;
    if (error) notes_.push_back("something beside the buyers failed");
  });
}

awaitable<void> rehearsal::open_show() {
  show_ = options_.show;
  if (!show_.empty()) co_return;
  http_request request{verb::post, "/shows", options_.new_show, as_operator()};
  request.fields.emplace_back("Idempotency-Key", "rehearsal-" + run_ + "-show");
  const auto reply = co_await pool_.send(request);
  show_ = text(object_of(reply.body), "showId");
  if (reply.status != 201) throw std::runtime_error("the show can't be opened: " + std::to_string(reply.status) + " " + reply.body);
  const auto ordered = object_of(options_.new_show);
  if (const auto* queue = member(ordered, "queue")) pace_ = pace_in(*queue, pace_);
}

// Public from the show's creation on; the draw is held against it.
awaitable<void> rehearsal::read_commitment() {
  http_request request{verb::get, "/shows/" + show_ + "/draw", {}, {}};
  const auto reply = co_await pool_.send(request);
  commitment_ = text(object_of(reply.body), "commitment");
}

// From the operator's view where there is one; else as ordered, or the defaults.
awaitable<void> rehearsal::read_pace() {
  http_request request{verb::get, "/admin/shows/" + show_ + "/queue", {}, as_operator()};
  const auto reply = co_await pool_.send(request);
  if (reply.status == 200) pace_ = pace_in(object_of(reply.body), pace_);
}

awaitable<void> rehearsal::read_layout() {
  const auto as = as_operator();
  std::string cursor;
  do {
    const auto target = "/shows/" + show_ + "/seats?format=list&limit=200" + (cursor.empty() ? "" : "&cursor=" + cursor);
    http_request request{verb::get, target, {}, as};
    const auto reply = co_await pool_.send(request);
    if (reply.status != 200) throw std::runtime_error("the seats of " + show_ + " can't be read: " + std::to_string(reply.status) + " " + reply.body);
    const auto page = object_of(reply.body);
    const auto* items = page.if_contains("items");
    if (items == nullptr || !items->is_array()) throw std::runtime_error("the list of seats has no items");
    for (const auto& item : items->get_array()) {
      const auto& one = item.as_object();
      seats_.push_back({text(one, "seat"), text(one, "section") + "/" + text(one, "row"), number(one, "price")});
    }
    cursor = text(page, "nextCursor");
  } while (!cursor.empty());
  if (seats_.empty()) throw std::runtime_error(show_ + " has no numbered seats");
}

awaitable<std::vector<char>> rehearsal::seat_states() {
  http_request request{verb::get, "/shows/" + show_ + "/seats?format=bitset", {}, as_operator()};
  const auto reply = co_await ask(step::map, clock::now(), request);
  if (reply.status != 200 || text(object_of(reply.body), "states").empty())
    throw std::runtime_error("the seat map can't be read: " + std::to_string(reply.status) + " " + reply.body.substr(0, 200));
  co_return seat_states_in(reply.body, seats_.size());
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

plan rehearsal::intention() {
  if (between(0, 1) >= options_.abandon) return plan::buy;
  return ways_to_abandon[random_() % ways_to_abandon.size()];
}

awaitable<ending> rehearsal::way_of(buyer& who, clock::time_point arrival) {
  who.intends = intention();
  const bool signed_up = co_await sign_up(who, arrival);
  if (!signed_up) co_return ending::failed;
  const auto turned = co_await queue_up(who);
  if (who.story) book_.gone(*who.story);
  if (turned) co_return *turned;
  const auto end = co_await buy(who);
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

// When somebody who doesn't want to wait to the end goes: at some moment of the wait that was promised.
clock::time_point rehearsal::going_at(const buyer& who, const told& said) {
  if (who.intends != plan::leave_waiting && who.intends != plan::vanish_waiting) return clock::time_point::max();
  const auto longest_ms = said.promised && said.promised->p50_s > 0 ? 1'000.0 * said.promised->p50_s : static_cast<double>(patience_ms);
  return clock::now() + std::chrono::milliseconds(static_cast<std::int64_t>(between(0, longest_ms)));
}

// Nothing: on with the purchase. A show without a queue refuses the token, and then its seats can be had at once.
awaitable<std::optional<ending>> rehearsal::queue_up(buyer& who) {
  const json::object body{{"showId", show_}};
  http_request request{verb::post, "/queue/token", json::serialize(body), fields(who, "join")};
  const auto reply = co_await ask(step::join, clock::now(), request);
  if (reply.status == 410) co_return ending::at_the_door;
  if (reply.status / 100 == 4 && reply.status != 429) co_return std::nullopt;
  if (reply.status / 100 != 2) co_return surprised("join the queue", reply);
  const auto ticket = object_of(reply.body);
  who.ticket = {text(ticket, "ticketId"), text(ticket, "token"), who.token};
  const auto said = told_in(reply.body);
  const auto by = options_.channels[who.number % options_.channels.size()];
  who.story = book_.joined(static_cast<std::uint64_t>(number(ticket, "number")), by);
  const bool waits = hear(who, said);
  if (!waits) co_return who.turned_away;
  const auto since = clock::now();
  ++waiting_;
  who.waits = true;
  const auto turned = co_await wait(who, going_at(who, said));
  who.waits = false;
  --waiting_;
  if (!turned) steps_[static_cast<std::size_t>(step::admission)].latency.record(std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - since).count());
  co_return turned;
}

// @return whether to go on listening
bool rehearsal::hear(buyer& who, const told& said) {
  book_.heard(*who.story, said, wall_ms());
  early_ = early_ || said.status == "EARLY";
  if (!said.admission.empty()) {
    who.admission = said.admission;
    return false;
  }
  const bool waits = said.status.empty() || said.status == "EARLY" || said.status == "WAITING";
  if (said.closed) who.turned_away = ending::closed;
  else if (!waits || said.refusal == "queue-ticket-expired" || said.refusal == "not-found") who.turned_away = ending::place_lost;
  return !who.turned_away && said.refusal.empty();
}

// Until the admission (nothing), or whatever comes before it. A connection that is lost is made again.
awaitable<std::optional<ending>> rehearsal::wait(buyer& who, clock::time_point going_at) {
  const auto until = std::min(going_at, begin_ + options_.at_most);
  const listener hears = [this, &who](const told& said) { return hear(who, said); };
  auto by = options_.channels[who.number % options_.channels.size()];
  for (int losses = 0;; ++losses) {
    if (losses == losses_max || watching_ >= options_.waiting_connections) by = channel::poll;
    book_.listens_by(*who.story, by);
    watching_ += by != channel::poll;
    co_await watcher_.follow(by, who.ticket, until, hears);
    watching_ -= by != channel::poll;
    if (!who.admission.empty()) co_return std::nullopt;
    if (who.turned_away) co_return who.turned_away;
    if (late()) co_return ending::out_of_time;
    if (clock::now() >= going_at) break;
    co_await pause(std::chrono::milliseconds(200 + random_() % 1'000));
  }
  book_.gone(*who.story);
  const auto end = co_await go_away(who);
  co_return end;
}

awaitable<ending> rehearsal::go_away(buyer& who) {
  if (who.intends == plan::vanish_waiting) co_return ending::vanished_waiting;
  const auto end = co_await leave(who);
  co_return end;
}

awaitable<ending> rehearsal::leave(buyer& who) {
  http_request request{verb::delete_, "/queue/token", {}, fields(who, "leave")};
  request.fields.push_back({"Queue-Token", who.ticket.token});
  const auto left = co_await ask(step::leave, clock::now(), request);
  co_return left.status / 100 == 2 || left.status == 410 ? ending::left : surprised("leave the queue", left);
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
  const json::object body{{"showId", show_}, {"seats", std::move(names)}};
  http_request request{verb::post, "/reservations", json::serialize(body), fields(who, "reserve-" + std::to_string(choice))};
  if (!who.admission.empty()) request.fields.push_back({"Queue-Token", who.admission});
  auto reply = co_await ask(step::reserve, clock::now(), std::move(request));
  co_return reply;
}

awaitable<ending> rehearsal::buy(buyer& who) {
  const bool queued = !who.admission.empty();
  if (queued && (who.intends == plan::vanish_inside || who.intends == plan::vanish_waiting)) co_return ending::vanished_inside;
  co_await think();
  if (queued && who.intends == plan::leave_waiting) {
    const auto end = co_await leave(who);
    co_return end;
  }
  for (int choice = 0; choice < choices_max; ++choice) {
    if (late()) co_return ending::out_of_time;
    const auto states = co_await seat_states();
    const auto seats = choose(states);
    if (seats.empty()) co_return ending::nothing_left;
    const auto reply = co_await reserve(who, seats, choice);
    if (reply.status == 409) continue;
    const bool ticket_over = reply.status == 410 && text(object_of(reply.body), "code") == "queue-ticket-expired";
    if (queued && (reply.status == 403 || ticket_over)) co_return ending::admission_lost;
    if (reply.status == 410) co_return ending::nothing_left;
    if (reply.status != 201) co_return surprised("reserve", reply);
    const auto answer = object_of(reply.body);
    purchase held{text(answer, "reservationId"), seats, number(answer, "amount")};
    const auto abandoned = co_await abandon_hold(who, held);
    if (abandoned) co_return *abandoned;
    co_await think();
    const auto end = co_await pay_for(who, std::move(held));
    co_return end;
  }
  co_return ending::outrun;
}

// Without a word the hold runs out by itself.
awaitable<std::optional<ending>> rehearsal::abandon_hold(buyer& who, const purchase& held) {
  if (who.intends == plan::buy) co_return std::nullopt;
  if (who.intends != plan::release) co_return ending::vanished_holding;
  http_request request{verb::delete_, "/reservations/" + held.reservation, {}, fields(who, "release")};
  const auto released = co_await ask(step::release, clock::now(), request);
  if (released.status == 410) co_return ending::hold_lost;
  co_return released.status / 100 == 2 ? ending::released : surprised("release", released);
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
  if (paid.status == 410) co_return ending::hold_lost;
  if (paid.status == 0 || paid.status == 409 || paid.status >= 500) who.payment_unknown = std::move(held);
  co_return surprised("pay", paid);
}

// --- beside the buyers --------------------------------------------------------------------------------------------

// Each second, as an operator: how many are inside.
awaitable<void> rehearsal::look_inside() {
  while (ended_ < buyers_.size()) {
    http_request request{verb::get, "/admin/shows/" + show_ + "/queue", {}, as_operator()};
    const auto reply = co_await aside_pool_.send(request);
    if (reply.status / 100 == 4) {
      notes_.push_back("who is inside could not be watched: " + std::to_string(reply.status));
      co_return;
    }
    const auto seen = object_of(reply.body);
    if (reply.status == 200) {
      const auto* supply = member(seen, "supply");
      inside_sample sample{wall_ms(), count(seen, "inside").value_or(0), count(seen, "waiting").value_or(0), count(seen, "admitted").value_or(0), {}};
      if (supply != nullptr) sample.available = count(*supply, "available");
      book_.sampled(sample);
    }
    co_await pause(std::chrono::seconds(1));
  }
}

// Somebody who waits, at random, over and over: what does each channel say of their place at the same time?
awaitable<void> rehearsal::compare_channels() {
  while (ended_ < buyers_.size()) {
    for (int tries = 0; tries < 50; ++tries) {
      const auto& who = buyers_[random_() % buyers_.size()];
      if (!who.waits) continue;
      co_await compare_channels_for(who);
      break;
    }
    co_await pause(std::chrono::milliseconds(500));
  }
}

// Asked before and after, so that a place which moved in between is no contradiction.
awaitable<void> rehearsal::compare_channels_for(const buyer& who) {
  const auto ticket = who.ticket;
  const auto before = co_await watcher_.ask_once(channel::long_poll, ticket);
  const auto socket = co_await watcher_.ask_once(channel::websocket, ticket);
  const auto stream = co_await watcher_.ask_once(channel::events, ticket);
  const auto after = co_await watcher_.ask_once(channel::long_poll, ticket);
  const auto same = [](const told& a, const told& b) { return a.status == b.status && a.position == b.position && a.ahead == b.ahead; };
  const bool all_heard = !before.status.empty() && !socket.status.empty() && !stream.status.empty();
  if (!all_heard || !same(before, after)) {
    ++moved_meanwhile_;
    co_return;
  }
  ++compared_;
  if (same(before, socket) && same(before, stream)) co_return;
  ++differed_;
  const auto place = [](const told& of) { return of.status + " " + (of.position ? std::to_string(*of.position) : "-"); };
  first_difference_ = ticket.id + ": " + place(before) + ", by WebSocket " + place(socket) + ", by events " + place(stream);
}

// The draw's document names everybody who took part and where it put them.
awaitable<void> rehearsal::read_draw() {
  if (!early_) co_return;
  http_request request{verb::get, "/shows/" + show_ + "/draw/tickets", {}, {}};
  const auto reply = co_await pool_.send(request);
  const auto document = object_of(reply.body);
  const auto* tickets = list(document, "tickets");
  if (reply.status != 200 || tickets == nullptr) {
    notes_.push_back("the draw's document could not be read: " + std::to_string(reply.status) + "; the admissions of those who took part are not checked");
    co_return;
  }
  draw::document held;
  auto faults = draw::read_document(json::value(document), held);
  if (faults.empty()) faults = draw::verify(held);
  check("anybody can compute the draw again", faults.empty(),
        faults.empty() ? std::to_string(tickets->size()) + " tickets" : faults.front().field() + ": " + faults.front().detail());
  check("the draw's secret is the one that was committed to", text(document, "commitment") == commitment_, "commitment " + commitment_);
  for (const auto& one : *tickets) {
    if (const auto* ticket = one.if_object()) book_.drawn(count(*ticket, "number").value_or(0), count(*ticket, "rank").value_or(0));
  }
}

void rehearsal::checks_of_channels() {
  if (compared_ + moved_meanwhile_ == 0) return;
  check("all channels tell the same story", differed_ == 0,
        std::to_string(compared_) + " tickets asked by all of them, " + std::to_string(moved_meanwhile_) + " more moved meanwhile" +
            (first_difference_.empty() ? "" : "; " + first_difference_));
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
  std::fprintf(stderr, "\r[%s%s] %zu/%zu done, %zu waiting, %zu bought, %zu too late, %zu failed %s", std::string(full, '#').c_str(),
               std::string(width - full, ' ').c_str(), ended_, buyers_.size(), waiting_, count(ending::bought),
               count(ending::closed) + count(ending::at_the_door) + count(ending::nothing_left), count(ending::failed),
               last ? "\n" : "");
  std::fflush(stderr);
}

awaitable<void> rehearsal::whole() {
  co_await open_show();
  co_await read_layout();
  co_await read_pace();
  co_await read_commitment();
  before_ = co_await seat_states();
  buyers_.resize(options_.buyers);
  begin_ = clock::now();
  for (std::size_t i = 0; i < buyers_.size(); ++i) asio::co_spawn(io_, live(i), asio::detached);
  aside(look_inside());
  aside(compare_channels());
  if (::isatty(STDERR_FILENO)) aside(show_progress());
  while (ended_ < buyers_.size()) co_await pause(std::chrono::milliseconds(20));
  seconds_ = std::chrono::duration<double>(clock::now() - begin_).count();
  while (asides_ > 0) co_await pause(std::chrono::milliseconds(20));
  co_await audit();
  co_await read_draw();
  co_await read_pace();  // again, since windows begin with the first admission
  checks_of_channels();
}

rehearsal_report rehearsal::report() const {
  rehearsal_report out;
  out.show = show_;
  out.buyers = buyers_.size();
  out.arrived_over_s = std::chrono::duration<double>(options_.arrive_over).count();
  out.seconds = seconds_;
  out.seed = options_.seed;
  for (std::size_t i = 0; i < endings_.size(); ++i) out.endings.push_back({ending_names[i], endings_[i]});
  for (std::size_t i = 0; i < steps_.size(); ++i) out.steps.push_back({step_names[i], steps_[i].latency, steps_[i].by_status});
  out.waiting = book_.judge(pace_);
  out.checks = checks_;
  out.checks.insert(out.checks.end(), out.waiting.checks.begin(), out.waiting.checks.end());
  out.notes = notes_;
  out.first_surprise = first_surprise_;
  return out;
}

int rehearsal::run() {
  asio::co_spawn(io_, whole(), [this](std::exception_ptr error) {
    failed_ = error;
    io_.stop();
  });
  io_.run();
  if (failed_) std::rethrow_exception(failed_);
  const auto found = report();
  options_.json ? print_json(found, out_) : print_table(found, out_);
  return found.holds() ? 0 : 1;
}

}  // namespace

int rehearse(const rehearsal_options& options, std::ostream& out) try {
  if (options.buyers == 0) throw std::invalid_argument("a rehearsal needs at least one buyer");
  if (options.channels.empty()) throw std::invalid_argument("people have to wait by some channel");
  const auto files = raise_file_limit();
  auto fitting = options;
  const std::size_t others = options.connections + 64;
  fitting.waiting_connections = std::min(options.waiting_connections, files > others ? files - others : 0);
  return rehearsal{fitting, out}.run();
} catch (const std::exception& error) {
  out << "rehearsal: " << error.what() << '\n';
  return 2;
}

}  // namespace usher::bench
