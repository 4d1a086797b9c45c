#pragma once
// The port through which money is taken by others than the buyer's wallet.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "events/vocabulary.hpp"

namespace usher::http {

/// Somebody outside who takes money and gives it back, in their own time. What became of it they tell by signed callbacks to
/// POST /payment/providers/{name}/verdicts, as often as it takes to be answered with 200.
class payment_provider {
 public:
  virtual ~payment_provider() = default;

  /// Takes an order, at once and from any thread. The same order comes again every second until its verdict is known here, so
  /// a provider tells orders apart by their payment's id. Must not throw: an order that is lost comes again.
  virtual void order(const v1::ProviderCommand&) = 0;
  /// What is wrong with a client's `method`: a whole sentence. @return nullopt where nothing is
  [[nodiscard]] virtual std::optional<std::string> fault_of(std::string_view method) const = 0;
  /// Signs the callbacks; see sign_message. Constant.
  [[nodiscard]] virtual std::string_view secret() const = 0;
};

/// By name. Filled before the server listens, never changed afterwards.
using payment_providers = std::map<std::string, std::unique_ptr<payment_provider>, std::less<>>;

}  // namespace usher::http
