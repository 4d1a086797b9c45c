#include "actors/registry.hpp"

namespace usher::actors {

template <class Message>
void registry::send_to(const v1::EntityRef& to, Message message) {
  const auto key = store::hash_of(to);
  auto& s = shard_of(key);
  std::scoped_lock lock(s.mutex);
  if (stopping_) return;
  auto& r = s.residents[key];
  if (!r.actor) r.actor = system_.spawn<shell, caf::lazy_init>(std::ref(*around_), std::cref(to), key);
  r.last_used = around_->clock.now();
  caf::anon_send(r.actor, note{std::move(message)});
}

void registry::send(const v1::EntityRef& to, request_ptr r) { send_to(to, std::move(r)); }
void registry::send(const v1::EntityRef& to, slip_ptr s) { send_to(to, std::move(s)); }

void registry::passivate(time_point before) {
  for (auto& s : shards_) {
    std::scoped_lock lock(s.mutex);
    for (auto& [key, r] : s.residents)
      if (r.last_used < before) caf::anon_send(r.actor, note{retire{}});
  }
}

bool registry::forget(const shell& leaving) {
  auto& s = shard_of(leaving.key());
  std::scoped_lock lock(s.mutex);
  // The lock keeps senders out, so an empty mailbox stays empty.
  if (!const_cast<shell&>(leaving).mailbox().empty()) return false;
  s.residents.erase(leaving.key());
  return true;
}

std::size_t registry::awake() const {
  std::size_t n = 0;
  for (const auto& s : shards_) {
    std::scoped_lock lock(s.mutex);
    n += s.residents.size();
  }
  return n;
}

void registry::stop() {
  stopping_ = true;
  for (auto& s : shards_) {
    std::scoped_lock lock(s.mutex);
    for (auto& [key, r] : s.residents) caf::anon_send_exit(r.actor, caf::exit_reason::user_shutdown);
    s.residents.clear();
  }
}

}  // namespace usher::actors
