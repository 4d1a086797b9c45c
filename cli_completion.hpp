#pragma once
// The verb `completion`: what a shell needs to complete the others.

#include "cli_common.hpp"

namespace usher::cli {

/// Adds the verb; once it has run, `code` is its exit code. Both outlive the parse. It knows whatever verbs the app has by then.
void add_completion(CLI::App& app, int& code);

/// The script for bash. zsh understands it as well, after bashcompinit.
std::string completion_script(const CLI::App& app);

}  // namespace usher::cli
