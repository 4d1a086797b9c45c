#pragma once
// `usher verify`: whether what is stored is what was once written, and whether a proof holds.

#include "cli_common.hpp"

namespace usher::cli {

/// Adds the verb; once it has run, `code` is its exit code, and outlives the app's parse.
void add_verify(CLI::App& app, int& code);

}  // namespace usher::cli
