#pragma once
// `usher replay`: does the log still make what is stored, and would today's code decide as was decided?

#include "cli_common.hpp"

namespace usher::cli {

void add_replay(CLI::App& app, int& code);

}  // namespace usher::cli
