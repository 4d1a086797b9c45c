#pragma once
// How the store stops the node when its own rules are broken.

#include <string_view>

namespace usher::store {

/// Prints `what` and aborts. The log is the truth, so that stopping is safe and going on is not. On in release builds.
[[noreturn]] void bug(std::string_view what);

}  // namespace usher::store
