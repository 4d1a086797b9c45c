#pragma once
// The verb `projection`: how the read models are doing, and building them again.

#include <CLI/CLI.hpp>

namespace usher::cli {

/// @param code  the exit code, once the verb has run
void add_projection(CLI::App& app, int& code);

}  // namespace usher::cli
