#pragma once
// `usher stats`: what the log holds, counted.

#include "cli_common.hpp"

namespace usher::cli {

/// Adds the verb; once it has run, `code` is its exit code, and outlives the app's parse.
void add_stats(CLI::App& app, int& code);

}  // namespace usher::cli
