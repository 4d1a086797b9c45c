#pragma once
// The verbs that read the log of a node that is stopped: `log` and `stats`.

#include "cli_common.hpp"

namespace usher::cli {

/// Each adds its verb; once it has run, `code` is its exit code. `code` outlives the app's parse.
void add_log(CLI::App& app, int& code);
void add_stats(CLI::App& app, int& code);

}  // namespace usher::cli
