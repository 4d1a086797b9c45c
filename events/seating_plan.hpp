#pragma once
// Halls as pretix describes them: its seating-plan JSON becomes sections and tiers of a show.

#include <boost/json/value.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "events/reply.pb.h"
#include "events/show.pb.h"

namespace usher {

/// Reads a seating plan: a zone becomes a seated section, a row a row, a seat a named seat whose id is its `seat_guid` and whose
/// tier is its category. Rows and zones without seats are left out, and so is all that only matters for drawing.
///
/// @param prices  the price of one place in minor units, by category; a category that no seat has needs none
/// @param into    sections are added, and the tiers that are used and not yet there; left as it was where there is a fault
/// @return a fault for each place that is wrong, at most fault_limit, with its path within the plan (`zones[1].rows[3].seats[0].category`):
///         a missing or empty member, a wrong type, a name or guid that is there twice, a category that is unknown or has no price
[[nodiscard]] std::vector<v1::Fault> read_seating_plan(const boost::json::value& plan,
                                                       const std::map<std::string, std::int64_t>& prices, v1::ShowPlan& into);

}  // namespace usher
