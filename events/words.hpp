#pragma once
// How places in the log, entities and the types of commands and events are written where people read them.

#include <google/protobuf/message.h>

#include <optional>
#include <string>
#include <string_view>

#include "events/vocabulary.hpp"

namespace usher {

/// `17/4711`: partition and index.
std::string place_of(log_position);
/// @return nullopt where it is none
std::optional<log_position> place_from(std::string_view text);

/// `reservation.placed`: the kind of entity and what it is about, of a command (oneof `kind`) or an event (oneof `payload`).
/// `unknown` where there is nothing, or only what this version of Usher doesn't know.
std::string type_of(const google::protobuf::Message& message, const char* oneof);

/// The message within an event that says what happened (`ReservationPlaced`), or within a command what is wanted. Null where `type_of` is unknown.
const google::protobuf::Message* content_of(const google::protobuf::Message& message, const char* oneof);

/// Whether one of the messages in a oneof (as above) has a kind of this name.
bool is_type_in(const google::protobuf::Descriptor& message, const char* oneof, std::string_view type);

/// An entity from what `key_of` or `name_of` makes, in the two parts that a path has: `seat` and `shw_x/A-12`.
/// @return nullopt where there is no such kind, or the rest can't be its
std::optional<v1::EntityRef> entity_from(std::string_view kind, std::string_view rest);
/// The same in one: `seat/shw_x/A-12`.
std::optional<v1::EntityRef> entity_from(std::string_view key);
/// What people read, and `entity_from` as well: as key_of, but a reservation is `reservation/rsv_…` only.
std::string name_of(const v1::EntityRef&);

}  // namespace usher
