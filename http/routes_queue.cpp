// The queue: joining, watching one's place, leaving.

#include "events/api.pb.h"
#include "http/event_stream.hpp"
#include "http/handlers.hpp"
#include "http/long_poll.hpp"
#include "http/tickets.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace usher::http {

using projections::ticket_status;
using projections::ticket_view;

namespace {

const std::string& show_named(const v1::JoinBody& b) {
  return !b.show_id().empty() ? b.show_id() : !b.concert_id().empty() ? b.concert_id() : b.event_id();
}

/// A ticket's token outlives any sensible wait; what it is worth is decided by the queue.
constexpr std::chrono::hours ticket_token_lifetime{48};

/// From the day on which it is asked for, counted from the joining: a retry is answered alike.
time_point token_expiry(time_point joined_at, time_point now) {
  return joined_at + std::chrono::floor<std::chrono::days>(std::max(now, joined_at) - joined_at) + ticket_token_lifetime;
}

std::string room_of(const engine& e, const std::string& show_id) {
  return room_members(e.views.views().queues.totals(show_id, e.clock.now()).value_or(projections::queue_totals{}));
}

std::string body_of_ticket(const engine& e, const ticket_view& t, std::uint32_t device) {
  std::string out;
  json_writer json{out};
  const auto expires = token_expiry(from_ms(t.joined_at_ms), e.clock.now());
  json.begin_object()
      .member("token", e.access.issue({purpose::queue, t.user_id, role::user, t.show_id, t.ticket_id, expires, {}, device}))
      .member("ticketId", t.ticket_id).member("showId", t.show_id).member("expiresAt", expires);
  write_place(json, e.access, t, device, room_of(e, t.show_id));
  json.end_object();
  return out;
}

reply join(engine& e, request_context& ctx) {
  const auto body = body_of<v1::JoinBody>(ctx);
  const auto& show_id = show_named(body);
  const auto user_id = user_of(ctx, body.user_id());
  if (!body.lane().empty() && ctx.caller->role == role::user) throw refuse(v1::FORBIDDEN, "A lane is given by the house.");
  if (show_id.empty()) throw refuse_field(v1::VALIDATION_FAILED, "showId", "Which show's queue?");
  const auto terms = value_of(e.shows.find(show_id));
  if (!terms) throw refuse(v1::NOT_FOUND, "There is no such show.");
  if (!terms->queue()) throw refuse_field(v1::VALIDATION_FAILED, "showId", "This show has no queue: reserve at once.");
  auto r = make_request(ctx, queue_ref(show_id));
  auto* command = r->command.mutable_queue()->mutable_join();
  command->set_user_id(user_id);
  command->set_device(ctx.caller->device);
  *command->mutable_settings() = *terms->queue();
  command->set_lane(body.lane());
  const auto a = co_await ask_and_see(e, ctx, r);
  const auto ticket = e.views.views().queues.by_ticket(a.outcome->ticket().ticket_id(), e.clock.now());
  if (!ticket) throw refuse(v1::BUSY, "The queue's view is late.");
  e.presence.heard(ticket->ticket_id);
  co_return answered(a.outcome->ticket().existing() ? 200 : 201, a, body_of_ticket(e, *ticket, ctx.caller->device));
}

}  // namespace

held_ticket ticket_of(engine& e, request_context& ctx) {
  std::string token{ctx.header("Queue-Token").value_or(ctx.query_param("token").value_or(""))};
  if (token.empty() && ctx.method == method::post) token = body_of<v1::StatusBody>(ctx).token();
  if (token.empty()) throw refuse_field(v1::INVALID_REQUEST, "Queue-Token", "Send the queue's token.");
  const auto now = e.clock.now();
  const auto claims = e.access.verify(token, purpose::queue, now);
  if (!claims) throw refuse(v1::UNAUTHENTICATED, "The queue's token is not valid.");
  if (ctx.caller && !ctx.caller->may_act_for(claims->user_id)) throw refuse(v1::FORBIDDEN, "The queue's token is somebody else's.");
  auto ticket = e.views.views().queues.by_ticket(claims->ticket_id, now);
  if (!ticket) throw refuse(v1::NOT_FOUND, "There is no such ticket.");
  check_device(*ticket, claims->device);
  if (ctx.caller) check_device(*ticket, ctx.caller->device);
  return {std::move(*ticket), claims->device};
}

namespace {

/// A connection that watches one ticket through the feeds, for as long as this lives.
template <class Connection>
class watch {
 public:
  watch(engine& e, std::shared_ptr<Connection> as, const std::string& ticket_id) : feeds_{*e.feeds}, as_{std::move(as)} {
    std::string subscribe;
    json_writer{subscribe}.begin_object().member("op", "subscribe").member("channel", "queue:" + ticket_id).end_object();
    feeds_.opened(as_);
    feeds_.message(as_, subscribe);
  }
  watch(const watch&) = delete;
  watch& operator=(const watch&) = delete;
  ~watch() { feeds_.closed(as_); }
  Connection* operator->() const { return as_.get(); }

 private:
  socket_handler& feeds_;
  const std::shared_ptr<Connection> as_;
};

/// The queue's token is enough: whoever has it has the ticket.
principal watcher_of(const ticket_view& ticket, std::uint32_t device) { return {ticket.user_id, role::user, time_point::max(), device}; }

/// What a person would call news: another tag. How many wait behind them is none.
std::string tag_of(const engine& e, const ticket_view& t) {
  const auto room = std::hash<std::string>{}(room_of(e, t.show_id));
  return "W/\"" + std::to_string(t.number) + '.' + std::string{word_of(t.status)} + '.' + std::to_string(t.position) + '.' + std::to_string(room) + '"';
}

bool waits(const ticket_view& t) { return t.status == ticket_status::waiting || t.status == ticket_status::early; }

/// Returns when the place differs from what the client has seen, nothing is waited for any more, or the time is over.
asio::awaitable<void> wait_for_news(engine& e, request_context& ctx, held_ticket& held, const std::string& seen, std::chrono::seconds wait) {
  auto& ticket = held.ticket;
  const auto until = std::chrono::steady_clock::now() + wait;
  const auto executor = co_await asio::this_coro::executor;
  const watch polling{e, std::make_shared<long_poll>(executor, ctx.connection_id, watcher_of(ticket, held.device)), ticket.ticket_id};
  for (bool more = true;;) {  // the last look comes after the last wait, for a ticket that has moved ends the watch
    if (auto now = e.views.views().queues.by_ticket(ticket.ticket_id, e.clock.now())) ticket = std::move(*now);
    if (!more || !waits(ticket) || !same_device(ticket.device, held.device) || tag_of(e, ticket) != seen) co_return;
    more = co_await polling->news(until);
  }
}

std::string why_closed(const engine& e, const std::string& show_id) {
  const auto room = e.views.views().queues.totals(show_id, e.clock.now());
  switch (room ? room->end : v1::QUEUE_IS_OPEN) {
    case v1::SOLD_OUT: return "The show is sold out.";
    case v1::SALE_OVER: return "The sale is over.";
    default: return "The queue had closed; join again.";
  }
}

/// Throws refusal for a ticket that neither waits nor lets its owner in.
void refuse_if_over(const engine& e, const ticket_view& t) {
  switch (t.status) {
    case ticket_status::early:
    case ticket_status::waiting:
    case ticket_status::admitted: return;
    case ticket_status::expired: throw refuse(v1::QUEUE_TICKET_EXPIRED, "The admission has run out; join again.");
    case ticket_status::left: throw refuse(v1::QUEUE_TICKET_EXPIRED, "This ticket has left the queue; join again.");
    case ticket_status::paid: throw refuse(v1::QUEUE_TICKET_EXPIRED, "This admission has been used; join again for more.");
    case ticket_status::vanished: throw refuse(v1::QUEUE_TICKET_EXPIRED, "Nobody was heard of this ticket for too long; join again.");
    case ticket_status::evicted: throw refuse(v1::QUEUE_TICKET_EXPIRED, "This ticket was taken out of the queue.");
    case ticket_status::closed: throw refuse(v1::SALE_CLOSED, why_closed(e, t.show_id));
  }
}

reply status(engine& e, request_context& ctx) {
  auto held = ticket_of(e, ctx);
  const auto& ticket = held.ticket;
  e.presence.heard(ticket.ticket_id);
  const auto known = ctx.header("If-None-Match");
  if (const auto wait = ctx.prefer_wait(); wait && waits(ticket)) {
    const auto seen = known ? std::string{*known} : tag_of(e, ticket);
    co_await wait_for_news(e, ctx, held, seen, *wait);
  }
  check_device(ticket, held.device);  // once more, for that may be what has changed
  refuse_if_over(e, ticket);
  auto tag = tag_of(e, ticket);
  auto answer = known && *known == tag ? response{.status = 304, .content_type = ""} : json_response(200, body_of_ticket(e, ticket, held.device));
  co_return std::move(answer).with("ETag", std::move(tag));
}

reply leave(engine& e, request_context& ctx) {
  const auto ticket = ticket_of(e, ctx).ticket;
  auto r = make_request(ctx, queue_ref(ticket.show_id), ticket.ticket_id);
  r->command.mutable_queue()->mutable_leave()->set_user_id(ticket.user_id);
  r->command.mutable_queue()->mutable_leave()->set_number(ticket.number);
  const auto a = co_await ask(e, ctx, r);
  co_return with_origin(no_content(), a);
}

/// A browser's EventSource sends no header, so the token may be in the address.
reply stream(engine& e, request_context& ctx, exchange& peer) {
  const auto [ticket, device] = ticket_of(e, ctx);
  const auto executor = co_await asio::this_coro::executor;
  const watch events{e, std::make_shared<event_stream>(executor, *e.feeds, ctx.connection_id, watcher_of(ticket, device)), ticket.ticket_id};
  co_await events->serve(peer);
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
