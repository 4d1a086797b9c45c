// The node itself: health, metrics and the description of the interface.

#include "http/handlers.hpp"
#include "http/openapi.hpp"
#include "http/rebuilds.hpp"

namespace usher::http {
namespace {

response text(std::string_view type, std::string body) {
  response r;
  r.content_type = type;
  r.body = std::move(body);
  return r;
}

/// Alive: the process answers. The projections are looked at by /readyz.
reply health(request_context&) { co_return json_response(200, R"({"status":"ok"})"); }

reply ready(engine& e, request_context&) {
  const auto health = e.views.health();
  const auto all = projections_of(e);
  const bool ready = health.healthy && !e.stopping && !e.views_stand;
  std::string out;
  json_writer json{out};
  json.begin_object().member("status", ready ? "ready" : e.stopping ? "stopping" : "degraded")
      .member("appliedRecords", e.views.applied_total()).key("projections").begin_array();
  for (const auto& p : all) {
    json.begin_object().member("name", p.name).member("parked", p.failed_on.has_value());
    json.member("lagRecords", p.lag.records).member("lagMs", p.lag.ms);
    if (p.failed_on) json.member("error", p.failed_on->text());
    json.end_object();
  }
  json.end_array();
  // What is sold is right all the same, so that this is for the operator, and no reason to send nobody here.
  if (const auto fault = e.notary_fault ? e.notary_fault() : std::string{}; !fault.empty()) json.member("notSigning", fault);
  if (const auto fault = e.audit_fault ? e.audit_fault() : std::string{}; !fault.empty()) json.member("notAuditing", fault);
  json.end_object();
  co_return json_response(ready ? 200 : 503, std::move(out));
}

}  // namespace

void add_node_routes(rows& table, engine& e) {
  add(table, e, method::get, "/healthz", {.who = access::anyone, .counted = false}, [](request_context& c) { return health(c); });
  add(table, e, method::get, "/readyz", {.who = access::anyone, .counted = false}, [&e](request_context& c) { return ready(e, c); });
  add(table, e, method::get, "/metrics", {.who = access::anyone, .counted = false}, [&e](request_context&) -> reply {
    co_return text("text/plain; version=0.0.4; charset=utf-8", e.metrics_text());
  });
  add(table, e, method::get, "/openapi.yaml", {.who = access::anyone}, [](request_context&) -> reply {
    co_return text("application/yaml", std::string{embedded::openapi()});
  });
}

}  // namespace usher::http
