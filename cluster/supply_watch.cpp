#include "cluster/supply_watch.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace usher::cluster {
namespace {

constexpr auto look = caf::atom("look");
constexpr std::chrono::milliseconds look_every{250};
constexpr unsigned looks_until_again = 8;
constexpr std::uint64_t few_at_least = 1'000;

bool is_sold_out(const supply& s) { return s.available == 0 && s.held == 0; }

supply supply_of(const v1::ShowPlan& plan, const projections::show_counts& counts) {
  supply out{counts.total.available, counts.total.held, {}};
  for (int i = 0; i < plan.tiers_size() && static_cast<std::size_t>(i) < counts.tiers.size(); ++i) {
    const auto& tier = counts.tiers[static_cast<std::size_t>(i)];
    if (tier.capacity != 0 && tier.available == 0 && tier.held == 0) out.sold_out_tiers.push_back(plan.tiers(i).name());
  }
  return out;
}

/// What a queue was told last, as it has recorded it.
supply known_to(const projections::queue_totals& queue) { return {queue.available, queue.held, queue.sold_out_tiers}; }

/// The show whose seats, queue or description a record has changed; empty: none
std::string_view show_of(const v1::Record& record) {
  if (record.events_size() == 0) return {};
  const auto& first = record.events(0).stream();
  return first.kind() == v1::WALLET || first.kind() == v1::USER ? std::string_view{} : std::string_view{first.group()};
}

}  // namespace

bool matters(const supply& before, const supply& now, std::uint64_t few) {
  if ((before.available == 0) != (now.available == 0) || is_sold_out(before) != is_sold_out(now)) return true;
  if (before.sold_out_tiers != now.sold_out_tiers) return true;
  if (now.available == 0) return false;
  if (std::min(before.available, now.available) <= few) return before.available != now.available || before.held != now.held;
  const auto unsold_before = before.available + before.held;
  const auto unsold = now.available + now.held;
  return std::max(unsold, unsold_before) - std::min(unsold, unsold_before) > unsold_before / 10;
}

supply_watch::supply_watch(const projections::views& models, std::function<void(const actors::request_ptr&)> send)
    : models_(models), send_(std::move(send)) {}

void supply_watch::applied(const v1::Record& record) {
  const auto show_id = show_of(record);
  if (show_id.empty()) return;
  const std::lock_guard lock(mutex_);
  stirred_.emplace(show_id);
}

void supply_watch::look(time_point now) {
  if (looks_at_all_.exchange(false)) stir_all();
  std::unordered_set<std::string> stirred;
  {
    const std::lock_guard lock(mutex_);
    stirred.swap(stirred_);
  }
  for (const auto& show_id : stirred) look_at(show_id, now);
}

void supply_watch::stir(const std::string& show_id) {
  const std::lock_guard lock(mutex_);
  stirred_.insert(show_id);
}

void supply_watch::stir_all() {
  projections::show_query query;
  query.limit = 200;
  do {
    const auto page = models_.shows.list(query);
    for (const auto& show : page.items)
      if (show.plan->has_queue()) stir(show.show_id);
    query.cursor = page.next_cursor;
  } while (!query.cursor.empty());
}

void supply_watch::look_at(const std::string& show_id, time_point now) {
  const auto plan = models_.shows.plan(show_id);
  if (!plan || !plan->has_queue()) return;
  const auto queue = models_.queues.totals(show_id, now);
  const auto seats = models_.seat_map.totals(show_id);
  if (!queue || queue->joined == 0 || queue->end == v1::SALE_OVER || !seats) return;
  const auto known = known_to(*queue);
  if (const auto told = under_way_.find(show_id); told != under_way_.end()) {
    const bool is_there = queue->supply_known && told->second.what == known;
    if (!is_there && ++told->second.looks < looks_until_again) return stir(show_id);
    under_way_.erase(told);
  }
  const auto left = supply_of(*plan, seats->counts);
  const auto few = std::max<std::uint64_t>(few_at_least, queue->admit_per_window);
  if (queue->supply_known && !matters(known, left, few)) return;
  under_way_.emplace(show_id, message{left});
  stir(show_id);
  tell(show_id, left, seats->version);
}

void supply_watch::tell(const std::string& show_id, const supply& left, std::uint64_t as_of_index) {
  auto r = std::make_shared<actors::request>();
  r->to = queue_ref(show_id);
  auto& note = *r->command.mutable_queue()->mutable_supply();
  note.set_available(left.available);
  note.set_held(left.held);
  for (const auto& tier : left.sold_out_tiers) note.add_sold_out_tiers(tier);
  r->causation = to_token({partition_of(show_id), as_of_index});
  send_(r);
}

caf::actor spawn_supply_watch(caf::actor_system& system, const wall_clock& clock, supply_watch& watch) {
  return system.spawn([&clock, &watch](caf::event_based_actor* self) -> caf::behavior {
    self->delayed_send(self, look_every, look);
    return {[self, &clock, &watch](caf::atom_constant<look>) {
      watch.look(clock.now());
      self->delayed_send(self, look_every, look);
    }};
  });
}

}  // namespace usher::cluster
