#pragma once
// Decides and folds one record after the other without actors, clock or disk: for replaying a log, and for making one.

#include <boost/unordered/unordered_flat_map.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "actors/entity.hpp"
#include "actors/request.hpp"
#include "store/hash.hpp"

namespace usher::actors {

/// What a command comes to, with the parts that other entities had in it. Nothing is folded yet.
struct offline_decision {
  /// One entity's events, without stream, version and deadline.
  struct share {
    v1::EntityRef of;
    store::short_hash key;
    std::vector<v1::StreamEvent> events;
  };
  entity_decision::kind what = entity_decision::kind::accept;
  v1::Rejection rejection;             ///< where `what` is reject, also by one of the parts
  v1::Outcome outcome;
  std::optional<settlement> settles;
  std::vector<share> shares;           ///< the target's first, then the parts' in their order

  [[nodiscard]] bool is_refused() const { return what == entity_decision::kind::reject; }
  /// Whether a record comes of it.
  [[nodiscard]] bool records() const;
};

/// A record as the shell makes it, for the journal.
struct offline_record {
  std::unique_ptr<v1::Record> record;
  store::record_hashes hashes;
};

/// The states of many entities, folded with the code at hand. Those that rest are kept serialised, so that a state costs some 200
/// bytes more than its message. For one thread.
class offline_engine {
 public:
  /// @param awake_max  about so many entities are kept ready; a few times of what a few records touch is the least that makes sense
  explicit offline_engine(std::size_t awake_max = 100'000) : awake_max_{awake_max} {}

  /// Decides as the shell does: the target, then its parts in order, each on its own state. Changes no state.
  /// @param ctx  the parts are decided in the name of the system
  /// Throws what a decider throws.
  [[nodiscard]] offline_decision decide(const v1::EntityRef& to, const v1::Command&, const context& ctx);

  /// Makes the record of a decision and folds it. The command moves from the request into the record.
  /// @param d  one that `records()`, and that nothing was folded after
  [[nodiscard]] offline_record record(request&, time_point, offline_decision d);

  /// Folds an event of the log. @return the deadline that the state has then, 0 for none
  std::int64_t take(const v1::StreamEvent&, const store::short_hash& key_of_stream);

  [[nodiscard]] std::uint64_t version(const store::short_hash&) const;  ///< 0: never touched
  /// What the entity's process owes to other partitions.
  [[nodiscard]] std::vector<errand> react(const v1::EntityRef&);
  /// The state as a snapshot would hold it: stream, version, state. Empty of state where the entity was never touched.
  [[nodiscard]] v1::Snapshot state_of(const store::short_hash&) const;

  /// Puts to rest what wasn't touched for long. To be called between records; cheap where there is nothing to do.
  void trim();
  /// Visits every entity as `packed` has it, in no order. Nothing is left in the engine afterwards.
  void drain(const std::function<void(v1::Kind, std::string_view packed)>& visit);
  [[nodiscard]] std::size_t size() const { return slots_.size(); }

 private:
  struct awake_entity {
    v1::EntityRef ref;
    std::unique_ptr<entity> state;
    std::uint64_t version = 0;
    std::uint64_t touched = 0;  ///< in which round between two trims
  };
  /// Exactly one of the two, but for one that is being woken.
  struct slot {
    std::unique_ptr<awake_entity> awake;
    std::string packed;
  };
  awake_entity& wake(const v1::EntityRef&, const store::short_hash&);
  static v1::Snapshot snapshot_of(const awake_entity&);

  const std::size_t awake_max_;
  boost::unordered_flat_map<store::short_hash, slot, store::short_hash_hasher> slots_;
  std::vector<store::short_hash> awake_;
  std::uint64_t round_ = 1;
};

/// A message's bytes, the same ones whenever the messages are equal: maps in the order of their keys.
std::string packed(const google::protobuf::Message&);

}  // namespace usher::actors
