#include "actors/show_directory.hpp"

#include "actors/show.hpp"
#include "store/stream.hpp"

namespace usher::actors {

result<std::shared_ptr<const terms>> show_directory::find(const std::string& show_id) {
  std::uint64_t seen;
  std::shared_ptr<const terms> before;
  {
    std::shared_lock lock(mutex_);
    if (const auto it = known_.find(show_id); it != known_.end()) {
      if (!it->second.stale) return it->second.found;
      before = it->second.found;
    }
    seen = changes_;
  }
  const auto ref = show_ref(show_id);
  const auto head = index_.head(ref);
  if (head.version == 0) return std::shared_ptr<const terms>{};
  // The newest record may still be on its way to the disk; until it is there the show is as it was before.
  auto newest = db_.read({partition_of(show_id), head.index});
  if (!newest) return newest.error();
  if (!*newest) return before;
  auto records = store::read_stream(db_, ref, head.index);
  if (!records) return records.error();
  show::state state;
  for (const auto& record : *records)
    for (const auto& e : record->events())
      if (store::same_entity(e.stream(), ref)) show::evolve(state, e.show());
  auto made = std::make_shared<const terms>(state);
  std::unique_lock lock(mutex_);
  if (changes_ == seen) known_[show_id] = {made, false};
  return made;
}

void show_directory::changed(const std::string& show_id) {
  std::unique_lock lock(mutex_);
  ++changes_;
  if (const auto it = known_.find(show_id); it != known_.end()) it->second.stale = true;
}

}  // namespace usher::actors
