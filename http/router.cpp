// The route table as a tree of segments, and the taking apart of a request's target.

#include "http/router.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace usher::http {

namespace {

constexpr std::size_t method_count = 6;
constexpr std::chrono::seconds wait_max{30};

[[noreturn]] void bug(std::string_view what, std::string_view which) {
  std::fprintf(stderr, "bug: %.*s: %.*s\n", int(what.size()), what.data(), int(which.size()), which.data());
  std::abort();
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// Takes the first segment off `rest`, which loses its slash too.
std::string_view take_segment(std::string_view& rest) {
  const auto slash = rest.find('/');
  const auto segment = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  return segment;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool alike(std::string_view a, std::string_view b) {
  return a == b || std::ranges::equal(a, b, {}, lower, lower);  // hardly anybody writes a name in another way
}

std::string_view word_of(method m) {
  constexpr std::array<std::string_view, method_count> words{"GET", "POST", "PUT", "PATCH", "DELETE", "other"};
  return words[static_cast<std::size_t>(m)];
}

std::string_view response::text() const {
  if (const auto* own = std::get_if<std::string>(&body)) return *own;
  const auto& shared = std::get<std::shared_ptr<const std::string>>(body);
  return shared ? std::string_view{*shared} : std::string_view{};
}

response json_response(unsigned status, std::string body) {
  response out;
  out.status = status;
  out.body = std::move(body);
  return out;
}

response no_content() {
  response out;
  out.status = 204;
  out.content_type = {};
  return out;
}

std::string_view request_context::path_param(std::string_view name) const {
  for (const auto& [key, value] : path_params) {
    if (key == name) return value;
  }
  bug("no such parameter in the route's pattern", name);
}

std::optional<std::string_view> request_context::query_param(std::string_view name) const {
  for (const auto& [key, value] : query_params) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> request_context::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key.size() == name.size() && alike(key, name)) return value;
  }
  return std::nullopt;
}

std::optional<std::chrono::seconds> request_context::prefer_wait() const {
  auto rest = header("Prefer").value_or("");
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const auto preference = trimmed(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    constexpr std::string_view wanted = "wait=";
    if (preference.size() <= wanted.size() || !alike(preference.substr(0, wanted.size()), wanted)) continue;
    unsigned seconds = 0;
    const auto* end = preference.data() + preference.size();
    const auto [stopped, error] = std::from_chars(preference.data() + wanted.size(), end, seconds);
    if (error == std::errc::result_out_of_range) return wait_max;
    if (error != std::errc{} || stopped != end) return std::nullopt;
    return std::min(std::chrono::seconds{seconds}, wait_max);
  }
  return std::nullopt;
}

namespace {

/// Well-formed UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  for (std::size_t i = 0; i < text.size();) {
    const auto first = byte(i);
    const std::size_t more = first < 0x80 ? 0 : first >= 0xC2 && first < 0xE0 ? 1 : first >= 0xE0 && first < 0xF0 ? 2 : first >= 0xF0 && first < 0xF5 ? 3 : 4;
    if (more == 4) return false;
    for (std::size_t k = 1; k <= more; ++k)
      if ((byte(i + k) & 0xC0U) != 0x80U) return false;
    const auto second = byte(i + 1);
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0) || (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90)) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace

std::optional<std::string_view> request_context::decoded(std::string_view text, bool plus_is_space) {
  if (text.find('%') == std::string_view::npos && (!plus_is_space || text.find('+') == std::string_view::npos))
    return is_utf8(text) ? std::optional{text} : std::nullopt;
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  if (!is_utf8(out)) return std::nullopt;
  return decoded_.emplace_back(std::move(out));
}

bool request_context::parse_target(std::string_view whole) {
  target = whole;
  if (whole.empty() || whole.front() != '/') return false;
  const auto mark = whole.find('?');
  path = whole.substr(0, mark);
  query = mark == std::string_view::npos ? std::string_view{} : whole.substr(mark + 1);
  if (path.starts_with("/v1/")) path.remove_prefix(3);
  for (auto rest = query; !rest.empty();) {
    const auto ampersand = rest.find('&');
    const auto pair = rest.substr(0, ampersand);
    rest = ampersand == std::string_view::npos ? std::string_view{} : rest.substr(ampersand + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    const auto key = decoded(pair.substr(0, equals), true);
    const auto value = equals == std::string_view::npos ? std::optional{std::string_view{}} : decoded(pair.substr(equals + 1), true);
    if (!key || !value) return false;
    query_params.emplace_back(*key, *value);
  }
  return true;
}

void request_context::clear() {
  method = http::method::other;
  head = false;
  target = path = query = {};
  body.clear();
  caller.reset();
  request_id.clear();
  headers.clear();
  path_params.clear();
  query_params.clear();
  decoded_.clear();
}

/// One segment's place in the tree. A node has rows where a pattern ends there.
struct router::node {
  std::vector<std::pair<std::string, std::unique_ptr<node>>> words;  // in order, for a binary search
  std::unique_ptr<node> parameter;
  std::array<int, method_count> rows{-1, -1, -1, -1, -1, -1};
  std::array<int, method_count> rows_of_rest{-1, -1, -1, -1, -1, -1};

  node& child(std::string_view word) {
    const auto at = std::ranges::lower_bound(words, word, {}, [](const auto& w) { return std::string_view{w.first}; });
    if (at != words.end() && at->first == word) return *at->second;
    return *words.emplace(at, std::string{word}, std::make_unique<node>())->second;
  }

  const node* find_word(std::string_view word) const {
    const auto at = std::ranges::lower_bound(words, word, {}, [](const auto& w) { return std::string_view{w.first}; });
    return at != words.end() && at->first == word ? at->second.get() : nullptr;
  }

  node& child_parameter() {
    if (!parameter) parameter = std::make_unique<node>();
    return *parameter;
  }

  static bool any(const std::array<int, method_count>& rows) {
    return std::ranges::any_of(rows, [](int row) { return row >= 0; });
  }

  /// The rows for a path, words before parameters; steps back where a word leads nowhere.
  const std::array<int, method_count>* find(std::string_view rest, bool at_end) const {
    if (at_end) return any(rows) ? &rows : nullptr;
    auto below = rest;
    const bool last = rest.find('/') == std::string_view::npos;
    const auto segment = take_segment(below);
    if (const auto* word = find_word(segment)) {
      if (const auto* found = word->find(below, last)) return found;
    }
    if (parameter && !segment.empty()) {
      if (const auto* found = parameter->find(below, last)) return found;
    }
    return any(rows_of_rest) && !rest.empty() ? &rows_of_rest : nullptr;
  }
};

router::router(std::vector<route> routes) : routes_{std::move(routes)}, root_{std::make_unique<node>()} {
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    const auto& row = routes_[i];
    std::string_view rest = row.pattern;
    if (!rest.starts_with('/') || row.method == method::other || std::visit([](const auto& h) { return !h; }, row.handler)) bug("not a route", row.pattern);
    rest.remove_prefix(1);
    node* at = root_.get();
    bool takes_rest = false;
    while (!rest.empty()) {
      if (takes_rest) bug("nothing may follow the rest of a path", row.pattern);
      const auto segment = take_segment(rest);
      if (segment.empty()) bug("empty segment", row.pattern);
      takes_rest = segment.starts_with('{') && segment.ends_with("...}");
      if (!takes_rest) at = segment.starts_with('{') ? &at->child_parameter() : &at->child(segment);
    }
    auto& place = (takes_rest ? at->rows_of_rest : at->rows)[static_cast<std::size_t>(row.method)];
    if (place >= 0) bug("two routes alike", row.pattern);
    place = static_cast<int>(i);
  }
}

router::~router() = default;
router::router(router&&) noexcept = default;
router& router::operator=(router&&) noexcept = default;

namespace {

/// Names the parts of a path that its pattern leaves open. @return false for a bad %-escape
bool read_path_params(std::string_view pattern, request_context& context) {
  auto path = context.path.substr(1);
  pattern.remove_prefix(1);
  while (!pattern.empty()) {
    auto open = take_segment(pattern);
    const bool takes_rest = open.ends_with("...}");
    const auto given = takes_rest ? path : take_segment(path);
    if (!open.starts_with('{')) continue;
    const auto value = context.decoded(given, false);
    if (!value) return false;
    open.remove_prefix(1);
    open.remove_suffix(takes_rest ? 4 : 1);
    context.path_params.emplace_back(open, *value);
  }
  return true;
}

}  // namespace

router::match router::find(request_context& context) const {
  match out;
  if (!context.path.starts_with('/')) return out;
  const auto rest = context.path.substr(1);
  const auto* rows = root_->find(rest, rest.empty());
  if (rows == nullptr) return out;
  const int row = (*rows)[static_cast<std::size_t>(context.method)];
  if (row < 0) {
    for (std::size_t m = 0; m < method_count; ++m) {
      if ((*rows)[m] < 0) continue;
      if (!out.allow.empty()) out.allow += ", ";
      out.allow += word_of(static_cast<method>(m));
      if (static_cast<method>(m) == method::get) out.allow += ", HEAD";
    }
    return out;
  }
  const auto& found = routes_[static_cast<std::size_t>(row)];
  if (!read_path_params(found.pattern, context)) return out;
  out.found = &found;
  out.index = static_cast<std::size_t>(row);
  return out;
}

}  // namespace usher::http
