#pragma once
// Bytes as text (RFC 4648).

#include <string>
#include <string_view>

namespace usher {

/// With padding. For what is public: how long it takes tells of the bytes.
std::string to_base64(std::string_view bytes);

/// The alphabet for URLs, without padding, as tokens have it. For what is public.
std::string to_base64url(std::string_view bytes);

}  // namespace usher
