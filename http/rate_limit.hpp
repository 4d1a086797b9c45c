#pragma once
// How many requests a minute one user, and one address, may send.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "events/vocabulary.hpp"
#include "http/router.hpp"

namespace usher::http {

struct rate_limit_settings {
  std::uint32_t per_user = 0;          ///< requests a minute; 0: no limit
  std::uint32_t per_address = 0;       ///< the same
  std::uint32_t proxies_in_front = 0;  ///< whose X-Forwarded-For is believed
};

/// One limit for many keys: so many requests a minute each, and a sixth of them, at least one, in a burst.
///
/// GCRA, the generic cell rate algorithm of ITU-T I.371: of each key only the time is kept at which its burst will be whole again.
/// 16 bytes a key and never more keys than `keys_max`: where a new one finds no room, the one goes whose burst is whole for the longest
/// time, or will be soonest. At worst somebody is spared a wait. Thread-safe.
class rate_limiter {
 public:
  static constexpr std::size_t keys_max = 131'072;

  /// What a key is told about a request.
  struct verdict {
    bool allowed = true;
    std::uint64_t remaining = 0;           ///< how many more would be let through now
    std::chrono::seconds whole_in{0};      ///< until the whole burst is there again, if nothing else comes; rounded up
    std::chrono::seconds retry_in{0};      ///< where it isn't allowed: until one would be; rounded up
  };

  explicit rate_limiter(std::uint32_t per_minute, std::size_t keys = keys_max);  ///< at least one a minute; keys are rounded up to a power of two

  /// Counts a request, unless it isn't allowed. Cost: one hash, a look at eight neighbours.
  [[nodiscard]] verdict take(std::string_view key, time_point now);

  [[nodiscard]] std::uint32_t per_minute() const { return per_minute_; }

 private:
  struct entry {
    std::uint64_t key = 0;
    std::int64_t whole_at_ns = 0;
  };
  static constexpr std::size_t neighbours = 8;
  struct alignas(64) bucket {
    std::array<entry, neighbours> entries;
  };

  [[nodiscard]] std::uint64_t hash_of(std::string_view key) const;

  const std::uint32_t per_minute_;
  const std::int64_t every_ns_;  // one request
  const std::int64_t burst_ns_;  // as many as may come at once
  const std::array<unsigned char, 16> seed_;
  const std::size_t buckets_;
  const std::unique_ptr<bucket[]> table_;
  std::array<std::mutex, 64> locks_;  // bucket i has lock i modulo 64
};

/// The limits of a node. A request counts for its user, then for its address. One that its user's limit refuses does not count
/// for the address; one that the address refuses has counted for its user.
class rate_limits {
 public:
  explicit rate_limits(const rate_limit_settings&);

  struct verdict {
    std::string_view refused_by;        ///< `user` or `address`; empty: it may go on
    std::uint32_t quota = 0;            ///< of whoever refused: requests a minute
    std::chrono::seconds retry_in{0};   ///< where it was refused
    std::string policy;                 ///< the value of `RateLimit-Policy`; empty where nothing is limited
    std::string state;                  ///< the value of `RateLimit`
  };

  /// @param user_id  empty: nobody is known
  /// @param peer     the address at the other end of the connection
  [[nodiscard]] verdict judge(std::string_view user_id, std::string_view peer, const request_context::pairs& headers, time_point now);

  [[nodiscard]] bool any() const { return users_ || addresses_; }

 private:
  const std::uint32_t proxies_;
  std::optional<rate_limiter> users_;
  std::optional<rate_limiter> addresses_;
};

/// The address that a request counts for, as bytes: the peer's, or with proxies of ours the one that the outermost of them saw, which is
/// that many from the end of X-Forwarded-For; what stands before it was written by the caller. Of IPv6 the first 64 bits, for whoever has
/// one address has all that begin like it. Where the header has too few of them, or no address there, the peer's.
[[nodiscard]] std::string counted_address(std::string_view peer, const request_context::pairs& headers, std::uint32_t proxies_in_front);

}  // namespace usher::http
