// Reading a server's JSON: an absent or odd member reads as nothing, and the step that needs it fails.
#pragma once

#include <boost/json.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace usher::bench {

/// The object that a text is; empty where it is none.
boost::json::object object_of(std::string_view text);

/// A string as it is, null and an absent member as nothing, anything else as JSON.
std::string text(const boost::json::object&, std::string_view name);
/// 0 where it is no number; a fraction loses what is behind the point.
std::int64_t number(const boost::json::object&, std::string_view name);
/// Nothing where it is absent, null, or no number that is at least 0.
std::optional<std::uint64_t> count(const boost::json::object&, std::string_view name);
bool flag(const boost::json::object&, std::string_view name);
/// The object of that name, or nullptr. It lives as long as its parent.
const boost::json::object* member(const boost::json::object&, std::string_view name);
const boost::json::array* list(const boost::json::object&, std::string_view name);

/// Milliseconds since 1970 of a time in RFC 3339; 0 where it is absent or none.
std::int64_t time_ms(const boost::json::object&, std::string_view name);

/// The states of so many seats (0 available, 1 held, 2 sold, 3 blocked) from the seat map's bitset.
std::vector<char> seat_states_in(std::string_view body, std::size_t seats);

}  // namespace usher::bench
