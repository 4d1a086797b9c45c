#pragma once
// What is counted and timed, shown as Prometheus text.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace usher::http {

class router;

/// The node's registry, and the counters of the HTTP side, resolved beforehand so that counting is an atomic addition. Thread-safe.
class metrics {
 public:
  explicit metrics(const router&);  ///< makes a label value for each row; requests that match none count as `none`
  ~metrics();

  /// `route` is the row's index; `no_route` where none was found.
  static constexpr std::size_t no_route = static_cast<std::size_t>(-1);
  void answered(std::size_t route, unsigned status, std::chrono::nanoseconds took);
  void limited(std::string_view by);  ///< `user` or `address`: a request that came too early
  void connection_opened();
  void connection_closed();
  void websocket_opened();
  void websocket_closed();

  /// For the rest of the node to add its own.
  [[nodiscard]] prometheus::Registry& registry();

  /// Everything in the Prometheus text format 0.0.4.
  [[nodiscard]] std::string exposition() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace usher::http
