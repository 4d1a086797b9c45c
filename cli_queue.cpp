#include "cli_queue.hpp"

#include <boost/json.hpp>

#include <charconv>
#include <cstdio>
#include <iostream>
#include <memory>

#include "cli_server.hpp"

namespace usher::cli {
namespace {

namespace json = boost::json;

struct queue_flags {
  server_flags node;
  std::string show;
  bool json = false;
  std::string reason, text, user, lane;
  std::optional<std::uint32_t> per_window, window_seconds, max_active, admission_seconds, grace_seconds;
  std::optional<std::string> mode, order;
  std::vector<std::string> lanes;
};

// --- how it stands, as a table ------------------------------------------------------------------------------------

bool is_set(const json::object& o, std::string_view name) {
  const auto* value = o.if_contains(name);
  return value && value->is_bool() && value->as_bool();
}

std::string count_of(const json::object& o, std::string_view name) { return std::to_string(number_of(o, name)); }

std::string state_of(const json::object& room) {
  const auto end = text_of(room, "end");
  std::string out = end == "SOLD_OUT" ? "closed: sold out" : end == "SALE_OVER" ? "closed: the sale is over" : "open";
  if (is_set(room, "draining")) out += ", draining: " + text_of(room, "drainReason");
  if (is_set(room, "paused")) out += ", paused: " + text_of(room, "pauseReason");
  return out;
}

std::string pace_of(const json::object& room) {
  auto out = count_of(room, "admitPerWindow") + " every " + count_of(room, "windowSeconds") + " s";
  out += text_of(room, "mode") == "smooth" ? ", spread over it" : ", all at its start";
  if (const auto cap = number_of(room, "maxActive"); cap != 0) out += ", at most " + std::to_string(cap) + " inside";
  return out + "; " + count_of(room, "admissionSeconds") + " s inside, " + count_of(room, "graceSeconds") + " s of grace";
}

std::string people_of(const json::object& room) {
  return count_of(room, "waiting") + " wait, " + count_of(room, "inside") + " inside; " + count_of(room, "joined") + " joined, " +
         count_of(room, "admitted") + " admitted, " + count_of(room, "left") + " left so far";
}

std::string supply_of(const json::object& room) {
  const auto* supply = room.if_contains("supply");
  if (!supply || !supply->is_object()) return {};
  const auto& of = supply->as_object();
  auto out = count_of(of, "available") + " available, " + count_of(of, "held") + " held";
  const auto* tiers = of.if_contains("soldOutTiers");
  if (!tiers || !tiers->is_array()) return out;
  const char* before = "; sold out: ";
  for (const auto& tier : tiers->as_array()) {
    if (tier.is_string()) out.append(before).append(tier.as_string());
    before = ", ";
  }
  return out;
}

void print_line(const char* name, const std::string& what) {
  if (!what.empty()) std::printf("%-10s%s\n", name, what.c_str());
}

void print_lanes(const json::object& room) {
  const auto* lanes = room.if_contains("lanes");
  if (!lanes || !lanes->is_array() || lanes->as_array().size() < 2) return;
  std::printf("\n%-24s %8s %10s\n", "lane", "weight", "waiting");
  for (const auto& lane : lanes->as_array()) {
    if (!lane.is_object()) continue;
    const auto& of = lane.as_object();
    std::printf("%-24s %8s %10s\n", text_of(of, "name").c_str(), count_of(of, "weight").c_str(), count_of(of, "waiting").c_str());
  }
}

/// As far as the room knows: nobody has been let in.
bool is_before_the_sale(const json::object& room) {
  return !text_of(room, "opensAt").empty() && text_of(room, "windowStartedAt").empty();
}

void print_room(const json::object& room) {
  print_line("show", text_of(room, "showId"));
  print_line("state", state_of(room));
  print_line("notice", text_of(room, "notice"));
  print_line("opens", text_of(room, "opensAt"));
  print_line("closes", text_of(room, "closesAt"));
  print_line("pace", pace_of(room));
  if (is_before_the_sale(room)) print_line("early", text_of(room, "order") == "random" ? "put into a random order at the opening" : "in the order of joining");
  print_line("people", people_of(room));
  print_line("supply", supply_of(room));
  print_lanes(room);
}

// --- what is sent -------------------------------------------------------------------------------------------------

std::string path_of(const queue_flags& flags) { return "/admin/shows/" + flags.show + "/queue"; }

int tell(const queue_flags& flags, const bench::http_reply& reply) {
  if (reply.status != 200) return complain_about(reply);
  if (flags.json) std::cout << reply.body << '\n';
  else print_room(object_in(reply.body));
  return succeeded;
}

/// `members=3`: the last `=` divides, since a name may have one as well.
result<json::array> lanes_of(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts) {
    const auto divide = text.rfind('=');
    std::uint32_t weight = 0;
    if (divide != std::string::npos && divide > 0) {
      const auto* last = text.data() + text.size();
      const auto [end, bad] = std::from_chars(text.data() + divide + 1, last, weight);
      if (bad != std::errc{} || end != last) weight = 0;
    }
    if (weight == 0) return failure{errc::invalid_argument, "--lane " + text + ": NAME=WEIGHT, as in \"members=3\""};
    out.push_back(json::object{{"name", text.substr(0, divide)}, {"weight", weight}});
  }
  return out;
}

result<json::object> changes_of(const queue_flags& flags) {
  json::object out;
  const auto put = [&out](const char* name, const auto& value) {
    if (value) out[name] = *value;
  };
  put("admitPerWindow", flags.per_window);
  put("windowSeconds", flags.window_seconds);
  put("maxActive", flags.max_active);
  put("admissionSeconds", flags.admission_seconds);
  put("graceSeconds", flags.grace_seconds);
  put("mode", flags.mode);
  put("order", flags.order);
  auto lanes = lanes_of(flags.lanes);
  if (!lanes) return lanes.error();
  if (!lanes->empty()) out["lanes"] = std::move(*lanes);
  if (out.empty()) return failure{errc::invalid_argument, "say what to set, as in --per-window 500"};
  if (!flags.reason.empty()) out["reason"] = flags.reason;
  return out;
}

bench::http_request change(boost::beast::http::verb method, std::string target, const json::object& body) {
  bench::http_request request;
  request.method = method;
  request.target = std::move(target);
  request.body = json::serialize(body);
  request.fields.emplace_back("Idempotency-Key", fresh_key());
  return request;
}

bench::http_reply read_room(const queue_flags& flags, const server& to) {
  bench::http_request request;
  request.target = path_of(flags);
  return exchange(to, std::move(request));
}

int show_room(const queue_flags& flags) {
  const auto to = server_of(flags.node);
  if (!to) return complain(to.error());
  return tell(flags, read_room(flags, *to));
}

int set(const queue_flags& flags) {
  const auto body = changes_of(flags);
  if (!body) return complain(body.error());
  const auto to = server_of(flags.node);
  if (!to) return complain(to.error());
  const auto before = read_room(flags, *to);
  if (before.status != 200) return complain_about(before);
  auto request = change(boost::beast::http::verb::patch, path_of(flags), *body);
  request.fields.emplace_back("If-Match", before.etag);
  return tell(flags, exchange(*to, std::move(request)));
}

int act(const queue_flags& flags, const std::string& action) {
  const auto to = server_of(flags.node);
  if (!to) return complain(to.error());
  json::object body;
  const auto put = [&body](const char* name, const std::string& value) {
    if (!value.empty()) body[name] = value;
  };
  put("reason", flags.reason);
  put("text", flags.text);
  put("userId", flags.user);
  put("lane", flags.lane);
  return tell(flags, exchange(*to, change(boost::beast::http::verb::post, path_of(flags) + '/' + action, body)));
}

// --- the verb -----------------------------------------------------------------------------------------------------

using flags_ptr = std::shared_ptr<queue_flags>;

void add_set(CLI::App& verb, const flags_ptr& flags, int& code) {
  auto* set_verb = verb.add_subcommand("set", "Change how people are admitted; what isn't named stays");
  set_verb->add_option("--per-window", flags->per_window, "People admitted in a window");
  set_verb->add_option("--window-seconds", flags->window_seconds);
  set_verb->add_option("--max-active", flags->max_active, "People inside at a time; 0: no cap");
  set_verb->add_option("--admission-seconds", flags->admission_seconds, "How long an admitted person may reserve");
  set_verb->add_option("--grace-seconds", flags->grace_seconds, "How long a place is kept for somebody who isn't heard of");
  set_verb->add_option("--mode", flags->mode, "window: all of a window at its start; smooth: spread over it");
  set_verb->add_option("--order", flags->order, "Of those who come before the opening: random or joining; not once somebody has joined");
  set_verb->add_option("--lane", flags->lanes, "NAME=WEIGHT, once for each lane, those that there are first; the first is everybody's")
      ->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  set_verb->add_option("--reason", flags->reason);
  set_verb->callback([flags, &code] { code = set(*flags); });
}

CLI::App* add_action(CLI::App& verb, const char* name, const char* what, bool needs_reason, const flags_ptr& flags, int& code) {
  auto* action = verb.add_subcommand(name, what);
  action->add_option("--reason", flags->reason, "Goes into the log with the operator's name")->required(needs_reason);
  action->callback([flags, name, &code] { code = act(*flags, name); });
  return action;
}

void add_actions(CLI::App& verb, const flags_ptr& flags, int& code) {
  add_action(verb, "pause", "Admit nobody until it is resumed; those who wait see the reason", true, flags, code);
  add_action(verb, "resume", "End a pause and a drain", false, flags, code);
  add_action(verb, "drain", "Let nobody join any more; those who wait are still admitted", true, flags, code);
  auto* notice = add_action(verb, "notice", "Tell everybody who waits; without TEXT the notice is taken back", false, flags, code);
  notice->add_option("TEXT", flags->text);
  auto* evict = add_action(verb, "evict", "Take a person's ticket away", true, flags, code);
  evict->add_option("USER", flags->user)->required();
  auto* lane = add_action(verb, "lane", "Put a person at the end of a lane, or into it with their next ticket", true, flags, code);
  lane->add_option("USER", flags->user)->required();
  lane->add_option("LANE", flags->lane)->required();
}

}  // namespace

void add_queue(CLI::App& app, int& code) {
  auto flags = std::make_shared<queue_flags>();
  auto* verb = app.add_subcommand("queue", "See and steer a show's waiting room on a running node");
  verb->fallthrough();  // --data after an action as well
  verb->require_subcommand(0, 1);
  verb->add_option("SHOW", flags->show, "The show's id")->required();
  add_server_flags(*verb, flags->node);
  verb->add_flag("--json", flags->json, "Print the waiting room as JSON");
  add_set(*verb, flags, code);
  add_actions(*verb, flags, code);
  verb->footer(
      "Examples:\n  usher queue shw_7q2m4x9c1v5k3tza\n  usher queue shw_7q2m4x9c1v5k3tza set --per-window 500 --max-active 2000\n"
      "  usher queue shw_7q2m4x9c1v5k3tza pause --reason \"The card terminal is down\"\n"
      "  usher queue shw_7q2m4x9c1v5k3tza notice \"Balcony seats are left\" --reason \"as agreed with the house\"");
  verb->callback([verb, flags, &code] {
    if (verb->get_subcommands().empty()) code = show_room(*flags);
  });
}

}  // namespace usher::cli
