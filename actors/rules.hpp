#pragma once
// Words that the deciders share when they accept without recording, or refuse what makes no sense.

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "actors/aggregate.hpp"

namespace usher::actors {

/// Accepts and records nothing: the state is already as asked.
template <class Event>
decision<Event> unchanged(v1::Outcome outcome = {}) {
  outcome.set_unchanged(true);
  return decision<Event>::accepted(std::vector<Event>{}, std::move(outcome));
}

inline void add_fault(v1::Rejection& rejection, std::string field, std::string detail) {
  auto* fault = rejection.add_faults();
  fault->set_field(std::move(field));
  fault->set_detail(std::move(detail));
}

/// Refuses with VALIDATION_FAILED because of one field.
/// @param field  its JSON path, empty where no field is to blame
template <class Event>
decision<Event> invalid(std::string field, std::string detail) {
  auto d = decision<Event>::rejected(v1::VALIDATION_FAILED, detail);
  add_fault(d.rejection, std::move(field), std::move(detail));
  return d;
}

/// What a command message with nothing in it is answered with.
template <class Event>
decision<Event> no_command() {
  return decision<Event>::rejected(v1::INVALID_REQUEST, "The command is empty.");
}

inline constexpr std::size_t name_bytes_max = 100;

/// Control characters have no place in what becomes part of keys and log lines.
inline bool is_name(std::string_view text, std::size_t bytes_max = name_bytes_max) {
  return !text.empty() && text.size() <= bytes_max &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

/// `1 place`, `2 places`.
inline std::string counted(std::uint64_t n, const std::string& noun) {
  return std::to_string(n) + ' ' + noun + (n == 1 ? "" : "s");
}

}  // namespace usher::actors
