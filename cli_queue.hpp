#pragma once
// The verb `queue`: what an operator sees and does of a show's waiting room.

#include "cli_common.hpp"

namespace usher::cli {

/// Adds the verb; once it has run, `code` is its exit code. `code` outlives the app's parse.
void add_queue(CLI::App& app, int& code);

}  // namespace usher::cli
