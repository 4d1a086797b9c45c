#include "projections/reservations.hpp"

#include "events/fold.hpp"
#include "projections/bytes.hpp"
#include "store/stream.hpp"

namespace usher::projections {

namespace {

std::string row_key(std::string_view reservation_id) { return "i/" + std::string(reservation_id); }
std::string user_prefix(std::string_view user_id) { return "u/" + std::string(user_id) + '/'; }

/// A reservation's row.
struct whereabouts {
  std::uint64_t last_index = 0;  // of the last record that touched it
  std::int64_t placed_at_ms = 0;
};

std::string row_of(const whereabouts& w) {
  std::string row;
  put_number(row, w.last_index);
  put_number(row, static_cast<std::uint64_t>(w.placed_at_ms));
  return row;
}

result<whereabouts> whereabouts_of(std::string_view reservation_id, std::string_view row) {
  constexpr std::size_t row_bytes = 2 * 8;
  if (row.size() != row_bytes) return failure{errc::corrupted, "the row of reservation " + std::string(reservation_id) + " cannot be read"};
  byte_reader in(row);
  whereabouts found;
  found.last_index = in.number();
  found.placed_at_ms = static_cast<std::int64_t>(in.number());
  return found;
}

/// What the records of its stream make of a reservation.
reservation_view folded(std::string id, const v1::EntityRef& stream, const std::vector<store::record_ptr>& records) {
  reservation_view view{std::move(id), 0, {}};
  for (const auto& record : records)
    for (const auto& event : record->events()) {
      if (!store::same_entity(event.stream(), stream)) continue;
      fold(view.state, event.reservation());
      view.version = event.version();
    }
  view.state.clear_process_key();
  return view;
}

}  // namespace

result<void> reservations::load(const store::database& db, const std::string& rows) {
  db_ = &db;
  table_.open(db, rows);
  return {};
}

void reservations::apply(const v1::Record& record) {
  for (const auto& event : record.events()) {
    if (!event.has_reservation()) continue;
    look_at(event);
    const auto& id = event.stream().name();
    const auto& what = event.reservation();
    whereabouts now;
    if (what.has_placed())
      now.placed_at_ms = what.placed().at_ms();
    else if (const auto row = table_.get(row_key(id)).value())
      now = whereabouts_of(id, *row).value();
    now.last_index = record.index();
    table_.put(row_key(id), row_of(now));
    const auto list = [&](std::string_view user_id) {
      table_.put(user_prefix(user_id) + newest_first(static_cast<std::uint64_t>(now.placed_at_ms)) + id, "");
    };
    if (what.has_placed()) list(what.placed().user_id());
    if (what.has_transferred()) list(what.transferred().to_user_id());
  }
}

result<std::optional<reservation_view>> reservations::find(std::string_view reservation_id) const {
  auto row = table_.get(row_key(reservation_id));
  if (!row) return row.error();
  if (!*row) return std::optional<reservation_view>{};
  const auto known = whereabouts_of(reservation_id, **row);
  if (!known) return known.error();
  const auto stream = reservation_ref(std::string(reservation_id));
  const auto records = store::read_stream(*db_, stream, known->last_index);
  if (!records) return records.error();
  return std::optional{folded(std::string(reservation_id), stream, *records)};
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
