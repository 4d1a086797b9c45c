#pragma once
// The rules of one person's account.

#include "actors/aggregate.hpp"

namespace usher::actors {

/// A person who buys. The id follows from the e-mail address, so that an address has one account.
///
/// Rejects `sign_up` with ALREADY_EXISTS, then with VALIDATION_FAILED, which names each bad field.
struct user {
  using state = v1::UserState;
  using command = v1::UserCommand;
  using event = v1::UserEvent;
  static constexpr v1::Kind kind = v1::USER;

  static decision<event> decide(const v1::EntityRef&, const state&, const command&, const context&);
  static void evolve(state&, const event&);
  static std::optional<time_point> deadline(const state&);
  static std::optional<command> wake();
  static std::vector<errand> react(const v1::EntityRef&, const state&);
};
static_assert(aggregate<user>);

}  // namespace usher::actors
