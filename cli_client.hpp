#pragma once
// The verbs that talk to a running node or measure one: `show import`, `rehearse` and `bench`.

#include "cli_common.hpp"

namespace usher::cli {

/// Each adds its verb; once it has run, `code` is its exit code. `code` outlives the app's parse.
void add_show(CLI::App& app, int& code);
void add_rehearse(CLI::App& app, int& code);
void add_bench(CLI::App& app, int& code);

}  // namespace usher::cli
