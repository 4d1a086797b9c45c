// What operators ask of the past: the log itself, and each entity as it was and came to be.

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <charconv>

#include "actors/chronicle.hpp"
#include "actors/testimony.hpp"
#include "events/words.hpp"
#include "http/beside.hpp"

namespace usher::http {
namespace {

constexpr std::string_view lines_of_json = "application/x-ndjson";

v1::EntityRef entity_of(const request_context& ctx) {
  const auto kind = ctx.path_param("kind");
  auto ref = entity_from(kind, ctx.path_param("id"));
  if (ref) return *ref;
  const auto known = kind_from_word(kind);
  if (known == v1::KIND_UNSPECIFIED || known == v1::PROVIDER)
    throw refuse(v1::INVALID_REQUEST, "The kind has to be show, seat, stock, allowance, reservation, queue, wallet or user.");
  throw refuse(v1::INVALID_REQUEST, "That is no name of this kind: as in seat/shw_…/A-12, allowance/shw_…/usr_…, reservation/rsv_….");
}

asio::awaitable<result<bool>> look_for(actors::testified of) { co_return actors::ever_was(of); }

/// With everything that is recorded of it, and of its show, by now on disk. Throws refusal (NOT_FOUND).
asio::awaitable<actors::testified> witness(engine& e, const request_context& ctx) {
  const auto ref = entity_of(ctx);
  const auto show = show_ref(ref.group());
  const actors::testified of{e.log, ref, e.index.head(ref), e.index.head(show)};
  co_await up_to_date(e, ctx, ref);
  co_await up_to_date(e, ctx, show);
  if (of.head.version == 0) {
    auto work = look_for(of);
    auto looked = co_await beside(e, std::move(work));
    const bool was = value_of(std::move(looked));
    if (!was) throw refuse(v1::NOT_FOUND, "There never was such an entity.");
  }
  co_return of;
}

std::optional<std::uint64_t> whole_number(const request_context& ctx, std::string_view name, std::uint64_t least) {
  const auto text = ctx.query_param(name);
  if (!text) return std::nullopt;
  std::uint64_t out = 0;
  const auto* end = text->data() + text->size();
  const auto [stopped, bad] = std::from_chars(text->data(), end, out);
  if (bad != std::errc{} || stopped != end || out < least)
    throw refuse_field(v1::INVALID_REQUEST, std::string{name}, "It has to be a whole number from " + std::to_string(least) + ".");
  return out;
}

// --- one entity ---------------------------------------------------------------------------------------------------

actors::stream_place place_asked_for(const request_context& ctx) {
  actors::stream_place out;
  if (const auto version = whole_number(ctx, "from", 1)) out.version = *version;
  const auto cursor = cursor_of(ctx);
  if (cursor.empty()) return out;
  const auto place = actors::place_from_cursor(cursor);
  if (!place) throw refuse_field(v1::INVALID_REQUEST, "cursor", "It has to be a nextCursor of this list.");
  return *place;
}

asio::awaitable<result<std::string>> read_stream(actors::testified of, actors::stream_question asked, store::moment until) {
  const auto upto = store::index_at(of.db, partition_of(of.ref.group()), until);
  if (!upto) co_return upto.error();
  asked.upto_index = *upto;
  co_return actors::stream_json(of, asked);
}

reply show_stream(engine& e, request_context& ctx) {
  const auto until = moment_of(e, ctx, "asOf", entity_of(ctx).group());
  const actors::stream_question asked{place_asked_for(ctx), limit_of(ctx), 0};
  auto of = co_await witness(e, ctx);
  auto work = read_stream(std::move(of), asked, until);
  auto read = co_await beside(e, std::move(work));
  co_return json_response(200, read_of(ctx, std::move(read)));
}

asio::awaitable<result<std::optional<std::string>>> read_state(actors::testified of, std::string as_of, store::moment until) {
  const auto upto = store::index_at(of.db, partition_of(of.ref.group()), until);
  if (!upto) co_return upto.error();
  co_return actors::state_json(of, as_of, *upto);
}

reply show_state(engine& e, request_context& ctx) {
  const auto until = moment_of(e, ctx, "asOf", entity_of(ctx).group());
  std::string as_of{ctx.query_param("asOf").value_or("")};
  auto of = co_await witness(e, ctx);
  auto work = read_state(std::move(of), std::move(as_of), until);
  auto read = co_await beside(e, std::move(work));
  auto state = read_of(ctx, std::move(read));
  if (!state) throw refuse(v1::NOT_FOUND, "It was not there yet.");
  co_return json_response(200, std::move(*state));
}

struct period {
  std::string from_text;
  store::moment from;
  std::string to_text;
  store::moment to;
};

asio::awaitable<result<std::string>> read_diff(actors::testified of, period asked) {
  const auto partition = partition_of(of.ref.group());
  const auto from = store::index_at(of.db, partition, asked.from);
  if (!from) co_return from.error();
  const auto to = store::index_at(of.db, partition, asked.to);
  if (!to) co_return to.error();
  co_return actors::diff_json(of, {asked.from_text, *from}, {asked.to_text, *to});
}

reply show_diff(engine& e, request_context& ctx) {
  const auto group = entity_of(ctx).group();
  if (!ctx.query_param("from")) throw refuse_field(v1::INVALID_REQUEST, "from", "Say since when.");
  period asked{std::string{*ctx.query_param("from")}, moment_of(e, ctx, "from", group), std::string{ctx.query_param("to").value_or("now")},
               moment_of(e, ctx, "to", group)};
  auto of = co_await witness(e, ctx);
  auto work = read_diff(std::move(of), std::move(asked));
  auto read = co_await beside(e, std::move(work));
  co_return json_response(200, read_of(ctx, std::move(read)));
}

// --- the log ------------------------------------------------------------------------------------------------------

constexpr std::chrono::milliseconds look_for_news_every{50};
constexpr std::chrono::seconds line_feed_every{15};  // to a follower, so that a peer that is gone is noticed
constexpr std::size_t piece_bytes = 256 * 1024;

std::optional<std::int64_t> time_asked_for(const request_context& ctx, std::string_view name) {
  const auto text = ctx.query_param(name);
  if (!text) return std::nullopt;
  const auto time = from_rfc3339(*text);
  if (!time) throw refuse_field(v1::INVALID_REQUEST, std::string{name}, "It has to be a time like 2026-05-31T10:00:03.250Z.");
  return to_ms(*time);
}

bool follows(const request_context& ctx) {
  const auto text = ctx.query_param("follow").value_or("false");
  if (text != "true" && text != "false") throw refuse_field(v1::INVALID_REQUEST, "follow", "It has to be true or false.");
  return text == "true";
}

actors::log_filter filter_of(const request_context& ctx) {
  actors::log_filter out;
  if (const auto partition = whole_number(ctx, "partition", 0)) {
    if (*partition >= partition_count) throw refuse_field(v1::INVALID_REQUEST, "partition", "There are " + std::to_string(partition_count) + ".");
    out.partition = static_cast<std::uint32_t>(*partition);
  }
  const auto from = whole_number(ctx, "from", 1);
  out.from = from.value_or(1);
  if (const auto stream = ctx.query_param("stream")) {
    out.stream = entity_from(*stream);
    if (!out.stream) throw refuse_field(v1::INVALID_REQUEST, "stream", "It has to be a kind and a name, as in seat/shw_…/A-12.");
  }
  out.type = ctx.query_param("type").value_or("");
  if (!out.type.empty() && !actors::is_type(out.type))
    throw refuse_field(v1::INVALID_REQUEST, "type", "It has to be the type of a command or an event, as in reservation.place or seat.held.");
  out.user = ctx.query_param("user").value_or("");
  out.since_ms = time_asked_for(ctx, "since");
  out.until_ms = time_asked_for(ctx, "until");
  out.only_new = follows(ctx) && !from && !out.since_ms;
  return out;
}

/// What there is to send, and whether there is more by now.
struct log_piece {
  std::string text;
  bool more = false;
};

asio::awaitable<result<log_piece>> read_piece(actors::log_reader& log, std::uint64_t& left) {
  log_piece out;
  const auto more = log.read([&](const v1::Record& record) {
    out.text += actors::line_of(record);
    --left;
    return left != 0 && out.text.size() < piece_bytes;
  });
  if (!more) co_return more.error();
  out.more = *more;
  co_return out;
}

/// Waits until there is something new, for a while. @return false where the node stops
asio::awaitable<bool> news(const engine& e, const actors::log_reader& log) {
  asio::steady_timer timer{co_await asio::this_coro::executor};
  const auto end = std::chrono::steady_clock::now() + line_feed_every;
  while (!e.stopping && log.done() == log.total() && std::chrono::steady_clock::now() < end) {
    timer.expires_after(look_for_news_every);
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return !e.stopping;
}

reply show_log(engine& e, request_context& ctx, exchange& peer) {
  const bool goes_on = follows(ctx);
  auto left = whole_number(ctx, "limit", 1).value_or(std::numeric_limits<std::uint64_t>::max());
  actors::log_reader log{e.log, filter_of(ctx)};
  auto first = read_piece(log, left);
  auto read = co_await beside(e, std::move(first));
  for (;;) {
    const auto next = read_of(ctx, std::move(read));
    bool there = co_await peer.write(lines_of_json, next.text);  // also of nothing: a follower is told that it is one
    if (!there) break;
    if (next.more && e.stopping) co_return problem(v1::SHUTTING_DOWN, "The node is stopping; read the rest again.", ctx.request_id);
    if (left == 0 || (!next.more && !goes_on)) break;
    if (!next.more) {
      const bool is_up = co_await news(e, log);
      if (!is_up) break;
      if (log.done() == log.total()) there = co_await peer.write(lines_of_json, "\n");
      if (!there) break;
    }
    auto work = read_piece(log, left);
    read = co_await beside_in_turn(e, std::move(work));
  }
  co_return response{};
}

}  // namespace

void add_audit_routes(rows& table, engine& e) {
  const route_options options{.who = access::operator_};
  add(table, e, method::get, "/audit/streams/{kind}/{id...}", options, [&e](request_context& c) { return show_stream(e, c); });
  add(table, e, method::get, "/audit/state/{kind}/{id...}", options, [&e](request_context& c) { return show_state(e, c); });
  add(table, e, method::get, "/audit/diff/{kind}/{id...}", options, [&e](request_context& c) { return show_diff(e, c); });
  add_streaming(table, e, method::get, "/audit/log", options, [&e](request_context& c, exchange& x) { return show_log(e, c, x); });
}

}  // namespace usher::http
