// The architecture as a test: which folder may include which, and where the heavy libraries may be seen.

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

/// What each folder may include besides itself; the root may include everything but tests.
const std::map<std::string, std::set<std::string>> allowed{
    {"events", {}},
    {"store", {"events"}},
    {"actors", {"events", "store"}},
    {"projections", {"events", "store"}},
    {"cluster", {"events", "store", "actors", "projections"}},
    {"http", {"events", "store", "actors", "projections", "cluster"}},
    {"bench", {"events"}},
};

/// Where a library may be included: path prefixes.
struct confined {
  std::string header_prefix;
  std::vector<std::string> places;
};
const std::vector<confined> libraries{
    {"caf/",
     {"store/journal_actor.", "actors/shell.", "actors/registry.", "cluster/", "node.", "node_", "tests/"}},
    {"boost/beast", {"http/", "bench/", "tests/"}},
    {"rocksdb/", {"store/", "tests/"}},
    {"prometheus/", {"http/metrics", "node.", "tests/"}},
    {"catch2/", {"tests/"}},
};

struct include {
  std::string file;    ///< from the root, as in store/journal.cpp
  int line = 0;
  std::string header;  ///< as it is written
  bool quoted = false;
};

std::vector<include> includes_of(const std::string& file, std::istream& in) {
  static const std::regex directive{R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re"};
  std::vector<include> out;
  std::string text;
  for (int line = 1; std::getline(in, text); ++line) {
    std::smatch match;
    if (std::regex_search(text, match, directive)) out.push_back({file, line, match[2], match[1] == "\""});
  }
  return out;
}

std::string folder_of(std::string_view path) {
  const auto slash = path.find('/');
  return std::string{slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash)};
}

/// What is wrong with an include, or nothing.
std::string complaint(const include& i) {
  const auto from = folder_of(i.file);
  const auto where = i.file + ":" + std::to_string(i.line) + " includes " + i.header;
  if (i.quoted && from != "tests") {
    const auto to = folder_of(i.header);
    if (to == "tests") return where + ", and nothing but a test may";
    if (!from.empty() && to != from && (to.empty() || !allowed.at(from).contains(to))) return where + ", which is not below " + from;
  }
  for (const auto& library : libraries) {
    const auto inside = [&](const std::string& place) { return i.file.starts_with(place); };
    if (i.header.starts_with(library.header_prefix) && std::ranges::none_of(library.places, inside)) {
      return where + ", which is confined to other files";
    }
  }
  return {};
}

std::vector<std::string> source_files() {
  const fs::path root{USHER_SOURCE_DIR};
  std::vector<std::string> out;
  const auto take = [&](const fs::path& file) {
    const auto ending = file.extension();
    if (ending == ".cpp" || ending == ".hpp") out.push_back(fs::relative(file, root).generic_string());
  };
  for (const auto& entry : fs::directory_iterator{root}) {
    if (entry.is_regular_file()) take(entry.path());
  }
  auto folders = allowed;
  folders["tests"];
  for (const auto& [folder, below] : folders) {
    for (const auto& entry : fs::recursive_directory_iterator{root / folder}) {
      if (entry.is_regular_file()) take(entry.path());
    }
  }
  std::ranges::sort(out);
  return out;
}

std::vector<include> includes_of(const std::string& file) {
  std::ifstream in{fs::path{USHER_SOURCE_DIR} / file};
  return includes_of(file, in);
}

/// The way from `file` to a header of that library through headers of ours, as in "a.cpp b.hpp caf/all.hpp"; empty: there is none.
/// @param seen  headers that are known to lead nowhere
std::string way_to(const std::string& library, const std::string& file, std::set<std::string>& seen) {
  for (const auto& i : includes_of(file)) {
    if (i.header.starts_with(library)) return file + ' ' + i.header;
    if (!i.quoted || !seen.insert(i.header).second) continue;
    if (const auto way = way_to(library, i.header, seen); !way.empty()) return file + ' ' + way;
  }
  return {};
}

std::string complaint_about(const std::string& file, const std::string& text) {
  std::istringstream in{text};
  const auto found = includes_of(file, in);
  return found.size() == 1 ? complaint(found.front()) : "not one include";
}

}  // namespace

TEST_CASE("every include points downwards, and heavy libraries stay where they belong") {
  const auto files = source_files();
  REQUIRE(files.size() > 20);
  for (const auto& file : files) {
    std::ifstream in{fs::path{USHER_SOURCE_DIR} / file};
    REQUIRE(in);
    for (const auto& i : includes_of(file, in)) {
      if (const auto wrong = complaint(i); !wrong.empty()) FAIL_CHECK(wrong);
    }
  }
}

TEST_CASE("who serves HTTP, folds read models or measures sees nothing of the actors' library, not even through headers of ours") {
  std::size_t looked_at = 0;
  for (const auto& file : source_files()) {
    if (!file.starts_with("http/") && !file.starts_with("projections/") && !file.starts_with("bench/")) continue;
    std::set<std::string> seen;
    if (const auto way = way_to("caf/", file, seen); !way.empty()) FAIL_CHECK(way);
    ++looked_at;
  }
  CHECK(looked_at > 20);
  std::set<std::string> seen;
  CHECK(way_to("caf/", "cluster/router.cpp", seen) == "cluster/router.cpp actors/registry.hpp caf/actor.hpp");
}

TEST_CASE("the check sees an upward include") {
  CHECK(complaint_about("events/a.cpp", "#include \"store/journal.hpp\"") == "events/a.cpp:1 includes store/journal.hpp, which is not below events");
  CHECK(complaint_about("actors/a.hpp", "  #  include \"projections/shows.hpp\"") != "");
  CHECK(complaint_about("projections/a.hpp", "#include \"actors/seat.hpp\"") != "");
  CHECK(complaint_about("http/a.cpp", "#include \"node.hpp\"") != "");
  CHECK(complaint_about("bench/a.cpp", "#include \"http/server.hpp\"") != "");
  CHECK(complaint_about("store/a.cpp", "#include \"tests/support.hpp\"") != "");
  CHECK(complaint_about("http/a.cpp", "#include \"cluster/router.hpp\"") == "");
  CHECK(complaint_about("node.cpp", "#include \"http/server.hpp\"") == "");
  CHECK(complaint_about("tests/a_test.cpp", "#include \"http/server.hpp\"") == "");
}

TEST_CASE("the check sees a library outside its place") {
  CHECK(complaint_about("actors/seat.cpp", "#include <caf/all.hpp>") != "");
  CHECK(complaint_about("actors/shell.hpp", "#include <caf/all.hpp>") == "");
  CHECK(complaint_about("cluster/router.cpp", "#include <boost/beast/http.hpp>") != "");
  CHECK(complaint_about("main.cpp", "#include <catch2/catch.hpp>") != "");
}
