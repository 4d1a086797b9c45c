#include "cli_replay.hpp"

#include <boost/json/serialize.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <system_error>

#include "cli_report.hpp"

namespace usher::cli {
namespace {

namespace json = boost::json;

struct replay_flags {
  server_flags node;
  bool decide = false;
  bool as_json = false;
};

bool is_true(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_bool() && value->as_bool();
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string counted(std::uint64_t n, const std::string& noun) { return std::to_string(n) + ' ' + noun + (n == 1 ? "" : "s"); }

void print_entities(const json::object& r) {
  std::cout << counted(number_of(r, "records"), "record") << " with " << counted(number_of(r, "events"), "event") << " folded; positions "
            << text_of(r, "positionsHash") << "\n\n"
            << padded("entities", 14) << padded("count", 12) << "state hash\n";
  for (const auto& item : list_of(r, "kinds")) {
    const auto& kind = item.as_object();
    std::cout << "  " << padded(text_of(kind, "kind"), 12) << padded(std::to_string(number_of(kind, "entities")), 12) << text_of(kind, "stateHash") << '\n';
  }
  std::cout << "  " << padded("all", 12) << padded(std::to_string(number_of(r, "entities")), 12) << text_of(r, "stateHash") << "\n  "
            << counted(number_of(r, "snapshotsCompared"), "stored snapshot") << " compared\n\n";
}

void print_views(const json::object& r) {
  std::cout << padded("views", 16) << padded("rows", 12) << "hash\n";
  for (const auto& item : list_of(r, "views")) {
    const auto& view = item.as_object();
    std::cout << "  " << padded(text_of(view, "name"), 14) << padded(std::to_string(number_of(view, "rows")), 12) << text_of(view, "hash")
              << (is_true(view, "stored") ? "" : "  (nothing is stored)") << '\n';
  }
}

void print_decisions(const json::object& r) {
  const auto* found = r.if_contains("decisions");
  if (!found) return;
  const auto& decisions = found->as_object();
  std::cout << '\n' << padded("decided again", 32) << padded("same", 12) << padded("otherwise", 12) << "impossible\n";
  for (const auto& item : list_of(decisions, "commands")) {
    const auto& c = item.as_object();
    std::cout << "  " << padded(text_of(c, "command"), 30) << padded(std::to_string(number_of(c, "same")), 12)
              << padded(std::to_string(number_of(c, "otherwise")), 12) << number_of(c, "impossible") << '\n';
  }
  for (const auto& item : list_of(decisions, "impossible")) {
    const auto& why = item.as_object();
    std::cout << "  impossible " << number_of(why, "commands") << " times: " << text_of(why, "why") << '\n';
  }
  for (const auto& item : list_of(decisions, "differences")) std::cout << json::serialize(item) << '\n';
}

void print_differences(const json::object& r) {
  for (const auto& item : list_of(r, "differences")) {
    const auto& d = item.as_object();
    const auto at = text_of(d, "position");
    std::cerr << "usher: " << text_of(d, "entity") << " v" << number_of(d, "version") << (at.empty() ? "" : " at " + at) << ": " << text_of(d, "detail") << '\n';
  }
  for (const auto& item : list_of(r, "views")) {
    const auto& view = item.as_object();
    if (const auto why = text_of(view, "error"); !why.empty()) std::cerr << "usher: view " << text_of(view, "name") << " can't be folded: " << why << '\n';
    for (const auto& row : list_of(view, "differences"))
      std::cerr << "usher: view " << text_of(view, "name") << ", row " << text_of(row.as_object(), "key") << ": the stored one is "
                << text_of(row.as_object(), "stored") << '\n';
  }
}

void print_verdict(const json::object& r) {
  std::uint64_t rows = 0;
  for (const auto& view : list_of(r, "views")) rows += number_of(view.as_object(), "rowDifferences");
  const auto* decisions = r.if_contains("decisions");
  std::cout << '\n';
  if (is_true(r, "same")) {
    std::cout << "all is stored as the log says" << (decisions ? ", and this code would decide as it was decided\n" : "\n");
    return;
  }
  std::cout << counted(number_of(r, "entityDifferences"), "difference") << " in entities, " << counted(rows, "row") << " of views differ";
  if (decisions) std::cout << ", " << counted(number_of(decisions->as_object(), "otherwise"), "command") << " would be decided otherwise";
  std::cout << '\n';
}

/// A directory of nobody else's, which goes with all that is in it.
class own_directory {
 public:
  static result<std::unique_ptr<own_directory>> make() {
    auto path = (std::filesystem::temp_directory_path() / "usher-replay-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) return failure{errc::io_failure, path + ": " + std::generic_category().message(errno)};
    return std::unique_ptr<own_directory>{new own_directory{std::move(path)}};
  }
  ~own_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  own_directory(const own_directory&) = delete;
  own_directory& operator=(const own_directory&) = delete;
  [[nodiscard]] std::string within(const std::string& name) const { return path_ + '/' + name; }

 private:
  explicit own_directory(std::string path) : path_{std::move(path)} {}
  const std::string path_;
};

int replay(const replay_flags& flags) {
  const auto directory = own_directory::make();
  if (!directory) return complain(directory.error());
  const auto scratch = (*directory)->within("views");
  const auto made = report(flags.node, "/admin/replay", flags.decide ? R"({"decide":true})" : "{}",
                           [&](const store::database& db, const http::report_progress& shown) {
                             return http::replay_report(db, {flags.decide, scratch}, shown);
                           });
  if (!made) return complain(made.error());
  if (flags.as_json) {
    std::cout << json::serialize(*made) << '\n';
  } else {
    print_entities(*made);
    print_views(*made);
    print_decisions(*made);
    print_verdict(*made);
    print_differences(*made);
  }
  return is_true(*made, "same") ? succeeded : was_refused;
}

}  // namespace

void add_replay(CLI::App& app, int& code) {
  auto flags = std::make_shared<replay_flags>();
  auto* verb = app.add_subcommand("replay", "Fold the whole log again and compare it with what is stored");
  add_server_flags(*verb, flags->node);
  verb->add_flag("--decide", flags->decide, "Decide each recorded command again with the rules of this program, and print what would come out otherwise");
  verb->add_flag("--json", flags->as_json, "As a JSON object");
  verb->footer(
      "Every entity and every view is built from the log with the code at hand, beside what is stored, and nothing is changed.\n"
      "Stored snapshots and the rows of views are compared with it. The hashes are the same wherever the log is the same: on\n"
      "the node, after a restart, in a backup, in an import. A node that runs on --data does it itself, on a copy of its log.\n"
      "Views are built in the temporary directory (TMPDIR), which needs about as much room as they take in the data directory.\n\n"
      "Exit code 0: all is the same; 1: something differs; 2: misused.\n"
      "Examples:\n  usher replay --data data\n  usher replay --data data --decide --json");
  verb->callback([flags, &code] { code = replay(*flags); });
}

}  // namespace usher::cli
