// Read models that are built again while they serve, that are parked and tried again, and what operators see of it.

#include <catch2/catch.hpp>

#include <stdio.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <thread>

#include "projections/builder.hpp"
#include "projections/runner.hpp"
#include "projections/table.hpp"
#include "tests/client.hpp"
#include "tests/support.hpp"

namespace usher {
namespace {

using projections::runner;

const std::string hall = "shw_aaaaaaaaaaaaaaaa";
constexpr std::uint32_t rows = 50;
constexpr std::uint32_t seats_in_row = 100;

v1::ShowPlan plan() {
  v1::ShowPlan out;
  out.set_title("Evening");
  auto& tier = *out.add_tiers();
  tier.set_name("all");
  tier.set_price(900);
  auto& stalls = *out.add_sections();
  stalls.set_name("stalls");
  stalls.set_kind("seated");
  for (std::uint32_t r = 1; r <= rows; ++r) {
    auto& row = *stalls.add_rows();
    row.set_name(std::to_string(r));
    row.set_seats(seats_in_row);
    row.set_tier("all");
  }
  return out;
}

/// Writes what a box office would: two seats held and sold for a reservation, and a wallet that pays, in records as large as real ones.
class office {
 public:
  office() : directory_{own_.path + "/db"} { reopen(); }
  explicit office(std::string directory) : directory_{std::move(directory)} { reopen(); }

  store::database& db() { return *db_; }
  void reopen() {
    db_.reset();
    db_ = store::database::open(directory_).value();
  }
  void close() { db_.reset(); }

  store::record_ptr open_show() {
    auto record = begin(show_ref(hall));
    *add(*record, show_ref(hall)).mutable_show()->mutable_opened()->mutable_plan() = plan();
    return append(record);
  }

  /// Both seats in one record: nobody may ever see the one without the other.
  store::record_ptr move_pair(std::uint32_t pair, v1::SeatPhase to) {
    const auto id = "rsv_aaaaaaaaaaaaaaaa_" + std::to_string(1'000'000'000'000'000 + pair);
    auto record = begin(reservation_ref(id));
    record->set_causation("req_0123456789abcdef");
    record->set_correlation("req_0123456789abcdef");
    record->mutable_command()->mutable_reservation();
    for (const auto seat : {2 * pair, 2 * pair + 1}) {
      auto& e = *add(*record, seat_ref(hall, name_of(seat))).mutable_seat();
      if (to == v1::HELD) e.mutable_held()->set_reservation_id(id);
      if (to == v1::SOLD) e.mutable_sold()->set_reservation_id(id);
      if (to == v1::AVAILABLE) e.mutable_released()->set_reservation_id(id);
    }
    auto& e = *add(*record, reservation_ref(id)).mutable_reservation();
    if (to == v1::HELD) {
      e.mutable_placed()->set_user_id("usr_" + std::to_string(pair % 100));
      e.mutable_placed()->set_amount(1800);
      e.mutable_placed()->set_at_ms(record->at_ms());
    } else {
      e.mutable_confirmed();
    }
    return append(record);
  }

  store::record_ptr charge(std::uint32_t user, std::int64_t balance) {
    const auto id = "usr_" + std::to_string(user);
    auto record = begin(wallet_ref(id));
    auto& c = *add(*record, wallet_ref(id)).mutable_wallet()->mutable_charged();
    c.set_amount(1);
    c.set_balance(balance);
    c.set_at_ms(record->at_ms());
    return append(record);
  }

  /// An event that a version to come will write: a payload, or a kind of seat event, that this one does not know.
  store::record_ptr from_the_future(bool whole_payload) {
    auto record = begin(seat_ref(hall, name_of(0)));
    auto& e = add(*record, seat_ref(hall, name_of(0)));
    google::protobuf::Message& of = whole_payload ? static_cast<google::protobuf::Message&>(e) : *e.mutable_seat();
    of.GetReflection()->MutableUnknownFields(&of)->AddLengthDelimited(127, "something");
    return append(record);
  }

  /// So many events of a sale, in large batches.
  void sell(std::uint64_t events) {
    if (ends_.empty()) open_show();
    gathering_ = true;
    for (const auto until = written_ + events; written_ < until;) {
      const auto pair = static_cast<std::uint32_t>(sold_ % (rows * seats_in_row / 2));
      move_pair(pair, v1::HELD);
      move_pair(pair, sold_++ % 4 == 0 ? v1::AVAILABLE : v1::SOLD);
      charge(static_cast<std::uint32_t>(sold_ % 1000), static_cast<std::int64_t>(sold_ / 1000 + 1));
    }
    write();
    gathering_ = false;
  }

  [[nodiscard]] std::uint64_t events() const { return written_; }
  std::vector<store::record_ptr> all;

 private:
  static std::string name_of(std::uint32_t seat) { return std::to_string(seat / seats_in_row + 1) + '-' + std::to_string(seat % seats_in_row + 1); }

  std::shared_ptr<v1::Record> begin(const v1::EntityRef& of) {
    auto record = std::make_shared<v1::Record>();
    record->set_partition(partition_of(of.group()));
    record->set_index(++ends_[record->partition()]);
    record->set_at_ms(1000 + static_cast<std::int64_t>(written_));
    *record->mutable_target() = of;
    record->set_user_id("usr_1");
    record->set_previous_hash(std::string(32, 'h'));
    return record;
  }
  v1::StreamEvent& add(v1::Record& record, const v1::EntityRef& of) {
    auto& e = *record.add_events();
    e.set_version(++versions_[key_of(of)]);
    e.set_schema(1);
    e.set_previous_index(std::exchange(heads_[key_of(of)], record.index()));
    *e.mutable_stream() = of;
    ++written_;
    return e;
  }
  store::record_ptr append(const std::shared_ptr<v1::Record>& record) {
    waiting_.push_back({{record->partition(), record->index()}, record->SerializeAsString()});
    if (!gathering_) all.push_back(record);
    if (!gathering_ || waiting_.size() == 4096) write();
    return record;
  }
  void write() {
    if (waiting_.empty()) return;
    db_->append_synced(waiting_).value();
    waiting_.clear();
  }

  tests::temp_dir own_;
  std::string directory_;
  std::unique_ptr<store::database> db_;
  std::map<std::string, std::uint64_t> versions_;
  std::map<std::string, std::uint64_t> heads_;
  std::map<std::uint32_t, std::uint64_t> ends_;
  std::vector<std::pair<log_position, std::string>> waiting_;
  bool gathering_ = false;
  std::uint64_t written_ = 0;
  std::uint64_t sold_ = 0;
};

/// What clients see of a sale, as text.
std::string picture_of(const runner& r) {
  const auto& views = r.views();
  std::string text;
  if (const auto seats = views.seat_map.find(hall)) {
    text += seats->bits_base64() + ' ' + std::to_string(seats->version) + ' ' + std::to_string(seats->counts.total.sold);
  }
  for (const auto& show : views.shows.list({}).items) text += ' ' + show.plan->title() + std::to_string(show.counts.total.held);
  for (int u = 0; u < 100; ++u) {
    const auto id = "usr_" + std::to_string(u);
    for (const auto& one : views.reservations.of_user(id, "", 50).value().items) text += ' ' + one.reservation_id + std::to_string(one.version);
    for (const auto& one : views.wallets.history(id, "", 50).value().items) text += ' ' + std::to_string(one.balance);
    text += ' ' + std::to_string(views.ledger.find(id).value().balance);
  }
  text += ' ' + std::to_string(views.ledger.books().of(account::wallet)) + ' ' + std::to_string(views.funnels.find(hall).held);
  return text;
}

std::uint64_t rows_under(const store::database& db, const std::string& prefix) {
  std::uint64_t count = 0;
  REQUIRE(db.each(store::family::views, prefix, prefix, [&](std::string_view, std::string_view) { return ++count != 0; }).has_value());
  return count;
}

/// Counts records into one row, and throws at one of them for as long as it is told to.
class counter final : public projections::projection {
 public:
  struct orders {
    std::uint64_t throws_at = 0;
    std::uint64_t folded = 0;
  };
  explicit counter(orders& o) : orders_(o) {}
  [[nodiscard]] std::string_view name() const override { return "counter"; }
  [[nodiscard]] std::uint32_t version() const override { return 1; }
  [[nodiscard]] projections::payloads concerns() const override { return {v1::StreamEvent::kWallet}; }
  [[nodiscard]] std::unique_ptr<projection> fresh() const override { return std::make_unique<counter>(orders_); }
  result<void> load(const store::database& db, const std::string& from) override {
    return projections::each_row(db, from, "", [this](std::string_view, std::string_view value) {
      count = std::stoull(std::string(value));
      return true;
    });
  }
  void apply(const v1::Record& record) override {
    ++count;
    for (const auto& e : record.events()) {
      if (e.has_wallet()) look_at(e);
    }
    if (count == orders_.throws_at) throw std::runtime_error("this was not foreseen");
    ++orders_.folded;
  }
  void collect(projections::row_writer& out) override { out.put("count", std::to_string(count)); }
  [[nodiscard]] std::size_t unwritten() const override { return 1; }
  void swap_in(projection& built) override { std::swap(count, static_cast<counter&>(built).count); }

  std::uint64_t count = 0;

 private:
  orders& orders_;
};

struct counted_runner {
  counter::orders orders;
  counter* live;
  std::unique_ptr<runner> r;
  explicit counted_runner(std::uint64_t throws_at = 0) {
    orders.throws_at = throws_at;
    std::vector<std::unique_ptr<projections::projection>> more;
    more.push_back(std::make_unique<counter>(orders));
    live = static_cast<counter*>(more.back().get());
    r = std::make_unique<runner>(runner::settings{}, std::move(more));
  }
};

projections::projection_status status_of(const runner& r, const std::string& name, std::int64_t now_ms = 0) {
  for (auto& p : r.status(from_ms(now_ms)))
    if (p.name == name) return p;
  throw std::logic_error("no such read model");
}

}  // namespace

TEST_CASE("a read model that is built again is what it was, on disk too, and the rows of before are gone") {
  office o;
  o.sell(20'000);
  std::string expected;
  {
    runner r;
    REQUIRE(r.start(o.db()).has_value());
    REQUIRE(r.flush().has_value());
    expected = picture_of(r);
    REQUIRE(rows_under(o.db(), "reservations@1/") > 1000);
    for (const auto& name : r.names()) {
      REQUIRE(r.rebuild(name).value());
      REQUIRE(picture_of(r) == expected);
    }
    CHECK(status_of(r, "reservations").generation == 2);
    for (const auto& name : r.names()) REQUIRE(rows_under(o.db(), name + "@1/") == 0);
    CHECK(r.unfinished().value().empty());
    CHECK(r.rebuild("no such view").has_error());
  }
  o.reopen();
  runner later;
  REQUIRE(later.start(o.db()).has_value());
  CHECK(picture_of(later) == expected);
  CHECK(status_of(later, "reservations").generation == 2);
}

TEST_CASE("while read models are built again under load, buyers never see less than before, nor half a record") {
  office o;
  o.sell(20'000);
  runner r(runner::settings{256, 16});
  REQUIRE(r.start(o.db()).has_value());
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0};
  std::thread buyer([&] {
    std::uint64_t version = 0;
    std::uint64_t reservation_version = 0;
    std::uint64_t entries = 0;
    while (!over) {
      const auto seats = r.views().seat_map.find(hall);
      for (std::size_t pair = 0; pair < seats->seating->size(); pair += 2)
        if (seats->phase(pair) != seats->phase(pair + 1)) ++wrong;
      if (seats->version < version) ++wrong;
      version = seats->version;
      if (const auto delta = r.views().seat_map.changes_since(hall, version); delta && delta->to < version) ++wrong;
      const auto one = r.views().reservations.find("rsv_aaaaaaaaaaaaaaaa_1000000000000007").value();
      if (!one || one->version < reservation_version) ++wrong;
      if (one) reservation_version = one->version;
      const auto listed = r.views().wallets.history("usr_7", "", 200).value().items.size();
      if (listed < entries) ++wrong;
      entries = listed;
    }
  });
  std::thread operator_one([&] {
    for (int i = 0; i < 5; ++i)
      for (const auto* name : {"seat_map", "reservations"})
        if (!r.rebuild(name)) ++wrong;
  });
  std::thread operator_two([&] {
    for (int i = 0; i < 5; ++i)
      for (const auto* name : {"wallets", "ledger", "shows"})
        if (!r.rebuild(name)) ++wrong;
  });
  std::thread closing([&] {
    operator_one.join();
    operator_two.join();
    over = true;
  });
  for (std::uint32_t i = 0; !over; ++i) {
    const auto pair = i % 2000;
    REQUIRE(r.offer({o.move_pair(pair, v1::HELD)}).has_value());
    REQUIRE(r.offer({o.move_pair(pair, i % 3 == 0 ? v1::AVAILABLE : v1::SOLD), o.charge(7, 21 + i)}).has_value());
  }
  closing.join();
  buyer.join();
  CHECK(wrong == 0);
  CHECK(status_of(r, "seat_map").generation == 6);
  runner anew;
  tests::temp_dir beside;
  REQUIRE(o.db().copy_to(beside.path + "/db").has_value());
  office copy{beside.path + "/db"};
  REQUIRE(copy.db().erase_prefix(store::family::views, "").has_value());
  REQUIRE(anew.start(copy.db()).has_value());
  CHECK(picture_of(r) == picture_of(anew));
}

TEST_CASE("a row that moves to another generation is found at any moment") {
  office o;
  projections::table live;
  const auto rows_at = [](std::uint64_t generation) { return projections::rows_of("table", generation); };
  REQUIRE(o.db().put_derived(store::family::views, {{rows_at(1) + "key", "value"}}).has_value());
  live.open(o.db(), rows_at(1));
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> missed{0};
  // More than there are processors, so that some are held up just between learning where the row is and reading it.
  std::vector<std::thread> readers;
  for (int i = 0; i < 8; ++i) {
    readers.emplace_back([&, i] {
      while (!over) {
        const bool found = i % 2 == 0 ? live.get("key").value().has_value() : live.read("", "", 10).value().items.size() == 1;
        if (!found) ++missed;
      }
    });
  }
  for (std::uint64_t generation = 2; generation < 5000; ++generation) {
    REQUIRE(o.db().put_derived(store::family::views, {{rows_at(generation) + "key", "value"}}).has_value());
    projections::table built;
    built.open(o.db(), rows_at(generation));
    live.swap_in(built);
    REQUIRE(o.db().put_derived(store::family::views, {{rows_at(generation - 1) + "key", std::nullopt}}).has_value());
  }
  over = true;
  for (auto& reader : readers) reader.join();
  CHECK(missed == 0);
}

TEST_CASE("a rebuild that a crash ended goes on from its last batch at the next start") {
  office o;
  o.sell(330'000);  // a batch is written after 65,536 records at the latest
  tests::temp_dir beside;
  std::uint64_t total = 0;
  {
    counted_runner c;
    REQUIRE(c.r->start(o.db()).has_value());
    REQUIRE(c.r->flush().has_value());
    total = c.r->applied_total();
    REQUIRE(total > 140'000);
    // What is on disk halfway is what a crash at this moment leaves.
    bool copied = false;
    const auto ended = c.r->rebuild("counter", [&](std::uint64_t done, std::uint64_t of) {
      CHECK(of == total);
      if (done < total / 2) return true;
      if (!copied) REQUIRE(o.db().copy_to(beside.path + "/db").has_value());
      copied = true;
      return false;
    });
    REQUIRE(ended.has_value());
    CHECK_FALSE(*ended);
    CHECK(c.live->count == total);
    CHECK(c.r->unfinished().value() == std::vector<std::string>{"counter"});
  }
  office crashed{beside.path + "/db"};
  counted_runner c;
  REQUIRE(c.r->start(crashed.db()).has_value());
  CHECK(c.live->count == total);
  CHECK(c.orders.folded == 0);
  REQUIRE(c.r->unfinished().value() == std::vector<std::string>{"counter"});
  REQUIRE(c.r->rebuild("counter").value());
  CHECK(c.live->count == total);
  CHECK(c.orders.folded > 0);
  CHECK(c.orders.folded < total - 60'000);
  CHECK(c.r->unfinished().value().empty());
  CHECK(status_of(*c.r, "counter").generation == 2);
}

TEST_CASE("a read model that throws names the event, the others go on, and retry heals it or parks it again") {
  office o;
  o.open_show();
  for (std::uint32_t i = 0; i < 5; ++i) o.move_pair(i, v1::HELD);
  const auto first = o.charge(7, 1);
  o.charge(7, 2);
  counted_runner c;
  REQUIRE(c.r->start(o.db()).has_value());
  REQUIRE(c.r->flush().has_value());
  int healed = 0;
  c.r->on_exchanged([&] { ++healed; });
  c.orders.throws_at = 9;
  const auto bad = o.charge(7, 3);
  REQUIRE(c.r->offer({bad, o.move_pair(9, v1::HELD)}).has_value());
  CHECK_FALSE(c.r->health().healthy);
  CHECK(c.r->views().seat_map.find(hall)->counts.total.held == 12);
  auto seen = status_of(*c.r, "counter", bad->at_ms() + 5000);
  CHECK(seen.state == projections::projection_state::parked);
  REQUIRE(seen.failed_on);
  CHECK(seen.failed_on->at == log_position{bad->partition(), bad->index()});
  CHECK(seen.failed_on->stream == key_of(wallet_ref("usr_7")));
  CHECK(seen.failed_on->event_type == "wallet.charged");
  CHECK(seen.failed_on->reason == "this was not foreseen");
  CHECK(seen.lag.records == 2);
  CHECK(seen.lag.ms == 5000);
  CHECK(status_of(*c.r, "seat_map", bad->at_ms()).lag.records == 0);
  // Still wrong, at another place: it is parked there.
  c.orders.throws_at = 10;
  CHECK(c.r->retry("counter").has_error());
  CHECK(status_of(*c.r, "counter").lag.records == 1);  // the seats' partition comes before the wallet's
  CHECK(healed == 1);  // what it answers is another thing
  // A rebuild that meets it too leaves the one that serves, and nothing to go on with.
  CHECK(c.r->rebuild("counter").has_error());
  CHECK(c.r->unfinished().value().empty());
  CHECK(c.live->count == 10);
  c.orders.throws_at = 0;
  CHECK(c.r->retry("counter").value());
  CHECK(c.r->health().healthy);
  CHECK(c.live->count == 10);
  CHECK(healed == 2);
  CHECK(status_of(*c.r, "counter").lag.records == 0);
  CHECK(status_of(*c.r, "counter").generation == 1);
  CHECK(c.r->retry("counter").value());
  CHECK(healed == 2);
  CHECK(c.r->rebuild("shows").value());
  CHECK(healed == 3);
  REQUIRE(c.r->offer({o.charge(7, 4)}).has_value());
  CHECK(c.live->count == 11);
  CHECK(first->index() == 1);
}

TEST_CASE("a retry that fails again takes nothing away that was seen, and a start with a parked read model goes on with the others") {
  office o;
  o.open_show();
  for (std::uint32_t i = 0; i < 5; ++i) o.move_pair(i, v1::HELD);
  o.charge(7, 1);
  o.charge(7, 2);
  {
    counted_runner c;
    REQUIRE(c.r->start(o.db()).has_value());
    REQUIRE(c.r->flush().has_value());
    int exchanged = 0;
    c.r->on_exchanged([&] { ++exchanged; });
    c.orders.throws_at = 10;
    const auto charged = o.charge(7, 3);
    REQUIRE(c.r->offer({charged, o.move_pair(7, v1::HELD), o.move_pair(8, v1::HELD)}).has_value());
    REQUIRE(status_of(*c.r, "counter").applied == 9);
    // Two more of the seats' partition, and one less of the wallet's.
    c.orders.throws_at = 11;
    CHECK(c.r->retry("counter").has_error());
    CHECK(c.live->count == 10);
    CHECK(status_of(*c.r, "counter").applied == 9);
    CHECK(status_of(*c.r, "counter").written == 8);
    CHECK(exchanged == 0);
    REQUIRE(c.r->flush().has_value());
    REQUIRE(c.r->plan_rebuilds({"shows", "users"}).has_value());
    CHECK(c.r->plan_rebuilds({"nothing"}).has_error());
    CHECK(c.r->unfinished().value().size() == 2);
  }
  o.charge(7, 4);
  counted_runner c{9};
  REQUIRE(c.r->start(o.db()).has_value());
  CHECK_FALSE(c.r->health().healthy);
  CHECK(c.r->applied_total() == 12);
  CHECK(c.r->views().seat_map.find(hall)->counts.total.held == 14);
  CHECK(c.r->views().ledger.find("usr_7").value().balance == 4);
  CHECK(c.r->unfinished().value().size() == 2);
}

TEST_CASE("an event of a type that is not known is never skipped: whoever would have to is parked") {
  for (const bool whole_payload : {true, false}) {
    office o;
    o.open_show();
    runner r;
    REQUIRE(r.start(o.db()).has_value());
    const auto strange = o.from_the_future(whole_payload);
    REQUIRE(r.offer({strange, o.charge(7, 1)}).has_value());
    for (const auto& p : r.health().projections) {
      CAPTURE(p.name, p.error, whole_payload);
      CHECK(p.parked == (whole_payload || p.name == "seat_map"));
    }
    const auto seats = status_of(r, "seat_map");
    REQUIRE(seats.failed_on);
    CHECK(seats.failed_on->at.index == strange->index());
    CHECK(seats.failed_on->event_type == "unknown");
    CHECK(r.retry("seat_map").has_error());
    CHECK(r.rebuild("seat_map").has_error());
    CHECK(status_of(r, "seat_map").failed_on->at.index == strange->index());
    CHECK(r.views().ledger.find("usr_7").value().balance == (whole_payload ? 0 : 1));
  }
}

TEST_CASE("rows that make no sense are built again from the log") {
  office o;
  o.sell(1'000);
  std::string expected;
  {
    runner r;
    REQUIRE(r.start(o.db()).has_value());
    REQUIRE(r.flush().has_value());
    expected = picture_of(r);
  }
  REQUIRE(o.db().put_derived(store::family::views, {{"seat_map@1/s/" + hall, "too short"}, {"shows@9/left over", "x"}, {"shows@2/left over", "x"}}).has_value());
  runner r;
  REQUIRE(r.start(o.db()).has_value());
  CHECK(picture_of(r) == expected);
  CHECK(rows_under(o.db(), "shows@9/") == 0);
  CHECK(rows_under(o.db(), "shows@2/") == 0);
}

TEST_CASE("what a read model is given of a stored record is all that it would look at of the whole") {
  office o;
  o.sell(500);
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    projections::folded_events lean(projections::payloads{v1::StreamEvent::kSeat, v1::StreamEvent::kWallet});
    REQUIRE(o.db().scan(p, 1, [&](const store::record_ptr& whole, std::string_view stored) {
      const auto* got = lean.read(stored);
      REQUIRE(got != nullptr);
      v1::Record expected;
      expected.set_partition(whole->partition());
      expected.set_index(whole->index());
      expected.set_at_ms(whole->at_ms());
      for (const auto& e : whole->events())
        if (e.has_seat() || e.has_wallet()) *expected.add_events() = e;
      CHECK(got->SerializeAsString() == expected.SerializeAsString());
      CHECK(lean.read(stored.substr(0, stored.size() - 1)) == nullptr);
      return true;
    }).has_value());
  }
}

namespace {

struct spoken {
  int code = -1;
  std::string text;
};

spoken say(const std::string& words) {
  auto* pipe = ::popen((std::string{USHER_BINARY} + " " + words + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  spoken out;
  char part[4096];
  while (const auto n = ::fread(part, 1, sizeof part, pipe)) out.text.append(part, n);
  out.code = WEXITSTATUS(::pclose(pipe));
  return out;
}

boost::json::object item_of(const boost::json::object& answer, const std::string& name) {
  for (const auto& item : answer.at("items").as_array())
    if (item.as_object().at("name").as_string() == name) return item.as_object();
  throw std::logic_error("no such read model in the answer");
}

}  // namespace

TEST_CASE("an operator sees the read models and has them built again, on a running node and on a stopped one") {
  tests::test_node node;
  const auto chief = node.token("operator", http::role::operator_);
  tests::client c{node};
  const auto listed = c.get("/admin/projections", chief);
  REQUIRE(listed.status == 200);
  CHECK(item_of(listed.json(), "seat_map").at("state").as_string() == "LIVE");
  CHECK(item_of(listed.json(), "seat_map").at("lagRecords").to_number<int>() == 0);
  CHECK(c.get("/admin/projections", node.token("usr_1")).status == 403);
  CHECK(c.post("/admin/projections/nothing/rebuild", "", chief).status == 404);
  CHECK(c.post("/admin/projections/nothing/retry", "", chief).status == 404);
  const auto begun = c.post("/admin/projections/all/rebuild", "", chief);
  REQUIRE(begun.status == 202);
  REQUIRE(tests::eventually([&] { return c.get("/operations/" + begun.text("operationId"), chief).text("state") == "SUCCEEDED"; }));
  const auto rebuilt = c.get("/admin/projections", chief).json();
  for (const auto& item : rebuilt.at("items").as_array())
    CHECK(item.as_object().at("generation").to_number<int>() == 2);
  const auto metrics = c.get("/metrics").body;
  for (const auto* name : {"lag_records", "lag_milliseconds", "parked"})
    CHECK(metrics.find("usher_projection_" + std::string{name} + "{projection=\"seat_map\"} 0") != std::string::npos);
  CHECK(metrics.find("usher_projection_rebuild_progress{projection=\"seat_map\"} 1") != std::string::npos);
  CHECK(c.get("/readyz").body.find("\"lagRecords\":0") != std::string::npos);

  const auto live = " --server 127.0.0.1:" + std::to_string(node.port()) + " --token " + chief;
  auto said = say("projection rebuild seat_map --json" + live);
  REQUIRE(said.code == 0);
  CHECK(item_of(boost::json::parse(said.text).as_object(), "seat_map").at("generation").to_number<int>() == 3);
  CHECK(say("projection retry all" + live).code == 0);
  CHECK(say("projection rebuild nothing" + live).code == 2);
  CHECK(say("projection retry nothing" + live).code == 2);
  said = say("projection list" + live);
  CHECK(said.code == 0);
  CHECK(said.text.find("seat_map") != std::string::npos);

  node.stop();
  const auto stopped = " --data " + node.directory();
  said = say("projection list --json" + stopped);
  REQUIRE(said.code == 0);
  CHECK(item_of(boost::json::parse(said.text).as_object(), "seat_map").at("generation").to_number<int>() == 3);
  said = say("projection rebuild all --json" + stopped);
  REQUIRE(said.code == 0);
  CHECK(item_of(boost::json::parse(said.text).as_object(), "seat_map").at("generation").to_number<int>() == 4);
  CHECK(say("projection rebuild nothing" + stopped).code == 2);
  CHECK(say("projection retry seat_map" + stopped).code == 2);
  CHECK(say("projection list --data /nowhere").code == 2);
  CHECK(say("projection").code == 2);
  node.start();
  tests::client again{node};
  CHECK(item_of(again.get("/admin/projections", chief).json(), "seat_map").at("generation").to_number<int>() == 4);
}

TEST_CASE("the seat map of a large log is built again at 500,000 events a second") {
  const auto events = tests::number_from_environment("USHER_TEST_EVENTS", 50'000);
  office o;
  o.sell(events);
  REQUIRE(o.db().flush().has_value());
  runner r;
  REQUIRE(r.start(o.db()).has_value());
  REQUIRE(r.flush().has_value());
  for (const auto& name : r.names()) {
    const auto began = std::chrono::steady_clock::now();
    REQUIRE(r.rebuild(name).value());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    const auto pace = static_cast<double>(o.events()) / took.count();
    std::cout << name << ": " << static_cast<std::uint64_t>(pace) << " events/s\n";
    if (name == "seat_map" && events >= 1'000'000) CHECK(pace >= 500'000);
  }
}

}  // namespace usher
