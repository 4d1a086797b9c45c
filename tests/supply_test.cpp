// A queue knows what is left to sell: it hears what matters, in time, and nothing else.

#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/supply_watch.hpp"
#include "projections/runner.hpp"
#include "tests/decide.hpp"
#include "tests/support.hpp"

namespace usher {
namespace {

using cluster::supply;
using lines = std::vector<std::string>;

const std::string hall = "shw_aaaaaaaaaaaaaaaa";
const std::string lawn = "shw_bbbbbbbbbbbbbbbb";

v1::ShowPlan plan_of(std::uint64_t places, bool with_queue) {
  auto plan = actors::test::from_text<v1::ShowPlan>(R"(title: 'Evening' currency: 'EUR' tiers { name: 'gold' price: 900 } tiers { name: 'tin' price: 9 }
      sections { name: 'stalls' kind: 'seated' rows { name: 'A' seats: 2 tier: 'gold' } }
      sections { name: 'floor' kind: 'generalAdmission' tier: 'tin' })");
  plan.mutable_sections(1)->set_stock(places);
  if (with_queue) plan.mutable_queue();
  return plan;
}

/// The read models of a node, a watch on them, and what it says to the queues. They record it only when a test lets them.
struct box_office {
  tests::temp_dir directory;
  std::unique_ptr<store::database> db = store::database::open(directory.path + "/db").value();
  projections::runner models;
  std::vector<actors::request_ptr> sent;
  std::unique_ptr<cluster::supply_watch> watch;
  std::map<std::string, std::uint64_t> versions;
  std::map<std::uint32_t, std::uint64_t> ends;

  box_office() {
    REQUIRE(models.start(*db).has_value());
    models.on_applied([this](const v1::Record& r) { watch->applied(r); });
    restart();
  }
  /// A watch that knows nothing of what was said before.
  void restart() {
    sent.clear();
    watch = std::make_unique<cluster::supply_watch>(models.views(), [this](const actors::request_ptr& r) { sent.push_back(r); });
  }

  v1::StreamEvent event(v1::EntityRef of) {
    v1::StreamEvent e;
    e.set_version(++versions[key_of(of)]);
    e.set_schema(1);
    *e.mutable_stream() = std::move(of);
    return e;
  }
  std::uint64_t write(v1::StreamEvent e) {
    auto record = std::make_shared<v1::Record>();
    record->set_partition(partition_of(e.stream().group()));
    record->set_index(++ends[record->partition()]);
    *record->add_events() = std::move(e);
    REQUIRE(models.offer({record}).has_value());
    return record->index();
  }
  void open(const std::string& show, std::uint64_t places = 5000, bool with_queue = true) {
    auto e = event(show_ref(show));
    *e.mutable_show()->mutable_opened()->mutable_plan() = plan_of(places, with_queue);
    write(e);
    if (!with_queue) return;
    auto queue = event(queue_ref(show));
    queue.mutable_queue()->mutable_opened()->mutable_settings();
    write(queue);
  }
  void join(const std::string& show, std::uint64_t number) {
    auto e = event(queue_ref(show));
    auto& joined = *e.mutable_queue()->mutable_joined();
    joined.set_user_id("usr_" + std::to_string(number));
    joined.set_ticket_id(make_ticket_id(show, number));
    joined.set_number(number);
    write(e);
  }
  std::uint64_t take(const std::string& show, std::uint32_t places) {
    auto e = event(stock_ref(show, "floor"));
    e.mutable_stock()->mutable_taken()->set_quantity(places);
    return write(e);
  }
  void sell(const std::string& show, std::uint32_t places) {
    auto e = event(stock_ref(show, "floor"));
    e.mutable_stock()->mutable_sold()->set_quantity(places);
    write(e);
  }
  void give_back(const std::string& show, std::uint32_t places, bool sold = false) {
    auto e = event(stock_ref(show, "floor"));
    e.mutable_stock()->mutable_returned()->set_quantity(places);
    e.mutable_stock()->mutable_returned()->set_sold(sold);
    write(e);
  }
  void sell_seat(const std::string& show, const std::string& seat) {
    auto held = event(seat_ref(show, seat));
    held.mutable_seat()->mutable_held();
    write(held);
    auto sold = event(seat_ref(show, seat));
    sold.mutable_seat()->mutable_sold();
    write(sold);
  }

  /// What the queues are told at the next look; they take it.
  lines told() {
    auto out = said();
    answer();
    return out;
  }
  /// What the queues are told at the next look; they keep silent.
  lines said() {
    const auto before = sent.size();
    watch->look(from_ms(1'000'000));
    lines out;
    for (auto i = before; i < sent.size(); ++i)
      out.push_back(sent[i]->to.group().substr(0, 5) + ": " + actors::test::to_text(sent[i]->command.queue().supply()));
    return out;
  }
  void answer() {
    for (const auto& r : std::exchange(sent, {})) {
      auto e = event(r->to);
      auto& noted = *e.mutable_queue()->mutable_supply_noted();
      noted.set_available(r->command.queue().supply().available());
      noted.set_held(r->command.queue().supply().held());
      *noted.mutable_sold_out_tiers() = r->command.queue().supply().sold_out_tiers();
      write(e);
    }
  }
};

bool matters(const supply& before, const supply& now) { return cluster::matters(before, now, 1000); }

}  // namespace

TEST_CASE("it matters whether there is something, whether it may come back, and how little is left") {
  CHECK_FALSE(matters({5000, 0, {}}, {5000, 0, {}}));
  CHECK_FALSE(matters({5000, 0, {}}, {4000, 900, {}}));
  CHECK(matters({5000, 0, {}}, {1000, 0, {}}));
  CHECK(matters({1000, 0, {}}, {1001, 0, {}}));
  CHECK(matters({7, 2, {}}, {6, 3, {}}));
  CHECK(matters({7, 2, {}}, {7, 1, {}}));
  CHECK_FALSE(matters({5000, 0, {}}, {4500, 0, {}}));
  CHECK(matters({5000, 0, {}}, {4499, 0, {}}));
  CHECK(matters({4000, 1000, {}}, {4000, 499, {}}));
  CHECK(matters({5000, 0, {}}, {5000, 501, {}}));
  CHECK(matters({1, 0, {}}, {0, 1, {}}));
  CHECK_FALSE(matters({0, 3, {}}, {0, 2, {}}));
  CHECK(matters({0, 1, {}}, {0, 0, {}}));
  CHECK(matters({0, 0, {}}, {0, 1, {}}));
  CHECK(matters({5000, 0, {}}, {5000, 0, {"gold"}}));
  CHECK(matters({5000, 0, {"gold"}}, {5000, 0, {}}));
  CHECK(cluster::matters({5000, 0, {}}, {4999, 0, {}}, 5000));
}

TEST_CASE("a queue is told what is left when somebody joins it, and a queue that nobody joined is told nothing") {
  box_office o;
  o.open(hall);
  o.open(lawn, 5000, false);
  o.take(hall, 2);
  o.take(lawn, 5000);
  CHECK(o.told().empty());
  o.join(hall, 1);
  CHECK(o.told() == lines{"shw_a: available: 5000 held: 2"});
  o.join(hall, 2);
  CHECK(o.told().empty());
}

TEST_CASE("what is plenty is told once, what is little is told when it changes, and only the last state of a while") {
  box_office o;
  o.open(hall);
  o.join(hall, 1);
  CHECK(o.told() == lines{"shw_a: available: 5002"});
  o.take(hall, 3000);
  CHECK(o.told().empty());
  o.sell(hall, 500);
  CHECK(o.told().empty());
  o.sell(hall, 1);
  CHECK(o.told() == lines{"shw_a: available: 2002 held: 2499"});
  o.take(hall, 1900);
  CHECK(o.told() == lines{"shw_a: available: 102 held: 4399"});
  for (int i = 0; i != 50; ++i) o.take(hall, 2);
  CHECK(o.told() == lines{"shw_a: available: 2 held: 4499"});
  CHECK(o.told().empty());
}

TEST_CASE("the last place, the last hold and the first one that comes back are told at the next look") {
  box_office o;
  o.open(hall, 3);
  o.join(hall, 1);
  o.sell_seat(hall, "A-1");
  CHECK(o.told() == lines{"shw_a: available: 4"});
  o.sell_seat(hall, "A-2");
  CHECK(o.told() == lines{R"(shw_a: available: 3 sold_out_tiers: "gold")"});
  o.take(hall, 3);
  CHECK(o.told() == lines{R"(shw_a: held: 3 sold_out_tiers: "gold")"});
  o.sell(hall, 2);
  CHECK(o.told().empty());
  o.sell(hall, 1);
  CHECK(o.told() == lines{R"(shw_a: sold_out_tiers: "gold" sold_out_tiers: "tin")"});
  o.give_back(hall, 1, true);
  CHECK(o.told() == lines{R"(shw_a: available: 1 sold_out_tiers: "gold")"});
}

TEST_CASE("a command to the queue names the record that it rests on") {
  box_office o;
  o.open(hall);
  const auto index = o.take(hall, 1);
  o.join(hall, 1);
  o.said();
  REQUIRE(o.sent.size() == 1);
  CHECK(position_from_token(o.sent[0]->causation) == log_position{partition_of(hall), index});
  CHECK(o.sent[0]->role == v1::ROLE_SYSTEM);
}

TEST_CASE("a queue that gives no answer is told again, with what is left by then") {
  box_office o;
  o.open(hall, 10);
  o.join(hall, 1);
  CHECK(o.said() == lines{"shw_a: available: 12"});
  o.take(hall, 4);
  std::size_t looks = 0;
  lines again;
  for (; again.empty() && looks < 100; ++looks) again = o.said();
  CHECK(again == lines{"shw_a: available: 8 held: 4"});
  CHECK(looks == 8);
  o.take(hall, 6);
  CHECK(o.said().empty());
  o.answer();
  CHECK(o.told() == lines{"shw_a: available: 2 held: 10"});
}

TEST_CASE("after a restart a queue is told what it may have missed, and nothing that it knows") {
  box_office o;
  o.open(hall, 10);
  o.open(lawn, 10);
  o.join(hall, 1);
  o.join(lawn, 1);
  REQUIRE(o.told().size() == 2);
  o.take(hall, 3);
  o.restart();
  CHECK(o.told() == lines{"shw_a: available: 9 held: 3"});
  CHECK(o.told().empty());
}

TEST_CASE("a queue whose sale is over is told nothing any more") {
  box_office o;
  o.open(hall, 10);
  o.join(hall, 1);
  o.told();
  auto e = o.event(queue_ref(hall));
  e.mutable_queue()->mutable_closed()->set_why(v1::SALE_OVER);
  o.write(e);
  o.take(hall, 3);
  CHECK(o.told().empty());
}

}  // namespace usher
