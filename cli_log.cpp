#include "cli_log.hpp"

#include <iostream>
#include <memory>

#include "cli_offline.hpp"
#include "events/json.hpp"

namespace usher::cli {
namespace {

struct log_flags {
  std::string data = "data";
  std::optional<std::uint32_t> partition;
  std::uint64_t from = 1;
  std::uint64_t limit = 50;
  bool json = false;

  [[nodiscard]] std::uint32_t first() const { return partition.value_or(0); }
  [[nodiscard]] std::uint32_t end() const { return partition ? *partition + 1 : partition_count; }
};

/// What is printed is copied and sent around. A hash can be attacked at leisure, and whoever knows the secret of a draw
/// before it is held knows its order. Afterwards it stands in the event that tells everybody.
v1::Record without_secrets(const v1::Record& record) {
  auto out = record;
  if (out.command().show().has_open()) out.mutable_command()->mutable_show()->mutable_open()->clear_draw_secret();
  if (out.command().user().has_sign_up()) out.mutable_command()->mutable_user()->mutable_sign_up()->clear_sealed();
  for (auto& event : *out.mutable_events()) {
    if (event.user().has_signed_up()) event.mutable_user()->mutable_signed_up()->clear_password_hash();
    if (event.queue().has_opened()) event.mutable_queue()->mutable_opened()->clear_draw_secret();
  }
  return out;
}

std::string line_of(const v1::Record& record) {
  auto out = std::to_string(record.partition()) + "/" + std::to_string(record.index()) + "  " + to_rfc3339(from_ms(record.at_ms())) + "  " +
             key_of(record.target()) + "  " + type_of(record.command(), "kind");
  if (!record.user_id().empty()) out += "  by " + record.user_id();
  for (const auto& event : record.events()) {
    out += "\n    " + key_of(event.stream()) + " v" + std::to_string(event.version()) + "  " + type_of(event, "payload");
  }
  return out;
}

void print_record(const v1::Record& record, bool json) {
  if (!json) {
    std::cout << line_of(record) << '\n';
    return;
  }
  std::string text;
  to_json(without_secrets(record), text);
  std::cout << text << '\n';
}

int print_log(const store::database& db, const log_flags& flags) {
  std::uint64_t left = flags.limit;
  bool more = false;
  for (auto p = flags.first(); p != flags.end() && !more; ++p) {
    const auto scanned = db.scan(p, flags.from, [&](const store::record_ptr& record, std::string_view) {
      if (flags.limit != 0 && left == 0) {
        more = true;
        return false;
      }
      if (flags.limit != 0) --left;
      print_record(*record, flags.json);
      return true;
    });
    if (!scanned) return complain(scanned.error());
  }
  if (more) std::cerr << "there is more: --limit 0 for everything\n";
  return succeeded;
}

int read_log(const log_flags& flags) {
  const auto db = open_offline(flags.data);
  if (!db) return complain(db.error());
  return print_log(**db, flags);
}

}  // namespace

void add_log(CLI::App& app, int& code) {
  auto flags = std::make_shared<log_flags>();
  auto* verb = app.add_subcommand("log", "Print the log of a node that is stopped");
  verb->add_option("--data", flags->data, "The node's data directory")->capture_default_str();
  auto* partition = verb->add_option("--partition", flags->partition, "Only this one; default: all, one after another")
                        ->check(CLI::Range(std::uint32_t{0}, partition_count - 1));
  verb->add_option("--from", flags->from, "Index of the first record, within --partition")->capture_default_str()->needs(partition);
  verb->add_option("--limit", flags->limit, "Records at most; 0: all")->capture_default_str();
  verb->add_flag("--json", flags->json, "One JSON object a line, without password hashes and the secrets of draws");
  verb->footer("Examples:\n  usher log --data data --partition 17 --from 100 --limit 20 --json");
  verb->callback([flags, &code] { code = read_log(*flags); });
}

}  // namespace usher::cli
