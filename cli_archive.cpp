#include "cli_archive.hpp"

#include <boost/json.hpp>

#include <filesystem>
#include <iostream>
#include <memory>

#include "cli_offline.hpp"
#include "cli_progress.hpp"
#include "events/json.hpp"
#include "node.hpp"
#include "store/archive.hpp"

namespace usher::cli {
namespace {

struct archive_flags {
  std::string data = "data";
  std::string before;
  std::string to;
  bool json = false;
};

/// A time, or how long ago.
std::optional<time_point> moment_in(const std::string& text) {
  if (const auto at = from_rfc3339(text)) return at;
  if (const auto ago = duration_in(text)) return system_wall_clock{}.now() - *ago;
  return std::nullopt;
}

int archive(const archive_flags& flags) {
  const auto before = moment_in(flags.before);
  if (!before) return complain({errc::invalid_argument, "--before: a time as in 2030-03-01T19:30:00Z, or how long ago, as in 90d"});
  if (!flags.to.empty() && !std::filesystem::path{flags.to}.is_absolute()) return complain({errc::invalid_argument, "--to: an absolute path, for it is written down"});
  if (const auto readable = open_offline(flags.data); !readable) return complain(readable.error());
  const auto db = store::database::open(log_directory(flags.data));
  if (!db) return complain(db.error());
  const auto total = store::archivable(**db, *before);
  if (!total) return complain(total.error());
  progress bar{*total};
  const auto done = store::archive_before(**db, *before, flags.to, [&](std::uint64_t moved) { bar.show(moved, *total); });
  if (!done) return complain(done.error());
  if (flags.json) std::cout << boost::json::object{{"records", done->records}, {"segments", done->segments}, {"bytes", done->bytes}} << '\n';
  else std::cout << done->records << " records moved into " << done->segments << " segments of " << done->bytes << " bytes; "
                 << records_in(**db) << " records can be read as before\n";
  return succeeded;
}

}  // namespace

void add_archive(CLI::App& app, int& code) {
  auto flags = std::make_shared<archive_flags>();
  auto* verb = app.add_subcommand("archive", "Move the oldest records of a stopped node out of its log into files that never change");
  verb->add_option("--data", flags->data, "The node's data directory")->capture_default_str();
  verb->add_option("--before", flags->before, "Records before this time, as in 2030-03-01T19:30:00Z, or older than this, as in 90d")->required();
  verb->add_option("--to", flags->to, "Absolute path of a directory, perhaps on another disk, in which each run makes one of its own for its files; default: beside the log")->check(not_empty());
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer("Everything reads archived records as it reads the others; where their files are missing or damaged it says which.\n"
               "The last record of each partition stays. Interrupted, it can simply be run again.\n"
               "Exit code 0: done; 1: refused or failed; 2: misused.\n"
               "Example:\n  usher archive --data data --before 90d --to /mnt/archive");
  verb->callback([flags, &code] { code = archive(*flags); });
}

}  // namespace usher::cli
