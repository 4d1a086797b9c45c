#pragma once
// What events make of a state, where more than the aggregate itself needs to know.

#include "events/reservation.pb.h"

namespace usher {

/// Takes one event into a reservation's state. Total: never fails, never asks a clock.
void fold(v1::ReservationState&, const v1::ReservationEvent&);

}  // namespace usher
