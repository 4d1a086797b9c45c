#pragma once
// Operations of a running node, for the verbs that start one.

#include <boost/json/object.hpp>

#include "cli_server.hpp"

namespace usher::cli {

/// Asks the node for an operation (a POST that answers 202), and waits for its end behind a bar.
///
/// @return  the operation as GET /operations/{id} tells it: `state` is SUCCEEDED or FAILED
/// @error io_failure  the node refused, can't be reached, or forgot the operation: it was restarted
[[nodiscard]] result<boost::json::object> run_operation(const server& on, const std::string& target, const std::string& body = "{}");

}  // namespace usher::cli
