#pragma once
// The house's choice as a request and its answer have it: seats by name, with prices, and a refusal that helps.

#include <string>
#include <string_view>
#include <vector>

#include "actors/terms.hpp"
#include "events/api.pb.h"
#include "projections/seat_map.hpp"

namespace usher::http {

/// The best free seats by the rules of events/best_available.hpp. A choice, not a hold: the reservation decides, and may find a
/// seat taken; who lost it so chooses again with a higher `attempt`.
/// @param spares_orphans  of the show: rather another row than a single seat that stays free
/// @param seed  which of the good choices; any number
/// Throws refusal: VALIDATION_FAILED for a quantity outside 1 to 50 or an unknown tier, SEAT_UNAVAILABLE where not so many are free.
std::vector<std::string> choose_best(const projections::show_seats&, const v1::BestAvailableBody&, bool spares_orphans, unsigned attempt,
                                     std::uint64_t seed);

/// Seats that a choice gave, by what stands side by side, in the hall's order.
std::vector<std::vector<std::string_view>> blocks_of(const layout&, const google::protobuf::RepeatedPtrField<std::string>& seats);

/// Completes the refusal of seats that a buyer picked (SEAT_UNAVAILABLE): all of them that are taken, in the buyer's order, as the
/// seat map knows them and the refusal itself; and up to three blocks of as many seats to have instead, where all are of one tier
/// and all or none are made for wheelchairs. Cost: as a choice, three times.
void complete_refusal(const projections::show_seats&, const actors::terms&, const v1::PlaceReservation&, v1::Rejection&);

/// ORPHAN_SEAT where the seats that a buyer picked would leave a seat alone, though other seats of the same tiers would not: the orphans, and
/// up to three blocks that would not be refused so. Nothing where a picked seat does not exist, is named twice or is taken: that is for others to refuse.
///
/// It is judged on the seat map, which knows what is held and not what is being decided: two picks at the same moment,
/// each of which is in order, may leave a seat alone together.
std::optional<v1::Rejection> orphans_left(const projections::show_seats&, const actors::terms&, const v1::PlaceReservation&);

/// The picked seats and two to either side of each: on these it rests whether they leave an orphan.
std::vector<std::string> seats_around(const layout&, const v1::PlaceReservation&);

}  // namespace usher::http
