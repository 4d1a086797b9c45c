#include "http/best_available.hpp"

#include <algorithm>
#include <set>

#include "http/handlers.hpp"

namespace usher::http {
namespace {

constexpr std::uint32_t quantity_max = 50;
constexpr std::size_t alternatives_max = 3;

std::optional<std::uint16_t> tier_named(const projections::show_seats& seats, const std::string& name) {
  if (name.empty()) return std::nullopt;
  for (int i = 0; i < seats.plan->tiers_size(); ++i)
    if (seats.plan->tiers(i).name() == name) return static_cast<std::uint16_t>(i);
  throw refuse_field(v1::VALIDATION_FAILED, "bestAvailable.tier", "The show has no such tier.");
}

/// The picked seats by their places, in order, each once; those that do not exist are left out.
std::vector<std::uint32_t> places_of(const layout& hall, const v1::PlaceReservation& wish) {
  std::set<std::uint32_t> places;
  for (const auto& item : wish.seats())
    if (const auto place = hall.find(item.seat())) places.insert(*place);
  return {places.begin(), places.end()};
}

void add_alternatives(const projections::show_seats& seats, const actors::terms& terms, const std::vector<std::uint32_t>& picked,
                      v1::Rejection& refusal) {
  const auto& floor = seats.seating->floor();
  auto wish = wish_like(floor, picked);
  if (!wish) return;
  wish->spares_orphans = terms.forbids_orphans();
  for (const auto& block : best_blocks(floor, seats.free_seats(), *wish, alternatives_max)) {
    auto& instead = *refusal.add_alternatives();
    std::int64_t amount = 0;
    for (auto i = block.begin; i != block.begin + block.size; ++i) {
      instead.add_seats(std::string{seats.seating->at(i).name});
      amount += terms.at(i).price;
    }
    instead.set_amount(amount);
  }
}

}  // namespace

std::vector<std::string> choose_best(const projections::show_seats& seats, const v1::BestAvailableBody& body, bool spares_orphans,
                                     unsigned attempt, std::uint64_t seed) {
  if (body.quantity() < 1 || body.quantity() > quantity_max)
    throw refuse_field(v1::VALIDATION_FAILED, "bestAvailable.quantity", "It has to be from 1 to 50.");
  const seat_wish wish{body.quantity(), tier_named(seats, body.tier()), body.accessible(), spares_orphans};
  std::vector<std::string> names;
  for (const auto& block : best_available(seats.seating->floor(), seats.free_seats(), wish, attempt, seed))
    for (auto i = block.begin; i != block.begin + block.size; ++i) names.emplace_back(seats.seating->at(i).name);
  if (names.empty()) throw refuse(v1::SEAT_UNAVAILABLE, "There are not that many free seats of one tier.");
  return names;
}

std::vector<std::vector<std::string_view>> blocks_of(const layout& hall, const google::protobuf::RepeatedPtrField<std::string>& seats) {
  std::set<std::uint32_t> places;
  for (const auto& seat : seats)
    if (const auto place = hall.find(seat)) places.insert(*place);
  std::vector<std::vector<std::string_view>> blocks;
  for (const auto place : places) {
    const auto seat = hall.at(place);
    const bool goes_on = places.contains(place - 1) && hall.at(place - 1).row == seat.row && hall.at(place - 1).section == seat.section;
    if (!goes_on) blocks.emplace_back();
    blocks.back().push_back(seat.name);
  }
  return blocks;
}

void complete_refusal(const projections::show_seats& seats, const actors::terms& terms, const v1::PlaceReservation& wish,
                      v1::Rejection& refusal) {
  const std::set<std::string> named(refusal.seats().begin(), refusal.seats().end());
  refusal.clear_seats();
  for (const auto& item : wish.seats()) {
    const auto place = seats.seating->find(item.seat());
    if (named.contains(item.seat()) || (place && seats.phase(*place) != v1::AVAILABLE)) refusal.add_seats(item.seat());
  }
  if (refusal.seats_size() > 1) refusal.set_detail(std::to_string(refusal.seats_size()) + " of these seats are not available.");
  add_alternatives(seats, terms, places_of(*seats.seating, wish), refusal);
}

std::optional<v1::Rejection> orphans_left(const projections::show_seats& seats, const actors::terms& terms, const v1::PlaceReservation& wish) {
  const auto picked = places_of(*seats.seating, wish);
  const bool all_free = std::ranges::all_of(picked, [&](auto place) { return seats.phase(place) == v1::AVAILABLE; });
  if (picked.empty() || !all_free || std::ssize(picked) != wish.seats_size()) return std::nullopt;
  const auto& floor = seats.seating->floor();
  const auto& free = seats.free_seats();
  const auto orphans = orphans_of(floor, free, picked);
  if (orphans.empty() || !could_spare_orphans(floor, free, picked)) return std::nullopt;
  v1::Rejection refusal;
  refusal.set_code(v1::ORPHAN_SEAT);
  for (const auto orphan : orphans) refusal.add_seats(std::string{seats.seating->at(orphan).name});
  refusal.set_detail("Seat " + refusal.seats(0) + " would stay free with nobody beside it, which this show does not allow.");
  add_alternatives(seats, terms, picked, refusal);
  return refusal;
}

std::vector<std::string> seats_around(const layout& hall, const v1::PlaceReservation& wish) {
  std::set<std::uint32_t> around;
  for (const auto place : places_of(hall, wish))
    for (auto i = place - std::min(place, 2U); i <= place + 2 && i < hall.size(); ++i) around.insert(i);
  std::vector<std::string> names;
  for (const auto place : around) names.emplace_back(hall.at(place).name);
  return names;
}

}  // namespace usher::http
