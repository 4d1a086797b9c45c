// The read models: how they are doing, and building them again.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <stdexcept>

#include "http/handlers.hpp"
#include "http/operations.hpp"
#include "http/rebuilds.hpp"

namespace usher::http {
namespace {

constexpr std::string_view rebuild_kind = "rebuild";
constexpr std::string_view retry_kind = "retry";
constexpr std::string_view every_view = "all";

/// What came of one read model, as part of the operation's result.
void write_rebuild(json_writer& json, const engine& e, const std::string& name) {
  const auto all = e.views.status(e.clock.now());
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& p) { return p.name == name; });
  if (found != all.end()) write(json, *found);
}

/// Rebuilds, or retries, one read model after the other, also after one where that fails.
/// @error  of the first that failed; `detail` names them all
result<std::string> work_on(engine& e, std::string_view kind, const std::vector<std::string>& names, operation_progress& tell) {
  std::string out;
  json_writer json{out};
  json.begin_object().key("items").begin_array();
  std::uint64_t before = 0;
  std::optional<failure> failed;
  for (std::size_t i = 0; i != names.size(); ++i) {
    const auto heard = [&](std::uint64_t done, std::uint64_t total) {
      tell.expect(before + total * (names.size() - i));
      tell.done(before + done);
      return !tell.cancelled();
    };
    const auto done = kind == rebuild_kind ? e.views.rebuild(names[i], heard) : e.views.retry(names[i], heard);
    if (!done) failed = failure{failed ? failed->code : done.error().code, (failed ? failed->detail + "; " : "") + names[i] + ": " + done.error().detail};
    if (done && !*done) return failure{errc::io_failure, "The node ends; the work goes on with its next start."};
    before += e.views.applied_total();
    write_rebuild(json, e, names[i]);
  }
  if (failed) return *failed;
  json.end_array().end_object();
  return out;
}

operations::work work_of(engine& e, std::string_view kind, std::vector<std::string> names) {
  return [&e, kind, names = std::move(names)](operation_progress& tell) { return work_on(e, kind, names, tell); };
}

std::vector<std::string> named(const engine& e, const std::string& name) {
  if (name == every_view) return e.views.names();
  if (!e.views.has(name)) throw refuse(v1::NOT_FOUND, "There is no such read model.");
  return {name};
}

bool is_under_way(const operation_view& o) {
  return o.ended_at_ms == 0 && (o.kind == rebuild_kind || o.kind == retry_kind);
}

/// So that those that wait for their turn are built also after a crash. One that is under way was planned already.
result<void> plan(engine& e, const std::string& subject, const std::vector<std::string>& names) {
  const auto operations = e.work.all();
  const bool is_planned = std::ranges::any_of(operations, [&](const operation_view& o) {
    return is_under_way(o) && o.kind == rebuild_kind && o.subject == subject;
  });
  if (is_planned) return {};
  return e.views.plan_rebuilds(names);
}

reply start_work(engine& e, request_context& ctx, std::string_view kind) {
  const std::string name{ctx.path_param("name")};
  auto names = named(e, name);
  if (kind == rebuild_kind)
    if (auto planned = plan(e, name, names); !planned) throw std::runtime_error(planned.error().detail);
  co_return started(e, std::string{kind}, name, work_of(e, kind, std::move(names)));
}

reply list_projections(engine& e, request_context&) { co_return json_response(200, projections::to_json(projections_of(e))); }

}  // namespace

std::vector<projections::projection_status> projections_of(engine& e) {
  auto all = e.views.status(e.clock.now());
  const auto operations = e.work.all();
  for (auto& p : all) {
    if (!p.building) continue;
    const auto found = std::find_if(operations.begin(), operations.end(), [&](const operation_view& o) {
      return is_under_way(o) && (o.subject == p.name || o.subject == every_view);
    });
    if (found == operations.end()) continue;
    p.operation_id = found->id;
    p.eta_seconds = found->eta_seconds;
  }
  return all;
}

result<void> resume_rebuilds(engine& e) {
  const auto unfinished = e.views.unfinished();
  if (!unfinished) return unfinished.error();
  for (const auto& name : *unfinished) {
    spdlog::info("event=rebuild_resumed view={}", name);
    if (!e.work.start(std::string{rebuild_kind}, name, work_of(e, rebuild_kind, {name}))) spdlog::error("event=rebuild_not_resumed view={}", name);
  }
  return {};
}

void add_projection_routes(rows& table, engine& e) {
  add(table, e, method::get, "/admin/projections", {.who = access::operator_}, [&e](request_context& c) { return list_projections(e, c); });
  add(table, e, method::post, "/admin/projections/{name}/rebuild", {.who = access::operator_},
      [&e](request_context& c) { return start_work(e, c, rebuild_kind); });
  add(table, e, method::post, "/admin/projections/{name}/retry", {.who = access::operator_},
      [&e](request_context& c) { return start_work(e, c, retry_kind); });
}

}  // namespace usher::http
