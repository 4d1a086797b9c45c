#pragma once
// Chooses seats for a buyer who leaves the choice to the house.

#include <string>
#include <vector>

#include "events/api.pb.h"
#include "projections/seat_map.hpp"

namespace usher::http {

/// Adjacent free seats of one row and tier: in the first row, in the layout's order, that has so many side by side, those
/// nearest to the row's middle. A choice, not a hold: the reservation decides, and may find a seat taken.
///
/// Many choose at the same moment, and all but one of those who choose the same seats lose them. Whoever lost chooses again with a
/// higher `attempt`, among ever more good blocks, so that they spread.
/// @param seed  which of them; any number
/// Throws refusal: VALIDATION_FAILED for a quantity outside 1 to 50 or an unknown tier, SEAT_UNAVAILABLE where no row has them.
/// Cost: looks at every seat; at the rows before the chosen one for the first attempt.
std::vector<std::string> choose_best(const projections::show_seats&, const v1::BestAvailableBody&, unsigned attempt, std::uint64_t seed);

}  // namespace usher::http
