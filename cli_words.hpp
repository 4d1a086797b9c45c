#pragma once
// Events in words that somebody understands who answers a customer.

#include <boost/json/object.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace usher::cli {

/// What happened: `held for reservation rsv_…`.
///
/// @param type  as in `seat.held`
/// @param data  what the event says, as in its JSON
/// @return  nullopt for a type that nobody has found words for
std::optional<std::string> words_for(std::string_view type, const boost::json::object& data);

}  // namespace usher::cli
