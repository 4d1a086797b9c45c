#include "cli_export.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "cli_offline.hpp"
#include "cli_past.hpp"
#include "cli_progress.hpp"
#include "cli_server.hpp"
#include "events/words.hpp"
#include "store/export.hpp"

namespace usher::cli {
namespace {

namespace fs = std::filesystem;

struct export_flags {
  server_flags node;
  store::export_words words;
  std::string out;

  [[nodiscard]] bool live() const { return !node.server.empty() || find_running(node.data); }
};

/// Standard output, or a file that bears its name only once it is whole. Its owner alone can read it.
class sink {
 public:
  explicit sink(std::string path) : path_{std::move(path)} {
    if (path_.empty()) return;
    fd_ = ::open((path_ + ".partial").c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd_ < 0) fail();
  }
  ~sink() {
    if (path_.empty() || fd_ < 0) return;
    ::close(fd_);
    if (!kept_) ::unlink((path_ + ".partial").c_str());
  }
  sink(const sink&) = delete;
  sink& operator=(const sink&) = delete;

  /// @return false where the disk, or the reader, takes no more
  bool write(std::string_view bytes) {
    while (!failed_ && !bytes.empty()) {
      const auto taken = ::write(fd_, bytes.data(), bytes.size());
      if (taken < 0 && errno == EINTR) continue;
      if (taken < 0) fail();
      else bytes.remove_prefix(static_cast<std::size_t>(taken));
    }
    return !failed_;
  }
  void keep() {
    if (failed_ || path_.empty()) return;
    kept_ = ::fsync(fd_) == 0 && ::rename((path_ + ".partial").c_str(), path_.c_str()) == 0;
    if (!kept_) fail();
  }
  [[nodiscard]] const std::optional<failure>& failed() const { return failed_; }

 private:
  void fail() { failed_ = failure{errc::io_failure, (path_.empty() ? "standard output" : path_) + ": " + std::strerror(errno)}; }

  const std::string path_;
  int fd_ = STDOUT_FILENO;
  bool kept_ = false;
  std::optional<failure> failed_;
};

int finish(sink& out) {
  out.keep();
  return out.failed() ? complain(*out.failed()) : succeeded;
}

int export_offline(const export_flags& flags, store::export_request wanted) {
  wanted.past_damage = true;
  const auto db = open_offline(flags.node.data);
  if (!db) return complain(db.error());
  auto lines = store::log_export::begin(**db, wanted, system_wall_clock{}.now());
  if (!lines) return complain(lines.error());
  sink out{flags.out};
  progress bar{lines->records()};
  for (bool more = true; more && !out.failed();) {
    std::string piece;
    const auto next = lines->next(piece);
    if (!next) return complain(next.error());
    more = *next;
    out.write(piece);
    bar.show(lines->records_seen(), lines->records());
  }
  const auto finished = finish(out);
  if (lines->damage().empty()) return finished;
  for (const auto& broken : lines->damage()) complain(broken);
  const auto place = flags.out.empty() ? std::string{} : flags.out + ": ";
  return complain({errc::corrupted, place + "all but the rest of " + std::to_string(lines->damage().size()) +
                                        (lines->damage().size() == 1 ? " partition" : " partitions") + "; it has no line of its end, and can't be imported"});
}

std::string target_of(const store::export_words& words) {
  std::string out = "/admin/export?format=" + (words.format.empty() ? "json" : words.format);
  if (words.events) out += "&events=true";
  for (const auto& [name, text] : {std::pair{"since", words.since}, {"until", words.until}, {"stream", words.stream}, {"type", words.type}})
    if (!text.empty()) out += std::string{"&"} + name + "=" + escaped(text);
  return out;
}

/// How many records the first line says there are; 0 where it says nothing of it.
std::uint64_t records_in_header(std::string_view line) {
  const auto said = object_in(std::string{line});
  const auto* records = said.if_contains("records");
  return records && records->is_int64() ? static_cast<std::uint64_t>(records->as_int64()) : 0;
}

int export_live(const export_flags& flags) {
  if (flags.words.with_keys) return complain({errc::invalid_argument, "--with-keys is for a node that is stopped; a running one gives its keys to backups alone"});
  const auto on = server_of(flags.node);
  if (!on) return complain(on.error());
  sink out{flags.out};
  progress bar{1};
  std::uint64_t lines = 0;
  std::uint64_t total = 0;
  const auto reply = bench::read_lines(on->at, target_of(flags.words), {{"Authorization", "Bearer " + on->token}}, [&](std::string_view line) {
    if (lines == 0) total = records_in_header(line);
    if (total != 0) bar.show(lines, total);
    ++lines;
    return out.write(line) && out.write("\n");
  });
  if (out.failed()) return complain(*out.failed());
  if (reply.status != 200) return complain_about(reply);
  return finish(out);
}

int export_log(export_flags flags) {
  if (const auto ref = entity_named(flags.words.stream)) flags.words.stream = name_of(*ref);
  const auto wanted = store::export_request_from(flags.words);
  if (!wanted) return complain({wanted.error().code, "--" + wanted.error().detail});
  return flags.live() ? export_live(flags) : export_offline(flags, *wanted);
}

struct log_import_flags {
  std::string file;
  std::string data;
  bool json = false;
};

int import_log(const log_import_flags& flags) {
  std::ifstream lines{flags.file, std::ios::binary};
  if (!lines) return complain({errc::invalid_argument, flags.file + " can't be read"});
  std::error_code ignored;
  progress bar{fs::file_size(flags.file, ignored), "bytes"};
  const auto done = store::import_log(lines, flags.data, [&bar](std::uint64_t bytes) { bar.advance(bytes); });
  if (!done) return complain({done.error().code, flags.file + ": " + done.error().detail});
  if (flags.json) std::cout << boost::json::object{{"records", done->records}, {"keys", done->keys}} << '\n';
  else std::cout << flags.data << ": " << done->records << " records and " << done->keys << " keys of personal data; every line and every link of the chain checked\n";
  return succeeded;
}

}  // namespace

void add_export(CLI::App& app, int& code) {
  auto flags = std::make_shared<export_flags>();
  auto* verb = app.add_subcommand("export", "Write the log as text: lines of JSON that can be imported elsewhere, or a table for spreadsheets");
  add_server_flags(*verb, flags->node);
  verb->add_option("--format", flags->words.format, "json: a record a line, lossless; csv: an event a line")->check(CLI::IsMember({"json", "csv"}));
  verb->add_flag("--events", flags->words.events, "With json: an event a line, without the bytes as stored");
  verb->add_option("--since", flags->words.since, "Only from this time on, as in 2030-03-01T19:30:00Z");
  verb->add_option("--until", flags->words.until, "Only before this time");
  verb->add_option("--stream", flags->words.stream, "Only what touched this entity: KIND/NAME, as in seat/shw_7q2m4x9c1v5k3tza/A-12, reservation/rsv_… or wallet/ann@example.org");
  verb->add_option("--type", flags->words.type, "Only events of this type, as in reservation.placed");
  verb->add_flag("--with-keys", flags->words.with_keys, "The keys of personal data as well, so that people can log in where it is imported");
  verb->add_option("--out", flags->out, "A file, which is there once it is whole; default: standard output");
  for (const char* name : {"--since", "--until", "--stream", "--type", "--out"}) verb->get_option(name)->check(not_empty());
  verb->footer("Personal data leaves sealed; with its keys it can be read by whoever has the file. A whole export also holds, in the records as\n"
               "stored, the secrets of draws that were not held yet. Keep it like the data directory.\n"
               "What is filtered says so in its first line, and can't be imported.\n"
               "Of a damaged directory all that can be read is written; each partition that ends early is named, and there is no line of the end.\n"
               "Exit code 0: all of it was written; 1: refused or failed; 2: misused.\n"
               "Examples:\n  usher export --data data --out log.jsonl\n  usher export --data data --format csv --type wallet.charged --since 2030-03-01T00:00:00Z");
  verb->callback([flags, &code] { code = export_log(*flags); });
}

void add_import(CLI::App& app, int& code) {
  auto flags = std::make_shared<log_import_flags>();
  auto* verb = app.add_subcommand("import", "Make a data directory of a whole export, after every line of it was checked");
  verb->add_option("file", flags->file, "What `usher export` wrote")->required()->check(CLI::ExistingFile);
  verb->add_option("--data", flags->data, "The data directory, which may not have a log yet")->required();
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer("Until all of it is there and in order, the directory has no log that a node would start on. What is derived from the log is built\n"
               "when a node starts. Signed checkpoints and the node's secrets are no part of an export: a backup has them.\n"
               "Exit code 0: imported; 1: the file is damaged, with the line that is to blame; 2: misused.\n"
               "Example:\n  usher import log.jsonl --data data2");
  verb->callback([flags, &code] { code = import_log(*flags); });
}

}  // namespace usher::cli
