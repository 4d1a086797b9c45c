#pragma once
// The log of a node that is stopped, opened as it is, for the verbs that read it.

#include <google/protobuf/message.h>

#include "cli_common.hpp"
#include "store/database.hpp"

namespace usher::cli {

/// Opens the log of a data directory read-only. Nothing in it is changed.
/// @error io_failure  there is none, or a node runs on it: ask that over HTTP
/// @error corrupted, wrong_format  as database::open_read_only
[[nodiscard]] result<std::unique_ptr<store::database>> open_offline(const std::string& data_directory);

/// How many records there are.
std::uint64_t records_in(const store::database&);

/// `17/4711`: partition and index, as the command line writes a place in the log.
std::string place_of(log_position);
/// @return nullopt where it is none
std::optional<log_position> place_from(const std::string& text);

/// `reservation.placed`: the kind of entity and what it is about, of a command (oneof `kind`) or an event (oneof `payload`).
std::string type_of(const google::protobuf::Message& message, const char* oneof);

}  // namespace usher::cli
