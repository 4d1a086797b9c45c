#include "cluster/reactor.hpp"

#include <caf/all.hpp>

#include <map>

#include "actors/entity.hpp"

namespace usher::cluster {
namespace {

constexpr auto tick = caf::atom("tick");
constexpr std::chrono::milliseconds tick_every{20};
constexpr std::chrono::seconds ask_again_after{1};
constexpr std::size_t due_at_once = 4096;

/// Due deadlines and when their entities were last asked. A deadline that moved, though not out of what is due, is another one.
using times = std::map<store::engine_index::due_place, time_point>;

/// It goes round through all that is due, a portion each tick: many that stay due, such as payments that hang, must not
/// keep it from the others.
struct reactor_state {
  times asked;    ///< in the last round
  times asking;   ///< in this one, so far
  std::optional<store::engine_index::due_place> behind;  ///< where this round stands; none: at its beginning
};

void wake_due(reactor_state& state, const store::engine_index& index, time_point now, router& to) {
  const auto portion = index.due_at(now, due_at_once, state.behind);
  for (const auto& due : portion) {
    const auto before = state.asked.find(due.place);
    const bool recently = before != state.asked.end() && now - before->second < ask_again_after;
    state.asking[due.place] = recently ? before->second : now;
    if (recently) continue;
    auto command = actors::wake_command(due.entity.kind());
    if (!command) continue;
    auto r = std::make_shared<actors::request>();
    r->to = due.entity;
    r->command = std::move(*command);
    r->causation = "deadline";
    to.send(std::move(r));
  }
  if (portion.size() == due_at_once) {
    state.behind = portion.back().place;
  } else {
    state.behind.reset();
    state.asked = std::exchange(state.asking, {});
  }
}

}  // namespace

caf::actor spawn_reactor(caf::actor_system& system, const store::engine_index& index, const wall_clock& clock,
                         router& to) {
  return system.spawn([&index, &clock, &to](caf::stateful_actor<reactor_state>* self) -> caf::behavior {
    self->delayed_send(self, tick_every, tick);
    return {[self, &index, &clock, &to](caf::atom_constant<tick>) {
      wake_due(self->state, index, clock.now(), to);
      self->delayed_send(self, tick_every, tick);
    }};
  });
}

}  // namespace usher::cluster
