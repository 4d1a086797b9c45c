#include "cli_backup.hpp"

#include <boost/json.hpp>

#include <filesystem>
#include <iostream>
#include <memory>

#include "cli_offline.hpp"
#include "cli_operation.hpp"
#include "cli_progress.hpp"
#include "events/json.hpp"
#include "node.hpp"
#include "store/backup.hpp"

namespace usher::cli {
namespace {

namespace json = boost::json;

struct backup_flags {
  server_flags node;
  std::string name;
  std::string to;
  bool list = false;
  bool json = false;

  [[nodiscard]] bool live() const { return !node.server.empty() || find_running(node.data); }
  [[nodiscard]] std::string directory() const { return to.empty() ? (std::filesystem::path{node.data} / "backups").string() : to; }
};

json::object object_of(const store::backup_summary& backup) {
  std::string text;
  store::write_json(text, backup);
  return object_in(text);
}

std::string line_of(const json::object& backup) {
  return text_of(backup, "at") + "  " + text_of(backup, "name") + "  " + std::to_string(number_of(backup, "records")) + " records, " +
         std::to_string(number_of(backup, "files")) + " files, " + std::to_string(number_of(backup, "bytes")) + " bytes";
}

int print_made(const json::object& made, bool as_json) {
  if (as_json) std::cout << made << '\n';
  else std::cout << text_of(made, "directory") << ": " << number_of(made, "records") << " records in " << number_of(made, "files") << " files, "
                 << number_of(made, "bytes") << " bytes; read back, opened, and the chain of every partition checked\n";
  return succeeded;
}

int print_list(const json::array& all, bool as_json) {
  if (as_json) std::cout << json::object{{"items", all}} << '\n';
  else if (all.empty()) std::cout << "no backups\n";
  else for (const auto& one : all) std::cout << line_of(one.as_object()) << '\n';
  return succeeded;
}

int list_live(const server& on, bool as_json) {
  bench::http_request request;
  request.target = "/admin/backups";
  const auto reply = exchange(on, std::move(request));
  if (reply.status != 200) return complain_about(reply);
  const auto body = object_in(reply.body);
  const auto* items = body.if_contains("items");
  return print_list(items && items->is_array() ? items->as_array() : json::array{}, as_json);
}

/// Where the log was lost, its backups are listed all the same.
int list_offline(const backup_flags& flags) {
  std::error_code unreadable;
  if (!std::filesystem::exists(flags.directory(), unreadable)) {
    if (!flags.to.empty()) return complain({errc::invalid_argument, flags.to + ": there is no such directory"});
    if (!has_log(flags.node.data)) return complain(no_log(flags.node.data));
  }
  json::array all;
  for (const auto& one : store::backups_in(flags.directory())) all.push_back(object_of(one));
  return print_list(all, flags.json);
}

int make_live(const server& on, const backup_flags& flags) {
  const auto done = run_operation(on, "/admin/backup", json::serialize(json::object{{"name", flags.name}}));
  if (!done) return complain(done.error());
  if (text_of(*done, "state") != "SUCCEEDED") return complain({errc::io_failure, text_of(*done, "error")});
  return print_made(done->at("result").as_object(), flags.json);
}

store::backup_progress behind(progress& bar) {
  return [&bar](std::uint64_t done, std::uint64_t total) {
    bar.show(done, total);
    return true;
  };
}

/// Who was erased is in no file of the backup. The next node looks again, also for copies that this one doesn't know.
result<void> purge(store::database& db) {
  const auto users = db.users_to_purge();
  if (!users) return users.error();
  if (users->empty()) return {};
  const auto gone = db.purge(*users);
  if (!gone) return gone.error();
  if (!*gone) return failure{errc::io_failure, "files that hold the keys of erased persons are still in use"};
  return {};
}

/// Opened for writing, so that no node starts on it meanwhile.
int make_offline(const backup_flags& flags) {
  if (!has_log(flags.node.data)) return complain(no_log(flags.node.data));
  const auto db = store::database::open(log_directory(flags.node.data));
  if (!db) return complain(db.error());
  store::remove_drafts(flags.node.data, flags.directory());
  if (const auto purged = purge(**db); !purged) return complain(purged.error());
  const auto now = system_wall_clock{}.now();
  const auto name = flags.name.empty() ? store::backup_name_of(now) : flags.name;
  progress bar{1, "bytes"};
  const auto made = store::make_backup(**db, flags.node.data, flags.directory(), name, now, behind(bar));
  if (!made) return complain(made.error());
  auto object = object_of(*made);
  object["directory"] = (std::filesystem::path{flags.directory()} / name).string();
  return print_made(object, flags.json);
}

int back_up(const backup_flags& flags) {
  if (!flags.live() || (flags.list && !flags.to.empty())) return flags.list ? list_offline(flags) : make_offline(flags);
  if (!flags.to.empty()) return complain({errc::invalid_argument, "--to is for a node that is stopped; a running one has a setting, backup_directory"});
  const auto on = server_of(flags.node);
  if (!on) return complain(on.error());
  return flags.list ? list_live(*on, flags.json) : make_live(*on, flags);
}

struct restore_flags {
  std::string backup;
  std::string data;
  bool json = false;
};

int restore(const restore_flags& flags) {
  progress bar{1, "bytes"};
  const auto restored = store::restore_backup(flags.backup, flags.data, behind(bar));
  if (!restored) return complain(restored.error());
  if (flags.json) std::cout << object_of(*restored) << '\n';
  else std::cout << flags.data << ": " << restored->records << " records of the backup " << restored->name << " of "
                 << to_rfc3339(from_ms(restored->at_ms)) << "; every file compared, and the chain of every partition checked\n";
  return succeeded;
}

}  // namespace

void add_backup(CLI::App& app, int& code) {
  auto flags = std::make_shared<backup_flags>();
  auto* verb = app.add_subcommand("backup", "Make a backup, of a node that runs or of one that is stopped, or list those there are");
  add_server_flags(*verb, flags->node);
  verb->add_option("--name", flags->name, "Of the backup; default: the time")->check(not_empty());
  verb->add_option("--to", flags->to, "Directory for the backups of a stopped node; default: `backups` in --data")->check(not_empty());
  verb->add_flag("--list", flags->list, "Only list the backups that there are, the newest first");
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer("A backup holds everything of the node as of one moment, its secrets and the keys of personal data too: keep it like these.\n"
               "On the same disk it shares its files with the log, so copy it to another one. Whoever is erased later is still in it.\n"
               "Exit code 0: made and checked; 1: refused or failed, and nothing is left; 2: misused.\n"
               "Examples:\n  usher backup --data data --name before-the-sale\n  usher backup --data data --to /mnt/backups\n  usher backup --data data --list");
  verb->callback([flags, &code] { code = back_up(*flags); });
}

void add_restore(CLI::App& app, int& code) {
  auto flags = std::make_shared<restore_flags>();
  auto* verb = app.add_subcommand("restore", "Make a data directory of a backup, after every byte of it was compared");
  verb->add_option("backup", flags->backup, "The backup's directory")->required()->check(CLI::ExistingDirectory);
  verb->add_option("--data", flags->data, "The data directory, which may not have a log yet")->required();
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer("Whoever was erased after the backup is there again, and has to be erased again.\n"
               "Exit code 0: restored; 1: the backup is damaged, and there is no log; 2: misused, as where there is a log already.\n"
               "Example:\n  usher restore data/backups/before-the-sale --data data2");
  verb->callback([flags, &code] { code = restore(*flags); });
}

}  // namespace usher::cli
