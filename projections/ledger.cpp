#include "projections/ledger.hpp"

#include <mutex>

#include "projections/bytes.hpp"

namespace usher::projections {

namespace {

constexpr std::string_view books_key = "books";

std::string wallet_key(std::string_view user_id) { return "w/" + std::string(user_id); }

// The order of the fields in a wallet's row.
std::string row_of(const wallet_view& wallet) {
  std::string row;
  put_number(row, static_cast<std::uint64_t>(wallet.balance));
  put_number(row, static_cast<std::uint64_t>(wallet.held));
  put_number(row, wallet.version);
  put_number(row, static_cast<std::uint64_t>(wallet.updated_at_ms));
  return row;
}

wallet_view wallet_of(std::string_view row) {
  byte_reader in(row);
  wallet_view wallet;
  wallet.balance = static_cast<std::int64_t>(in.number());
  wallet.held = static_cast<std::int64_t>(in.number());
  wallet.version = in.number();
  wallet.updated_at_ms = static_cast<std::int64_t>(in.number());
  return wallet;
}

/// What an event that moves the balance says of it.
struct statement {
  std::int64_t balance;
  std::int64_t at_ms;
};

std::optional<statement> statement_of(const v1::WalletEvent& event) {
  const auto from = [](const auto& moved) { return statement{moved.balance(), moved.at_ms()}; };
  switch (event.kind_case()) {
    case v1::WalletEvent::kCharged: return from(event.charged());
    case v1::WalletEvent::kUsed: return from(event.used());
    case v1::WalletEvent::kDebited: return from(event.debited());
    case v1::WalletEvent::kCredited: return from(event.credited());
    case v1::WalletEvent::kCaptured: return from(event.captured());
    case v1::WalletEvent::kDebitRefused:
    case v1::WalletEvent::kAuthorized:
    case v1::WalletEvent::kVoided:
    case v1::WalletEvent::KIND_NOT_SET: return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::int64_t books::trial_balance() const {
  std::int64_t sum = 0;
  for (const auto of_account : sums) sum = postings::plus(sum, of_account);
  return sum;
}

result<void> ledger::load(const store::database& db, const std::string& rows) {
  table_.open(db, rows);
  const auto row = table_.get(books_key);
  if (!row) return row.error();
  if (!*row) return {};
  const std::unique_lock lock(mutex_);
  byte_reader in(**row);
  for (auto& sum : books_.sums) sum = static_cast<std::int64_t>(in.number());
  books_.mismatches = in.number();
  return {};
}

void ledger::apply(const v1::Record& record) {
  for (const auto& event : record.events()) {
    if (!event.has_wallet() || event.wallet().has_debit_refused()) continue;
    look_at(event);
    const auto& user_id = event.stream().group();
    auto wallet = event.version() > 1 ? find(user_id).value() : wallet_view{};
    const auto moves = postings_of(event.wallet());
    const auto expected = postings::plus(wallet.balance, postings::plus(moves.of(account::wallet), moves.of(account::held)));
    const auto stated = statement_of(event.wallet()).value_or(statement{expected, wallet.updated_at_ms});
    post(moves, postings::plus(stated.balance, postings::minus(wallet.balance)), stated.balance == expected);
    wallet.balance = stated.balance;
    wallet.held = postings::plus(wallet.held, moves.of(account::held));
    wallet.version = event.version();
    wallet.updated_at_ms = stated.at_ms;
    table_.put(wallet_key(user_id), row_of(wallet));
  }
}

/// @param stated_change  of the balance, by what the event says of it
void ledger::post(const postings& moves, std::int64_t stated_change, bool agrees) {
  const std::unique_lock lock(mutex_);
  const auto add = [this](account to, std::int64_t amount) {
    auto& sum = books_.sums[static_cast<std::size_t>(to)];
    sum = postings::plus(sum, amount);
  };
  add(account::wallet, postings::plus(stated_change, postings::minus(moves.of(account::held))));
  for (const auto& p : moves)
    if (p.to != account::wallet) add(p.to, p.amount);
  if (!agrees) ++books_.mismatches;
}

void ledger::collect(row_writer& out) {
  table_.collect(out);
  const std::shared_lock lock(mutex_);
  std::string row;
  for (const auto sum : books_.sums) put_number(row, static_cast<std::uint64_t>(sum));
  put_number(row, books_.mismatches);
  out.put(books_key, row);
}

void ledger::swap_in(projection& built) {
  auto& other = static_cast<ledger&>(built);
  table_.swap_in(other.table_);
  const std::unique_lock lock(mutex_);
  std::swap(books_, other.books_);
}

result<wallet_view> ledger::find(std::string_view user_id) const {
  const auto row = table_.get(wallet_key(user_id));
  if (!row) return row.error();
  if (!*row) return wallet_view{};
  if (constexpr std::size_t row_bytes = 4 * 8; (*row)->size() < row_bytes) return failure{errc::corrupted, "a wallet's row cannot be read"};
  return wallet_of(**row);
}

books ledger::books() const {
  const std::shared_lock lock(mutex_);
  return books_;
}

}  // namespace usher::projections
