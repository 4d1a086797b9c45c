// One user's money: a balance, and the verdict on every payment.

#include "actors/wallet.hpp"

#include <algorithm>

#include "actors/rules.hpp"

namespace usher::actors {
namespace {

using wallet_decision = decision<v1::WalletEvent>;

constexpr std::int64_t amount_max = 1'000'000'000'000;

/// The smaller of a limit and what any amount may be.
std::int64_t bound(std::int64_t limit) { return limit == 0 ? amount_max : std::min(limit, amount_max); }

wallet_decision bad_amount(std::int64_t limit) {
  return invalid<v1::WalletEvent>("amount", "The amount must be a whole number from 1 to " + std::to_string(bound(limit)) + ".");
}
wallet_decision bad_payment() { return invalid<v1::WalletEvent>("amount", "The amount of a payment can't be negative."); }
wallet_decision too_rich() { return invalid<v1::WalletEvent>("amount", "The balance would become too large."); }

bool is_amount(std::int64_t amount, std::int64_t limit) { return amount >= 1 && amount <= bound(limit); }

std::optional<std::int64_t> sum(std::int64_t a, std::int64_t b) {
  std::int64_t out{};
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

v1::Outcome outcome_of(std::int64_t balance, std::int64_t at_ms) {
  v1::Outcome out;
  out.mutable_wallet()->set_balance(balance);
  out.mutable_wallet()->set_at_ms(at_ms);
  return out;
}

v1::Outcome with_transaction(v1::Outcome out, const std::string& transaction_id) {
  out.mutable_wallet()->set_transaction_id(transaction_id);
  return out;
}

v1::Outcome with_verdict(v1::Outcome out, v1::Verdict verdict) {
  out.mutable_wallet()->set_verdict(verdict);
  return out;
}

v1::Verdict verdict_on(const v1::WalletState& s, const std::string& payment_id) {
  const auto known = s.payments().find(payment_id);
  return known == s.payments().end() ? v1::NO_VERDICT : known->second;
}

wallet_decision charge(const v1::WalletState& s, const v1::ChargeWallet& c, std::int64_t now_ms) {
  if (!is_amount(c.amount(), c.amount_max())) return bad_amount(c.amount_max());
  const auto balance = sum(s.balance(), c.amount());
  if (!balance || (c.balance_max() != 0 && *balance > c.balance_max())) return too_rich();
  v1::WalletEvent e;
  auto* charged = e.mutable_charged();
  charged->set_amount(c.amount());
  charged->set_balance(*balance);
  charged->set_transaction_id(c.transaction_id());
  charged->set_at_ms(now_ms);
  return wallet_decision::accepted(std::move(e), with_transaction(outcome_of(*balance, now_ms), c.transaction_id()));
}

wallet_decision use(const v1::WalletState& s, const v1::UseWallet& c, std::int64_t now_ms) {
  if (!is_amount(c.amount(), c.amount_max())) return bad_amount(c.amount_max());
  if (c.amount() > s.balance())
    return wallet_decision::rejected(v1::INSUFFICIENT_BALANCE, "The balance is " + std::to_string(s.balance()) + ", which is " +
                                                                   std::to_string(c.amount() - s.balance()) + " too little.");
  const auto balance = s.balance() - c.amount();
  v1::WalletEvent e;
  auto* used = e.mutable_used();
  used->set_amount(c.amount());
  used->set_balance(balance);
  used->set_transaction_id(c.transaction_id());
  used->set_at_ms(now_ms);
  return wallet_decision::accepted(std::move(e), with_transaction(outcome_of(balance, now_ms), c.transaction_id()));
}

wallet_decision refuse(const v1::WalletState& s, const v1::DebitWallet& c, std::int64_t now_ms) {
  v1::WalletEvent e;
  auto* refused = e.mutable_debit_refused();
  refused->set_amount(c.amount());
  refused->set_payment_id(c.payment_id());
  refused->set_reservation_id(c.reservation_id());
  refused->set_at_ms(now_ms);
  return wallet_decision::accepted(std::move(e), with_verdict(outcome_of(s.balance(), now_ms), v1::REFUSED));
}

wallet_decision debit(const v1::WalletState& s, const v1::DebitWallet& c, std::int64_t now_ms) {
  switch (const auto known = verdict_on(s, c.payment_id())) {
    case v1::DEBITED:
    case v1::REFUNDED:  // the debit did happen, whatever came later
      return unchanged<v1::WalletEvent>(with_verdict(outcome_of(s.balance(), s.updated_at_ms()), v1::DEBITED));
    case v1::REFUSED: return unchanged<v1::WalletEvent>(with_verdict(outcome_of(s.balance(), s.updated_at_ms()), known));
    case v1::NO_VERDICT:
    case v1::Verdict_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Verdict_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  if (c.amount() < 0) return bad_payment();
  if (c.amount() > s.balance()) return refuse(s, c, now_ms);
  const auto balance = s.balance() - c.amount();
  v1::WalletEvent e;
  auto* debited = e.mutable_debited();
  debited->set_amount(c.amount());
  debited->set_balance(balance);
  debited->set_payment_id(c.payment_id());
  debited->set_reservation_id(c.reservation_id());
  debited->set_at_ms(now_ms);
  return wallet_decision::accepted(std::move(e), with_verdict(outcome_of(balance, now_ms), v1::DEBITED));
}

wallet_decision credit(const v1::WalletState& s, const v1::CreditWallet& c, std::int64_t now_ms) {
  const auto known = verdict_on(s, c.payment_id());
  if (known == v1::REFUNDED)
    return unchanged<v1::WalletEvent>(with_verdict(outcome_of(s.balance(), s.updated_at_ms()), known));
  if (c.amount() < 0) return bad_payment();
  const auto balance = sum(s.balance(), c.amount());
  if (!balance) return too_rich();
  if (known != v1::DEBITED)
    return wallet_decision::rejected(v1::NOT_FOUND, "Nothing was paid from this wallet under " + c.payment_id() + ".");
  v1::WalletEvent e;
  auto* credited = e.mutable_credited();
  credited->set_amount(c.amount());
  credited->set_balance(*balance);
  credited->set_payment_id(c.payment_id());
  credited->set_reservation_id(c.reservation_id());
  credited->set_at_ms(now_ms);
  return wallet_decision::accepted(std::move(e), with_verdict(outcome_of(*balance, now_ms), v1::REFUNDED));
}

void settle(v1::WalletState& s, const std::string& payment_id, v1::Verdict verdict) {
  (*s.mutable_payments())[payment_id] = verdict;
}

template <class Moved>
void move(v1::WalletState& s, const Moved& moved) {
  s.set_balance(moved.balance());
  s.set_updated_at_ms(moved.at_ms());
}

}  // namespace

decision<wallet::event> wallet::decide(const v1::EntityRef&, const state& s, const command& c, const context& ctx) {
  const auto now_ms = to_ms(ctx.now);
  switch (c.kind_case()) {
    case command::kCharge: return charge(s, c.charge(), now_ms);
    case command::kUse: return use(s, c.use(), now_ms);
    case command::kDebit: return debit(s, c.debit(), now_ms);
    case command::kCredit: return credit(s, c.credit(), now_ms);
    case command::kAuthorize:
    case command::kCapture:
    case command::kVoidFunds:
    case command::kWake:
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

void wallet::evolve(state& s, const event& e) {
  switch (e.kind_case()) {
    case event::kCharged: return move(s, e.charged());
    case event::kUsed: return move(s, e.used());
    case event::kDebited:
      move(s, e.debited());
      return settle(s, e.debited().payment_id(), v1::DEBITED);
    case event::kDebitRefused: return settle(s, e.debit_refused().payment_id(), v1::REFUSED);
    case event::kCredited:
      move(s, e.credited());
      return settle(s, e.credited().payment_id(), v1::REFUNDED);
    case event::kAuthorized:
    case event::kCaptured:
    case event::kVoided:
    case event::KIND_NOT_SET: return;
  }
}

std::optional<time_point> wallet::deadline(const state&) { return std::nullopt; }
std::optional<wallet::command> wallet::wake() { return std::nullopt; }
std::vector<errand> wallet::react(const v1::EntityRef&, const state&) { return {}; }

}  // namespace usher::actors
