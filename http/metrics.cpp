// Counting over prometheus-cpp: each row's counters are looked up once per status, then only added to.

#include "http/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <atomic>

#include "http/router.hpp"

namespace usher::http {

namespace {

// Every status below 600 has a slot: 5 * 100 pointers a row is little.
constexpr std::size_t status_slots = 500;

prometheus::Histogram::BucketBoundaries boundaries_seconds() {
  return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
}

struct row_counters {
  prometheus::Labels labels;
  prometheus::Histogram* seconds = nullptr;
  std::array<std::atomic<prometheus::Counter*>, status_slots> by_status{};
};

}  // namespace

struct metrics::impl {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
      prometheus::BuildCounter().Name("usher_http_requests_total").Help("Requests answered").Register(registry);
  prometheus::Family<prometheus::Histogram>& durations = prometheus::BuildHistogram()
                                                             .Name("usher_http_request_duration_seconds")
                                                             .Help("From the end of a request to the start of its answer")
                                                             .Register(registry);
  prometheus::Family<prometheus::Gauge>& open =
      prometheus::BuildGauge().Name("usher_http_connections").Help("Open connections").Register(registry);
  prometheus::Gauge& connections = open.Add({{"kind", "all"}});
  prometheus::Gauge& websockets = open.Add({{"kind", "websocket"}});
  prometheus::Family<prometheus::Counter>& too_many = prometheus::BuildCounter()
                                                          .Name("usher_http_rate_limited_total")
                                                          .Help("Requests refused because their user or their address sent too many")
                                                          .Register(registry);
  prometheus::Counter& too_many_of_user = too_many.Add({{"by", "user"}});
  prometheus::Counter& too_many_of_address = too_many.Add({{"by", "address"}});
  std::vector<std::unique_ptr<row_counters>> rows;  // the last one counts requests that match no row

  void add_row(prometheus::Labels labels) {
    auto row = std::make_unique<row_counters>();
    row->seconds = &durations.Add(labels, boundaries_seconds());
    row->labels = std::move(labels);
    rows.push_back(std::move(row));
  }

  prometheus::Counter& counter(row_counters& row, unsigned status) {
    auto& slot = row.by_status[status >= 100 && status < 600 ? status - 100 : 400];
    if (auto* known = slot.load(std::memory_order_acquire)) return *known;
    auto labels = row.labels;
    labels.emplace("status", std::to_string(status));
    auto& added = requests.Add(labels);  // the same labels give the same counter
    slot.store(&added, std::memory_order_release);
    return added;
  }
};

metrics::metrics(const router& table) : impl_{std::make_unique<impl>()} {
  for (const auto& row : table.routes()) {
    impl_->add_row({{"method", std::string{word_of(row.method)}}, {"route", row.pattern}});
  }
  impl_->add_row({{"method", "any"}, {"route", "none"}});
}

metrics::~metrics() = default;

void metrics::answered(std::size_t route, unsigned status, std::chrono::nanoseconds took) {
  auto& row = route < impl_->rows.size() ? *impl_->rows[route] : *impl_->rows.back();
  impl_->counter(row, status).Increment();
  row.seconds->Observe(std::chrono::duration<double>(took).count());
}

void metrics::limited(std::string_view by) {
  auto& counter = by == "user" ? impl_->too_many_of_user : impl_->too_many_of_address;
  counter.Increment();
}
void metrics::connection_opened() { impl_->connections.Increment(); }
void metrics::connection_closed() { impl_->connections.Decrement(); }
void metrics::websocket_opened() { impl_->websockets.Increment(); }
void metrics::websocket_closed() { impl_->websockets.Decrement(); }

prometheus::Registry& metrics::registry() { return impl_->registry; }

std::string metrics::exposition() const { return prometheus::TextSerializer{}.Serialize(impl_->registry.Collect()); }

}  // namespace usher::http
