#include "cli_stats.hpp"

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>

#include "cli_offline.hpp"
#include "cli_progress.hpp"
#include "events/json.hpp"

namespace usher::cli {
namespace {

struct stats_flags {
  std::string data = "data";
  bool json = false;
};

struct totals {
  std::uint64_t records = 0;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  std::uint32_t partitions = 0;
  std::map<std::string, std::uint64_t> by_type;
};

result<totals> count_all(const store::database& db) {
  totals out;
  progress bar{records_in(db)};
  v1::Record record;
  std::string damage;
  for (std::uint32_t p = 0; p != partition_count && damage.empty(); ++p) {
    if (db.durable_end(p) != 0) ++out.partitions;
    const auto scanned = db.scan_stored(p, 0, [&](std::uint64_t index, std::string_view stored) {
      if (!record.ParseFromArray(stored.data(), static_cast<int>(stored.size()))) {
        damage = "record " + std::to_string(index) + " of partition " + std::to_string(p) + " can't be decoded";
        return false;
      }
      ++out.records;
      out.bytes += stored.size();
      out.events += static_cast<std::uint64_t>(record.events_size());
      for (const auto& event : record.events()) ++out.by_type[type_of(event, "payload")];
      bar.advance(1);
      return true;
    });
    if (!scanned) return scanned.error();
  }
  if (!damage.empty()) return failure{errc::corrupted, damage};
  return out;
}

void print_json(const totals& all) {
  std::string out;
  json_writer json{out};
  json.begin_object().member("records", all.records).member("events", all.events).member("bytes", all.bytes);
  json.member("partitionsInUse", all.partitions).member("partitions", partition_count).key("eventsByType").begin_object();
  for (const auto& [type, count] : all.by_type) json.member(type, count);
  json.end_object().end_object();
  std::cout << out << '\n';
}

void print_table(const totals& all) {
  std::cout << "records     " << all.records << " (" << all.bytes << " bytes before compression)\n"
            << "events      " << all.events << '\n'
            << "partitions  " << all.partitions << " of " << partition_count << " in use\n";
  std::size_t widest = 0;
  for (const auto& [type, count] : all.by_type) widest = std::max(widest, type.size());
  for (const auto& [type, count] : all.by_type) std::cout << "  " << type << std::string(widest - type.size() + 2, ' ') << count << '\n';
}

int print_stats(const stats_flags& flags) {
  const auto db = open_offline(flags.data);
  if (!db) return complain(db.error());
  const auto all = count_all(**db);
  if (!all) return complain(all.error());
  flags.json ? print_json(*all) : print_table(*all);
  return succeeded;
}

}  // namespace

void add_stats(CLI::App& app, int& code) {
  auto flags = std::make_shared<stats_flags>();
  auto* verb = app.add_subcommand("stats", "Count what the log of a stopped node holds: records, events by type, partitions in use");
  verb->add_option("--data", flags->data, "The node's data directory")->capture_default_str();
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer("Example:\n  usher stats --data data");
  verb->callback([flags, &code] { code = print_stats(*flags); });
}

}  // namespace usher::cli
