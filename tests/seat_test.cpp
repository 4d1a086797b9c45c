// A seat has one holder at a time, and the first to ask wins.

#include "actors/seat.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

const std::string held_by_ann = "held { reservation_id: 'rsv_ann' }";
const std::string sold_to_ann = "sold { reservation_id: 'rsv_ann' }";

given<seat> a_seat() { return given<seat>{seat_ref("shw_x", "A-12")}; }

}  // namespace

TEST_CASE("a free seat is held for the first who asks") {
  auto s = a_seat();
  const auto d = s.when("hold { reservation_id: 'rsv_ann' }");
  CHECK(accepted(d));
  CHECK(events_of(d) == R"(held { reservation_id: "rsv_ann" })");
  CHECK(s.state().phase() == v1::HELD);
  CHECK(s.state().reservation_id() == "rsv_ann");
}

TEST_CASE("a seat that somebody holds or bought is refused by its name") {
  for (const auto& after : {std::string{}, sold_to_ann}) {
    auto s = a_seat().happened(held_by_ann);
    if (!after.empty()) s.happened(after);
    const auto d = s.when("hold { reservation_id: 'rsv_bob' }");
    CHECK(refused(d) == v1::SEAT_UNAVAILABLE);
    REQUIRE(d.rejection.seats_size() == 1);
    CHECK(d.rejection.seats(0) == "A-12");
    CHECK(s.state().reservation_id() == "rsv_ann");
  }
}

TEST_CASE("the same hold, sale or release twice is accepted and records nothing") {
  auto s = a_seat().happened(held_by_ann);
  CHECK(accepted_unchanged(s.when("hold { reservation_id: 'rsv_ann' }")));
  CHECK(accepted(s.when("sell { reservation_id: 'rsv_ann' }")));
  CHECK(accepted_unchanged(s.when("sell { reservation_id: 'rsv_ann' }")));
  CHECK(accepted(s.when("release { reservation_id: 'rsv_ann' }")));
  CHECK(accepted_unchanged(s.when("release { reservation_id: 'rsv_ann' }")));
}

TEST_CASE("only who holds a seat buys it") {
  CHECK(refused(a_seat().when("sell { reservation_id: 'rsv_ann' }")) == v1::NOT_THE_HOLDER);
  auto s = a_seat().happened(held_by_ann);
  CHECK(refused(s.when("sell { reservation_id: 'rsv_bob' }")) == v1::NOT_THE_HOLDER);
  CHECK(events_of(s.when("sell { reservation_id: 'rsv_ann' }")) == R"(sold { reservation_id: "rsv_ann" })");
  CHECK(s.state().phase() == v1::SOLD);
}

TEST_CASE("only who holds or bought a seat gives it up, and then another can have it") {
  auto held = a_seat().happened(held_by_ann);
  CHECK(refused(held.when("release { reservation_id: 'rsv_bob' }")) == v1::NOT_THE_HOLDER);
  CHECK(events_of(held.when("release { reservation_id: 'rsv_ann' }")) == R"(released { reservation_id: "rsv_ann" })");
  CHECK(accepted(held.when("hold { reservation_id: 'rsv_bob' }")));

  auto sold = a_seat().happened(held_by_ann).happened(sold_to_ann);
  CHECK(refused(sold.when("release { reservation_id: 'rsv_bob' }")) == v1::NOT_THE_HOLDER);
  CHECK(accepted(sold.when("release { reservation_id: 'rsv_ann' }")));
  CHECK(sold.state().phase() == v1::AVAILABLE);
  CHECK(sold.state().reservation_id().empty());
}

TEST_CASE("a seat has no deadline and owes nobody anything, and an empty command is refused") {
  auto s = a_seat().happened(held_by_ann);
  CHECK_FALSE(s.deadline());
  CHECK_FALSE(seat::wake());
  CHECK(s.reaction().empty());
  CHECK(refused(s.when("")) == v1::INVALID_REQUEST);
}

}  // namespace usher::actors::test
