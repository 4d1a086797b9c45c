// Money is neither made nor lost, and a payment is made once however often it is asked for.

#include "actors/wallet.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

using namespace std::chrono_literals;

const std::string ann_has_100 = "charged { amount: 100 balance: 100 at_ms: 5 }";
const std::string pay_60 = "debit { payment_id: 'pay_1' reservation_id: 'rsv_1' show_id: 'shw_x' amount: 60 }";
const std::string set_60_aside = "authorize { authorization_id: 'aut_1' amount: 60 seconds: 600 }";
const std::string refund_60 = "credit { payment_id: 'pay_1' reservation_id: 'rsv_1' show_id: 'shw_x' amount: 60 }";

given<wallet> anns_wallet() { return given<wallet>{wallet_ref("usr_ann")}; }

}  // namespace

TEST_CASE("a wallet is charged, and says its balance") {
  auto w = anns_wallet().happened(ann_has_100);
  const auto d = w.when("charge { amount: 20 transaction_id: 'txn_1' }");
  CHECK(accepted(d));
  CHECK(events_of(d) == R"(charged { amount: 20 balance: 120 transaction_id: "txn_1" at_ms: 1000000 })");
  CHECK(d.outcome.wallet().balance() == 120);
  CHECK(d.outcome.wallet().transaction_id() == "txn_1");
  CHECK(d.outcome.wallet().at_ms() == 1'000'000);
  CHECK(w.state().balance() == 120);
  CHECK(w.state().updated_at_ms() == 1'000'000);
}

TEST_CASE("the same charge twice is two charges, since the idempotency key is what tells them apart") {
  auto w = anns_wallet();
  CHECK(accepted(w.when("charge { amount: 20 }")));
  CHECK(accepted(w.when("charge { amount: 20 }")));
  CHECK(w.state().balance() == 40);
}

TEST_CASE("a house sets what may be charged, used and kept at once") {
  auto w = anns_wallet().happened(ann_has_100);
  CHECK(refused(w.when("charge { amount: 51 amount_max: 50 }")) == v1::VALIDATION_FAILED);
  CHECK(refused(w.when("use { amount: 51 amount_max: 50 }")) == v1::VALIDATION_FAILED);
  CHECK(refused(w.when("charge { amount: 50 balance_max: 149 }")) == v1::VALIDATION_FAILED);
  CHECK(accepted(w.when("charge { amount: 50 amount_max: 50 balance_max: 150 }")));
  CHECK(accepted(w.when("use { amount: 50 amount_max: 50 }")));
}

TEST_CASE("an amount is from 1 to a million million") {
  auto w = anns_wallet().happened(ann_has_100);
  for (const auto* amount : {"0", "-1", "1000000000001"})
    for (const auto* verb : {"charge", "use"}) {
      const auto d = w.when(std::string{verb} + " { amount: " + amount + " }");
      CHECK(refused(d) == v1::VALIDATION_FAILED);
      CHECK(blamed(d.rejection) == std::vector<std::string>{"amount"});
    }
  CHECK(accepted(w.when("charge { amount: 1000000000000 }")));
  CHECK(accepted(w.when("use { amount: 1 }")));
}

TEST_CASE("a balance never overflows") {
  auto w = anns_wallet().happened("charged { balance: 9223372036854775807 }");
  CHECK(refused(w.when("charge { amount: 1 }")) == v1::VALIDATION_FAILED);
  w.happened("debited { payment_id: 'pay_1' balance: 9223372036854775807 }");
  CHECK(refused(w.when("credit { payment_id: 'pay_1' amount: 1 }")) == v1::VALIDATION_FAILED);
}

TEST_CASE("money is used down to nothing and no further, and the refusal says what is missing") {
  auto w = anns_wallet().happened(ann_has_100);
  const auto d = w.when("use { amount: 100 transaction_id: 'txn_1' }");
  CHECK(events_of(d) == R"(used { amount: 100 transaction_id: "txn_1" at_ms: 1000000 })");
  CHECK(d.outcome.wallet().transaction_id() == "txn_1");
  CHECK(w.state().balance() == 0);

  const auto again = w.when("use { amount: 30 }");
  CHECK(refused(again) == v1::INSUFFICIENT_BALANCE);
  CHECK(again.rejection.detail() == "The balance is 0, which is 30 too little.");
}

TEST_CASE("a payment is debited once, however often it is asked for") {
  auto w = anns_wallet().happened(ann_has_100);
  const auto d = w.when(pay_60);
  CHECK(events_of(d) ==
        R"(debited { amount: 60 balance: 40 payment_id: "pay_1" reservation_id: "rsv_1" at_ms: 1000000 })");
  CHECK(d.outcome.wallet().verdict() == v1::DEBITED);
  CHECK(d.outcome.wallet().balance() == 40);

  const auto again = w.when(pay_60);
  CHECK(accepted_unchanged(again));
  CHECK(again.outcome.wallet().verdict() == v1::DEBITED);
  CHECK(w.state().balance() == 40);
}

TEST_CASE("a payment that was refused stays refused, though there is money by now") {
  auto w = anns_wallet();
  const auto d = w.when(pay_60);
  CHECK(accepted(d));
  CHECK(events_of(d) == R"(debit_refused { amount: 60 payment_id: "pay_1" reservation_id: "rsv_1" at_ms: 1000000 })");
  CHECK(d.outcome.wallet().verdict() == v1::REFUSED);

  w.happened(ann_has_100);
  const auto again = w.when(pay_60);
  CHECK(accepted_unchanged(again));
  CHECK(again.outcome.wallet().verdict() == v1::REFUSED);
  CHECK(w.state().balance() == 100);
  CHECK(w.when("debit { payment_id: 'pay_2' amount: 60 }").outcome.wallet().verdict() == v1::DEBITED);
}

TEST_CASE("a payment is refunded once") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(pay_60);
  const auto d = w.when(refund_60);
  CHECK(events_of(d) ==
        R"(credited { amount: 60 balance: 100 payment_id: "pay_1" reservation_id: "rsv_1" at_ms: 1000000 })");
  CHECK(d.outcome.wallet().verdict() == v1::REFUNDED);

  const auto again = w.when(refund_60);
  CHECK(accepted_unchanged(again));
  CHECK(again.outcome.wallet().verdict() == v1::REFUNDED);
  CHECK(w.state().balance() == 100);
}

TEST_CASE("a late repeat of a debit after its refund takes nothing, and still says that it was debited") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(pay_60);
  w.when(refund_60);
  const auto late = w.when(pay_60);
  CHECK(accepted_unchanged(late));
  CHECK(late.outcome.wallet().verdict() == v1::DEBITED);
  CHECK(w.state().balance() == 100);
}

TEST_CASE("what was not paid is not refunded") {
  auto w = anns_wallet();
  CHECK(refused(w.when(refund_60)) == v1::NOT_FOUND);
  w.when(pay_60);
  CHECK(refused(w.when(refund_60)) == v1::NOT_FOUND);
  CHECK(w.state().balance() == 0);
}

TEST_CASE("what is free is paid with nothing, and nothing negative is paid") {
  auto w = anns_wallet();
  CHECK(w.when("debit { payment_id: 'pay_1' }").outcome.wallet().verdict() == v1::DEBITED);
  CHECK(w.when("credit { payment_id: 'pay_1' }").outcome.wallet().verdict() == v1::REFUNDED);
  CHECK(refused(w.when("debit { payment_id: 'pay_2' amount: -1 }")) == v1::VALIDATION_FAILED);
  CHECK(refused(w.when("credit { payment_id: 'pay_2' amount: -1 }")) == v1::VALIDATION_FAILED);
}

TEST_CASE("money is set aside for a while, and then there is less to use and nothing less to have") {
  auto w = anns_wallet().happened(ann_has_100);
  const auto d = w.when(set_60_aside);
  CHECK(accepted(d));
  CHECK(events_of(d) == R"(authorized { authorization_id: "aut_1" amount: 60 expires_at_ms: 1600000 at_ms: 1000000 })");
  CHECK(to_text(d.outcome) ==
        R"(wallet { balance: 100 at_ms: 1000000 authorization_id: "aut_1" amount: 60 held: 60 expires_at_ms: 1600000 })");
  CHECK(w.state().balance() == 100);
  CHECK(w.state().held() == 60);
  CHECK(w.deadline() == w.now() + 600s);
}

TEST_CASE("what is set aside is neither used nor set aside again, and the refusal says what is missing") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(set_60_aside);
  const auto too_much = w.when("use { amount: 41 }");
  CHECK(refused(too_much) == v1::INSUFFICIENT_BALANCE);
  CHECK(too_much.rejection.detail() == "The balance is 100 and 60 of it is set aside, which is 1 too little.");
  CHECK(refused(w.when("authorize { authorization_id: 'aut_2' amount: 41 seconds: 600 }")) == v1::INSUFFICIENT_BALANCE);
  CHECK(w.state().held() == 60);
  CHECK(accepted(w.when("authorize { authorization_id: 'aut_2' amount: 30 seconds: 600 }")));
  CHECK(accepted(w.when("use { amount: 10 }")));
  CHECK(refused(w.when("use { amount: 1 }")) == v1::INSUFFICIENT_BALANCE);
}

TEST_CASE("a payment is not made with money that is set aside") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when("authorize { authorization_id: 'aut_1' amount: 41 seconds: 600 }");
  CHECK(w.when(pay_60).outcome.wallet().verdict() == v1::REFUSED);
  CHECK(w.state().balance() == 100);
  w.when("void_funds { authorization_id: 'aut_1' }");
  CHECK(w.when("debit { payment_id: 'pay_2' amount: 60 }").outcome.wallet().verdict() == v1::DEBITED);
}

TEST_CASE("what is charged or refunded meanwhile is free, and what was set aside stays so") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when("debit { payment_id: 'pay_1' amount: 40 }");
  w.when(set_60_aside);
  w.when("credit { payment_id: 'pay_1' amount: 40 }");
  const auto d = w.when("charge { amount: 5 }");
  CHECK(d.outcome.wallet().balance() == 105);
  CHECK(d.outcome.wallet().held() == 60);
  CHECK(refused(w.when("use { amount: 46 }")) == v1::INSUFFICIENT_BALANCE);
  CHECK(accepted(w.when("use { amount: 45 }")));
}

TEST_CASE("an authorization has an amount like any other, and lasts from a second to a week") {
  auto w = anns_wallet().happened("charged { balance: 2000000000000 }");
  const auto blames = [&](const std::string& amount, const std::string& seconds, const std::string& more = "") {
    const auto d = w.when("authorize { authorization_id: 'aut_1' amount: " + amount + " seconds: " + seconds + ' ' + more + " }");
    CHECK((accepted(d) || refused(d) == v1::VALIDATION_FAILED));
    return blamed(d.rejection);
  };
  using fields = std::vector<std::string>;
  for (const auto* amount : {"0", "-1", "1000000000001", "-9223372036854775808", "9223372036854775807"})
    CHECK(blames(amount, "600") == fields{"amount"});
  CHECK(blames("51", "600", "amount_max: 50") == fields{"amount"});
  for (const auto* seconds : {"0", "604801", "4294967295"}) CHECK(blames("1", seconds) == fields{"seconds"});
  CHECK(blames("50", "604800", "amount_max: 50").empty());
  CHECK(w.deadline() == w.now() + std::chrono::hours{7 * 24});
}

TEST_CASE("the same authorization twice is one, and nobody gets another amount under its name") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(set_60_aside);
  w.pass(5s);
  const auto again = w.when(set_60_aside);
  CHECK(accepted_unchanged(again));
  CHECK(again.outcome.wallet().authorization_id() == "aut_1");
  CHECK(again.outcome.wallet().amount() == 60);
  CHECK(again.outcome.wallet().held() == 60);
  CHECK(again.outcome.wallet().expires_at_ms() == 1'600'000);
  CHECK(refused(w.when("authorize { authorization_id: 'aut_1' amount: 61 seconds: 600 }")) == v1::ALREADY_EXISTS);
  CHECK(w.state().held() == 60);
}

TEST_CASE("a hundred authorizations may be open, and one more once one has ended") {
  auto w = anns_wallet().happened("charged { balance: 1000 }");
  const auto another = [&](int i) { return w.when("authorize { authorization_id: 'aut_" + std::to_string(i) + "' amount: 1 seconds: 600 }"); };
  for (int i = 0; i < 100; ++i) REQUIRE(accepted(another(i)));
  const auto d = another(100);
  CHECK(refused(d) == v1::VALIDATION_FAILED);
  CHECK(blamed(d.rejection) == std::vector<std::string>{""});
  CHECK(w.state().held() == 100);
  w.when("void_funds { authorization_id: 'aut_7' }");
  CHECK(accepted(another(100)));
  CHECK(refused(another(101)) == v1::VALIDATION_FAILED);
  w.pass(600s);
  CHECK(accepted(another(101)));  // those whose time is over don't count
  CHECK(w.state().authorizations_size() == 1);
}

TEST_CASE("all of an authorization is captured, and the money is gone") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(set_60_aside);
  w.pass(1s);
  const auto d = w.when("capture { authorization_id: 'aut_1' transaction_id: 'txn_1' }");
  CHECK(accepted(d));
  CHECK(events_of(d) ==
        R"(captured { authorization_id: "aut_1" amount: 60 balance: 40 transaction_id: "txn_1" at_ms: 1001000 })");
  CHECK(to_text(d.outcome) ==
        R"(wallet { transaction_id: "txn_1" balance: 40 at_ms: 1001000 authorization_id: "aut_1" amount: 60 })");
  CHECK(w.state().balance() == 40);
  CHECK(w.state().held() == 0);
  CHECK(w.state().updated_at_ms() == 1'001'000);
  CHECK_FALSE(w.deadline());
}

TEST_CASE("a part of an authorization is captured, and the rest is free again") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(set_60_aside);
  w.when("authorize { authorization_id: 'aut_2' amount: 10 seconds: 600 }");
  const auto d = w.when("capture { authorization_id: 'aut_1' amount: 25 transaction_id: 'txn_1' }");
  CHECK(events_of(d) ==
        R"(captured { authorization_id: "aut_1" amount: 25 balance: 75 transaction_id: "txn_1" at_ms: 1000000 released: 35 })");
  CHECK(d.outcome.wallet().amount() == 25);
  CHECK(d.outcome.wallet().held() == 10);
  CHECK(w.state().held() == 10);
  CHECK(refused(w.when("use { amount: 66 }")) == v1::INSUFFICIENT_BALANCE);
  CHECK(accepted(w.when("use { amount: 65 }")));
}

TEST_CASE("no more is captured than was set aside, and nothing below nothing") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(set_60_aside);
  for (const auto* amount : {"61", "-1", "9223372036854775807", "-9223372036854775808"}) {
    const auto d = w.when(std::string{"capture { authorization_id: 'aut_1' amount: "} + amount + " }");
    CHECK(refused(d) == v1::VALIDATION_FAILED);
    CHECK(blamed(d.rejection) == std::vector<std::string>{"amount"});
  }
  CHECK(w.state().held() == 60);
  CHECK(accepted(w.when("capture { authorization_id: 'aut_1' amount: 60 }")));
}

TEST_CASE("an authorization that is voided gives back all of it") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(set_60_aside);
  const auto d = w.when("void_funds { authorization_id: 'aut_1' }");
  CHECK(events_of(d) == R"(voided { authorization_id: "aut_1" at_ms: 1000000 amount: 60 })");
  CHECK(to_text(d.outcome) == R"(wallet { balance: 100 at_ms: 1000000 authorization_id: "aut_1" amount: 60 })");
  CHECK(w.state().held() == 0);
  CHECK_FALSE(w.deadline());
  CHECK(accepted(w.when("use { amount: 100 }")));
}

TEST_CASE("what was captured, voided or never there is neither captured nor voided") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(set_60_aside);
  w.when("authorize { authorization_id: 'aut_2' amount: 10 seconds: 600 }");
  w.when("capture { authorization_id: 'aut_1' amount: 1 }");
  w.when("void_funds { authorization_id: 'aut_2' }");
  for (const std::string id : {"aut_1", "aut_2", "aut_3", ""}) {
    CHECK(refused(w.when("capture { authorization_id: '" + id + "' }")) == v1::AUTHORIZATION_ENDED);
    CHECK(refused(w.when("void_funds { authorization_id: '" + id + "' }")) == v1::AUTHORIZATION_ENDED);
  }
  CHECK(w.state().balance() == 99);
}

TEST_CASE("an authorization ends by itself when its time is over") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(set_60_aside);
  w.when("authorize { authorization_id: 'aut_2' amount: 20 seconds: 300 }");
  w.when("authorize { authorization_id: 'aut_0' amount: 5 seconds: 600 }");
  CHECK(w.deadline() == w.now() + 300s);
  w.pass(300s - 1ms);
  CHECK(accepted_unchanged(w.when_woken()));
  w.pass(1ms);
  CHECK(events_of(w.when_woken()) == R"(voided { authorization_id: "aut_2" expired: true at_ms: 1300000 amount: 20 })");
  CHECK(w.state().held() == 65);
  CHECK(w.deadline() == w.now() + 300s);
  CHECK(accepted_unchanged(w.when_woken()));
  w.pass(300s);
  const auto both = w.when_woken();
  CHECK(events_of(both) == R"(voided { authorization_id: "aut_0" expired: true at_ms: 1600000 amount: 5 } | )"
                           R"(voided { authorization_id: "aut_1" expired: true at_ms: 1600000 amount: 60 })");
  CHECK(both.outcome.wallet().held() == 0);
  CHECK(w.state().held() == 0);
  CHECK_FALSE(w.deadline());
  CHECK(accepted_unchanged(w.when_woken()));
}

TEST_CASE("an authorization whose time is over is neither captured nor voided, though nobody has woken the wallet yet") {
  auto w = anns_wallet().happened(ann_has_100);
  w.when(set_60_aside);
  w.pass(600s - 1ms);
  CHECK(accepted_unchanged(w.when(set_60_aside)));
  w.pass(1ms);
  CHECK(refused(w.when("capture { authorization_id: 'aut_1' }")) == v1::AUTHORIZATION_ENDED);
  CHECK(refused(w.when("void_funds { authorization_id: 'aut_1' }")) == v1::AUTHORIZATION_ENDED);
  CHECK(w.state().balance() == 100);
}

TEST_CASE("money whose time of being set aside is over is used at once, and its end is recorded first") {
  const auto over = R"(voided { authorization_id: "aut_1" expired: true at_ms: 1600000 amount: 60 } | )";
  const auto after = [&](const std::string& command) {
    auto w = anns_wallet().happened(ann_has_100);
    w.when(set_60_aside);
    w.pass(600s);
    const auto d = w.when(command);
    INFO(command);
    CHECK(events_of(d).starts_with(over));
    CHECK(d.events.size() == 2);
    CHECK(d.outcome.wallet().held() == w.state().held());
    CHECK(d.outcome.wallet().balance() == w.state().balance());
    return w;
  };
  CHECK(after("use { amount: 100 }").state().balance() == 0);
  CHECK(after("debit { payment_id: 'pay_1' amount: 100 }").state().balance() == 0);
  CHECK(after("debit { payment_id: 'pay_1' amount: 101 }").state().balance() == 100);
  CHECK(after("charge { amount: 1 }").state().held() == 0);
  CHECK(after("authorize { authorization_id: 'aut_2' amount: 100 seconds: 1 }").state().held() == 100);
  CHECK(after("authorize { authorization_id: 'aut_1' amount: 100 seconds: 1 }").state().held() == 100);
}

TEST_CASE("a wallet where nothing is set aside has no deadline, owes nobody anything, and refuses an empty command") {
  auto w = anns_wallet().happened(ann_has_100);
  CHECK_FALSE(w.deadline());
  CHECK(accepted_unchanged(w.when_woken()));
  CHECK(w.reaction().empty());
  CHECK(refused(w.when("")) == v1::INVALID_REQUEST);
}

}  // namespace usher::actors::test
