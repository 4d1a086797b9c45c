#pragma once
// What is done to whole files and directories: hashing what is in them, making it durable, keeping others out.

#include <functional>
#include <string>

#include "events/vocabulary.hpp"

namespace usher::store {

/// SHA-256 of a file in hex. @param read  called with the number of bytes of each piece; may be empty
/// @error io_failure  Cost: about a second for 500 MB.
result<std::string> sha256_of_file(const std::string& path, const std::function<void(std::uint64_t)>& read = {});

/// Makes a directory that its owner alone may look into. One that is there already stays as it is, and those above it get the usual
/// mode. @error io_failure
result<void> make_private_directory(const std::string& path);

/// Makes a file's content, or a directory's entries, durable. @error io_failure
result<void> sync_path(const std::string& path);

}  // namespace usher::store
