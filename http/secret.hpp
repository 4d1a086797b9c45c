#pragma once
// Secrets that the node shares with nobody, or with one other, and what is signed with them.

#include <filesystem>
#include <string>
#include <string_view>

#include "events/vocabulary.hpp"

namespace usher::http {

/// The secret in a file; 32 random bytes, readable by the owner alone, are made where there is no file.
/// @error invalid_argument  others can read the file, or it has fewer than 32 bytes
/// @error io_failure        the file can't be read or made
[[nodiscard]] result<std::string> secret_from(const std::filesystem::path& file);

/// HMAC-SHA-256 (RFC 2104), 32 bytes.
[[nodiscard]] std::string hmac_sha256(std::string_view secret, std::string_view text);

/// A signature over a message and the time when it was made: `t=<seconds since 1970>,v1=<hex of the HMAC over "<t>.<message>">`.
[[nodiscard]] std::string sign_message(std::string_view secret, std::string_view message, time_point now);
/// Whether it was signed with this secret, at most five minutes before or after `now`. Constant time in the signature.
[[nodiscard]] bool is_signed_message(std::string_view secret, std::string_view message, std::string_view signature, time_point now);

}  // namespace usher::http
