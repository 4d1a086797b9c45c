#include "events/draw.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>

namespace usher::draw {
namespace {

merkle::digest hmac_sha256(std::string_view key, std::string_view message) {
  merkle::digest out;
  const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
  if (!HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, message.size(), out.data(), nullptr)) {
    std::fputs("bug: OpenSSL has no HMAC\n", stderr);
    std::abort();
  }
  return out;
}

/// Random numbers that follow from a key.
class randomness {
 public:
  explicit randomness(const merkle::digest& key) : key_{key} {}

  /// A number below `n`, each as likely as any other.
  std::uint32_t below(std::uint32_t n) {
    constexpr std::uint64_t words = std::uint64_t{1} << 32;
    const auto usable = words - words % n;
    for (;;) {
      const auto word = next_word();
      if (word < usable) return word % n;
    }
  }

 private:
  std::uint32_t next_word() {
    if (used_ == block_.size()) {
      std::array<char, 8> counter;
      for (int byte = 0; byte != 8; ++byte) counter[static_cast<std::size_t>(byte)] = static_cast<char>(blocks_ >> (56 - 8 * byte));
      ++blocks_;
      block_ = sha256({bytes_of(key_), {counter.data(), counter.size()}});
      used_ = 0;
    }
    std::uint32_t word = 0;
    for (int byte = 0; byte != 4; ++byte) word = word << 8 | block_[used_++];
    return word;
  }

  merkle::digest key_;
  std::uint64_t blocks_ = 0;
  merkle::digest block_{};
  std::size_t used_ = block_.size();
};

}  // namespace

merkle::digest commitment(std::string_view secret) { return sha256({secret}); }

merkle::digest leaf_of(std::uint64_t number, std::string_view ticket_id, std::string_view user_id, std::int64_t joined_at_ms) {
  std::string entry = std::to_string(number);
  entry.append(" ").append(ticket_id).append(" ").append(user_id).append(" ").append(std::to_string(joined_at_ms));
  return merkle::leaf(entry);
}

std::vector<std::uint32_t> order(std::string_view secret, const merkle::digest& root, std::uint32_t count) {
  std::vector<std::uint32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 1U);
  randomness random{hmac_sha256(secret, bytes_of(root))};
  for (auto left = count; left > 1; --left) std::swap(numbers[left - 1], numbers[random.below(left)]);
  return numbers;
}

}  // namespace usher::draw
