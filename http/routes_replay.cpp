// What operators ask of the whole log: whether it still makes what is stored, and how large it is.

#include "events/api.pb.h"
#include "http/handlers.hpp"
#include "http/log_reports.hpp"

namespace usher::http {
namespace {

report_progress shown_in(operation_progress& p) {
  return [&p](std::uint64_t done, std::uint64_t total) {
    p.expect(total);
    p.done(done);
    return !p.cancelled();
  };
}

reply replay(engine& e, request_context& ctx) {
  const bool decide = body_of<v1::ReplayBody>(ctx).decide();
  const operations::work work = [&e, decide](operation_progress& p) -> result<std::string> {
    const auto copy = copy_of_log(e);
    if (!copy) return copy.error();
    return replay_report((*copy)->db(), {decide, (*copy)->directory() + ".replay"}, shown_in(p));
  };
  co_return started(e, "replay", decide ? "decide" : "", work);
}

reply stats(engine& e, request_context& ctx) {
  static_cast<void>(body_of<v1::Empty>(ctx));  // refuses what it doesn't know
  const operations::work work = [&e](operation_progress& p) { return stats_report(e.log, shown_in(p)); };
  co_return started(e, "stats", "", work);
}

}  // namespace

void add_replay_routes(rows& table, engine& e) {
  add(table, e, method::post, "/admin/replay", {.who = access::operator_}, [&e](request_context& c) { return replay(e, c); });
  add(table, e, method::post, "/admin/stats", {.who = access::operator_}, [&e](request_context& c) { return stats(e, c); });
}

}  // namespace usher::http
