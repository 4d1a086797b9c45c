#pragma once
// A stored record, read for a read model: only what that folds, which is much faster than all of it.

#include <google/protobuf/arena.h>

#include <string>
#include <string_view>

#include "projections/projection.hpp"

namespace usher::projections {

/// Decodes one record after the other into the same memory. For one thread.
class folded_events {
 public:
  /// @param wanted  events of other payloads are left out, unless their payload is unknown
  explicit folded_events(payloads wanted) : wanted_(wanted) {}

  /// Partition, index, times and the wanted events, in today's form; nothing else. Valid until the next call.
  /// @return nullptr where the bytes are no record
  [[nodiscard]] const v1::Record* read(std::string_view stored);

 private:
  [[nodiscard]] bool is_wanted(std::string_view event) const;
  [[nodiscard]] bool read_into(v1::Record&, std::string_view stored) const;

  const payloads wanted_;
  google::protobuf::Arena arena_;
};

}  // namespace usher::projections
