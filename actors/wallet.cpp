// One user's money: a balance, what of it is set aside, and the verdict on every payment.

#include "actors/wallet.hpp"

#include <algorithm>

#include "actors/rules.hpp"
#include "events/ledger.hpp"

namespace usher::actors {
namespace {

using wallet_decision = decision<v1::WalletEvent>;

constexpr std::int64_t amount_max = 1'000'000'000'000;
constexpr std::uint32_t seconds_max = 7 * 24 * 60 * 60;  // of an authorization
constexpr int authorizations_max = 100;                  // open at the same time

/// A wallet at a moment: an authorization that is due holds nothing any more, also before its end is recorded.
struct purse {
  const v1::WalletState& wallet;
  std::int64_t held;
  int authorizations;
  std::int64_t now_ms;

  std::int64_t balance() const { return wallet.balance(); }
  std::int64_t available() const { return wallet.balance() - held; }
  const v1::Authorization* open(const std::string& authorization_id) const {
    const auto known = wallet.authorizations().find(authorization_id);
    return known == wallet.authorizations().end() || known->second.expires_at_ms() <= now_ms ? nullptr : &known->second;
  }
};

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

v1::Outcome outcome_of(std::int64_t balance, std::int64_t held, std::int64_t at_ms) {
  v1::Outcome out;
  out.mutable_wallet()->set_balance(balance);
  out.mutable_wallet()->set_held(held);
  out.mutable_wallet()->set_at_ms(at_ms);
  return out;
}

/// Of what changed nothing.
v1::Outcome outcome_of(const purse& p) { return outcome_of(p.balance(), p.held, p.wallet.updated_at_ms()); }

v1::Outcome with_transaction(v1::Outcome out, const std::string& transaction_id) {
  out.mutable_wallet()->set_transaction_id(transaction_id);
  return out;
}

v1::Outcome with_verdict(v1::Outcome out, v1::Verdict verdict) {
  out.mutable_wallet()->set_verdict(verdict);
  return out;
}

v1::Outcome with_authorization(v1::Outcome out, const std::string& authorization_id, std::int64_t amount) {
  out.mutable_wallet()->set_authorization_id(authorization_id);
  out.mutable_wallet()->set_amount(amount);
  return out;
}

v1::Outcome with_expiry(v1::Outcome out, std::int64_t expires_at_ms) {
  out.mutable_wallet()->set_expires_at_ms(expires_at_ms);
  return out;
}

v1::Verdict verdict_on(const purse& p, const std::string& payment_id) {
  const auto known = p.wallet.payments().find(payment_id);
  return known == p.wallet.payments().end() ? v1::NO_VERDICT : known->second;
}

wallet_decision too_little(const purse& p, std::int64_t amount) {
  std::string what = "The balance is " + std::to_string(p.balance());
  if (p.held != 0) what += " and " + std::to_string(p.held) + " of it is set aside";
  return wallet_decision::rejected(v1::INSUFFICIENT_BALANCE,
                                   what + ", which is " + std::to_string(amount - p.available()) + " too little.");
}

wallet_decision ended(const std::string& authorization_id) {
  return wallet_decision::rejected(v1::AUTHORIZATION_ENDED,
                                   authorization_id + " isn't open: it was captured or voided, its time is over, or it never was.");
}

v1::WalletEvent voided(const std::string& authorization_id, std::int64_t amount, bool expired, std::int64_t now_ms) {
  v1::WalletEvent e;
  auto* v = e.mutable_voided();
  v->set_authorization_id(authorization_id);
  v->set_amount(amount);
  v->set_expired(expired);
  v->set_at_ms(now_ms);
  return e;
}

/// The ends of the authorizations that are due, in the order of their times.
std::vector<v1::WalletEvent> ends_due(const v1::WalletState& s, std::int64_t now_ms) {
  std::vector<std::pair<std::int64_t, std::string>> due;
  for (const auto& [id, a] : s.authorizations())
    if (a.expires_at_ms() <= now_ms) due.emplace_back(a.expires_at_ms(), id);
  std::sort(due.begin(), due.end());  // a map of Protobuf's has no order that would be the same again
  std::vector<v1::WalletEvent> out;
  for (const auto& [at_ms, id] : due) out.push_back(voided(id, s.authorizations().at(id).amount(), true, now_ms));
  return out;
}

purse purse_after(const v1::WalletState& s, const std::vector<v1::WalletEvent>& ends, std::int64_t now_ms) {
  purse p{s, s.held(), static_cast<int>(s.authorizations_size() - ends.size()), now_ms};
  for (const auto& e : ends) p.held -= e.voided().amount();
  return p;
}

wallet_decision charge(const purse& p, const v1::ChargeWallet& c) {
  if (!is_amount(c.amount(), c.amount_max())) return bad_amount(c.amount_max());
  const auto balance = sum(p.balance(), c.amount());
  if (!balance || (c.balance_max() != 0 && *balance > c.balance_max())) return too_rich();
  v1::WalletEvent e;
  auto* charged = e.mutable_charged();
  charged->set_amount(c.amount());
  charged->set_balance(*balance);
  charged->set_transaction_id(c.transaction_id());
  charged->set_at_ms(p.now_ms);
  return wallet_decision::accepted(std::move(e), with_transaction(outcome_of(*balance, p.held, p.now_ms), c.transaction_id()));
}

wallet_decision use(const purse& p, const v1::UseWallet& c) {
  if (!is_amount(c.amount(), c.amount_max())) return bad_amount(c.amount_max());
  if (c.amount() > p.available()) return too_little(p, c.amount());
  const auto balance = p.balance() - c.amount();
  v1::WalletEvent e;
  auto* used = e.mutable_used();
  used->set_amount(c.amount());
  used->set_balance(balance);
  used->set_transaction_id(c.transaction_id());
  used->set_at_ms(p.now_ms);
  return wallet_decision::accepted(std::move(e), with_transaction(outcome_of(balance, p.held, p.now_ms), c.transaction_id()));
}

wallet_decision authorize(const purse& p, const v1::AuthorizeFunds& c) {
  if (const auto* open = p.open(c.authorization_id())) {
    if (open->amount() != c.amount())
      return wallet_decision::rejected(v1::ALREADY_EXISTS, c.authorization_id() + " is open with another amount.");
    return unchanged<v1::WalletEvent>(
        with_expiry(with_authorization(outcome_of(p), c.authorization_id(), open->amount()), open->expires_at_ms()));
  }
  if (!is_amount(c.amount(), c.amount_max())) return bad_amount(c.amount_max());
  if (c.seconds() < 1 || c.seconds() > seconds_max)
    return invalid<v1::WalletEvent>("seconds", "An authorization lasts 1 to " + std::to_string(seconds_max) + " seconds.");
  if (p.authorizations >= authorizations_max)
    return invalid<v1::WalletEvent>("", std::to_string(authorizations_max) +
                                            " authorizations are open, and no wallet may have more: capture or void one first.");
  if (c.amount() > p.available()) return too_little(p, c.amount());
  const auto expires_at_ms = p.now_ms + std::int64_t{c.seconds()} * 1000;
  v1::WalletEvent e;
  auto* authorized = e.mutable_authorized();
  authorized->set_authorization_id(c.authorization_id());
  authorized->set_amount(c.amount());
  authorized->set_expires_at_ms(expires_at_ms);
  authorized->set_at_ms(p.now_ms);
  return wallet_decision::accepted(
      std::move(e),
      with_expiry(with_authorization(outcome_of(p.balance(), p.held + c.amount(), p.now_ms), c.authorization_id(), c.amount()), expires_at_ms));
}

wallet_decision capture(const purse& p, const v1::CaptureFunds& c) {
  if (c.amount() < 0) return bad_amount(0);
  const auto* open = p.open(c.authorization_id());
  if (!open) return ended(c.authorization_id());
  if (c.amount() > open->amount())
    return invalid<v1::WalletEvent>("amount", "No more than " + std::to_string(open->amount()) + " is set aside.");
  const auto amount = c.amount() == 0 ? open->amount() : c.amount();
  const auto balance = p.balance() - amount;
  v1::WalletEvent e;
  auto* captured = e.mutable_captured();
  captured->set_authorization_id(c.authorization_id());
  captured->set_amount(amount);
  captured->set_balance(balance);
  captured->set_transaction_id(c.transaction_id());
  captured->set_at_ms(p.now_ms);
  captured->set_released(open->amount() - amount);
  auto out = with_authorization(outcome_of(balance, p.held - open->amount(), p.now_ms), c.authorization_id(), amount);
  return wallet_decision::accepted(std::move(e), with_transaction(std::move(out), c.transaction_id()));
}

wallet_decision void_funds(const purse& p, const v1::VoidFunds& c) {
  const auto* open = p.open(c.authorization_id());
  if (!open) return ended(c.authorization_id());
  return wallet_decision::accepted(
      voided(c.authorization_id(), open->amount(), false, p.now_ms),
      with_authorization(outcome_of(p.balance(), p.held - open->amount(), p.now_ms), c.authorization_id(), open->amount()));
}

wallet_decision refuse(const purse& p, const v1::DebitWallet& c) {
  v1::WalletEvent e;
  auto* refused = e.mutable_debit_refused();
  refused->set_amount(c.amount());
  refused->set_payment_id(c.payment_id());
  refused->set_reservation_id(c.reservation_id());
  refused->set_at_ms(p.now_ms);
  return wallet_decision::accepted(std::move(e), with_verdict(outcome_of(p.balance(), p.held, p.now_ms), v1::REFUSED));
}

wallet_decision debit(const purse& p, const v1::DebitWallet& c) {
  switch (const auto known = verdict_on(p, c.payment_id())) {
    case v1::DEBITED:
    case v1::REFUNDED:  // the debit did happen, whatever came later
      return unchanged<v1::WalletEvent>(with_verdict(outcome_of(p), v1::DEBITED));
    case v1::REFUSED: return unchanged<v1::WalletEvent>(with_verdict(outcome_of(p), known));
    case v1::NO_VERDICT:
    case v1::Verdict_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Verdict_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  if (c.amount() < 0) return bad_payment();
  if (c.amount() > p.available()) return refuse(p, c);
  const auto balance = p.balance() - c.amount();
  v1::WalletEvent e;
  auto* debited = e.mutable_debited();
  debited->set_amount(c.amount());
  debited->set_balance(balance);
  debited->set_payment_id(c.payment_id());
  debited->set_reservation_id(c.reservation_id());
  debited->set_at_ms(p.now_ms);
  return wallet_decision::accepted(std::move(e), with_verdict(outcome_of(balance, p.held, p.now_ms), v1::DEBITED));
}

wallet_decision credit(const purse& p, const v1::CreditWallet& c) {
  const auto known = verdict_on(p, c.payment_id());
  if (known == v1::REFUNDED) return unchanged<v1::WalletEvent>(with_verdict(outcome_of(p), known));
  if (c.amount() < 0) return bad_payment();
  const auto balance = sum(p.balance(), c.amount());
  if (!balance) return too_rich();
  if (known != v1::DEBITED)
    return wallet_decision::rejected(v1::NOT_FOUND, "Nothing was paid from this wallet under " + c.payment_id() + ".");
  v1::WalletEvent e;
  auto* credited = e.mutable_credited();
  credited->set_amount(c.amount());
  credited->set_balance(*balance);
  credited->set_payment_id(c.payment_id());
  credited->set_reservation_id(c.reservation_id());
  credited->set_at_ms(p.now_ms);
  return wallet_decision::accepted(std::move(e), with_verdict(outcome_of(*balance, p.held, p.now_ms), v1::REFUNDED));
}

wallet_decision decide_now(const purse& p, const v1::WalletCommand& c) {
  switch (c.kind_case()) {
    case v1::WalletCommand::kCharge: return charge(p, c.charge());
    case v1::WalletCommand::kUse: return use(p, c.use());
    case v1::WalletCommand::kDebit: return debit(p, c.debit());
    case v1::WalletCommand::kCredit: return credit(p, c.credit());
    case v1::WalletCommand::kAuthorize: return authorize(p, c.authorize());
    case v1::WalletCommand::kCapture: return capture(p, c.capture());
    case v1::WalletCommand::kVoidFunds: return void_funds(p, c.void_funds());
    case v1::WalletCommand::kWake: return unchanged<v1::WalletEvent>(outcome_of(p));
    case v1::WalletCommand::KIND_NOT_SET: break;
  }
  return no_command<v1::WalletEvent>();
}

void settle(v1::WalletState& s, const std::string& payment_id, v1::Verdict verdict) {
  (*s.mutable_payments())[payment_id] = verdict;
}

void set_aside(v1::WalletState& s, const v1::FundsAuthorized& authorized) {
  auto& a = (*s.mutable_authorizations())[authorized.authorization_id()];
  a.set_amount(authorized.amount());
  a.set_expires_at_ms(authorized.expires_at_ms());
}

template <class Moved>
void move(v1::WalletState& s, const Moved& moved) {
  s.set_balance(moved.balance());
  s.set_updated_at_ms(moved.at_ms());
}

}  // namespace

/// What ended by its time is recorded with the first decision that comes after it, so that nothing rests on money whose end of being
/// set aside is not in the log.
decision<wallet::event> wallet::decide(const v1::EntityRef&, const state& s, const command& c, const context& ctx) {
  const auto now_ms = to_ms(ctx.now);
  auto ends = ends_due(s, now_ms);
  const auto p = purse_after(s, ends, now_ms);
  if (c.has_wake() && !ends.empty()) return wallet_decision::accepted(std::move(ends), outcome_of(p));
  auto d = decide_now(p, c);
  if (!d.events.empty()) d.events.insert(d.events.begin(), ends.begin(), ends.end());
  return d;
}

void wallet::evolve(state& s, const event& e) {
  s.set_held(postings::plus(s.held(), postings_of(e).of(account::held)));
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
    case event::kAuthorized: return set_aside(s, e.authorized());
    case event::kCaptured:
      move(s, e.captured());
      s.mutable_authorizations()->erase(e.captured().authorization_id());
      return;
    case event::kVoided: s.mutable_authorizations()->erase(e.voided().authorization_id()); return;
    case event::KIND_NOT_SET: return;
  }
}

std::optional<time_point> wallet::deadline(const state& s) {
  std::optional<time_point> first;
  for (const auto& [id, a] : s.authorizations())
    if (const auto at = from_ms(a.expires_at_ms()); !first || at < *first) first = at;
  return first;
}

std::optional<wallet::command> wallet::wake() {
  command c;
  c.mutable_wake();
  return c;
}

std::vector<errand> wallet::react(const v1::EntityRef&, const state&) { return {}; }

}  // namespace usher::actors
