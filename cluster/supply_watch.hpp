#pragma once
// Tells the queues what is left to sell, so that nobody is led to nothing.

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include <atomic>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "actors/request.hpp"
#include "projections/catalogue.hpp"

namespace usher::cluster {

/// What is left of a show, as its queue is told.
struct supply {
  std::uint64_t available = 0;
  std::uint64_t held = 0;
  std::vector<std::string> sold_out_tiers;  ///< nothing of them is available or held
  bool operator==(const supply&) const = default;
};

/// Whether a queue that knows `before` must hear of `now`: something was the last or is the first again, so little is left that
/// the next admission may want all of it, or what is not sold has changed by more than a tenth.
///
/// @param few  so many people can be admitted at once
bool matters(const supply& before, const supply& now, std::uint64_t few);

/// Sends NoteSupply to the queues that somebody has joined, when what is left is not what the queue knows and the difference
/// matters: at most once a look for each show, and again where the queue has not recorded it after a while. What a queue knows is
/// in its read model, so nothing is missed over a restart, and nothing is said twice.
/// The command's causation is the record that changed the seats last.
class supply_watch {
 public:
  /// @param models  must outlive the watch, and have started before the first look
  /// @param send    takes the commands, at once and from the thread that looks
  supply_watch(const projections::views& models, std::function<void(const actors::request_ptr&)> send);

  /// Notes that something of a show has changed. Thread-safe. Cost: a look-up by the show's id.
  void applied(const v1::Record&);
  /// What is known of the shows may be another thing, without records that say so: the next look is at all of them. Thread-safe.
  void start_over() { looks_at_all_ = true; }
  /// Called by one thread. Cost: some look-ups for each show that has changed since; the first one looks at all shows.
  void look(time_point now);

 private:
  struct message {
    supply what;
    unsigned looks = 0;  ///< since it was sent
  };
  void stir_all();
  void stir(const std::string& show_id);
  void look_at(const std::string& show_id, time_point now);
  void tell(const std::string& show_id, const supply&, std::uint64_t as_of_index);

  const projections::views& models_;
  const std::function<void(const actors::request_ptr&)> send_;
  std::atomic<bool> looks_at_all_{true};
  std::unordered_map<std::string, message> under_way_;  // by show

  std::mutex mutex_;
  std::unordered_set<std::string> stirred_;
};

/// Lets the watch look four times a second.
caf::actor spawn_supply_watch(caf::actor_system&, const wall_clock&, supply_watch&);

}  // namespace usher::cluster
