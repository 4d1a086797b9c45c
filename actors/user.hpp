#pragma once
// The rules of one person's account.

#include "actors/aggregate.hpp"

namespace usher::actors {

/// A person who buys. The id follows from the e-mail address, so that an address has one account.
///
/// What is known of the person comes sealed, and neither state nor log ever holds it otherwise (store/persons.hpp); its rules are
/// `faults_of`, for whoever seals it. Rejects `sign_up` with ERASED, then ALREADY_EXISTS; `erase` with NOT_FOUND, VALIDATION_FAILED (the reason); again
/// it is accepted and records nothing.
struct user {
  using state = v1::UserState;
  using command = v1::UserCommand;
  using event = v1::UserEvent;
  static constexpr v1::Kind kind = v1::USER;

  /// What is wrong with a person's data: each bad field by name. Nothing where it can be sealed.
  static std::vector<v1::Fault> faults_of(const v1::PersonalData&);
  static decision<event> decide(const v1::EntityRef&, const state&, const command&, const context&);
  static void evolve(state&, const event&);
  static std::optional<time_point> deadline(const state&);
  static std::optional<command> wake();
  static std::vector<errand> react(const v1::EntityRef&, const state&);
};
static_assert(aggregate<user>);

}  // namespace usher::actors
