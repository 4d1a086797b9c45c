#include "http/rate_limit.hpp"

#include <sodium.h>
#include <spdlog/fmt/fmt.h>

#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <bit>
#include <ranges>

namespace usher::http {

namespace {

constexpr std::int64_t minute_ns = 60'000'000'000;
constexpr std::uint32_t burst_share = 6;

std::chrono::seconds seconds_up(std::int64_t ns) { return std::chrono::ceil<std::chrono::seconds>(std::chrono::nanoseconds{ns}); }

// So that nobody outside can choose addresses that share a bucket.
std::array<unsigned char, crypto_shorthash_KEYBYTES> random_seed() {
  std::array<unsigned char, crypto_shorthash_KEYBYTES> out;
  randombytes_buf(out.data(), out.size());
  return out;
}

}  // namespace

rate_limiter::rate_limiter(std::uint32_t per_minute, std::size_t keys)
    : per_minute_{std::max(per_minute, 1u)}, every_ns_{minute_ns / per_minute_},
      burst_ns_{every_ns_ * std::max(per_minute_ / burst_share, 1u)}, seed_{random_seed()},
      buckets_{std::bit_ceil(std::max(keys / neighbours, std::size_t{1}))}, table_{std::make_unique<bucket[]>(buckets_)} {}

std::uint64_t rate_limiter::hash_of(std::string_view key) const {
  static_assert(crypto_shorthash_KEYBYTES == 16 && crypto_shorthash_BYTES == sizeof(std::uint64_t));
  std::uint64_t out;
  crypto_shorthash(reinterpret_cast<unsigned char*>(&out), reinterpret_cast<const unsigned char*>(key.data()), key.size(), seed_.data());
  return out;
}

rate_limiter::verdict rate_limiter::take(std::string_view key, time_point now) {
  const auto hash = hash_of(key);
  const auto now_ns = std::chrono::nanoseconds{now.time_since_epoch()}.count();
  const auto index = hash & (buckets_ - 1);
  auto& entries = table_[index].entries;
  const std::lock_guard lock{locks_[index % locks_.size()]};
  auto found = std::ranges::find(entries, hash, &entry::key);
  if (found == entries.end()) {
    found = std::ranges::min_element(entries, {}, &entry::whole_at_ns);
    *found = {hash, now_ns};
  }
  // A clock that was set back must lock nobody out for longer than a burst lasts.
  auto whole_at_ns = std::clamp(found->whole_at_ns, now_ns, now_ns + burst_ns_);
  verdict out;
  out.allowed = whole_at_ns + every_ns_ <= now_ns + burst_ns_;
  if (out.allowed) whole_at_ns += every_ns_;
  found->whole_at_ns = whole_at_ns;
  out.remaining = static_cast<std::uint64_t>((now_ns + burst_ns_ - whole_at_ns) / every_ns_);
  out.whole_in = seconds_up(whole_at_ns - now_ns);
  if (!out.allowed) out.retry_in = seconds_up(whole_at_ns + every_ns_ - burst_ns_ - now_ns);
  return out;
}

rate_limits::rate_limits(const rate_limit_settings& settings) : proxies_{settings.proxies_in_front} {
  if (settings.per_user != 0) users_.emplace(settings.per_user);
  if (settings.per_address != 0) addresses_.emplace(settings.per_address);
}

rate_limits::verdict rate_limits::judge(std::string_view user_id, std::string_view peer, const request_context::pairs& headers,
                                        time_point now) {
  verdict out;
  const auto ask = [&](rate_limiter& limit, std::string_view name, std::string_view key) {
    const auto said = limit.take(key, now);
    const auto separator = out.policy.empty() ? "" : ", ";
    fmt::format_to(std::back_inserter(out.policy), "{}\"{}\";q={};w=60", separator, name, limit.per_minute());
    fmt::format_to(std::back_inserter(out.state), "{}\"{}\";r={};t={}", separator, name, said.remaining, said.whole_in.count());
    if (said.allowed) return;
    out.refused_by = name;
    out.quota = limit.per_minute();
    out.retry_in = said.retry_in;
  };
  if (users_ && !user_id.empty()) ask(*users_, "user", user_id);
  if (addresses_ && out.refused_by.empty()) ask(*addresses_, "address", counted_address(peer, headers, proxies_));
  return out;
}

namespace {

namespace ip = boost::asio::ip;

/// An address as some proxies write it: with brackets, with a port, with both.
std::string_view bare(std::string_view text) {
  if (text.starts_with('[')) return text.substr(1, text.find(']') - 1);
  const bool has_port = std::ranges::count(text, ':') == 1;
  return has_port ? text.substr(0, text.find(':')) : text;
}

template <class Bytes>
std::string as_text(const Bytes& bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

std::optional<std::string> key_of_address(std::string_view text) {
  boost::system::error_code failed;
  auto address = ip::make_address(std::string{bare(text)}, failed);
  if (failed) return std::nullopt;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) address = ip::make_address_v4(ip::v4_mapped, address.to_v6());
  if (address.is_v4()) return as_text(address.to_v4().to_bytes(), 4);
  return as_text(address.to_v6().to_bytes(), 8);
}

/// What stands so many places from the end of X-Forwarded-For, which may be there several times; nothing where it is shorter.
std::string_view forwarded(const request_context::pairs& headers, std::uint32_t from_end) {
  for (const auto& [name, value] : headers | std::views::reverse) {
    if (!boost::beast::iequals(name, "X-Forwarded-For")) continue;
    for (auto rest = value;;) {
      const auto comma = rest.rfind(',');
      auto last = comma == std::string_view::npos ? rest : rest.substr(comma + 1);
      if (--from_end == 0) {
        last.remove_prefix(std::min(last.find_first_not_of(" \t"), last.size()));
        return last.substr(0, last.find_last_not_of(" \t") + 1);
      }
      if (comma == std::string_view::npos) break;
      rest = rest.substr(0, comma);
    }
  }
  return {};
}

}  // namespace

std::string counted_address(std::string_view peer, const request_context::pairs& headers, std::uint32_t proxies_in_front) {
  if (proxies_in_front != 0) {
    if (auto seen = key_of_address(forwarded(headers, proxies_in_front))) return std::move(*seen);
  }
  return key_of_address(peer).value_or(std::string{peer});
}

}  // namespace usher::http
