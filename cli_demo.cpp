#include "cli_demo.hpp"

#include <boost/json.hpp>

#include <future>
#include <map>
#include <string_view>

#include "cluster/router.hpp"
#include "events/json.hpp"
#include "events/seating_plan.hpp"
#include "http/secret.hpp"
#include "node.hpp"
#include "projections/runner.hpp"

namespace usher {
extern const std::string_view demonstration_hall;  // deploy/demo-hall.seatingplan.json, put in by the build
}  // namespace usher

namespace usher::cli {
namespace {

constexpr std::chrono::seconds patience{10};

/// In a month, at eight in the evening.
std::int64_t some_evening(const wall_clock& clock) {
  const auto day = std::chrono::floor<std::chrono::days>(clock.now()) + std::chrono::days{30};
  return to_ms(day + std::chrono::hours{20});
}

result<v1::ShowPlan> concert(const wall_clock& clock) {
  v1::ShowPlan plan;
  plan.set_title("Winterreise");
  plan.set_venue("Demo Hall");
  plan.set_extension_seconds(120);
  plan.set_starts_at_ms(some_evening(clock));
  plan.set_currency("EUR");
  boost::json::value hall;
  if (const auto fault = parse_json(demonstration_hall, hall)) return failure{errc::corrupted, "the demonstration hall: " + fault->detail()};
  const std::map<std::string, std::int64_t> prices{{"Premium", 8900}, {"Standard", 5900}, {"Balcony", 3900}};
  const auto faults = read_seating_plan(hall, prices, plan);
  if (!faults.empty()) return failure{errc::corrupted, "the demonstration hall: " + faults.front().field() + ": " + faults.front().detail()};
  return plan;
}

v1::ShowPlan festival(const wall_clock& clock) {
  v1::ShowPlan plan;
  plan.set_title("Night of Strings");
  plan.set_venue("Castle Green");
  plan.set_starts_at_ms(some_evening(clock) + 86'400'000);
  plan.set_currency("EUR");
  auto& tier = *plan.add_tiers();
  tier.set_name("Standing");
  tier.set_price(2500);
  auto& green = *plan.add_sections();
  green.set_name("Green");
  green.set_kind("generalAdmission");
  green.set_stock(5000);
  green.set_tier("Standing");
  plan.mutable_queue();
  return plan;
}

result<void> open_show(node& n, const std::string& seed, v1::ShowPlan plan) {
  auto answered = std::make_shared<std::promise<actors::answer>>();
  auto answer = answered->get_future();
  auto r = std::make_shared<actors::request>();
  r->to = show_ref(make_show_id(seed));
  if (plan.has_queue()) r->command.mutable_show()->mutable_open()->set_draw_secret(http::fresh_secret());
  *r->command.mutable_show()->mutable_open()->mutable_plan() = std::move(plan);
  r->user_id = "usher";
  r->role = v1::ROLE_OPERATOR;
  r->causation = r->correlation = "first start";
  r->reply = [answered](actors::answer a) { answered->set_value(std::move(a)); };
  n.commands().send(r);
  if (answer.wait_for(patience) != std::future_status::ready) return failure{errc::io_failure, "the demonstration show got no answer"};
  const auto said = answer.get();
  if (said.rejection) return failure{errc::io_failure, "the demonstration show: " + said.rejection->detail()};
  if (!said.at) return {};
  auto seen = std::make_shared<std::promise<void>>();
  auto visible = seen->get_future();
  if (n.views().when_reached(*said.at, [seen] { seen->set_value(); })) visible.wait_for(patience);
  return {};
}

}  // namespace

result<void> open_demonstration(node& n, const wall_clock& clock) {
  if (!n.views().views().shows.list({}).items.empty()) return {};
  auto plan = concert(clock);
  if (!plan) return plan.error();
  if (auto opened = open_show(n, "demonstration concert", std::move(*plan)); !opened) return opened;
  return open_show(n, "demonstration festival", festival(clock));
}

std::string show_to_try(node& n) {
  projections::show_query all;
  all.limit = 200;
  for (const auto& show : n.views().views().shows.list(all).items) {
    if (!show.plan->has_queue()) return show.show_id;
  }
  return {};
}

}  // namespace usher::cli
