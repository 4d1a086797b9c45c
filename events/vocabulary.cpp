// Names, ids and places: how each is spelled, and how it is read back.

#include "events/vocabulary.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "events/sha256.hpp"

namespace usher {
namespace {

constexpr std::size_t digest_length = 16;  // characters of base32 for 80 bits
constexpr std::string_view base32 = "abcdefghijklmnopqrstuvwxyz234567";

constexpr std::array<std::pair<v1::Kind, std::string_view>, 9> words{{
    {v1::SHOW, "show"},
    {v1::SEAT, "seat"},
    {v1::STOCK, "stock"},
    {v1::ALLOWANCE, "allowance"},
    {v1::RESERVATION, "reservation"},
    {v1::QUEUE, "queue"},
    {v1::WALLET, "wallet"},
    {v1::USER, "user"},
    {v1::PROVIDER, "provider"},
}};

/// Appends 80 bits of SHA-256 over `prefix` and `seed`. The prefix keeps ids of different kinds apart where they share a seed.
void append_digest(std::string& id, std::string_view prefix, std::string_view seed) {
  const auto hash = sha256({prefix, seed});
  for (std::size_t i = 0; i != digest_length; ++i) {
    const std::size_t bit = i * 5;
    const unsigned two_bytes = (unsigned{hash[bit / 8]} << 8) | hash[bit / 8 + 1];
    id += base32[(two_bytes >> (11 - bit % 8)) & 31];
  }
}

std::string make_id(std::string_view prefix, std::string_view seed) {
  std::string id;
  id.reserve(prefix.size() + digest_length);
  id += prefix;
  append_digest(id, prefix, seed);
  return id;
}

std::string_view without(std::string_view prefix, std::string_view id) {
  return id.starts_with(prefix) ? id.substr(prefix.size()) : id;
}

/// Ids that reach this far may come from a client's path, so that nothing but letters and digits may get into a key.
bool is_plain(std::string_view part) {
  return !part.empty() && part.size() <= digest_length &&
         std::all_of(part.begin(), part.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

template <class Number>
std::optional<Number> number_from(std::string_view text) {
  Number n{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || (text.size() > 1 && text.front() == '0')) return {};
  return n;
}

struct two_parts {
  std::string_view first;
  std::string_view second;
};

/// Splits `<prefix><first>_<second>`.
std::optional<two_parts> split(std::string_view prefix, std::string_view id) {
  if (!id.starts_with(prefix)) return {};
  id.remove_prefix(prefix.size());
  const auto middle = id.find('_');
  if (middle == std::string_view::npos) return {};
  const two_parts parts{id.substr(0, middle), id.substr(middle + 1)};
  if (!is_plain(parts.first)) return {};
  return parts;
}

std::string show_named(std::string_view digest) {
  constexpr std::string_view prefix = "shw_";
  std::string id;
  id.reserve(prefix.size() + digest.size());
  return id.append(prefix).append(digest);
}

v1::EntityRef ref(v1::Kind kind, std::string group, std::string name = {}) {
  v1::EntityRef out;
  out.set_kind(kind);
  out.set_group(std::move(group));
  if (!name.empty()) out.set_name(std::move(name));
  return out;
}

}  // namespace

std::uint32_t partition_of(std::string_view group) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : group) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccd;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53;
  hash ^= hash >> 33;
  return static_cast<std::uint32_t>(hash % partition_count);
}

bool is_user_id(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) { return c > 32 && c < 127 && c != '/'; });
}

std::string to_token(log_position at) { return std::to_string(at.partition) + '.' + std::to_string(at.index); }

std::optional<log_position> position_from_token(std::string_view token) {
  const auto dot = token.find('.');
  if (dot == std::string_view::npos) return {};
  const auto partition = number_from<std::uint32_t>(token.substr(0, dot));
  const auto index = number_from<std::uint64_t>(token.substr(dot + 1));
  if (!partition || !index || *partition >= partition_count) return {};
  return log_position{*partition, *index};
}

std::string key_of(const v1::EntityRef& entity) {
  const auto word = word_of(entity.kind());
  std::string key;
  key.reserve(word.size() + entity.group().size() + entity.name().size() + 2);
  key += word;
  key += '/';
  key += entity.group();
  if (!entity.name().empty()) {
    key += '/';
    key += entity.name();
  }
  return key;
}

std::string_view word_of(v1::Kind kind) {
  for (const auto& [k, word] : words)
    if (k == kind) return word;
  return "unspecified";
}

v1::Kind kind_from_word(std::string_view text) {
  for (const auto& [kind, word] : words)
    if (word == text) return kind;
  return v1::KIND_UNSPECIFIED;
}

v1::EntityRef show_ref(std::string show_id) { return ref(v1::SHOW, std::move(show_id)); }
v1::EntityRef seat_ref(std::string show_id, std::string seat) { return ref(v1::SEAT, std::move(show_id), std::move(seat)); }
v1::EntityRef stock_ref(std::string show_id, std::string section) {
  return ref(v1::STOCK, std::move(show_id), std::move(section));
}
v1::EntityRef allowance_ref(std::string show_id, std::string user_id) {
  return ref(v1::ALLOWANCE, std::move(show_id), std::move(user_id));
}
v1::EntityRef reservation_ref(std::string reservation_id) {
  auto show_id = show_of_reservation(reservation_id);
  return ref(v1::RESERVATION, std::move(show_id), std::move(reservation_id));
}
v1::EntityRef queue_ref(std::string show_id) { return ref(v1::QUEUE, std::move(show_id)); }
v1::EntityRef wallet_ref(std::string user_id) { return ref(v1::WALLET, std::move(user_id)); }
v1::EntityRef user_ref(std::string user_id) { return ref(v1::USER, std::move(user_id)); }
v1::EntityRef provider_ref(std::string name) { return ref(v1::PROVIDER, std::move(name)); }

std::string make_show_id(std::string_view seed) { return make_id("shw_", seed); }

std::string make_reservation_id(std::string_view show_id, std::string_view seed) {
  constexpr std::string_view prefix = "rsv_";
  const auto show = without("shw_", show_id);
  std::string id;
  id.reserve(prefix.size() + show.size() + 1 + digest_length);
  id += prefix;
  id += show;
  id += '_';
  append_digest(id, prefix, seed);
  return id;
}

std::string make_user_id(std::string_view email) {
  std::string lower{email};
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return make_id("usr_", lower);
}

std::string make_transaction_id(std::string_view seed) { return make_id("txn_", seed); }
std::string make_authorization_id(std::string_view seed) { return make_id("aut_", seed); }

std::string make_ticket_id(std::string_view show_id, std::uint64_t number) {
  std::string id{"qt_"};
  id += without("shw_", show_id);
  id += '_';
  id += std::to_string(number);
  return id;
}

std::string make_payment_id(std::string_view reservation_id, std::uint32_t attempt) {
  std::string id{"pay_"};
  id += without("rsv_", reservation_id);
  id += '_';
  id += std::to_string(attempt);
  return id;
}

std::string show_of_reservation(std::string_view reservation_id) {
  const auto parts = split("rsv_", reservation_id);
  if (!parts || !is_plain(parts->second)) return {};
  return show_named(parts->first);
}

std::string reservation_of_payment(std::string_view payment_id) {
  const auto end = payment_id.rfind('_');
  if (!payment_id.starts_with("pay_") || end <= 3 || !number_from<std::uint32_t>(payment_id.substr(end + 1))) return {};
  auto id = "rsv_" + std::string{payment_id.substr(4, end - 4)};
  return show_of_reservation(id).empty() ? std::string{} : id;
}

std::string show_of_ticket(std::string_view ticket_id) {
  const auto parts = split("qt_", ticket_id);
  if (!parts || !number_from<std::uint64_t>(parts->second)) return {};
  return show_named(parts->first);
}

std::uint64_t number_of_ticket(std::string_view ticket_id) {
  const auto parts = split("qt_", ticket_id);
  if (!parts) return 0;
  return number_from<std::uint64_t>(parts->second).value_or(0);
}

}  // namespace usher
