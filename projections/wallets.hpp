#pragma once
// What each user has, and every movement that led there.

#include "projections/table.hpp"

namespace usher::projections {

struct wallet_view {
  std::int64_t balance = 0;  ///< minor units
  std::uint64_t version = 0;  ///< of the wallet's stream; 0: never touched
  std::int64_t updated_at_ms = 0;
};

enum class movement { charge, use, payment, refund };
/// CHARGE, USE, PAYMENT or REFUND.
std::string_view word_of(movement);

struct wallet_entry {
  movement type = movement::charge;
  std::uint64_t version = 0;       ///< of the wallet's stream with this movement: unique within the wallet
  std::int64_t amount = 0;         ///< minor units, always positive
  std::int64_t balance = 0;        ///< afterwards
  std::int64_t at_ms = 0;
  std::string transaction_id;      ///< of a charge or use
  std::string payment_id;          ///< of a payment or refund
  std::string reservation_id;      ///< of a payment or refund
};

class wallets final : public projection {
 public:
  [[nodiscard]] std::string_view name() const override { return "wallets"; }
  [[nodiscard]] std::uint32_t version() const override { return 1; }
  [[nodiscard]] result<void> load(const store::database&) override;
  void apply(const v1::Record&) override;
  void collect(row_writer& out) override { table_.collect(out); }
  void written() override { table_.written(); }
  void clear() override { table_.clear(); }

  /// An untouched wallet is empty: every user has one. Cost: a point read. @error io_failure, corrupted
  [[nodiscard]] result<wallet_view> find(std::string_view user_id) const;
  /// Newest first; a refused debit moved nothing and is no entry. @param cursor  as in reservations::of_user
  [[nodiscard]] result<page<wallet_entry>> history(std::string_view user_id, std::string_view cursor,
                                                   std::size_t limit) const;

 private:
  table table_{"wallets"};
};

}  // namespace usher::projections
