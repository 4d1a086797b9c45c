#include "store/persons.hpp"

#include <sodium.h>

#include <algorithm>

#include "store/octets.hpp"

namespace usher::store {

person_key new_person_key() {
  person_key key;
  randombytes_buf(key.data(), key.size());
  return key;
}

std::optional<person_key> person_key_from(std::string_view from) {
  person_key key;
  if (from.size() != key.size()) return std::nullopt;
  std::copy(from.begin(), from.end(), key.begin());
  return key;
}

std::string seal(const v1::PersonalData& data, const person_key& key) {
  static_assert(std::tuple_size_v<person_key> == crypto_secretbox_KEYBYTES);
  const auto plain = data.SerializeAsString();
  std::string out(crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + plain.size(), '\0');
  randombytes_buf(out.data(), crypto_secretbox_NONCEBYTES);
  crypto_secretbox_easy(octets(out) + crypto_secretbox_NONCEBYTES, octets(std::string_view{plain}), plain.size(), octets(out), key.data());
  return out;
}

std::optional<v1::PersonalData> unseal(std::string_view sealed, const person_key& key) {
  constexpr std::size_t head = crypto_secretbox_NONCEBYTES;
  if (sealed.size() < head + crypto_secretbox_MACBYTES) return std::nullopt;
  std::string plain(sealed.size() - head - crypto_secretbox_MACBYTES, '\0');
  if (crypto_secretbox_open_easy(octets(plain), octets(sealed) + head, sealed.size() - head, octets(sealed), key.data()) != 0) return std::nullopt;
  v1::PersonalData data;
  if (!data.ParseFromString(plain)) return std::nullopt;
  return data;
}

}  // namespace usher::store
