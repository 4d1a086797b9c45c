#include "http/handlers.hpp"

#include <openssl/rand.h>

#include <algorithm>

namespace usher::http {
namespace {

/// FNV-1a 64 (Fowler, Noll, Vo), as published.
std::uint64_t fnv1a(std::string_view text, std::uint64_t hash = 14695981039346656037ULL) {
  for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211ULL;
  return hash;
}

/// More than any version of W3C Trace Context needs so far; what is longer or not visible ASCII is ignored.
constexpr std::size_t traceparent_bytes_max = 128;

bool visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 32 && c < 127; });
}

}  // namespace

refusal refuse(v1::Code code, std::string detail) {
  refusal r;
  r.rejection.set_code(code);
  r.rejection.set_detail(std::move(detail));
  return r;
}

refusal refuse(std::vector<v1::Fault> faults) {
  refusal r;
  r.rejection.set_code(v1::INVALID_REQUEST);
  r.rejection.set_detail(faults.empty() ? "" : (faults[0].field().empty() ? "" : faults[0].field() + ": ") + faults[0].detail());
  for (auto& f : faults) *r.rejection.add_faults() = std::move(f);
  return r;
}

refusal refuse_field(v1::Code code, std::string field, std::string detail) {
  auto r = refuse(code, field + ": " + detail);
  auto* f = r.rejection.add_faults();
  f->set_field(std::move(field));
  f->set_detail(std::move(detail));
  return r;
}

std::chrono::milliseconds wait_of(const engine& e, const request_context& ctx) {
  const auto wished = ctx.prefer_wait();
  return wished ? std::chrono::milliseconds{*wished} : e.settings.default_wait;
}

namespace {

asio::awaitable<void> wait_for_position(engine& e, request_context& ctx) {
  const auto token = ctx.header("Min-Log-Position");
  if (!token) co_return;
  const auto at = position_from_token(*token);
  if (!at) throw refuse(v1::INVALID_REQUEST, "Min-Log-Position is not a position that Usher gave out.");
  const bool caught_up = co_await e.ask.reached(e.views, *at, wait_of(e, ctx));
  if (!caught_up) throw refuse(v1::BUSY, "The read models have not reached that position yet.");
}

template <class Handler, class... Exchange>
reply read_at_position(engine& e, const Handler& inner, request_context& ctx, Exchange&... peer) {
  co_await wait_for_position(e, ctx);
  co_return co_await inner(ctx, peer...);
}

}  // namespace

void add(rows& table, engine& e, method m, std::string pattern, route_options options, handler inner) {
  if (m == method::get)
    inner = [&e, inner = std::move(inner)](request_context& ctx) { return read_at_position(e, inner, ctx); };
  table.push_back({m, std::move(pattern), options, std::move(inner)});
}

void add_streaming(rows& table, engine& e, method m, std::string pattern, route_options options, streaming_handler inner) {
  if (m == method::get)
    inner = [&e, inner = std::move(inner)](request_context& ctx, exchange& peer) { return read_at_position(e, inner, ctx, peer); };
  table.push_back({m, std::move(pattern), options, std::move(inner)});
}

std::string user_of(const request_context& ctx, const std::string& named) {
  if (named.empty()) return ctx.caller->user_id;
  if (!ctx.caller->may_act_for(named)) throw refuse(v1::FORBIDDEN, "userId names somebody else.");
  if (!is_user_id(named)) throw refuse_field(v1::INVALID_REQUEST, "userId", "It has to be 1 to 128 visible characters without a slash.");
  return named;
}

void check_device(const projections::ticket_view& ticket, std::uint32_t device) {
  if (same_device(ticket.device, device)) return;
  throw refuse(v1::TICKET_MOVED, "Its owner has taken it over from another login; join again to have it here.");
}

v1::Role role_of(const request_context& ctx) {
  if (!ctx.caller) return v1::ROLE_UNSPECIFIED;
  switch (ctx.caller->role) {
    case role::user: return v1::ROLE_USER;
    case role::service: return v1::ROLE_SERVICE;
    case role::operator_: return v1::ROLE_OPERATOR;
  }
  return v1::ROLE_UNSPECIFIED;
}

actors::request_ptr make_request(const request_context& ctx, v1::EntityRef to, std::string_view fingerprint_of) {
  auto r = std::make_shared<actors::request>();
  r->to = std::move(to);
  r->user_id = ctx.caller ? ctx.caller->user_id : "";
  r->role = role_of(ctx);
  r->causation = r->correlation = ctx.request_id;
  if (const auto trace = ctx.traceparent(); trace && trace->size() <= traceparent_bytes_max && visible(*trace)) r->traceparent = *trace;
  if (const auto key = ctx.idempotency_key()) {
    if (key->empty() || key->size() > 255 || !visible(*key))
      throw refuse_field(v1::INVALID_REQUEST, "Idempotency-Key", "It has to be 1 to 255 visible characters.");
    r->idempotency_key = *key;
    r->fingerprint = fnv1a(fingerprint_of, fnv1a(ctx.path, fnv1a(word_of(ctx.method))));
  }
  return r;
}

actors::request_ptr make_request(const request_context& ctx, v1::EntityRef to) {
  return make_request(ctx, std::move(to), ctx.body);
}

v1::ClientKey client_key(const actors::request& r) {
  v1::ClientKey key;
  key.set_user_id(r.user_id);
  key.set_key(r.idempotency_key);
  key.set_fingerprint(r.fingerprint);
  return key;
}

bool is_known(const engine& e, const request_context& ctx) {
  const auto key = ctx.idempotency_key();
  return key && e.index.find_key(ctx.caller->user_id, *key);
}

std::string id_seed(const request_context& ctx) {
  if (const auto key = ctx.idempotency_key())
    return (ctx.caller ? ctx.caller->user_id : std::string{}) + '\n' + std::string{*key};
  std::string random(16, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), 16) != 1) throw std::runtime_error("no randomness");
  return random;
}

asio::awaitable<actors::answer> ask(engine& e, const request_context& ctx, actors::request_ptr r) {
  auto a = co_await e.ask.ask(std::move(r), wait_of(e, ctx));
  if (a.rejection) throw refusal{std::move(*a.rejection)};
  co_return a;
}

asio::awaitable<actors::answer> ask_and_see(engine& e, const request_context& ctx, actors::request_ptr r) {
  auto a = co_await e.ask.ask_and_see(e.views, std::move(r), wait_of(e, ctx));
  if (a.rejection) throw refusal{std::move(*a.rejection)};
  co_return a;
}

asio::awaitable<void> up_to_date(engine& e, const request_context& ctx, v1::EntityRef entity) {
  const auto head = e.index.head(entity);
  if (head.version == 0) co_return;
  const bool reached = co_await e.ask.reached(e.views, {partition_of(entity.group()), head.index}, wait_of(e, ctx));
  if (!reached) throw refuse(v1::BUSY, "The read models are late.");
}

store::moment moment_of(const engine& e, const request_context& ctx, std::string_view parameter, std::string_view group) {
  const auto text = ctx.query_param(parameter);
  if (!text) return {};
  auto when = store::moment_in(e.log, partition_of(group), *text, e.clock.now());
  if (!when && when.error().code == errc::invalid_argument) throw refuse_field(v1::INVALID_REQUEST, std::string{parameter}, when.error().detail + '.');
  return value_of(std::move(when));
}

response answered(unsigned status, const actors::answer& a, std::string body) {
  return with_origin(json_response(status, std::move(body)), a);
}

response with_origin(response r, const actors::answer& a) {
  if (a.at) r.with("Log-Position", to_token(*a.at));
  if (a.replayed) r.with("Idempotency-Replayed", "true");
  return r;
}

response with_etag(const request_context& ctx, std::string tag, std::string body) {
  tag = '"' + tag + '"';
  if (const auto known = ctx.header("If-None-Match"); known && (*known == "*" || known->find(tag) != std::string_view::npos)) {
    response r;
    r.status = 304;
    r.content_type = "";
    r.with("ETag", std::move(tag));
    return r;
  }
  return json_response(200, std::move(body)).with("ETag", std::move(tag));
}

response with_etag(const request_context& ctx, std::uint64_t version, std::string body) {
  return with_etag(ctx, "v" + std::to_string(version), std::move(body));
}

std::uint64_t if_match(const request_context& ctx) {
  const auto tag = ctx.header("If-Match");
  if (!tag) throw refuse(v1::PRECONDITION_REQUIRED, "Send If-Match with the ETag of what you saw.");
  std::uint64_t version = 0;
  const auto* end = tag->data() + tag->size();
  const auto well_formed = [&] {
    if (tag->size() < 4 || !tag->starts_with("\"v") || !tag->ends_with('"')) return false;
    const auto [stopped, error] = std::from_chars(tag->data() + 2, end - 1, version);
    return error == std::errc{} && (stopped == end - 1 || *stopped == '.');
  };
  if (!well_formed())
    throw refuse_field(v1::INVALID_REQUEST, "If-Match", "It has to be an ETag like \"v3\".");
  return version;
}

std::size_t limit_of(const request_context& ctx) {
  const auto text = ctx.query_param("limit");
  if (!text) return 50;
  std::size_t limit = 0;
  const auto* end = text->data() + text->size();
  if (auto [p, error] = std::from_chars(text->data(), end, limit); error != std::errc{} || p != end || limit < 1 || limit > 200)
    throw refuse_field(v1::INVALID_REQUEST, "limit", "It has to be a number from 1 to 200.");
  return limit;
}

std::string newest_cursor_of(const request_context& ctx) {
  auto cursor = cursor_of(ctx);
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  const bool well_formed = cursor.size() >= 16 && std::all_of(cursor.begin(), cursor.begin() + 16, digit);
  if (!cursor.empty() && !well_formed) throw refuse_field(v1::INVALID_REQUEST, "cursor", "It is not one that Usher gave out.");
  return cursor;
}

std::string cursor_of(const request_context& ctx) { return std::string{ctx.query_param("cursor").value_or("")}; }

}  // namespace usher::http
