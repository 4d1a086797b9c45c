#pragma once
// The verbs `backup` and `restore`: a node's data as of one moment, and a node made of it.

#include "cli_common.hpp"

namespace usher::cli {

/// Each adds its verb; once it has run, `code` is its exit code. `code` outlives the app's parse.
void add_backup(CLI::App& app, int& code);
void add_restore(CLI::App& app, int& code);

}  // namespace usher::cli
