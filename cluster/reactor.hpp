#pragma once
// Drives what must happen without anybody asking: deadlines of entities, awake or asleep.

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "cluster/router.hpp"
#include "store/index.hpp"

namespace usher::cluster {

/// Starts the reactor: every 20 ms it sends a wake command to each entity whose deadline is due by the wall clock, most
/// overdue first and at most 4,096 at once; where more are due it goes on behind them the next time. One that stays due is asked again after a second, so a command that was
/// lost or answered with nothing is repeated but never floods its entity.
/// The deadlines come from the log, so they also fire for entities that sleep and after a restart.
caf::actor spawn_reactor(caf::actor_system&, const store::engine_index&, const wall_clock&, router&);

}  // namespace usher::cluster
