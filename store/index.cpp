// Heads, keys and deadlines: applied record by record, written behind as rows, loaded again with what the log adds.
//
// Rows, numbers big endian:
//   streams       s<hash>            version, index
//   timers        t<hash>            deadline_ms, EntityRef (Protobuf)
//   idempotency   k<hash>            fingerprint, partition, index, at_ms
//   each family   c<partition u16>   index of the last record that its rows know

#include "store/index.hpp"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <utility>

#include "store/bug.hpp"
#include "store/index_rows.hpp"

namespace usher::store {
namespace {

/// @param loaded  how far rows went already: a family may have been ahead of those that are caught up with
void put_checkpoints(database::row_writer& rows, const std::map<std::uint32_t, std::uint64_t>& upto,
                     const std::array<std::uint64_t, partition_count>& loaded) {
  for (const auto& [p, index] : upto) {
    rows.put(view(checkpoint_key(p)), view(big_endian(std::max(index, loaded[p]))));
  }
}

failure unreadable_row(std::string_view family) { return {errc::corrupted, "a row of " + std::string{family} + " can't be read"}; }

using row_reader = std::function<bool(std::string_view key, std::string_view value)>;

/// Reads the checkpoints and then the rows of one family; `row` tells whether it understood. Without one the rows are left where they are.
result<void> load_family(const database& db, family f, std::string_view name, char kind,
                         std::array<std::uint64_t, partition_count>& checkpoint, const row_reader& row) {
  bool good = true;
  auto read = db.each(f, "c", {}, [&](std::string_view key, std::string_view value) {
    const auto p = partition_in(key);
    good = p < partition_count && value.size() == 8;
    if (good) checkpoint[p] = number_at(value, 0);
    return good;
  });
  if (!read) return read;
  if (good && row) {
    read = db.each(f, std::string_view{&kind, 1}, {}, [&](std::string_view key, std::string_view value) {
      good = key.size() == 17 && row(key, value);
      return good;
    });
  }
  if (!read) return read;
  if (!good) return unreadable_row(name);
  return {};
}

}  // namespace

void engine_index::expect_next(const v1::Record& record) const {
  if (record.partition() >= partition_count) bug("a record of partition " + std::to_string(record.partition()));
  if (record.index() != ends_[record.partition()] + 1)
    bug("record " + std::to_string(record.index()) + " of partition " + std::to_string(record.partition()) + " follows " +
        std::to_string(ends_[record.partition()]));
}

void engine_index::take_heads(const v1::Record& record, const std::vector<short_hash>& streams) {
  for (int i = 0; i != record.events_size(); ++i) {
    const auto& e = record.events(i);
    auto& s = stream_of(streams[i]);
    if (e.version() != s.head.version + 1)
      bug("an event of " + key_of(e.stream()) + " has version " + std::to_string(e.version()) + " after " + std::to_string(s.head.version));
    if (s.head.version == 0) seen_.add(streams[i]);
    s.head = {e.version(), record.index()};
    note_head(streams[i], s);
  }
}

/// Puts it into the portion, once.
void engine_index::note_head(const short_hash& key, stream& s) {
  if (s.portion != changed_.number) {
    s.portion = changed_.number;
    s.place = static_cast<std::uint32_t>(changed_.heads.size());
    changed_.heads.push_back({key, {}});
  }
  changed_.heads[s.place].head = s.head;
}

void engine_index::take_deadlines(const v1::Record& record, const std::vector<short_hash>& streams) {
  for (int i = 0; i != record.events_size(); ++i) {
    const auto& e = record.events(i);
    if (e.version() == 1 && e.deadline_ms() == 0) continue;  // it has none, and never had
    const auto* before = deadline_of_.find(streams[i]);
    if ((before == nullptr ? 0 : *before) == e.deadline_ms()) continue;
    if (before != nullptr) deadlines_.erase({*before, streams[i]});
    auto& change = changed_.deadlines[streams[i]] = {e.deadline_ms(), {}};
    if (e.deadline_ms() == 0) {
      deadline_of_.erase(streams[i]);
    } else {
      change.entity = e.stream().SerializeAsString();
      add_deadline(streams[i], e.deadline_ms(), change.entity);
    }
  }
}

void engine_index::add_deadline(const short_hash& key, std::int64_t at_ms, std::string_view entity) {
  deadlines_.emplace(std::pair{at_ms, key}, entity);
  deadline_of_[key] = at_ms;
}

void engine_index::take_key(const v1::Record& record, const short_hash& key) {
  latest_ms_ = std::max(latest_ms_, record.at_ms());
  if (record.idempotency_key().empty() || record.at_ms() + key_lifetime.count() < latest_ms_) return;
  const remembered r{{record.fingerprint(), {record.partition(), record.index()}}, record.at_ms()};
  remember(key, r);
  changed_.keys.push_back({key, r});
}

void engine_index::remember(const short_hash& key, const remembered& r) {
  const auto [place, fresh] = keys_.try_emplace(key, r);
  auto& old = *place;
  // Partitions are loaded one after another, so that an older record of another partition may come later.
  const bool newer = r.known.at.partition == old.known.at.partition ? r.known.at.index > old.known.at.index : r.at_ms >= old.at_ms;
  if (!fresh && !newer) return;
  old = r;
  keys_by_time_.emplace_back(r.at_ms, key);
}

void engine_index::forget_old_keys() {
  while (!keys_by_time_.empty() && keys_by_time_.front().first + key_lifetime.count() < latest_ms_) {
    const auto [at_ms, key] = keys_by_time_.front();
    keys_by_time_.pop_front();
    const auto* found = keys_.find(key);
    if (found == nullptr || found->at_ms != at_ms) continue;  // it was recorded again since
    keys_.erase(key);
    changed_.keys.push_back({key, std::nullopt});
  }
}

/// The record is in the portion as a whole.
void engine_index::end_record(const v1::Record& record) {
  ends_[record.partition()] = record.index();
  changed_.upto[record.partition()] = record.index();
  ++changed_.records;
  forget_old_keys();
  if (changed_.full()) full_.push_back(end_portion());
}

engine_index::changes engine_index::end_portion() {
  changes next;
  next.number = changed_.number + 1;
  return std::exchange(changed_, std::move(next));
}

/// What is in memory, or else what the row says, which is in memory from now on. Under the lock.
engine_index::stream& engine_index::stream_of(const short_hash& key) const {
  const auto [place, fresh] = streams_.try_emplace(key);
  if (fresh && !never_was(key)) place->head = stored_head(key);
  return *place;
}

/// Of what is not in memory. Under the lock.
bool engine_index::never_was(const short_hash& key) const { return !rows_ || (all_seen_ && !seen_.may_hold(key)); }

/// Rows of this run are in memory until they are in a file, so that only files are looked into.
stream_head engine_index::stored_head(const short_hash& key) const {
  const auto name = row_key('s', key);
  const auto row = rows_in_memory_ ? rows_->get(family::streams, view(name)) : rows_->get_from_files(family::streams, view(name));
  if (!row) bug(row.error().detail);
  if (!*row) return {};
  if ((*row)->size() != 16) bug(unreadable_row("streams").detail);
  return {number_at(**row, 0), number_at(**row, 8)};
}

void engine_index::apply(const v1::Record& record) {
  const auto hashes = hashes_of(record);  // hashing stays outside of the lock
  const std::lock_guard lock{mutex_};
  expect_next(record);
  take_heads(record, hashes.streams);
  take_deadlines(record, hashes.streams);
  take_key(record, hashes.key);
  end_record(record);
}

void engine_index::admit(v1::Record& record, const record_hashes& hashes) {
  const std::lock_guard lock{mutex_};
  if (record.partition() >= partition_count) bug("a record of partition " + std::to_string(record.partition()));
  record.set_index(ends_[record.partition()] + 1);
  for (int i = 0; i != record.events_size(); ++i) record.mutable_events(i)->set_previous_index(stream_of(hashes.streams[i]).head.index);
  take_heads(record, hashes.streams);
  take_deadlines(record, hashes.streams);
  take_key(record, hashes.key);
  end_record(record);
}

stream_head engine_index::head(const v1::EntityRef& ref) const { return head(hash_of(ref)); }

stream_head engine_index::head(const short_hash& key) const {
  std::unique_lock lock{mutex_};
  for (;;) {
    if (const auto* found = streams_.find(key)) return found->head;
    if (never_was(key)) return {};
    const auto drops = drops_;
    lock.unlock();
    const auto stored = stored_head(key);
    lock.lock();
    // It may have changed meanwhile, and been dropped after that.
    if (drops == drops_) return streams_.try_emplace(key, stream{stored}).first->head;
  }
}

std::size_t engine_index::streams_in_memory() const {
  const std::lock_guard lock{mutex_};
  return streams_.size();
}

std::optional<known_key> engine_index::find_key(std::string_view user_id, std::string_view key) const {
  return find_key(hash_of_key(user_id, key));
}

std::optional<known_key> engine_index::find_key(const short_hash& key) const {
  const std::lock_guard lock{mutex_};
  const auto* found = keys_.find(key);
  return found == nullptr ? std::nullopt : std::optional{found->known};
}

std::vector<engine_index::due> engine_index::due_at(time_point now, std::size_t limit, const std::optional<due_place>& behind) const {
  std::vector<due> all;
  const std::lock_guard lock{mutex_};
  for (auto i = behind ? deadlines_.upper_bound(*behind) : deadlines_.begin(); i != deadlines_.end(); ++i) {
    const auto& [place, entity] = *i;
    if (place.first > to_ms(now) || all.size() == limit) break;
    all.push_back({from_ms(place.first), {}, place});
    if (!all.back().entity.ParseFromString(entity)) bug("a deadline of nobody");
  }
  return all;
}

std::optional<time_point> engine_index::next_deadline() const {
  const std::lock_guard lock{mutex_};
  return deadlines_.empty() ? std::nullopt : std::optional{from_ms(deadlines_.begin()->first.first)};
}

std::uint64_t engine_index::end(std::uint32_t partition) const {
  const std::lock_guard lock{mutex_};
  return ends_.at(partition);
}

result<void> engine_index::load_rows(const database& db) {
  auto& c = loaded_;
  auto read = load_family(db, family::streams, "streams", 's', c.streams, nullptr);
  if (!read) return read;
  v1::EntityRef entity;
  read = load_family(db, family::timers, "timers", 't', c.timers, [&](auto key, auto value) {
    if (value.size() < 8 || !entity.ParseFromArray(value.data() + 8, static_cast<int>(value.size() - 8))) return false;
    add_deadline(hash_in(key), static_cast<std::int64_t>(number_at(value, 0)), value.substr(8));
    return true;
  });
  if (!read) return read;
  read = load_family(db, family::idempotency, "idempotency", 'k', c.keys, [&](auto key, auto value) {
    if (value.size() != 32) return false;
    const auto at_ms = static_cast<std::int64_t>(number_at(value, 24));
    remember(hash_in(key), {{number_at(value, 0), {static_cast<std::uint32_t>(number_at(value, 8)), number_at(value, 16)}}, at_ms});
    latest_ms_ = std::max(latest_ms_, at_ms);
    return true;
  });
  return read;
}

/// @return whether a portion waits to be written
bool engine_index::take_loaded(const v1::Record& record) {
  const auto hashes = hashes_of(record);
  const std::lock_guard lock{mutex_};
  if (record.index() > loaded_.streams[record.partition()]) take_heads(record, hashes.streams);
  if (record.index() > loaded_.timers[record.partition()]) take_deadlines(record, hashes.streams);
  if (record.index() > loaded_.keys[record.partition()]) take_key(record, hashes.key);
  end_record(record);
  return !full_.empty();
}

result<void> engine_index::catch_up(database& db, std::uint32_t partition) {
  const auto log_end = db.durable_end(partition);
  const auto known = {loaded_.streams[partition], loaded_.timers[partition], loaded_.keys[partition]};
  const auto behind = std::min(known);
  if (std::max(known) > log_end)
    return failure{errc::corrupted, "partition " + std::to_string(partition) + " ends at " + std::to_string(log_end) + ", but " +
                                        "rows were derived from later records: the log has lost its end"};
  auto next = ends_[partition] = behind;
  google::protobuf::Arena arena;
  result<void> outcome;
  auto read = db.scan_stored(partition, behind + 1, [&](std::uint64_t index, std::string_view stored) {
    if (index % 256 == 0) arena.Reset();
    auto& record = *google::protobuf::Arena::CreateMessage<v1::Record>(&arena);
    if (!record.ParseFromArray(stored.data(), static_cast<int>(stored.size())) || record.index() != index || record.partition() != partition ||
        index != ++next) {
      outcome = failure{errc::corrupted, "partition " + std::to_string(partition) + " has a wrong record at " + std::to_string(index)};
      return false;
    }
    if (take_loaded(record)) outcome = flush(db);
    return outcome.has_value();
  });
  return read ? outcome : read;
}

result<void> engine_index::load(database& db) {
  if (rows_ || !streams_.empty()) bug("an index is loaded twice");
  rows_ = &db;
  rows_in_memory_ = db.holds_in_memory(family::streams);
  next_to_learn_ = "s";
  if (auto loaded = load_rows(db); !loaded) return loaded;
  for (std::uint32_t p = 0; p != partition_count; ++p)
    if (auto caught_up = catch_up(db, p); !caught_up) return caught_up;
  const std::lock_guard lock{mutex_};
  // Rows come in the order of their hashes, and partitions one after another.
  std::sort(keys_by_time_.begin(), keys_by_time_.end());
  forget_old_keys();
  return {};
}

result<void> engine_index::write(database& db, const changes& c) const {
  auto written = db.put_derived(family::streams, [&](database::row_writer& rows) {
    for (const auto& [key, head] : c.heads) rows.put(view(row_key('s', key)), view(big_endian(head.version, head.index)));
    put_checkpoints(rows, c.upto, loaded_.streams);
  });
  if (!written) return written;
  written = db.put_derived(family::timers, [&](database::row_writer& rows) {
    std::string value;
    for (const auto& [key, change] : c.deadlines) {
      const auto name = row_key('t', key);
      value.assign(view(big_endian(change.at_ms))).append(change.entity);
      change.at_ms == 0 ? rows.erase(view(name)) : rows.put(view(name), value);
    }
    put_checkpoints(rows, c.upto, loaded_.timers);
  });
  if (!written) return written;
  return db.put_derived(family::idempotency, [&](database::row_writer& rows) {
    for (const auto& [key, value] : c.keys) {
      const auto name = row_key('k', key);
      if (!value) rows.erase(view(name));
      else rows.put(view(name), view(big_endian(value->known.fingerprint, value->known.at.partition, value->known.at.index, value->at_ms)));
    }
    put_checkpoints(rows, c.upto, loaded_.keys);
  });
}

result<void> engine_index::flush(database& db) {
  {
    const std::lock_guard lock{mutex_};
    std::move(full_.begin(), full_.end(), std::back_inserter(frozen_));
    full_.clear();
    if (!changed_.empty()) frozen_.push_back(end_portion());
  }
  const auto durable = [&db](const auto& end) { return db.durable_end(end.first) >= end.second; };
  while (!frozen_.empty() && std::ranges::all_of(frozen_.front().upto, durable)) {
    if (auto written = write(db, frozen_.front()); !written) return written;
    last_written_ = frozen_.front().number;
    unfiled_ += frozen_.front().records;
    frozen_.pop_front();
  }
  const bool crowded = too_many_streams();
  if (unfiled_ < filed_every_ && !crowded) return {};
  if (auto filed = db.flush_derived(); !filed) return filed;
  unfiled_ = 0;
  if (crowded) drop_streams();
  return {};
}

result<void> engine_index::learn_streams(std::size_t at_most) {
  if (!next_to_learn_) return {};
  const auto from = std::exchange(next_to_learn_, std::nullopt);
  std::size_t learned = 0;
  bool good = true;
  auto read = rows_->each(family::streams, "s", *from, [&](std::string_view key, std::string_view) {
    if (learned++ == at_most) {
      next_to_learn_ = key;
      return false;
    }
    good = key.size() == 17;
    const std::lock_guard lock{mutex_};  // for each alone, as others wait for it
    if (good) seen_.add(hash_in(key));
    return good;
  });
  if (!read) return read;
  if (!good) return unreadable_row("streams");
  const std::lock_guard lock{mutex_};
  all_seen_ = !next_to_learn_;
  return {};
}

bool engine_index::too_many_streams() const {
  const std::lock_guard lock{mutex_};
  return rows_ && streams_.size() > drop_above_;
}

/// Those that last changed in a portion whose rows are in a file, and those that were only read.
void engine_index::drop_streams() {
  const std::lock_guard lock{mutex_};
  ++drops_;
  streams_.erase_if([this](const stream& s) { return s.portion <= last_written_; });
  drop_above_ = std::max(streams_max_, 2 * streams_.size());  // where most are new, not again at once
}

}  // namespace usher::store
