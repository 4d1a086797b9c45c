#include "events/secrets.hpp"

namespace usher {

void drop_secrets(v1::Command& command) {
  if (command.show().has_open()) command.mutable_show()->mutable_open()->clear_draw_secret();
  if (command.queue().has_open()) command.mutable_queue()->mutable_open()->clear_draw_secret();
  if (command.user().has_sign_up()) command.mutable_user()->mutable_sign_up()->clear_sealed();
}

void drop_secrets(v1::StreamEvent& event) {
  if (event.queue().has_opened()) event.mutable_queue()->mutable_opened()->clear_draw_secret();
  if (!event.user().has_signed_up()) return;
  auto& person = *event.mutable_user()->mutable_signed_up();
  person.clear_name();
  person.clear_email();
  person.clear_password_hash();
  person.clear_sealed();
}

v1::StreamEvent without_secrets(const v1::StreamEvent& event) {
  auto out = event;
  drop_secrets(out);
  return out;
}

v1::Record without_secrets(const v1::Record& record) {
  auto out = record;
  drop_secrets(*out.mutable_command());
  for (auto& event : *out.mutable_events()) drop_secrets(event);
  return out;
}

v1::Snapshot without_secrets(const v1::Snapshot& snapshot) {
  auto out = snapshot;
  if (out.has_queue()) out.mutable_queue()->clear_draw_secret();
  if (out.has_user()) out.mutable_user()->clear_sealed();
  return out;
}

}  // namespace usher
