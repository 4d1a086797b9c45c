#pragma once
// How many people of a show came how far, from joining the queue to having paid.

#include <map>
#include <set>
#include <shared_mutex>
#include <string>

#include "projections/projection.hpp"

namespace usher::projections {

/// Counts since the show was opened; each only grows.
struct funnel {
  std::uint64_t joined = 0;     ///< tickets of the queue
  std::uint64_t admitted = 0;   ///< tickets
  std::uint64_t left = 0;       ///< tickets that were given up
  std::uint64_t held = 0;       ///< reservations placed
  std::uint64_t paid = 0;       ///< reservations
  std::uint64_t expired = 0;    ///< reservations
  std::uint64_t released = 0;   ///< reservations
  std::uint64_t cancelled = 0;  ///< reservations
  std::uint64_t vanished = 0;   ///< tickets that nobody was heard of for longer than the grace
  std::uint64_t evicted = 0;    ///< tickets
  std::uint64_t turned_away = 0;         ///< tickets that waited when the queue closed
  std::uint64_t expired_admissions = 0;  ///< tickets that were inside until their time was over
  bool operator==(const funnel&) const = default;
};

class funnels final : public projection {
 public:
  [[nodiscard]] std::string_view name() const override { return "funnels"; }
  [[nodiscard]] std::uint32_t version() const override { return 2; }
  [[nodiscard]] payloads concerns() const override { return {v1::StreamEvent::kQueue, v1::StreamEvent::kReservation}; }
  [[nodiscard]] std::unique_ptr<projection> fresh() const override { return std::make_unique<funnels>(); }
  [[nodiscard]] result<void> load(const store::database&, const std::string& rows) override;
  void apply(const v1::Record&) override;
  void collect(row_writer&) override;
  [[nodiscard]] std::size_t unwritten() const override;
  void swap_in(projection& built) override;

  /// All zero where nothing happened.
  [[nodiscard]] funnel find(std::string_view show_id) const;

 private:
  mutable std::shared_mutex mutex_;
  std::map<std::string, funnel, std::less<>> shows_;
  std::set<std::string> changed_;
};

}  // namespace usher::projections
