// Halls in pretix's format become sections, rows and tiers; each mistake in one is named by its place.

#include "events/seating_plan.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <fstream>
#include <functional>
#include <iterator>
#include <set>

#include "events/json.hpp"

namespace {

namespace json = boost::json;

const std::map<std::string, std::int64_t> prices{{"Stalls", 5000}, {"Box", 9000}, {"Standing", 2000}};

json::value small_plan() {
  return json::parse(R"({"name":"Hall","size":{"width":1,"height":1},"categories":[{"name":"Stalls"},{"name":"Box"},{"name":"Free"}],
    "zones":[
      {"name":"Left","position":{"x":0,"y":0},"rows":[
        {"row_number":"A","seats":[
          {"seat_number":"1","seat_guid":"L-A-1","category":"Stalls"},
          {"seat_number":"2","seat_guid":"L-A-2","category":"Box"}]}]},
      {"name":"Right","areas":[],"rows":[
        {"row_number":"A","seats":[{"seat_number":"1","seat_guid":"R-A-1","category":"Stalls"}]},
        {"row_number":"B","seats":[]}]},
      {"name":"Aisle","rows":[]}]})");
}

json::value& at(json::value& plan, std::string_view pointer) { return plan.at_pointer(pointer); }

struct mistake {
  std::string what;
  std::function<void(json::value&)> make;
  std::string field;
  std::string detail;
};

std::function<void(json::value&)> set(std::string pointer, json::value v) {
  return [=](json::value& plan) { at(plan, pointer) = v; };
}
std::function<void(json::value&)> drop(std::string pointer, std::string member) {
  return [=](json::value& plan) { (pointer.empty() ? plan : at(plan, pointer)).as_object().erase(member); };
}

json::value file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  REQUIRE(in);
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  json::value plan;
  const auto wrong = usher::parse_json(text, plan);
  REQUIRE_FALSE(wrong);
  return plan;
}

}  // namespace

TEST_CASE("zones become sections, rows rows and seats named seats with the tier of their category") {
  usher::v1::ShowPlan show;
  const auto faults = usher::read_seating_plan(small_plan(), prices, show);
  REQUIRE(faults.empty());
  REQUIRE(show.sections_size() == 2);
  CHECK(show.sections(0).name() == "Left");
  CHECK(show.sections(0).kind() == "seated");
  REQUIRE(show.sections(0).rows_size() == 1);
  const auto& row = show.sections(0).rows(0);
  CHECK(row.name() == "A");
  REQUIRE(row.named_size() == 2);
  CHECK(row.named(1).number() == "2");
  CHECK(row.named(1).id() == "L-A-2");
  CHECK(row.named(1).tier() == "Box");
  CHECK(show.sections(1).rows_size() == 1);
}

TEST_CASE("only categories that have seats become tiers, and tiers that are there stay") {
  usher::v1::ShowPlan show;
  auto& tier = *show.add_tiers();
  tier.set_name("Box");
  tier.set_price(9000);
  REQUIRE(usher::read_seating_plan(small_plan(), prices, show).empty());
  REQUIRE(show.tiers_size() == 2);
  CHECK(show.tiers(0).name() == "Box");
  CHECK(show.tiers(1).name() == "Stalls");
  CHECK(show.tiers(1).price() == 5000);
}

TEST_CASE("each mistake in a plan is named by its place") {
  const std::string seat = "/zones/0/rows/0/seats/1";
  const std::vector<mistake> table{
      {"no object", [](json::value& plan) { plan = 1; }, "", "A seating plan is an object."},
      {"no categories", drop("", "categories"), "categories", "It is missing."},
      {"categories of a wrong type", set("/categories", 1), "categories", "Expected an array."},
      {"category of a wrong type", set("/categories/2", 1), "categories[2]", "Expected an object."},
      {"category without name", drop("/categories/2", "name"), "categories[2].name", "It is missing."},
      {"category with an empty name", set("/categories/2/name", ""), "categories[2].name", "It must not be empty."},
      {"category twice", set("/categories/2/name", "Box"), "categories[2].name", "There is another category"},
      {"no zones", drop("", "zones"), "zones", "It is missing."},
      {"no seats", set("/zones", json::array{}), "zones", "The plan has no seats."},
      {"zone of a wrong type", set("/zones/2", "x"), "zones[2]", "Expected an object."},
      {"zone without name", drop("/zones/1", "name"), "zones[1].name", "It is missing."},
      {"zone twice", set("/zones/1/name", "Left"), "zones[1].name", "There is another zone"},
      {"zone without rows", drop("/zones/1", "rows"), "zones[1].rows", "It is missing."},
      {"row of a wrong type", set("/zones/1/rows/1", json::value(nullptr)), "zones[1].rows[1]", "Expected an object."},
      {"row without number", drop("/zones/1/rows/0", "row_number"), "zones[1].rows[0].row_number", "It is missing."},
      {"row number of a wrong type", set("/zones/1/rows/0/row_number", 7), "zones[1].rows[0].row_number", "Expected a string."},
      {"row without seats", drop("/zones/1/rows/0", "seats"), "zones[1].rows[0].seats", "It is missing."},
      {"seat of a wrong type", set(seat, 1), "zones[0].rows[0].seats[1]", "Expected an object."},
      {"seat without number", drop(seat, "seat_number"), "zones[0].rows[0].seats[1].seat_number", "It is missing."},
      {"seat without guid", drop(seat, "seat_guid"), "zones[0].rows[0].seats[1].seat_guid", "It is missing."},
      {"empty guid", set(seat + "/seat_guid", ""), "zones[0].rows[0].seats[1].seat_guid", "It must not be empty."},
      {"guid twice", set("/zones/1/rows/0/seats/0/seat_guid", "L-A-2"), "zones[1].rows[0].seats[0].seat_guid",
       "It is also the guid of zones[0].rows[0].seats[1]."},
      {"seat without category", drop(seat, "category"), "zones[0].rows[0].seats[1].category", "It is missing."},
      {"unknown category", set(seat + "/category", "Moon"), "zones[0].rows[0].seats[1].category", "The plan has no category"},
      {"category without price", set(seat + "/category", "Free"), "categories[2]", "Seats have the category Free, but no tier"},
  };
  for (const auto& [what, make, field, detail] : table) {
    INFO(what);
    auto plan = small_plan();
    make(plan);
    usher::v1::ShowPlan show;
    const auto faults = usher::read_seating_plan(plan, prices, show);
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].field() == field);
    CHECK_THAT(faults[0].detail(), Catch::StartsWith(detail));
    CHECK(show.sections().empty());
    CHECK(show.tiers().empty());
  }
}

TEST_CASE("a plan that is wrong everywhere is told so up to a limit") {
  auto plan = small_plan();
  json::array seats;
  for (int i = 0; i != 1000; ++i) seats.push_back(i);
  at(plan, "/zones/0/rows/0/seats") = seats;
  usher::v1::ShowPlan show;
  CHECK(usher::read_seating_plan(plan, prices, show).size() == usher::fault_limit);
}

TEST_CASE("the demo hall has 300 seats in stalls and balcony, each with a name of its own") {
  usher::v1::ShowPlan show;
  const auto faults = usher::read_seating_plan(file(std::string{USHER_SOURCE_DIR} + "/deploy/demo-hall.seatingplan.json"),
                                               {{"Premium", 8900}, {"Standard", 5900}, {"Balcony", 3900}}, show);
  for (const auto& fault : faults) UNSCOPED_INFO(fault.field() << ": " << fault.detail());
  REQUIRE(faults.empty());
  CHECK(show.tiers_size() == 3);
  REQUIRE(show.sections_size() == 2);
  std::set<std::string> seats;
  for (const auto& section : show.sections())
    for (const auto& row : section.rows())
      for (const auto& seat : row.named()) seats.insert(seat.id());
  CHECK(seats.size() == 300);
}
