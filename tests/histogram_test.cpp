// The histogram never flatters: what it reports is at or just above what was measured.
#include "bench/histogram.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace {

using usher::bench::histogram;

TEST_CASE("a histogram without samples reports zero") {
  const histogram empty;
  CHECK(empty.count() == 0);
  CHECK(empty.max_us() == 0);
  CHECK(empty.percentile_us(0.99) == 0);
}

TEST_CASE("small latencies are counted exactly") {
  histogram h;
  for (int us = 1; us <= 100; ++us) h.record(us);
  CHECK(h.percentile_us(0.50) == 50);
  CHECK(h.percentile_us(0.90) == 90);
  CHECK(h.percentile_us(0.99) == 99);
  CHECK(h.percentile_us(1.0) == 100);
  CHECK(h.max_us() == 100);
}

TEST_CASE("every latency up to a day is reported at most a sixty-fourth too high and never too low") {
  for (std::int64_t us = 1; us < 86'400'000'000; us = us * 5 / 4 + 1) {
    histogram h;
    h.record(us);
    h.record(86'400'000'000);  // so that the exact maximum does not cap the answer
    const auto reported = h.percentile_us(0.5);
    INFO("recorded " << us << " reported " << reported);
    CHECK(reported >= us);
    CHECK(reported <= us + us / 64);
  }
}

TEST_CASE("percentiles of a long tail agree with the sorted samples") {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> tail(8.0, 2.0);
  histogram h;
  std::vector<std::int64_t> samples;
  for (int i = 0; i < 100'000; ++i) {
    samples.push_back(static_cast<std::int64_t>(tail(random)));
    h.record(samples.back());
  }
  std::sort(samples.begin(), samples.end());
  for (const double quantile : {0.5, 0.9, 0.99, 0.999}) {
    const auto exact = samples[static_cast<std::size_t>(std::ceil(quantile * 100'000)) - 1];
    CHECK(h.percentile_us(quantile) >= exact);
    CHECK(h.percentile_us(quantile) <= exact + exact / 64);
  }
  CHECK(h.max_us() == samples.back());
}

TEST_CASE("samples beyond the range count at its ends") {
  histogram h;
  h.record(-5);
  h.record(INT64_MAX);
  CHECK(h.count() == 2);
  CHECK(h.percentile_us(0.5) == 0);
  CHECK(h.max_us() == 86'400'000'000);
}

TEST_CASE("merged histograms report what one histogram of all samples would") {
  histogram odd, even, all;
  for (int us = 0; us < 50'000; ++us) {
    (us % 2 ? odd : even).record(us);
    all.record(us);
  }
  odd.merge(even);
  CHECK(odd.count() == all.count());
  CHECK(odd.max_us() == all.max_us());
  for (const double quantile : {0.1, 0.5, 0.9, 0.99}) CHECK(odd.percentile_us(quantile) == all.percentile_us(quantile));
}

}  // namespace
