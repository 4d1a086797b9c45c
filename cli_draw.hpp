#pragma once
// The verb that checks a draw without a node: `verify-draw`.

#include "cli_common.hpp"

namespace usher::cli {

/// Adds the verb; once it has run, `code` is its exit code. `code` outlives the app's parse.
void add_verify_draw(CLI::App& app, int& code);

}  // namespace usher::cli
