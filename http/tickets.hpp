#pragma once
// What a person in a queue is told, over HTTP and over the WebSocket alike.

#include "http/handlers.hpp"

namespace usher::http {

/// The members status, position, ahead, total, eta and, once admitted, admission with its token.
void write_ticket_status(json_writer&, const engine&, const projections::ticket_view&);

}  // namespace usher::http
