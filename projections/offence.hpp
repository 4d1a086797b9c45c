#pragma once
// What stops a read model.

#include <optional>
#include <string>

#include "projections/projection.hpp"

namespace usher::projections {

/// An event that a read model could not fold, or must not skip.
struct offence {
  log_position at;
  std::string stream;      ///< as key_of names it; empty: the record has no event
  std::string event_type;  ///< `seat.held`; `unknown` where this version does not know it
  std::string reason;
  [[nodiscard]] std::string text() const;  ///< a sentence with all of it
};

/// Applies a record, unless an event that concerns the projection can't be read. @return why it went wrong; the
/// projection may then hold half of the record
[[nodiscard]] std::optional<offence> apply_to(projection&, const v1::Record&);

}  // namespace usher::projections
