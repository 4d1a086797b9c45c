#pragma once
// Personal data as the log holds it: sealed under a key of the person's own, so that to destroy the key is to forget the person.

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "events/user.pb.h"

namespace usher::store {

/// 256 random bits, one for each person. Kept in family::persons; never in a record, a log file or an answer.
using person_key = std::array<unsigned char, 32>;

person_key new_person_key();
inline std::string_view bytes_of(const person_key& k) { return {reinterpret_cast<const char*>(k.data()), k.size()}; }
/// @return nullopt unless these are 32 bytes
std::optional<person_key> person_key_from(std::string_view bytes);

/// XSalsa20 and Poly1305 (libsodium's secretbox) with a random nonce in front.
std::string seal(const v1::PersonalData&, const person_key&);
/// @return nullopt where it was not sealed with this key, or was changed since
std::optional<v1::PersonalData> unseal(std::string_view sealed, const person_key&);

}  // namespace usher::store
