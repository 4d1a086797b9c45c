#pragma once
// The shows that a first start is filled with.

#include <string>

#include "events/vocabulary.hpp"

namespace usher {
class node;
}  // namespace usher

namespace usher::cli {

/// Opens a concert in the demonstration hall (numbered seats, no queue) and a festival (general admission, with a queue)
/// where the node has no show yet. @error io_failure  the node refused
[[nodiscard]] result<void> open_demonstration(node&, const wall_clock&);

/// The show whose seats can be reserved at once: the one without a queue that starts first; empty where there is none.
std::string show_to_try(node&);

}  // namespace usher::cli
