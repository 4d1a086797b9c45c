#include "projections/users.hpp"

namespace usher::projections {

result<void> users::load(const store::database& db) {
  table_.open(db);
  return {};
}

void users::apply(const v1::Record& record) {
  for (const auto& event : record.events()) {
    if (!event.has_user() || !event.user().has_signed_up()) continue;
    const auto& signed_up = event.user().signed_up();
    v1::Snapshot stored;
    stored.set_version(event.version());
    auto& state = *stored.mutable_user();
    state.set_name(signed_up.name());
    state.set_email(signed_up.email());
    state.set_password_hash(signed_up.password_hash());
    state.set_signed_up_at_ms(signed_up.at_ms());
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
  return std::optional{user_view{std::string(user_id), stored.version(), state.name(), state.email(),
                                 state.password_hash(), state.signed_up_at_ms()}};
}

}  // namespace usher::projections
