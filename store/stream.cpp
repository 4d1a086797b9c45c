#include "store/stream.hpp"

#include <algorithm>
#include <optional>

#include "events/upcast.hpp"

namespace usher::store {

bool same_entity(const v1::EntityRef& a, const v1::EntityRef& b) {
  return a.kind() == b.kind() && a.name() == b.name() && a.group() == b.group();
}

namespace {

/// As read_stream, whether or not the events can be read.
result<std::vector<record_ptr>> read_chain(const database& db, const v1::EntityRef& stream, std::uint64_t last, std::uint64_t since,
                                           std::uint64_t upto) {
  std::vector<record_ptr> records;
  const auto partition = partition_of(stream.group());
  while (last > since) {
    auto record = db.read({partition, last});
    if (!record) return record.error();
    const auto broken = [&](const char* why) {
      return failure{errc::corrupted, "stream " + key_of(stream) + ", record " + std::to_string(last) + ": " + why};
    };
    if (!*record) return broken("missing");
    const auto& events = (*record)->events();
    const auto first = std::find_if(events.begin(), events.end(),
                                    [&](const v1::StreamEvent& e) { return same_entity(e.stream(), stream); });
    if (first == events.end()) return broken("does not touch the stream");
    if (last <= upto) records.push_back(*record);
    last = first->previous_index();
  }
  std::reverse(records.begin(), records.end());
  return records;
}

/// What stops whoever goes on from the stream's state.
std::optional<failure> first_unreadable(const v1::EntityRef& stream, const std::vector<record_ptr>& records) {
  for (const auto& record : records)
    for (const auto& e : record->events())
      if (const auto why = same_entity(e.stream(), stream) ? unreadable(e) : std::nullopt)
        return failure{errc::wrong_format, key_of(stream) + " stands still: event " + std::to_string(e.version()) + " of it, in record " +
                                               std::to_string(record->partition()) + "/" + std::to_string(record->index()) +
                                               ", can't be read: " + *why};
  return std::nullopt;
}

}  // namespace

result<std::vector<record_ptr>> read_stream(const database& db, const v1::EntityRef& stream, std::uint64_t last,
                                            std::uint64_t since, std::uint64_t upto) {
  auto records = read_chain(db, stream, last, since, upto);
  if (!records) return records;
  if (auto broken = first_unreadable(stream, *records)) return *broken;
  return records;
}

result<void> visit_records(const database& db, const v1::EntityRef& stream, std::uint64_t from, std::uint64_t upto,
                           const std::function<bool(const v1::Record&)>& visit) {
  const auto partition = partition_of(stream.group());
  v1::Record record;
  std::optional<failure> broken;
  auto scanned = db.scan_stored(partition, from, [&](std::uint64_t index, std::string_view stored) {
    if (index > upto) return false;
    // Texts stand in a message as they are, so that a record without these bytes is none of the stream's.
    if (stored.find(stream.name().empty() ? stream.group() : stream.name()) == std::string_view::npos) return true;
    if (decode(stored, record)) return visit(record);
    broken = failure{errc::corrupted, "record " + std::to_string(index) + " of partition " + std::to_string(partition) + " can't be decoded"};
    return false;
  });
  if (broken) return *broken;
  return scanned;
}

namespace {

/// How many records can be passed in the time of one point look-up.
constexpr std::uint64_t records_a_look_up = 6;

bool scan_is_cheaper(const stretch& s) {
  const auto records = std::min(s.upto, s.last) - s.after;
  const auto passed = s.wanted < s.events ? records / s.events * s.wanted : records;
  return passed <= s.events * records_a_look_up;
}

/// @return false where `visit` has had enough
bool visit_own(const v1::Record& record, const v1::EntityRef& stream,
               const std::function<bool(const v1::Record&, const v1::StreamEvent&)>& visit) {
  return std::ranges::all_of(record.events(), [&](const v1::StreamEvent& e) { return !same_entity(e.stream(), stream) || visit(record, e); });
}

}  // namespace

result<void> visit_stream(const database& db, const v1::EntityRef& stream, const stretch& s,
                          const std::function<bool(const v1::Record&, const v1::StreamEvent&)>& visit) {
  const auto end = std::min(s.upto, s.last);
  if (end <= s.after) return {};
  if (scan_is_cheaper(s))
    return visit_records(db, stream, s.after + 1, end, [&](const v1::Record& record) { return visit_own(record, stream, visit); });
  auto records = read_chain(db, stream, s.last, s.after, s.upto);
  if (!records) return records.error();
  for (const auto& record : *records)
    if (!visit_own(*record, stream, visit)) break;
  return {};
}

}  // namespace usher::store
