// The last words of a node whose own rules are broken.

#include "store/bug.hpp"

#include <cstdio>
#include <cstdlib>

namespace usher::store {

void bug(std::string_view what) {
  std::fprintf(stderr, "bug: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace usher::store
