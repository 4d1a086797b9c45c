#pragma once
// The log of a node that is stopped, opened as it is, for the verbs that read it.

#include "cli_common.hpp"
#include "events/words.hpp"
#include "store/database.hpp"

namespace usher::cli {

/// Opens the log of a data directory read-only. Nothing in it is changed.
/// @error invalid_argument  there is none
/// @error io_failure  a node runs on it: ask that over HTTP
/// @error corrupted, wrong_format  as database::open_read_only
[[nodiscard]] result<std::unique_ptr<store::database>> open_offline(const std::string& data_directory);

/// How many records there are.
std::uint64_t records_in(const store::database&);

}  // namespace usher::cli
