#include "projections/users.hpp"

namespace usher::projections {

result<void> users::load(const store::database& db, const std::string& rows) {
  table_.open(db, rows);
  return {};
}

void users::apply(const v1::Record& record) {
  for (const auto& event : record.events()) {
    if (!event.has_user()) continue;
    look_at(event);
    v1::Snapshot stored;
    auto& state = *stored.mutable_user();
    switch (event.user().kind_case()) {
      case v1::UserEvent::kSignedUp:
        state.set_sealed(event.user().signed_up().sealed());
        state.set_signed_up_at_ms(event.user().signed_up().at_ms());
        break;
      case v1::UserEvent::kErased: state.set_erased_at_ms(event.user().erased().at_ms()); break;
      case v1::UserEvent::KIND_NOT_SET: continue;
    }
    stored.set_version(event.version());
    table_.put(event.stream().group(), stored.SerializeAsString());
  }
}

result<std::optional<user_view>> users::find(std::string_view user_id) const {
  const auto row = table_.get(user_id);
  if (!row) return row.error();
  if (!*row) return std::optional<user_view>{};
  v1::Snapshot stored;
  if (!stored.ParseFromString(**row)) return failure{errc::corrupted, "a user's row cannot be parsed"};
  const auto& state = stored.user();
  return std::optional{user_view{std::string(user_id), stored.version(), state.sealed(), state.signed_up_at_ms(), state.erased_at_ms()}};
}

}  // namespace usher::projections
