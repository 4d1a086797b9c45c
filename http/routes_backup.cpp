// All of a node to take away: backups, and the log as text.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "events/api.pb.h"
#include "http/beside.hpp"
#include "http/erasure.hpp"
#include "store/backup.hpp"
#include "store/export.hpp"

namespace usher::http {
namespace {

reply back_up(engine& e, request_context& ctx) {
  auto name = body_of<v1::BackupBody>(ctx).name();
  if (name.empty()) name = store::backup_name_of(e.clock.now());
  if (!store::is_backup_name(name)) throw refuse_field(v1::INVALID_REQUEST, "name", "Letters, digits, '.', '-' and '_', with no dot in front.");
  co_return started(e, "backup", name, [&e, name](operation_progress& progress) -> result<std::string> {
    // Who was erased before a backup is in none of its files.
    if (const auto purged = purge_all(e, progress); !purged) return purged.error();
    const auto told = [&progress](std::uint64_t done, std::uint64_t total) {
      progress.expect(total);
      progress.done(done);
      return !progress.cancelled();
    };
    const auto made = store::make_backup(e.log, e.settings.data_directory, e.settings.backup_directory, name, e.clock.now(), told);
    if (!made) return made.error();
    std::string out;
    json_writer json{out};
    store::write_json(out, *made);
    out.pop_back();
    out += ",\"directory\":";
    json_writer{out}.value(e.settings.backup_directory + "/" + name);
    return out + "}";
  });
}

asio::awaitable<std::string> listed(engine& e) {
  std::string out = "{\"items\":[";
  for (const auto& backup : store::backups_in(e.settings.backup_directory)) {
    if (out.back() == '}') out += ',';
    store::write_json(out, backup);
  }
  co_return out + "]}";
}

reply list_backups(engine& e, request_context&) {
  auto work = listed(e);
  auto body = co_await beside(e, std::move(work));
  co_return json_response(200, std::move(body));
}

store::export_request wanted_of(const request_context& ctx) {
  const auto word = [&](const char* name) { return std::string{ctx.query_param(name).value_or("")}; };
  const store::export_words words{word("format"), word("since"), word("until"), word("stream"), word("type"), word("events") == "true", false};
  auto wanted = store::export_request_from(words);
  if (!wanted) throw refuse(v1::INVALID_REQUEST, wanted.error().detail);
  return std::move(*wanted);
}

struct piece {
  std::string text;
  bool more = false;
};
asio::awaitable<piece> next_of(store::log_export& from) {
  piece out;
  out.more = value_of(from.next(out.text));
  co_return out;
}

/// The log is read on the thread of the histories, a piece at a time, so that others get their turn in between.
reply export_log(engine& e, request_context& ctx, exchange& peer) {
  if (ctx.query_param("withKeys")) throw refuse(v1::INVALID_REQUEST, "The keys of personal data leave a node in backups, and in exports of its data directory.");
  const auto wanted = wanted_of(ctx);
  const std::string_view type = wanted.form == store::export_form::csv ? "text/csv; charset=utf-8" : "application/x-ndjson";
  auto lines = value_of(store::log_export::begin(e.log, wanted, e.clock.now()));
  for (bool more = true; more;) {
    if (e.stopping) co_return problem(v1::SHUTTING_DOWN, "The node is stopping.", ctx.request_id);
    auto work = next_of(lines);
    const auto next = co_await asio::co_spawn(e.histories, std::move(work), asio::use_awaitable);
    more = next.more;
    bool there = true;
    if (!next.text.empty()) there = co_await peer.write(type, next.text);
    if (!there) co_return problem(v1::INVALID_REQUEST, "The answer is not read.", ctx.request_id);
  }
  co_return response{};
}

}  // namespace

void add_backup_routes(rows& table, engine& e) {
  const route_options options{.who = access::operator_};
  add(table, e, method::post, "/admin/backup", options, [&e](request_context& c) { return back_up(e, c); });
  add(table, e, method::get, "/admin/backups", options, [&e](request_context& c) { return list_backups(e, c); });
  add_streaming(table, e, method::get, "/admin/export", options, [&e](request_context& c, exchange& peer) { return export_log(e, c, peer); });
}

}  // namespace usher::http
