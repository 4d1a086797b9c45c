// SHA-256 by OpenSSL, with the algorithm and the context looked up once per thread: both cost more than the hash itself.

#include "store/hash.hpp"

#include <openssl/evp.h>

#include <array>
#include <memory>

#include "store/bug.hpp"

namespace usher::store {
namespace {

using digest_bytes = std::array<unsigned char, 32>;

class hasher {
 public:
  hasher() : algorithm_{EVP_MD_fetch(nullptr, "SHA256", nullptr), &EVP_MD_free}, context_{EVP_MD_CTX_new(), &EVP_MD_CTX_free} {
    if (!algorithm_ || !context_) bug("OpenSSL has no SHA-256");
  }
  void start() {
    if (EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr) != 1) bug("SHA-256 can't be started");
  }
  void add(const void* data, std::size_t size) {
    if (EVP_DigestUpdate(context_.get(), data, size) != 1) bug("SHA-256 failed");
  }
  digest_bytes finish() {
    digest_bytes out;
    if (EVP_DigestFinal_ex(context_.get(), out.data(), nullptr) != 1) bug("SHA-256 failed");
    return out;
  }

 private:
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm_;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

hasher& hasher_of_this_thread() {
  thread_local hasher h;
  return h;
}

/// A number and two texts, each text after its length so that no two triples give the same bytes.
short_hash hash_triple(std::uint32_t tag, std::string_view first, std::string_view second) {
  std::array<char, 256> bytes;
  const auto first_size = static_cast<std::uint32_t>(first.size());
  auto& h = hasher_of_this_thread();
  h.start();
  std::memcpy(bytes.data(), &tag, 4);
  std::memcpy(bytes.data() + 4, &first_size, 4);
  if (8 + first.size() + second.size() <= bytes.size()) {
    first.copy(bytes.data() + 8, first.size());
    second.copy(bytes.data() + 8 + first.size(), second.size());
    h.add(bytes.data(), 8 + first.size() + second.size());
  } else {
    h.add(bytes.data(), 8);
    h.add(first.data(), first.size());
    h.add(second.data(), second.size());
  }
  const auto digest = h.finish();
  short_hash out;
  std::memcpy(&out.high, digest.data(), 8);
  std::memcpy(&out.low, digest.data() + 8, 8);
  return out;
}

constexpr std::uint32_t tag_of_keys = 1000;  // beyond every Kind

}  // namespace

std::string sha256(std::string_view bytes) {
  auto& h = hasher_of_this_thread();
  h.start();
  h.add(bytes.data(), bytes.size());
  const auto digest = h.finish();
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

short_hash hash_of(const v1::EntityRef& ref) {
  return hash_triple(static_cast<std::uint32_t>(ref.kind()), ref.group(), ref.name());
}

short_hash hash_of_key(std::string_view user_id, std::string_view idempotency_key) {
  return hash_triple(tag_of_keys, user_id, idempotency_key);
}

}  // namespace usher::store
