#include "projections/wallets.hpp"

namespace usher::projections {

namespace {

std::string history_prefix(std::string_view user_id) { return "h/" + std::string(user_id) + '/'; }

template <class Moved>
wallet_entry entry_from(movement type, const Moved& moved) {
  wallet_entry entry;
  entry.type = type;
  entry.amount = moved.amount();
  entry.balance = moved.balance();
  entry.at_ms = moved.at_ms();
  if constexpr (requires { moved.transaction_id(); }) entry.transaction_id = moved.transaction_id();
  if constexpr (requires { moved.payment_id(); }) entry.payment_id = moved.payment_id();
  if constexpr (requires { moved.reservation_id(); }) entry.reservation_id = moved.reservation_id();
  if constexpr (requires { moved.authorization_id(); }) entry.authorization_id = moved.authorization_id();
  return entry;
}

std::optional<wallet_entry> entry_from(const v1::WalletEvent& event) {
  switch (event.kind_case()) {
    case v1::WalletEvent::kCharged: return entry_from(movement::charge, event.charged());
    case v1::WalletEvent::kUsed: return entry_from(movement::use, event.used());
    case v1::WalletEvent::kDebited: return entry_from(movement::payment, event.debited());
    case v1::WalletEvent::kCredited: return entry_from(movement::refund, event.credited());
    case v1::WalletEvent::kCaptured: return entry_from(movement::capture, event.captured());
    case v1::WalletEvent::kDebitRefused:
    case v1::WalletEvent::kAuthorized:
    case v1::WalletEvent::kVoided:
    case v1::WalletEvent::KIND_NOT_SET: return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::string_view word_of(movement type) {
  switch (type) {
    case movement::charge: return "CHARGE";
    case movement::use: return "USE";
    case movement::payment: return "PAYMENT";
    case movement::refund: return "REFUND";
    case movement::capture: return "CAPTURE";
  }
  return {};
}

result<void> wallets::load(const store::database& db, const std::string& rows) {
  table_.open(db, rows);
  return {};
}

void wallets::apply(const v1::Record& record) {
  for (const auto& event : record.events()) {
    if (!event.has_wallet()) continue;
    look_at(event);
    if (!entry_from(event.wallet())) continue;
    v1::StreamEvent kept;
    kept.set_version(event.version());
    *kept.mutable_wallet() = event.wallet();
    table_.put(history_prefix(event.stream().group()) + newest_first(event.version()), kept.SerializeAsString());
  }
}

result<page<wallet_entry>> wallets::history(std::string_view user_id, std::string_view cursor, std::size_t limit) const {
  const auto prefix = history_prefix(user_id);
  const auto found = table_.read(prefix, prefix + std::string(cursor), limit);
  if (!found) return found.error();
  page<wallet_entry> answer;
  for (const auto& item : found->items) {
    v1::StreamEvent kept;
    if (!kept.ParseFromString(item.value)) return failure{errc::corrupted, "a wallet's history cannot be parsed"};
    auto entry = entry_from(kept.wallet());
    if (!entry) return failure{errc::corrupted, "a wallet's history has an event that moved nothing"};
    entry->version = kept.version();
    answer.items.push_back(std::move(*entry));
  }
  if (!found->next_cursor.empty()) answer.next_cursor = found->next_cursor.substr(prefix.size());
  return answer;
}

}  // namespace usher::projections
