// SHA-256 by OpenSSL, which uses the processor's instructions for it; BLAKE2b by libsodium, which is the faster for a few bytes.

#include "store/hash.hpp"

#include <openssl/evp.h>
#include <sodium.h>

#include <array>
#include <memory>

#include "store/bug.hpp"

namespace usher::store {
namespace {

using digest_bytes = std::array<unsigned char, 32>;

/// The algorithm and the context are looked up once: both cost more than the hash itself.
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

/// Over a number and two texts, each text after its length so that no two triples give the same bytes.
short_hash hash_triple(std::uint32_t tag, std::string_view first, std::string_view second) {
  const std::array<std::uint32_t, 2> head{tag, static_cast<std::uint32_t>(first.size())};
  short_hash out;
  static_assert(sizeof out == crypto_generichash_BYTES_MIN);
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, sizeof out);
  crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(head.data()), sizeof head);
  crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(first.data()), first.size());
  crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(second.data()), second.size());
  crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(&out), sizeof out);
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

record_hashes hashes_of(const v1::Record& record) {
  record_hashes all;
  all.streams.reserve(static_cast<std::size_t>(record.events_size()));
  for (const auto& e : record.events()) all.streams.push_back(hash_of(e.stream()));
  if (!record.idempotency_key().empty()) all.key = hash_of_key(record.user_id(), record.idempotency_key());
  return all;
}

}  // namespace usher::store
