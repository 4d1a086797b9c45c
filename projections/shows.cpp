#include "projections/shows.hpp"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <stdexcept>

#include "events/fold.hpp"
#include "projections/bytes.hpp"
#include "projections/table.hpp"

namespace usher::projections {

namespace {

// Cursors are `<starts_at in 16 hexadecimal digits>_<show id>`, of the first show of the next part. Times before 1970
// wrap around, which orders them last in a cursor only; nothing is sold for them.
std::string cursor_of(const std::pair<std::int64_t, std::string>& place) {
  return in_order(static_cast<std::uint64_t>(place.first)) + '_' + place.second;
}

std::pair<std::int64_t, std::string> place_of_cursor(const std::string& cursor) {
  std::uint64_t starts_at = 0;
  if (!shows::is_cursor(cursor)) return {std::numeric_limits<std::int64_t>::min(), {}};
  std::from_chars(cursor.data(), cursor.data() + 16, starts_at, 16);
  return {static_cast<std::int64_t>(starts_at), cursor.substr(17)};
}

}  // namespace

bool shows::is_cursor(std::string_view text) {
  std::uint64_t starts_at = 0;
  return text.size() >= 17 && text[16] == '_' && std::from_chars(text.data(), text.data() + 16, starts_at, 16).ptr == text.data() + 16;
}

result<void> shows::load(const store::database& db, const std::string& rows) {
  return each_row(db, rows, "", [this](std::string_view key, std::string_view value) {
    const std::unique_lock lock(mutex_);
    byte_reader in(value);
    entry loaded;
    loaded.version = in.number();
    loaded.opened_at_ms = static_cast<std::int64_t>(in.number());
    auto plan = std::make_shared<v1::ShowPlan>();
    if (!plan->ParseFromArray(in.rest().data(), static_cast<int>(in.rest().size()))) {
      throw std::runtime_error("a plan cannot be parsed");
    }
    by_start_.emplace(plan->starts_at_ms(), key);
    loaded.plan = std::move(plan);
    shows_.insert_or_assign(std::string(key), std::move(loaded));
    return true;
  });
}

void shows::apply(const v1::Record& record) {
  for (const auto& event : record.events()) {
    if (!event.has_show()) continue;
    look_at(event);
    const std::unique_lock lock(mutex_);
    fold(event.stream().group(), event.version(), event.show());
  }
}

void shows::fold(const std::string& show_id, std::uint64_t version, const v1::ShowEvent& event) {
  auto& show = shows_[show_id];
  auto plan = show.plan ? std::make_shared<v1::ShowPlan>(*show.plan) : std::make_shared<v1::ShowPlan>();
  switch (event.kind_case()) {
    case v1::ShowEvent::kOpened:
      *plan = event.opened().plan();
      show.opened_at_ms = event.opened().at_ms();
      break;
    case v1::ShowEvent::kChanged: usher::fold(*plan, event.changed().change()); break;
    case v1::ShowEvent::KIND_NOT_SET: break;
  }
  if (show.plan) by_start_.erase({show.plan->starts_at_ms(), show_id});
  by_start_.emplace(plan->starts_at_ms(), show_id);
  show.plan = std::move(plan);
  show.version = version;
  changed_.insert(show_id);
}

void shows::collect(row_writer& out) {
  const std::shared_lock lock(mutex_);
  for (const auto& id : changed_) {
    const auto& show = shows_.find(id)->second;
    std::string row;
    put_number(row, show.version);
    put_number(row, static_cast<std::uint64_t>(show.opened_at_ms));
    out.put(id, row + show.plan->SerializeAsString());
  }
  changed_.clear();
}

std::size_t shows::unwritten() const {
  const std::shared_lock lock(mutex_);
  return changed_.size();
}

void shows::swap_in(projection& built) {
  auto& other = static_cast<shows&>(built);
  const std::unique_lock lock(mutex_);
  shows_.swap(other.shows_);
  by_start_.swap(other.by_start_);
  changed_.swap(other.changed_);
}

show_view shows::view_of(const std::string& show_id, const entry& show) const {
  show_view view{show_id, show.version, show.plan, show.opened_at_ms, {}, 0};
  if (auto totals = seats_.totals(show_id)) {
    view.counts = std::move(totals->counts);
    view.sold_out_at_ms = totals->sold_out_at_ms;
  }
  return view;
}

std::optional<show_view> shows::find(std::string_view show_id) const {
  const std::shared_lock lock(mutex_);
  const auto found = shows_.find(show_id);
  if (found == shows_.end()) return std::nullopt;
  return view_of(found->first, found->second);
}

std::shared_ptr<const v1::ShowPlan> shows::plan(std::string_view show_id) const {
  const std::shared_lock lock(mutex_);
  const auto found = shows_.find(show_id);
  return found == shows_.end() ? nullptr : found->second.plan;
}

page<show_view> shows::list(const show_query& query) const {
  place from = place_of_cursor(query.cursor);
  if (query.starts_from_ms) from = std::max(from, place{*query.starts_from_ms, {}});
  page<show_view> answer;
  const std::shared_lock lock(mutex_);
  for (auto i = by_start_.lower_bound(from); i != by_start_.end(); ++i) {
    if (query.starts_before_ms && i->first >= *query.starts_before_ms) break;
    if (answer.items.size() == query.limit) {
      answer.next_cursor = cursor_of(*i);
      break;
    }
    answer.items.push_back(view_of(i->second, shows_.find(i->second)->second));
  }
  return answer;
}

std::vector<sellout_view> shows::fastest_sellouts(std::size_t limit) const {
  std::vector<sellout_view> found;
  const std::shared_lock lock(mutex_);
  for (const auto& [id, show] : shows_) {
    const auto totals = seats_.totals(id);
    if (!totals || totals->sold_out_at_ms == 0) continue;
    const auto opened = std::max(show.opened_at_ms, show.plan->sale_opens_at_ms());
    found.push_back({view_of(id, show), std::max<std::int64_t>(0, totals->sold_out_at_ms - opened)});
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.took_ms < b.took_ms; });
  if (found.size() > limit) found.resize(limit);
  return found;
}

}  // namespace usher::projections
