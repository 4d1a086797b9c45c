// Long work under way: how far it is, and what came of it.

#include "http/handlers.hpp"
#include "http/operations.hpp"

namespace usher::http {
namespace {

void write(json_writer& json, const operation_view& o) {
  json.begin_object().member("operationId", o.id).member("kind", o.kind);
  if (!o.subject.empty()) json.member("subject", o.subject);
  json.member("state", word_of(o.state)).member("done", o.done);
  if (o.total != 0) json.member("total", o.total).member("progress", std::min(1.0, static_cast<double>(o.done) / static_cast<double>(o.total)));
  if (o.eta_seconds) json.member("etaSeconds", *o.eta_seconds);
  if (o.started_at_ms != 0) json.member("startedAt", from_ms(o.started_at_ms));
  if (o.ended_at_ms != 0) json.member("endedAt", from_ms(o.ended_at_ms));
  if (!o.result.empty()) json.key("result").raw(o.result);
  if (!o.error.empty()) json.member("error", o.error);
  json.end_object();
}

reply show(engine& e, request_context& ctx) {
  const auto found = e.work.find(ctx.path_param("id"));
  if (!found) throw refuse(v1::NOT_FOUND, "There is no such operation; a restart forgets them.");
  std::string out;
  json_writer json{out};
  write(json, *found);
  co_return json_response(200, std::move(out));
}

reply list_operations(engine& e, request_context&) {
  std::string out;
  json_writer json{out};
  json.begin_object().key("items").begin_array();
  for (const auto& o : e.work.all()) write(json, o);
  json.end_array().end_object();
  co_return json_response(200, std::move(out));
}

}  // namespace

result<std::unique_ptr<store::database_copy>> copy_of_log(engine& e) {
  static std::atomic<std::uint64_t> last{0};
  return store::database_copy::make(e.log, e.settings.data_directory + "/copies/" + std::to_string(++last));
}

response started(engine& e, std::string kind, std::string subject, operations::work work) {
  const auto id = e.work.start(std::move(kind), std::move(subject), std::move(work));
  if (!id) throw refuse(v1::BUSY, "Too many operations wait already.");
  std::string out;
  json_writer{out}.begin_object().member("operationId", *id).end_object();
  return json_response(202, std::move(out)).with("Location", "/operations/" + *id);
}

void add_operation_routes(rows& table, engine& e) {
  add(table, e, method::get, "/operations", {.who = access::operator_}, [&e](request_context& c) { return list_operations(e, c); });
  add(table, e, method::get, "/operations/{id}", {.who = access::operator_}, [&e](request_context& c) { return show(e, c); });
}

}  // namespace usher::http
