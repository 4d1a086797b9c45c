#pragma once
// Every command passes here on its way to the node that owns its entity.

#include "actors/registry.hpp"

namespace usher::cluster {

/// Routes commands to their entities. One node owns all partitions.
class router {
 public:
  explicit router(actors::registry& entities) : entities_(entities) {}

  /// Thread-safe, never blocks. The answer comes through the request's `reply`.
  void send(actors::request_ptr r) {
    const auto to = r->to;
    entities_.send(to, std::move(r));
  }

 private:
  actors::registry& entities_;
};

}  // namespace usher::cluster
