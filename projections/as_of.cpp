#include "projections/as_of.hpp"

#include <algorithm>

#include "projections/shows.hpp"

namespace usher::projections {

result<std::optional<seats_then>> seats_as_of(const store::database& log, const std::string& show_id, moment until) {
  seat_map seats;
  shows plans{seats};
  const auto concerns = [&show_id](const v1::StreamEvent& e) { return e.stream().group() == show_id; };
  auto scanned = log.scan(partition_of(show_id), 1, [&](const store::record_ptr& record, std::string_view) {
    if (record->index() > until.index || record->at_ms() > until.at_ms) return false;
    if (!std::any_of(record->events().begin(), record->events().end(), concerns)) return true;
    seats.apply(*record);
    plans.apply(*record);
    return true;
  });
  if (!scanned) return scanned.error();
  auto then = seats.find(show_id);
  if (!then) return std::optional<seats_then>{};
  return std::optional{seats_then{std::move(then), plans.plan(show_id)}};
}

}  // namespace usher::projections
