#include "events/layout.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <unordered_map>

namespace usher {

namespace {

using tier_index = std::unordered_map<std::string_view, std::uint16_t>;

tier_index tiers_of(const v1::ShowPlan& plan) {
  tier_index found;
  const int count = std::min<int>(plan.tiers_size(), layout::no_tier);
  for (int i = 0; i < count; ++i) found.emplace(plan.tiers(i).name(), static_cast<std::uint16_t>(i));
  return found;
}

std::uint16_t tier_of(const tier_index& tiers, std::string_view name) {
  const auto found = tiers.find(name);
  return found == tiers.end() ? layout::no_tier : found->second;
}

bool is_seated(const v1::Section& section) { return section.kind() != "generalAdmission"; }

}  // namespace

layout::layout(const v1::ShowPlan& plan) {
  const auto seated = std::count_if(plan.sections().begin(), plan.sections().end(), is_seated);
  const auto tiers = tiers_of(plan);
  for (int i = 0; i < plan.sections_size(); ++i) {
    const auto& section = plan.sections(i);
    if (is_seated(section)) {
      add_seats(plan, static_cast<std::uint16_t>(i), seated > 1);
    } else {
      places_.push_back({section.name(), static_cast<std::uint32_t>(i), section.stock(), tier_of(tiers, section.tier())});
    }
  }
  text_.shrink_to_fit();
  seats_.shrink_to_fit();
  index_names();
  place_rows();
  mark_accessible(plan);
}

void layout::add_seats(const v1::ShowPlan& plan, std::uint16_t section_index, bool with_section_name) {
  const auto tiers = tiers_of(plan);
  const auto& section = plan.sections(section_index);
  for (int r = 0; r < section.rows_size(); ++r) {
    const auto& row = section.rows(r);
    const auto row_tier = tier_of(tiers, row.tier());
    const std::string prefix = (with_section_name ? section.name() + '/' : std::string{}) + row.name() + '-';
    for (const auto& named : row.named()) {
      const auto tier = named.tier().empty() ? row_tier : tier_of(tiers, named.tier());
      const std::string name = named.id().empty() ? prefix + named.number() : named.id();
      add(name, named.number(), section_index, static_cast<std::uint32_t>(r), tier);
    }
    const std::uint32_t generated = row.named_size() > 0 ? 0 : row.seats();
    for (std::uint32_t n = 1; n <= generated; ++n) {
      const std::string number = std::to_string(n);
      add(prefix + number, number, section_index, static_cast<std::uint32_t>(r), row_tier);
    }
  }
}

void layout::add(std::string_view name, std::string_view number, std::uint16_t section, std::uint32_t row,
                 std::uint16_t tier) {
  constexpr std::size_t longest = std::numeric_limits<std::uint16_t>::max();
  name = name.substr(0, longest);
  number = number.substr(0, longest);
  stored s{};
  s.name_begin = static_cast<std::uint32_t>(text_.size());
  s.name_size = static_cast<std::uint16_t>(name.size());
  s.number_size = static_cast<std::uint16_t>(number.size());
  s.row = row;
  s.section = section;
  s.tier = tier;
  text_ += name;
  if (name.ends_with(number)) {
    s.number_begin = static_cast<std::uint32_t>(text_.size() - number.size());
  } else {
    s.number_begin = static_cast<std::uint32_t>(text_.size());
    text_ += number;
  }
  seats_.push_back(s);
}

void layout::index_names() {
  slots_.assign(std::bit_ceil(seats_.size() * 2 + 1), 0);
  const std::size_t mask = slots_.size() - 1;
  for (std::uint32_t i = 0; i < seats_.size(); ++i) {
    const auto name = name_of(seats_[i]);
    std::size_t slot = std::hash<std::string_view>{}(name) & mask;
    while (slots_[slot] != 0 && name_of(seats_[slots_[slot] - 1]) != name) slot = (slot + 1) & mask;
    if (slots_[slot] == 0) {
      slots_[slot] = i + 1;
    } else if (duplicate_.empty()) {
      duplicate_ = name;
    }
  }
}

layout::seat layout::at(std::size_t index) const {
  const auto& s = seats_[index];
  return {name_of(s), {text_.data() + s.number_begin, s.number_size}, s.section, s.row, s.tier, floor_.accessible.has(index)};
}

void layout::place_rows() {
  for (std::uint32_t i = 0; i < seats_.size(); ++i) {
    const auto& s = seats_[i];
    const bool new_row = i == 0 || s.row != seats_[i - 1].row || s.section != seats_[i - 1].section;
    if (new_row) floor_.rows.push_back({i, i, (std::uint64_t{s.section} << 32) + s.row});
    if (new_row || s.tier != seats_[i - 1].tier)
      floor_.stretches.push_back({i, i, static_cast<std::uint32_t>(floor_.rows.size() - 1), s.tier});
    floor_.rows.back().end = floor_.stretches.back().end = i + 1;
  }
}

void layout::mark_accessible(const v1::ShowPlan& plan) {
  floor_.accessible = seat_set{seats_.size()};
  for (const auto& place : floor_.rows) {
    const auto& first = seats_[place.begin];
    const auto& row = plan.sections(first.section).rows(static_cast<int>(first.row));
    for (int i = 0; i < row.named_size(); ++i)
      if (row.named(i).accessible()) floor_.accessible.add(place.begin + static_cast<std::uint32_t>(i));
    for (const auto number : row.accessible())
      if (row.named_size() == 0 && number >= 1 && number <= place.end - place.begin) floor_.accessible.add(place.begin + number - 1);
  }
}

std::optional<std::uint32_t> layout::find(std::string_view name) const {
  if (seats_.empty()) return std::nullopt;
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = std::hash<std::string_view>{}(name) & mask;
  for (; slots_[slot] != 0; slot = (slot + 1) & mask) {
    if (name_of(seats_[slots_[slot] - 1]) == name) return slots_[slot] - 1;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> layout::find_section(std::string_view name) const {
  for (std::uint32_t i = 0; i < places_.size(); ++i) {
    if (places_[i].name == name) return i;
  }
  return std::nullopt;
}

}  // namespace usher
