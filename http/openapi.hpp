#pragma once
// The description of the interface, part of the program.

#include <string_view>

namespace usher::embedded {

/// http/openapi.yaml as it was when the program was built.
std::string_view openapi();

}  // namespace usher::embedded
