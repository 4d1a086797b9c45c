#pragma once
// Forgetting a person for good: the key is gone with the record, and then from every file (docs/decisions/0010).

#include "http/handlers.hpp"

namespace usher::http {

/// Makes sure that no file of the node holds the key of anybody who was erased, those erased meanwhile too; waits for who still
/// reads such a file. Thread-safe. For a thread that may wait for minutes.
/// @return of how many
/// @error io_failure  also where it was cancelled
result<std::uint64_t> purge_all(engine&, operation_progress&);

/// Starts the operation that makes sure that no file of the node holds the key of anybody who was erased before the call, or
/// finds it under way. What it leaves undone where the node ends is there for the next start.
/// @return the operation's id; nullopt where too many wait
std::optional<std::string> start_purge(engine&);

/// The same where somebody is left to be purged: after a start, and for who was erased just when the operation ended. Cheap.
/// @error io_failure
result<void> resume_purge(engine&);

/// DELETE /users/{id}
reply erase_user(engine&, request_context&);

}  // namespace usher::http
