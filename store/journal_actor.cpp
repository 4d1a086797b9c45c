// Writes a round, then sends itself the next: what comes in between is handled between two rounds.

#include "store/journal_actor.hpp"

#include <caf/actor_system.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>

#include "store/bug.hpp"
#include "store/journal.hpp"

namespace usher::store {
namespace {

caf::behavior journal_writer(caf::event_based_actor* self, journal* j) {
  self->set_exception_handler([](std::exception_ptr& thrown) -> caf::error {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      bug(std::string{"the journal threw: "} + e.what());
    }
  });
  return {
      [self, j](write_atom) {
        if (j->write_round()) self->send(self, write_atom::value);
      },
  };
}

}  // namespace

caf::actor spawn_journal(caf::actor_system& system, journal& j, bool detached) {
  return detached ? system.spawn<caf::detached>(journal_writer, &j) : system.spawn(journal_writer, &j);
}

}  // namespace usher::store
