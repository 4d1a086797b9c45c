#include "http/tickets.hpp"

namespace usher::http {

using projections::queue_totals;
using projections::ticket_status;
using projections::ticket_view;

namespace {

void text_or_null(json_writer& out, std::string_view name, std::string_view text) {
  text.empty() ? out.member(name, nullptr) : out.member(name, text);
}

/// The members without the braces of their object.
template <class Write>
std::string members(const Write& write) {
  std::string out;
  json_writer json{out};
  json.begin_object();
  write(json);
  return out.substr(1);
}

}  // namespace

std::string room_members(const queue_totals& room) {
  return members([&](json_writer& out) {
    out.member("admittedPerWindow", room.admit_per_window).member("windowSeconds", room.window_seconds).member("paused", room.paused);
    text_or_null(out, "pauseReason", room.pause_reason);
    out.member("draining", room.draining);
    text_or_null(out, "drainReason", room.drain_reason);
    text_or_null(out, "notice", room.notice);
    out.key("soldOutTiers").begin_array();
    for (const auto& tier : room.sold_out_tiers) out.value(tier);
    out.end_array();
    text_or_null(out, "end", room.end == v1::QUEUE_IS_OPEN ? "" : v1::QueueEnd_Name(room.end));
    if (room.lanes.size() > 1) {
      out.key("laneWeights").begin_array();
      for (const auto& lane : room.lanes) out.begin_object().member("lane", lane.name).member("weight", lane.weight).end_object();
      out.end_array();
    }
    room.opens_at_ms == 0 ? out.member("opensAt", nullptr) : out.member("opensAt", from_ms(room.opens_at_ms));
  });
}

std::string total_members(const queue_totals& room) {
  return members([&](json_writer& out) {
    if (room.lanes.size() < 2) {
      out.member("total", room.waiting);
      return;
    }
    out.key("laneTotals").begin_array();
    for (const auto& lane : room.lanes) out.begin_object().member("lane", lane.name).member("total", lane.waiting).end_object();
    out.end_array();
  });
}

void write_place(json_writer& out, const tokens& access, const ticket_view& seen, std::uint32_t device, std::string_view room) {
  const bool early = seen.status == ticket_status::early;
  out.member("number", seen.number).member("status", word_of(seen.status));
  early ? out.member("position", nullptr) : out.member("position", seen.position);
  early ? out.member("ahead", nullptr) : out.member("ahead", seen.ahead);
  out.member("total", seen.total);
  if (!seen.lane.empty()) out.member("lane", seen.lane);
  if (early || seen.eta_p50_s < 0) {
    out.member("eta", nullptr);
  } else {
    out.key("eta").begin_object().member("p50", seen.eta_p50_s).member("p90", seen.eta_p90_s).end_object();
  }
  out.raw(room);
  if (seen.status != ticket_status::admitted) return;
  claims right;
  right.purpose = purpose::admission;
  right.user_id = seen.user_id;
  right.show_id = seen.show_id;
  right.ticket_id = seen.ticket_id;
  right.device = device;
  right.expires_at = from_ms(seen.admission_expires_at_ms);
  out.key("admission").begin_object();
  out.member("token", access.issue(right)).member("expiresAt", right.expires_at).end_object();
}

}  // namespace usher::http
