#include "store/stream.hpp"

#include <algorithm>

#include "events/upcast.hpp"

namespace usher::store {

bool same_entity(const v1::EntityRef& a, const v1::EntityRef& b) {
  return a.kind() == b.kind() && a.name() == b.name() && a.group() == b.group();
}

result<std::vector<record_ptr>> read_stream(const database& db, const v1::EntityRef& stream, std::uint64_t last,
                                            std::uint64_t since) {
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
    for (const auto& e : events)
      if (const auto why = same_entity(e.stream(), stream) ? unreadable(e) : std::nullopt)
        return failure{errc::wrong_format, key_of(stream) + " stands still: event " + std::to_string(e.version()) + " of it, in record " +
                                               std::to_string(partition) + "/" + std::to_string(last) + ", can't be read: " + *why};
    records.push_back(*record);
    last = first->previous_index();
  }
  std::reverse(records.begin(), records.end());
  return records;
}

}  // namespace usher::store
