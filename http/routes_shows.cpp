// Shows: opening and changing them, and what of them is still free.

#include <boost/json/value.hpp>

#include "events/seating_plan.hpp"
#include "http/beside.hpp"
#include "http/bodies.hpp"
#include "http/handlers.hpp"
#include "http/secret.hpp"
#include "projections/as_of.hpp"

namespace usher::http {
namespace {

namespace json = boost::json;
constexpr std::size_t plan_bytes_max = 32 * 1024 * 1024;

/// The body of POST /shows: a plan, whose sections may be given as pretix's `seatingPlan` with prices from `tiers`.
v1::ShowPlan plan_of(const request_context& ctx) {
  json::value body;
  if (auto fault = parse_json(ctx.body, body)) throw refuse(std::vector{*fault});
  if (!body.is_object()) throw refuse(v1::INVALID_REQUEST, "The body has to be an object.");
  auto& object = body.as_object();
  json::value seating;
  if (const auto it = object.find("seatingPlan"); it != object.end()) {
    seating = it->value();
    object.erase(it);
  }
  v1::ShowPlan plan;
  if (auto faults = from_json(object, plan); !faults.empty()) throw refuse(std::move(faults));
  if (seating.is_null()) return plan;
  std::map<std::string, std::int64_t> prices;
  for (const auto& t : plan.tiers()) prices[t.name()] = t.price();
  auto faults = read_seating_plan(seating, prices, plan);
  for (auto& f : faults) f.set_field(f.field().empty() ? "seatingPlan" : "seatingPlan." + f.field());
  if (!faults.empty()) {
    auto r = refuse(std::move(faults));
    r.rejection.set_code(v1::VALIDATION_FAILED);
    throw r;
  }
  return plan;
}

projections::show_view show_of(const engine& e, std::string_view show_id) {
  auto show = e.views.views().shows.find(show_id);
  if (!show) throw refuse(v1::NOT_FOUND, "There is no such show.");
  return std::move(*show);
}

std::string body_of_show(const projections::show_view& show) {
  std::string out;
  json_writer writer{out};
  write_show(writer, show);
  return out;
}

reply open_show(engine& e, request_context& ctx) {
  auto plan = plan_of(ctx);
  const auto show_id = make_show_id(id_seed(ctx));
  auto r = make_request(ctx, show_ref(show_id));
  // Only the log knows it until the draw is held. A retry brings another one, which nobody looks at.
  if (plan.has_queue()) r->command.mutable_show()->mutable_open()->set_draw_secret(fresh_secret());
  *r->command.mutable_show()->mutable_open()->mutable_plan() = std::move(plan);
  const auto a = co_await ask_and_see(e, ctx, r);
  const auto show = show_of(e, show_id);
  co_return answered(201, a, body_of_show(show)).with("Location", "/shows/" + show_id).with("ETag", "\"v" + std::to_string(show.version) + '"');
}

reply change_show(engine& e, request_context& ctx) {
  const std::string show_id{ctx.path_param("id")};
  const auto expected = if_match(ctx);
  auto r = make_request(ctx, show_ref(show_id));
  *r->command.mutable_show()->mutable_change()->mutable_change() = body_of<v1::ShowChange>(ctx);
  r->expected_version = expected;
  show_of(e, show_id);
  const auto a = co_await ask_and_see(e, ctx, r);
  const auto show = show_of(e, show_id);
  co_return answered(200, a, body_of_show(show)).with("ETag", "\"v" + std::to_string(show.version) + '"');
}

reply show_one(engine& e, request_context& ctx) {
  const auto show = show_of(e, ctx.path_param("id"));
  // Its counts change without a change of the show itself.
  const auto seats = e.views.views().seat_map.totals(show.show_id);
  co_return with_etag(ctx, "v" + std::to_string(show.version) + '.' + std::to_string(seats ? seats->version : 0), body_of_show(show));
}

/// The milliseconds of a day, from `YYYY-MM-DD` in UTC. Throws refusal.
std::int64_t day_of(std::string_view date, const char* field) {
  const auto start = date.size() == 10 ? from_rfc3339(std::string{date} + "T00:00:00Z") : std::nullopt;
  if (!start) throw refuse_field(v1::INVALID_REQUEST, field, "It has to be a date like 2026-05-31.");
  return to_ms(*start);
}
constexpr std::int64_t day_ms = 86'400'000;

reply list_shows(engine& e, request_context& ctx) {
  projections::show_query query;
  query.limit = limit_of(ctx);
  query.cursor = cursor_of(ctx);
  if (!query.cursor.empty() && !projections::shows::is_cursor(query.cursor))
    throw refuse_field(v1::INVALID_REQUEST, "cursor", "It is not one that Usher gave out.");
  if (const auto date = ctx.query_param("date")) {
    query.starts_from_ms = day_of(*date, "date");
    query.starts_before_ms = *query.starts_from_ms + day_ms;
  }
  const auto page = e.views.views().shows.list(query);
  std::string out;
  json_writer writer{out};
  writer.begin_object().key("items").begin_array();
  for (const auto& show : page.items) write_show(writer, show);
  writer.end_array();
  write_next_cursor(writer, page.next_cursor);
  writer.end_object();
  co_return json_response(200, std::move(out));
}

reply fastest(engine& e, request_context& ctx) {
  const auto ranking = e.views.views().shows.fastest_sellouts(limit_of(ctx));
  std::string out;
  json_writer writer{out};
  writer.begin_object().key("items").begin_array();
  for (const auto& s : ranking)
    writer.begin_object().member("showId", s.show.show_id).member("title", s.show.plan->title())
        .member("soldOutAt", from_ms(s.show.sold_out_at_ms)).member("tookMs", s.took_ms).end_object();
  writer.end_array().key("nextCursor").value(nullptr).end_object();
  co_return json_response(200, std::move(out));
}

std::string bitset_body(const projections::show_seats& seats) {
  std::string out;
  json_writer writer{out};
  writer.begin_object().member("showId", seats.show_id).member("version", seats.version)
      .member("seats", seats.seating->size()).member("states", seats.bits_base64()).key("counts");
  write_counts(writer, seats.counts.total);
  writer.end_object();
  return out;
}

std::size_t seat_cursor(const request_context& ctx, std::size_t size) {
  const auto cursor = cursor_of(ctx);
  if (cursor.empty()) return 0;
  std::size_t at = 0;
  if (auto [p, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), at);
      error != std::errc{} || p != cursor.data() + cursor.size() || at > size)
    throw refuse_field(v1::INVALID_REQUEST, "cursor", "It is not one that Usher gave out.");
  return at;
}

/// @param plan  with the prices of the moment
std::string list_body(const request_context& ctx, const projections::show_seats& seats, const v1::ShowPlan& plan) {
  const auto begin = seat_cursor(ctx, seats.seating->size());
  const auto end = std::min(begin + limit_of(ctx), seats.seating->size());
  std::string out;
  out.reserve((end - begin) * 120);
  json_writer writer{out};
  writer.begin_object().key("items").begin_array();
  for (auto i = begin; i < end; ++i) {
    const auto seat = seats.seating->at(i);
    const auto& section = plan.sections(static_cast<int>(seat.section));
    writer.begin_object().member("seat", seat.name).member("section", section.name())
        .member("row", section.rows(static_cast<int>(seat.row)).name()).member("number", seat.number);
    if (seat.tier != layout::no_tier)
      writer.member("tier", plan.tiers(seat.tier).name()).member("price", plan.tiers(seat.tier).price());
    if (seat.accessible) writer.member("accessible", true);
    writer.member("status", v1::SeatPhase_Name(seats.phase(i))).end_object();
  }
  writer.end_array();
  write_next_cursor(writer, end < seats.seating->size() ? std::to_string(end) : "");
  writer.member("version", seats.version).end_object();
  return out;
}

asio::awaitable<result<std::optional<projections::seats_then>>> fold_seats(const engine& e, store::stream_head head, std::string show_id, store::moment until) {
  const auto upto = store::index_at(e.log, partition_of(show_id), until);
  if (!upto) co_return upto.error();
  co_return projections::seats_as_of(e.log, e.views.views().seat_map, head, show_id, *upto);
}

asio::awaitable<projections::seats_then> seats_then(engine& e, const request_context& ctx, std::string show_id, store::moment until) {
  const auto head = e.index.head(show_ref(show_id));
  co_await up_to_date(e, ctx, show_ref(show_id));  // and so on disk
  auto work = fold_seats(e, head, std::move(show_id), until);
  auto folded = co_await beside(e, std::move(work));
  auto then = read_of(ctx, std::move(folded));
  if (!then) throw refuse(v1::NOT_FOUND, "There was no such show then.");
  co_return std::move(*then);
}

reply show_seats_then(engine& e, request_context& ctx, std::string_view format) {
  const std::string show_id{ctx.path_param("id")};
  const auto until = moment_of(e, ctx, "asOf", show_id);
  const auto then = co_await seats_then(e, ctx, show_id, until);
  co_return json_response(200, format == "bitset" ? bitset_body(*then.seats) : list_body(ctx, *then.seats, *then.plan));
}

reply show_seat_map(engine& e, request_context& ctx) {
  const auto format = ctx.query_param("format").value_or("list");
  if (format != "list" && format != "bitset") throw refuse_field(v1::INVALID_REQUEST, "format", "It has to be list or bitset.");
  if (ctx.query_param("asOf")) co_return co_await show_seats_then(e, ctx, format);
  const auto seats = e.views.views().seat_map.find(ctx.path_param("id"));
  if (!seats) throw refuse(v1::NOT_FOUND, "There is no such show.");
  if (format == "list") {
    const auto show = show_of(e, seats->show_id);  // whose prices may change while its seats don't
    auto r = with_etag(ctx, "v" + std::to_string(seats->version) + '.' + std::to_string(show.version), {});
    // The first page, which everybody asks for, is kept with the picture.
    const auto encode = [&] { return list_body(ctx, *seats, *show.plan); };
    const bool first = cursor_of(ctx).empty() && !ctx.query_param("limit");
    if (r.status == 200 && first) r.body = seats->page(show.version, encode);
    else if (r.status == 200) r.body = encode();
    co_return r;
  }
  auto r = with_etag(ctx, seats->version, {});
  // The body is kept with the picture and shared by all who read it.
  if (r.status == 200) r.body = std::shared_ptr<const std::string>(seats, &seats->body(bitset_body));
  co_return r;
}

/// `?showId=`, under any of its names.
std::optional<std::string_view> show_asked_for(const request_context& ctx) {
  for (const auto* name : {"showId", "concertId", "eventId"})
    if (const auto id = ctx.query_param(name)) return id;
  return std::nullopt;
}

void write_free_seats(json_writer& writer, const engine& e, const std::string& show_id) {
  const auto seats = e.views.views().seat_map.find(show_id);
  if (!seats) return;
  writer.begin_object().member("showId", show_id).key("availableSeats").begin_array();
  for (std::size_t i = 0; i < seats->seating->size(); ++i)
    if (seats->phase(i) == v1::AVAILABLE) writer.value(seats->seating->at(i).name);
  writer.end_array().member("version", seats->version).end_object();
}

reply available_on(engine& e, request_context& ctx, std::string date) {
  projections::show_query query;
  query.limit = 200;
  query.starts_from_ms = day_of(date, "date");
  query.starts_before_ms = *query.starts_from_ms + day_ms;
  const auto only = show_asked_for(ctx);
  std::string out;
  json_writer writer{out};
  writer.begin_object().member("date", date).key("shows").begin_array();
  do {
    const auto page = e.views.views().shows.list(query);
    for (const auto& show : page.items)
      if (!only || *only == show.show_id) write_free_seats(writer, e, show.show_id);
    query.cursor = page.next_cursor;
  } while (!query.cursor.empty());
  writer.end_array().end_object();
  co_return json_response(200, std::move(out));
}

reply show_funnel(engine& e, request_context& ctx) {
  const auto show = show_of(e, ctx.path_param("id"));
  const auto seen = e.views.views().funnels.find(show.show_id);
  std::string out;
  json_writer json{out};
  json.begin_object().member("showId", show.show_id);
  write_funnel(json, seen);
  json.end_object();
  co_return json_response(200, std::move(out));
}

}  // namespace

void add_show_routes(rows& table, engine& e) {
  add(table, e, method::post, "/shows", {.body_limit_bytes = plan_bytes_max, .who = access::operator_}, [&e](request_context& c) { return open_show(e, c); });
  add(table, e, method::get, "/shows", {.who = access::anyone}, [&e](request_context& c) { return list_shows(e, c); });
  add(table, e, method::get, "/shows/rankings/fastest-sellout", {.who = access::anyone}, [&e](request_context& c) { return fastest(e, c); });
  add(table, e, method::get, "/shows/{id}", {.who = access::anyone}, [&e](request_context& c) { return show_one(e, c); });
  add(table, e, method::patch, "/shows/{id}", {.who = access::operator_}, [&e](request_context& c) { return change_show(e, c); });
  add(table, e, method::get, "/admin/shows/{id}/funnel", {.who = access::operator_}, [&e](request_context& c) { return show_funnel(e, c); });
  add(table, e, method::get, "/shows/{id}/seats", {.who = access::anyone}, [&e](request_context& c) { return show_seat_map(e, c); });
}

reply show_availability(engine& e, request_context& ctx, std::string date) { return available_on(e, ctx, std::move(date)); }

}  // namespace usher::http
