#include "cluster/router.hpp"

#include "actors/registry.hpp"

namespace usher::cluster {

void router::send(const actors::request_ptr& r) {
  if (r->to.kind() != v1::PROVIDER) return entities_.send(r->to, r);
  if (outside_) outside_(r->to.group(), r->command.provider());
}

}  // namespace usher::cluster
