#include "actors/history.hpp"

#include "events/upcast.hpp"
#include "events/words.hpp"
#include "store/snapshots.hpp"

namespace usher::actors {
namespace {

/// The next place behind `after` from which a stream can be read backwards.
result<store::stream_head> next_place(const store::database& db, const v1::EntityRef& ref, const store::stream_head& head, std::uint64_t after) {
  const auto snapshot = store::snapshot_behind(db, ref, after);
  if (!snapshot) return snapshot.error();
  return *snapshot && (*snapshot)->index < head.index ? **snapshot : head;
}

failure unreadable_event(const v1::Record& record, const v1::StreamEvent& event, const std::string& why) {
  return {errc::wrong_format, name_of(event.stream()) + " can't be told: event " + std::to_string(event.version()) + " in record " +
                               place_of({record.partition(), record.index()}) + " can't be read: " + why};
}

/// Takes in what a snapshot knows.
void begin_with(past_state& past, const v1::Snapshot& snapshot) {
  past.state->restore(snapshot);
  past.version = snapshot.version();
  past.index = snapshot.index();
}

}  // namespace

result<past_state> state_as_of(const store::database& db, const store::stream_head& head, const v1::EntityRef& ref, std::uint64_t upto_index) {
  past_state past{make_entity(ref.kind()), 0, 0};
  if (head.version == 0) return past;
  const auto base = store::last_snapshot(db, ref, upto_index);
  if (!base) return base.error();
  if (*base && (*base)->snapshot.schema() == snapshot_schema) begin_with(past, (*base)->snapshot);
  std::optional<failure> broken;
  auto after = past.index;
  while (after < std::min(upto_index, head.index)) {
    const auto next = next_place(db, ref, head, after);
    if (!next) return next.error();
    const store::stretch part{.after = after, .upto = upto_index, .last = next->index, .events = next->version - past.version};
    const auto visited = store::visit_stream(db, ref, part, [&](const v1::Record& record, const v1::StreamEvent& event) {
      if (const auto why = unreadable(event)) broken = unreadable_event(record, event, *why);
      if (broken) return false;
      past.state->evolve(event);
      past.version = event.version();
      past.index = record.index();
      return true;
    });
    if (!visited) return visited.error();
    if (broken) return *broken;
    after = next->index;
  }
  return past;
}

result<std::optional<stream_place>> events_of(const store::database& db, const store::stream_head& head, const v1::EntityRef& ref, stream_place from,
                                              std::size_t limit, std::uint64_t upto_index,
                                              const std::function<void(const v1::Record&, const v1::StreamEvent&)>& visit) {
  auto known = store::stream_head{from.version - 1, from.after};
  if (from.after == 0 && from.version > 1) {
    const auto before = store::snapshot_before(db, ref, from.version, head.index);
    if (!before) return before.error();
    known = *before;
  }
  std::optional<stream_place> rest;
  std::size_t visited = 0;
  auto after = known.index;
  const auto end = std::min(upto_index, head.index);
  while (after < end && !rest) {
    const auto next = next_place(db, ref, head, after);
    if (!next) return next.error();
    const auto skipped = from.version > known.version + 1 ? from.version - known.version - 1 : 0;
    const store::stretch part{.after = after, .upto = upto_index, .last = next->index,
                              .events = next->version > known.version ? next->version - known.version : 1,
                              .wanted = skipped + limit - visited + 1};
    const auto read = store::visit_stream(db, ref, part, [&](const v1::Record& record, const v1::StreamEvent& event) {
      if (event.version() < from.version) return true;
      if (visited == limit) {
        rest = stream_place{event.version(), record.index() - 1};
        return false;
      }
      visit(record, event);
      ++visited;
      return true;
    });
    if (!read) return read.error();
    known = *next;
    after = next->index;
  }
  return rest;
}

}  // namespace usher::actors
