#include "actors/process.hpp"

namespace usher::actors {

std::optional<v1::Command> heard(const v1::Command& sent, const answer& a) {
  if (a.rejection || !sent.has_wallet()) return std::nullopt;
  const auto& wallet = sent.wallet();
  v1::Command next;
  if (wallet.has_debit()) {
    auto* settle = next.mutable_reservation()->mutable_settle_payment();
    settle->set_payment_id(wallet.debit().payment_id());
    settle->set_debited(a.outcome->wallet().verdict() == v1::DEBITED);
    return next;
  }
  if (wallet.has_credit()) {
    next.mutable_reservation()->mutable_settle_refund()->set_payment_id(wallet.credit().payment_id());
    return next;
  }
  return std::nullopt;
}

}  // namespace usher::actors
