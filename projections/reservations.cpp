#include "projections/reservations.hpp"

#include <stdexcept>

#include "events/fold.hpp"

namespace usher::projections {

namespace {

std::string row_key(std::string_view reservation_id) { return "i/" + std::string(reservation_id); }
std::string user_prefix(std::string_view user_id) { return "u/" + std::string(user_id) + '/'; }

result<reservation_view> view_from(std::string reservation_id, const std::string& row) {
  v1::Snapshot stored;
  if (!stored.ParseFromString(row) || !stored.has_reservation()) {
    return failure{errc::corrupted, "the row of reservation " + reservation_id + " cannot be parsed"};
  }
  return reservation_view{std::move(reservation_id), stored.version(), std::move(*stored.mutable_reservation())};
}

}  // namespace

result<void> reservations::load(const store::database& db, const std::string& rows) {
  table_.open(db, rows);
  return {};
}

void reservations::apply(const v1::Record& record) {
  for (const auto& event : record.events()) {
    if (!event.has_reservation()) continue;
    look_at(event);
    const auto& id = event.stream().name();
    v1::Snapshot stored;
    std::optional<std::string> row;
    if (event.version() > 1) row = table_.get(row_key(id)).value();
    if (row && !stored.ParseFromString(*row)) throw std::runtime_error("a reservation's row cannot be parsed");
    fold(*stored.mutable_reservation(), event.reservation());
    stored.mutable_reservation()->clear_process_key();
    stored.set_version(event.version());
    table_.put(row_key(id), stored.SerializeAsString());
    if (!event.reservation().has_placed() && !event.reservation().has_transferred()) continue;
    const auto& now = stored.reservation();
    table_.put(user_prefix(now.user_id()) + newest_first(static_cast<std::uint64_t>(now.placed_at_ms())) + id, "");
  }
}

result<std::optional<reservation_view>> reservations::find(std::string_view reservation_id) const {
  auto row = table_.get(row_key(reservation_id));
  if (!row) return row.error();
  if (!*row) return std::optional<reservation_view>{};
  auto view = view_from(std::string(reservation_id), **row);
  if (!view) return view.error();
  return std::optional{std::move(*view)};
}

result<page<reservation_view>> reservations::of_user(std::string_view user_id, std::string_view cursor,
                                                     std::size_t limit) const {
  const auto prefix = user_prefix(user_id);
  auto keys = table_.read(prefix, prefix + std::string(cursor), limit);
  if (!keys) return keys.error();
  page<reservation_view> answer;
  for (const auto& item : keys->items) {
    auto found = find(std::string_view(item.key).substr(prefix.size() + 16));
    if (!found) return found.error();
    if (*found && (*found)->state.user_id() == user_id) answer.items.push_back(std::move(**found));
  }
  if (!keys->next_cursor.empty()) answer.next_cursor = keys->next_cursor.substr(prefix.size());
  return answer;
}

}  // namespace usher::projections
