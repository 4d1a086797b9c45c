#pragma once
// The verbs `export` and `import`: the log as text, and a log made of it.

#include "cli_common.hpp"

namespace usher::cli {

/// Each adds its verb; once it has run, `code` is its exit code. `code` outlives the app's parse.
void add_export(CLI::App& app, int& code);
void add_import(CLI::App& app, int& code);

}  // namespace usher::cli
