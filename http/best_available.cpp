#include "http/best_available.hpp"

#include <algorithm>
#include <cstdlib>

#include "http/handlers.hpp"

namespace usher::http {
namespace {

std::optional<std::uint16_t> tier_named(const projections::show_seats& seats, const std::string& name) {
  if (name.empty()) return std::nullopt;
  for (int i = 0; i < seats.plan->tiers_size(); ++i)
    if (seats.plan->tiers(i).name() == name) return static_cast<std::uint16_t>(i);
  throw refuse_field(v1::VALIDATION_FAILED, "bestAvailable.tier", "The show has no such tier.");
}

/// Where blocks of so many free seats begin in a row, those nearest to its middle first. A block is of one tier, so that all of it costs the same.
std::vector<std::size_t> blocks_of_row(const projections::show_seats& seats, std::size_t begin, std::size_t end, std::size_t wanted,
                                       std::optional<std::uint16_t> tier) {
  const auto& hall = *seats.seating;
  const auto fits = [&](std::size_t i) { return seats.phase(i) == v1::AVAILABLE && (!tier || hall.at(i).tier == *tier); };
  std::vector<std::size_t> blocks;
  for (std::size_t i = begin, run = 0; i < end; ++i) {
    run = !fits(i) ? 0 : (run > 0 && hall.at(i).tier == hall.at(i - 1).tier ? run + 1 : 1);
    if (run >= wanted) blocks.push_back(i + 1 - wanted);
  }
  const auto twice_off_middle = [&](std::size_t block) {
    return std::abs(static_cast<std::int64_t>(2 * block + wanted) - static_cast<std::int64_t>(begin + end));
  };
  std::ranges::stable_sort(blocks, {}, twice_off_middle);
  return blocks;
}

}  // namespace

std::vector<std::string> choose_best(const projections::show_seats& seats, const v1::BestAvailableBody& wish, unsigned attempt,
                                     std::uint64_t seed) {
  const std::size_t wanted = wish.quantity();
  if (wanted < 1 || wanted > 50) throw refuse_field(v1::VALIDATION_FAILED, "bestAvailable.quantity", "It has to be from 1 to 50.");
  const auto tier = tier_named(seats, wish.tier());
  const auto& hall = *seats.seating;
  const std::size_t enough = std::size_t{1} << (4 * std::min(attempt, 4U));
  std::vector<std::size_t> blocks;
  for (std::size_t begin = 0; begin < hall.size() && blocks.size() < enough;) {
    const auto first = hall.at(begin);
    auto end = begin;
    while (end < hall.size() && hall.at(end).section == first.section && hall.at(end).row == first.row) ++end;
    const auto more = blocks_of_row(seats, begin, end, wanted, tier);
    blocks.insert(blocks.end(), more.begin(), more.end());
    begin = end;
  }
  if (blocks.empty()) throw refuse(v1::SEAT_UNAVAILABLE, "No row has that many free seats side by side.");
  const auto block = blocks[seed % std::min(blocks.size(), enough)];
  std::vector<std::string> names;
  for (std::size_t i = block; i < block + wanted; ++i) names.emplace_back(hall.at(i).name);
  return names;
}

}  // namespace usher::http
