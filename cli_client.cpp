#include "cli_client.hpp"

#include <boost/json.hpp>

#include <algorithm>
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

struct show_import_flags {
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

result<std::string> start_of(const show_import_flags& flags) {
  if (flags.starts_at.empty()) return to_rfc3339(std::chrono::floor<std::chrono::seconds>(system_wall_clock{}.now() + default_notice));
  if (!from_rfc3339(flags.starts_at)) return failure{errc::invalid_argument, "--starts-at: RFC 3339, as in 2030-03-01T19:30:00Z"};
  return flags.starts_at;
}

result<std::string> show_body(const show_import_flags& flags) {
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

int import_show(const show_import_flags& flags) {
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
  auto flags = std::make_shared<show_import_flags>();
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

constexpr std::int64_t rehearsed_price = 4'500;
constexpr std::size_t seats_a_row = 50;
constexpr std::size_t buyers_a_seat = 2;  // where nobody says how large the hall is

struct rehearse_flags {
  server_flags node;
  bench::rehearsal_options options;
  std::string arrive_over = "10s", at_most = "15m", think = "2s";
  std::vector<std::string> channels;
  std::string hall;
  std::size_t seats = 0;
  std::uint32_t per_window = 250, window_seconds = 10, max_active = 0, admission_seconds = 60, grace_seconds = 300, hold_seconds = 60;
  std::string opens_in;
  bool smooth = false;
};

json::array every_category_of(const json::object& plan) {
  json::array out;
  const auto* categories = plan.if_contains("categories");
  if (!categories || !categories->is_array()) return out;
  for (const auto& category : categories->as_array()) {
    if (category.is_object()) out.push_back(json::object{{"name", text_of(category.as_object(), "name")}, {"price", rehearsed_price}});
  }
  return out;
}

json::array rows_of(std::size_t seats) {
  json::array rows;
  for (std::size_t left = seats; left > 0;) {
    const auto row = std::min(left, seats_a_row);
    rows.push_back(json::object{{"name", std::to_string(rows.size() + 1)}, {"seats", row}, {"tier", "Seat"}});
    left -= row;
  }
  return rows;
}

result<std::string> rehearsed_show(const rehearse_flags& flags) {
  const auto now = std::chrono::floor<std::chrono::seconds>(system_wall_clock{}.now());
  json::object queue{{"admitPerWindow", flags.per_window}, {"windowSeconds", flags.window_seconds}, {"admissionSeconds", flags.admission_seconds},
                     {"graceSeconds", flags.grace_seconds}};
  if (flags.max_active > 0) queue["maxActive"] = flags.max_active;
  if (flags.smooth) queue["mode"] = "smooth";
  json::object body{{"title", "Rehearsal"}, {"startsAt", to_rfc3339(now + default_notice)}, {"currency", "EUR"},
                    {"holdSeconds", flags.hold_seconds}, {"queue", std::move(queue)}};
  if (!flags.opens_in.empty()) {
    const auto wait = duration_in(flags.opens_in);
    if (!wait) return failure{errc::invalid_argument, "--opens-in: as in 30s or 2m"};
    body["saleOpensAt"] = to_rfc3339(now + *wait);
  }
  if (flags.hall.empty()) {
    const auto seats = flags.seats > 0 ? flags.seats : std::max<std::size_t>(flags.options.buyers / buyers_a_seat, 1);
    body["tiers"] = json::array{json::object{{"name", "Seat"}, {"price", rehearsed_price}}};
    body["sections"] = json::array{json::object{{"name", "Hall"}, {"kind", "seated"}, {"rows", rows_of(seats)}}};
    return json::serialize(body);
  }
  auto plan = plan_in(flags.hall);
  if (!plan) return plan.error();
  body["tiers"] = every_category_of(plan->as_object());
  body["seatingPlan"] = std::move(*plan);
  return json::serialize(body);
}

std::vector<bench::channel> channels_of(const std::vector<std::string>& names) {
  std::vector<bench::channel> out;
  for (const auto& name : names) {
    out.push_back(name == "websocket" ? bench::channel::websocket : name == "sse" ? bench::channel::events
                  : name == "longpoll" ? bench::channel::long_poll : bench::channel::poll);
  }
  return out;
}

int rehearse(rehearse_flags flags) {
  auto& options = flags.options;
  const auto arrive_over = duration_in(flags.arrive_over), at_most = duration_in(flags.at_most), think = duration_in(flags.think);
  if (!arrive_over) return complain({errc::invalid_argument, "--arrive-over: as in 90s, 15m or 1h"});
  if (!at_most) return complain({errc::invalid_argument, "--at-most: as in 90s, 15m or 1h"});
  if (!think) return complain({errc::invalid_argument, "--think: as in 5s or 1m"});
  auto to = server_of(flags.node);
  if (!to) return complain(to.error());
  if (options.show.empty()) {
    auto show = rehearsed_show(flags);
    if (!show) return complain(show.error());
    options.new_show = std::move(*show);
  }
  options.host = to->at.host;
  options.port = to->at.port;
  options.operator_token = to->token;
  options.arrive_over = *arrive_over;
  options.at_most = *at_most;
  options.think = *think;
  if (!flags.channels.empty()) options.channels = channels_of(flags.channels);
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
  auto* verb = app.add_subcommand("rehearse", "Play an opening night with invented buyers against a running node, and check its books and its waiting room");
  auto* show = verb->add_option("--show", o.show, "With numbered seats; nobody else may buy from it meanwhile. Default: a new show with a waiting room");
  verb->add_option("--buyers", o.buyers)->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--abandon", o.abandon, "Share of the buyers who go away: while they wait, once inside, or while they hold seats; 0 to 1")
      ->capture_default_str()->check(CLI::Range(0.0, 1.0));
  verb->add_option("--connections", o.connections, "HTTP requests in flight at most")->capture_default_str()->check(CLI::PositiveNumber);
  verb->add_option("--waiting-connections", o.waiting_connections, "Of people who wait, at most; the node's own limit is `connections_max`. Who finds none left asks every few seconds")
      ->capture_default_str()->check(at_least(0));
  verb->add_option("--channels", flags->channels, "How people wait, in turns: websocket, sse, longpoll, poll. Default: the first three")
      ->delimiter(',')->check(CLI::IsMember({"websocket", "sse", "longpoll", "poll"}));
  verb->add_option("--think", flags->think, "What a buyer needs inside on average, as in 5s")->capture_default_str();
  verb->add_option("--arrive-over", flags->arrive_over, "Arrivals are spread evenly over this long: 90s, 15m, 1h")->capture_default_str();
  verb->add_option("--at-most", flags->at_most, "Whoever is still on the way then gives up")->capture_default_str();
  verb->add_option("--seed", o.seed, "Of the buyers' choices")->capture_default_str()->check(at_least(0));
  const auto of_the_new_show = [&](CLI::Option* option) { option->group("The new show")->excludes(show); };
  auto* hall = verb->add_option("--hall", flags->hall, "A seating plan of pretix's format")->check(CLI::ExistingFile);
  of_the_new_show(hall);
  auto* seats = verb->add_option("--seats", flags->seats, "In rows of 50, in place of a hall. Default: half as many as buyers")->check(CLI::Range(1, 200'000))->excludes(hall);
  of_the_new_show(seats);
  of_the_new_show(verb->add_option("--per-window", flags->per_window, "People admitted per window")->capture_default_str()->check(CLI::PositiveNumber));
  of_the_new_show(verb->add_option("--window-seconds", flags->window_seconds)->capture_default_str()->check(CLI::PositiveNumber));
  of_the_new_show(verb->add_flag("--smooth", flags->smooth, "Spread each window's admissions evenly over it"));
  of_the_new_show(verb->add_option("--max-active", flags->max_active, "People inside at a time; 0: no cap")->capture_default_str());
  of_the_new_show(verb->add_option("--admission-seconds", flags->admission_seconds, "How long an admitted person may reserve")->capture_default_str()->check(CLI::PositiveNumber));
  of_the_new_show(verb->add_option("--grace-seconds", flags->grace_seconds, "How long a place is kept for somebody who isn't heard of")->capture_default_str()->check(CLI::PositiveNumber));
  of_the_new_show(verb->add_option("--hold-seconds", flags->hold_seconds, "How long a reservation waits for its payment")->capture_default_str()->check(CLI::PositiveNumber));
  of_the_new_show(verb->add_option("--opens-in", flags->opens_in, "The sale opens so long from now, with a draw among those who came before: 30s, 2m"));
  add_server_flags(*verb, flags->node);
  verb->add_flag("--json", o.json, "Report as JSON");
  verb->footer("Exit code 0 only if every check holds. The new show stays, with what was bought.\n\n"
               "Examples:\n  usher rehearse --buyers 2000 --arrive-over 30s --data data\n  usher rehearse --buyers 20000 --abandon 0.4 --max-active 600 --opens-in 30s");
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
