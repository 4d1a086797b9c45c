#pragma once
// The terms of a sale: what a show sells, for how much and until when, as a reservation needs it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "events/layout.hpp"
#include "events/vocabulary.hpp"

namespace usher::actors {

/// A show's plan with its defaults filled in, made for look-ups. Immutable, so many threads may read it.
/// Cost: linear in the seats to make, some 5 MB for 100,000 of them; look-ups are O(1).
class terms {
 public:
  /// One named seat. The views live as long as the terms.
  struct seat {
    std::string_view name;
    std::string_view section;
    std::string_view row;
    std::string_view number;  ///< within its row
    std::string_view tier;
    std::int64_t price = 0;   ///< minor units
    std::uint32_t index = 0;  ///< in the layout's order
  };

  /// One section without named seats. The views live as long as the terms.
  struct general_admission {
    std::string_view section;
    std::string_view tier;
    std::int64_t price = 0;  ///< of one place, in minor units
    std::uint64_t capacity = 0;
  };

  explicit terms(const v1::ShowState&);

  [[nodiscard]] std::size_t size() const { return layout_.size(); }  ///< named seats
  [[nodiscard]] seat at(std::uint32_t index) const;                  ///< in the layout's order; index < size()
  [[nodiscard]] std::optional<seat> find(std::string_view name) const;
  [[nodiscard]] std::optional<general_admission> find_section(std::string_view name) const;
  [[nodiscard]] std::vector<general_admission> sections_without_seats() const;
  [[nodiscard]] const layout& seats() const { return layout_; }

  [[nodiscard]] const std::string& currency() const { return currency_; }
  [[nodiscard]] std::uint32_t ticket_limit() const { return ticket_limit_; }  ///< places per person
  [[nodiscard]] std::uint32_t hold_seconds() const { return hold_seconds_; }
  /// How much longer a buyer may make a hold, once. 0: not at all
  [[nodiscard]] std::uint32_t extension_seconds() const { return extension_seconds_; }
  [[nodiscard]] std::int64_t sale_opens_at_ms() const { return sale_opens_at_ms_; }    ///< 0: at once
  [[nodiscard]] std::int64_t sale_closes_at_ms() const { return sale_closes_at_ms_; }  ///< 0: never
  [[nodiscard]] bool forbids_orphans() const { return forbids_orphans_; }  ///< whether hand-picked seats may not leave one
  /// How the waiting room admits people. @return nullopt where the show has none
  [[nodiscard]] const std::optional<v1::QueueSettings>& queue() const { return queue_; }

 private:
  struct section {
    std::string name;
    std::vector<std::string> rows;
  };
  struct tier {
    std::string name;
    std::int64_t price = 0;
  };
  [[nodiscard]] const tier& tier_at(std::uint16_t index) const;
  [[nodiscard]] general_admission describe(const layout::general_admission&) const;

  layout layout_;
  std::vector<section> sections_;
  std::vector<tier> tiers_;
  std::string currency_;
  std::uint32_t ticket_limit_;
  std::uint32_t hold_seconds_;
  std::uint32_t extension_seconds_;
  std::int64_t sale_opens_at_ms_;
  std::int64_t sale_closes_at_ms_;
  bool forbids_orphans_;
  std::optional<v1::QueueSettings> queue_;
};

/// Fills in what the client does not say: tiers, prices, capacities, the currency, limits and the times of the sale.
/// Seats and sections keep the client's order.
/// @return VALIDATION_FAILED with a fault for each seat (`seats[1]`) and section (`generalAdmission[0].section`) that the
///         show does not have; then the command is half filled in and of no use
[[nodiscard]] std::optional<v1::Rejection> apply_terms(const terms&, v1::PlaceReservation&);

}  // namespace usher::actors
