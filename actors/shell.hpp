#pragma once
// The one event-sourced shell: a CAF actor around one entity that decides, hands records to the journal and evolves.

#include <caf/all.hpp>

#include <list>
#include <mutex>
#include <variant>

#include "actors/entity.hpp"
#include "actors/request.hpp"
#include "store/journal.hpp"

namespace usher::actors {

class registry;

/// What every shell works with. Outlives the actor system's actors.
struct surroundings {
  store::database& db;
  store::engine_index& index;
  store::journal& journal;
  const wall_clock& clock;
  registry& entities;
  std::function<void(request_ptr)> route;              ///< to the entity's owner, on whatever node
  std::function<void(const std::string&)> show_changed;  ///< a show's record is on disk
  std::function<void(const std::string&)> bug;         ///< never returns in production: the node stops
  std::uint64_t snapshot_every = 200;                  ///< events
};

/// Who is told when a record is on disk, and what.
struct audience {
  request_ptr from;                       ///< gets `done`; null where nobody waits
  answer done;
  std::vector<request_ptr> parked;        ///< get `settled`
  answer settled;
  std::vector<v1::Snapshot> snapshots;    ///< stored once the record is on disk
  std::string changed_show;               ///< empty: none
};

/// A record that is being written. Whoever is told of it is given the outcome that stands in it.
struct draft {
  std::shared_ptr<v1::Record> record;
  store::record_hashes hashes;
  std::optional<store::person_key> person_key;
};

/// How a slip ends, for the entities that it has visited. They look when they are asked for something next, which is hardly
/// ever before the end; only one that must not wait until then, or has somebody waiting already, hears slip_ended. Thread-safe.
class slip_end {
 public:
  enum class outcome : std::uint8_t { open, recorded, refused };

  /// @return the outcome; where that is `open`, `who` will get `slip_ended`
  outcome find(const caf::actor& who);
  void set(outcome);

 private:
  std::mutex mutex_;
  outcome outcome_ = outcome::open;
  std::vector<caf::actor> waiting_;
};

/// A decision on its way to the journal, through the other entities that must agree to it, if there are any.
struct slip {
  request_ptr from;
  draft written;                       ///< grows at every stop
  std::vector<errand> parts;
  std::size_t next = 0;                ///< the part that is asked now
  std::shared_ptr<slip_end> end;       ///< null where there are no parts
  audience tells;
  context ctx;
};
using slip_ptr = std::shared_ptr<slip>;

/// The slip that waits for the actor's attention has ended.
struct slip_ended {};

/// The actor shall go, if it has nothing to do.
struct retire {};

/// What it recorded until then is on disk, and it may go if that is still all; `version` is the state that it had.
struct retire_check {
  std::uint64_t version;
};

/// All that a shell is told. One type, so that an actor carries one handler: there are as many as seats.
struct note {
  std::variant<request_ptr, slip_ptr, slip_ended, retire, retire_check> what;
};

/// Handles one message at a time:
/// - a request: known key? else decide, record, evolve, answer through the journal's queue
/// - a slip: the same for a part of another entity's decision; until the slip has ended everything else waits
/// Records are handed over before they are on disk and the state moves on at once (docs/decisions/0001); answers leave
/// in the order of the journal, so nobody hears of what is not yet durable.
/// An entity whose stream has an event that this version can't read stands still: it refuses all with STREAM_UNREADABLE.
class shell : public caf::event_based_actor {
 public:
  /// @param key  hash_of(entity)
  shell(caf::actor_config&, surroundings&, const v1::EntityRef& entity, const store::short_hash& key);
  [[nodiscard]] const store::short_hash& key() const { return key_; }
  caf::behavior make_behavior() override;

 private:
  using work = std::variant<request_ptr, slip_ptr>;

  void hear(const request_ptr& r) { take(r); }
  void hear(const slip_ptr& s) { take(s); }
  void hear(slip_ended);
  void hear(retire);
  void hear(retire_check);

  void wake();
  void stand_still(std::string why);
  void take(work);
  void drain();
  void handle(const request_ptr&);
  void handle(const slip_ptr&);
  bool answered_before(const request_ptr&);
  void refuse(const slip_ptr&, v1::Rejection);
  void accept(const request_ptr&, entity_decision, time_point now);
  bool settled();
  void end_slip(slip_end::outcome);
  void changed();
  void drive();
  bool idle();

  draft begin_record(actors::request&, time_point) const;
  void add_events(std::vector<v1::StreamEvent>, v1::EntityRef stream, entity& state, std::uint64_t& version, draft&) const;
  void send_on(const slip_ptr&, std::vector<v1::StreamEvent>, v1::EntityRef stream);
  bool snapshot_is_due(std::uint64_t version) const;
  void add_snapshot(const entity& state, std::uint64_t version, audience&);
  void hand_over(const slip_ptr&);
  void answer_in_order(const request_ptr&, answer);

  surroundings& around_;
  const v1::EntityRef ref_;
  const store::short_hash key_;
  std::unique_ptr<entity> state_;          ///< null while all that there is belongs to a slip
  std::uint64_t version_ = 0;
  std::uint64_t snapshot_version_ = 0;
  std::uint64_t snapshot_bytes_ = 0;
  std::unique_ptr<const std::string> unreadable_;  ///< why nothing can be decided here: every command is refused with it

  /// What this entity has done for a slip whose end it has not seen.
  struct tentative {
    std::shared_ptr<slip_end> end;
    bool told = false;                     ///< the end will be told
    std::unique_ptr<entity> state;
    std::uint64_t version = 0;
    std::optional<std::pair<std::uint64_t, std::uint64_t>> snapshot_before;  ///< where the slip carries one: version and bytes of the last
  };
  std::unique_ptr<tentative> tentative_;
  std::list<work> waiting_;                ///< behind a slip; unlike a deque, an empty list costs nothing
  std::vector<request_ptr> postponed_;     ///< until the state changes
  std::vector<request_ptr> parked_;        ///< until the process ends
  /// What the process under way was started by; nothing after a restart.
  struct origin {
    std::string correlation;
    std::string traceparent;
  };
  std::shared_ptr<const origin> process_;
};

}  // namespace usher::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(usher::actors::note)
