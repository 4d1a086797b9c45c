#include "cli_history.hpp"

#include <boost/json.hpp>

#include <iostream>
#include <memory>

#include "cli_past.hpp"
#include "cli_words.hpp"

namespace usher::cli {
namespace {

namespace json = boost::json;

struct past_flags : server_flags {
  std::string entity;
  std::string as_of;
  std::string from;
  std::string to;
  std::uint64_t limit = 200;
  bool json = false;
};

constexpr std::string_view entity_help =
    "KIND/NAME: show/shw_…, seat/shw_…/A-12, stock/shw_…/SECTION, reservation/rsv_…, wallet/usr_…, user/usr_…, allowance/shw_…/usr_…, queue/shw_…; "
    "in place of a user's id an e-mail address";

result<v1::EntityRef> entity_of(const past_flags& flags) {
  if (auto ref = entity_named(flags.entity)) return std::move(*ref);
  return failure{errc::invalid_argument, flags.entity + ": no entity is called so; " + std::string{entity_help}};
}

// --- a timeline ---------------------------------------------------------------------------------------------------

std::string object_text(const json::object& of, std::string_view member, std::string_view within) {
  const auto* inner = of.if_contains(member);
  return inner && inner->is_object() ? text_of(inner->as_object(), within) : std::string{};
}

std::string who(const json::object& item) {
  const auto role = object_text(item, "by", "role");
  const auto user = object_text(item, "by", "userId");
  if (role == "system") return text_of(item, "causation") == "deadline" ? "the clock" : "Usher";
  if (role == "user" || role.empty()) return user;  // none: who signs up is nobody yet
  return role + (user.empty() ? "" : " " + user);
}

/// Who wanted what, why, and where that can be looked up.
std::string origin_of(const json::object& item) {
  auto out = "by " + who(item) + " with " + text_of(item, "command");
  if (const auto target = text_of(item, "target"); !target.empty()) out += " of " + target;
  if (const auto reason = text_of(item, "reason"); !reason.empty()) out += ", because: " + reason;
  if (const auto request = text_of(item, "correlation"); !request.empty()) out += "; request " + request;
  return out + "; record " + text_of(item, "position");
}

/// Prints events one below the other, and each day once.
class timeline {
 public:
  void print(const json::object& item) {
    const auto at = text_of(item, "at");
    if (const auto day = at.substr(0, at.find('T')); day != day_) std::cout << (day_ = day) << " (UTC)\n";
    const auto* data = item.if_contains("data");
    const auto type = text_of(item, "type");
    const auto words = words_for(type, data && data->is_object() ? data->as_object() : json::object{});
    std::cout << "  " << clock_of(at) << "  " << words.value_or("something that this version of Usher has no words for: " + type) << '\n'
              << "                " << origin_of(item) << '\n';
  }

 private:
  /// Always with milliseconds, so that the lines stand below each other.
  static std::string clock_of(const std::string& at) {
    auto clock = at.substr(at.find('T') + 1);
    if (clock.ends_with('Z')) clock.pop_back();
    return clock.find('.') == std::string::npos ? clock + ".000" : clock;
  }
  std::string day_;
};

/// @return whether there is more
result<bool> print_events(const past& from, const v1::EntityRef& ref, const past_flags& flags) {
  timeline lines;
  std::string cursor;
  for (auto left = flags.limit;;) {
    const auto page = from.events(ref, flags.as_of, cursor, flags.limit == 0 ? 200 : std::min<std::uint64_t>(left, 200));
    if (!page) return page.error();
    const auto answer = object_in(*page);
    const auto& items = answer.at("items").as_array();
    if (answer.at("version") == 0) std::cerr << "nothing happened to it yet\n";
    for (const auto& item : items) {
      if (flags.json) std::cout << item << '\n';
      else lines.print(item.as_object());
    }
    cursor = text_of(answer, "nextCursor");
    left -= items.size();
    if (cursor.empty()) return false;
    if (flags.limit != 0 && left == 0) return true;
  }
}

int print_history(const past_flags& flags) {
  const auto ref = entity_of(flags);
  if (!ref) return complain(ref.error());
  const auto from = past::open(flags);
  if (!from) return complain(from.error());
  const auto more = print_events(*from, *ref, flags);
  if (!more) return complain(more.error());
  if (*more) std::cerr << "there is more: --limit 0 for everything\n";
  return succeeded;
}

// --- a state, and what changed ------------------------------------------------------------------------------------

/// Each leaf with its path, one a line. What is empty says nothing.
void print_leaves(const std::string& path, const json::value& value) {
  if (value.is_object()) {
    for (const auto& member : value.as_object()) print_leaves(path.empty() ? std::string{member.key()} : path + '.' + std::string{member.key()}, member.value());
  } else if (value.is_array()) {
    for (std::size_t i = 0; i != value.as_array().size(); ++i) print_leaves(path + '[' + std::to_string(i) + ']', value.as_array()[i]);
  } else if (!value.is_null() && !(value.is_string() && value.as_string().empty())) {
    std::cout << "  " << path << "  " << (value.is_string() ? std::string{value.as_string()} : json::serialize(value)) << '\n';
  }
}

int print_state(const past_flags& flags) {
  const auto ref = entity_of(flags);
  if (!ref) return complain(ref.error());
  const auto from = past::open(flags);
  if (!from) return complain(from.error());
  const auto told = from->state(*ref, flags.as_of);
  if (!told) return complain(told.error());
  if (flags.json) {
    std::cout << *told << '\n';
    return succeeded;
  }
  const auto answer = object_in(*told);
  std::cout << text_of(answer, "stream") << " at version " << answer.at("version") << (answer.at("version") == 0 ? ", to which nothing had happened yet" : "") << ", since " << text_of(answer, "at") << " (record "
            << text_of(answer, "position") << ")\n";
  print_leaves("", answer.at("state"));
  return succeeded;
}

int print_difference(const past_flags& flags) {
  const auto ref = entity_of(flags);
  if (!ref) return complain(ref.error());
  const auto from = past::open(flags);
  if (!from) return complain(from.error());
  const auto told = from->difference(*ref, flags.from, flags.to);
  if (!told) return complain(told.error());
  if (flags.json) {
    std::cout << *told << '\n';
    return succeeded;
  }
  const auto answer = object_in(*told);
  const auto& changes = answer.at("changes").as_array();
  std::cout << text_of(answer, "stream") << " from " << text_of(answer, "from") << " to " << text_of(answer, "to") << (changes.empty() ? ": nothing changed\n" : "\n");
  for (const auto& change : changes)
    std::cout << "  " << text_of(change.as_object(), "path") << "  " << change.at("before") << " -> " << change.at("after") << '\n';
  if (answer.if_contains("moreChanges")) std::cout << "  and more\n";
  timeline lines;
  for (const auto& event : answer.at("events").as_array()) lines.print(event.as_object());
  if (answer.if_contains("moreEvents")) std::cerr << "there are more events: usher history shows all\n";
  return succeeded;
}

std::shared_ptr<past_flags> add_entity(CLI::App& verb) {
  auto flags = std::make_shared<past_flags>();
  verb.add_option("entity", flags->entity, std::string{entity_help})->required();
  add_server_flags(verb, *flags);
  return flags;
}

constexpr const char* moment_help = "A time (RFC 3339), or a position in the log: 17/4711 or a Log-Position";

}  // namespace

void add_history(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand("history", "Tell what happened to an entity: when, who, what, why and on which request. Amounts are in minor units");
  auto flags = add_entity(*verb);
  verb->add_option("--as-of", flags->as_of, std::string{"Only up to then. "} + moment_help)->check(not_empty());
  verb->add_option("--limit", flags->limit, "Events at most, the oldest first; 0: all")->capture_default_str()->check(at_least(0));
  verb->add_flag("--json", flags->json, "One JSON object a line, with the hash of each record");
  verb->footer("Examples:\n  usher history seat/shw_7q2m4x9c1v5k3tza/A-12\n  usher history wallet/ann@example.org --as-of 2026-05-31T10:00:03.250Z");
  verb->callback([flags, &code] { code = print_history(*flags); });
}

void add_state(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand("state", "Show an entity as it is, or was");
  auto flags = add_entity(*verb);
  verb->add_option("--as-of", flags->as_of, std::string{"As it was then. "} + moment_help)->check(not_empty());
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer("Example:\n  usher state reservation/rsv_7q2m4x9c1v5k3tza_5x2m4x9c1v5k3tzb --as-of 2026-05-31T10:00:03.250Z");
  verb->callback([flags, &code] { code = print_state(*flags); });
}

void add_diff(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand("diff", "Show what changed in an entity between two moments, and the events that did it");
  auto flags = add_entity(*verb);
  verb->add_option("--from", flags->from, moment_help)->required()->check(not_empty());
  verb->add_option("--to", flags->to, "The same; default: now")->check(not_empty());
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer("Example:\n  usher diff wallet/ann@example.org --from 2026-05-31T00:00:00Z --to 2026-06-01T00:00:00Z");
  verb->callback([flags, &code] { code = print_difference(*flags); });
}

}  // namespace usher::cli
