// What watchers of a show's seats and of a reservation are told.

#include <spdlog/spdlog.h>

#include "http/feeds_impl.hpp"

namespace usher::http {

using projections::place_counts;
using projections::reservation_view;
using projections::show_counts;
using projections::show_seats;

namespace {

void write_places(json_writer& out, const place_counts& counts) {
  out.member("capacity", counts.capacity)
      .member("available", counts.available)
      .member("held", counts.held)
      .member("sold", counts.sold)
      .member("blocked", counts.blocked);
}

void write_show_counts(json_writer& out, const show_seats& show, const show_counts& counts) {
  out.key("counts").begin_object();
  write_places(out, counts.total);
  out.key("tiers").begin_array();
  for (std::size_t i = 0; i < counts.tiers.size(); ++i) {
    out.begin_object().member("name", show.plan->tiers(static_cast<int>(i)).name());
    write_places(out, counts.tiers[i]);
    out.end_object();
  }
  out.end_array().key("generalAdmission").begin_array();
  for (std::size_t i = 0; i < counts.general_admission.size(); ++i) {
    out.begin_object().member("section", show.seating->sections_without_seats()[i].name);
    write_places(out, counts.general_admission[i]);
    out.end_object();
  }
  out.end_array().end_object();
}

text_ptr seats_snapshot(const show_seats& show) {
  return message_text({seats, show.show_id}, show.version, {}, [&](json_writer& out) {
    write_show_counts(out, show, show.counts);
    out.member("states", show.bits_base64());
  });
}

text_ptr seats_delta(const show_seats& show, const projections::seat_delta& delta) {
  return message_text({seats, show.show_id}, delta.to, delta.from, [&](json_writer& out) {
    out.key("changes").begin_array();
    for (const auto& change : delta.changes) {
      out.begin_array().value(change.seat).value(static_cast<int>(change.phase)).end_array();
    }
    out.end_array();
    write_show_counts(out, show, delta.counts);
  });
}

text_ptr reservation_text(const reservation_view& seen, std::optional<std::uint64_t> pv) {
  const auto& state = seen.state;
  return message_text({reservation, seen.reservation_id}, seen.version, pv, [&](json_writer& out) {
    out.member("reservationId", seen.reservation_id).member("status", v1::ReservationStatus_Name(state.status()));
    out.key("seats").begin_array();
    for (const auto& item : state.seats()) out.value(item.seat());
    out.end_array().key("generalAdmission").begin_array();
    for (const auto& item : state.general_admission()) {
      out.begin_object().member("section", item.section()).member("quantity", item.quantity()).end_object();
    }
    out.end_array().member("amount", state.amount()).member("currency", state.currency());
    out.member("holdExpiresAt", from_ms(state.hold_expires_at_ms()));
    if (!state.payment_id().empty()) out.member("paymentId", state.payment_id());
  });
}

}  // namespace

void feeds::impl::begin_seats(const std::string& show_id, topic& shared, reader& to, std::optional<std::uint64_t> since) {
  const auto show = views.views().seat_map.find(show_id);
  if (!show) return;
  if (const auto delta = since ? views.views().seat_map.changes_since(show_id, *since) : std::nullopt) {
    to.v = delta->to;
    if (delta->to != *since) to.to->send(seats_delta(*show, *delta));
    return;
  }
  to.v = show->version;
  to.to->send(shared_snapshot(shared, *show));
}

text_ptr feeds::impl::shared_snapshot(topic& shared, const show_seats& show) const {
  if (!shared.snapshot || shared.snapshot_v != show.version) {
    shared.snapshot = seats_snapshot(show);
    shared.snapshot_v = show.version;
  }
  return shared.snapshot;
}

void feeds::impl::begin_reservation(const std::string& reservation_id, reader& to, std::optional<std::uint64_t> since) {
  const auto seen = find_reservation(reservation_id);
  if (!seen) return;
  to.v = seen->version;
  if (since != seen->version) to.to->send(reservation_text(*seen, std::nullopt));
}

std::optional<reservation_view> feeds::impl::find_reservation(const std::string& reservation_id) const {
  auto found = views.views().reservations.find(reservation_id);
  if (found) return std::move(*found);
  spdlog::error("event=feed_read_failed reservation={} detail=\"{}\"", reservation_id, found.error().detail);
  return std::nullopt;
}

void feeds::impl::flush_seats(const std::string& show_id) {
  std::shared_ptr<const show_seats> show;
  std::map<std::uint64_t, std::pair<text_ptr, std::uint64_t>> made;  // by the version that a reader has
  each_reader(seats, show_id, [&](topic& shared, const reader_key&, reader& to) {
    if (!show) show = views.views().seat_map.find(show_id);
    if (!show || to.v >= show->version) return;
    auto [found, fresh] = made.try_emplace(to.v);
    auto& [text, v] = found->second;
    if (fresh) {
      const auto delta = views.views().seat_map.changes_since(show_id, to.v);
      text = delta ? seats_delta(*show, *delta) : shared_snapshot(shared, *show);
      v = delta ? delta->to : show->version;
    }
    to.v = v;
    to.to->send(text);
  });
}

void feeds::impl::flush_reservation(const std::string& reservation_id) {
  std::optional<reservation_view> seen;
  std::map<std::uint64_t, text_ptr> made;  // by the version that a reader has
  each_reader(reservation, reservation_id, [&](topic&, const reader_key&, reader& to) {
    if (!seen) seen = find_reservation(reservation_id);
    if (!seen || to.v >= seen->version) return;
    auto& text = made[to.v];
    if (!text) text = reservation_text(*seen, to.v == 0 ? std::nullopt : std::optional{to.v});
    to.v = seen->version;
    to.to->send(text);
  });
}

}  // namespace usher::http
