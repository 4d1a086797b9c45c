// Users: signing up, logging in, and what belongs to a user.

#include "actors/user.hpp"
#include "http/bodies.hpp"
#include "http/erasure.hpp"
#include "http/sign_up.hpp"
#include "store/hash.hpp"

namespace usher::http {
namespace {

/// Empty where the person was erased, be it that the read models don't know yet, and where the key was never here: an export
/// leaves the keys out unless it is told otherwise.
v1::PersonalData personal_data_of(const engine& e, const projections::user_view& user) {
  const auto key = value_of(e.log.find_person_key(user.user_id));
  if (user.erased_at_ms != 0 || !key) return {};
  auto data = store::unseal(user.sealed, *key);
  if (!data) throw std::runtime_error("the personal data of " + user.user_id + " can't be read");
  return std::move(*data);
}

std::string token_for(const engine& e, const std::string& user_id, time_point from, std::string session) {
  return e.access.issue({purpose::access, user_id, role::user, {}, {}, from + e.settings.access_token_lifetime, std::move(session)});
}

reply sign_up(engine& e, request_context& ctx) {
  auto body = body_of<v1::SignUpBody>(ctx);
  if (!e.settings.open_sign_up && (!ctx.caller || ctx.caller->role == role::user))
    throw refuse(v1::FORBIDDEN, "Signing up is not open here; a service has to do it.");
  const auto user_id = make_user_id(body.email());
  std::string password = body.password();
  const auto r = co_await sign_up_request(e, ctx, std::move(body));
  const auto a = co_await ask_and_see(e, ctx, r);
  const auto user = value_of(e.views.views().users.find(user_id));
  if (user && user->erased_at_ms != 0) throw refuse(v1::ERASED, "The account of this e-mail address was erased.");
  // The fingerprint knows no password, but a token is only for whoever does.
  auto hash = user ? personal_data_of(e, *user).password_hash() : std::string{};
  if (a.replayed && user && !(hash.empty() && password.empty())) {
    const auto right = co_await e.secrets.matches(std::move(hash), std::move(password));
    if (!right) throw refuse(v1::BUSY, "Too many passwords are being checked.");
    if (!*right) throw refuse(v1::IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key came with another password before.");
  }
  // The token, its login too, follows from the user and the time of signing up, so that a repeated request gets the same body.
  const auto signed_up_ms = user ? user->signed_up_at_ms : to_ms(e.clock.now());
  std::string out;
  json_writer{out}.begin_object().member("userId", user_id)
      .member("token", token_for(e, user_id, from_ms(signed_up_ms), user_id + '/' + std::to_string(signed_up_ms))).end_object();
  co_return answered(201, a, std::move(out)).with("Location", "/users/" + user_id);
}

reply log_in(engine& e, request_context& ctx) {
  const auto body = body_of<v1::LoginBody>(ctx);
  if (body.email().empty() == body.user_id().empty())
    throw refuse_field(v1::VALIDATION_FAILED, "email", "Give either email or userId.");
  const auto user_id = body.user_id().empty() ? make_user_id(body.email()) : body.user_id();
  auto entity = user_ref(user_id);
  co_await up_to_date(e, ctx, std::move(entity));
  const auto user = value_of(e.views.views().users.find(user_id));
  auto hash = user ? personal_data_of(e, *user).password_hash() : std::string{};
  std::string password = body.password();
  const auto right = co_await e.secrets.matches(std::move(hash), std::move(password));
  if (!right) throw refuse(v1::BUSY, "Too many passwords are being checked.");
  if (!*right) throw refuse(v1::UNAUTHENTICATED, "No user with this password.");
  const auto now = e.clock.now();
  std::string out;
  json_writer{out}.begin_object().member("userId", user_id).member("token", token_for(e, user_id, now, tokens::new_session()))
      .member("expiresAt", now + e.settings.access_token_lifetime).end_object();
  co_return json_response(200, std::move(out));
}

std::string allowed_user(request_context& ctx) { return user_of(ctx, std::string{ctx.path_param("id")}); }

reply show_user(engine& e, request_context& ctx) {
  const auto user_id = allowed_user(ctx);
  auto entity = user_ref(user_id);
  co_await up_to_date(e, ctx, std::move(entity));
  const auto user = value_of(e.views.views().users.find(user_id));
  if (!user) throw refuse(v1::NOT_FOUND, "There is no such user.");
  if (user->erased_at_ms != 0) throw refuse(v1::ERASED, "This person was erased on " + to_rfc3339(from_ms(user->erased_at_ms)) + ".");
  std::string out;
  json_writer json{out};
  write_user(json, *user, personal_data_of(e, *user));
  co_return with_etag(ctx, user->version, std::move(out));
}

reply reservations_of(engine& e, request_context& ctx) {
  const auto user_id = allowed_user(ctx);
  auto page = value_of(e.views.views().reservations.of_user(user_id, newest_cursor_of(ctx), limit_of(ctx)));
  std::string out;
  json_writer json{out};
  json.begin_object().key("items").begin_array();
  for (const auto& item : page.items) write_reservation(json, item);
  json.end_array();
  write_next_cursor(json, page.next_cursor);
  json.end_object();
  co_return json_response(200, std::move(out));
}

}  // namespace

asio::awaitable<actors::request_ptr> sign_up_request(engine& e, request_context& ctx, v1::SignUpBody body) {
  // The decider never sees a password, so its length is judged here.
  if (body.has_password() && (body.password().size() < 8 || body.password().size() > 1024))
    throw refuse_field(v1::VALIDATION_FAILED, "password", "It has to be 8 to 1,024 bytes.");
  v1::PersonalData person;
  person.set_name(body.name());
  person.set_email(body.email());
  if (auto faults = actors::user::faults_of(person); !faults.empty()) {
    auto wrong = refuse(v1::VALIDATION_FAILED, "The account can't be made from these fields.");
    for (auto& f : faults) *wrong.rejection.add_faults() = std::move(f);
    throw wrong;
  }
  const auto user_id = make_user_id(body.email());
  // The fingerprint is stored in the clear, where it would be guessed against: it knows the address, which the id follows from,
  // and no more of the name than tells most others from it. The password stays out.
  const char of_name = store::sha256(user_id + '\n' + body.name()).front();
  auto r = make_request(ctx, user_ref(user_id), user_id + of_name);
  if (r->user_id.empty()) r->user_id = user_id;
  if (body.has_password()) {
    std::string password = body.password();
    auto hash = co_await e.secrets.hash(std::move(password));
    if (!hash) throw refuse(v1::BUSY, "Too many passwords are being hashed.");
    person.set_password_hash(std::move(*hash));
  }
  r->person_key = store::new_person_key();
  r->command.mutable_user()->mutable_sign_up()->set_sealed(store::seal(person, *r->person_key));
  co_return r;
}

void add_user_routes(rows& table, engine& e) {
  add(table, e, method::post, "/users", {.who = access::anyone}, [&e](request_context& c) { return sign_up(e, c); });
  add_streaming(table, e, method::post, "/users/bulk", {.who = access::operator_},
                [&e](request_context& c, exchange& x) { return sign_up_many(e, c, x); });
  add(table, e, method::post, "/auth/login", {.who = access::anyone}, [&e](request_context& c) { return log_in(e, c); });
  add(table, e, method::get, "/users/{id}", {}, [&e](request_context& c) { return show_user(e, c); });
  add(table, e, method::delete_, "/users/{id}", {}, [&e](request_context& c) { return erase_user(e, c); });
  add(table, e, method::get, "/users/{id}/reservations", {}, [&e](request_context& c) { return reservations_of(e, c); });
}

}  // namespace usher::http
