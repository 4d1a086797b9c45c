#include "projections/offence.hpp"

#include <exception>

#include "events/upcast.hpp"
#include "events/words.hpp"

namespace usher::projections {

namespace {

offence blame(const v1::Record& record, const v1::StreamEvent* event, std::string reason) {
  offence found{{record.partition(), record.index()}, {}, {}, std::move(reason)};
  if (event == nullptr && !record.events().empty()) event = &record.events(0);
  if (event == nullptr) return found;
  found.stream = key_of(event->stream());
  found.event_type = type_of(*event, "payload");
  return found;
}

}  // namespace

std::string offence::text() const {
  std::string out = "record " + std::to_string(at.partition) + '/' + std::to_string(at.index);
  if (!stream.empty()) out += ", " + event_type + " of " + stream;
  return out + ": " + reason;
}

std::optional<offence> apply_to(projection& view, const v1::Record& record) {
  const auto concerns = view.concerns();
  for (const auto& event : record.events()) {
    if (!concerns.has(event.payload_case())) continue;
    if (auto why = unreadable(event)) return blame(record, &event, std::move(*why));
  }
  view.forget_event();
  try {
    view.apply(record);
  } catch (const std::exception& e) {
    return blame(record, view.looked_at(), e.what());
  }
  return std::nullopt;
}

}  // namespace usher::projections
