#include "cli_log.hpp"

#include <iostream>
#include <memory>

#include "cli_past.hpp"
#include "events/json.hpp"
#include "events/words.hpp"

namespace usher::cli {
namespace {

struct log_flags : server_flags {
  std::optional<std::uint32_t> partition;
  std::uint64_t from = 1;
  std::optional<std::uint64_t> limit;
  std::string stream, type, user, since, until;
  bool follow = false;
  bool json = false;
};

constexpr std::uint64_t limit_unless_said = 50;

std::string text_of_record(const v1::Record& record) {
  auto out = place_of({record.partition(), record.index()}) + "  " + to_rfc3339(from_ms(record.at_ms())) + "  " + name_of(record.target()) + "  " +
             type_of(record.command(), "kind");
  if (!record.user_id().empty()) out += "  by " + record.user_id();
  for (const auto& event : record.events())
    out += "\n    " + name_of(event.stream()) + " v" + std::to_string(event.version()) + "  " + type_of(event, "payload");
  return out + '\n';
}

/// @return nullopt where the text is empty  @error invalid_argument
result<std::optional<std::int64_t>> time_in(const std::string& flag, const std::string& text) {
  if (text.empty()) return std::optional<std::int64_t>{};
  const auto time = from_rfc3339(text);
  if (!time) return failure{errc::invalid_argument, flag + ": a time like 2026-05-31T10:00:03.250Z"};
  return std::optional{to_ms(*time)};
}

result<actors::log_filter> filter_of(const log_flags& flags) {
  actors::log_filter out;
  out.partition = flags.partition;
  out.from = flags.from;
  out.type = flags.type;
  if (!out.type.empty() && !actors::is_type(out.type))
    return failure{errc::invalid_argument, "--type: no command or event is called " + out.type + "; as in reservation.place, seat.held"};
  out.user = user_named(flags.user);
  if (!out.user.empty() && !is_user_id(out.user)) return failure{errc::invalid_argument, "--user: an id, as in usr_7q2m4x9c1v5k3tza, or an e-mail address"};
  if (!flags.stream.empty()) {
    out.stream = entity_named(flags.stream);
    if (!out.stream) return failure{errc::invalid_argument, "--stream: a kind and a name, as in seat/shw_7q2m4x9c1v5k3tza/A-12"};
  }
  const auto since = time_in("--since", flags.since);
  if (!since) return since.error();
  const auto until = time_in("--until", flags.until);
  if (!until) return until.error();
  out.since_ms = *since;
  out.until_ms = *until;
  return out;
}

void print(const log_flags& flags, const v1::Record& record) { std::cout << (flags.json ? actors::line_of(record) : text_of_record(record)); }

int print_what_there_is(const log_flags& flags, const actors::log_filter& filter, const past& from) {
  const auto limit = flags.limit.value_or(limit_unless_said);
  std::uint64_t printed = 0;
  bool more = false;
  const auto read = from.log(filter, false, limit == 0 ? 0 : limit + 1, [&](const v1::Record& record) {
    more = limit != 0 && printed == limit;
    if (more) return false;
    ++printed;
    print(flags, record);
    return true;
  });
  if (!read) return complain(read.error());
  if (more) std::cerr << "there is more: --limit 0 for everything\n";
  if (printed == 0) std::cerr << "nothing in the log matches\n";
  return succeeded;
}

int follow_log(const log_flags& flags, const actors::log_filter& filter, const past& from) {
  const auto limit = flags.limit.value_or(0);
  std::uint64_t printed = 0;
  const auto enough = [&] { return limit != 0 && printed == limit; };
  const auto read = from.log(filter, true, limit, [&](const v1::Record& record) {
    ++printed;
    print(flags, record);
    std::cout.flush();
    return !enough();
  });
  if (!read) return complain(read.error());
  if (!enough()) std::cerr << "the node stopped: there is nothing more to follow\n";
  return succeeded;
}

int print_log(const log_flags& flags) {
  const auto filter = filter_of(flags);
  if (!filter) return complain(filter.error());
  const auto from = past::open(flags);
  if (!from) return complain(from.error());
  if (flags.follow && !from->is_live()) return complain({errc::invalid_argument, "--follow: no node runs on " + flags.data});
  return flags.follow ? follow_log(flags, *filter, *from) : print_what_there_is(flags, *filter, *from);
}

void add_filters(CLI::App& verb, log_flags& flags) {
  auto* partition = verb.add_option("--partition", flags.partition, "Only this one; default: all, one after another")
                        ->check(CLI::Range(std::uint32_t{0}, partition_count - 1));
  verb.add_option("--from", flags.from, "Index of the first record, within --partition")->capture_default_str()->needs(partition)->check(at_least(1));
  verb.add_option("--stream", flags.stream, "Only what touched this entity: KIND/NAME, as in seat/shw_7q2m4x9c1v5k3tza/A-12 or wallet/ann@example.org");
  verb.add_option("--type", flags.type, "Only commands or events of this type: reservation.place, seat.held");
  verb.add_option("--user", flags.user, "Only what this user (an id or an e-mail address) sent, or what touched their wallet, account or allowance");
  verb.add_option("--since", flags.since, "From this time on (RFC 3339)");
  verb.add_option("--until", flags.until, "Up to this time (RFC 3339)");
  for (const char* name : {"--stream", "--type", "--user", "--since", "--until"}) verb.get_option(name)->check(not_empty());
}

}  // namespace

void add_log(CLI::App& app, int& code) {
  auto flags = std::make_shared<log_flags>();
  auto* verb = app.add_subcommand("log", "Print the records of the log, of a running node or of one that is stopped");
  add_server_flags(*verb, *flags);
  add_filters(*verb, *flags);
  verb->add_option("--limit", flags->limit, "Records at most; 0: all. Default: " + std::to_string(limit_unless_said) + ", with --follow all")
      ->check(at_least(0));
  verb->add_flag("--follow", flags->follow, "Wait for new records of a running node, and print each as it comes, until interrupted, or --limit is reached, or the node stops")
      ->excludes(verb->get_option("--until"));
  verb->add_flag("--json", flags->json, "One JSON object a line, without personal data and the secrets of draws");
  verb->footer("Examples:\n  usher log --data data --partition 17 --from 100 --limit 20 --json\n"
               "  usher log --user ann@example.org --since 2026-05-31T10:00:00Z\n"
               "  usher log --follow --type reservation.confirmed");
  verb->callback([flags, &code] { code = print_log(*flags); });
}

}  // namespace usher::cli
