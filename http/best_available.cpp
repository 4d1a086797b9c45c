#include "http/best_available.hpp"

#include <algorithm>
#include <cmath>

#include "http/handlers.hpp"

namespace usher::http {
namespace {

std::optional<std::uint16_t> tier_named(const projections::show_seats& seats, const std::string& name) {
  if (name.empty()) return std::nullopt;
  for (int i = 0; i < seats.plan->tiers_size(); ++i)
    if (seats.plan->tiers(i).name() == name) return static_cast<std::uint16_t>(i);
  throw refuse_field(v1::VALIDATION_FAILED, "bestAvailable.tier", "The show has no such tier.");
}

}  // namespace

std::vector<std::string> choose_best(const projections::show_seats& seats, const v1::BestAvailableBody& wish) {
  const std::size_t wanted = wish.quantity();
  if (wanted < 1 || wanted > 50) throw refuse_field(v1::VALIDATION_FAILED, "bestAvailable.quantity", "It has to be from 1 to 50.");
  const auto tier = tier_named(seats, wish.tier());
  const auto& hall = *seats.seating;
  for (std::size_t begin = 0; begin < hall.size();) {
    const auto first = hall.at(begin);
    auto end = begin;
    while (end < hall.size() && hall.at(end).section == first.section && hall.at(end).row == first.row) ++end;
    const auto fits = [&](std::size_t i) {
      const auto seat = hall.at(i);
      return seats.phase(i) == v1::AVAILABLE && (tier ? seat.tier == *tier : true);
    };
    std::optional<std::size_t> best;
    double best_distance = 0;
    for (std::size_t i = begin, run = 0; i < end; ++i) {
      // A block is of one tier, so that all of it costs the same.
      run = !fits(i) ? 0 : (run > 0 && hall.at(i).tier == hall.at(i - 1).tier ? run + 1 : 1);
      if (run < wanted) continue;
      const auto distance = std::abs((static_cast<double>(i + i - wanted + 1) - static_cast<double>(begin + end - 1)) / 2);
      if (best && distance >= best_distance) continue;
      best = i + 1 - wanted;
      best_distance = distance;
    }
    if (best) {
      std::vector<std::string> names;
      for (std::size_t i = *best; i < *best + wanted; ++i) names.emplace_back(hall.at(i).name);
      return names;
    }
    begin = end;
  }
  throw refuse(v1::SEAT_UNAVAILABLE, "No row has that many free seats side by side.");
}

}  // namespace usher::http
