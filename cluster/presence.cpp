#include "cluster/presence.hpp"

#include <algorithm>
#include <limits>

namespace usher::cluster {
namespace {

constexpr std::uint32_t over = std::numeric_limits<std::uint32_t>::max();  // waits no more: never looked at again
constexpr std::uint32_t ask_again_after_s = 5;
constexpr std::size_t numbers_max = 10'000;  // of one command

bool waits(projections::ticket_status status) {
  return status == projections::ticket_status::waiting || status == projections::ticket_status::early;
}

}  // namespace

presence::presence(const projections::queues& queues, const wall_clock& clock, port send)
    : queues_{queues}, clock_{clock}, send_{std::move(send)}, start_ms_{to_ms(clock.now())} {}

std::uint32_t presence::now_s() const {
  return static_cast<std::uint32_t>(std::max<std::int64_t>(to_ms(clock_.now()) - start_ms_, 0) / 1000);
}

/// A ticket that no sweep has seen yet has its whole grace before it.
void presence::renew(room& in, std::uint64_t number) const {
  if (number == 0 || number > in.heard_s.size()) return;
  if (auto& at = in.heard_s[number - 1]; at != over) at = now_s();
}

void presence::hold(std::string_view ticket_id) {
  const std::lock_guard lock{mutex_};
  ++rooms_[show_of_ticket(ticket_id)].holds[number_of_ticket(ticket_id)];
}

void presence::release(std::string_view ticket_id) {
  const auto number = number_of_ticket(ticket_id);
  const std::lock_guard lock{mutex_};
  const auto in = rooms_.find(show_of_ticket(ticket_id));
  if (in == rooms_.end()) return;
  if (const auto held = in->second.holds.find(number); held != in->second.holds.end() && --held->second == 0) in->second.holds.erase(held);
  renew(in->second, number);
}

void presence::heard(std::string_view ticket_id) {
  const std::lock_guard lock{mutex_};
  if (const auto in = rooms_.find(show_of_ticket(ticket_id)); in != rooms_.end()) renew(in->second, number_of_ticket(ticket_id));
}

void presence::sweep() {
  const auto shows = queues_.with_waiting();
  for (const auto& show_id : shows) {
    const auto totals = queues_.totals(show_id, clock_.now());
    if (!totals) continue;
    if (const auto gone = still_waiting(show_id, silent(show_id, *totals)); !gone.empty()) drop(show_id, gone);
  }
  const std::lock_guard lock{mutex_};
  std::erase_if(rooms_, [&](const auto& one) { return one.second.holds.empty() && !std::ranges::binary_search(shows, one.first); });
}

/// Those that nobody has heard of for longer than the grace. They stay silent until they are asked about again.
std::vector<std::uint64_t> presence::silent(const std::string& show_id, const projections::queue_totals& totals) {
  const auto grace_s = totals.grace_seconds;
  const auto now = now_s();
  std::vector<std::uint64_t> out;
  const std::lock_guard lock{mutex_};
  auto& in = rooms_[show_id];
  if (in.heard_s.size() < totals.joined) in.heard_s.resize(totals.joined, now);
  for (std::size_t i = 0; i < in.heard_s.size() && out.size() < numbers_max; ++i) {
    auto& at = in.heard_s[i];
    if (at == over || now < at || now - at <= grace_s) continue;
    if (in.holds.contains(i + 1)) {
      at = now;
      continue;
    }
    at = now - grace_s + ask_again_after_s;
    out.push_back(i + 1);
  }
  return out;
}

/// Those of them that wait. The others are forgotten: a ticket never waits again.
std::vector<std::uint64_t> presence::still_waiting(const std::string& show_id, const std::vector<std::uint64_t>& numbers) {
  std::vector<std::uint64_t> waiting, others;
  for (const auto number : numbers) {
    const auto seen = queues_.by_ticket(make_ticket_id(show_id, number), clock_.now());
    (seen && waits(seen->status) ? waiting : others).push_back(number);
  }
  const std::lock_guard lock{mutex_};
  auto& in = rooms_[show_id];
  for (const auto number : others) in.heard_s[number - 1] = over;
  return waiting;
}

void presence::drop(const std::string& show_id, const std::vector<std::uint64_t>& numbers) const {
  auto r = std::make_shared<actors::request>();
  r->to = queue_ref(show_id);
  r->causation = "presence";
  auto& drop = *r->command.mutable_queue()->mutable_drop();
  for (const auto number : numbers) drop.add_numbers(number);
  send_(r);
}

}  // namespace usher::cluster
