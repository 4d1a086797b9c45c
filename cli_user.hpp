#pragma once
// `usher user`: what is known of a person, and how they are forgotten.

#include "cli_common.hpp"

namespace usher::cli {

/// Adds the verb; once it has run, `code` is its exit code, and outlives the app's parse.
void add_user(CLI::App& app, int& code);

}  // namespace usher::cli
