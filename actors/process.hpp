#pragma once
// Processes span partitions: what a process makes of the answers to its errands.

#include "actors/request.hpp"

namespace usher::actors {

/// The command that the sender of `sent` gives itself when it hears `a`. Pure.
/// @return nullopt where the answer decides nothing: the sender's deadline repeats the errand
std::optional<v1::Command> heard(const v1::Command& sent, const answer& a);

}  // namespace usher::actors
