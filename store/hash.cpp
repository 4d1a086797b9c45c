// Over records SHA-256; over names BLAKE2b by libsodium, which is the faster for a few bytes.

#include "store/hash.hpp"

#include <sodium.h>

#include <array>

#include "events/sha256.hpp"

namespace usher::store {
namespace {

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

std::string sha256(std::string_view bytes) { return std::string{bytes_of(usher::sha256({bytes}))}; }

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
