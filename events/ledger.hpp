#pragma once
// Double entry: what each event of a wallet gives to one account, and takes from another.
//
// | event             | takes from    | gives to                                            |
// |-------------------|---------------|-----------------------------------------------------|
// | `WalletCharged`   | top-ups       | the wallet                                          |
// | `WalletUsed`      | the wallet    | spending                                            |
// | `WalletDebited`   | the wallet    | sales                                               |
// | `DebitRefused`    |               |                                                     |
// | `WalletCredited`  | refunds       | the wallet                                          |
// | `FundsAuthorized` | the wallet    | held                                                |
// | `FundsCaptured`   | held          | spending, and to the wallet what was not captured   |
// | `FundsVoided`     | held          | the wallet                                          |
//
// To give is to credit and to take is to debit, as a bank's books have it: what a user has is what the house owes. So top-ups and
// refunds are never above zero, sales and spending never below, and all accounts together are always zero.

#include <array>
#include <cstddef>
#include <cstdint>

#include "events/wallet.pb.h"

namespace usher {

/// `wallet` and `held` are of one user, who owns both: the balance is their sum. The others are the house's.
enum class account : std::uint8_t {
  wallet,    ///< what the user may use
  held,      ///< what is set aside by open authorizations
  top_ups,   ///< what users paid in
  sales,     ///< what reservations were paid with
  spending,  ///< what was used or captured
  refunds,   ///< what cancelled reservations gave back
};
inline constexpr std::size_t account_count = 6;

struct posting {
  account to = account::wallet;
  std::int64_t amount = 0;  ///< minor units; below zero: taken from it
};

/// Up to three postings whose sum is zero, also where the numbers are absurd: it is taken modulo 2^64.
class postings {
 public:
  postings() = default;
  /// From one account to another.
  postings(account from, account to, std::int64_t amount) : items_{{{from, minus(amount)}, {to, amount}}}, size_{2} {}
  /// From one account to two others.
  postings(account from, account to, std::int64_t amount, account rest_to, std::int64_t rest)
      : items_{{{from, minus(plus(amount, rest))}, {to, amount}, {rest_to, rest}}}, size_{3} {}

  [[nodiscard]] const posting* begin() const { return items_.data(); }
  [[nodiscard]] const posting* end() const { return items_.data() + size_; }

  /// What one account gets, or loses.
  [[nodiscard]] std::int64_t of(account a) const {
    std::int64_t sum = 0;
    for (const auto& p : *this)
      if (p.to == a) sum = plus(sum, p.amount);
    return sum;
  }

  /// Without undefined behaviour where it overflows.
  static std::int64_t plus(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  }
  static std::int64_t minus(std::int64_t a) { return static_cast<std::int64_t>(std::uint64_t{0} - static_cast<std::uint64_t>(a)); }

 private:
  std::array<posting, 3> items_{};
  std::size_t size_ = 0;
};

/// The only place that says between which accounts an event moves money. None where it moves nothing.
postings postings_of(const v1::WalletEvent&);

}  // namespace usher
