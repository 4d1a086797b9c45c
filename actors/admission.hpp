#pragma once
// How many people a waiting room lets in now, and who they are.

#include <optional>

#include "events/vocabulary.hpp"
#include "events/waiting_room.hpp"

namespace usher::actors {

/// How long after the entries are closed the draw is held, so that the root of its tree is public before its secret.
inline constexpr std::int64_t draw_delay_ms = 2000;

/// What an admission has to keep to, at the moment of a decision. A decision that changes some of it sets that before it asks.
struct admission_limits {
  admission_limits(const waiting_room&, std::int64_t now_ms);

  const waiting_room& room;
  std::int64_t now_ms;
  queue_pace pace;
  std::int64_t window_started_at_ms;
  std::uint32_t admitted_in_window;
  std::uint64_t inside;
  struct supply {
    std::uint64_t available;
    std::uint64_t held;
  };
  std::optional<supply> left;              ///< places that are not sold; nullopt: nobody has said
  bool paused;
  bool closed;
  std::int64_t opens_at_ms;
};

/// Whoever is due now. @return nullopt: nobody
std::optional<v1::QueueEvent> admission(const admission_limits&);
/// Somebody who joins this lane now, where they need not wait. @return nullopt: they do
std::optional<v1::QueueEvent> admission_of_newcomer(const admission_limits&, std::uint32_t lane);
/// When somebody is due next if nothing but the clock changes. @return nullopt: never
std::optional<std::int64_t> next_admission_ms(const waiting_room&);

}  // namespace usher::actors
