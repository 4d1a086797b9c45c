#pragma once
// Where actors run: on the I/O thread that sent to them.

#include <boost/asio/io_context.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

namespace usher {

/// Has the system give an actor that an I/O thread wakes to that very thread, so that a request is decided where it was read:
/// nobody else has to be woken for it, and it is still in the cache. Actors that others wake (the clock, the journal) run on
/// CAF's own threads. Before the system is made.
void schedule_where_woken(caf::actor_system_config&);

/// Runs `io` in the caller's thread until it has no more work, and the actors that its handlers wake: some handlers first, then
/// all that they woke, so that what comes together is decided and recorded together.
void run_with_actors(boost::asio::io_context& io, caf::actor_system&);

}  // namespace usher
