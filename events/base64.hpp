#pragma once
// Bytes as text (RFC 4648).

#include <optional>
#include <string>
#include <string_view>

namespace usher {

/// With padding. For what is public: how long it takes tells of the bytes.
std::string to_base64(std::string_view bytes);
/// The bytes of which to_base64 makes this, of up to 2 GiB. @return nullopt where there are none. For what is public or comes from a file
std::optional<std::string> from_base64(std::string_view text);

/// The alphabet for URLs, without padding, as tokens have it. For what is public.
std::string to_base64url(std::string_view bytes);

}  // namespace usher
