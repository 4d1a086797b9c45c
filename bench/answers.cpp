#include "bench/answers.hpp"

#include <algorithm>
#include <array>

#include "events/json.hpp"

namespace usher::bench {
namespace {

namespace json = boost::json;

const json::value* find(const json::object& object, std::string_view name) { return object.if_contains({name.data(), name.size()}); }

// Both alphabets; anything else, such as padding, is -1. A table, since every buyer decodes the whole map.
constexpr std::array<signed char, 256> base64_values = [] {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<signed char, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i) values[static_cast<unsigned char>(alphabet[i])] = static_cast<signed char>(i);
  values['-'] = values['+'];
  values['_'] = values['/'];
  return values;
}();

std::string base64_bytes(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  unsigned gathered = 0;
  int bits = 0;
  for (const char c : text) {
    const int value = base64_values[static_cast<unsigned char>(c)];
    if (value < 0) continue;
    gathered = gathered << 6 | static_cast<unsigned>(value);
    if ((bits += 6) >= 8) bytes.push_back(static_cast<char>(gathered >> (bits -= 8) & 0xff));
  }
  return bytes;
}

}  // namespace

json::object object_of(std::string_view text) {
  json::error_code error;
  auto value = json::parse({text.data(), text.size()}, error);
  return !error && value.is_object() ? std::move(value.get_object()) : json::object{};
}

std::string text(const json::object& object, std::string_view name) {
  const auto* value = find(object, name);
  if (value == nullptr || value->is_null()) return {};
  return value->is_string() ? std::string{value->get_string()} : json::serialize(*value);
}

std::int64_t number(const json::object& object, std::string_view name) {
  const auto* value = find(object, name);
  if (value == nullptr || !value->is_number()) return 0;
  if (value->is_double()) return static_cast<std::int64_t>(value->get_double());
  json::error_code error;
  const auto found = value->to_number<std::int64_t>(error);
  return error ? 0 : found;
}

std::optional<std::uint64_t> count(const json::object& object, std::string_view name) {
  const auto* value = find(object, name);
  if (value == nullptr || !value->is_number() || number(object, name) < 0) return std::nullopt;
  return static_cast<std::uint64_t>(number(object, name));
}

bool flag(const json::object& object, std::string_view name) {
  const auto* value = find(object, name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

const json::object* member(const json::object& object, std::string_view name) {
  const auto* value = find(object, name);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* list(const json::object& object, std::string_view name) {
  const auto* value = find(object, name);
  return value == nullptr ? nullptr : value->if_array();
}

std::int64_t time_ms(const json::object& object, std::string_view name) {
  const auto at = from_rfc3339(text(object, name));
  return at ? to_ms(*at) : 0;
}

// Seat i stands in byte i / 4, at bits 2 * (i % 4) from the lowest.
std::vector<char> seat_states_in(std::string_view body, std::size_t seats) {
  const auto bytes = base64_bytes(text(object_of(body), "states"));
  std::vector<char> states(seats, 3);
  for (std::size_t i = 0; i < seats && i / 4 < bytes.size(); ++i) states[i] = static_cast<char>(static_cast<unsigned char>(bytes[i / 4]) >> 2 * (i % 4) & 3);
  return states;
}

}  // namespace usher::bench
