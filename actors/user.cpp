// A person's account.

#include "actors/user.hpp"

#include "actors/rules.hpp"

namespace usher::actors {
namespace {

constexpr std::size_t name_bytes_max = 200;
constexpr std::size_t email_bytes_max = 254;  // RFC 5321's limit of a path, less its brackets

/// Only what tells an address from a slip of the pen; whether it exists, only a letter to it can tell.
bool looks_like_an_address(const std::string& email) {
  const auto at = email.find('@');
  return email.size() <= email_bytes_max && at != std::string::npos && at != 0 && at + 1 != email.size() &&
         email.find_first_of(" \t\r\n") == std::string::npos;
}

decision<v1::UserEvent> sign_up(const v1::EntityRef& ref, const v1::UserState& s, const v1::SignUp& c, const context& ctx) {
  using user_decision = decision<v1::UserEvent>;
  if (!s.email().empty())
    return user_decision::rejected(v1::ALREADY_EXISTS, "There is an account with this e-mail address.");
  auto invalid = user_decision::rejected(v1::VALIDATION_FAILED, "The account can't be made from these fields.");
  if (c.name().empty() || c.name().size() > name_bytes_max)
    add_fault(invalid.rejection, "name", "A name of 1 to 200 bytes is needed.");
  if (!looks_like_an_address(c.email())) add_fault(invalid.rejection, "email", "This is not an e-mail address.");
  if (invalid.rejection.faults_size() != 0) return invalid;

  v1::UserEvent e;
  auto* signed_up = e.mutable_signed_up();
  signed_up->set_name(c.name());
  signed_up->set_email(c.email());
  signed_up->set_password_hash(c.password_hash());
  signed_up->set_at_ms(to_ms(ctx.now));
  v1::Outcome outcome;
  outcome.mutable_user()->set_user_id(ref.group());
  return user_decision::accepted(std::move(e), std::move(outcome));
}

}  // namespace

decision<user::event> user::decide(const v1::EntityRef& ref, const state& s, const command& c, const context& ctx) {
  switch (c.kind_case()) {
    case command::kSignUp: return sign_up(ref, s, c.sign_up(), ctx);
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

void user::evolve(state& s, const event& e) {
  switch (e.kind_case()) {
    case event::kSignedUp:
      s.set_name(e.signed_up().name());
      s.set_email(e.signed_up().email());
      s.set_password_hash(e.signed_up().password_hash());
      s.set_signed_up_at_ms(e.signed_up().at_ms());
      return;
    case event::KIND_NOT_SET: return;
  }
}

std::optional<time_point> user::deadline(const state&) { return std::nullopt; }
std::optional<user::command> user::wake() { return std::nullopt; }
std::vector<errand> user::react(const v1::EntityRef&, const state&) { return {}; }

}  // namespace usher::actors
