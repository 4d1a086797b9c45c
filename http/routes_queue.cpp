// The queue: joining, watching one's place, leaving.

#include "events/api.pb.h"
#include "http/event_stream.hpp"
#include "http/handlers.hpp"
#include "http/tickets.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace usher::http {
namespace {

const std::string& show_named(const v1::JoinBody& b) {
  return !b.show_id().empty() ? b.show_id() : !b.concert_id().empty() ? b.concert_id() : b.event_id();
}

/// A ticket's token outlives any sensible wait; what it is worth is decided by the queue.
constexpr std::chrono::hours ticket_token_lifetime{48};

std::string body_of_ticket(const engine& e, const projections::ticket_view& t) {
  std::string out;
  json_writer json{out};
  const auto expires = from_ms(t.joined_at_ms) + ticket_token_lifetime;
  json.begin_object()
      .member("token", e.access.issue({purpose::queue, t.user_id, role::user, t.show_id, t.ticket_id, expires}))
      .member("ticketId", t.ticket_id).member("showId", t.show_id).member("expiresAt", expires);
  write_place(json, e.access, t, room_members(e.views.views().queues.totals(t.show_id).value_or(projections::queue_totals{})));
  json.end_object();
  return out;
}

reply join(engine& e, request_context& ctx) {
  const auto body = body_of<v1::JoinBody>(ctx);
  const auto& show_id = show_named(body);
  const auto user_id = user_of(ctx, body.user_id());
  if (show_id.empty()) throw refuse_field(v1::VALIDATION_FAILED, "showId", "Which show's queue?");
  const auto terms = value_of(e.shows.find(show_id));
  if (!terms) throw refuse(v1::NOT_FOUND, "There is no such show.");
  if (!terms->queue()) throw refuse_field(v1::VALIDATION_FAILED, "showId", "This show has no queue: reserve at once.");
  auto r = make_request(ctx, queue_ref(show_id));
  auto* command = r->command.mutable_queue()->mutable_join();
  command->set_user_id(user_id);
  *command->mutable_settings() = *terms->queue();
  const auto a = co_await ask(e, ctx, r);
  co_await seen(e, ctx, a);
  const auto ticket = e.views.views().queues.by_ticket(a.outcome.ticket().ticket_id(), e.clock.now());
  if (!ticket) throw refuse(v1::BUSY, "The queue's view is late.");
  co_return answered(a.outcome.ticket().existing() ? 200 : 201, a, body_of_ticket(e, *ticket));
}

/// The ticket that a request is about, from `Queue-Token`, `?token=` or the body. Throws refusal.
projections::ticket_view ticket_of(engine& e, request_context& ctx) {
  std::string token{ctx.header("Queue-Token").value_or(ctx.query_param("token").value_or(""))};
  if (token.empty() && ctx.method == method::post) token = body_of<v1::StatusBody>(ctx).token();
  if (token.empty()) throw refuse_field(v1::INVALID_REQUEST, "Queue-Token", "Send the queue's token.");
  const auto now = e.clock.now();
  const auto claims = e.access.verify(token, purpose::queue, now);
  if (!claims) throw refuse(v1::UNAUTHENTICATED, "The queue's token is not valid.");
  if (ctx.caller && !ctx.caller->may_act_for(claims->user_id)) throw refuse(v1::FORBIDDEN, "The queue's token is somebody else's.");
  auto ticket = e.views.views().queues.by_ticket(claims->ticket_id, now);
  if (!ticket) throw refuse(v1::NOT_FOUND, "There is no such ticket.");
  return std::move(*ticket);
}

bool same_place(const projections::ticket_view& a, const projections::ticket_view& b) {
  return a.status == b.status && a.position == b.position && a.total == b.total;
}

reply status(engine& e, request_context& ctx) {
  auto ticket = ticket_of(e, ctx);
  if (const auto wait = ctx.prefer_wait()) {
    // Long poll: looks again twice a second until something has changed.
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (const auto until = std::chrono::steady_clock::now() + *wait; std::chrono::steady_clock::now() < until && !e.stopping;) {
      timer.expires_after(std::chrono::milliseconds{500});
      co_await timer.async_wait(asio::use_awaitable);
      auto now = e.views.views().queues.by_ticket(ticket.ticket_id, e.clock.now());
      if (!now || same_place(*now, ticket)) continue;
      ticket = std::move(*now);
      break;
    }
  }
  using projections::ticket_status;
  if (ticket.status == ticket_status::expired) throw refuse(v1::QUEUE_TICKET_EXPIRED, "The admission has run out; join again.");
  if (ticket.status == ticket_status::left) throw refuse(v1::QUEUE_TICKET_EXPIRED, "This ticket has left the queue; join again.");
  co_return json_response(200, body_of_ticket(e, ticket));
}

reply leave(engine& e, request_context& ctx) {
  const auto ticket = ticket_of(e, ctx);
  auto r = make_request(ctx, queue_ref(ticket.show_id), ticket.ticket_id);
  r->command.mutable_queue()->mutable_leave()->set_user_id(ticket.user_id);
  r->command.mutable_queue()->mutable_leave()->set_number(ticket.number);
  const auto a = co_await ask(e, ctx, r);
  co_return with_origin(no_content(), a);
}

/// The queue's token is enough here: a browser's EventSource sends no header, and whoever has the token has the ticket.
reply stream(engine& e, request_context& ctx, exchange& peer) {
  const auto ticket = ticket_of(e, ctx);
  const auto executor = co_await asio::this_coro::executor;
  const principal watcher{ticket.user_id, role::user, time_point::max()};
  const auto events = std::make_shared<event_stream>(executor, *e.feeds, peer.connection_id(), watcher);
  std::string subscribe;
  json_writer{subscribe}.begin_object().member("op", "subscribe").member("channel", "queue:" + ticket.ticket_id).end_object();
  e.feeds->opened(events);
  e.feeds->message(events, subscribe);
  co_await events->serve(peer);
  e.feeds->closed(events);
  co_return response{};
}

}  // namespace

void add_queue_routes(rows& table, engine& e) {
  add(table, e, method::post, "/queue/token", {}, [&e](request_context& c) { return join(e, c); });
  add(table, e, method::get, "/queue/status", {}, [&e](request_context& c) { return status(e, c); });
  add(table, e, method::post, "/queue/status", {}, [&e](request_context& c) { return status(e, c); });
  add_streaming(table, e, method::get, "/queue/stream", {.who = access::anyone},
                [&e](request_context& c, exchange& x) { return stream(e, c, x); });
  add(table, e, method::delete_, "/queue/token", {}, [&e](request_context& c) { return leave(e, c); });
}

}  // namespace usher::http
