#include "events/base64.hpp"

#include <openssl/evp.h>

#include <cstdint>
#include <limits>

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

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() > std::numeric_limits<int>::max()) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  const auto padding = text.ends_with("==") ? 2U : text.ends_with("=") ? 1U : 0U;
  bytes.resize(static_cast<std::size_t>(length) - padding);
  if (to_base64(bytes) != text) return std::nullopt;  // OpenSSL forgives white space and stray bits
  return bytes;
}

std::string to_base64url(std::string_view bytes) { return encoded(bytes, url_letters); }

}  // namespace usher
