#pragma once
// Making accounts, one by one or by the million.

#include "events/api.pb.h"
#include "http/handlers.hpp"

namespace usher::http {

/// The command that makes the account. Throws refusal where the password can't be used, or too many are being hashed.
asio::awaitable<actors::request_ptr> sign_up_request(engine&, request_context&, v1::SignUpBody);

/// POST /users/bulk: a user a line, decided side by side; what became of them follows as lines, at the latest every second.
reply sign_up_many(engine&, request_context&, exchange&);

}  // namespace usher::http
