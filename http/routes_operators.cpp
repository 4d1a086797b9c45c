// What operators do with a show's waiting room: look at it, change its pace, stop it, speak to those who wait.

#include "actors/queue_settings.hpp"
#include "events/api.pb.h"
#include "events/waiting_room.hpp"
#include "http/handlers.hpp"

#include <array>

namespace usher::http {
namespace {

/// Of a reason, and of a notice.
constexpr std::size_t text_bytes_max = 500;

// --- how it stands ------------------------------------------------------------------------------------------------

/// A waiting room at one moment.
struct room {
  std::string show_id;
  projections::queue_totals queue;
  v1::QueueSettings settings;  ///< as they were given, without the defaults
  projections::show_totals supply;
};

/// The settings that a show's queue begins with. Throws refusal (NOT_FOUND) where there is no such show, or it has no queue.
v1::QueueSettings first_settings(engine& e, const std::string& show_id) {
  const auto terms = value_of(e.shows.find(show_id));
  if (!terms) throw refuse(v1::NOT_FOUND, "There is no such show.");
  if (!terms->queue()) throw refuse(v1::NOT_FOUND, "This show has no queue.");
  return *terms->queue();
}

/// With everything that is recorded by now. Throws refusal.
asio::awaitable<room> room_of(engine& e, const request_context& ctx, std::string show_id) {
  room out;
  out.settings = first_settings(e, show_id);
  co_await up_to_date(e, ctx, queue_ref(show_id));
  if (auto queue = e.views.views().queues.totals(show_id, e.clock.now())) out.queue = std::move(*queue);
  // A queue that was not opened with its show has none of its own until somebody joins.
  if (out.queue.settings.ByteSizeLong() != 0) out.settings = out.queue.settings;
  out.supply = e.views.views().seat_map.totals(show_id).value_or(projections::show_totals{});
  out.show_id = std::move(show_id);
  co_return out;
}

void write_lanes(json_writer& json, const room& r, const queue_pace& pace) {
  json.key("lanes").begin_array();
  for (std::size_t i = 0; i != pace.weights.size(); ++i) {
    const auto at = static_cast<int>(i);
    json.begin_object().member("name", at < r.settings.lanes_size() ? r.settings.lanes(at).name() : std::string{})
        .member("weight", pace.weights[i]).member("waiting", i < r.queue.lanes.size() ? r.queue.lanes[i].waiting : 0).end_object();
  }
  json.end_array();
}

void write_time(json_writer& json, std::string_view name, std::int64_t at_ms) {
  at_ms == 0 ? json.member(name, nullptr) : json.member(name, from_ms(at_ms));
}

void write_words(json_writer& json, std::string_view name, std::string_view text) {
  text.empty() ? json.member(name, nullptr) : json.member(name, text);
}

void write_times(json_writer& json, const projections::queue_totals& q) {
  write_time(json, "opensAt", q.opens_at_ms);
  write_time(json, "closesAt", q.closes_at_ms);
  write_time(json, "windowStartedAt", q.window_started_at_ms);
  json.member("admittedInWindow", q.admitted_in_window);
}

void write_standing(json_writer& json, const projections::queue_totals& q) {
  json.member("paused", q.paused);
  write_words(json, "pauseReason", q.pause_reason);
  json.member("draining", q.draining);
  write_words(json, "drainReason", q.drain_reason);
  write_words(json, "notice", q.notice);
  write_words(json, "end", q.end == v1::QUEUE_IS_OPEN ? "" : v1::QueueEnd_Name(q.end));
}

void write_supply(json_writer& json, const room& r) {
  const auto& places = r.supply.counts.total;
  json.key("supply").begin_object().member("available", places.available).member("held", places.held);
  json.key("soldOutTiers").begin_array();
  for (const auto& tier : r.queue.sold_out_tiers) json.value(tier);
  json.end_array().end_object();
}

void write_pace(json_writer& json, const queue_pace& pace) {
  json.member("mode", pace.is_smooth ? "smooth" : "window").member("order", pace.is_drawn_by_lot ? "random" : "joining")
      .member("admitPerWindow", pace.per_window).member("windowSeconds", pace.window_ms / 1000).member("maxActive", pace.max_active)
      .member("admissionSeconds", pace.admission_ms / 1000).member("graceSeconds", pace.grace_ms / 1000);
}

void write_people(json_writer& json, const projections::queue_totals& q) {
  json.member("joined", q.joined).member("waiting", q.waiting).member("inside", q.inside).member("admitted", q.admitted).member("left", q.left);
}

/// How often waits were as long as those who waited had been told.
void write_score(json_writer& json, const projections::wait_score& score) {
  json.key("estimates").begin_object().member("compared", score.samples());
  if (score.samples() == 0) {
    json.member("withinP50", nullptr).member("withinP90", nullptr);
  } else {
    json.member("withinP50", score.within_p50()).member("withinP90", score.within_p90());
  }
  json.end_object();
}

std::string body_of_room(const room& r) {
  std::string out;
  json_writer json{out};
  const queue_pace pace{r.settings};
  json.begin_object().member("showId", r.show_id);
  write_pace(json, pace);
  write_people(json, r.queue);
  write_lanes(json, r, pace);
  write_times(json, r.queue);
  write_standing(json, r.queue);
  write_supply(json, r);
  write_score(json, r.queue.score);
  json.end_object();
  return out;
}

/// Joins, admissions and sales tell pictures of the same settings apart; `If-Match` asks for the settings only.
std::string tag_of(const room& r) {
  return 'v' + std::to_string(actors::version_of(r.settings)) + '.' + std::to_string(r.queue.version) + '.' + std::to_string(r.supply.version);
}

reply show_room(engine& e, request_context& ctx) {
  const auto now = co_await room_of(e, ctx, std::string{ctx.path_param("id")});
  co_return with_etag(ctx, tag_of(now), body_of_room(now));
}

/// The room as it stands after a command.
reply room_after(engine& e, request_context& ctx, std::string show_id, const actors::answer& a) {
  const auto now = co_await room_of(e, ctx, std::move(show_id));
  co_return answered(200, a, body_of_room(now)).with("ETag", '"' + tag_of(now) + '"');
}

// --- changing its settings ----------------------------------------------------------------------------------------

class inspection {
 public:
  void blame(std::string field, std::string detail) {
    auto& fault = faults_.emplace_back();
    fault.set_field(std::move(field));
    fault.set_detail(std::move(detail));
  }
  void check_reason(const std::string& reason, bool needed) {
    if (needed && reason.empty()) blame("reason", "Say why.");
    check_length("reason", reason);
  }
  void check_length(std::string field, const std::string& text) {
    if (text.size() > text_bytes_max) blame(std::move(field), "It may have at most " + std::to_string(text_bytes_max) + " bytes.");
  }
  /// Throws refusal (VALIDATION_FAILED) where something is to blame.
  void end() {
    if (faults_.empty()) return;
    auto r = refuse(std::move(faults_));
    r.rejection.set_code(v1::VALIDATION_FAILED);
    throw r;
  }

 private:
  std::vector<v1::Fault> faults_;
};

/// In settings 0 stands for the default, which nobody means who writes it here. What else is wrong the queue says.
void inspect(const v1::QueueChangeBody& b) {
  inspection result;
  const auto check = [&](bool is_zero, const char* field) {
    if (is_zero) result.blame(field, "It has to be at least 1.");
  };
  check(b.has_admit_per_window() && b.admit_per_window() == 0, "admitPerWindow");
  check(b.has_window_seconds() && b.window_seconds() == 0, "windowSeconds");
  check(b.has_admission_seconds() && b.admission_seconds() == 0, "admissionSeconds");
  check(b.has_grace_seconds() && b.grace_seconds() == 0, "graceSeconds");
  if (b.has_mode() && b.mode().empty()) result.blame("mode", "It has to be window or smooth.");
  if (b.has_order() && b.order().empty()) result.blame("order", "It has to be random or joining.");
  result.check_reason(b.reason(), false);
  result.end();
}

v1::QueueSettings merged(v1::QueueSettings s, const v1::QueueChangeBody& b) {
  if (b.has_admit_per_window()) s.set_admit_per_window(b.admit_per_window());
  if (b.has_window_seconds()) s.set_window_seconds(b.window_seconds());
  if (b.has_admission_seconds()) s.set_admission_seconds(b.admission_seconds());
  if (b.has_max_active()) s.set_max_active(b.max_active());
  if (b.has_grace_seconds()) s.set_grace_seconds(b.grace_seconds());
  if (b.has_mode()) s.set_mode(b.mode());
  if (b.has_order()) s.set_order(b.order());
  if (b.lanes_size() == 0) return s;
  s.clear_lanes();
  for (const auto& lane : b.lanes()) {
    auto* named = s.add_lanes();
    named->set_name(lane.name());
    named->set_weight(lane.weight());
  }
  return s;
}

reply change_room(engine& e, request_context& ctx) {
  const auto expected = if_match(ctx);
  const auto body = body_of<v1::QueueChangeBody>(ctx);
  inspect(body);
  const auto now = co_await room_of(e, ctx, std::string{ctx.path_param("id")});
  if (expected != actors::version_of(now.settings) && !is_known(e, ctx))
    throw refuse(v1::VERSION_MISMATCH, "The settings are others by now.");
  auto r = make_request(ctx, queue_ref(now.show_id));
  auto* change = r->command.mutable_queue()->mutable_change();
  *change->mutable_settings() = merged(now.settings, body);
  change->set_reason(body.reason());
  change->set_version(expected);  // judged again where it is decided: another operator may be as fast
  const auto a = co_await ask_and_see(e, ctx, r);
  co_return co_await room_after(e, ctx, now.show_id, a);
}

// --- what is done to it, and to those who wait --------------------------------------------------------------------

/// What the body of an action says, and the command that follows from it.
struct action {
  std::string_view name;
  bool needs_reason = true;
  bool has_text = false;
  bool has_user = false;
  bool has_lane = false;
  void (*fill)(v1::QueueCommand&, const v1::QueueActionBody&);
};

constexpr std::array actions{
    action{.name = "pause", .fill = [](auto& c, const auto& b) { c.mutable_pause()->set_reason(b.reason()); }},
    action{.name = "resume", .needs_reason = false,
           .fill = [](auto& c, const auto& b) { c.mutable_resume()->set_reason(b.reason()); }},
    action{.name = "drain", .fill = [](auto& c, const auto& b) { c.mutable_drain()->set_reason(b.reason()); }},
    action{.name = "notice", .needs_reason = false, .has_text = true,
           .fill = [](auto& c, const auto& b) {
             c.mutable_notice()->set_text(b.text());
             c.mutable_notice()->set_reason(b.reason());
           }},
    action{.name = "evict", .has_user = true,
           .fill = [](auto& c, const auto& b) {
             c.mutable_evict()->set_user_id(b.user_id());
             c.mutable_evict()->set_reason(b.reason());
           }},
    action{.name = "lane", .has_user = true, .has_lane = true,
           .fill = [](auto& c, const auto& b) {
             c.mutable_assign_lane()->set_user_id(b.user_id());
             c.mutable_assign_lane()->set_lane(b.lane());
             c.mutable_assign_lane()->set_reason(b.reason());
           }},
};

void inspect(const action& what, const v1::QueueActionBody& b) {
  inspection result;
  const auto check_absent = [&](bool has, const char* field, const std::string& value) {
    if (!has && !value.empty()) result.blame(field, "It means nothing here.");
  };
  check_absent(what.has_text, "text", b.text());
  check_absent(what.has_user, "userId", b.user_id());
  check_absent(what.has_lane, "lane", b.lane());
  if (what.has_user && !is_user_id(b.user_id())) result.blame("userId", "Say whom.");
  if (what.has_lane && b.lane().empty()) result.blame("lane", "Say which.");
  if (what.has_text) result.check_length("text", b.text());
  result.check_reason(b.reason(), what.needs_reason);
  result.end();
}

reply act(engine& e, request_context& ctx, const action& what) {
  const std::string show_id{ctx.path_param("id")};
  const auto body = body_of<v1::QueueActionBody>(ctx);
  inspect(what, body);
  first_settings(e, show_id);
  auto r = make_request(ctx, queue_ref(show_id));
  what.fill(*r->command.mutable_queue(), body);
  const auto a = co_await ask_and_see(e, ctx, r);
  co_return co_await room_after(e, ctx, show_id, a);
}

}  // namespace

void add_operator_routes(rows& table, engine& e) {
  const std::string path = "/admin/shows/{id}/queue";
  const route_options options{.who = access::operator_};
  add(table, e, method::get, path, options, [&e](request_context& c) { return show_room(e, c); });
  add(table, e, method::patch, path, options, [&e](request_context& c) { return change_room(e, c); });
  for (const auto& what : actions)
    add(table, e, method::post, path + '/' + std::string{what.name}, options, [&e, &what](request_context& c) { return act(e, c, what); });
}

}  // namespace usher::http
