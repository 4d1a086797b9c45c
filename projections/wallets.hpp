#pragma once
// Every movement of each user's money, with the balance after it.

#include "projections/table.hpp"

namespace usher::projections {

enum class movement { charge, use, payment, refund, capture };
/// CHARGE, USE, PAYMENT, REFUND or CAPTURE.
std::string_view word_of(movement);

struct wallet_entry {
  movement type = movement::charge;
  std::uint64_t version = 0;       ///< of the wallet's stream with this movement: unique within the wallet
  std::int64_t amount = 0;         ///< minor units, always positive
  std::int64_t balance = 0;        ///< afterwards
  std::int64_t at_ms = 0;
  std::string transaction_id;      ///< of a charge, use or capture
  std::string payment_id;          ///< of a payment or refund
  std::string reservation_id;      ///< of a payment or refund
  std::string authorization_id;    ///< of a capture
};

class wallets final : public projection {
 public:
  [[nodiscard]] std::string_view name() const override { return "wallets"; }
  [[nodiscard]] std::uint32_t version() const override { return 2; }
  [[nodiscard]] payloads concerns() const override { return {v1::StreamEvent::kWallet}; }
  [[nodiscard]] std::unique_ptr<projection> fresh() const override { return std::make_unique<wallets>(); }
  [[nodiscard]] result<void> load(const store::database&, const std::string& rows) override;
  void apply(const v1::Record&) override;
  void collect(row_writer& out) override { table_.collect(out); }
  void written() override { table_.written(); }
  [[nodiscard]] std::size_t unwritten() const override { return table_.unwritten(); }
  void swap_in(projection& built) override { table_.swap_in(static_cast<wallets&>(built).table_); }

  /// Newest first; what moved nothing of the balance (a refused debit; money that is set aside, or free again) is no entry.
  /// @param cursor  as in reservations::of_user
  [[nodiscard]] result<page<wallet_entry>> history(std::string_view user_id, std::string_view cursor,
                                                   std::size_t limit) const;

 private:
  table table_;
};

}  // namespace usher::projections
