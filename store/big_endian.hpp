#pragma once
// Numbers in keys and rows: the greatest byte first, so that keys are in the order of their numbers.

#include <boost/endian/conversion.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace usher::store {

/// One after the other, eight bytes each.
template <class... Numbers>
std::array<char, 8 * sizeof...(Numbers)> big_endian(Numbers... all) {
  const std::array<std::uint64_t, sizeof...(Numbers)> numbers{boost::endian::native_to_big(static_cast<std::uint64_t>(all))...};
  return std::bit_cast<std::array<char, 8 * sizeof...(Numbers)>>(numbers);
}

/// Valid as long as the bytes are.
template <std::size_t N>
std::string_view view(const std::array<char, N>& bytes) {
  return {bytes.data(), N};
}

/// The number whose eight bytes begin at `place`; they are there.
inline std::uint64_t number_at(std::string_view bytes, std::size_t place) {
  std::uint64_t n = 0;
  for (const char c : bytes.substr(place, 8)) n = (n << 8) | static_cast<unsigned char>(c);
  return n;
}

}  // namespace usher::store
