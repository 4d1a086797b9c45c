#pragma once
// Reports on a whole log, for the verbs that print one: by the node that runs, or from the data directory of one that is stopped.

#include <boost/json/object.hpp>

#include <functional>
#include <string>

#include "cli_server.hpp"
#include "http/log_reports.hpp"

namespace usher::cli {

/// Makes the report, behind a bar.
///
/// @param target, body  what the node is asked with (a POST that answers 202)
/// @param offline       makes the same on a stopped node's log
/// @error as run_operation and open_offline; io_failure where the operation failed
[[nodiscard]] result<boost::json::object> report(const server_flags& flags, const std::string& target, const std::string& body,
                                                 const std::function<result<std::string>(const store::database&, const http::report_progress&)>& offline);

/// A member's list, empty where it has none. The object outlives it.
const boost::json::array& list_of(const boost::json::object& object, std::string_view name);

}  // namespace usher::cli
