// The places of one general-admission section: a count of what is held and what is sold.

#include "actors/stock.hpp"

#include "actors/rules.hpp"

namespace usher::actors {
namespace {

using stock_decision = decision<v1::StockEvent>;

stock_decision none_asked_for() { return invalid<v1::StockEvent>("quantity", "At least one place must be asked for."); }

stock_decision too_few(const v1::EntityRef& ref, std::uint64_t there_are, const char* how, const std::string& reservation_id) {
  return stock_decision::rejected(v1::NOT_THE_HOLDER, "Of " + ref.name() + ", " + counted(there_are, "place") + ' ' + how +
                                                          " is fewer than " + reservation_id + " has.");
}

stock_decision take(const v1::EntityRef& ref, const v1::StockState& s, const v1::TakePlaces& c) {
  if (c.quantity() == 0) return none_asked_for();
  const auto in_use = s.held() + s.sold();
  const auto left = c.capacity() > in_use ? c.capacity() - in_use : 0;
  if (c.quantity() > left)
    return stock_decision::rejected(v1::STOCK_UNAVAILABLE,
                                    left == 0 ? "No place is left in " + ref.name() + "."
                                              : "Only " + counted(left, "place") + (left == 1 ? " is" : " are") + " left in " +
                                                    ref.name() + ".");
  std::vector<v1::StockEvent> events(c.sold() ? 2 : 1);
  auto* taken = events[0].mutable_taken();
  taken->set_reservation_id(c.reservation_id());
  taken->set_quantity(c.quantity());
  taken->set_capacity(c.capacity());
  if (c.sold()) {
    events[1].mutable_sold()->set_reservation_id(c.reservation_id());
    events[1].mutable_sold()->set_quantity(c.quantity());
  }
  return stock_decision::accepted(std::move(events));
}

stock_decision sell(const v1::EntityRef& ref, const v1::StockState& s, const v1::SellPlaces& c) {
  if (c.quantity() == 0) return none_asked_for();
  if (c.quantity() > s.held()) return too_few(ref, s.held(), "held", c.reservation_id());
  v1::StockEvent e;
  e.mutable_sold()->set_reservation_id(c.reservation_id());
  e.mutable_sold()->set_quantity(c.quantity());
  return stock_decision::accepted(std::move(e));
}

stock_decision give_back(const v1::EntityRef& ref, const v1::StockState& s, const v1::ReturnPlaces& c) {
  if (c.quantity() == 0) return none_asked_for();
  const auto there_are = c.sold() ? s.sold() : s.held();
  if (c.quantity() > there_are) return too_few(ref, there_are, c.sold() ? "sold" : "held", c.reservation_id());
  v1::StockEvent e;
  auto* returned = e.mutable_returned();
  returned->set_reservation_id(c.reservation_id());
  returned->set_quantity(c.quantity());
  returned->set_sold(c.sold());
  return stock_decision::accepted(std::move(e));
}

}  // namespace

decision<stock::event> stock::decide(const v1::EntityRef& ref, const state& s, const command& c, const context&) {
  switch (c.kind_case()) {
    case command::kTake: return take(ref, s, c.take());
    case command::kSell: return sell(ref, s, c.sell());
    case command::kGiveBack: return give_back(ref, s, c.give_back());
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

void stock::evolve(state& s, const event& e) {
  switch (e.kind_case()) {
    case event::kTaken:
      s.set_capacity(e.taken().capacity());
      s.set_held(s.held() + e.taken().quantity());
      return;
    case event::kSold:
      s.set_held(s.held() - e.sold().quantity());
      s.set_sold(s.sold() + e.sold().quantity());
      return;
    case event::kReturned:
      if (e.returned().sold())
        s.set_sold(s.sold() - e.returned().quantity());
      else
        s.set_held(s.held() - e.returned().quantity());
      return;
    case event::KIND_NOT_SET: return;
  }
}

std::optional<time_point> stock::deadline(const state&) { return std::nullopt; }
std::optional<stock::command> stock::wake() { return std::nullopt; }
std::vector<errand> stock::react(const v1::EntityRef&, const state&) { return {}; }

}  // namespace usher::actors
