// Money: wallets, under the names of balances and of points, what is set aside of them, and the house's books.

#include "events/api.pb.h"
#include "http/bodies.hpp"
#include "http/handlers.hpp"

namespace usher::http {
namespace {

/// The shape of an answer about a wallet: balances and points are the same money under two names.
enum class naming { balance, point };

std::string point_body(const std::string& user_id, std::int64_t balance, std::int64_t at_ms) {
  std::string out;
  json_writer{out}.begin_object().member("id", user_id).member("point", balance).member("updateMillis", at_ms).end_object();
  return out;
}

std::string balance_body(const std::string& user_id, const projections::wallet_view& wallet) {
  std::string out;
  json_writer{out}.begin_object().member("userId", user_id).member("balance", wallet.balance).member("held", wallet.held)
      .member("available", wallet.available()).end_object();
  return out;
}

reply change(engine& e, request_context& ctx, naming names, bool charges) {
  const auto body = body_of<v1::AmountBody>(ctx);
  const auto named = names == naming::point ? std::string{ctx.path_param("userId")} : body.user_id();
  const auto user_id = user_of(ctx, named);
  auto r = make_request(ctx, wallet_ref(user_id));
  const auto transaction = make_transaction_id(id_seed(ctx));
  auto* wallet = r->command.mutable_wallet();
  if (charges) {
    wallet->mutable_charge()->set_amount(body.amount());
    wallet->mutable_charge()->set_transaction_id(transaction);
    wallet->mutable_charge()->set_amount_max(e.settings.wallet_charge_max);
    wallet->mutable_charge()->set_balance_max(e.settings.wallet_balance_max);
  } else {
    wallet->mutable_use()->set_amount(body.amount());
    wallet->mutable_use()->set_transaction_id(transaction);
    wallet->mutable_use()->set_amount_max(e.settings.wallet_use_max);
  }
  const auto a = co_await ask(e, ctx, r);
  const auto& o = a.outcome->wallet();
  if (names == naming::point) co_return answered(200, a, point_body(user_id, o.balance(), o.at_ms()));
  std::string out;
  json_writer{out}.begin_object().member("balance", o.balance()).member("transactionId", o.transaction_id()).end_object();
  co_return answered(200, a, std::move(out));
}

reply balance(engine& e, request_context& ctx, naming names, std::string user_id) {
  auto entity = wallet_ref(user_id);
  co_await up_to_date(e, ctx, std::move(entity));
  const auto wallet = value_of(e.views.views().ledger.find(user_id));
  auto body = names == naming::point ? point_body(user_id, wallet.balance, wallet.updated_at_ms) : balance_body(user_id, wallet);
  co_return with_etag(ctx, wallet.version, std::move(body));
}

/// What all answers about an authorization have; the object stays open for what is only of one kind.
json_writer& begin_authorization(json_writer& json, const v1::WalletOutcome& o) {
  return json.begin_object().member("authorizationId", o.authorization_id()).member("amount", o.amount()).member("balance", o.balance())
      .member("held", o.held()).member("available", o.balance() - o.held());
}

constexpr std::uint32_t authorization_seconds = 600;  // where the client doesn't say

reply authorize(engine& e, request_context& ctx) {
  const auto body = body_of<v1::AuthorizeBody>(ctx);
  auto r = make_request(ctx, wallet_ref(user_of(ctx, body.user_id())));
  auto* command = r->command.mutable_wallet()->mutable_authorize();
  command->set_authorization_id(make_authorization_id(id_seed(ctx)));
  command->set_amount(body.amount());
  command->set_seconds(body.has_seconds() ? body.seconds() : authorization_seconds);
  command->set_amount_max(e.settings.wallet_use_max);
  const auto a = co_await ask(e, ctx, r);
  const auto& o = a.outcome->wallet();
  std::string out;
  json_writer json{out};
  begin_authorization(json, o).member("expiresAt", from_ms(o.expires_at_ms())).end_object();
  co_return answered(201, a, std::move(out));
}

reply capture(engine& e, request_context& ctx) {
  const auto body = body_of<v1::CaptureBody>(ctx);
  // To the decider 0 means all of it, which is not what somebody wants who writes 0.
  if (body.has_amount() && body.amount() == 0) throw refuse_field(v1::VALIDATION_FAILED, "amount", "It has to be at least 1, or left out for all of it.");
  auto r = make_request(ctx, wallet_ref(user_of(ctx, body.user_id())));
  auto* command = r->command.mutable_wallet()->mutable_capture();
  command->set_authorization_id(std::string{ctx.path_param("id")});
  command->set_amount(body.amount());
  command->set_transaction_id(make_transaction_id(id_seed(ctx)));
  const auto a = co_await ask(e, ctx, r);
  const auto& o = a.outcome->wallet();
  std::string out;
  json_writer json{out};
  begin_authorization(json, o).member("transactionId", o.transaction_id()).end_object();
  co_return answered(200, a, std::move(out));
}

reply void_funds(engine& e, request_context& ctx) {
  const auto body = body_of<v1::VoidBody>(ctx);
  auto r = make_request(ctx, wallet_ref(user_of(ctx, body.user_id())));
  r->command.mutable_wallet()->mutable_void_funds()->set_authorization_id(std::string{ctx.path_param("id")});
  const auto a = co_await ask(e, ctx, r);
  std::string out;
  json_writer json{out};
  begin_authorization(json, a.outcome->wallet()).end_object();
  co_return answered(200, a, std::move(out));
}

reply show_ledger(engine& e, request_context&) {
  const auto books = e.views.views().ledger.books();
  std::string out;
  json_writer json{out};
  json.begin_object().key("accounts").begin_object();
  json.member("wallets", books.of(account::wallet)).member("held", books.of(account::held)).member("topUps", books.of(account::top_ups))
      .member("sales", books.of(account::sales)).member("spending", books.of(account::spending)).member("refunds", books.of(account::refunds));
  json.end_object().member("trialBalance", books.trial_balance()).member("mismatches", books.mismatches).end_object();
  co_return json_response(200, std::move(out));
}

reply histories(engine& e, request_context& ctx, std::string user_id) {
  auto entity = wallet_ref(user_id);
  co_await up_to_date(e, ctx, std::move(entity));
  auto page = value_of(e.views.views().wallets.history(user_id, newest_cursor_of(ctx), limit_of(ctx)));
  std::string out;
  json_writer json{out};
  json.begin_object().key("items").begin_array();
  for (const auto& entry : page.items) {
    json.begin_object().member("type", word_of(entry.type)).member("amount", entry.amount)
        .member("balance", entry.balance).member("at", from_ms(entry.at_ms));
    if (!entry.transaction_id.empty()) json.member("transactionId", entry.transaction_id);
    if (!entry.payment_id.empty()) json.member("paymentId", entry.payment_id);
    if (!entry.reservation_id.empty()) json.member("reservationId", entry.reservation_id);
    if (!entry.authorization_id.empty()) json.member("authorizationId", entry.authorization_id);
    json.end_object();
  }
  json.end_array();
  write_next_cursor(json, page.next_cursor);
  json.end_object();
  co_return json_response(200, std::move(out));
}

std::string path_user(request_context& ctx) { return user_of(ctx, std::string{ctx.path_param("userId")}); }
std::string query_user(request_context& ctx) { return user_of(ctx, std::string{ctx.query_param("userId").value_or("")}); }

}  // namespace

void add_money_routes(rows& table, engine& e) {
  add(table, e, method::post, "/balance/charge", {}, [&e](request_context& c) { return change(e, c, naming::balance, true); });
  add(table, e, method::post, "/balance/use", {}, [&e](request_context& c) { return change(e, c, naming::balance, false); });
  add(table, e, method::post, "/balance/authorize", {}, [&e](request_context& c) { return authorize(e, c); });
  add(table, e, method::post, "/balance/authorizations/{id}/capture", {}, [&e](request_context& c) { return capture(e, c); });
  add(table, e, method::post, "/balance/authorizations/{id}/void", {}, [&e](request_context& c) { return void_funds(e, c); });
  add(table, e, method::get, "/balance", {}, [&e](request_context& c) { return balance(e, c, naming::balance, query_user(c)); });
  add(table, e, method::get, "/balance/histories", {}, [&e](request_context& c) { return histories(e, c, query_user(c)); });
  add(table, e, method::get, "/balance/{userId}", {}, [&e](request_context& c) { return balance(e, c, naming::balance, path_user(c)); });
  add(table, e, method::get, "/point/{userId}", {}, [&e](request_context& c) { return balance(e, c, naming::point, path_user(c)); });
  add(table, e, method::get, "/point/{userId}/histories", {}, [&e](request_context& c) { return histories(e, c, path_user(c)); });
  add(table, e, method::patch, "/point/{userId}/charge", {}, [&e](request_context& c) { return change(e, c, naming::point, true); });
  add(table, e, method::patch, "/point/{userId}/use", {}, [&e](request_context& c) { return change(e, c, naming::point, false); });
  add(table, e, method::get, "/admin/ledger", {.who = access::operator_}, [&e](request_context& c) { return show_ledger(e, c); });
}

}  // namespace usher::http
