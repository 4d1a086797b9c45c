// A section without seats never sells more places than it has.

#include "actors/stock.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

const std::string ann_takes_2_of_3 = "taken { reservation_id: 'rsv_ann' quantity: 2 capacity: 3 }";
const std::string ann_buys_2 = "sold { reservation_id: 'rsv_ann' quantity: 2 }";

given<stock> a_section() { return given<stock>{stock_ref("shw_x", "floor")}; }

}  // namespace

TEST_CASE("places are taken as long as there are some") {
  auto s = a_section();
  CHECK(events_of(s.when("take { reservation_id: 'rsv_ann' quantity: 2 capacity: 3 }")) ==
        R"(taken { reservation_id: "rsv_ann" quantity: 2 capacity: 3 })");
  CHECK(accepted(s.when("take { reservation_id: 'rsv_bob' quantity: 1 capacity: 3 }")));
  CHECK(s.state().held() == 3);
  CHECK(s.state().capacity() == 3);
}

TEST_CASE("who asks for more places than are left is told how many there are") {
  auto s = a_section().happened(ann_takes_2_of_3);
  const auto one_left = s.when("take { reservation_id: 'rsv_bob' quantity: 2 capacity: 3 }");
  CHECK(refused(one_left) == v1::STOCK_UNAVAILABLE);
  CHECK(one_left.rejection.detail() == "Only 1 place is left in floor.");
  CHECK(s.state().held() == 2);

  const auto none_left = s.happened("taken { quantity: 1 capacity: 3 }").when("take { quantity: 1 capacity: 3 }");
  CHECK(refused(none_left) == v1::STOCK_UNAVAILABLE);
  CHECK(none_left.rejection.detail() == "No place is left in floor.");
}

TEST_CASE("a section that was made smaller than what it sold has no place left") {
  auto s = a_section().happened(ann_takes_2_of_3);
  CHECK(refused(s.when("take { quantity: 1 capacity: 1 }")) == v1::STOCK_UNAVAILABLE);
}

TEST_CASE("the largest quantity that can be written does not wrap around") {
  auto s = a_section().happened(ann_takes_2_of_3);
  CHECK(refused(s.when("take { quantity: 4294967295 capacity: 3 }")) == v1::STOCK_UNAVAILABLE);
  CHECK(accepted(s.when("take { quantity: 4294967295 capacity: 18446744073709551615 }")));
}

TEST_CASE("places that are held are sold, and places that are sold still count") {
  auto s = a_section().happened(ann_takes_2_of_3);
  CHECK(events_of(s.when("sell { reservation_id: 'rsv_ann' quantity: 2 }")) == R"(sold { reservation_id: "rsv_ann" quantity: 2 })");
  CHECK(s.state().held() == 0);
  CHECK(s.state().sold() == 2);
  CHECK(refused(s.when("take { quantity: 2 capacity: 3 }")) == v1::STOCK_UNAVAILABLE);
  CHECK(refused(s.when("sell { reservation_id: 'rsv_ann' quantity: 2 }")) == v1::NOT_THE_HOLDER);
}

TEST_CASE("places come back from a hold or from a sale, and not more than there were") {
  auto held = a_section().happened(ann_takes_2_of_3);
  CHECK(refused(held.when("give_back { quantity: 2 sold: true }")) == v1::NOT_THE_HOLDER);
  CHECK(events_of(held.when("give_back { reservation_id: 'rsv_ann' quantity: 2 }")) ==
        R"(returned { reservation_id: "rsv_ann" quantity: 2 })");
  CHECK(held.state().held() == 0);
  CHECK(refused(held.when("give_back { quantity: 2 }")) == v1::NOT_THE_HOLDER);

  auto sold = a_section().happened(ann_takes_2_of_3).happened(ann_buys_2);
  CHECK(refused(sold.when("give_back { quantity: 2 }")) == v1::NOT_THE_HOLDER);
  CHECK(accepted(sold.when("give_back { quantity: 2 sold: true }")));
  CHECK(sold.state().sold() == 0);
}

TEST_CASE("nobody takes, buys or returns no place at all") {
  auto s = a_section().happened(ann_takes_2_of_3);
  for (const auto* c : {"take { capacity: 3 }", "sell {}", "give_back {}"}) {
    const auto d = s.when(c);
    CHECK(refused(d) == v1::VALIDATION_FAILED);
    CHECK(blamed(d.rejection) == std::vector<std::string>{"quantity"});
  }
}

TEST_CASE("a stock has no deadline and owes nobody anything, and an empty command is refused") {
  auto s = a_section().happened(ann_takes_2_of_3);
  CHECK_FALSE(s.deadline());
  CHECK_FALSE(stock::wake());
  CHECK(s.reaction().empty());
  CHECK(refused(s.when("")) == v1::INVALID_REQUEST);
}

}  // namespace usher::actors::test
