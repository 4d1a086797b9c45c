#pragma once
// Every command passes here on its way to the node that owns its entity.

#include <functional>
#include <string>
#include <utility>

#include "actors/request.hpp"

namespace usher::actors {
class registry;
}

namespace usher::cluster {

/// Routes commands to their entities. One node owns all partitions.
class router {
 public:
  /// What lies outside of Usher: takes a command for a payment provider, at once and from any thread. It may come again and
  /// again until its verdict does.
  using provider_port = std::function<void(const std::string& provider, const v1::ProviderCommand&)>;

  explicit router(actors::registry& entities, provider_port outside = {}) : entities_(entities), outside_(std::move(outside)) {}

  /// Thread-safe, never blocks. The answer comes through the request's `reply`.
  void send(const actors::request_ptr&);

 private:
  actors::registry& entities_;
  provider_port outside_;
};

}  // namespace usher::cluster
