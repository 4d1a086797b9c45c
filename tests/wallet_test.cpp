// Money is neither made nor lost, and a payment is made once however often it is asked for.

#include "actors/wallet.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

const std::string ann_has_100 = "charged { amount: 100 balance: 100 at_ms: 5 }";
const std::string pay_60 = "debit { payment_id: 'pay_1' reservation_id: 'rsv_1' show_id: 'shw_x' amount: 60 }";
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

TEST_CASE("a wallet has no deadline and owes nobody anything, and an empty command is refused") {
  auto w = anns_wallet().happened(ann_has_100);
  CHECK_FALSE(w.deadline());
  CHECK_FALSE(wallet::wake());
  CHECK(w.reaction().empty());
  CHECK(refused(w.when("")) == v1::INVALID_REQUEST);
}

}  // namespace usher::actors::test
