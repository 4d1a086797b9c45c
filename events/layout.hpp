#pragma once
// The seats of a show's plan, in order and by name: what a seat is called, where it stands, and where its bits are in a seat map.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "events/best_available.hpp"
#include "events/show.pb.h"

namespace usher {

/// The expansion of a ShowPlan. Immutable; about 40 bytes a seat besides its name, so that 100,000 seats take some 5 MB.
///
/// Seats stand in the order of the plan: section by section, row by row, seat by seat. A seat's name is the `id` of an
/// imported seat that has one, else `<row>-<number>` where the show has one seated section, `<section>/<row>-<number>`
/// where it has several.
class layout {
 public:
  static constexpr std::uint16_t no_tier = std::numeric_limits<std::uint16_t>::max();

  /// One seat. The views live as long as the layout.
  struct seat {
    std::string_view name;
    std::string_view number;    ///< within its row
    std::uint32_t section = 0;  ///< index in the plan's sections
    std::uint32_t row = 0;      ///< index in that section's rows
    std::uint16_t tier = no_tier;  ///< index in the plan's tiers, no_tier where the plan names none that exists
    bool accessible = false;       ///< made for wheelchairs
  };

  /// One section without named seats.
  struct general_admission {
    std::string name;
    std::uint32_t section = 0;  ///< index in the plan's sections
    std::uint64_t capacity = 0;
    std::uint16_t tier = no_tier;
  };

  layout() = default;
  /// Total: a plan that breaks the rules gives a layout too; `duplicate` names what a validator must refuse.
  explicit layout(const v1::ShowPlan&);

  [[nodiscard]] std::size_t size() const { return seats_.size(); }  ///< named seats
  [[nodiscard]] seat at(std::size_t index) const;                   ///< index < size()
  /// The seat's index. O(1). @return nullopt where the show has no such seat
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view name) const;
  /// Where the seats stand: sections in the plan's order, in each of them the first row in front.
  [[nodiscard]] const floor_plan& floor() const { return floor_; }

  [[nodiscard]] const std::vector<general_admission>& sections_without_seats() const { return places_; }
  /// Index in sections_without_seats(). @return nullopt where there is no such section
  [[nodiscard]] std::optional<std::uint32_t> find_section(std::string_view name) const;

  /// The first name that two seats share, empty where all differ. Only the first of them can be found.
  [[nodiscard]] const std::string& duplicate() const { return duplicate_; }

 private:
  struct stored {
    std::uint32_t name_begin;
    std::uint32_t number_begin;
    std::uint32_t row;
    std::uint16_t name_size;
    std::uint16_t number_size;
    std::uint16_t section;
    std::uint16_t tier;
  };
  void add_seats(const v1::ShowPlan&, std::uint16_t section, bool with_section_name);
  void add(std::string_view name, std::string_view number, std::uint16_t section, std::uint32_t row, std::uint16_t tier);
  void mark_accessible(const v1::ShowPlan&);
  void index_names();
  void place_rows();
  [[nodiscard]] std::string_view name_of(const stored& s) const { return {text_.data() + s.name_begin, s.name_size}; }

  std::string text_;                  // all names, and numbers where a name does not end in them
  std::vector<stored> seats_;
  floor_plan floor_;
  std::vector<std::uint32_t> slots_;  // open addressing over names: seat index + 1, 0 for empty; a power of two
  std::vector<general_admission> places_;
  std::string duplicate_;
};

}  // namespace usher
