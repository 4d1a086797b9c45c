// What the auditor makes of money: wallets, each by itself, and payments, of which two partitions tell.

#include <catch2/catch.hpp>

#include "projections/auditor.hpp"
#include "tests/auditor.hpp"

namespace usher::tests {

using projections::fault_kind;

TEST_CASE("a wallet whose balance is not what was moved is found") {
  story s;
  s.write(s.charged(ann, 5 * price));
  const auto spoil = [](events e, std::int64_t balance) {
    auto& w = *e[0].mutable_wallet();
    if (w.has_charged()) w.mutable_charged()->set_balance(balance);
    if (w.has_used()) w.mutable_used()->set_balance(balance);
    if (w.has_captured()) w.mutable_captured()->set_balance(balance);
    return e;
  };
  SECTION("a charge that counts for too much") { s.write(spoil(s.charged(ann, 1), 5 * price + 2)); }
  SECTION("a use that counts for nothing") { s.write(spoil(s.used(ann, 1), 5 * price)); }
  SECTION("a balance below zero") { s.write(s.used(ann, 6 * price)); }
  SECTION("a negative amount") { s.write(s.charged(ann, -1)); }
  SECTION("a capture that takes nothing") { s.write(s.authorized(ann, "a", 60)).write(spoil(s.captured(ann, "a", 60), 5 * price)); }
  SECTION("a use of what is set aside") { s.write(s.authorized(ann, "a", 4 * price)).write(s.used(ann, 2 * price)); }
  SECTION("more set aside than there is") { s.write(s.authorized(ann, "a", 4 * price)).write(s.authorized(ann, "b", 2 * price)); }
  SECTION("a debit that counts for nothing") {
    s.write(s.placed(one, ann, {"A-1"})).write(s.started(one));
    auto e = s.debited(one);
    e[0].mutable_wallet()->mutable_debited()->set_balance(5 * price);
    s.write(e);
  }
  SECTION("a credit that counts for nothing") {
    s.bought(one, ann, {"A-1"}).write(s.refunding(one));
    auto e = s.credited(one);
    e[0].mutable_wallet()->mutable_credited()->set_balance(14 * price);
    s.write(e);
  }
  check_newest(s, "ledger_imbalance");
}

TEST_CASE("money that is set aside is taken or set free once, and never more than it was") {
  story s;
  s.write(s.charged(ann, 100)).write(s.authorized(ann, "a", 50));
  SECTION("more taken") { s.write(s.captured(ann, "a", 51)); }
  SECTION("taken without being set aside") { s.write(s.captured(ann, "b", 1)); }
  SECTION("taken twice") { s.write(s.captured(ann, "a", 10)).write(s.captured(ann, "a", 10)); }
  SECTION("set free twice") { s.write(s.voided(ann, "a")).write(s.voided(ann, "a")); }
  SECTION("set aside twice") { s.write(s.authorized(ann, "a", 1)); }
  check_newest(s, "payment_disagrees");
}

TEST_CASE("whoever paid and has neither a seat nor the money back is found") {
  story s;
  s.write(s.charged(ann, 5 * price)).write(s.placed(one, ann, {"A-1"}));
  SECTION("for a payment that was declined") {
    s.write(s.started(one)).write(s.debited(one)).write(s.declined(one)).write(s.expired(one));
    CHECK(found(s) == names{"paid_without_seat at " + to_token({s.log.back().partition(), s.log.back().index() - 1})});
  }
  SECTION("for a hold that ended during the payment") {
    s.write(s.started(one)).write(s.debited(one)).write(s.expired(one));
    CHECK(found(s) == names{"paid_without_seat at " + s.here(), "reservation_disagrees at " + s.here()});
  }
  SECTION("for a hold that was given up during the payment") {
    s.write(s.started(one)).write(s.debited(one)).write(s.gave_up(one));
    CHECK(found(s) == names{"paid_without_seat at " + s.here(), "reservation_disagrees at " + s.here()});
  }
  SECTION("without any payment") {
    s.started(one);  // told, and never written
    s.write(s.debited(one));
    check_newest(s, "paid_without_seat");
  }
  SECTION("for a reservation that was cancelled") {
    s.write(s.started(one)).write(s.debited(one)).write(s.confirmed(one)).write(s.refunding(one)).write(s.cancelled(one));
    check_newest(s, "paid_without_seat");
  }
}

TEST_CASE("a fault between two partitions is no fault any more once it is mended") {
  story s;
  s.write(s.charged(ann, 5 * price)).write(s.placed(one, ann, {"A-1"})).write(s.started(one)).write(s.debited(one)).write(s.declined(one));
  auditor a;
  take_all(a, s.log);
  CHECK(a.count(fault_kind::paid_without_seat) == 1);
  s.write(s.credited(one));
  a.take(s.log.back());
  CHECK(a.count(fault_kind::paid_without_seat) == 0);
  a.finish();
  CHECK(a.count() == 0);
  CHECK(a.take_faults().size() == 1);
}

TEST_CASE("a seat that nobody paid for is found") {
  story s;
  s.write(s.charged(ann, 5 * price)).write(s.placed(one, ann, {"A-1"})).write(s.started(one));
  SECTION("nothing was asked of the wallet") { s.write(s.confirmed(one)); }
  SECTION("the wallet refused") { s.write(s.refused(one)).write(s.confirmed(one)); }
  SECTION("the refund left the seats as they were") {
    s.write(s.debited(one)).write(s.confirmed(one));
    s.write(s.credited(one));
    CHECK(found(s).size() == 1);
    CHECK(found(s).front().starts_with("seated_without_payment"));
    return;
  }
  check_newest(s, "seated_without_payment");
}

TEST_CASE("a payment whose two sides tell different stories is found") {
  story s;
  s.write(s.charged(ann, 5 * price)).write(s.charged(bob, 5 * price)).write(s.placed(one, ann, {"A-1"}));
  auto payment = s.started(one);
  // Whichever side comes second shows it.
  const auto only = [&](const std::string& kind) {
    for (const auto& log : {s.log, by_partition(s.log), shuffled(s.log, 1)}) {
      const auto all = found_in(log);
      REQUIRE(all.size() == 1);
      CHECK(all.front().starts_with(kind + " at "));
    }
  };
  SECTION("taken twice") {
    s.write(payment).write(s.debited(one)).write(s.debited(one)).write(s.confirmed(one));
    only("payment_disagrees");
  }
  SECTION("taken after it was refused") {
    s.write(payment).write(s.refused(one)).write(s.debited(one)).write(s.confirmed(one));
    only("payment_disagrees");
  }
  SECTION("given back without having been taken") {
    s.write(payment).write(s.credited(one));
    CHECK(found(s).size() == 2);  // by the wallet itself, and by the reservation, which still waits
  }
  SECTION("another amount") {
    auto e = s.debited(one);
    e[0].mutable_wallet()->mutable_debited()->set_amount(1);
    e[0].mutable_wallet()->mutable_debited()->set_balance(5 * price - 1);
    s.write(payment).write(e).write(s.confirmed(one));
    only("payment_disagrees");
  }
  SECTION("from somebody else's wallet") {
    auto e = s.debited(one);
    e[0].mutable_stream()->set_group(bob);
    s.write(payment).write(s.confirmed(one));
    auto& r = s.log.emplace_back();
    r.set_partition(partition_of(bob));
    r.set_index(2);
    *r.add_events() = e[0];
    only("payment_disagrees");
  }
  SECTION("by the wallet, though a provider was asked") {
    payment[0].mutable_reservation()->mutable_payment_started()->set_provider("bank");
    s.write(payment).write(s.debited(one));
    only("payment_disagrees");
  }
}

TEST_CASE("what two partitions tell is judged only when nothing that explains it can be on its way") {
  story s;
  s.write(s.placed(one, ann, {"A-1"})).write(s.charged(ann, 5 * price)).write(s.started(one)).write(s.debited(one)).write(s.confirmed(one));
  s.write(s.refunding(one)).write(s.credited(one)).write(s.cancelled(one));
  auditor a;
  const auto settled_after = [&](std::size_t from, std::size_t to, bool of_the_wallet) {
    for (auto i = from; i != to; ++i)
      if ((s.log[i].partition() == partition_of(ann)) == of_the_wallet) a.take(s.log[i]);
    a.settle();
    CHECK(a.count() == 0);
  };
  REQUIRE(s.log.size() == 9);
  settled_after(0, 6, false);  // up to the confirmation, while the wallet's records are on their way
  settled_after(0, 6, true);
  settled_after(6, 9, false);  // up to the end
  settled_after(6, 9, true);
  a.finish();
  CHECK(a.take_faults().empty());
}

}  // namespace usher::tests
