#include "projections/offence.hpp"

#include <exception>

#include "events/upcast.hpp"

namespace usher::projections {

namespace {

/// The name of what a oneof of the message holds.
std::string chosen_in(const google::protobuf::Message& message, const char* oneof) {
  const auto* choice = message.GetDescriptor()->FindOneofByName(oneof);
  const auto* field = choice ? message.GetReflection()->GetOneofFieldDescriptor(message, choice) : nullptr;
  return field ? std::string(field->name()) : std::string{};
}

std::string type_of(const v1::StreamEvent& event) {
  const auto payload = chosen_in(event, "payload");
  if (payload.empty()) return "unknown";
  const auto* field = event.GetDescriptor()->FindFieldByName(payload);
  const auto kind = chosen_in(event.GetReflection()->GetMessage(event, field), "kind");
  return kind.empty() ? "unknown" : payload + '.' + kind;
}

offence blame(const v1::Record& record, const v1::StreamEvent* event, std::string reason) {
  offence found{{record.partition(), record.index()}, {}, {}, std::move(reason)};
  if (event == nullptr && !record.events().empty()) event = &record.events(0);
  if (event == nullptr) return found;
  found.stream = key_of(event->stream());
  found.event_type = type_of(*event);
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
