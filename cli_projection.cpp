#include "cli_projection.hpp"

#include <boost/json.hpp>

#include <cstdio>
#include <iostream>
#include <memory>

#include "cli_offline.hpp"
#include "cli_operation.hpp"
#include "cli_progress.hpp"
#include "node.hpp"
#include "projections/runner.hpp"

namespace usher::cli {
namespace {

namespace json = boost::json;

struct projection_flags {
  server_flags node;
  std::string name;
  bool json = false;

  /// Whether a node is asked, which runs or is named; else the data directory is opened.
  [[nodiscard]] bool is_live() const { return !node.server.empty() || find_running(node.data).has_value(); }
};

// --- how they stand, as a table -----------------------------------------------------------------------------------

std::string number_text(const json::object& of, std::string_view name) {
  return std::to_string(number_of(of, name));
}

std::string age_text(const json::object& of) {
  const auto* ms = of.if_contains("lagMs");
  if (!ms || !ms->is_number()) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", ms->to_number<double>() / 1000);
  return text;
}

std::string rebuild_text(const json::object& of) {
  const auto* rebuild = of.if_contains("rebuild");
  if (!rebuild || !rebuild->is_object()) return "";
  const auto* progress = rebuild->as_object().if_contains("progress");
  auto out = "rebuilt to " + std::to_string(static_cast<int>(progress && progress->is_number() ? progress->to_number<double>() * 100 : 0)) + " %";
  if (rebuild->as_object().contains("etaSeconds")) out += ", " + number_text(rebuild->as_object(), "etaSeconds") + " s left";
  return out;
}

void print_projections(const json::object& answer) {
  std::printf("%-14s %-11s %8s %11s %12s %10s %10s\n", "read model", "state", "version", "generation", "records", "lag", "age of lag");
  const auto* items = answer.if_contains("items");
  if (!items || !items->is_array()) return;
  for (const auto& item : items->as_array()) {
    if (!item.is_object()) continue;
    const auto& of = item.as_object();
    std::printf("%-14s %-11s %8s %11s %12s %10s %10s", text_of(of, "name").c_str(), text_of(of, "state").c_str(),
                number_text(of, "version").c_str(), number_text(of, "generation").c_str(), number_text(of, "appliedRecords").c_str(),
                number_text(of, "lagRecords").c_str(), age_text(of).c_str());
    if (const auto rebuild = rebuild_text(of); !rebuild.empty()) std::printf("  %s", rebuild.c_str());
    std::printf("\n");
    if (const auto error = text_of(of, "error"); !error.empty()) std::printf("  stopped at %s\n", error.c_str());
  }
  std::fflush(stdout);
}

int tell(const projection_flags& flags, const std::string& body) {
  if (flags.json) std::cout << body << '\n';
  else print_projections(object_in(body));
  return succeeded;
}

// --- on a node that runs ------------------------------------------------------------------------------------------

int list_live(const projection_flags& flags) {
  const auto on = server_of(flags.node);
  if (!on) return complain(on.error());
  bench::http_request request;
  request.target = "/admin/projections";
  const auto reply = exchange(*on, std::move(request));
  return reply.status == 200 ? tell(flags, reply.body) : complain_about(reply);
}

int run_live(const projection_flags& flags, const char* what) {
  const auto on = server_of(flags.node);
  if (!on) return complain(on.error());
  const auto ended = run_operation(*on, "/admin/projections/" + flags.name + "/" + what);
  if (!ended) return complain(ended.error());
  if (text_of(*ended, "state") != "SUCCEEDED") return complain({errc::io_failure, text_of(*ended, "error")});
  const auto* outcome = ended->if_contains("result");
  return tell(flags, outcome ? json::serialize(*outcome) : "{}");
}

// --- on the data of one that is stopped ---------------------------------------------------------------------------

int list_offline(const projection_flags& flags) {
  const auto db = open_offline(flags.node.data);
  if (!db) return complain(db.error());
  const auto all = projections::stored_status(**db, std::chrono::time_point_cast<time_point::duration>(std::chrono::system_clock::now()));
  if (!all) return complain(all.error());
  return tell(flags, projections::to_json(*all));
}

/// Opening would make a log where there is none.
result<std::unique_ptr<store::database>> open_to_write(const std::string& data) {
  if (!has_log(data)) return no_log(data);
  return store::database::open(log_directory(data));
}

/// Goes on after one that fails. @error of the first that failed; `detail` names them all
result<void> rebuild_each(projections::runner& runner, const std::vector<std::string>& names, std::uint64_t records) {
  progress bar{records * names.size()};
  std::optional<failure> failed;
  for (std::size_t i = 0; i != names.size(); ++i) {
    const auto done = runner.rebuild(names[i], [&](std::uint64_t taken, std::uint64_t) {
      bar.show(records * i + taken, records * names.size());
      return true;
    });
    if (!done) failed = failure{failed ? failed->code : done.error().code, (failed ? failed->detail + "; " : "") + names[i] + ": " + done.error().detail};
  }
  if (failed) return *failed;
  return {};
}

int rebuild_offline(const projection_flags& flags) {
  const auto db = open_to_write(flags.node.data);
  if (!db) return complain(db.error());
  projections::runner runner;
  const bool is_all = flags.name == "all";
  if (!is_all && !runner.has(flags.name)) return complain({errc::invalid_argument, "there is no read model " + flags.name});
  if (auto started = runner.start(**db); !started) return complain(started.error());
  const auto names = is_all ? runner.names() : std::vector<std::string>{flags.name};
  auto done = runner.plan_rebuilds(names);
  if (done) done = rebuild_each(runner, names, records_in(**db));
  if (auto flushed = runner.flush(); done && !flushed) done = flushed;
  if (auto flushed = (*db)->flush(); done && !flushed) done = flushed;
  if (!done) return complain(done.error());
  std::vector<projections::projection_status> rebuilt;
  for (auto& p : runner.status(from_ms(0)))
    if (is_all || p.name == flags.name) rebuilt.push_back(std::move(p));
  return tell(flags, projections::to_json(rebuilt));
}

int retry_offline(const projection_flags& flags) {
  return complain({errc::invalid_argument, "no node runs on " + flags.node.data + ": a read model that was parked is tried again when one starts"});
}

CLI::App* add_action(CLI::App& verb, const std::shared_ptr<projection_flags>& flags, const char* name, const char* what) {
  auto* action = verb.add_subcommand(name, what);
  add_server_flags(*action, flags->node);
  action->add_flag("--json", flags->json, "As JSON, as GET /admin/projections answers");
  return action;
}

}  // namespace

void add_projection(CLI::App& app, int& code) {
  auto flags = std::make_shared<projection_flags>();
  auto* verb = app.add_subcommand("projection", "See how the read models are doing, and build them again");
  verb->require_subcommand(1);
  auto* list = add_action(*verb, flags, "list", "Each with its state, how many records it holds, and how many it lacks");
  list->callback([flags, &code] { code = flags->is_live() ? list_live(*flags) : list_offline(*flags); });
  auto* rebuild = add_action(*verb, flags, "rebuild", "Build one again from the log; a node that runs goes on serving the old one until the new one is there");
  rebuild->add_option("NAME", flags->name, "As `list` names it; all: every one")->required();
  rebuild->callback([flags, &code] { code = flags->is_live() ? run_live(*flags, "rebuild") : rebuild_offline(*flags); });
  auto* retry = add_action(*verb, flags, "retry", "Have a parked one try again from where it stands, on a node that runs");
  retry->add_option("NAME", flags->name, "As `list` names it; all: every one")->required();
  retry->callback([flags, &code] { code = flags->is_live() ? run_live(*flags, "retry") : retry_offline(*flags); });
  verb->footer(
      "With a node running on --data, or named by --server, it is asked; else the data directory is opened, by `list` only to read.\n"
      "A read model is parked where it met an event that it can't fold: the others go on, and /readyz says so.\n"
      "Exit code 0: done; 1: it could not be built, and the old one stays; 2: misused.\n"
      "Examples:\n  usher projection list --data data\n  usher projection rebuild seat_map --data data\n  usher projection retry all --data data");
}

}  // namespace usher::cli
