#include "cli_client.hpp"

#include <boost/json.hpp>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "bench/bench.hpp"
#include "bench/bench_queue.hpp"
#include "bench/rehearse.hpp"
#include "cli_server.hpp"
#include "events/json.hpp"
#include "node.hpp"

namespace usher::cli {
namespace {

namespace json = boost::json;

// --- show import --------------------------------------------------------------------------------------------------

constexpr std::chrono::days default_notice{30};

struct import_flags {
  server_flags node;
  std::string file;
  std::vector<std::string> prices;
  std::string title, venue, starts_at;
  std::string currency = "EUR";
  std::optional<std::uint32_t> ticket_limit, hold_seconds;
  bool queue = false;
  bool json = false;
};

result<json::value> plan_in(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in) return failure{errc::io_failure, file + " can't be read"};
  json::value plan;
  if (const auto fault = parse_json(text, plan)) return failure{errc::io_failure, file + ": " + fault->detail()};
  if (!plan.is_object()) return failure{errc::io_failure, file + " is not a seating plan: it has to be a JSON object"};
  return plan;
}

/// `Kategorie I=4500`: the last `=` divides, since a name may have one as well.
result<json::array> tiers_of(const std::vector<std::string>& prices) {
  json::array out;
  for (const auto& text : prices) {
    const auto divide = text.rfind('=');
    std::int64_t price = -1;
    if (divide != std::string::npos && divide > 0) {
      const auto* last = text.data() + text.size();
      const auto [end, bad] = std::from_chars(text.data() + divide + 1, last, price);
      if (bad != std::errc{} || end != last) price = -1;
    }
    if (price < 0) return failure{errc::invalid_argument, "--price " + text + ": CATEGORY=AMOUNT, the amount in minor units, as in \"Balcony=4500\""};
    out.push_back(json::object{{"name", text.substr(0, divide)}, {"price", price}});
  }
  return out;
}

result<std::string> start_of(const import_flags& flags) {
  if (flags.starts_at.empty()) return to_rfc3339(std::chrono::floor<std::chrono::seconds>(system_wall_clock{}.now() + default_notice));
  if (!from_rfc3339(flags.starts_at)) return failure{errc::invalid_argument, "--starts-at: RFC 3339, as in 2030-03-01T19:30:00Z"};
  return flags.starts_at;
}

result<std::string> show_body(const import_flags& flags) {
  auto tiers = tiers_of(flags.prices);
  if (!tiers) return tiers.error();
  auto starts_at = start_of(flags);
  if (!starts_at) return starts_at.error();
  auto plan = plan_in(flags.file);
  if (!plan) return plan.error();
  json::object body{{"title", flags.title.empty() ? text_of(plan->as_object(), "name") : flags.title},
                    {"startsAt", *starts_at}, {"currency", flags.currency}, {"tiers", std::move(*tiers)}};
  if (!flags.venue.empty()) body["venue"] = flags.venue;
  if (flags.ticket_limit) body["ticketLimit"] = *flags.ticket_limit;
  if (flags.hold_seconds) body["holdSeconds"] = *flags.hold_seconds;
  if (flags.queue) body["queue"] = json::object{};
  body["seatingPlan"] = std::move(*plan);
  return json::serialize(body);
}

int import_show(const import_flags& flags) {
  auto body = show_body(flags);
  if (!body) return complain(body.error());
  const auto to = server_of(flags.node);
  if (!to) return complain(to.error());
  bench::http_request request;
  request.method = boost::beast::http::verb::post;
  request.target = "/shows";
  request.body = std::move(*body);
  request.fields.emplace_back("Idempotency-Key", fresh_key());
  const auto reply = exchange(*to, std::move(request));
  if (reply.status != 201) return complain_about(reply);
  std::cout << (flags.json ? reply.body : text_of(object_in(reply.body), "showId")) << '\n';
  return succeeded;
}

void add_import(CLI::App& show, int& code) {
  auto flags = std::make_shared<import_flags>();
  auto* verb = show.add_subcommand("import", "Open a show in a hall of pretix's seating-plan format, and print its id");
  verb->add_option("FILE", flags->file, "The seating plan, as JSON")->required()->check(CLI::ExistingFile);
  verb->add_option("--price", flags->prices, "CATEGORY=AMOUNT in minor units; once for each category that has seats")
      ->required()->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("--title", flags->title, "Default: the plan's name");
  verb->add_option("--venue", flags->venue);
  verb->add_option("--starts-at", flags->starts_at, "RFC 3339; default: in 30 days");
  verb->add_option("--currency", flags->currency, "ISO 4217")->capture_default_str();
  verb->add_option("--ticket-limit", flags->ticket_limit, "Places that a person may have; default: the node's");
  verb->add_option("--hold-seconds", flags->hold_seconds, "How long a reservation waits for its payment; default: the node's");
  verb->add_flag("--queue", flags->queue, "With a waiting room in front");
  add_server_flags(*verb, flags->node);
  verb->add_flag("--json", flags->json, "Print the whole show");
  verb->footer("Example:\n  usher show import hall.json --price \"Stalls=5900\" --price \"Balcony=3900\" --title \"La Traviata\" --queue");
  verb->callback([flags, &code] { code = import_show(*flags); });
}

// --- rehearse -----------------------------------------------------------------------------------------------------

struct rehearse_flags {
  server_flags node;
  bench::rehearsal_options options;
  std::string arrive_over = "10s";
};

bool is_seated(const json::object& show) {
  const auto* sections = show.if_contains("sections");
  if (!sections || !sections->is_array()) return false;
  for (const auto& section : sections->as_array()) {
    if (section.is_object() && text_of(section.as_object(), "kind") == "seated") return true;
  }
  return false;
}

/// The first show with numbered seats, else the first one: a rehearsal explains best what it can't play.
std::string first_show(const json::object& page) {
  std::string first;
  const auto* items = page.if_contains("items");
  if (!items || !items->is_array()) return first;
  for (const auto& item : items->as_array()) {
    if (!item.is_object()) continue;
    const auto id = text_of(item.as_object(), "showId");
    if (is_seated(item.as_object())) return id;
    if (first.empty()) first = id;
  }
  return first;
}

int rehearse(rehearse_flags flags) {
  const auto arrive_over = duration_in(flags.arrive_over);
  if (!arrive_over) return complain({errc::invalid_argument, "--arrive-over: as in 90s, 15m or 1h"});
  auto to = server_of(flags.node);
  if (!to) return complain(to.error());
  auto& options = flags.options;
  if (options.show.empty()) {
    bench::http_request request;
    request.target = "/shows";
    const auto reply = exchange(*to, std::move(request));
    if (reply.status != 200) return complain_about(reply);
    options.show = first_show(object_in(reply.body));
    if (options.show.empty()) return complain({errc::io_failure, "the node has no show; open one with `usher show import`"});
    std::cerr << "rehearsing " << options.show << '\n';
  }
  options.host = to->at.host;
  options.port = to->at.port;
  options.operator_token = to->token;
  options.arrive_over = *arrive_over;
  // Its 2 says that it couldn't begin, which is no misuse of the command line.
  return bench::rehearse(options, std::cout) == 0 ? succeeded : was_refused;
}

}  // namespace

void add_show(CLI::App& app, int& code) {
  auto* show = app.add_subcommand("show", "Open shows on a running node");
  show->require_subcommand(1);
  add_import(*show, code);
}

void add_rehearse(CLI::App& app, int& code) {
  auto flags = std::make_shared<rehearse_flags>();
  auto& o = flags->options;
  auto* verb = app.add_subcommand("rehearse", "Play an opening night with invented buyers against a running node, and check its books");
  verb->add_option("--show", o.show, "With numbered seats; nobody else may buy from it meanwhile. Default: the first such show");
  verb->add_option("--buyers", o.buyers)->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--abandon", o.abandon, "Share of the buyers who leave on the way, 0 to 1")->capture_default_str()->check(CLI::Range(0.0, 1.0));
  verb->add_option("--connections", o.connections, "HTTP requests in flight at most")->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--arrive-over", flags->arrive_over, "Arrivals are spread evenly over this long: 90s, 15m, 1h")->capture_default_str();
  verb->add_option("--seed", o.seed, "Of the buyers' choices")->capture_default_str();
  add_server_flags(*verb, flags->node);
  verb->add_flag("--json", o.json, "Report as JSON");
  verb->footer("Exit code 0 only if every check of the books holds.\n\nExample:\n  usher rehearse --buyers 2000 --arrive-over 30s --data data");
  verb->callback([flags, &code] { code = rehearse(*flags); });
}

namespace {

/// Runs a measurement with this very program as the engine.
template <class Options>
int measure(Options options, int (*run)(const Options&)) {
  std::error_code failed;
  options.binary = std::filesystem::read_symlink("/proc/self/exe", failed).string();
  return failed ? complain({errc::io_failure, "/proc/self/exe: " + failed.message()}) : run(options);
}

void add_bench_queue(CLI::App& bench, int& code) {
  auto options = std::make_shared<bench::queue_bench_options>();
  auto* verb = bench.add_subcommand("queue", "A full waiting room: how fast it hears of admissions, and what it costs");
  verb->add_option("--sockets", options->sockets, "WebSockets that wait")->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--joins", options->joins, "People a second who join meanwhile")->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--seconds", options->seconds, "Of joining")->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--scratch", options->scratch, "A folder on the disk to be measured")->capture_default_str()->check(CLI::ExistingDirectory);
  verb->add_flag("--json", options->json, "Report as JSON");
  verb->footer("Example:\n  usher bench queue --sockets 20000 --joins 5000 --seconds 30");
  verb->callback([options, &code] { code = measure(*options, bench::bench_queue); });
}

}  // namespace

void add_bench(CLI::App& app, int& code) {
  auto options = std::make_shared<bench::bench_options>();
  auto* verb = app.add_subcommand("bench", "Measure the engine beside bare HTTP on this machine; takes a few minutes");
  verb->add_option("--connections", options->connections, "Each with one request in flight")->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--repeats", options->repeats, "Medians are reported, so an even number counts as the next odd one")->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--seconds", options->seconds, "Of one run")->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--events", options->events, "In the log when the start is timed")->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--scratch", options->scratch, "A folder on the disk to be measured")->capture_default_str()->check(CLI::ExistingDirectory);
  verb->add_flag("--json", options->json, "Report as JSON");
  verb->footer("Example:\n  usher bench --connections 128 --seconds 10 --json > bench.json");
  add_bench_queue(*verb, code);
  verb->callback([verb, options, &code] {
    if (verb->get_subcommands().empty()) code = measure(*options, bench::bench);
  });
}

}  // namespace usher::cli
