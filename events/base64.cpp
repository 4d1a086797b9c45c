#include "events/base64.hpp"

#include <cstdint>

namespace usher {
namespace {

constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Four letters for each three bytes; fewer for what is left at the end.
std::string encoded(std::string_view bytes, std::string_view alphabet) {
  std::string text((bytes.size() * 4 + 2) / 3, '\0');
  std::uint32_t bits = 0;
  unsigned pending = 0;  // of `bits`
  auto out = text.begin();
  for (const unsigned char byte : bytes) {
    bits = bits << 8 | byte;
    for (pending += 8; pending >= 6;) *out++ = alphabet[bits >> (pending -= 6) & 63U];
  }
  if (pending != 0) *out = alphabet[bits << (6 - pending) & 63U];
  return text;
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  auto text = encoded(bytes, letters);
  text.resize((bytes.size() + 2) / 3 * 4, '=');
  return text;
}

std::string to_base64url(std::string_view bytes) { return encoded(bytes, url_letters); }

}  // namespace usher
