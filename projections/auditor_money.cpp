// Wallets, each by itself, and payments, which two partitions tell of.

#include <algorithm>
#include <utility>

#include "projections/auditor.hpp"

namespace usher::projections {

// --- wallets -------------------------------------------------------------------------------------------------------

void auditor::take_wallet(const v1::StreamEvent& e) {
  const auto& w = e.wallet();
  const auto id = hash(e.stream().group(), user_);
  switch (w.kind_case()) {
    case v1::WalletEvent::kCharged: return move(id, w.charged().amount(), true, w.charged().balance());
    case v1::WalletEvent::kUsed: return move(id, w.used().amount(), false, w.used().balance());
    case v1::WalletEvent::kDebited:
      move(id, w.debited().amount(), false, w.debited().balance());
      return pay(id, w.debited(), moved::nothing, moved::debited);
    case v1::WalletEvent::kDebitRefused: return pay(id, w.debit_refused(), moved::nothing, moved::refused);
    case v1::WalletEvent::kCredited:
      move(id, w.credited().amount(), true, w.credited().balance());
      return pay(id, w.credited(), moved::debited, moved::credited);
    case v1::WalletEvent::kAuthorized: return authorize(id, w.authorized());
    case v1::WalletEvent::kCaptured: return capture(id, w.captured());
    case v1::WalletEvent::kVoided:
      if (!end_authorization(id, w.voided().authorization_id()))
        blame(fault_kind::payment_disagrees, "wallet", "Money was set free that was not set aside.");
      return;
    case v1::WalletEvent::KIND_NOT_SET: return;
  }
}

void auditor::move(key wallet, std::int64_t amount, bool in, std::int64_t stated) {
  auto& balance = balances_[wallet];
  std::int64_t after = 0;
  const bool too_much = in ? __builtin_add_overflow(balance, amount, &after) : __builtin_sub_overflow(balance, amount, &after);
  if (too_much || amount < 0 || after != stated)
    blame(fault_kind::ledger_imbalance, "wallet", "A balance is not what was moved.");
  else if (stated < 0)
    blame(fault_kind::ledger_imbalance, "wallet", "A balance is below zero.");
  balance = stated;
  if (!in) judge_set_aside(wallet, stated);
}

/// What has run out may still stand here: it is free from its time on, whenever that is recorded.
void auditor::judge_set_aside(key wallet, std::int64_t balance) {
  const auto open = set_aside_.find(wallet);
  if (open == set_aside_.end()) return;
  std::int64_t sum = 0;
  for (const auto& a : open->second) {
    if (a.expires_at_ms > at_ms_) sum += a.amount;
  }
  if (sum > balance) blame(fault_kind::ledger_imbalance, "wallet", "More money is set aside than there is.");
}

void auditor::authorize(key wallet, const v1::FundsAuthorized& e) {
  auto& open = set_aside_[wallet];
  const auto id = hash(e.authorization_id());
  if (e.amount() < 0 || std::any_of(open.begin(), open.end(), [&](const auto& a) { return a.id == id; }))
    blame(fault_kind::payment_disagrees, "wallet", "Money was set aside that can't be, or a second time.");
  open.push_back({id, e.amount(), e.expires_at_ms()});
  const auto* balance = balances_.find(wallet);
  judge_set_aside(wallet, balance == nullptr ? 0 : *balance);
}

void auditor::capture(key wallet, const v1::FundsCaptured& e) {
  const auto amount = end_authorization(wallet, e.authorization_id());
  if (!amount || e.amount() > *amount) blame(fault_kind::payment_disagrees, "wallet", "More money was taken than was set aside.");
  move(wallet, e.amount(), false, e.balance());
}

/// @return how much it was; nullopt where there is none
std::optional<std::int64_t> auditor::end_authorization(key wallet, std::string_view id) {
  const auto open = set_aside_.find(wallet);
  if (open == set_aside_.end()) return std::nullopt;
  const auto found = std::find_if(open->second.begin(), open->second.end(), [&, h = hash(id)](const auto& a) { return a.id == h; });
  if (found == open->second.end()) return std::nullopt;
  const auto amount = found->amount;
  open->second.erase(found);
  if (open->second.empty()) set_aside_.erase(open);
  return amount;
}

// --- payments ------------------------------------------------------------------------------------------------------

/// The wallet's side, which comes in its order whatever the other side's.
template <class Event>
void auditor::pay(key wallet, const Event& e, moved before, moved after) {
  const auto id = hash(e.payment_id());
  auto& p = payments_[id];
  const auto entity = [&] { return key_of(reservation_ref(e.reservation_id())); };
  if (p.wallet != before) blame(fault_kind::payment_disagrees, entity(), "The wallet's events of a payment can't follow each other.");
  p.wallet = after;
  agree(p, e.amount(), wallet, entity());
  if (p.index == 0) {
    p.partition = static_cast<std::uint16_t>(at_.partition);
    p.index = at_.index;
  }
  p.round = round_;
  weigh(id, p);
}

/// Whoever speaks first of a payment says how much it is and who pays it.
void auditor::agree(payment& p, std::int64_t amount, key payer, const std::string& entity) {
  if (p.has_terms && (p.amount != amount || p.payer != payer))
    blame(fault_kind::payment_disagrees, entity, "A payment's amount or payer is not what it was.");
  p.has_terms = true;
  p.amount = amount;
  p.payer = payer;
}

/// The reservation's side.
auditor::payment& auditor::note(key id, said what) {
  auto& p = payments_[id];
  p.reservation = what;
  p.partition = static_cast<std::uint16_t>(at_.partition);
  p.index = at_.index;
  p.round = round_;
  return p;
}

/// How two sides contradict each other, unless one of them is behind.
std::optional<fault_kind> auditor::contradiction(const payment& p) {
  if (p.by_provider) return p.wallet == moved::nothing ? std::nullopt : std::optional{fault_kind::payment_disagrees};
  const bool has_ended = p.reservation == said::declined || p.reservation == said::lapsed || p.reservation == said::refunded;
  const bool was_seated = p.reservation == said::confirmed || p.reservation == said::refunding || p.reservation == said::refunded;
  switch (p.wallet) {
    case moved::nothing:
    case moved::refused: return was_seated ? std::optional{fault_kind::seated_without_payment} : std::nullopt;
    case moved::debited: return has_ended || p.reservation == said::nothing ? std::optional{fault_kind::paid_without_seat} : std::nullopt;
    case moved::credited:
      if (p.reservation == said::confirmed) return fault_kind::seated_without_payment;
      return p.reservation == said::nothing || p.reservation == said::started ? std::optional{fault_kind::payment_disagrees} : std::nullopt;
  }
  return std::nullopt;
}

/// Nothing can follow.
bool auditor::is_over(const payment& p) {
  if (p.by_provider) return p.wallet == moved::nothing && (p.reservation == said::confirmed || p.reservation == said::refunded);
  const bool failed = p.reservation == said::declined || p.reservation == said::lapsed;
  return (p.wallet == moved::refused && failed) || (p.wallet == moved::credited && p.reservation == said::refunded);
}

/// After every change of a payment.
void auditor::weigh(key id, payment& p) {
  const auto wrong = contradiction(p);
  if (p.blamed != 0 && (!wrong || *wrong != static_cast<fault_kind>(p.blamed - 1))) {
    --counts_[static_cast<std::size_t>(p.blamed - 1)];
    p.blamed = 0;
  }
  if (wrong) {
    if (!std::exchange(p.suspected, true)) suspects_.push_back(id);
  } else if (is_over(p)) {
    payments_.erase(id);
  }
}

void auditor::settle() {
  std::vector<key> still;
  for (const auto id : suspects_) {
    auto* found = payments_.find(id);
    if (found == nullptr) continue;
    auto& p = *found;
    if (p.round == round_) {  // it changed since the last call: what explains it may be on its way
      still.push_back(id);
      continue;
    }
    p.suspected = false;
    const auto wrong = contradiction(p);
    if (!wrong || p.blamed != 0) continue;
    p.blamed = static_cast<std::uint8_t>(1 + static_cast<unsigned>(*wrong));
    blame(*wrong, {p.partition, p.index}, {},
          *wrong == fault_kind::paid_without_seat        ? "Money was taken for which there is neither a seat nor a refund."
          : *wrong == fault_kind::seated_without_payment ? "A reservation is confirmed, or was, that its buyer's wallet has not paid for."
                                                         : "A payment and its reservation tell different stories.");
  }
  suspects_ = std::move(still);
  ++round_;
}

void auditor::finish() {
  settle();
  settle();
}

}  // namespace usher::projections
