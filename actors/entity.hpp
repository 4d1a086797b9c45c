#pragma once
// The eight aggregates behind one interface, so that one shell serves them all and CAF is compiled once.

#include <memory>

#include "actors/aggregate.hpp"

namespace usher::actors {

/// A decision whose events are already in the log's envelope (stream and version are the shell's to fill in).
using entity_decision = decision<v1::StreamEvent>;

/// Of the states in snapshots; to be raised when one of them changes its meaning. One of another schema is not read.
inline constexpr std::uint32_t snapshot_schema = 2;

/// The state of one entity with its rules.
class entity {
 public:
  virtual ~entity() = default;
  virtual entity_decision decide(const v1::EntityRef&, const v1::Command&, const context&) const = 0;
  virtual void evolve(const v1::StreamEvent&) = 0;
  virtual std::optional<time_point> deadline() const = 0;
  virtual std::vector<errand> react(const v1::EntityRef&) const = 0;
  virtual std::unique_ptr<entity> clone() const = 0;
  virtual void save(v1::Snapshot&) const = 0;
  virtual void restore(const v1::Snapshot&) = 0;
};

/// A new entity of this kind, in the state before its first event.
std::unique_ptr<entity> make_entity(v1::Kind);

/// The command that a due deadline sends to an entity of this kind, if it has deadlines.
std::optional<v1::Command> wake_command(v1::Kind);

}  // namespace usher::actors
