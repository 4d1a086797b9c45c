#include "events/upcast.hpp"

namespace usher {
namespace {

constexpr std::uint32_t person_sealed = 2;

template <class Event>
std::uint32_t first_schema(const Event& e) {
  return e.kind_case() == Event::KIND_NOT_SET ? 0 : 1;
}

std::uint32_t schema_of(const v1::UserEvent& e) {
  switch (e.kind_case()) {
    case v1::UserEvent::kSignedUp: return person_sealed;
    case v1::UserEvent::kErased: return 1;
    case v1::UserEvent::KIND_NOT_SET: break;
  }
  return 0;
}

/// Schema 1 held the person in the clear. There is no key that it could be sealed with now, and what is read is copied into
/// views, snapshots and exports, from where nobody could erase it: so whoever comes from there is a person of whom nothing is known.
void forget_clear_text(v1::UserSignedUp& e) {
  e.clear_name();
  e.clear_email();
  e.clear_password_hash();
}

}  // namespace

std::uint32_t schema_of(const v1::StreamEvent& e) {
  switch (e.payload_case()) {
    case v1::StreamEvent::kShow: return first_schema(e.show());
    case v1::StreamEvent::kSeat: return first_schema(e.seat());
    case v1::StreamEvent::kStock: return first_schema(e.stock());
    case v1::StreamEvent::kAllowance: return first_schema(e.allowance());
    case v1::StreamEvent::kReservation: return first_schema(e.reservation());
    case v1::StreamEvent::kQueue: return first_schema(e.queue());
    case v1::StreamEvent::kWallet: return first_schema(e.wallet());
    case v1::StreamEvent::kUser: return schema_of(e.user());
    case v1::StreamEvent::PAYLOAD_NOT_SET: break;
  }
  return 0;
}

void upcast(v1::StreamEvent& e) {
  if (!e.user().has_signed_up() || e.schema() >= person_sealed) return;
  forget_clear_text(*e.mutable_user()->mutable_signed_up());
  e.set_schema(person_sealed);
}

bool decode(std::string_view stored, v1::Record& into) {
  if (!into.ParseFromArray(stored.data(), static_cast<int>(stored.size()))) return false;
  for (auto& e : *into.mutable_events()) upcast(e);
  return true;
}

std::optional<std::string> unreadable(const v1::StreamEvent& e) {
  const auto known = schema_of(e);
  if (known == 0) return "it is of a type that this version of Usher doesn't know";
  if (e.schema() <= known) return std::nullopt;
  return "it has schema " + std::to_string(e.schema()) + " of its type, of which this version of Usher knows " + std::to_string(known) + " at most";
}

}  // namespace usher
