#pragma once
// `usher history`, `usher state` and `usher diff`: one entity as it was, and how it came to be so.

#include "cli_common.hpp"

namespace usher::cli {

/// Adds the verbs; once one has run, `code` is its exit code, and outlives the app's parse.
void add_history(CLI::App& app, int& code);
void add_state(CLI::App& app, int& code);
void add_diff(CLI::App& app, int& code);

}  // namespace usher::cli
