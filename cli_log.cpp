#include "cli_log.hpp"

#include <google/protobuf/message.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>

#include "events/json.hpp"
#include "node.hpp"
#include "projections/auditor.hpp"
#include "store/audit.hpp"
#include "store/database.hpp"

namespace usher::cli {
namespace {

namespace pb = google::protobuf;

/// A bar on standard error, for a person who waits: not before a second has passed, and not into a file.
class progress {
 public:
  explicit progress(std::uint64_t total) : total_{std::max<std::uint64_t>(total, 1)}, tty_{::isatty(STDERR_FILENO) == 1} {}
  ~progress() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
  }
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  void advance(std::uint64_t by) {
    done_ += by;
    // Reading the clock for each record would cost more than many of them.
    if (!tty_ || (since_look_ += by) < look_every) return;
    since_look_ = 0;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::milliseconds{100};
    draw();
  }

 private:
  static constexpr std::uint64_t look_every = 256;
  static constexpr std::size_t width = 40;

  void draw() {
    const auto share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    std::string bar(static_cast<std::size_t>(share * width), '#');
    bar.resize(width, '.');
    std::fprintf(stderr, "\r[%s] %3.0f %%  %llu of %llu records", bar.c_str(), share * 100, static_cast<unsigned long long>(done_),
                 static_cast<unsigned long long>(total_));
    std::fflush(stderr);
    drawn_ = true;
  }

  std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::uint64_t since_look_ = 0;
  bool tty_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + std::chrono::seconds{1};
};

result<std::unique_ptr<store::database>> open_stopped(const std::string& data) {
  const auto directory = log_directory(data);
  // Opening would make one where there is none.
  if (!std::filesystem::exists(std::filesystem::path{directory} / "CURRENT")) return failure{errc::io_failure, data + " holds no log"};
  if (const auto running = find_running(data)) {
    return failure{errc::io_failure, "a node runs on " + data + " (process " + std::to_string(running->pid) +
                                         "): stop it first"};
  }
  auto opened = store::database::open(directory);
  if (!opened && opened.error().detail.find("/LOCK") != std::string::npos) {
    return failure{errc::io_failure, "another process has " + data + " open: stop it first (" + opened.error().detail + ")"};
  }
  return opened;
}

/// The name of what a oneof holds, and the message in it.
std::pair<std::string, const pb::Message*> chosen_in(const pb::Message& message, const char* oneof) {
  const auto* choice = message.GetDescriptor()->FindOneofByName(oneof);
  if (!choice) return {};
  const auto* field = message.GetReflection()->GetOneofFieldDescriptor(message, choice);
  if (!field || field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) return {};
  return {std::string{field->name()}, &message.GetReflection()->GetMessage(message, field)};
}

/// `reservation.placed`: the kind of entity and what it is about.
std::string type_of(const pb::Message& message, const char* oneof) {
  auto [name, inner] = chosen_in(message, oneof);
  if (!inner) return "unknown";
  const auto what = chosen_in(*inner, "kind").first;
  return what.empty() ? name : name + "." + what;
}

std::uint64_t records_in(const store::database& db) {
  std::uint64_t sum = 0;
  for (std::uint32_t p = 0; p != partition_count; ++p) sum += db.durable_end(p);
  return sum;
}

// --- log ----------------------------------------------------------------------------------------------------------

struct log_flags {
  std::string data = "data";
  std::optional<std::uint32_t> partition;
  std::uint64_t from = 1;
  std::uint64_t limit = 50;
  bool json = false;
  bool verify = false;

  [[nodiscard]] std::uint32_t first() const { return partition.value_or(0); }
  [[nodiscard]] std::uint32_t end() const { return partition ? *partition + 1 : partition_count; }
};

/// What is printed is copied and sent around. A hash can be attacked at leisure, and whoever knows the secret of a draw
/// before it is held knows its order. Afterwards it stands in the event that tells everybody.
v1::Record without_secrets(const v1::Record& record) {
  auto out = record;
  if (out.command().show().has_open()) out.mutable_command()->mutable_show()->mutable_open()->clear_draw_secret();
  if (out.command().user().has_sign_up()) out.mutable_command()->mutable_user()->mutable_sign_up()->clear_password_hash();
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

/// store::verify_all partition by partition, for the bar.
result<std::uint64_t> verify(const store::database& db, const log_flags& flags) {
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

std::string place_of(log_position at) { return std::to_string(at.partition) + "/" + std::to_string(at.index); }

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
int print_verdict(const store::database& db, const log_flags& flags) {
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

int read_log(const log_flags& flags) {
  const auto db = open_stopped(flags.data);
  if (!db) return complain(db.error());
  return flags.verify ? print_verdict(**db, flags) : print_log(**db, flags);
}

// --- stats --------------------------------------------------------------------------------------------------------

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
  const auto db = open_stopped(flags.data);
  if (!db) return complain(db.error());
  const auto all = count_all(**db);
  if (!all) return complain(all.error());
  flags.json ? print_json(*all) : print_table(*all);
  return succeeded;
}

}  // namespace

void add_log(CLI::App& app, int& code) {
  auto flags = std::make_shared<log_flags>();
  auto* verb = app.add_subcommand("log", "Print or verify the log of a node that is stopped");
  verb->add_option("--data", flags->data, "The node's data directory")->capture_default_str();
  auto* partition = verb->add_option("--partition", flags->partition, "Only this one; default: all, one after another")
                        ->check(CLI::Range(std::uint32_t{0}, partition_count - 1));
  auto* from = verb->add_option("--from", flags->from, "Index of the first record, within --partition")->capture_default_str()->needs(partition);
  auto* limit = verb->add_option("--limit", flags->limit, "Records at most; 0: all")->capture_default_str();
  verb->add_flag("--json", flags->json, "One JSON object a line, without password hashes and the secrets of draws");
  verb->add_flag("--verify", flags->verify, "Check that the log is whole, in order and chained, and that nothing in it contradicts anything else; exit code 1 otherwise")->excludes(from)->excludes(limit);
  verb->footer("Examples:\n  usher log --data data --partition 17 --from 100 --limit 20 --json\n  usher log --data data --verify");
  verb->callback([flags, &code] { code = read_log(*flags); });
}

void add_stats(CLI::App& app, int& code) {
  auto flags = std::make_shared<stats_flags>();
  auto* verb = app.add_subcommand("stats", "Count what the log of a stopped node holds: records, events by type, partitions in use");
  verb->add_option("--data", flags->data, "The node's data directory")->capture_default_str();
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer("Example:\n  usher stats --data data");
  verb->callback([flags, &code] { code = print_stats(*flags); });
}

}  // namespace usher::cli
