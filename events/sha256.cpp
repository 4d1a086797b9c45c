// SHA-256 by OpenSSL, which uses the processor's instructions for it.

#include "events/sha256.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace usher {
namespace {

[[noreturn]] void stop() {
  std::fputs("bug: OpenSSL has no SHA-256\n", stderr);
  std::abort();
}

/// The algorithm and the context are looked up once: both cost more than the hash itself.
struct hasher {
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm{EVP_MD_fetch(nullptr, "SHA256", nullptr), &EVP_MD_free};
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

constexpr std::string_view hex_digits = "0123456789abcdef";

}  // namespace

sha256_digest sha256(std::initializer_list<std::string_view> parts) {
  thread_local const hasher h;
  if (!h.algorithm || !h.context || EVP_DigestInit_ex2(h.context.get(), h.algorithm.get(), nullptr) != 1) stop();
  for (const auto part : parts)
    if (EVP_DigestUpdate(h.context.get(), part.data(), part.size()) != 1) stop();
  sha256_digest out;
  if (EVP_DigestFinal_ex(h.context.get(), out.data(), nullptr) != 1) stop();
  return out;
}

std::optional<sha256_digest> digest_from_bytes(std::string_view bytes) {
  sha256_digest out;
  if (bytes.size() != out.size()) return {};
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

std::string to_hex(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    text += hex_digits[byte >> 4];
    text += hex_digits[byte & 15U];
  }
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return {};
  std::string bytes(text.size() / 2, '\0');
  for (std::size_t i = 0; i != text.size(); ++i) {
    const auto digit = hex_digits.find(text[i]);
    if (digit == std::string_view::npos) return {};
    bytes[i / 2] = static_cast<char>(static_cast<unsigned char>(bytes[i / 2]) << 4 | digit);
  }
  return bytes;
}

}  // namespace usher
