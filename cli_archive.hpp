#pragma once
// The verb `archive`: years of history move out of the log's way.

#include "cli_common.hpp"

namespace usher::cli {

/// Adds the verb; once it has run, `code` is its exit code. `code` outlives the app's parse.
void add_archive(CLI::App& app, int& code);

}  // namespace usher::cli
