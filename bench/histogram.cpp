// Log-linear buckets: the exponent chooses a group of 64, the next six bits choose the bucket in it.
#include "bench/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace usher::bench {

std::size_t histogram::bucket_of(std::uint64_t value) {
  const auto width = static_cast<int>(std::bit_width(value));
  const int shift = std::max(0, width - (sub_bucket_bits + 1));
  return (static_cast<std::size_t>(shift) << sub_bucket_bits) + static_cast<std::size_t>(value >> shift);
}

std::uint64_t histogram::highest_in(std::size_t bucket) {
  constexpr std::size_t group = std::size_t{1} << sub_bucket_bits;
  if (bucket < 2 * group) return bucket;
  const auto shift = bucket / group - 1;
  const auto lowest = static_cast<std::uint64_t>(bucket - shift * group) << shift;
  return lowest + (std::uint64_t{1} << shift) - 1;
}

void histogram::record(std::int64_t latency_us) {
  const auto value = std::clamp<std::int64_t>(latency_us, 0, largest_us);
  ++counts_[bucket_of(static_cast<std::uint64_t>(value))];
  ++count_;
  max_us_ = std::max(max_us_, value);
}

void histogram::merge(const histogram& other) {
  for (std::size_t i = 0; i < buckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_us_ = std::max(max_us_, other.max_us_);
}

std::int64_t histogram::percentile_us(double quantile) const {
  if (count_ == 0) return 0;
  const auto wanted = std::max(1.0, std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    seen += counts_[i];
    if (static_cast<double>(seen) >= wanted) return std::min(static_cast<std::int64_t>(highest_in(i)), max_us_);
  }
  return max_us_;
}

}  // namespace usher::bench
