#include "cli_user.hpp"

#include <boost/json.hpp>

#include <iostream>
#include <memory>

#include "actors/user.hpp"
#include "cli_offline.hpp"
#include "cli_server.hpp"
#include "events/upcast.hpp"
#include "http/bodies.hpp"
#include "store/stream.hpp"

namespace usher::cli {
namespace {

namespace json = boost::json;

struct user_flags {
  server_flags node;
  std::string user;
  std::string reason;
  bool json = false;
};

/// `17/4711`, from a Log-Position.
std::string place_in(const std::string& token) {
  const auto at = position_from_token(token);
  return at ? place_of(*at) : token;
}

std::string id_of(const user_flags& flags) {
  return flags.user.find('@') == std::string::npos ? flags.user : make_user_id(flags.user);
}

/// Ids may have characters that a path gives another meaning.
std::string path_of(const user_flags& flags) {
  static constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out = "/users/";
  for (const unsigned char c : id_of(flags)) {
    if (std::isalnum(c) || c == '_' || c == '-' || c == '.') out += static_cast<char>(c);
    else (((out += '%') += hex[c >> 4]) += hex[c & 15]);
  }
  return out;
}

void print(const user_flags& flags, const std::string& body) {
  if (flags.json) {
    std::cout << body << '\n';
    return;
  }
  const auto user = object_in(body);
  std::cout << "user       " << text_of(user, "userId") << '\n';
  const auto email = text_of(user, "email");
  if (email.empty()) std::cout << "person     unknown: the key of this person is not here\n";
  else std::cout << "name       " << text_of(user, "name") << "\nemail      " << email << '\n';
  std::cout << "signed up  " << text_of(user, "signedUpAt") << '\n';
}

// --- of a node that is stopped --------------------------------------------------------------------------------------

/// The person's own events; there are hardly more than two, but they are found by reading their partition.
result<projections::user_view> find_in(const store::database& db, const std::string& user_id) {
  const auto ref = user_ref(user_id);
  projections::user_view out{user_id};
  actors::user::state state;
  std::optional<failure> stands;
  const auto scanned = db.scan(partition_of(user_id), 1, [&](const store::record_ptr& record, std::string_view) {
    for (const auto& e : record->events()) {
      if (!store::same_entity(e.stream(), ref)) continue;
      if (const auto why = unreadable(e))
        stands = failure{errc::wrong_format, key_of(ref) + ", record " + place_of({record->partition(), record->index()}) + ": " + *why};
      actors::user::evolve(state, e.user());
      out.version = e.version();
    }
    return !stands;
  });
  if (!scanned) return scanned.error();
  if (stands) return *stands;
  out.sealed = state.sealed();
  out.signed_up_at_ms = state.signed_up_at_ms();
  out.erased_at_ms = state.erased_at_ms();
  return out;
}

int show_offline(const user_flags& flags) {
  const auto db = open_offline(flags.node.data);
  if (!db) return complain(db.error());
  const auto user = find_in(**db, id_of(flags));
  if (!user) return complain(user.error());
  if (user->version == 0) return complain({errc::io_failure, "There is no such user."});
  if (user->erased_at_ms != 0) return complain({errc::io_failure, "This person was erased on " + to_rfc3339(from_ms(user->erased_at_ms)) + "."});
  const auto key = (*db)->find_person_key(user->user_id);
  if (!key) return complain(key.error());
  const auto person = *key ? store::unseal(user->sealed, **key) : std::optional{v1::PersonalData{}};
  if (!person) return complain({errc::corrupted, "The person's data can't be opened with their key."});
  std::string body;
  json_writer writer{body};
  http::write_user(writer, *user, *person);
  print(flags, body);
  return succeeded;
}

// --- of a node that runs ---------------------------------------------------------------------------------------------

int show_live(const user_flags& flags) {
  const auto to = server_of(flags.node);
  if (!to) return complain(to.error());
  bench::http_request request;
  request.target = path_of(flags);
  const auto reply = exchange(*to, std::move(request));
  if (reply.status != 200) return complain_about(reply);
  print(flags, reply.body);
  return succeeded;
}

int show(const user_flags& flags) {
  const bool live = !flags.node.server.empty() || find_running(flags.node.data);
  return live ? show_live(flags) : show_offline(flags);
}

int erase(const user_flags& flags) {
  const auto to = server_of(flags.node);
  if (!to) return complain(to.error());
  bench::http_request request;
  request.method = boost::beast::http::verb::delete_;
  request.target = path_of(flags);
  request.body = json::serialize(json::object{{"reason", flags.reason}});
  request.fields.emplace_back("Idempotency-Key", fresh_key());
  request.fields.emplace_back("Prefer", "wait=30");
  const auto reply = exchange(*to, std::move(request));
  if (reply.status != 204 && reply.status != 202) return complain_about(reply);
  const bool done = reply.status == 204;
  const auto operation = text_of(object_in(reply.body), "operationId");
  if (flags.json) {
    json::object out{{"userId", id_of(flags)}, {"position", reply.log_position}, {"filesRewritten", done}};
    if (!operation.empty()) out["operationId"] = operation;
    std::cout << json::serialize(out) << '\n';
    return succeeded;
  }
  std::cout << id_of(flags) << " is forgotten, recorded at " << place_in(reply.log_position) << ".\n";
  if (done) std::cout << "No file of the node holds the key any more. Backups of before still do: erase again after a restore.\n";
  else std::cout << "Old files are still being rewritten" << (operation.empty() ? "" : " (operation " + operation + ")") << "; it goes on by itself.\n";
  return succeeded;
}

CLI::App* add_action(CLI::App& verb, const char* name, const char* what, const std::shared_ptr<user_flags>& flags) {
  auto* action = verb.add_subcommand(name, what);
  action->fallthrough();
  action->add_option("USER", flags->user, "The id, or the e-mail address that they signed up with")->required();
  return action;
}

}  // namespace

void add_user(CLI::App& app, int& code) {
  auto flags = std::make_shared<user_flags>();
  auto* verb = app.add_subcommand("user", "See what is known of a person, or forget them");
  verb->fallthrough();
  verb->require_subcommand(1);
  add_server_flags(*verb, flags->node);
  verb->add_flag("--json", flags->json, "As a JSON object");
  auto* show_verb = add_action(*verb, "show", "Name and address, of a running node or from the data of a stopped one", flags);
  show_verb->callback([flags, &code] { code = show(*flags); });
  auto* erase_verb = add_action(*verb, "erase", "Destroy the key of a person's data on a running node; it can't be undone", flags);
  erase_verb->add_option("--reason", flags->reason, "Goes into the log for good: it must not name the person")->required();
  erase_verb->callback([flags, &code] { code = erase(*flags); });
  verb->footer(
      "Reservations, seats and balances stay as they are, under the id alone.\n"
      "Examples:\n  usher user show ann@example.org\n  usher user show usr_7q2m4x9c1v5k3tza --json\n"
      "  usher user erase ann@example.org --reason \"request 2026-114\"");
}

}  // namespace usher::cli
