#include "actors/reservation_parts.hpp"

namespace usher::actors {
namespace {

/// Indexes of `items` in the order of their names.
template <class Items, class Name>
std::vector<int> sorted_by_name(const Items& items, Name name) {
  std::vector<int> order(static_cast<std::size_t>(items.size()));
  for (std::size_t i = 0; i != order.size(); ++i) order[i] = static_cast<int>(i);
  std::sort(order.begin(), order.end(), [&](int a, int b) { return name(items[a]) < name(items[b]); });
  return order;
}

/// One command for each seat, then one for each section.
/// @param with_seat, with_places  fill in the command
template <class Placed, class WithSeat, class WithPlaces>
void add_parts(std::vector<errand>& parts, const std::string& show_id, const Placed& p, WithSeat with_seat,
               WithPlaces with_places) {
  parts.reserve(parts.size() + static_cast<std::size_t>(p.seats_size() + p.general_admission_size()));
  for (const int i : sorted_by_name(p.seats(), [](const auto& item) -> const auto& { return item.seat(); })) {
    auto& part = parts.emplace_back();
    part.to = seat_ref(show_id, p.seats(i).seat());
    with_seat(*part.command.mutable_seat());
  }
  for (const int i : sorted_by_name(p.general_admission(), [](const auto& item) -> const auto& { return item.section(); })) {
    auto& part = parts.emplace_back();
    part.to = stock_ref(show_id, p.general_admission(i).section());
    with_places(*part.command.mutable_stock(), p.general_admission(i));
  }
}

errand using_allowance(const v1::EntityRef& ref, const std::string& user_id, std::uint64_t quantity, std::uint32_t limit) {
  errand part;
  part.to = allowance_ref(ref.group(), user_id);
  auto* use = part.command.mutable_allowance()->mutable_use();
  use->set_reservation_id(ref.name());
  use->set_quantity(static_cast<std::uint32_t>(quantity));
  use->set_limit(limit);
  return part;
}

errand restoring_allowance(const v1::EntityRef& ref, const v1::ReservationState& s) {
  errand part;
  part.to = allowance_ref(ref.group(), s.user_id());
  auto* restore = part.command.mutable_allowance()->mutable_restore();
  restore->set_reservation_id(ref.name());
  restore->set_quantity(static_cast<std::uint32_t>(quantity_of(s)));
  return part;
}

/// Where a queue let the buyer in: that admission is used up.
template <class Placed>
void add_spending(std::vector<errand>& parts, const v1::EntityRef& ref, const Placed& p) {
  if (p.queue_number() == 0) return;
  auto& part = parts.emplace_back();
  part.to = queue_ref(ref.group());
  auto* spend = part.command.mutable_queue()->mutable_spend();
  spend->set_user_id(p.user_id());
  spend->set_number(p.queue_number());
  spend->set_reservation_id(ref.name());
}

/// What was placed, in the client's order.
template <class Placed, class Out>
void list_places(const Placed& p, Out& out) {
  for (const auto& item : p.seats()) out.add_seats(item.seat());
  for (const auto& item : p.general_admission()) {
    auto* places = out.add_general_admission();
    places->set_section(item.section());
    places->set_quantity(item.quantity());
  }
}

}  // namespace

template <class Placed>
std::vector<errand> taking_parts(const v1::EntityRef& ref, const Placed& p, std::uint32_t ticket_limit, bool paid) {
  std::vector<errand> parts;
  parts.reserve(static_cast<std::size_t>(1 + p.seats_size() + p.general_admission_size() + (paid ? 1 : 0)));
  parts.push_back(using_allowance(ref, p.user_id(), quantity_of(p), ticket_limit));
  add_parts(
      parts, ref.group(), p,
      [&](v1::SeatCommand& seat) {
        seat.mutable_hold()->set_reservation_id(ref.name());
        seat.mutable_hold()->set_sold(paid);
      },
      [&](v1::StockCommand& stock, const v1::PlacesItem& item) {
        auto* take = stock.mutable_take();
        take->set_reservation_id(ref.name());
        take->set_quantity(item.quantity());
        take->set_capacity(item.capacity());
        take->set_sold(paid);
      });
  if (paid) add_spending(parts, ref, p);
  return parts;
}
template std::vector<errand> taking_parts(const v1::EntityRef&, const v1::PlaceReservation&, std::uint32_t, bool);
template std::vector<errand> taking_parts(const v1::EntityRef&, const v1::ReservationState&, std::uint32_t, bool);

std::vector<errand> selling_parts(const v1::EntityRef& ref, const v1::ReservationState& s) {
  std::vector<errand> parts;
  add_parts(
      parts, ref.group(), s, [&](v1::SeatCommand& seat) { seat.mutable_sell()->set_reservation_id(ref.name()); },
      [&](v1::StockCommand& stock, const v1::PlacesItem& item) {
        stock.mutable_sell()->set_reservation_id(ref.name());
        stock.mutable_sell()->set_quantity(item.quantity());
      });
  add_spending(parts, ref, s);
  return parts;
}

std::vector<errand> freeing_parts(const v1::EntityRef& ref, const v1::ReservationState& s, bool sold) {
  std::vector<errand> parts;
  parts.push_back(restoring_allowance(ref, s));
  add_parts(
      parts, ref.group(), s, [&](v1::SeatCommand& seat) { seat.mutable_release()->set_reservation_id(ref.name()); },
      [&](v1::StockCommand& stock, const v1::PlacesItem& item) {
        auto* back = stock.mutable_give_back();
        back->set_reservation_id(ref.name());
        back->set_quantity(item.quantity());
        back->set_sold(sold);
      });
  return parts;
}

std::vector<errand> transfer_parts(const v1::EntityRef& ref, const v1::ReservationState& s, const v1::TransferReservation& c) {
  std::vector<errand> parts;
  parts.push_back(restoring_allowance(ref, s));
  parts.push_back(using_allowance(ref, c.to_user_id(), quantity_of(s), c.ticket_limit()));
  if (parts[1].to.name() < parts[0].to.name()) std::swap(parts[0], parts[1]);
  return parts;
}

std::vector<errand> exchange_parts(const v1::EntityRef& ref, const std::string& from, const std::string& to, bool sold) {
  std::vector<errand> parts(2);
  parts[0].to = seat_ref(ref.group(), from);
  parts[0].command.mutable_seat()->mutable_release()->set_reservation_id(ref.name());
  parts[1].to = seat_ref(ref.group(), to);
  parts[1].command.mutable_seat()->mutable_hold()->set_reservation_id(ref.name());
  parts[1].command.mutable_seat()->mutable_hold()->set_sold(sold);
  if (to < from) std::swap(parts[0], parts[1]);
  return parts;
}

template <class Placed>
v1::Outcome reservation_outcome(const v1::EntityRef& ref, const Placed& p, v1::ReservationStatus after) {
  v1::Outcome out;
  auto* r = out.mutable_reservation();
  r->set_reservation_id(ref.name());
  r->set_status(after);
  list_places(p, *r);
  r->set_amount(p.amount());
  r->set_currency(p.currency());
  r->set_hold_expires_at_ms(p.hold_expires_at_ms());
  r->set_user_id(p.user_id());
  return out;
}
template v1::Outcome reservation_outcome(const v1::EntityRef&, const v1::ReservationPlaced&, v1::ReservationStatus);
template v1::Outcome reservation_outcome(const v1::EntityRef&, const v1::ReservationState&, v1::ReservationStatus);

v1::Outcome payment_outcome(const v1::EntityRef& ref, const v1::ReservationState& s, v1::ReservationStatus after) {
  v1::Outcome out;
  auto* p = out.mutable_payment();
  p->set_payment_id(s.payment_id());
  p->set_reservation_id(ref.name());
  p->set_status(after);
  p->set_amount(s.amount());
  p->set_currency(s.currency());
  list_places(s, *p);
  if (s.payments_size() != 0) p->set_provider(s.payments(s.payments_size() - 1).provider());
  return out;
}

}  // namespace usher::actors
