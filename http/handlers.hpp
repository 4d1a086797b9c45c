#pragma once
// What the handlers of all endpoints share: reading a request, asking the actors, writing an answer.

#include <boost/json/object.hpp>
#include <google/protobuf/message.h>

#include "events/json.hpp"
#include "http/engine.hpp"
#include "http/problem.hpp"
#include "store/moment.hpp"

namespace usher::http {

using rows = std::vector<route>;

/// The endpoints, by what they are about. Each adds its rows to the table.
void add_user_routes(rows&, engine&);
void add_show_routes(rows&, engine&);
void add_queue_routes(rows&, engine&);
void add_operator_routes(rows&, engine&);
void add_draw_routes(rows&, engine&);
void add_reservation_routes(rows&, engine&);
void add_money_routes(rows&, engine&);
void add_payment_routes(rows&, engine&);
void add_node_routes(rows&, engine&);
void add_operation_routes(rows&, engine&);
void add_evidence_routes(rows&, engine&);
void add_audit_routes(rows&, engine&);
void add_projection_routes(rows&, engine&);
void add_replay_routes(rows&, engine&);
void add_backup_routes(rows&, engine&);

using reply = asio::awaitable<response>;

refusal refuse(v1::Code, std::string detail);
refusal refuse(std::vector<v1::Fault>);                       ///< INVALID_REQUEST
refusal refuse_field(v1::Code, std::string field, std::string detail);

/// A row of the table; a read waits for `Min-Log-Position` first.
void add(rows&, engine&, method, std::string pattern, route_options, handler);
/// The same for a long body or a long answer.
void add_streaming(rows&, engine&, method, std::string pattern, route_options, streaming_handler);

/// The body as a message; an empty body is an empty message. Throws refusal (INVALID_REQUEST, naming the fields).
template <class Message>
Message body_of(const request_context& ctx) {
  Message m;
  if (ctx.body.empty()) return m;
  if (auto faults = from_json(ctx.body, m); !faults.empty()) throw refuse(std::move(faults));
  return m;
}

/// The user that a request is for: the caller, or the one that a service or operator names.
/// Throws refusal (FORBIDDEN) where the caller may not act for them.
std::string user_of(const request_context&, const std::string& named);

/// Throws refusal (TICKET_MOVED) where a ticket of the queue belongs to another device than this one.
void check_device(const projections::ticket_view&, std::uint32_t device);

v1::Role role_of(const request_context&);

/// A command for an entity with all that the request says about it. Throws refusal for a key that is not well formed.
/// @param fingerprint_of  what makes two requests with one key the same; the whole body by default
actors::request_ptr make_request(const request_context&, v1::EntityRef to, std::string_view fingerprint_of);
actors::request_ptr make_request(const request_context&, v1::EntityRef to);

/// The idempotency key of a request, for an outcome that is recorded only at the end of a process.
v1::ClientKey client_key(const actors::request&);

/// Whether this is a request again that changed something: it is answered as it was then, whatever would be said to it today.
bool is_known(const engine&, const request_context&);

/// What ids follow from: the caller with the idempotency key, or fresh randomness where there is none.
std::string id_seed(const request_context&);

/// Sends the command and waits. Throws refusal where it is rejected.
asio::awaitable<actors::answer> ask(engine&, const request_context&, actors::request_ptr);

/// The same, and what was recorded has been seen by the read models.
asio::awaitable<actors::answer> ask_and_see(engine&, const request_context&, actors::request_ptr);

/// Waits until the read models have seen all of one entity, so that whoever was answered finds what they did. Throws refusal (BUSY).
asio::awaitable<void> up_to_date(engine&, const request_context&, v1::EntityRef);

/// 2xx with `Log-Position` and `Idempotency-Replayed` where they apply.
response answered(unsigned status, const actors::answer&, std::string body);
response with_origin(response, const actors::answer&);

/// With an ETag; 304 where `If-None-Match` names it.
response with_etag(const request_context&, std::string tag, std::string body);
/// The same with `"v<version>"`.
response with_etag(const request_context&, std::uint64_t version, std::string body);
/// The version that `If-Match` names; what follows it after a dot, which tells pictures of one version apart, is left out.
/// Throws refusal: PRECONDITION_REQUIRED without, INVALID_REQUEST for another form.
std::uint64_t if_match(const request_context&);

/// `?limit=` (1 to 200, 50 by default). Throws refusal.
std::size_t limit_of(const request_context&);
std::string cursor_of(const request_context&);
/// Of a list that begins with the newest. Throws refusal.
std::string newest_cursor_of(const request_context&);

/// Throws std::runtime_error where a read model's store failed: a 500, and the node's log has it. A stream that can't be read is
/// a refusal (STREAM_UNREADABLE).
template <class T>
T value_of(result<T> r) {
  if (!r && r.error().code == errc::wrong_format) throw refuse(v1::STREAM_UNREADABLE, r.error().detail);
  if (!r) throw std::runtime_error(r.error().detail);
  return std::move(*r);
}

std::chrono::milliseconds wait_of(const engine&, const request_context&);

/// A parameter as a moment (store/moment.hpp) of a group's partition, now where it isn't there.
/// Throws refusal (INVALID_REQUEST), also of a moment that is yet to come.
store::moment moment_of(const engine&, const request_context&, std::string_view parameter, std::string_view group);

/// A ticket of the queue, and the device that its token is for.
struct held_ticket {
  projections::ticket_view ticket;
  std::uint32_t device = 0;
};
/// The ticket that a request is about, from `Queue-Token`, `?token=` or, of a POST, the body. Throws refusal.
held_ticket ticket_of(engine&, request_context&);

/// 202 with the id of the operation that now does the work. Throws refusal (BUSY).
response started(engine&, std::string kind, std::string subject, operations::work);

/// GET /reservations/{date}: the free seats of each show of that day. It shares its pattern with a reservation's id.
reply show_availability(engine&, request_context&, std::string date);

}  // namespace usher::http
