#pragma once
// Bytes as libsodium wants them.

#include <string>
#include <string_view>

namespace usher::store {

inline unsigned char* octets(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }
inline const unsigned char* octets(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }

}  // namespace usher::store
