#pragma once
// Events of earlier schemas become today's where the log is read, so that folds know one form alone; and what this version
// doesn't know is told apart, so that nobody skips it.

#include <optional>
#include <string>
#include <string_view>

#include "events/record.pb.h"

namespace usher {

/// Today's schema of an event of this type, which is what it is written with. 0: this version doesn't know the type.
///
/// A schema is raised where an older Usher would take an event for something else than it means; a field that it may overlook
/// needs no new one.
std::uint32_t schema_of(const v1::StreamEvent&);

/// Brings an event of an earlier schema to today's form. One of today's, and one that can't be read, stays as it is.
/// Pure. Cost: nothing that can be measured for one of today's.
void upcast(v1::StreamEvent&);
/// A record from its stored bytes, all of its events in today's form. `into` may be one that is used again and again.
/// @return false where the bytes can't be decoded
[[nodiscard]] bool decode(std::string_view stored, v1::Record& into);

/// Why an event can't be read: its type is unknown, or its schema is newer than this version's. Half a sentence, such as "it is of
/// a type that this version of Usher doesn't know".
/// @return nullopt where it can
std::optional<std::string> unreadable(const v1::StreamEvent&);

}  // namespace usher
