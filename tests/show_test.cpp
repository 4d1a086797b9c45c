// A show is sold as its plan says, so a plan that can't be sold is not opened.

#include "actors/queue_settings.hpp"
#include "actors/show.hpp"
#include "actors/terms.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

using lines = std::vector<std::string>;

/// Two seated sections, of which the second lists its seats, and one without seats.
const std::string plan_text = R"(
  title: 'Aida' venue: 'Arena' starts_at_ms: 9000000 sale_opens_at_ms: 100 sale_closes_at_ms: 200 currency: 'EUR'
  sections { name: 'hall' kind: 'seated' rows { name: 'A' seats: 3 tier: 'gold' } rows { name: 'B' seats: 2 tier: 'tin' } }
  sections { name: 'box' kind: 'seated'
    rows { name: '1' tier: 'tin' named { number: 'I' id: 'guid-1' tier: 'gold' } named { number: 'II' } } }
  sections { name: 'lawn' kind: 'generalAdmission' stock: 50 tier: 'tin' }
  tiers { name: 'gold' price: 500 } tiers { name: 'tin' price: 0 })";

v1::ShowPlan a_plan() { return from_text<v1::ShowPlan>(plan_text); }

v1::ShowCommand open_with(const v1::ShowPlan& plan) {
  v1::ShowCommand c;
  *c.mutable_open()->mutable_plan() = plan;
  return c;
}

/// The good plan with a queue, and a secret for its draw.
v1::ShowCommand open_with_queue(const std::string& settings, std::string secret = std::string(32, 's')) {
  auto c = open_with(a_plan());
  *c.mutable_open()->mutable_plan()->mutable_queue() = from_text<v1::QueueSettings>(settings);
  c.mutable_open()->set_draw_secret(std::move(secret));
  return c;
}

given<show> no_show() { return given<show>{show_ref("shw_x")}; }
given<show> an_open_show() {
  auto s = no_show();
  REQUIRE(accepted(s.when(open_with(a_plan()))));
  return s;
}

/// What is to blame in the good plan after a change that makes it bad.
template <class Spoil>
lines blamed_after(Spoil spoil) {
  auto plan = a_plan();
  spoil(plan);
  const auto d = no_show().when(open_with(plan));
  CHECK(refused(d) == v1::VALIDATION_FAILED);
  return blamed(d.rejection);
}

v1::SeatRow& row(v1::ShowPlan& p, int section, int index) { return *p.mutable_sections(section)->mutable_rows(index); }

}  // namespace

TEST_CASE("a show opens once, as it was described") {
  auto s = no_show();
  const auto d = s.when(open_with(a_plan()));
  CHECK(accepted(d));
  REQUIRE(d.events.size() == 1);
  CHECK(d.events[0].opened().at_ms() == 1'000'000);
  CHECK(to_text(s.state().plan()) == to_text(a_plan()));
  CHECK(d.outcome.show().show_id() == "shw_x");
  CHECK(d.outcome.show().version() == 1);
  CHECK(refused(s.when(open_with(a_plan()))) == v1::ALREADY_EXISTS);
}

TEST_CASE("an empty plan is told everything that it lacks") {
  const auto d = no_show().when("open { plan {} }");
  CHECK(refused(d) == v1::VALIDATION_FAILED);
  CHECK(blamed(d.rejection) == lines{"title", "currency", "sections"});
}

TEST_CASE("each bad field of a plan is named by its path") {
  using plan = v1::ShowPlan;
  CHECK(blamed_after([](plan& p) { p.clear_title(); }) == lines{"title"});
  CHECK(blamed_after([](plan& p) { p.set_title("a\nb"); }) == lines{"title"});
  CHECK(blamed_after([](plan& p) { p.set_currency("eur"); }) == lines{"currency"});
  CHECK(blamed_after([](plan& p) { p.set_currency("EURO"); }) == lines{"currency"});
  CHECK(blamed_after([](plan& p) { p.set_sale_closes_at_ms(100); }) == lines{"saleClosesAt"});
  CHECK(blamed_after([](plan& p) { p.mutable_tiers(1)->set_price(-1); }) == lines{"tiers[1].price"});
  CHECK(blamed_after([](plan& p) { p.mutable_tiers(1)->set_price(1'000'000'000'001); }) == lines{"tiers[1].price"});
  CHECK(blamed_after([](plan& p) { *p.add_tiers() = p.tiers(0); }) == lines{"tiers[2].name"});
  CHECK(blamed_after([](plan& p) { p.mutable_sections(2)->set_kind("standing"); }) == lines{"sections[2].kind"});
  CHECK(blamed_after([](plan& p) { p.mutable_sections(1)->set_name("hall"); }) == lines{"sections[1].name"});
  CHECK(blamed_after([](plan& p) { p.mutable_sections(1)->clear_name(); }) == lines{"sections[1].name"});
  CHECK(blamed_after([](plan& p) { p.mutable_sections(2)->set_stock(0); }) == lines{"sections[2].stock"});
  CHECK(blamed_after([](plan& p) { p.mutable_sections(2)->set_stock(1'000'000'001); }) == lines{"sections[2].stock"});
  CHECK(blamed_after([](plan& p) { p.mutable_sections(2)->set_tier("zinc"); }) == lines{"sections[2].tier"});
  CHECK(blamed_after([](plan& p) { p.mutable_sections(2)->add_rows(); }) == lines{"sections[2].rows"});
  CHECK(blamed_after([](plan& p) { p.mutable_sections(0)->clear_rows(); }) == lines{"sections[0].rows"});
  CHECK(blamed_after([](plan& p) { p.mutable_sections(0)->set_stock(1); }) == lines{"sections[0].stock"});
  CHECK(blamed_after([](plan& p) { row(p, 0, 1).set_name("A"); }) == lines{"sections[0].rows[1].name"});
  CHECK(blamed_after([](plan& p) { row(p, 0, 1).clear_name(); }) == lines{"sections[0].rows[1].name"});
  CHECK(blamed_after([](plan& p) { row(p, 0, 1).set_seats(0); }) == lines{"sections[0].rows[1].seats"});
  CHECK(blamed_after([](plan& p) { row(p, 0, 1).set_tier("zinc"); }) == lines{"sections[0].rows[1].tier"});
  CHECK(blamed_after([](plan& p) { row(p, 1, 0).set_seats(3); }) == lines{"sections[1].rows[0].seats"});
  CHECK(blamed_after([](plan& p) { row(p, 1, 0).clear_tier(); }) == lines{"sections[1].rows[0].named[1].tier"});
  CHECK(blamed_after([](plan& p) { row(p, 1, 0).mutable_named(0)->set_tier("zinc"); }) ==
        lines{"sections[1].rows[0].named[0].tier"});
  CHECK(blamed_after([](plan& p) { row(p, 1, 0).mutable_named(1)->clear_number(); }) ==
        lines{"sections[1].rows[0].named[1].number"});
  CHECK(blamed_after([](plan& p) { row(p, 1, 0).mutable_named(1)->set_id("a\tb"); }) ==
        lines{"sections[1].rows[0].named[1].id"});
  CHECK(blamed_after([](plan& p) { row(p, 0, 0).add_accessible(4); }) == lines{"sections[0].rows[0].accessible[0]"});
  CHECK(blamed_after([](plan& p) { row(p, 0, 0).add_accessible(0); }) == lines{"sections[0].rows[0].accessible[0]"});
  CHECK(blamed_after([](plan& p) { row(p, 0, 0).add_accessible(3), row(p, 0, 0).add_accessible(3); }) ==
        lines{"sections[0].rows[0].accessible[1]"});
  CHECK(blamed_after([](plan& p) { row(p, 1, 0).add_accessible(1); }) == lines{"sections[1].rows[0].accessible"});
}

TEST_CASE("no two seats of a show have the same name, however it came about") {
  CHECK(blamed_after([](auto& p) { row(p, 1, 0).mutable_named(1)->set_id("guid-1"); }) == lines{"sections[1].rows[0]"});
  CHECK(blamed_after([](auto& p) { row(p, 1, 0).mutable_named(1)->set_id("hall/B-2"); }) == lines{"sections[1].rows[0]"});
}

TEST_CASE("a show has at most 200000 seats, and a plan that says more is not unfolded") {
  auto plan = a_plan();
  row(plan, 0, 0).set_seats(199'996);
  CHECK(accepted(no_show().when(open_with(plan))));
  CHECK(blamed_after([](auto& p) { row(p, 0, 0).set_seats(199'997); }) == lines{"sections"});
  CHECK(blamed_after([](auto& p) { row(p, 0, 0).set_seats(4'294'967'295); }) == lines{"sections"});
}

TEST_CASE("a plan that is wrong everywhere gets an answer that still can be read") {
  auto plan = a_plan();
  for (int i = 0; i != 500; ++i) plan.mutable_sections(0)->add_rows();
  CHECK(no_show().when(open_with(plan)).rejection.faults_size() == 100);
}

TEST_CASE("a change touches only what it names, and a change to what is already so records nothing") {
  auto s = an_open_show();
  const std::string change = "change { change { title: 'Tosca' sale_closes_at_ms: 300 tiers { name: 'tin' price: 7 } } }";
  const auto d = s.when(change);
  CHECK(accepted(d));
  CHECK(d.outcome.show().version() == 2);
  CHECK(s.state().plan().title() == "Tosca");
  CHECK(s.state().plan().venue() == "Arena");
  CHECK(s.state().plan().sale_closes_at_ms() == 300);
  CHECK(s.state().plan().tiers(0).price() == 500);
  CHECK(s.state().plan().tiers(1).price() == 7);

  const auto again = s.when(change);
  CHECK(accepted_unchanged(again));
  CHECK(again.outcome.show().version() == 2);
  CHECK(accepted(s.when("change { change { venue: 'Dome' starts_at_ms: 1 sale_opens_at_ms: 0 ticket_limit: 2 hold_seconds: 60 } }")));
  CHECK(s.state().plan().venue() == "Dome");
  CHECK(s.state().plan().starts_at_ms() == 1);
  CHECK(s.state().plan().sale_opens_at_ms() == 0);
  CHECK(s.state().plan().ticket_limit() == 2);
  CHECK(s.state().plan().hold_seconds() == 60);
}

TEST_CASE("whether single seats may be left is part of the terms, and can be changed both ways") {
  auto s = an_open_show();
  CHECK_FALSE(terms{s.state()}.forbids_orphans());
  CHECK(accepted(s.when("change { change { forbid_orphans: true } }")));
  CHECK(terms{s.state()}.forbids_orphans());
  CHECK(accepted_unchanged(s.when("change { change { forbid_orphans: true } }")));
  CHECK(accepted(s.when("change { change { title: 'Tosca' } }")));
  CHECK(terms{s.state()}.forbids_orphans());
  CHECK(accepted(s.when("change { change { forbid_orphans: false } }")));
  CHECK_FALSE(terms{s.state()}.forbids_orphans());
}

TEST_CASE("seats made for wheelchairs are known by number in a row that counts, and by their mark in a row that lists") {
  auto plan = a_plan();
  row(plan, 0, 0).add_accessible(1), row(plan, 0, 0).add_accessible(3);
  row(plan, 1, 0).mutable_named(1)->set_accessible(true);
  auto s = no_show();
  REQUIRE(accepted(s.when(open_with(plan))));
  const terms t{s.state()};
  lines found;
  for (std::uint32_t i = 0; i != t.size(); ++i)
    if (t.seats().at(i).accessible) found.emplace_back(t.at(i).name);
  CHECK(found == lines{"hall/A-1", "hall/A-3", "box/1-II"});
}

TEST_CASE("a change that would make the plan bad is refused") {
  const std::vector<std::pair<std::string, lines>> table{
      {"title: ''", {"title"}},
      {"sale_closes_at_ms: 100", {"saleClosesAt"}},
      {"sale_opens_at_ms: 200", {"saleClosesAt"}},
      {"tiers { name: 'zinc' price: 1 }", {"tiers[0].name"}},
      {"tiers { name: 'tin' price: -1 }", {"tiers[0].price"}},
      {"tiers { name: 'tin' price: 1 } tiers { name: 'tin' price: 2 }", {"tiers[1].name"}},
  };
  auto s = an_open_show();
  for (const auto& [change, fields] : table) {
    const auto d = s.when("change { change { " + change + " } }");
    CHECK(refused(d) == v1::VALIDATION_FAILED);
    CHECK(blamed(d.rejection) == fields);
  }
  CHECK(refused(no_show().when("change {}")) == v1::NOT_FOUND);
}

TEST_CASE("a show opens its queue with itself, and what will decide the draw stays between the two") {
  auto s = no_show();
  const auto d = s.when(open_with_queue("admit_per_window: 5 order: 'joining'"));
  CHECK(accepted(d));
  CHECK(parts_of(d) == lines{R"(queue/shw_x: queue { open { settings { admit_per_window: 5 order: "joining" } opens_at_ms: 100 )"
                             R"(closes_at_ms: 200 draw_secret: "ssssssssssssssssssssssssssssssss" } })"});
  CHECK(events_of(d).find("sss") == std::string::npos);
  CHECK(to_text(d.outcome).find("sss") == std::string::npos);
  CHECK(to_text(s.state()).find("sss") == std::string::npos);

  auto without = no_show();
  CHECK(without.when(open_with(a_plan())).parts.empty());
  CHECK(refused(no_show().when(open_with_queue("", ""))) == v1::INVALID_REQUEST);
  CHECK(refused(no_show().when(open_with_queue("", std::string(31, 's')))) == v1::INVALID_REQUEST);
}

TEST_CASE("the queue learns when the sale is opened or closed at another time, and of no other change") {
  auto s = no_show();
  REQUIRE(accepted(s.when(open_with_queue(""))));
  CHECK(s.when("change { change { title: 'Tosca' ticket_limit: 2 } }").parts.empty());
  CHECK(s.when("change { change { venue: 'Dome' sale_opens_at_ms: 100 sale_closes_at_ms: 200 } }").parts.empty());
  CHECK(parts_of(s.when("change { change { sale_closes_at_ms: 300 } }")) ==
        lines{"queue/shw_x: queue { reschedule { opens_at_ms: 100 closes_at_ms: 300 } }"});
  CHECK(parts_of(s.when("change { change { sale_opens_at_ms: 0 sale_closes_at_ms: 0 } }")) == lines{"queue/shw_x: queue { reschedule { } }"});
  CHECK(accepted_unchanged(s.when("change { change { sale_opens_at_ms: 0 sale_closes_at_ms: 0 } }")));
  auto without = an_open_show();
  CHECK(without.when("change { change { sale_closes_at_ms: 300 } }").parts.empty());
}

TEST_CASE("settings of a queue that can't work are named, field by field") {
  const std::vector<std::pair<std::string, lines>> table{
      {"", {}},
      {"admit_per_window: 1000000 window_seconds: 3600 admission_seconds: 86400 grace_seconds: 86400 max_active: 4294967295", {}},
      {"mode: 'smooth' order: 'joining' lanes { name: 'all' weight: 1 } lanes { name: 'members' weight: 1000 }", {}},
      {"mode: 'window' order: 'random'", {}},
      {"admit_per_window: 1000001", {"queue.admitPerWindow"}},
      {"window_seconds: 3601 mode: 'steps'", {"queue.windowSeconds", "queue.mode"}},
      {"admission_seconds: 86401 order: 'lottery'", {"queue.admissionSeconds", "queue.order"}},
      {"grace_seconds: 86401", {"queue.graceSeconds"}},
      {"lanes { weight: 1 } lanes { name: 'a' } lanes { name: 'b' weight: 1001 }", {"queue.lanes[0].name", "queue.lanes[1].weight", "queue.lanes[2].weight"}},
      {"lanes { name: 'a' weight: 1 } lanes { name: 'a' weight: 1 }", {"queue.lanes[1].name"}},
      {"lanes { name: 'a\\nb' weight: 1 } lanes { name: '" + std::string(101, 'x') + "' weight: 1 }", {"queue.lanes[0].name", "queue.lanes[1].name"}},
  };
  for (const auto& [settings, fields] : table) {
    INFO(settings);
    const auto d = no_show().when(open_with_queue(settings));
    CHECK(refused(d) == (fields.empty() ? v1::OK : v1::VALIDATION_FAILED));
    CHECK(blamed(d.rejection) == fields);
  }
  v1::QueueSettings many;
  for (int i = 0; i != 16; ++i) *many.add_lanes() = from_text<v1::QueueLane>("name: 'lane " + std::to_string(i) + "' weight: 1");
  CHECK(faults_of(many, "").empty());
  *many.add_lanes() = from_text<v1::QueueLane>("name: 'one more' weight: 1");
  REQUIRE(faults_of(many, "").size() == 1);
  CHECK(faults_of(many, "")[0].field() == "lanes");
}

TEST_CASE("a show has no deadline and owes nobody anything, and an empty command is refused") {
  auto s = an_open_show();
  CHECK_FALSE(s.deadline());
  CHECK_FALSE(show::wake());
  CHECK(s.reaction().empty());
  CHECK(refused(s.when("")) == v1::INVALID_REQUEST);
}

// --- terms -----------------------------------------------------------------------------------------------------------

TEST_CASE("seats are found by their names and stand in the plan's order") {
  const terms t{an_open_show().state()};
  lines names;
  for (std::uint32_t i = 0; i != t.size(); ++i) {
    names.emplace_back(t.at(i).name);
    REQUIRE(t.find(names.back()));
    CHECK(t.find(names.back())->index == i);
  }
  CHECK(names == lines{"hall/A-1", "hall/A-2", "hall/A-3", "hall/B-1", "hall/B-2", "guid-1", "box/1-II"});
  const auto box = t.find("guid-1");
  REQUIRE(box);
  CHECK(box->section == "box");
  CHECK(box->row == "1");
  CHECK(box->number == "I");
  CHECK(box->tier == "gold");
  CHECK(box->price == 500);
  CHECK_FALSE(t.find("A-1"));
}

TEST_CASE("where a show has one seated section, its name is no part of the seats' names") {
  auto plan = a_plan();
  plan.mutable_sections()->DeleteSubrange(1, 1);
  auto s = no_show();
  s.when(open_with(plan));
  const terms t{s.state()};
  CHECK(t.at(0).name == "A-1");
  CHECK(t.find("B-2"));
}

TEST_CASE("a show that says nothing of limits lets 8 places be held for 300 seconds") {
  const terms t{an_open_show().state()};
  CHECK(t.ticket_limit() == 8);
  CHECK(t.hold_seconds() == 300);
  CHECK_FALSE(t.queue());
  auto s = an_open_show();
  s.when("change { change { ticket_limit: 2 hold_seconds: 60 } }");
  CHECK(terms{s.state()}.ticket_limit() == 2);
  CHECK(terms{s.state()}.hold_seconds() == 60);
}

TEST_CASE("the terms of the show are filled into what the client asks for") {
  const terms t{an_open_show().state()};
  auto c = from_text<v1::PlaceReservation>(
      "user_id: 'usr_ann' seats { seat: 'hall/B-1' price: 1 } seats { seat: 'hall/A-1' } general_admission { section: 'lawn' quantity: 2 }");
  CHECK_FALSE(apply_terms(t, c));
  CHECK(to_text(c) ==
        R"(user_id: "usr_ann" seats { seat: "hall/B-1" tier: "tin" } seats { seat: "hall/A-1" tier: "gold" price: 500 } )"
        R"(general_admission { section: "lawn" quantity: 2 tier: "tin" capacity: 50 } currency: "EUR" ticket_limit: 8 )"
        R"(hold_seconds: 300 sale_opens_at_ms: 100 sale_closes_at_ms: 200)");
}

TEST_CASE("seats and sections that the show does not have are named") {
  const terms t{an_open_show().state()};
  auto c = from_text<v1::PlaceReservation>(
      "seats { seat: 'hall/B-1' } seats { seat: 'hall/Z-1' } general_admission { section: 'hall' quantity: 2 }");
  const auto unknown = apply_terms(t, c);
  REQUIRE(unknown);
  CHECK(unknown->code() == v1::VALIDATION_FAILED);
  CHECK(blamed(*unknown) == lines{"seats[1]", "generalAdmission[0].section"});
}

}  // namespace usher::actors::test
