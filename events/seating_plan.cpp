// Reads the members of pretix's format that a sale needs, and checks what a sale relies on: that a guid names one seat.

#include "events/seating_plan.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "events/json.hpp"

namespace usher {
namespace {

namespace json = boost::json;

struct category {
  std::string path;
  bool used = false;
};

class plan_reader {
 public:
  explicit plan_reader(const std::map<std::string, std::int64_t>& prices) : prices_{prices} {}

  void read(const json::value& plan) {
    const auto* object = plan.if_object();
    if (!object) return blame({}, "A seating plan is an object.");
    read_categories(*object);
    read_zones(*object);
    if (faults_.empty() && plan_.sections().empty()) blame("zones", "The plan has no seats.");
    price_categories();
  }

  std::vector<v1::Fault> finish(v1::ShowPlan& into) && {
    if (faults_.empty()) merge(into);
    return std::move(faults_);
  }

 private:
  bool full() const { return faults_.size() >= fault_limit; }

  void blame(std::string path, std::string detail) {
    if (full()) return;
    auto& fault = faults_.emplace_back();
    fault.set_field(std::move(path));
    fault.set_detail(std::move(detail));
  }

  static std::string member(const std::string& path, std::string_view name) {
    return path.empty() ? std::string{name} : path + '.' + std::string{name};
  }
  static std::string item(const std::string& path, std::size_t i) { return path + '[' + std::to_string(i) + ']'; }

  const json::array* list(const json::object& object, std::string_view name, const std::string& path) {
    const auto* value = object.if_contains(name);
    if (!value) return blame(member(path, name), "It is missing."), nullptr;
    if (!value->is_array()) return blame(member(path, name), "Expected an array."), nullptr;
    return &value->get_array();
  }

  const json::object* object_at(const json::value& value, const std::string& path) {
    if (!value.is_object()) return blame(path, "Expected an object."), nullptr;
    return &value.get_object();
  }

  std::optional<std::string> text(const json::object& object, std::string_view name, const std::string& path) {
    const auto* value = object.if_contains(name);
    if (!value) return blame(member(path, name), "It is missing."), std::nullopt;
    if (!value->is_string()) return blame(member(path, name), "Expected a string."), std::nullopt;
    return std::string{value->get_string().data(), value->get_string().size()};
  }

  std::optional<std::string> name(const json::object& object, std::string_view name, const std::string& path) {
    auto found = text(object, name, path);
    if (found && found->empty()) return blame(member(path, name), "It must not be empty."), std::nullopt;
    return found;
  }

  void read_categories(const json::object& plan) {
    const auto* items = list(plan, "categories", {});
    for (std::size_t i = 0; items && i != items->size() && !full(); ++i) {
      const auto path = item("categories", i);
      const auto* object = object_at((*items)[i], path);
      const auto found = object ? name(*object, "name", path) : std::nullopt;
      if (!found) continue;
      if (!categories_.try_emplace(*found, category{path}).second) {
        blame(member(path, "name"), "There is another category of this name.");
        continue;
      }
      category_order_.push_back(*found);
    }
    categories_known_ = items != nullptr;
  }

  void read_zones(const json::object& plan) {
    const auto* items = list(plan, "zones", {});
    std::unordered_set<std::string> names;
    for (std::size_t i = 0; items && i != items->size() && !full(); ++i) {
      const auto path = item("zones", i);
      const auto* zone = object_at((*items)[i], path);
      if (!zone) continue;
      v1::Section section;
      section.set_kind("seated");
      if (auto found = name(*zone, "name", path)) {
        if (!names.insert(*found).second) blame(member(path, "name"), "There is another zone of this name.");
        section.set_name(std::move(*found));
      }
      read_rows(*zone, path, section);
      if (!section.rows().empty()) *plan_.add_sections() = std::move(section);
    }
  }

  void read_rows(const json::object& zone, const std::string& zone_path, v1::Section& section) {
    const auto* items = list(zone, "rows", zone_path);
    for (std::size_t i = 0; items && i != items->size() && !full(); ++i) {
      const auto path = item(member(zone_path, "rows"), i);
      const auto* object = object_at((*items)[i], path);
      if (!object) continue;
      v1::SeatRow row;
      if (auto found = text(*object, "row_number", path)) row.set_name(std::move(*found));
      read_seats(*object, path, row);
      if (!row.named().empty()) *section.add_rows() = std::move(row);
    }
  }

  void read_seats(const json::object& row_object, const std::string& row_path, v1::SeatRow& row) {
    const auto* items = list(row_object, "seats", row_path);
    for (std::size_t i = 0; items && i != items->size() && !full(); ++i) {
      const auto path = item(member(row_path, "seats"), i);
      if (const auto* seat = object_at((*items)[i], path)) read_seat(*seat, path, *row.add_named());
    }
  }

  void read_seat(const json::object& object, const std::string& path, v1::NamedSeat& seat) {
    if (auto number = text(object, "seat_number", path)) seat.set_number(std::move(*number));
    if (auto guid = name(object, "seat_guid", path)) {
      const auto [other, is_new] = guids_.try_emplace(*guid, path);
      if (!is_new) blame(member(path, "seat_guid"), "It is also the guid of " + other->second + ".");
      seat.set_id(std::move(*guid));
    }
    if (auto tier = name(object, "category", path)) {
      const auto found = categories_.find(*tier);
      if (found != categories_.end()) {
        found->second.used = true;
      } else if (categories_known_) {
        blame(member(path, "category"), "The plan has no category of this name.");
      }
      seat.set_tier(std::move(*tier));
    }
  }

  /// Told once for a category, not once for each of its seats.
  void price_categories() {
    for (const auto& name : category_order_) {
      const auto& [path, used] = categories_.at(name);
      if (!used) continue;
      const auto price = prices_.find(name);
      if (price == prices_.end()) {
        blame(path, "Seats have the category " + name + ", but no tier gives its price.");
        continue;
      }
      auto& tier = *plan_.add_tiers();
      tier.set_name(name);
      tier.set_price(price->second);
    }
  }

  void merge(v1::ShowPlan& into) {
    for (auto& section : *plan_.mutable_sections()) *into.add_sections() = std::move(section);
    for (auto& tier : *plan_.mutable_tiers()) {
      const bool known = std::any_of(into.tiers().begin(), into.tiers().end(),
                                     [&](const v1::Tier& other) { return other.name() == tier.name(); });
      if (!known) *into.add_tiers() = std::move(tier);
    }
  }

  const std::map<std::string, std::int64_t>& prices_;
  std::unordered_map<std::string, category> categories_;
  std::vector<std::string> category_order_;
  bool categories_known_ = false;
  std::unordered_map<std::string, std::string> guids_;  // to the path of the seat that has it
  v1::ShowPlan plan_;
  std::vector<v1::Fault> faults_;
};

}  // namespace

std::vector<v1::Fault> read_seating_plan(const json::value& plan, const std::map<std::string, std::int64_t>& prices,
                                         v1::ShowPlan& into) {
  plan_reader reader{prices};
  reader.read(plan);
  return std::move(reader).finish(into);
}

}  // namespace usher
