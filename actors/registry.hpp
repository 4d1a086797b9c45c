#pragma once
// Finds the actor of an entity, wakes it where it sleeps, and lets it sleep again.

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <atomic>
#include <mutex>

#include "actors/shell.hpp"
#include "store/hash.hpp"

namespace usher::actors {

/// Thread-safe. A message is sent while the entity's shard is locked, and an actor leaves the registry under the same
/// lock and only with an empty mailbox, so no message is ever sent to an actor that has gone.
class registry {
 public:
  explicit registry(caf::actor_system& system) : system_(system) {}

  /// Must be called once, before the first send.
  void connect(surroundings& around) { around_ = &around; }

  void send(const v1::EntityRef& to, request_ptr);
  void send(const v1::EntityRef& to, slip_ptr);

  /// Asks the actors that heard nothing since `before` to go, if they have nothing to do.
  void passivate(time_point before);
  /// Called by a shell that wants to go. @return whether it may: it is out of the registry and gets no more messages.
  bool forget(const shell&);

  std::size_t awake() const;
  /// Ends all actors. What is sent from now on is dropped: an actor that woke now could not read what is on its way to the disk.
  void stop();

 private:
  struct resident {
    caf::actor actor;
    time_point last_used;
  };
  struct shard {
    mutable std::mutex mutex;
    boost::unordered_flat_map<store::short_hash, resident, store::short_hash_hasher> residents;
  };
  template <class Message>
  void send_to(const v1::EntityRef&, Message);
  shard& shard_of(const store::short_hash& key) { return shards_[key.high % shards_.size()]; }

  caf::actor_system& system_;
  surroundings* around_ = nullptr;
  std::array<shard, 64> shards_;
  std::atomic<bool> stopping_{false};
};

}  // namespace usher::actors
