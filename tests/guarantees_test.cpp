// docs/guarantees.md says which tests would fail. They have to be there.

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Adjacent string literals from `at` on, as one.
std::string literals_at(const std::string& source, std::size_t at) {
  std::string out;
  for (at = source.find_first_not_of(" \t\n", at); at != std::string::npos && source[at] == '"'; at = source.find_first_not_of(" \t\n", at)) {
    for (++at; at < source.size() && source[at] != '"'; ++at) {
      if (source[at] == '\\') ++at;
      out += source[at];
    }
    ++at;
  }
  return out;
}

/// What a test file has: the names of its cases and sections, and its tags.
struct test_file {
  std::vector<std::string> names;
  std::string source;

  bool has(const std::string& words) const {
    return std::ranges::any_of(names, [&](const auto& name) { return name.find(words) != std::string::npos; });
  }
  bool has_defect(const std::string& number) const { return source.find("[defect-" + number + "]") != std::string::npos; }
};

test_file look_at(std::string source) {
  static const std::regex beginning{R"(\b(TEST_CASE|SECTION)\()"};
  test_file out;
  for (std::sregex_iterator it{source.begin(), source.end(), beginning}, end; it != end; ++it)
    out.names.push_back(literals_at(source, static_cast<std::size_t>(it->position() + it->length())));
  out.source = std::move(source);
  return out;
}

using test_files = std::map<std::string, test_file>;

test_files all_tests() {
  test_files out;
  for (const auto& entry : fs::directory_iterator{fs::path{USHER_SOURCE_DIR} / "tests"}) {
    const auto name = entry.path().filename().string();
    if (const auto end = name.rfind("_test.cpp"); end != std::string::npos) out[name.substr(0, end)] = look_at(text_of(entry.path()));
  }
  return out;
}

/// The last cells of the rows of all tables; without their headings.
std::vector<std::string> last_cells(const std::string& page) {
  std::vector<std::string> out;
  std::istringstream lines{page};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| ") || line.starts_with("| promise")) continue;
    const auto end = line.find_last_of('|');
    const auto begin = line.find_last_of('|', end - 1);
    out.push_back(line.substr(begin + 1, end - begin - 1));
  }
  return out;
}

struct findings {
  std::size_t named = 0;
  std::vector<std::string> missing;
};

/// `name` is a test; "words" stand in a case of one that the cell names, where an ellipsis may begin them; a number behind
/// `defects` is a tag.
findings compare(const std::vector<std::string>& cells, const test_files& tests) {
  static const std::regex word{R"(`([a-z_]+)`|"(?:… )?([^"]*)\"|(\d+))"};
  findings out;
  for (const auto& cell : cells) {
    std::vector<const test_file*> of_cell;
    std::string last;
    const auto any = [&](const auto& fits) { return std::ranges::any_of(of_cell, [&](const auto* t) { return fits(*t); }); };
    for (std::sregex_iterator it{cell.begin(), cell.end(), word}, end; it != end; ++it, ++out.named) {
      const auto name = (*it)[1].str(), words = (*it)[2].str(), number = (*it)[3].str();
      if (!name.empty()) last = name;
      if (const auto found = tests.find(name); found != tests.end()) of_cell.push_back(&found->second);
      else if (!name.empty()) out.missing.push_back(name);
      if (!words.empty() && !any([&](const test_file& t) { return t.has(words); })) out.missing.push_back(words);
      if (!number.empty() && last == "defects" && !any([&](const test_file& t) { return t.has_defect(number); })) out.missing.push_back("defect " + number);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("every test that a guarantee names is there") {
  const auto found = compare(last_cells(text_of(fs::path{USHER_SOURCE_DIR} / "docs" / "guarantees.md")), all_tests());
  CHECK(found.named > 100);
  CHECK(found.missing == std::vector<std::string>{});
}

TEST_CASE("a guarantee without its test is seen") {
  const test_files tests{{"defects", look_at("TEST_CASE(\"a seat has \"\n          \"one holder\", \"[defect-1]\") {\n  SECTION(\"at once\") {}\n}")}};
  const auto missing = [&](const std::string& cell) { return compare(last_cells("| promise | how |\n|---|---|\n| one | " + cell + " |\n"), tests).missing; };
  CHECK(missing("`defects` \"has one holder\", \"… at once\", 1").empty());
  CHECK(missing("`stool`") == std::vector<std::string>{"stool"});
  CHECK(missing("`defects` \"two holders\"") == std::vector<std::string>{"two holders"});
  CHECK(missing("`defects` 2") == std::vector<std::string>{"defect 2"});
}
