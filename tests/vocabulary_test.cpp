// Ids, keys and positions are spelled in one way and read back.

#include "events/vocabulary.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <vector>

namespace {

bool is_base32(std::string_view text) {
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567") == std::string_view::npos;
}

}  // namespace

TEST_CASE("the same seed gives the same id, and another seed another one") {
  CHECK(usher::make_show_id("a") == usher::make_show_id("a"));
  CHECK(usher::make_show_id("a") != usher::make_show_id("b"));
  CHECK(usher::make_show_id("a").substr(4) != usher::make_transaction_id("a").substr(4));
  const auto show = usher::make_show_id("a");
  CHECK(usher::make_reservation_id(show, "x") == usher::make_reservation_id(show, "x"));
  CHECK(usher::make_reservation_id(show, "x") != usher::make_reservation_id(show, "y"));
  CHECK(usher::make_reservation_id(show, "x") != usher::make_reservation_id(usher::make_show_id("b"), "x"));
}

TEST_CASE("ids have the documented shape") {
  const auto show = usher::make_show_id("seed");
  CHECK(show.size() == 20);
  CHECK(show.starts_with("shw_"));
  CHECK(is_base32(show.substr(4)));
  const auto reservation = usher::make_reservation_id(show, "seed");
  CHECK(reservation.size() == 4 + 16 + 1 + 16);
  CHECK(reservation.starts_with("rsv_" + show.substr(4) + "_"));
  CHECK(usher::make_user_id("ann@example.org").size() == 20);
  CHECK(usher::make_transaction_id("seed").starts_with("txn_"));
  const auto authorization = usher::make_authorization_id("seed");
  CHECK(authorization.size() == 20);
  CHECK(authorization.starts_with("aut_"));
  CHECK(is_base32(authorization.substr(4)));
  CHECK(usher::make_ticket_id(show, 17) == "qt_" + show.substr(4) + "_17");
  CHECK(usher::make_payment_id(reservation, 2) == "pay_" + reservation.substr(4) + "_2");
}

TEST_CASE("an id is 80 bits of SHA-256 in base32") {
  // printf shw_seed | sha256sum | cut -c1-20 | xxd -r -p | base32 | tr A-Z a-z
  CHECK(usher::make_show_id("seed") == "shw_276bcxy3mn637guk");
}

TEST_CASE("an e-mail address has one account, however it is capitalised") {
  CHECK(usher::make_user_id("Ann@Example.ORG") == usher::make_user_id("ann@example.org"));
  CHECK(usher::make_user_id("ann@example.org") != usher::make_user_id("bob@example.org"));
}

TEST_CASE("no two of many ids are alike") {
  std::set<std::string> ids;
  for (int i = 0; i != 20000; ++i) ids.insert(usher::make_transaction_id(std::to_string(i)));
  CHECK(ids.size() == 20000);
}

TEST_CASE("a reservation and a ticket tell their show") {
  const auto show = usher::make_show_id("seed");
  CHECK(usher::show_of_reservation(usher::make_reservation_id(show, "x")) == show);
  const auto ticket = usher::make_ticket_id(show, 18446744073709551615U);
  CHECK(usher::show_of_ticket(ticket) == show);
  CHECK(usher::number_of_ticket(ticket) == 18446744073709551615U);
}

TEST_CASE("an id that is not well formed belongs to no show") {
  for (const std::string id : {"", "rsv_", "rsv_a", "rsv_a_", "rsv__b", "shw_a_b", "rsv_a_b_c", "rsv_A_b", "rsv_a/_b", "rsv_a_b/",
                               "rsv_aaaaaaaaaaaaaaaaa_b", "rsv_a_bbbbbbbbbbbbbbbbb"}) {
    INFO(id);
    CHECK(usher::show_of_reservation(id).empty());
  }
  for (const std::string id : {"", "qt_", "qt_a", "qt_a_", "qt_a_x", "qt_a_-1", "qt_a_01", "qt_a_1 ", "qt_a_18446744073709551616", "qt__1"}) {
    INFO(id);
    CHECK(usher::show_of_ticket(id).empty());
    CHECK(usher::number_of_ticket(id) == 0);
  }
}

TEST_CASE("a log position survives its token, and nothing else is one") {
  for (const usher::log_position at : {usher::log_position{0, 0}, {255, 1}, {17, 18446744073709551615U}})
    CHECK(usher::position_from_token(usher::to_token(at)) == at);
  for (const std::string token : {"", ".", "1", "1.", ".1", "256.1", "-1.1", "1.-1", "01.1", "1.01", "1.2.3", " 1.2", "1.2 ", "1.18446744073709551616"}) {
    INFO(token);
    CHECK_FALSE(usher::position_from_token(token));
  }
}

TEST_CASE("a key names kind, group and name") {
  CHECK(usher::key_of(usher::show_ref("shw_x")) == "show/shw_x");
  CHECK(usher::key_of(usher::seat_ref("shw_x", "A-12")) == "seat/shw_x/A-12");
  CHECK(usher::key_of(usher::stock_ref("shw_x", "floor")) == "stock/shw_x/floor");
  CHECK(usher::key_of(usher::allowance_ref("shw_x", "usr_y")) == "allowance/shw_x/usr_y");
  CHECK(usher::key_of(usher::reservation_ref("rsv_x_z")) == "reservation/shw_x/rsv_x_z");
  CHECK(usher::key_of(usher::queue_ref("shw_x")) == "queue/shw_x");
  CHECK(usher::key_of(usher::wallet_ref("usr_y")) == "wallet/usr_y");
  CHECK(usher::key_of(usher::user_ref("usr_y")) == "user/usr_y");
}

TEST_CASE("each kind of entity has a word of its own") {
  const auto& kinds = *usher::v1::Kind_descriptor();
  for (int i = 0; i != kinds.value_count(); ++i) {
    const auto kind = static_cast<usher::v1::Kind>(kinds.value(i)->number());
    CHECK(usher::kind_from_word(usher::word_of(kind)) == kind);
  }
  CHECK(usher::kind_from_word("Seat") == usher::v1::KIND_UNSPECIFIED);
}

TEST_CASE("groups spread evenly over the partitions, and stay where they are") {
  CHECK(usher::partition_of("") == 38);
  CHECK(usher::partition_of("shw_a") == 132);
  std::vector<int> groups(usher::partition_count);
  for (int i = 0; i != 256 * 100; ++i) ++groups.at(usher::partition_of(usher::make_show_id(std::to_string(i))));
  for (const int n : groups) {
    CHECK(n > 50);
    CHECK(n < 150);
  }
}
