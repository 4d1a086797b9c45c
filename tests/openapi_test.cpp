// The description of the interface and the interface itself name the same paths and methods.

#include <catch2/catch.hpp>

#include <cctype>
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

TEST_CASE("every endpoint is described, and every one that is described is there") {
  usher::tests::route_table table;
  std::set<endpoint> served;
  for (const auto& row : table.rows()) served.emplace(row.pattern, http::word_of(row.method));
  const auto told = described(usher::embedded::openapi());
  CHECK(served.size() > 30);
  CHECK(listed(without(served, told)) == "");
  CHECK(listed(without(told, served)) == "");
}
