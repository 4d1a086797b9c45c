// Reservations: holding seats and places, looking at them, giving them back.

#include <openssl/rand.h>

#include <algorithm>

#include "events/api.pb.h"
#include "http/best_available.hpp"
#include "http/bodies.hpp"
#include "http/handlers.hpp"

namespace usher::http {
namespace {

const std::string& show_named(const v1::ReserveBody& b) {
  return !b.show_id().empty() ? b.show_id() : !b.concert_id().empty() ? b.concert_id() : b.event_id();
}

refusal to_the_queue(std::string detail) {
  auto r = refuse(v1::ADMISSION_REQUIRED, std::move(detail));
  r.rejection.set_link("/queue/token");
  return r;
}

/// A show with a queue sells only to whoever it has admitted: the token must be for this person and this show.
/// A service or operator needs none.
/// @return the number of the ticket that lets the buyer in; 0 for none
std::uint64_t check_admission(engine& e, const request_context& ctx, const std::string& show_id, const std::string& user_id) {
  using projections::ticket_status;
  if (ctx.caller->role != role::user) {
    const auto ticket = e.views.views().queues.by_user(show_id, user_id, e.clock.now());
    return ticket && ticket->status == ticket_status::admitted ? ticket->number : 0;
  }
  const auto token = ctx.header("Queue-Token");
  const auto claims = token ? e.access.verify(*token, purpose::admission, e.clock.now()) : std::nullopt;
  if (!claims || claims->show_id != show_id || claims->user_id != user_id)
    throw to_the_queue("This show has a queue: POST /queue/token, wait to be admitted, and send the admission's token as Queue-Token.");
  const auto ticket = e.views.views().queues.by_ticket(claims->ticket_id, e.clock.now());
  if (!ticket || ticket->status != ticket_status::admitted)
    throw to_the_queue("This admission is used or over; join again.");
  check_device(*ticket, claims->device);
  check_device(*ticket, ctx.caller->device);
  return ticket->number;
}

v1::PlaceReservation wish_of(const v1::ReserveBody& body) {
  v1::PlaceReservation wish;
  for (const auto& seat : body.seats()) wish.add_seats()->set_seat(seat);
  for (const auto& places : body.general_admission()) {
    auto* item = wish.add_general_admission();
    item->set_section(places.section());
    item->set_quantity(places.quantity());
  }
  if (body.has_best_available() && body.seats_size() + body.general_admission_size() > 0)
    throw refuse_field(v1::VALIDATION_FAILED, "bestAvailable", "Name seats and places, or have the best ones chosen; not both.");
  return wish;
}

std::shared_ptr<const projections::show_seats> seats_of(const engine& e, const std::string& show_id) {
  auto seats = e.views.views().seat_map.find(show_id);
  if (!seats) throw refuse(v1::BUSY, "The seat map is late.");
  return seats;
}

/// Whoever chooses or explains waits at most so long for the seat map to have what was decided before.
constexpr std::chrono::milliseconds map_wait{250};

/// Waits until the seat map knows what was decided last about these seats, and no longer than is worth it.
asio::awaitable<void> map_seen(engine& e, const std::string& show_id, const std::vector<std::string>& seats) {
  log_position newest{partition_of(show_id), 0};
  for (const auto& seat : seats) newest.index = std::max(newest.index, e.index.head(seat_ref(show_id, seat)).index);
  if (newest.index == 0) co_return;
  [[maybe_unused]] const bool is_there = co_await e.ask.reached(e.views, newest, map_wait);
}

void choose_seats(const engine& e, const v1::ReserveBody& body, const std::string& show_id, bool spares_orphans, unsigned attempt,
                  v1::PlaceReservation& wish) {
  const auto seats = seats_of(e, show_id);
  std::uint64_t seed = 0;
  if (attempt > 0) RAND_bytes(reinterpret_cast<unsigned char*>(&seed), sizeof seed);
  wish.clear_seats();
  for (auto& name : choose_best(*seats, body.best_available(), spares_orphans, attempt, seed)) wish.add_seats()->set_seat(std::move(name));
}

/// How often the house chooses for a buyer whose seats went to somebody else at the same moment. Each time somebody else has got theirs,
/// so that so many buyers at once all get seats, if there are enough.
constexpr unsigned choices_max = 64;

/// Throws refusal where seats that the buyer picked leave one alone that need not be.
asio::awaitable<void> check_orphans(engine& e, const actors::terms& terms, const std::string& show_id, const v1::PlaceReservation& wish) {
  const auto around = seats_around(terms.seats(), wish);
  co_await map_seen(e, show_id, around);
  if (auto rejection = orphans_left(*seats_of(e, show_id), terms, wish)) throw refusal{std::move(*rejection)};
}

asio::awaitable<actors::answer> ask_for(engine& e, const request_context& ctx, const v1::ReserveBody& body, const std::string& show_id,
                                        const std::string& reservation_id, v1::PlaceReservation wish) {
  const auto terms = value_of(e.shows.find(show_id));
  if (!terms) throw refuse(v1::NOT_FOUND, "There is no such show.");
  const auto known = [&] { return is_known(e, ctx); };
  const auto queue_number = terms->queue() && !known() ? check_admission(e, ctx, show_id, wish.user_id()) : 0;
  const bool chooses = body.has_best_available() && !known();
  const bool picks = wish.seats_size() > 0;
  if (picks && terms->forbids_orphans() && !known()) co_await check_orphans(e, *terms, show_id, wish);
  const auto end = std::chrono::steady_clock::now() + wait_of(e, ctx);
  for (unsigned attempt = 0;; ++attempt) {
    if (chooses) choose_seats(e, body, show_id, terms->forbids_orphans(), attempt, wish);
    auto priced = chooses ? wish : std::move(wish);
    if (auto rejection = actors::apply_terms(*terms, priced); rejection && !known()) throw refusal{std::move(*rejection)};
    auto r = make_request(ctx, reservation_ref(reservation_id));
    priced.set_queue_number(queue_number);
    *r->command.mutable_reservation()->mutable_place() = std::move(priced);
    auto a = co_await e.ask.ask(r, wait_of(e, ctx));
    if (!a.rejection) co_return a;
    if (a.rejection->code() != v1::SEAT_UNAVAILABLE) throw refusal{std::move(*a.rejection)};
    if (!chooses) wish = wish_of(body);
    std::vector<std::string> wanted;
    for (const auto& seat : wish.seats()) wanted.push_back(seat.seat());
    co_await map_seen(e, show_id, wanted);
    if (picks) complete_refusal(*seats_of(e, show_id), *terms, wish, *a.rejection);
    if (!chooses || attempt + 1 == choices_max || std::chrono::steady_clock::now() > end) throw refusal{std::move(*a.rejection)};
  }
}

reply place(engine& e, request_context& ctx) {
  const auto body = body_of<v1::ReserveBody>(ctx);
  const auto& show_id = show_named(body);
  auto wish = wish_of(body);
  wish.set_user_id(user_of(ctx, body.user_id()));
  if (show_id.empty()) throw refuse_field(v1::VALIDATION_FAILED, "showId", "Which show?");
  const auto reservation_id = make_reservation_id(show_id, id_seed(ctx));
  const auto a = co_await ask_for(e, ctx, body, show_id, reservation_id, std::move(wish));
  std::string out;
  json_writer json{out};
  const auto& outcome = a.outcome->reservation();
  // How the house chose follows from the seats, so that a retry is told the same.
  if (body.has_best_available()) write_choice(json, outcome, blocks_of(value_of(e.shows.find(show_id))->seats(), outcome.seats()));
  else write_outcome(json, outcome);
  co_return answered(201, a, std::move(out)).with("Location", "/reservations/" + reservation_id);
}

std::string reservation_named(const request_context& ctx) {
  std::string id{ctx.path_param("id")};
  if (show_of_reservation(id).empty()) throw refuse(v1::NOT_FOUND, "There is no such reservation.");
  return id;
}

bool is_date(std::string_view text) { return text.size() == 10 && text[4] == '-' && text[7] == '-'; }

reply show_reservation(engine& e, request_context& ctx) {
  if (!ctx.caller) throw refuse(v1::UNAUTHENTICATED, "Send a bearer token.");
  const auto id = reservation_named(ctx);
  auto entity = reservation_ref(id);
  co_await up_to_date(e, ctx, std::move(entity));
  const auto view = value_of(e.views.views().reservations.find(id));
  if (!view) throw refuse(v1::NOT_FOUND, "There is no such reservation.");
  if (!ctx.caller->may_act_for(view->state.user_id())) throw refuse(v1::FORBIDDEN, "The reservation is somebody else's.");
  std::string out;
  json_writer json{out};
  write_reservation(json, *view);
  co_return with_etag(ctx, view->version, std::move(out));
}

reply answer_reservation(engine& e, request_context& ctx, actors::request_ptr r) {
  const auto a = co_await ask(e, ctx, std::move(r));
  std::string out;
  json_writer json{out};
  write_outcome(json, a.outcome->reservation());
  co_return answered(200, a, std::move(out));
}

reply release(engine& e, request_context& ctx) {
  auto r = make_request(ctx, reservation_ref(reservation_named(ctx)));
  r->command.mutable_reservation()->mutable_release();
  return answer_reservation(e, ctx, std::move(r));
}

reply cancel(engine& e, request_context& ctx) {
  auto r = make_request(ctx, reservation_ref(reservation_named(ctx)));
  auto* command = r->command.mutable_reservation()->mutable_cancel();
  command->set_reason(body_of<v1::CancelBody>(ctx).reason());
  if (!r->idempotency_key.empty()) *command->mutable_key() = client_key(*r);
  return answer_reservation(e, ctx, std::move(r));
}

std::shared_ptr<const actors::terms> terms_of(const engine& e, const std::string& reservation_id) {
  auto terms = value_of(e.shows.find(show_of_reservation(reservation_id)));
  if (!terms) throw refuse(v1::NOT_FOUND, "There is no such reservation.");
  return terms;
}

reply extend(engine& e, request_context& ctx) {
  const auto id = reservation_named(ctx);
  auto r = make_request(ctx, reservation_ref(id));
  r->command.mutable_reservation()->mutable_extend()->set_seconds(terms_of(e, id)->extension_seconds());
  return answer_reservation(e, ctx, std::move(r));
}

reply transfer(engine& e, request_context& ctx) {
  const auto body = body_of<v1::TransferBody>(ctx);
  const auto id = reservation_named(ctx);
  if (!body.to_user_id().empty() && !is_user_id(body.to_user_id()))
    throw refuse_field(v1::INVALID_REQUEST, "toUserId", "It has to be 1 to 128 visible characters without a slash.");
  auto r = make_request(ctx, reservation_ref(id));
  auto* command = r->command.mutable_reservation()->mutable_transfer();
  command->set_to_user_id(body.to_user_id());
  command->set_ticket_limit(terms_of(e, id)->ticket_limit());
  return answer_reservation(e, ctx, std::move(r));
}

reply exchange_seat(engine& e, request_context& ctx) {
  const auto body = body_of<v1::ExchangeBody>(ctx);
  const auto id = reservation_named(ctx);
  const auto terms = terms_of(e, id);
  const auto seat = terms->find(body.to());
  if (!seat) throw refuse_field(v1::VALIDATION_FAILED, "to", "The show has no seat " + body.to() + '.');
  auto r = make_request(ctx, reservation_ref(id));
  auto* command = r->command.mutable_reservation()->mutable_exchange();
  command->set_from(body.from());
  command->mutable_to()->set_seat(body.to());
  command->mutable_to()->set_tier(std::string{seat->tier});
  command->mutable_to()->set_price(seat->price);
  return answer_reservation(e, ctx, std::move(r));
}

}  // namespace

void add_reservation_routes(rows& table, engine& e) {
  add(table, e, method::post, "/reservations", {}, [&e](request_context& c) { return place(e, c); });
  add(table, e, method::get, "/reservations/{id}", {.who = access::anyone}, [&e](request_context& c) {
    const auto id = c.path_param("id");
    return is_date(id) ? show_availability(e, c, std::string{id}) : show_reservation(e, c);
  });
  add(table, e, method::delete_, "/reservations/{id}", {}, [&e](request_context& c) { return release(e, c); });
  add(table, e, method::post, "/reservations/{id}/cancel", {}, [&e](request_context& c) { return cancel(e, c); });
  add(table, e, method::post, "/reservations/{id}/extend", {}, [&e](request_context& c) { return extend(e, c); });
  add(table, e, method::post, "/reservations/{id}/transfer", {}, [&e](request_context& c) { return transfer(e, c); });
  add(table, e, method::post, "/reservations/{id}/exchange", {}, [&e](request_context& c) { return exchange_seat(e, c); });
}

}  // namespace usher::http
