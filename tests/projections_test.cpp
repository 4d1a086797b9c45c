// The read models and their runner, fed with records made by hand.

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <thread>

#include "projections/runner.hpp"
#include "tests/support.hpp"

namespace usher {
namespace {

using projections::runner;

// Writes records as the journal would: indices per partition, versions per stream, each event with the record before it.
class log_writer {
 public:
  log_writer() : db_(store::database::open(directory_.path).value()) {}
  store::database& db() { return *db_; }
  void reopen() {
    db_.reset();
    db_ = store::database::open(directory_.path).value();
  }

  v1::StreamEvent event(v1::EntityRef of) {
    v1::StreamEvent e;
    e.set_version(++versions_[key_of(of)]);
    e.set_schema(1);
    *e.mutable_stream() = std::move(of);
    return e;
  }

  store::record_ptr write(std::vector<v1::StreamEvent> events, std::int64_t at_ms = 0) {
    auto record = std::make_shared<v1::Record>();
    record->set_partition(partition_of(events.front().stream().group()));
    record->set_index(++ends_[record->partition()]);
    record->set_at_ms(at_ms);
    for (auto& e : events) {
      e.set_previous_index(std::exchange(heads_[key_of(e.stream())], record->index()));
      *record->add_events() = std::move(e);
    }
    const log_position at{record->partition(), record->index()};
    REQUIRE(db_->append_synced({{at, record->SerializeAsString()}}).has_value());
    all.push_back(record);
    return record;
  }

  std::vector<store::record_ptr> all;

 private:
  tests::temp_dir directory_;
  std::unique_ptr<store::database> db_;
  std::map<std::string, std::uint64_t> versions_;
  std::map<std::string, std::uint64_t> heads_;
  std::map<std::uint32_t, std::uint64_t> ends_;
};

const std::string hall = "shw_aaaaaaaaaaaaaaaa";
const std::string ann = "usr_ann";

// Two rows of three seats and a floor of five places.
v1::ShowPlan small_hall() {
  v1::ShowPlan plan;
  plan.set_title("Evening");
  plan.set_venue("Hall");
  plan.set_starts_at_ms(1'000'000);
  plan.set_currency("EUR");
  for (const auto& [name, price] : {std::pair{"front", 900}, std::pair{"back", 500}}) {
    auto& tier = *plan.add_tiers();
    tier.set_name(name);
    tier.set_price(price);
  }
  auto& stalls = *plan.add_sections();
  stalls.set_name("stalls");
  stalls.set_kind("seated");
  for (const auto& [name, tier] : {std::pair{"A", "front"}, std::pair{"B", "back"}}) {
    auto& row = *stalls.add_rows();
    row.set_name(name);
    row.set_seats(3);
    row.set_tier(tier);
  }
  auto& floor = *plan.add_sections();
  floor.set_name("floor");
  floor.set_kind("generalAdmission");
  floor.set_stock(5);
  floor.set_tier("back");
  return plan;
}

struct story : log_writer {
  store::record_ptr open_show(const std::string& id = hall, v1::ShowPlan plan = small_hall(), std::int64_t at_ms = 100) {
    auto e = event(show_ref(id));
    *e.mutable_show()->mutable_opened()->mutable_plan() = std::move(plan);
    e.mutable_show()->mutable_opened()->set_at_ms(at_ms);
    return write({e}, at_ms);
  }

  v1::StreamEvent seat(const std::string& name, v1::SeatPhase to) {
    auto e = event(seat_ref(hall, name));
    if (to == v1::HELD) e.mutable_seat()->mutable_held();
    if (to == v1::SOLD) e.mutable_seat()->mutable_sold();
    if (to == v1::AVAILABLE) e.mutable_seat()->mutable_released();
    return e;
  }

  v1::StreamEvent taken(std::uint32_t n) {
    auto e = event(stock_ref(hall, "floor"));
    e.mutable_stock()->mutable_taken()->set_quantity(n);
    return e;
  }

  v1::StreamEvent sold(std::uint32_t n) {
    auto e = event(stock_ref(hall, "floor"));
    e.mutable_stock()->mutable_sold()->set_quantity(n);
    return e;
  }

  v1::StreamEvent placed(const std::string& id, std::int64_t at_ms) {
    auto e = event(reservation_ref(id));
    auto& p = *e.mutable_reservation()->mutable_placed();
    p.set_user_id(ann);
    p.add_seats()->set_seat("A-1");
    p.set_amount(900);
    p.set_at_ms(at_ms);
    p.set_hold_expires_at_ms(at_ms + 300'000);
    return e;
  }

  store::record_ptr charge(std::int64_t amount, std::int64_t balance, const std::string& user = ann) {
    auto e = event(wallet_ref(user));
    auto& c = *e.mutable_wallet()->mutable_charged();
    c.set_amount(amount);
    c.set_balance(balance);
    c.set_transaction_id("txn_" + std::to_string(balance));
    return write({e});
  }

  store::record_ptr use(std::int64_t amount, std::int64_t balance) {
    auto e = event(wallet_ref(ann));
    e.mutable_wallet()->mutable_used()->set_amount(amount);
    e.mutable_wallet()->mutable_used()->set_balance(balance);
    return write({e});
  }

  store::record_ptr set_aside(std::int64_t amount) {
    auto e = event(wallet_ref(ann));
    e.mutable_wallet()->mutable_authorized()->set_authorization_id("aut_1");
    e.mutable_wallet()->mutable_authorized()->set_amount(amount);
    return write({e});
  }

  store::record_ptr capture(std::int64_t amount, std::int64_t released, std::int64_t balance) {
    auto e = event(wallet_ref(ann));
    auto& c = *e.mutable_wallet()->mutable_captured();
    c.set_authorization_id("aut_1");
    c.set_amount(amount);
    c.set_released(released);
    c.set_balance(balance);
    return write({e});
  }

  store::record_ptr join(std::uint64_t number) {
    auto e = event(queue_ref(hall));
    auto& j = *e.mutable_queue()->mutable_joined();
    j.set_user_id("usr_" + std::to_string(number));
    j.set_ticket_id(make_ticket_id(hall, number));
    j.set_number(number);
    j.set_at_ms(static_cast<std::int64_t>(number));
    if (number == 1) j.mutable_settings()->set_admit_per_window(2);
    return write({e});
  }

  store::record_ptr leave(std::uint64_t number) {
    auto e = event(queue_ref(hall));
    e.mutable_queue()->mutable_left()->set_number(number);
    return write({e});
  }

  store::record_ptr admit(std::uint64_t through, std::uint32_t count, std::int64_t at_ms) {
    auto e = event(queue_ref(hall));
    auto& a = *e.mutable_queue()->mutable_admitted();
    a.set_through(through);
    a.set_count(count);
    a.set_at_ms(at_ms);
    a.set_expires_at_ms(at_ms + 300'000);
    a.set_window_started_at_ms(at_ms);
    a.set_admitted_in_window(count);
    return write({e}, at_ms);
  }

  // A bit of everything.
  void evening() {
    open_show();
    write({placed("rsv_aaaaaaaaaaaaaaaa_0000000000000001", 200), seat("A-1", v1::HELD), seat("B-2", v1::HELD), taken(2)}, 200);
    write({seat("A-1", v1::SOLD), seat("B-2", v1::AVAILABLE), sold(1)}, 300);
    for (std::uint64_t n = 1; n <= 6; ++n) join(n);
    leave(4);
    admit(2, 2, 1000);
    charge(100, 100);
    for (int i = 1; i <= 50; ++i) use(1, 100 - i);
    set_aside(20);
    capture(5, 15, 45);
    set_aside(7);
  }
};

v1::SeatPhase phase_of(const runner& r, const std::string& seat) {
  const auto seats = r.views().seat_map.find(hall);
  return seats->phase(*seats->seating->find(seat));
}

// All that a client could see of `evening`, as text.
std::string picture_of(const runner& r) {
  std::string text;
  const auto seats = r.views().seat_map.find(hall);
  text += seats->bits_base64() + ' ' + std::to_string(seats->version) + ' ' + std::to_string(seats->counts.total.sold);
  for (const auto& tier : seats->counts.tiers) text += ' ' + std::to_string(tier.available) + '/' + std::to_string(tier.held);
  const auto show = r.views().shows.find(hall);
  text += ' ' + show->plan->title() + std::to_string(show->version) + std::to_string(show->opened_at_ms);
  for (std::uint64_t n = 1; n <= 6; ++n) {
    const auto t = r.views().queues.by_ticket(make_ticket_id(hall, n), from_ms(2000));
    text += ' ' + std::string(word_of(t->status)) + std::to_string(t->position) + t->user_id;
  }
  text += std::to_string(r.views().queues.totals(hall, from_ms(2000))->admitted);
  const auto funnel = r.views().funnels.find(hall);
  for (const auto n : {funnel.joined, funnel.admitted, funnel.left, funnel.held}) text += ' ' + std::to_string(n);
  const auto page = r.views().wallets.history(ann, "", 100).value();
  for (const auto& e : page.items) text += ' ' + std::to_string(e.balance);
  const auto books = r.views().ledger.books();
  for (const auto sum : books.sums) text += ' ' + std::to_string(sum);
  const auto wallet = r.views().ledger.find(ann).value();
  text += ' ' + std::to_string(books.mismatches) + ' ' + std::to_string(wallet.balance) + '/' + std::to_string(wallet.held);
  const auto list = r.views().reservations.of_user(ann, "", 10).value();
  for (const auto& item : list.items) text += ' ' + item.reservation_id + item.state.ShortDebugString();
  return text;
}

// Counts records, keeps no rows but one, and throws where it is told to.
class counter final : public projections::projection {
 public:
  counter(std::uint32_t version, std::uint64_t throws_at, std::uint64_t& folded)
      : version_(version), throws_at_(throws_at), folded_(folded) {}
  [[nodiscard]] std::string_view name() const override { return "counter"; }
  [[nodiscard]] std::uint32_t version() const override { return version_; }
  [[nodiscard]] projections::payloads concerns() const override { return projections::payloads::all(); }
  [[nodiscard]] std::unique_ptr<projection> fresh() const override { return std::make_unique<counter>(version_, throws_at_, folded_); }
  result<void> load(const store::database& db, const std::string& rows) override {
    return projections::each_row(db, rows, "", [this](std::string_view, std::string_view value) {
      count = std::stoull(std::string(value));
      return true;
    });
  }
  void apply(const v1::Record&) override {
    if (++count == throws_at_) throw std::runtime_error("no such record was foreseen");
    ++folded_;
  }
  void collect(projections::row_writer& out) override { out.put("count", std::to_string(count)); }
  [[nodiscard]] std::size_t unwritten() const override { return 1; }
  void swap_in(projection& built) override { std::swap(count, static_cast<counter&>(built).count); }

  std::uint64_t count = 0;

 private:
  std::uint32_t version_;
  std::uint64_t throws_at_;
  std::uint64_t& folded_;
};

std::unique_ptr<runner> runner_with_counter(std::uint32_t version, std::uint64_t throws_at, std::uint64_t& folded) {
  std::vector<std::unique_ptr<projections::projection>> more;
  more.push_back(std::make_unique<counter>(version, throws_at, folded));
  return std::make_unique<runner>(runner::settings{}, std::move(more));
}

}  // namespace

TEST_CASE("a seat is called by row and number, and by its section too where there are several") {
  auto plan = small_hall();
  CHECK(layout(plan).at(4).name == "B-2");
  CHECK(layout(plan).at(4).number == "2");
  CHECK(layout(plan).at(4).tier == 1);
  auto& balcony = *plan.add_sections();
  balcony.set_name("balcony");
  balcony.set_kind("seated");
  auto& row = *balcony.add_rows();
  row.set_name("A");
  row.set_tier("back");
  auto& imported = *row.add_named();
  imported.set_id("guid-7");
  imported.set_number("7");
  imported.set_tier("front");
  row.add_named()->set_number("8");
  const layout seats(plan);
  REQUIRE(seats.size() == 8);
  CHECK(seats.find("stalls/B-2") == 4U);
  CHECK(seats.at(*seats.find("guid-7")).tier == 0);
  CHECK(seats.at(6).number == "7");
  CHECK(seats.at(*seats.find("balcony/A-8")).tier == 1);
  CHECK_FALSE(seats.find("B-2"));
  CHECK(seats.duplicate().empty());
  CHECK(seats.find_section("floor") == 0U);
  row.add_named()->set_id("guid-7");
  CHECK(layout(plan).duplicate() == "guid-7");
}

TEST_CASE("a hall of 100,000 seats finds each of them") {
  v1::ShowPlan plan;
  auto& section = *plan.add_sections();
  section.set_kind("seated");
  for (int r = 0; r < 1000; ++r) {
    auto& row = *section.add_rows();
    row.set_name(std::to_string(r));
    row.set_seats(100);
  }
  const layout seats(plan);
  REQUIRE(seats.size() == 100'000);
  bool all = true;
  for (std::uint32_t i = 0; i < seats.size(); ++i) all = all && seats.find(seats.at(i).name) == i;
  CHECK(all);
}

TEST_CASE("a buyer sees a seat held, sold and free again, and the counts agree") {
  story w;
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  REQUIRE(r.offer({w.open_show()}).has_value());
  const auto before = r.views().seat_map.find(hall);
  CHECK(before->counts.total.available == 11);
  CHECK(before->counts.tiers[1].capacity == 8);
  CHECK(before == r.views().seat_map.find(hall));
  REQUIRE(r.offer({w.write({w.seat("A-2", v1::HELD), w.seat("B-3", v1::HELD), w.taken(3)})}).has_value());
  REQUIRE(r.offer({w.write({w.seat("A-2", v1::SOLD), w.sold(2)})}).has_value());
  REQUIRE(r.offer({w.write({w.seat("B-3", v1::AVAILABLE)})}).has_value());
  const auto after = r.views().seat_map.find(hall);
  CHECK(before->phase(1) == v1::AVAILABLE);
  CHECK(phase_of(r, "A-2") == v1::SOLD);
  CHECK(phase_of(r, "B-3") == v1::AVAILABLE);
  CHECK(after->bits == std::string("\x08\0", 2));
  CHECK(after->bits_base64() == "CAA=");
  CHECK(after->counts.total == projections::place_counts{11, 7, 1, 3, 0});
  CHECK(after->counts.general_admission[0] == projections::place_counts{5, 2, 1, 2, 0});
  CHECK(after->version == 4);
  const auto delta = r.views().seat_map.changes_since(hall, before->version);
  REQUIRE(delta);
  CHECK(delta->to == 4);
  REQUIRE(delta->changes.size() == 2);
  CHECK(delta->changes[0].seat == 1);
  CHECK(delta->changes[0].phase == v1::SOLD);
  CHECK(delta->changes[1].phase == v1::AVAILABLE);
  CHECK(r.views().seat_map.changes_since(hall, 4)->changes.empty());
  CHECK_FALSE(r.views().seat_map.changes_since(hall, 5));
  CHECK_FALSE(r.views().seat_map.changes_since("shw_none", 1));
}

TEST_CASE("a seat map's body is encoded once for each version") {
  story w;
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  REQUIRE(r.offer({w.open_show()}).has_value());
  int encoded = 0;
  const auto encode = [&](const projections::show_seats& s) { return std::to_string(++encoded) + s.bits_base64(); };
  CHECK(r.views().seat_map.find(hall)->body(encode) == "1AAA=");
  CHECK(r.views().seat_map.find(hall)->body(encode) == "1AAA=");
  REQUIRE(r.offer({w.write({w.seat("A-1", v1::HELD)})}).has_value());
  CHECK(r.views().seat_map.find(hall)->body(encode) == "2AQA=");
}

TEST_CASE("a seat is free to be chosen where it is neither held nor sold nor blocked, wherever its bits are") {
  v1::ShowPlan plan;
  auto& section = *plan.add_sections();
  section.set_kind("seated");
  section.add_rows()->set_seats(150);
  projections::show_seats seats;
  seats.seating = std::make_shared<layout>(plan);
  for (int i = 0; i < 38; ++i) seats.bits.push_back(static_cast<char>(i * 7 + i % 4));
  std::size_t free = 0;
  for (std::size_t i = 0; i < 150; ++i) {
    INFO(i);
    CHECK(seats.free_seats().has(i) == (seats.phase(i) == v1::AVAILABLE));
    free += seats.free_seats().has(i);
  }
  CHECK((free > 20 && free < 130));
}

TEST_CASE("a client that is too far behind gets the whole seat map in place of changes") {
  story w;
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  w.open_show();
  for (int i = 0; i < 2100; ++i) {
    w.write({w.seat("A-1", v1::HELD)});
    w.write({w.seat("A-1", v1::AVAILABLE)});
  }
  REQUIRE(r.offer(w.all).has_value());
  CHECK_FALSE(r.views().seat_map.changes_since(hall, 1));
  const auto late = r.views().seat_map.changes_since(hall, 4000);
  REQUIRE(late);
  CHECK(late->changes.size() == 1);
}

TEST_CASE("shows are listed by date in parts, with what an operator changed") {
  story w;
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  for (int i = 0; i < 5; ++i) {
    auto plan = small_hall();
    plan.set_starts_at_ms(1000 * (i + 1));
    w.open_show("shw_" + std::to_string(i), plan);
  }
  auto change = w.event(show_ref("shw_0"));
  change.mutable_show()->mutable_changed()->mutable_change()->set_starts_at_ms(4500);
  auto& tier = *change.mutable_show()->mutable_changed()->mutable_change()->add_tiers();
  tier.set_name("back");
  tier.set_price(700);
  w.write({change});
  REQUIRE(r.offer(w.all).has_value());
  std::string order;
  projections::show_query query{2000, 5000, "", 2};
  do {
    const auto part = r.views().shows.list(query);
    CHECK(part.items.size() <= 2);
    for (const auto& show : part.items) order += show.show_id.back();
    query.cursor = part.next_cursor;
  } while (!query.cursor.empty());
  CHECK(order == "1230");
  const auto changed = r.views().shows.find("shw_0");
  CHECK(changed->version == 2);
  CHECK(changed->plan->tiers(1).price() == 700);
  CHECK(changed->plan->tiers(0).price() == 900);
  CHECK(changed->counts.total.capacity == 11);
  CHECK_FALSE(r.views().shows.find("shw_9"));
}

TEST_CASE("the ranking counts from the opening of the sale to the sale of the last place") {
  story w;
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  auto plan = small_hall();
  plan.set_sale_opens_at_ms(5000);
  w.open_show(hall, plan, 100);
  w.open_show("shw_other");
  const std::vector<std::string> names{"A-1", "A-2", "A-3", "B-1", "B-2", "B-3"};
  std::vector<v1::StreamEvent> hold{w.taken(5)};
  std::vector<v1::StreamEvent> sell{w.sold(4)};
  for (const auto& name : names) {
    hold.push_back(w.seat(name, v1::HELD));
    sell.push_back(w.seat(name, v1::SOLD));
  }
  w.write(hold, 6000);
  w.write(sell, 7000);
  REQUIRE(r.offer(w.all).has_value());
  CHECK(r.views().shows.fastest_sellouts(10).empty());
  REQUIRE(r.offer({w.write({w.sold(1)}, 8500)}).has_value());
  const auto ranking = r.views().shows.fastest_sellouts(10);
  REQUIRE(ranking.size() == 1);
  CHECK(ranking[0].show.show_id == hall);
  CHECK(ranking[0].took_ms == 3500);
}

TEST_CASE("a reservation is seen through its whole life, and its user's are listed newest first") {
  story w;
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  const std::string first = "rsv_aaaaaaaaaaaaaaaa_0000000000000001";
  const std::string second = "rsv_aaaaaaaaaaaaaaaa_0000000000000002";
  w.open_show();
  w.write({w.placed(first, 1000)});
  w.write({w.placed(second, 2000)});
  REQUIRE(r.offer(w.all).has_value());
  CHECK(r.views().reservations.find(first).value()->state.status() == v1::PENDING);
  REQUIRE(r.flush().has_value());
  auto paying = w.event(reservation_ref(first));
  paying.mutable_reservation()->mutable_payment_started()->set_payment_id("pay_1");
  paying.mutable_reservation()->mutable_payment_started()->mutable_key()->set_key("secret");
  auto confirmed = w.event(reservation_ref(first));
  confirmed.mutable_reservation()->mutable_confirmed()->set_payment_id("pay_1");
  confirmed.mutable_reservation()->mutable_confirmed()->set_at_ms(3000);
  REQUIRE(r.offer({w.write({paying}), w.write({confirmed})}).has_value());
  const auto paid = r.views().reservations.find(first).value();
  REQUIRE(paid);
  CHECK(paid->version == 3);
  CHECK(paid->state.status() == v1::CONFIRMED);
  CHECK(paid->state.ended_at_ms() == 0);  // it lives on until it is cancelled
  CHECK_FALSE(paid->state.has_process_key());
  const auto page = r.views().reservations.of_user(ann, "", 1).value();
  REQUIRE(page.items.size() == 1);
  CHECK(page.items[0].reservation_id == second);
  const auto rest = r.views().reservations.of_user(ann, page.next_cursor, 1).value();
  REQUIRE(rest.items.size() == 1);
  CHECK(rest.items[0].reservation_id == first);
  CHECK(rest.next_cursor.empty());
  CHECK_FALSE(r.views().reservations.find("rsv_none").value());
  CHECK(r.views().reservations.of_user("usr_an", "", 10).value().items.empty());
}

TEST_CASE("one charge and fifty uses are fifty-one entries, newest first, before and after they are written") {
  story w;
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  w.charge(1000, 1000);
  for (int i = 1; i <= 25; ++i) w.use(10, 1000 - 10 * i);
  REQUIRE(r.offer(w.all).has_value());
  REQUIRE(r.flush().has_value());
  auto refused = w.event(wallet_ref(ann));
  refused.mutable_wallet()->mutable_debit_refused()->set_amount(9999);
  w.write({refused});
  for (int i = 26; i <= 50; ++i) w.use(10, 1000 - 10 * i);
  w.charge(5, 5, "usr_annex");
  REQUIRE(r.offer(w.all).has_value());
  CHECK(r.views().ledger.find(ann).value().balance == 500);
  CHECK(r.views().ledger.find("usr_nobody").value().balance == 0);
  std::vector<std::int64_t> balances;
  std::string cursor;
  do {
    const auto part = r.views().wallets.history(ann, cursor, 7).value();
    for (const auto& entry : part.items) balances.push_back(entry.balance);
    cursor = part.next_cursor;
  } while (!cursor.empty());
  REQUIRE(balances.size() == 51);
  CHECK(balances.front() == 500);
  CHECK(balances.back() == 1000);
  CHECK(std::is_sorted(balances.begin(), balances.end()));
}

TEST_CASE("the books go on after a restart where they stood, and come out the same when they are built again") {
  story w;
  const auto check = [](const runner& r, std::int64_t more) {
    const auto books = r.views().ledger.books();
    CHECK(books.of(account::top_ups) == -100);
    CHECK(books.of(account::spending) == 30 + more);
    CHECK(books.of(account::held) == 7);
    CHECK(books.of(account::wallet) == 64 - more);
    CHECK(books.mismatches == 1);
    CHECK(books.trial_balance() == 1);
    CHECK(r.views().ledger.find(ann).value().balance == 71 - more);
    CHECK(r.views().ledger.find(ann).value().held == 7);
  };
  w.charge(100, 100);
  w.use(30, 71);  // one too much is left
  w.set_aside(7);
  {
    runner r;
    REQUIRE(r.start(w.db()).has_value());
    check(r, 0);
    REQUIRE(r.flush().has_value());
    REQUIRE(r.offer({w.use(10, 61)}).has_value());
    check(r, 10);
  }
  w.reopen();
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  check(r, 10);
  REQUIRE(r.offer({w.use(1, 60)}).has_value());
  check(r, 11);
  REQUIRE(r.rebuild("ledger").has_value());
  check(r, 11);
}

TEST_CASE("a capture is a movement, and setting aside is none") {
  story w;
  w.charge(100, 100);
  w.set_aside(20);
  w.capture(5, 15, 95);
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  const auto page = r.views().wallets.history(ann, "", 10).value();
  REQUIRE(page.items.size() == 2);
  CHECK(word_of(page.items[0].type) == "CAPTURE");
  CHECK(page.items[0].amount == 5);
  CHECK(page.items[0].balance == 95);
  CHECK(page.items[0].authorization_id == "aut_1");
}

TEST_CASE("somebody who signed up is found by id, also after a restart") {
  story w;
  const auto id = make_user_id("ann@example.org");
  auto e = w.event(user_ref(id));
  e.mutable_user()->mutable_signed_up()->set_sealed("a letter");
  w.write({e});
  for (int start = 0; start < 2; ++start) {
    runner r;
    REQUIRE(r.start(w.db()).has_value());
    const auto found = r.views().users.find(make_user_id("ann@example.org")).value();
    REQUIRE(found);
    CHECK(found->sealed == "a letter");
    CHECK(found->erased_at_ms == 0);
    REQUIRE(r.flush().has_value());
  }
}

TEST_CASE("of somebody who was erased the read model has the id and the time, also after a restart") {
  story w;
  const auto id = make_user_id("ann@example.org");
  auto e = w.event(user_ref(id));
  e.mutable_user()->mutable_signed_up()->set_sealed("a letter");
  w.write({e});
  e = w.event(user_ref(id));
  e.mutable_user()->mutable_erased()->set_at_ms(4711);
  w.write({e});
  for (int start = 0; start < 2; ++start) {
    runner r;
    REQUIRE(r.start(w.db()).has_value());
    const auto found = r.views().users.find(id).value();
    REQUIRE(found);
    CHECK(found->sealed.empty());
    CHECK(found->erased_at_ms == 4711);
    REQUIRE(r.flush().has_value());
  }
}

TEST_CASE("a place in the queue is the people ahead, without those who left") {
  story w;
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  for (std::uint64_t n = 1; n <= 10; ++n) w.join(n);
  REQUIRE(r.offer(w.all).has_value());
  const auto ticket = [&](std::uint64_t n, std::int64_t now_ms = 0) {
    return *r.views().queues.by_ticket(make_ticket_id(hall, n), from_ms(now_ms));
  };
  CHECK(ticket(10).position == 10);
  REQUIRE(r.offer({w.leave(3), w.leave(5)}).has_value());
  CHECK(ticket(4).position == 3);
  CHECK(ticket(10).position == 8);
  CHECK(ticket(10).ahead == 7);
  CHECK(ticket(10).total == 8);
  CHECK(ticket(5).status == projections::ticket_status::left);
  REQUIRE(r.offer({w.admit(4, 3, 1000)}).has_value());
  CHECK(ticket(4, 2000).status == projections::ticket_status::admitted);
  CHECK(ticket(4, 2000).position == 0);
  CHECK(ticket(4, 301'000).status == projections::ticket_status::expired);
  CHECK(ticket(3, 2000).status == projections::ticket_status::left);
  CHECK(ticket(6, 2000).position == 1);
  CHECK(ticket(10, 2000).position == 5);
  // Two a window of ten seconds; this window is used up and nine seconds of it remain; five people need three windows.
  CHECK(ticket(6, 2000).eta_p50_s == 9);
  CHECK(ticket(10, 2000).eta_p50_s == 29);
  CHECK(ticket(10, 2000).eta_p90_s == 39);
  CHECK(r.views().queues.by_user(hall, "usr_7", from_ms(2000))->number == 7);
  CHECK_FALSE(r.views().queues.by_user(hall, "usr_99", from_ms(2000)));
  CHECK_FALSE(r.views().queues.by_ticket(make_ticket_id(hall, 11), from_ms(0)));
  CHECK_FALSE(r.views().queues.by_ticket("nonsense", from_ms(0)));
  const auto totals = *r.views().queues.totals(hall, from_ms(2000));
  CHECK(totals.joined == 10);
  CHECK(totals.waiting == 5);
  CHECK(totals.admitted == 3);
  CHECK(totals.left == 2);
}

TEST_CASE("positions agree with counting by hand, whoever leaves") {
  story w;
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  std::vector<bool> gone(201, false);
  std::uint64_t through = 0;
  std::uint64_t joined = 0;
  bool exact = true;
  for (std::uint64_t step = 1; step <= 200; ++step) {
    REQUIRE(r.offer({w.join(++joined)}).has_value());
    const auto leaver = step * 7919 % joined + 1;
    if (step % 3 == 0) {
      REQUIRE(r.offer({w.leave(leaver)}).has_value());
      gone[leaver] = true;
    }
    if (step % 20 == 0) {
      through += 8;
      REQUIRE(r.offer({w.admit(through, 8, static_cast<std::int64_t>(step))}).has_value());
    }
    std::uint64_t ahead = 0;
    for (std::uint64_t n = through + 1; n <= joined; ++n) {
      const auto seen = r.views().queues.by_ticket(make_ticket_id(hall, n), from_ms(0));
      exact = exact && seen->position == (gone[n] ? 0 : ahead + 1);
      ahead += gone[n] ? 0 : 1;
    }
  }
  CHECK(exact);
}

TEST_CASE("an operator sees how many joined, were let in, held, paid and gave up") {
  story w;
  runner r;
  REQUIRE(r.start(w.db()).has_value());
  w.evening();
  auto confirmed = w.event(reservation_ref("rsv_aaaaaaaaaaaaaaaa_0000000000000001"));
  confirmed.mutable_reservation()->mutable_confirmed();
  w.write({confirmed});
  w.write({w.placed("rsv_aaaaaaaaaaaaaaaa_0000000000000002", 400)});
  auto expired = w.event(reservation_ref("rsv_aaaaaaaaaaaaaaaa_0000000000000002"));
  expired.mutable_reservation()->mutable_expired();
  w.write({expired});
  REQUIRE(r.offer(w.all).has_value());
  CHECK(r.views().funnels.find(hall) == projections::funnel{6, 2, 1, 2, 1, 1, 0, 0});
  CHECK(r.views().funnels.find("shw_none") == projections::funnel{});
}

TEST_CASE("building every view again from the log gives what live views had") {
  story w;
  runner live;
  REQUIRE(live.start(w.db()).has_value());
  w.evening();
  for (const auto& record : w.all) REQUIRE(live.offer({record}).has_value());
  const auto expected = picture_of(live);
  runner later;
  REQUIRE(later.start(w.db()).has_value());
  CHECK(picture_of(later) == expected);
  REQUIRE(live.flush().has_value());
  for (const auto& p : live.health().projections) REQUIRE(live.rebuild(p.name).has_value());
  CHECK(picture_of(live) == expected);
  CHECK(live.rebuild("no such view").has_error());
}

TEST_CASE("a restart goes on from the checkpoint and folds nothing twice") {
  story w;
  std::uint64_t folded = 0;
  std::string expected;
  {
    auto r = runner_with_counter(1, 0, folded);
    REQUIRE(r->start(w.db()).has_value());
    w.evening();
    const auto half = static_cast<std::ptrdiff_t>(w.all.size() / 2);
    REQUIRE(r->offer({w.all.begin(), w.all.begin() + half}).has_value());
    REQUIRE(r->flush().has_value());
    REQUIRE(r->offer(w.all).has_value());
    expected = picture_of(*r);
    REQUIRE(folded == w.all.size());
  }
  REQUIRE(w.db().flush().has_value());
  w.reopen();
  folded = 0;
  auto r = runner_with_counter(1, 0, folded);
  REQUIRE(r->start(w.db()).has_value());
  CHECK(folded == w.all.size() - w.all.size() / 2);
  CHECK(picture_of(*r) == expected);
  CHECK(r->applied_total() == w.all.size());
}

TEST_CASE("a view of a new version is built again, and only that one") {
  story w;
  w.evening();
  std::uint64_t folded = 0;
  for (const auto& [version, expected] : {std::pair<std::uint32_t, std::size_t>{1, w.all.size()}, {1, 0}, {2, w.all.size()}}) {
    folded = 0;
    auto r = runner_with_counter(version, 0, folded);
    REQUIRE(r->start(w.db()).has_value());
    CHECK(folded == expected);
    CHECK(r->health().healthy);
    REQUIRE(r->flush().has_value());
  }
}

TEST_CASE("a gap in what is offered is read from the log, and what was seen is skipped") {
  story w;
  std::uint64_t folded = 0;
  auto r = runner_with_counter(1, 0, folded);
  REQUIRE(r->start(w.db()).has_value());
  std::vector<std::uint64_t> heard;
  r->on_applied([&](const v1::Record& record) { heard.push_back(record.index()); });
  w.open_show();
  w.write({w.seat("A-1", v1::HELD)});
  w.write({w.seat("A-1", v1::SOLD)});
  REQUIRE(r->offer({w.all[2]}).has_value());
  REQUIRE(r->offer({w.all[0], w.all[2]}).has_value());
  CHECK(folded == 3);
  CHECK(heard == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(phase_of(*r, "A-1") == v1::SOLD);
  auto beyond = std::make_shared<v1::Record>(*w.all[2]);
  beyond->set_index(9);
  CHECK(r->offer({beyond}).has_error());
}

TEST_CASE("a view that throws is parked with its error, the others go on, and a rebuild heals it") {
  story w;
  w.evening();
  std::uint64_t folded = 0;
  {
    auto r = runner_with_counter(1, 3, folded);
    REQUIRE(r->start(w.db()).has_value());
    CHECK(folded == 2);
    const auto health = r->health();
    CHECK_FALSE(health.healthy);
    CHECK(health.projections.back().parked);
    CHECK(health.projections.back().error.find("no such record was foreseen") != std::string::npos);
    CHECK(phase_of(*r, "A-1") == v1::SOLD);
    CHECK(r->applied_total() == w.all.size());
    REQUIRE(r->flush().has_value());
    CHECK(r->rebuild("counter").has_error());
    CHECK_FALSE(r->health().healthy);
  }
  folded = 0;
  auto mended = runner_with_counter(1, 0, folded);
  REQUIRE(mended->start(w.db()).has_value());
  CHECK(folded == w.all.size());
  CHECK(mended->health().healthy);
}

TEST_CASE("whoever waits for a position is called once it is visible, and too many are turned away") {
  story w;
  runner r(runner::settings{8192, 2});
  REQUIRE(r.start(w.db()).has_value());
  const auto opened = w.open_show();
  const log_position first{opened->partition(), 1};
  const log_position second{opened->partition(), 2};
  int called = 0;
  CHECK_FALSE(r.reached(first));
  CHECK(r.when_reached(first, [&] { called += r.views().seat_map.find(hall) ? 1 : 100; }).value() != 0);
  const auto second_waiter = r.when_reached(second, [&] { called += 10; });
  CHECK_FALSE(r.when_reached(second, [] {}));
  REQUIRE(r.offer({opened}).has_value());
  CHECK(called == 1);
  CHECK(r.reached(first));
  CHECK(r.when_reached(first, [&] { ++called; }) == 0U);
  CHECK(called == 2);
  r.forget(*second_waiter);
  REQUIRE(r.offer({w.write({w.seat("A-1", v1::HELD)})}).has_value());
  CHECK(called == 2);
  CHECK_FALSE(r.reached({9999, 0}));
}

TEST_CASE("readers in other threads never see half a record") {
  story w;
  runner r(runner::settings{64, 2});
  REQUIRE(r.start(w.db()).has_value());
  REQUIRE(r.offer({w.open_show()}).has_value());
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    while (!stop) {
      const auto seats = r.views().seat_map.find(hall);
      if (seats->phase(0) != seats->phase(5)) ++torn;
      const auto& all = seats->counts.total;
      if (all.available + all.held + all.sold != all.capacity) ++torn;
    }
  });
  for (int i = 0; i < 300; ++i) {
    const auto to = i % 2 == 0 ? v1::HELD : v1::AVAILABLE;
    REQUIRE(r.offer({w.write({w.seat("A-1", to), w.seat("B-3", to)})}).has_value());
  }
  stop = true;
  reader.join();
  CHECK(torn == 0);
}

}  // namespace usher
