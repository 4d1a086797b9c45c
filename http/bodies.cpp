#include "http/bodies.hpp"

namespace usher::http {

void write_next_cursor(json_writer& json, const std::string& cursor) {
  json.key("nextCursor");
  if (cursor.empty()) json.value(nullptr);
  else json.value(cursor);
}

void write_seats(json_writer& json, const google::protobuf::RepeatedPtrField<std::string>& seats) {
  json.key("seats").begin_array();
  for (const auto& s : seats) json.value(s);
  json.end_array();
}

void write_places(json_writer& json, const google::protobuf::RepeatedPtrField<v1::PlacesOutcome>& places) {
  json.key("generalAdmission").begin_array();
  for (const auto& p : places)
    json.begin_object().member("section", p.section()).member("quantity", p.quantity()).end_object();
  json.end_array();
}

std::string_view provider_name(const std::string& provider) { return provider.empty() ? "wallet" : std::string_view{provider}; }

void write_reservation(json_writer& json, const projections::reservation_view& r) {
  const auto& s = r.state;
  json.begin_object().member("reservationId", r.reservation_id).member("showId", show_of_reservation(r.reservation_id))
      .member("userId", s.user_id()).member("status", v1::ReservationStatus_Name(s.status())).key("seats").begin_array();
  for (const auto& seat : s.seats()) json.value(seat.seat());
  json.end_array().key("items").begin_array();
  for (const auto& seat : s.seats())
    json.begin_object().member("seat", seat.seat()).member("tier", seat.tier()).member("price", seat.price()).end_object();
  json.end_array().key("generalAdmission").begin_array();
  for (const auto& p : s.general_admission())
    json.begin_object().member("section", p.section()).member("quantity", p.quantity()).member("tier", p.tier())
        .member("price", p.price()).end_object();
  json.end_array().member("amount", s.amount()).member("currency", s.currency()).member("placedAt", from_ms(s.placed_at_ms()))
      .member("holdExpiresAt", from_ms(s.hold_expires_at_ms()));
  if (!s.payment_id().empty()) json.member("paymentId", s.payment_id());
  json.key("payments").begin_array();
  for (const auto& p : s.payments())
    json.begin_object().member("paymentId", p.payment_id()).member("provider", provider_name(p.provider()))
        .member("payerId", p.payer_id()).member("amount", p.amount()).member("status", v1::PaymentStatus_Name(p.status())).end_object();
  json.end_array();
  if (s.ended_at_ms() != 0) json.member("endedAt", from_ms(s.ended_at_ms()));
  if (s.status() == v1::CONFIRMED) json.member("proof", "/reservations/" + r.reservation_id + "/proof");
  json.end_object();
}

void write_user(json_writer& json, const projections::user_view& user, const v1::PersonalData& person) {
  json.begin_object().member("userId", user.user_id);
  if (!person.email().empty()) json.member("name", person.name()).member("email", person.email());
  json.member("signedUpAt", from_ms(user.signed_up_at_ms)).end_object();
}

namespace {

void write_members(json_writer& json, const v1::ReservationOutcome& o) {
  json.member("reservationId", o.reservation_id()).member("userId", o.user_id()).member("status", v1::ReservationStatus_Name(o.status()));
  write_seats(json, o.seats());
  write_places(json, o.general_admission());
  json.member("amount", o.amount()).member("currency", o.currency());
  if (o.hold_expires_at_ms() != 0) json.member("holdExpiresAt", from_ms(o.hold_expires_at_ms()));
}

}  // namespace

void write_outcome(json_writer& json, const v1::ReservationOutcome& o) {
  json.begin_object();
  write_members(json, o);
  json.end_object();
}

void write_choice(json_writer& json, const v1::ReservationOutcome& o, const std::vector<std::vector<std::string_view>>& blocks) {
  json.begin_object();
  write_members(json, o);
  json.member("split", blocks.size() > 1).key("blocks").begin_array();
  for (const auto& block : blocks) {
    json.begin_array();
    for (const auto& seat : block) json.value(seat);
    json.end_array();
  }
  json.end_array().end_object();
}

void write_payment(json_writer& json, const v1::PaymentOutcome& o) {
  json.begin_object().member("paymentId", o.payment_id()).member("reservationId", o.reservation_id())
      .member("provider", provider_name(o.provider())).member("status", v1::ReservationStatus_Name(o.status())).member("amount", o.amount()).member("currency", o.currency());
  write_seats(json, o.seats());
  write_places(json, o.general_admission());
  json.end_object();
}

void write_counts(json_writer& json, const projections::place_counts& c) {
  json.begin_object().member("capacity", c.capacity).member("available", c.available).member("held", c.held)
      .member("sold", c.sold).member("blocked", c.blocked).end_object();
}

void write_show(json_writer& json, const projections::show_view& show) {
  const auto& plan = *show.plan;
  json.begin_object().member("showId", show.show_id).member("title", plan.title()).member("venue", plan.venue());
  if (plan.starts_at_ms() != 0) json.member("startsAt", from_ms(plan.starts_at_ms()));
  if (plan.sale_opens_at_ms() != 0) json.member("saleOpensAt", from_ms(plan.sale_opens_at_ms()));
  if (plan.sale_closes_at_ms() != 0) json.member("saleClosesAt", from_ms(plan.sale_closes_at_ms()));
  json.member("currency", plan.currency()).member("ticketLimit", plan.ticket_limit() != 0 ? plan.ticket_limit() : 8)
      .member("holdSeconds", plan.hold_seconds() != 0 ? plan.hold_seconds() : 300)
      .member("extensionSeconds", plan.extension_seconds()).member("queue", plan.has_queue())
      .member("forbidOrphans", plan.forbid_orphans());
  json.key("counts");
  write_counts(json, show.counts.total);
  json.key("tiers").begin_array();
  for (int i = 0; i < plan.tiers_size(); ++i) {
    json.begin_object().member("name", plan.tiers(i).name()).member("price", plan.tiers(i).price());
    if (static_cast<std::size_t>(i) < show.counts.tiers.size()) {
      json.key("counts");
      write_counts(json, show.counts.tiers[static_cast<std::size_t>(i)]);
    }
    json.end_object();
  }
  json.end_array().key("sections").begin_array();
  std::size_t places = 0;
  for (const auto& s : plan.sections()) {
    json.begin_object().member("name", s.name()).member("kind", s.kind());
    if (s.kind() == "generalAdmission") {
      json.member("tier", s.tier()).member("stock", s.stock());
      if (places < show.counts.general_admission.size()) {
        json.key("counts");
        write_counts(json, show.counts.general_admission[places++]);
      }
    }
    json.end_object();
  }
  json.end_array();
  if (show.sold_out_at_ms != 0) json.member("soldOutAt", from_ms(show.sold_out_at_ms));
  json.member("version", show.version).end_object();
}

void write_funnel(json_writer& json, const projections::funnel& seen) {
  json.member("joined", seen.joined).member("admitted", seen.admitted).member("left", seen.left).member("held", seen.held)
      .member("paid", seen.paid).member("expired", seen.expired).member("released", seen.released).member("cancelled", seen.cancelled)
      .member("vanished", seen.vanished).member("evicted", seen.evicted).member("turnedAway", seen.turned_away)
      .member("expiredAdmissions", seen.expired_admissions);
}

}  // namespace usher::http
