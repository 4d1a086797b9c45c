#pragma once
// A payment provider for development: it takes nobody's money and tells whatever verdict it is asked for.

#include <boost/asio/ip/tcp.hpp>

#include <memory>

#include "http/payment_provider.hpp"

namespace usher::http {

/// The client's `method` is the verdict, told by a signed callback over HTTP like any provider's:
/// - `accept` (or nothing), `decline`: at once
/// - `late:N`: the money is taken, and that is told after N seconds (1 to 86,400)
/// - `twice`: the money is taken, and that is told twice
/// - `never`: nothing is ever told
/// A refund is told at once. A callback is repeated every second until it is answered with 200, for an hour at most.
/// At most 10,000 callbacks are under way; an order beyond that is lost, and comes again.
///
/// One thread of its own. Orders that a restart forgets come again, as they would to any provider.
class sandbox_provider final : public payment_provider {
 public:
  static constexpr std::string_view name = "sandbox";

  sandbox_provider(std::string secret, const wall_clock& clock);
  ~sandbox_provider() override;  ///< drops what is under way

  /// Where the callbacks go. Before the first order.
  void call_back(boost::asio::ip::tcp::endpoint);

  void order(const v1::ProviderCommand&) override;
  [[nodiscard]] std::optional<std::string> fault_of(std::string_view method) const override;
  [[nodiscard]] std::string_view secret() const override;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace usher::http
