// Latencies in few, fixed buckets: percentiles over millions of samples at a bounded relative error.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace usher::bench {

/// Counts of microseconds in log-linear buckets, after Gil Tene's HdrHistogram (http://hdrhistogram.org).
///
/// Below 128 µs each value has its own bucket. Above, every power of two is split into 64 equal buckets,
/// so a reported value is at most 1/64 (1.6 %) above the recorded one, and never below it.
/// Values above a day count as a day; negative ones as 0. `max` is exact (within these bounds).
/// Not thread-safe. Cost: recording is O(1) without allocation, a percentile walks all buckets (about 2,000).
class histogram {
 public:
  void record(std::int64_t latency_us);
  /// Adds all samples of another histogram, as if they had been recorded here.
  void merge(const histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::int64_t max_us() const { return max_us_; }
  /// The smallest bucket bound that at least `quantile` (0 to 1) of the samples don't exceed; 0 where nothing was recorded.
  [[nodiscard]] std::int64_t percentile_us(double quantile) const;

 private:
  static constexpr int sub_bucket_bits = 6;
  static constexpr std::int64_t largest_us = 86'400'000'000;  // a day: 2^36.3, so 37 bits
  static constexpr int bits = 37;
  static constexpr std::size_t buckets = std::size_t{bits - sub_bucket_bits + 1} << sub_bucket_bits;

  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t highest_in(std::size_t bucket);

  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t count_ = 0;
  std::int64_t max_us_ = 0;
};

}  // namespace usher::bench
