// A person's account.

#include "actors/user.hpp"

#include "actors/rules.hpp"

namespace usher::actors {
namespace {

constexpr std::size_t person_name_bytes_max = 200;
constexpr std::size_t reason_bytes_max = 500;
constexpr std::size_t email_bytes_max = 254;  // RFC 5321's limit of a path, less its brackets

/// Only what tells an address from a slip of the pen; whether it exists, only a letter to it can tell.
bool looks_like_an_address(const std::string& email) {
  const auto at = email.find('@');
  return email.size() <= email_bytes_max && at != std::string::npos && at != 0 && at + 1 != email.size() &&
         email.find_first_of(" \t\r\n") == std::string::npos;
}

using user_decision = decision<v1::UserEvent>;

user_decision sign_up(const v1::EntityRef& ref, const v1::UserState& s, const v1::SignUp& c, const context& ctx) {
  // Whoever only knows the address must not come by the wallet of a person who was erased.
  if (s.erased_at_ms() != 0) return user_decision::rejected(v1::ERASED, "The account of this e-mail address was erased.");
  if (s.signed_up_at_ms() != 0) return user_decision::rejected(v1::ALREADY_EXISTS, "There is an account with this e-mail address.");
  v1::UserEvent e;
  e.mutable_signed_up()->set_sealed(c.sealed());
  e.mutable_signed_up()->set_at_ms(to_ms(ctx.now));
  v1::Outcome outcome;
  outcome.mutable_user()->set_user_id(ref.group());
  return user_decision::accepted(std::move(e), std::move(outcome));
}

user_decision erase(const v1::UserState& s, const v1::EraseUser& c, const context& ctx) {
  if (s.signed_up_at_ms() == 0) return user_decision::rejected(v1::NOT_FOUND, "There is no such user.");
  if (c.reason().size() > reason_bytes_max) return invalid<v1::UserEvent>("reason", "At most 500 bytes.");
  v1::Outcome outcome;
  outcome.mutable_empty();
  if (s.erased_at_ms() != 0) {
    outcome.set_unchanged(true);
    return user_decision::accepted(std::vector<v1::UserEvent>{}, std::move(outcome));
  }
  v1::UserEvent e;
  e.mutable_erased()->set_reason(c.reason());
  e.mutable_erased()->set_at_ms(to_ms(ctx.now));
  return user_decision::accepted(std::move(e), std::move(outcome));
}

}  // namespace

std::vector<v1::Fault> user::faults_of(const v1::PersonalData& data) {
  v1::Rejection found;
  if (data.name().empty() || data.name().size() > person_name_bytes_max) add_fault(found, "name", "A name of 1 to 200 bytes is needed.");
  if (!looks_like_an_address(data.email())) add_fault(found, "email", "This is not an e-mail address.");
  return {found.faults().begin(), found.faults().end()};
}

decision<user::event> user::decide(const v1::EntityRef& ref, const state& s, const command& c, const context& ctx) {
  switch (c.kind_case()) {
    case command::kSignUp: return sign_up(ref, s, c.sign_up(), ctx);
    case command::kErase: return erase(s, c.erase(), ctx);
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

void user::evolve(state& s, const event& e) {
  switch (e.kind_case()) {
    case event::kSignedUp:
      s.set_sealed(e.signed_up().sealed());
      s.set_signed_up_at_ms(e.signed_up().at_ms());
      return;
    case event::kErased:
      s.clear_sealed();
      s.set_erased_at_ms(e.erased().at_ms());
      return;
    case event::KIND_NOT_SET: return;
  }
}

std::optional<time_point> user::deadline(const state&) { return std::nullopt; }
std::optional<user::command> user::wake() { return std::nullopt; }
std::vector<errand> user::react(const v1::EntityRef&, const state&) { return {}; }

}  // namespace usher::actors
