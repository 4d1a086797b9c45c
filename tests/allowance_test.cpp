// Nobody has more places of a show than its limit allows.

#include "actors/allowance.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

given<allowance> anns_allowance() { return given<allowance>{allowance_ref("shw_x", "usr_ann")}; }

}  // namespace

TEST_CASE("a person may have as many places as the limit says, over all reservations") {
  auto a = anns_allowance();
  CHECK(events_of(a.when("use { reservation_id: 'rsv_1' quantity: 3 limit: 4 }")) ==
        R"(used { reservation_id: "rsv_1" quantity: 3 })");
  CHECK(accepted(a.when("use { reservation_id: 'rsv_2' quantity: 1 limit: 4 }")));
  CHECK(a.state().used() == 4);
  CHECK(refused(a.when("use { reservation_id: 'rsv_2' quantity: 1 limit: 4 }")) == v1::TICKET_LIMIT_EXCEEDED);
}

TEST_CASE("who wants more than the limit is told the limit and what is left of it") {
  auto a = anns_allowance().happened("used { quantity: 3 }");
  const auto d = a.when("use { quantity: 2 limit: 4 }");
  CHECK(refused(d) == v1::TICKET_LIMIT_EXCEEDED);
  CHECK(d.rejection.detail() == "One person may have 4 places of this show, of which 1 is left for you; you asked for 2.");
  CHECK(refused(a.when("use { quantity: 4294967295 limit: 4 }")) == v1::TICKET_LIMIT_EXCEEDED);
  CHECK(refused(a.when("use { quantity: 1 limit: 2 }")) == v1::TICKET_LIMIT_EXCEEDED);
}

TEST_CASE("places that are given up can be used again, and not more than were in use") {
  auto a = anns_allowance().happened("used { quantity: 4 }");
  CHECK(events_of(a.when("restore { reservation_id: 'rsv_1' quantity: 3 }")) ==
        R"(restored { reservation_id: "rsv_1" quantity: 3 })");
  CHECK(refused(a.when("restore { reservation_id: 'rsv_1' quantity: 3 }")) == v1::NOT_THE_HOLDER);
  CHECK(accepted(a.when("use { quantity: 3 limit: 4 }")));
}

TEST_CASE("an allowance has no deadline and owes nobody anything, and an empty command is refused") {
  auto a = anns_allowance().happened("used { quantity: 4 }");
  CHECK_FALSE(a.deadline());
  CHECK_FALSE(allowance::wake());
  CHECK(a.reaction().empty());
  CHECK(refused(a.when("")) == v1::INVALID_REQUEST);
}

}  // namespace usher::actors::test
