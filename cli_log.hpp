#pragma once
// `usher log`: the records of the log.

#include "cli_common.hpp"

namespace usher::cli {

/// Adds the verb; once it has run, `code` is its exit code, and outlives the app's parse.
void add_log(CLI::App& app, int& code);

}  // namespace usher::cli
