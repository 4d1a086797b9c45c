#pragma once
// What events make of a state, where more than the aggregate itself needs to know.

#include "events/reservation.pb.h"
#include "events/show.pb.h"

namespace usher {

/// Takes one event into a reservation's state. Total: never fails, never asks a clock.
void fold(v1::ReservationState&, const v1::ReservationEvent&);
/// Takes a change into the description of a show.
void fold(v1::ShowPlan&, const v1::ShowChange&);

}  // namespace usher
