#pragma once
// Fixed-width numbers in rows that are no Protobuf message.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace usher::projections {

/// Appends 8 bytes, the lowest first.
inline void put_number(std::string& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i));
}

/// Takes numbers, then the rest, off the front of a row. Throws std::runtime_error where the row is too short.
class byte_reader {
 public:
  explicit byte_reader(std::string_view row) : rest_(row) {}

  std::uint64_t number() {
    if (rest_.size() < 8) throw std::runtime_error("a row is shorter than its fields");
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value |= std::uint64_t{static_cast<unsigned char>(rest_[i])} << (8 * i);
    rest_.remove_prefix(8);
    return value;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace usher::projections
