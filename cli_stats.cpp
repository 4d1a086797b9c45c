#include "cli_stats.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <iostream>
#include <memory>

#include "cli_report.hpp"

namespace usher::cli {
namespace {

namespace json = boost::json;

struct stats_flags {
  server_flags node;
  bool as_json = false;
};

void print_types(const json::object& types) {
  std::size_t widest = 0;
  for (const auto& type : types) widest = std::max(widest, type.key().size());
  for (const auto& type : types)
    std::cout << "  " << type.key() << std::string(widest - type.key().size() + 2, ' ') << number_of(types, type.key()) << '\n';
}

void print_counts(const json::object& all) {
  std::cout << "records     " << number_of(all, "records") << " (" << number_of(all, "bytes") << " bytes before compression)\n";
  if (const auto first = text_of(all, "firstAt"); !first.empty()) std::cout << "from        " << first << " to " << text_of(all, "lastAt") << '\n';
  std::cout << "events      " << number_of(all, "events") << '\n'
            << "partitions  " << number_of(all, "partitionsInUse") << " of " << number_of(all, "partitions") << " in use\n";
  if (const auto* types = all.if_contains("eventsByType"); types && types->is_object()) print_types(types->as_object());
  std::cout << "largest partitions\n";
  for (const auto& item : list_of(all, "largestPartitions")) {
    const auto& p = item.as_object();
    std::cout << "  " << number_of(p, "partition") << ": " << number_of(p, "records") << " records, " << number_of(p, "bytes") << " bytes\n";
  }
  std::cout << "largest streams\n";
  for (const auto& item : list_of(all, "largestStreams"))
    std::cout << "  " << text_of(item.as_object(), "stream") << ": " << number_of(item.as_object(), "events") << " events\n";
}

int print_stats(const stats_flags& flags) {
  const auto all = report(flags.node, "/admin/stats", "{}", http::stats_report);
  if (!all) return complain(all.error());
  if (flags.as_json) std::cout << json::serialize(*all) << '\n';
  else print_counts(*all);
  return succeeded;
}

}  // namespace

void add_stats(CLI::App& app, int& code) {
  auto flags = std::make_shared<stats_flags>();
  auto* verb = app.add_subcommand("stats", "Count what the log holds: records, events by type, the largest partitions and streams");
  add_server_flags(*verb, flags->node);
  verb->add_flag("--json", flags->as_json, "As a JSON object");
  verb->footer(
      "Where a node runs on --data it counts; else the log is read as it is. The bytes are those of the records, before compression.\n"
      "Example:\n  usher stats --data data");
  verb->callback([flags, &code] { code = print_stats(*flags); });
}

}  // namespace usher::cli
