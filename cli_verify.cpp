#include "cli_verify.hpp"

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>

#include "cli_offline.hpp"
#include "cli_progress.hpp"
#include "events/json.hpp"
#include "projections/auditor.hpp"
#include "store/audit.hpp"

namespace usher::cli {
namespace {

struct verify_flags {
  std::string data = "data";
  std::optional<std::uint32_t> partition;
  bool json = false;

  [[nodiscard]] std::uint32_t first() const { return partition.value_or(0); }
  [[nodiscard]] std::uint32_t end() const { return partition ? *partition + 1 : partition_count; }
};

/// store::verify_all partition by partition, for the bar.
result<std::uint64_t> verify(const store::database& db, const verify_flags& flags) {
  progress bar{flags.partition ? db.durable_end(*flags.partition) : records_in(db)};
  std::uint64_t records = 0;
  for (auto p = flags.first(); p != flags.end(); ++p) {
    const auto one = store::verify_chain(db, p);
    if (!one) return one.error();
    records += one->records;
    bar.advance(one->records);
  }
  return records;
}

/// Judges the whole log as a node does while it runs. What is under way when it ends is no fault.
result<std::vector<projections::fault>> judge(const store::database& db) {
  projections::auditor judge;
  progress bar{records_in(db)};
  v1::Record record;
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    const auto scanned = db.scan_stored(p, 0, [&](std::uint64_t, std::string_view stored) {
      if (!record.ParseFromArray(stored.data(), static_cast<int>(stored.size()))) return false;  // the chain was checked before
      judge.take(record);
      bar.advance(1);
      return true;
    });
    if (!scanned) return scanned.error();
  }
  judge.finish();
  auto faults = judge.take_faults();
  for (auto& f : faults) {
    if (!f.entity.empty()) continue;
    const auto shown = db.read(f.at);
    if (shown && *shown) f.entity = projections::entity_of(**shown);
  }
  return faults;
}

void print_json(const result<std::uint64_t>& records, const std::vector<projections::fault>& faults) {
  std::string out;
  json_writer json{out};
  json.begin_object().member("intact", records.has_value());
  if (records) json.member("records", *records);
  else json.member("damage", records.error().detail);
  json.key("faults").begin_array();
  for (const auto& f : faults)
    json.begin_object().member("kind", word_of(f.kind)).member("position", place_of(f.at)).member("entity", f.entity)
        .member("detail", f.detail).end_object();
  json.end_array().end_object();
  std::cout << out << '\n';
}

/// What a partition by itself says of money can't be judged, so only the whole log is.
int print_verdict(const store::database& db, const verify_flags& flags) {
  const auto records = verify(db, flags);
  std::vector<projections::fault> faults;
  const bool whole = records && !flags.partition;
  if (whole) {
    auto judged = judge(db);
    if (!judged) return complain(judged.error());
    faults = std::move(*judged);
  }
  if (flags.json)
    print_json(records, faults);
  else if (records)
    std::cout << *records << " records checked: whole, in order and chained"
              << (whole && faults.empty() ? "; nothing in them contradicts anything else\n" : "\n");
  if (!records) std::cerr << "usher: the log is damaged or unreadable: " << records.error().detail << '\n';
  for (const auto& f : faults) std::cerr << "usher: " << word_of(f.kind) << " at " << place_of(f.at) << ", " << f.entity << ": " << f.detail << '\n';
  return records && faults.empty() ? succeeded : was_refused;
}

int verify(const verify_flags& flags) {
  const auto db = open_offline(flags.data);
  if (!db) return complain(db.error());
  return print_verdict(**db, flags);
}

}  // namespace

void add_verify(CLI::App& app, int& code) {
  auto flags = std::make_shared<verify_flags>();
  auto* verb = app.add_subcommand("verify", "Check that the log is whole, in order and chained, and that nothing in it contradicts anything else");
  verb->add_option("--data", flags->data, "The node's data directory")->capture_default_str();
  verb->add_option("--partition", flags->partition, "Only this one, and only its chain; default: all")
      ->check(CLI::Range(std::uint32_t{0}, partition_count - 1));
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer("Exit code 0: nothing is wrong; 1: something is.\nExample:\n  usher verify --data data");
  verb->callback([flags, &code] { code = verify(*flags); });
}

}  // namespace usher::cli
