#pragma once
// The verbs `serve` and `up`: a node until a signal ends it.

#include "cli_common.hpp"

namespace usher::cli {

/// Runs a node until SIGINT or SIGTERM; a second one ends it at once. @return an exit code
int serve(const serve_flags& flags);

struct up_flags {
  serve_flags node;
  bool fresh = false;
};
/// The same for somebody who wants to look around: with demonstration shows, a token and commands to try.
int up(const up_flags& flags);

}  // namespace usher::cli
