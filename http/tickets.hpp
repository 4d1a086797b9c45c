#pragma once
// What a person in a queue is told, alike over the WebSocket, as server-sent events and by polling.

#include <string>
#include <string_view>

#include "events/json.hpp"
#include "http/auth.hpp"
#include "projections/queues.hpp"

namespace usher::http {

/// What is the same for everybody in the waiting room, as the members of an object: the pace, a pause and its reason, the
/// notice, what is sold out, how it ended, and what lanes weigh where there are several. All of them are always there, so that each message says what is true now.
std::string room_members(const projections::queue_totals&);

/// How many wait, as members: `total`, or `laneTotals` where there are several lanes.
std::string total_members(const projections::queue_totals&);

/// The members number, status, position, ahead, total, lane (where there are several), eta, those of the room and, once
/// admitted, the admission with its token. Position and ahead are null before the draw, eta where nobody can tell.
/// @param device  that the admission's token is for
void write_place(json_writer&, const tokens&, const projections::ticket_view&, std::uint32_t device, std::string_view room_members);

}  // namespace usher::http
