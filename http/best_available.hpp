#pragma once
// Chooses seats for a buyer who leaves the choice to the house.

#include <string>
#include <vector>

#include "events/api.pb.h"
#include "projections/seat_map.hpp"

namespace usher::http {

/// Adjacent free seats of one row and tier: in the first row, in the layout's order, that has so many side by side, those
/// nearest to the row's middle. A choice, not a hold: the reservation decides, and may find a seat taken.
/// Throws refusal: VALIDATION_FAILED for a quantity outside 1 to 50 or an unknown tier, SEAT_UNAVAILABLE where no row has them.
std::vector<std::string> choose_best(const projections::show_seats&, const v1::BestAvailableBody&);

}  // namespace usher::http
