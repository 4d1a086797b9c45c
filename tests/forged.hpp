#pragma once
// Records that nobody decided, put into the store of a node that is stopped: of another version of Usher, or of half a crash.

#include "node.hpp"
#include "store/index.hpp"
#include "store/journal.hpp"

namespace usher::tests {

/// Appends one record with these events, each with the next version of its stream, as the journal would. All of one partition.
/// @return where it stands
inline log_position forge(const std::string& data_directory, std::int64_t at_ms, std::vector<v1::StreamEvent> events) {
  auto db = store::database::open(log_directory(data_directory)).value();
  store::engine_index index;
  index.load(*db).value();
  store::journal journal{*db, index, {}};
  journal.load().value();
  auto record = std::make_unique<v1::Record>();
  const auto partition = partition_of(events.front().stream().group());
  record->set_partition(partition);
  record->set_at_ms(at_ms);
  for (auto& e : events) {
    e.set_version(index.head(e.stream()).version + 1);
    *record->add_events() = e;
  }
  journal.hand_over(std::move(record), [](auto) {});
  while (journal.write_round()) {
  }
  index.flush(*db).value();
  return {partition, index.end(partition)};
}

}  // namespace usher::tests
