// What a show sells, looked up by name.

#include "actors/terms.hpp"

#include "actors/rules.hpp"

namespace usher::actors {
namespace {

constexpr std::uint32_t default_ticket_limit = 8;
constexpr std::uint32_t default_hold_seconds = 300;

std::string at_index(const char* list, int index) { return std::string{list} + '[' + std::to_string(index) + ']'; }

}  // namespace

terms::terms(const v1::ShowState& show)
    : layout_(show.plan()),
      currency_(show.plan().currency()),
      ticket_limit_(show.plan().ticket_limit() == 0 ? default_ticket_limit : show.plan().ticket_limit()),
      hold_seconds_(show.plan().hold_seconds() == 0 ? default_hold_seconds : show.plan().hold_seconds()),
      extension_seconds_(show.plan().extension_seconds()),
      sale_opens_at_ms_(show.plan().sale_opens_at_ms()),
      sale_closes_at_ms_(show.plan().sale_closes_at_ms()),
      forbids_orphans_(show.plan().forbid_orphans()) {
  const auto& plan = show.plan();
  for (const auto& s : plan.sections()) {
    auto& mine = sections_.emplace_back();
    mine.name = s.name();
    for (const auto& row : s.rows()) mine.rows.push_back(row.name());
  }
  for (const auto& t : plan.tiers()) tiers_.push_back({t.name(), t.price()});
  if (plan.has_queue()) queue_ = plan.queue();
}

const terms::tier& terms::tier_at(std::uint16_t index) const {
  // A show opens only with tiers that exist, so that every seat of these terms has one.
  return tiers_.at(index);
}

terms::seat terms::at(std::uint32_t index) const {
  const auto s = layout_.at(index);
  const auto& [tier_name, price] = tier_at(s.tier);
  const auto& in = sections_[s.section];
  return {s.name, in.name, in.rows[s.row], s.number, tier_name, price, index};
}

std::optional<terms::seat> terms::find(std::string_view name) const {
  const auto index = layout_.find(name);
  if (!index) return std::nullopt;
  return at(*index);
}

terms::general_admission terms::describe(const layout::general_admission& g) const {
  const auto& [tier_name, price] = tier_at(g.tier);
  return {g.name, tier_name, price, g.capacity};
}

std::optional<terms::general_admission> terms::find_section(std::string_view name) const {
  const auto index = layout_.find_section(name);
  if (!index) return std::nullopt;
  return describe(layout_.sections_without_seats()[*index]);
}

std::vector<terms::general_admission> terms::sections_without_seats() const {
  std::vector<general_admission> out;
  for (const auto& g : layout_.sections_without_seats()) out.push_back(describe(g));
  return out;
}

std::optional<v1::Rejection> apply_terms(const terms& t, v1::PlaceReservation& c) {
  v1::Rejection unknown;
  for (int i = 0; i != c.seats_size(); ++i) {
    auto& item = *c.mutable_seats(i);
    if (const auto seat = t.find(item.seat())) {
      item.set_tier(std::string{seat->tier});
      item.set_price(seat->price);
    } else {
      add_fault(unknown, at_index("seats", i), "The show has no seat " + item.seat() + ".");
    }
  }
  for (int i = 0; i != c.general_admission_size(); ++i) {
    auto& item = *c.mutable_general_admission(i);
    if (const auto places = t.find_section(item.section())) {
      item.set_tier(std::string{places->tier});
      item.set_price(places->price);
      item.set_capacity(places->capacity);
    } else {
      add_fault(unknown, at_index("generalAdmission", i) + ".section",
                "The show has no section " + item.section() + " with general admission.");
    }
  }
  c.set_currency(t.currency());
  c.set_ticket_limit(t.ticket_limit());
  c.set_hold_seconds(t.hold_seconds());
  c.set_sale_opens_at_ms(t.sale_opens_at_ms());
  c.set_sale_closes_at_ms(t.sale_closes_at_ms());
  if (unknown.faults_size() == 0) return std::nullopt;
  unknown.set_code(v1::VALIDATION_FAILED);
  unknown.set_detail(unknown.faults(0).detail());
  return unknown;
}

}  // namespace usher::actors
