#pragma once
// How threads share the processors.

namespace usher::store {

/// From here on this thread gives way to those that answer buyers: where processors are short, it has a third of their share.
/// A system that refuses this gets a thread like the others.
void give_way();

}  // namespace usher::store
