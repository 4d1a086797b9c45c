// How many places of one show one person has.

#include "actors/allowance.hpp"

#include "actors/rules.hpp"

namespace usher::actors {
namespace {

using allowance_decision = decision<v1::AllowanceEvent>;

allowance_decision use(const v1::AllowanceState& s, const v1::UseAllowance& c) {
  const auto after = std::uint64_t{s.used()} + c.quantity();
  if (after > c.limit()) {
    const std::uint64_t left = c.limit() > s.used() ? c.limit() - s.used() : 0;
    return allowance_decision::rejected(v1::TICKET_LIMIT_EXCEEDED,
                                        "One person may have " + counted(c.limit(), "place") + " of this show, of which " +
                                            std::to_string(left) + (left == 1 ? " is" : " are") + " left for you; you asked for " +
                                            std::to_string(c.quantity()) + ".");
  }
  v1::AllowanceEvent e;
  e.mutable_used()->set_reservation_id(c.reservation_id());
  e.mutable_used()->set_quantity(c.quantity());
  return allowance_decision::accepted(std::move(e));
}

allowance_decision restore(const v1::AllowanceState& s, const v1::RestoreAllowance& c) {
  if (c.quantity() > s.used())
    return allowance_decision::rejected(v1::NOT_THE_HOLDER, "Fewer places are in use than " + c.reservation_id() + " has.");
  v1::AllowanceEvent e;
  e.mutable_restored()->set_reservation_id(c.reservation_id());
  e.mutable_restored()->set_quantity(c.quantity());
  return allowance_decision::accepted(std::move(e));
}

}  // namespace

decision<allowance::event> allowance::decide(const v1::EntityRef&, const state& s, const command& c, const context&) {
  switch (c.kind_case()) {
    case command::kUse: return use(s, c.use());
    case command::kRestore: return restore(s, c.restore());
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

void allowance::evolve(state& s, const event& e) {
  switch (e.kind_case()) {
    case event::kUsed: return s.set_used(s.used() + e.used().quantity());
    case event::kRestored: return s.set_used(s.used() - e.restored().quantity());
    case event::KIND_NOT_SET: return;
  }
}

std::optional<time_point> allowance::deadline(const state&) { return std::nullopt; }
std::optional<allowance::command> allowance::wake() { return std::nullopt; }
std::vector<errand> allowance::react(const v1::EntityRef&, const state&) { return {}; }

}  // namespace usher::actors
