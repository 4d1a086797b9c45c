// Paying for a reservation, and what payment providers say about it.

#include "events/api.pb.h"
#include "http/bodies.hpp"
#include "http/handlers.hpp"
#include "http/secret.hpp"

namespace usher::http {
namespace {

/// The provider's name as commands have it: empty for the wallet.
std::string provider_of(const engine& e, const v1::PaymentBody& body) {
  if (body.provider().empty() || body.provider() == "wallet") {
    if (!body.method().empty()) throw refuse_field(v1::VALIDATION_FAILED, "method", "The wallet has no methods.");
    return {};
  }
  const auto provider = e.providers.find(body.provider());
  if (provider == e.providers.end()) throw refuse_field(v1::VALIDATION_FAILED, "provider", "There is no payment provider of this name.");
  if (auto fault = provider->second->fault_of(body.method())) throw refuse_field(v1::VALIDATION_FAILED, "method", std::move(*fault));
  return body.provider();
}

/// 200 once it is paid; 202 while a provider has it.
reply pay(engine& e, request_context& ctx) {
  const auto body = body_of<v1::PaymentBody>(ctx);
  if (show_of_reservation(body.reservation_id()).empty()) throw refuse(v1::NOT_FOUND, "There is no such reservation.");
  auto r = make_request(ctx, reservation_ref(body.reservation_id()));
  auto* command = r->command.mutable_reservation()->mutable_pay();
  command->set_provider(provider_of(e, body));
  command->set_method(body.method());
  command->set_lease_seconds(static_cast<std::uint32_t>(e.settings.payment_lease.count()));
  if (!r->idempotency_key.empty()) *command->mutable_key() = client_key(*r);
  const auto a = co_await ask(e, ctx, r);
  std::string out;
  json_writer json{out};
  write_payment(json, a.outcome->payment());
  co_return answered(a.outcome->payment().status() == v1::PAYING ? 202 : 200, a, std::move(out));
}

/// The provider of the path, whose signature the body has. Throws refusal.
std::string signer_of(const engine& e, const request_context& ctx) {
  const auto provider = e.providers.find(ctx.path_param("provider"));
  if (provider == e.providers.end()) throw refuse(v1::NOT_FOUND, "There is no payment provider of this name.");
  const auto signature = ctx.header("Usher-Signature");
  if (!signature || !is_signed_message(provider->second->secret(), ctx.body, *signature, e.clock.now()))
    throw refuse(v1::UNAUTHENTICATED, "The body must be signed by the provider, not more than five minutes ago: Usher-Signature.");
  return provider->first;
}

actors::request_ptr request_of(const request_context& ctx, const std::string& provider, const std::string& reservation_id) {
  auto r = make_request(ctx, reservation_ref(reservation_id));
  r->user_id = "provider/" + provider;
  r->role = v1::ROLE_SYSTEM;
  r->idempotency_key.clear();
  return r;
}

bool is_lack_of_places(v1::Code code) {
  return code == v1::SEAT_UNAVAILABLE || code == v1::STOCK_UNAVAILABLE || code == v1::TICKET_LIMIT_EXCEEDED;
}

/// Money that came too late for its seats is given back: the rules ask for that decision in a command of its own.
asio::awaitable<actors::answer> settle(engine& e, const request_context& ctx, const std::string& provider, const v1::VerdictBody& body) {
  const auto reservation_id = reservation_of_payment(body.payment_id());
  const auto terms = value_of(e.shows.find(show_of_reservation(reservation_id)));
  if (!terms) throw refuse(v1::NOT_FOUND, "There is no such payment.");
  for (const bool give_back : {false, true}) {
    auto r = request_of(ctx, provider, reservation_id);
    auto& command = *r->command.mutable_reservation()->mutable_settle_payment();
    command.set_payment_id(body.payment_id());
    command.set_provider(provider);
    command.set_debited(body.verdict() == "paid");
    command.set_amount(body.amount());
    command.set_ticket_limit(terms->ticket_limit());
    command.set_give_back(give_back);
    auto a = co_await e.ask.ask_and_see(e.views, r, wait_of(e, ctx));
    if (!a.rejection) co_return a;
    if (give_back || !is_lack_of_places(a.rejection->code())) throw refusal{std::move(*a.rejection)};
  }
  throw std::logic_error("a verdict was neither taken nor refused");
}

asio::awaitable<actors::answer> settle_refund(engine& e, const request_context& ctx, const std::string& provider, const v1::VerdictBody& body) {
  auto r = request_of(ctx, provider, reservation_of_payment(body.payment_id()));
  r->command.mutable_reservation()->mutable_settle_refund()->set_payment_id(body.payment_id());
  r->command.mutable_reservation()->mutable_settle_refund()->set_provider(provider);
  return ask_and_see(e, ctx, std::move(r));
}

v1::PaymentStatus status_of(const engine& e, const std::string& payment_id) {
  const auto view = value_of(e.views.views().reservations.find(reservation_of_payment(payment_id)));
  if (!view) return v1::PAYMENT_STATUS_UNSPECIFIED;
  for (const auto& payment : view->state.payments())
    if (payment.payment_id() == payment_id) return payment.status();
  return v1::PAYMENT_STATUS_UNSPECIFIED;
}

reply take_verdict(engine& e, request_context& ctx) {
  const auto provider = signer_of(e, ctx);
  const auto body = body_of<v1::VerdictBody>(ctx);
  const bool refund = body.verdict() == "refunded";
  if (!refund && body.verdict() != "paid" && body.verdict() != "declined")
    throw refuse_field(v1::VALIDATION_FAILED, "verdict", "It is paid, declined or refunded.");
  if (!refund && body.amount() <= 0) throw refuse_field(v1::VALIDATION_FAILED, "amount", "How much, in minor units?");
  const auto reservation_id = reservation_of_payment(body.payment_id());
  if (reservation_id.empty()) throw refuse(v1::NOT_FOUND, "There is no such payment.");
  auto settling = refund ? &settle_refund : &settle;
  const auto a = co_await settling(e, ctx, provider, body);
  std::string out;
  json_writer{out}.begin_object().member("paymentId", body.payment_id()).member("reservationId", reservation_id)
      .member("status", v1::PaymentStatus_Name(status_of(e, body.payment_id()))).end_object();
  co_return answered(200, a, std::move(out));
}

}  // namespace

void add_payment_routes(rows& table, engine& e) {
  add(table, e, method::post, "/payment", {}, [&e](request_context& c) { return pay(e, c); });
  // One address speaks for all buyers here, and what it says is about money: it is signed, not limited.
  add(table, e, method::post, "/payment/providers/{provider}/verdicts", {.who = access::anyone, .counted = false},
      [&e](request_context& c) { return take_verdict(e, c); });
}

}  // namespace usher::http
