#include "projections/as_of.hpp"

#include <algorithm>
#include <stdexcept>

#include "events/fold.hpp"
#include "events/upcast.hpp"
#include "projections/offence.hpp"
#include "store/stream.hpp"

namespace usher::projections {
namespace {

/// The show's own records up to a moment, the first of which opened it.
struct plans {
  std::uint64_t opened_index = 0;                 ///< 0: it was not there yet
  std::shared_ptr<v1::ShowPlan> as_opened = std::make_shared<v1::ShowPlan>();
  std::shared_ptr<v1::ShowPlan> then = std::make_shared<v1::ShowPlan>();
};

void fold_plan(plans& into, const v1::Record& record, const v1::ShowEvent& event) {
  switch (event.kind_case()) {
    case v1::ShowEvent::kOpened:
      into.opened_index = record.index();
      *into.as_opened = *into.then = event.opened().plan();
      return;
    case v1::ShowEvent::kChanged: return usher::fold(*into.then, event.changed().change());
    case v1::ShowEvent::KIND_NOT_SET: return;
  }
}

result<plans> plans_of(const store::database& db, const store::stream_head& head, const v1::EntityRef& show, std::uint64_t upto_index) {
  const auto records = store::read_stream(db, show, head.index, 0, upto_index);
  if (!records) return records.error();
  plans out;
  for (const auto& record : *records)
    for (const auto& e : record->events())
      if (store::same_entity(e.stream(), show)) fold_plan(out, *record, e.show());
  return out;
}

/// @error wrong_format, corrupted
result<void> apply(seat_map& seats, const v1::Record& record) {
  const auto found = apply_to(seats, record);
  if (!found) return {};
  const bool is_known = std::ranges::none_of(record.events(), [](const v1::StreamEvent& e) { return unreadable(e).has_value(); });
  return failure{is_known ? errc::corrupted : errc::wrong_format, found->text()};
}

/// @error corrupted
result<void> restore(seat_map& seats, const std::string& show_id, const v1::ShowPlan& as_opened, const seat_map::checkpoint& then) {
  try {
    seats.restore(show_id, as_opened, then);
    return {};
  } catch (const std::exception& e) {
    return failure{errc::corrupted, "the seats of " + show_id + " as of record " + std::to_string(then.index) + ": " + e.what()};
  }
}

/// Applies what the records behind `after`, up to `upto`, did to one show.
result<void> apply_between(seat_map& seats, const store::database& db, const v1::EntityRef& show, std::uint64_t after, std::uint64_t upto) {
  if (after >= upto) return {};
  result<void> applied;
  const auto visited = store::visit_records(db, show, after + 1, upto, [&](const v1::Record& record) {
    const auto concerns = [&show](const v1::StreamEvent& e) { return e.stream().group() == show.group(); };
    if (std::ranges::any_of(record.events(), concerns)) applied = apply(seats, record);
    return applied.has_value();
  });
  return visited ? applied : visited;
}

}  // namespace

result<std::optional<seats_then>> seats_as_of(const store::database& db, const seat_map& now, const store::stream_head& head,
                                              const std::string& show_id, std::uint64_t upto_index) {
  const auto show = show_ref(show_id);
  // Asked first: what becomes known meanwhile does no harm.
  const auto known = now.known_upto(partition_of(show_id));
  const auto plan = plans_of(db, head, show, upto_index);
  if (!plan) return plan.error();
  if (plan->opened_index == 0) return std::optional<seats_then>{};
  const auto checkpoint = now.last_checkpoint(show_id, upto_index);
  if (!checkpoint) return checkpoint.error();
  seat_map seats;
  auto after = plan->opened_index - 1;
  if (*checkpoint) {
    if (auto taken = restore(seats, show_id, *plan->as_opened, **checkpoint); !taken) return taken.error();
    after = (*checkpoint)->index;
  }
  const auto next_multiple = (after / seat_map::checkpoint_every + 1) * seat_map::checkpoint_every;
  auto folded = apply_between(seats, db, show, after, std::min(upto_index, next_multiple));
  if (folded) folded = apply_between(seats, db, show, std::max(next_multiple, known), upto_index);
  if (!folded) return folded.error();
  return std::optional{seats_then{seats.find(show_id), plan->then}};
}

}  // namespace usher::projections
