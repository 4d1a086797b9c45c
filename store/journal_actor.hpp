#pragma once
// The actor that gives the journal its thread. The only file of the store that knows CAF.

#include <caf/actor.hpp>
#include <caf/atom.hpp>

namespace caf {
class actor_system;
}

namespace usher::store {

class journal;

/// Tells the actor that the journal has work: `caf::anon_send(actor, write_atom::value)` from hooks.work_waits.
using write_atom = caf::atom_constant<caf::atom("write")>;

/// Spawns the actor that writes rounds until nothing waits. `j` outlives it.
///
/// @param detached  with a thread of its own, as a sync blocks it; without only under a scheduler that is stepped by
///                  hand (simulation)
/// It ends with an exit message, after the round under way; callbacks run in its thread. Whoever holds the actor (also
/// hooks.work_waits) lets go of it before the actor system is destroyed, which otherwise waits for ever.
caf::actor spawn_journal(caf::actor_system&, journal& j, bool detached);

}  // namespace usher::store
