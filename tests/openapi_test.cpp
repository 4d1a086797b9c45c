// The description of the interface and the interface itself name the same paths and methods.

#include <catch2/catch.hpp>

#include <cctype>
#include <map>
#include <set>
#include <sstream>

#include "http/openapi.hpp"
#include "tests/route_table.hpp"

namespace {

namespace http = usher::http;

using endpoint = std::pair<std::string, std::string>;  // the path, then the method in upper case

std::string upper(std::string text) {
  for (auto& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

/// The words that stand with this indentation and end in a colon, one by one, below `paths:`.
std::set<endpoint> described(std::string_view yaml) {
  static const std::set<std::string> methods{"get", "put", "post", "delete", "patch"};
  std::set<endpoint> out;
  std::istringstream lines{std::string{yaml}};
  std::string path;
  bool in_paths = false;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line[0] != ' ' && line[0] != '#') in_paths = line == "paths:";
    if (!in_paths || !line.ends_with(':')) continue;
    const auto indentation = line.find_first_not_of(' ');
    const auto word = line.substr(indentation, line.size() - indentation - 1);
    if (indentation == 2) path = word;
    if (indentation == 4 && methods.contains(word)) out.emplace(path, upper(word));
  }
  return out;
}


/// The key that begins a line's mapping; empty where it begins none.
std::string key_in(const std::string& text) {
  const bool is_quoted = text[0] == '"';
  const auto colon = text.find(':', is_quoted ? text.find('"', 1) : 0);
  if (colon == std::string::npos || (colon + 1 != text.size() && text[colon + 1] != ' ') || text[0] == '{' || text[0] == '[') return {};
  return text.substr(0, colon);
}

bool begins_text(const std::string& line) {
  const auto last = line.substr(line.find_last_of(' ') + 1);
  return last == ">-" || last == ">" || last == "|" || last == "|-";
}

/// What is said twice: a key of one mapping, or an item of one list of words. By their line, which counts from 1.
std::vector<std::string> said_twice(std::string_view yaml) {
  std::vector<std::string> out;
  std::map<std::size_t, std::set<std::string>> said;  // by indentation, of the mappings and lists that are open
  std::istringstream lines{std::string{yaml}};
  auto text_of = std::string::npos;  // indentation of the key that a text belongs to
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    auto at = line.find_first_not_of(' ');
    if (at == std::string::npos || line[at] == '#' || at > text_of) continue;
    text_of = std::string::npos;
    said.erase(said.upper_bound(at), said.end());
    auto rest = line.substr(at);
    const bool is_item = rest.starts_with("- ");
    auto word = key_in(is_item ? rest.substr(2) : rest);
    if (is_item && word.empty()) word = rest;
    else if (is_item) at += 2;
    if (word.empty()) continue;
    if (!said[at].insert(word).second) out.push_back(std::to_string(number) + ": " + word);
    if (begins_text(line)) text_of = at;
  }
  return out;
}

std::string listed(const std::set<endpoint>& endpoints) {
  std::string out;
  for (const auto& [path, method] : endpoints) out += method + ' ' + path + '\n';
  return out;
}

std::set<endpoint> without(std::set<endpoint> all, const std::set<endpoint>& taken) {
  for (const auto& e : taken) all.erase(e);
  return all;
}

}  // namespace

TEST_CASE("the description of the interface is read") {
  const auto found = described("info:\n  get:\npaths:\n  /a/{id}:\n    get:\n      x:\n    parameters:\n    patch:\n  /b:\n    post:\ncomponents:\n  /c:\n    get:\n");
  CHECK(listed(found) == "GET /a/{id}\nPATCH /a/{id}\nPOST /b\n");
}

TEST_CASE("nothing in the description of the interface is said twice") {
  using strings = std::vector<std::string>;
  CHECK(said_twice("a:\n  b: 1\n  c: >-\n    b: 1\n    b: 1\nd:\n  b:\n    - x: 1\n      y: 2\n    - x: 1\n") == strings{});
  CHECK(said_twice("a:\n  b: 1\n  c: 2\n  b: 3\na: 4\n") == strings{"4: b", "5: a"});
  CHECK(said_twice("a:\n  - x\n  - y\n  - x\n  - z: 1\n    z: 2\n") == strings{"4: - x", "6: z"});
  CHECK(said_twice("\"200\":\n  \"a: b\": 1\n\"200\": 2\n") == strings{"3: \"200\""});
  CHECK(said_twice(usher::embedded::openapi()) == strings{});
}

TEST_CASE("every endpoint is described, and every one that is described is there") {
  usher::tests::route_table table;
  std::set<endpoint> served;
  for (const auto& row : table.rows()) served.emplace(row.pattern, http::word_of(row.method));
  const auto told = described(usher::embedded::openapi());
  CHECK(served.size() > 30);
  CHECK(listed(without(served, told)) == "");
  CHECK(listed(without(told, served)) == "");
}
