#include "events/ledger.hpp"

namespace usher {

postings postings_of(const v1::WalletEvent& e) {
  using enum account;
  switch (e.kind_case()) {
    case v1::WalletEvent::kCharged: return {top_ups, wallet, e.charged().amount()};
    case v1::WalletEvent::kUsed: return {wallet, spending, e.used().amount()};
    case v1::WalletEvent::kDebited: return {wallet, sales, e.debited().amount()};
    case v1::WalletEvent::kCredited: return {refunds, wallet, e.credited().amount()};
    case v1::WalletEvent::kAuthorized: return {wallet, held, e.authorized().amount()};
    case v1::WalletEvent::kCaptured: return {held, spending, e.captured().amount(), wallet, e.captured().released()};
    case v1::WalletEvent::kVoided: return {held, wallet, e.voided().amount()};
    case v1::WalletEvent::kDebitRefused:
    case v1::WalletEvent::KIND_NOT_SET: return {};
  }
  return {};
}

}  // namespace usher
