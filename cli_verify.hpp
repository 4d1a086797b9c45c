#pragma once
// `usher verify`: whether the log is what was once written.

#include "cli_common.hpp"

namespace usher::cli {

/// Adds the verb; once it has run, `code` is its exit code, and outlives the app's parse.
void add_verify(CLI::App& app, int& code);

}  // namespace usher::cli
