#pragma once
// What every account has: each user's wallet, and the house's books, which are checked against what the wallets say.

#include "events/ledger.hpp"
#include "projections/table.hpp"

namespace usher::projections {

struct wallet_view {
  std::int64_t balance = 0;        ///< minor units, as the wallet's own events state it
  std::int64_t held = 0;           ///< of the balance, set aside by authorizations whose end is not recorded
  std::uint64_t version = 0;       ///< of the wallet's stream; 0: never touched
  std::int64_t updated_at_ms = 0;  ///< when the balance last moved
  [[nodiscard]] std::int64_t available() const { return balance - held; }
};

/// The accounts of the house, and the users' taken together. Minor units, modulo 2^64.
struct books {
  std::array<std::int64_t, account_count> sums{};
  std::uint64_t mismatches = 0;  ///< events whose stated balance is not the one before with what they move
  [[nodiscard]] std::int64_t of(account a) const { return sums[static_cast<std::size_t>(a)]; }
  /// The sum of all accounts: zero, or money was made or lost.
  [[nodiscard]] std::int64_t trial_balance() const;
};

/// The users' accounts are what the events state as balance, the house's what the events move, so that the trial balance compares
/// two things that were written apart from each other. Cost of an event: one point read of the wallet's row, one put.
class ledger final : public projection {
 public:
  [[nodiscard]] std::string_view name() const override { return "ledger"; }
  [[nodiscard]] std::uint32_t version() const override { return 1; }
  [[nodiscard]] payloads concerns() const override { return {v1::StreamEvent::kWallet}; }
  [[nodiscard]] std::unique_ptr<projection> fresh() const override { return std::make_unique<ledger>(); }
  [[nodiscard]] result<void> load(const store::database&, const std::string& rows) override;
  void apply(const v1::Record&) override;
  void collect(row_writer&) override;
  void written() override { table_.written(); }
  [[nodiscard]] std::size_t unwritten() const override { return table_.unwritten() + 1; }
  void swap_in(projection& built) override;

  /// An untouched wallet is empty: every user has one. Cost: a point read. @error io_failure, corrupted
  [[nodiscard]] result<wallet_view> find(std::string_view user_id) const;
  [[nodiscard]] projections::books books() const;

 private:
  void post(const postings&, std::int64_t stated_change, bool agrees);

  table table_;
  mutable std::shared_mutex mutex_;  // guards books_
  projections::books books_;
};

}  // namespace usher::projections
