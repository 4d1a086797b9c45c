// The database, the index and the audit on a real RocksDB.

#include <catch2/catch.hpp>

#include <rocksdb/db.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>

#include "store/audit.hpp"
#include "store/database.hpp"
#include "store/hash.hpp"
#include "store/hash_filter.hpp"
#include "store/index.hpp"
#include "tests/support.hpp"

namespace {

using namespace std::chrono_literals;
using usher::errc;
using usher::from_ms;
using usher::seat_ref;
using usher::tests::temp_dir;
namespace v1 = usher::v1;
namespace store = usher::store;

constexpr std::uint32_t here = 7;

std::unique_ptr<store::database> open(const temp_dir& dir) {
  auto db = store::database::open(dir.path);
  REQUIRE(db.has_value());
  return std::move(*db);
}

struct touched { std::string seat; std::uint64_t version; std::int64_t deadline_ms = 0; };

v1::Record record_of(std::uint64_t index, std::vector<touched> events, std::int64_t at_ms = 1000, std::string key = {}) {
  v1::Record r;
  r.set_partition(here);
  r.set_epoch(1);
  r.set_index(index);
  r.set_at_ms(at_ms);
  r.set_user_id("usr_ann");
  r.set_idempotency_key(key);
  r.set_fingerprint(key.empty() ? 0 : 77);
  for (const auto& t : events) {
    auto& e = *r.add_events();
    *e.mutable_stream() = seat_ref("shw_x", t.seat);
    e.set_version(t.version);
    e.set_deadline_ms(t.deadline_ms);
  }
  return r;
}

/// A log that is written by hand, chained as the journal does it.
struct written_log {
  store::database& db;
  store::engine_index& index;
  std::string last_hash;

  void add(v1::Record r) {
    r.set_previous_hash(last_hash);
    const auto stored = r.SerializeAsString();
    REQUIRE(db.append_synced({{{r.partition(), r.index()}, stored}}).has_value());
    index.apply(r);
    last_hash = store::sha256(stored);
  }
};

bool aborts(const std::function<void()>& deed) {
  const auto child = ::fork();
  if (child == 0) {
    ::close(STDERR_FILENO);
    ::signal(SIGABRT, SIG_DFL);
    deed();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

}  // namespace

TEST_CASE("a record comes back as it was written, also after a restart") {
  temp_dir dir;
  const auto r = record_of(1, {{"A-1", 1}});
  {
    auto db = open(dir);
    REQUIRE(db->append_synced({{{here, 1}, r.SerializeAsString()}}).has_value());
    CHECK((*db->read({here, 1}).value()).SerializeAsString() == r.SerializeAsString());
    CHECK(db->read({here, 2}).value() == nullptr);
    CHECK(db->read({here + 1, 1}).value() == nullptr);
  }
  auto db = open(dir);
  CHECK(db->durable_end(here) == 1);
  CHECK(db->last_stored(here).value() == r.SerializeAsString());
  CHECK(db->last_stored(here + 1).value().empty());
}

TEST_CASE("a partition is read in order, from where one asks, and without its neighbours") {
  temp_dir dir;
  auto db = open(dir);
  std::vector<std::pair<usher::log_position, std::string>> batch;
  for (std::uint64_t i = 1; i <= 300; ++i) {
    auto r = record_of(i, {});
    batch.emplace_back(usher::log_position{here, i}, r.SerializeAsString());
    r.set_partition(here + 1);
    batch.emplace_back(usher::log_position{here + 1, i}, r.SerializeAsString());
  }
  REQUIRE(db->append_synced(batch).has_value());
  std::vector<std::uint64_t> seen;
  REQUIRE(db->scan(here, 254, [&](store::record_ptr r, std::string_view) {
    CHECK(r->partition() == here);
    seen.push_back(r->index());
    return seen.size() < 4;
  }).has_value());
  CHECK(seen == std::vector<std::uint64_t>{254, 255, 256, 257});
  std::size_t rest = 0;
  REQUIRE(db->scan(here, 257, [&](auto, auto) { return ++rest, true; }).has_value());
  CHECK(rest == 44);
}

TEST_CASE("rows of a derived family can be put, read in order under a prefix, and erased") {
  temp_dir dir;
  auto db = open(dir);
  const auto f = store::family::views;
  REQUIRE(db->put_derived(f, {{"a/1", "x"}, {"b/1", "y"}, {"b/2", "z"}, {"b/3", "w"}, {"c", "v"}, {"b/3", std::nullopt}, {"\xff", "e"}}).has_value());
  auto keys = [&](std::string_view prefix, std::string_view from) {
    std::string all;
    REQUIRE(db->each(f, prefix, from, [&](auto key, auto) { return all.append(key).append(" "), true; }).has_value());
    return all;
  };
  CHECK(keys("b/", "") == "b/1 b/2 ");
  CHECK(keys("b/", "b/2") == "b/2 ");
  CHECK(keys("", "c") == "c \xff ");
  CHECK(db->get(f, "b/1").value() == "y");
  CHECK_FALSE(db->get(f, "b/3").value());
  REQUIRE(db->erase_prefix(f, "b/").has_value());
  CHECK(keys("", "") == "a/1 c \xff ");
  REQUIRE(db->erase_prefix(f, "").has_value());
  CHECK(keys("", "") == "");
}

TEST_CASE("rows whose keys are hashes come back in order, each as it was last written, from memory and from files") {
  const bool filed = GENERATE(false, true);
  temp_dir dir;
  auto db = open(dir);
  std::mt19937 random{7};
  std::map<std::string, std::string> expected;
  for (int batch = 0; batch != 20; ++batch) {
    std::vector<store::database::row> rows;
    for (int i = 0; i != 200; ++i) {
      std::string key(1 + random() % 12, 'k');
      for (auto& c : key) c = static_cast<char>(random() % 3);
      auto value = std::to_string(random());
      if (random() % 4 == 0) {
        expected.erase(key);
        rows.push_back({std::move(key), std::nullopt});
      } else {
        expected[key] = value;
        rows.push_back({std::move(key), std::move(value)});
      }
    }
    REQUIRE(db->put_derived(store::family::timers, rows).has_value());
    if (filed && batch % 8 == 3) REQUIRE(db->flush().has_value());
  }
  std::map<std::string, std::string> found;
  std::string last;
  REQUIRE(db->each(store::family::timers, "", "", [&](std::string_view key, std::string_view value) {
    CHECK((found.empty() || last < key));
    last = key;
    return found.emplace(key, value).second;
  }).has_value());
  CHECK(found == expected);
  for (const auto& [key, value] : expected) {
    CHECK(db->get(store::family::timers, key).value() == value);
    CHECK(db->last_of(store::family::timers, "", key).value() == std::pair{key, value});
  }
  CHECK_FALSE(db->get(store::family::timers, "none").value());
  CHECK(db->last_of(store::family::timers, "", "none").value()->first == expected.rbegin()->first);
}

TEST_CASE("a filter of hashes never denies one that was added, and denies nearly all others") {
  constexpr int added = 100'000;
  std::mt19937_64 random{11};
  std::vector<store::short_hash> all;
  store::hash_filter filter;
  for (int i = 0; i != added; ++i) filter.add(all.emplace_back(store::short_hash{random(), random()}));
  CHECK(std::ranges::all_of(all, [&](const auto& h) { return filter.may_hold(h); }));
  int wrong = 0;
  for (int i = 0; i != added; ++i) wrong += filter.may_hold({random(), random()});
  CHECK(wrong < added / 100);
}

TEST_CASE("data of another format is refused with words that tell both") {
  temp_dir dir;
  { auto db = open(dir); REQUIRE(db->put_meta("format", "0").has_value()); }
  const auto refused = store::database::open(dir.path);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == errc::wrong_format);
  CHECK(refused.error().detail.find("\"0\"") != std::string::npos);
}

TEST_CASE("data of an older format is refused before anything is added to it") {
  temp_dir dir;
  { auto db = open(dir); REQUIRE(db->put_meta("format", "2").has_value()); }
  const auto families = [&dir] {
    std::vector<std::string> out;
    REQUIRE(rocksdb::DB::ListColumnFamilies({}, dir.path, &out).ok());
    return out;
  };
  {
    std::vector<rocksdb::ColumnFamilyDescriptor> all;
    for (const auto& name : families()) all.emplace_back(name, rocksdb::ColumnFamilyOptions{});
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* raw = nullptr;
    REQUIRE(rocksdb::DB::Open({}, dir.path, all, &handles, &raw).ok());
    for (auto* handle : handles) {
      if (handle->GetName() == "evidence") REQUIRE(raw->DropColumnFamily(handle).ok());
      raw->DestroyColumnFamilyHandle(handle);
    }
    delete raw;
  }
  const auto before = families();
  REQUIRE(before.size() == 9);
  CHECK(store::database::open(dir.path).error().code == errc::wrong_format);
  CHECK(store::database::open_read_only(dir.path).error().code == errc::wrong_format);
  CHECK(families() == before);
}

TEST_CASE("data with a family of another version is refused") {
  temp_dir dir;
  {
    rocksdb::DB* raw = nullptr;
    rocksdb::Options options;
    options.create_if_missing = true;
    REQUIRE(rocksdb::DB::Open(options, dir.path, &raw).ok());
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    REQUIRE(raw->CreateColumnFamily({}, "from-the-future", &handle).ok());
    raw->DestroyColumnFamilyHandle(handle);
    delete raw;
  }
  const auto refused = store::database::open(dir.path);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == errc::wrong_format);
}

TEST_CASE("the audit accepts an honest chain and finds one flipped bit") {
  temp_dir dir;
  auto db = open(dir);
  store::engine_index index;
  written_log log{*db, index, {}};
  for (std::uint64_t i = 1; i <= 20; ++i) log.add(record_of(i, {{"A-1", i}}));
  const auto honest = store::verify_chain(*db, here);
  REQUIRE(honest.has_value());
  CHECK(honest->records == 20);
  CHECK(honest->last_hash == log.last_hash);
  CHECK(store::verify_all(*db).value().records == 20);
  CHECK(store::verify_chain(*db, here + 1).value().records == 0);

  auto forged = *db->read({here, 12}).value();
  forged.set_at_ms(forged.at_ms() ^ 1);
  REQUIRE(db->append_synced({{{here, 12}, forged.SerializeAsString()}}).has_value());
  const auto found = store::verify_chain(*db, here);
  REQUIRE_FALSE(found.has_value());
  CHECK(found.error().code == errc::corrupted);
  CHECK(found.error().detail == "record 13 of partition 7 doesn't carry the hash of its predecessor");
  CHECK_FALSE(store::verify_all(*db).has_value());
}

TEST_CASE("the audit finds a record that is missing") {
  temp_dir dir;
  auto db = open(dir);
  store::engine_index index;
  written_log log{*db, index, {}};
  log.add(record_of(1, {}));
  REQUIRE(db->append_synced({{{here, 3}, record_of(3, {}).SerializeAsString()}}).has_value());
  CHECK(store::verify_chain(*db, here).error().detail == "record 3 of partition 7 stands where 2 should");
}

TEST_CASE("the index knows the same after a restart, whether nothing, a part or all of it was flushed") {
  const int flush_after = GENERATE(0, 1, 2, 3);
  temp_dir dir;
  {
    auto db = open(dir);
    store::engine_index index;
    written_log log{*db, index, {}};
    log.add(record_of(1, {{"A-1", 1, 5000}, {"A-2", 1, 9000}}, 1000, "first"));
    if (flush_after == 1) REQUIRE(index.flush(*db).has_value());
    log.add(record_of(2, {{"A-1", 2, 0}, {"A-1", 3, 7000}}, 2000));
    if (flush_after == 2) REQUIRE(index.flush(*db).has_value());
    log.add(record_of(3, {{"A-2", 2, 0}}, 3000, "second"));
    if (flush_after == 3) {
      REQUIRE(index.flush(*db).has_value());
      REQUIRE(db->flush().has_value());
    }
  }
  auto db = open(dir);
  store::engine_index index;
  REQUIRE(index.load(*db).has_value());
  CHECK(index.end(here) == 3);
  CHECK(index.head(seat_ref("shw_x", "A-1")).version == 3);
  CHECK(index.head(seat_ref("shw_x", "A-1")).index == 2);
  CHECK(index.head(seat_ref("shw_x", "A-2")).version == 2);
  CHECK(index.head(seat_ref("shw_x", "A-3")).version == 0);
  REQUIRE(index.find_key("usr_ann", "first"));
  CHECK(index.find_key("usr_ann", "first")->fingerprint == 77);
  CHECK(index.find_key("usr_ann", "second")->at == usher::log_position{here, 3});
  const auto due = index.due_at(from_ms(100'000), 10);
  REQUIRE(due.size() == 1);
  CHECK(due[0].at == from_ms(7000));
  CHECK(usher::key_of(due[0].entity) == "seat/shw_x/A-1");
}

TEST_CASE("every stream that was ever written is found after a restart, however many of those of before were learned") {
  constexpr int seats = 500;
  temp_dir dir;
  {
    auto db = open(dir);
    store::engine_index index;
    written_log log{*db, index, {}};
    for (int i = 1; i <= seats; ++i) log.add(record_of(static_cast<std::uint64_t>(i), {{"old-" + std::to_string(i), 1}}));
    REQUIRE(index.flush(*db).has_value());
    REQUIRE(db->flush().has_value());
    log.add(record_of(seats + 1, {{"folded", 1}}));
  }
  auto db = open(dir);
  store::engine_index index;
  REQUIRE(index.load(*db).has_value());
  written_log log{*db, index, {}};
  log.add(record_of(seats + 2, {{"new", 1}}));
  const auto times = GENERATE(0, 1, 2, 100);
  for (int i = 0; i != times; ++i) REQUIRE(index.learn_streams(seats / 2).has_value());
  log.add(record_of(seats + 3, {{"newer", 1}}));
  for (int i = 1; i <= seats; ++i) {
    CHECK(index.head(seat_ref("shw_x", "old-" + std::to_string(i))).index == static_cast<std::uint64_t>(i));
    CHECK(index.head(seat_ref("shw_x", "none-" + std::to_string(i))).version == 0);
  }
  for (const auto* name : {"folded", "new", "newer"}) CHECK(index.head(seat_ref("shw_x", name)).version == 1);
}

TEST_CASE("a second index of an open database finds the rows that are in no file yet") {
  temp_dir dir;
  auto db = open(dir);
  store::engine_index first;
  REQUIRE(first.load(*db).has_value());
  written_log log{*db, first, {}};
  log.add(record_of(1, {{"A-1", 1}}));
  REQUIRE(first.flush(*db).has_value());
  store::engine_index second;
  REQUIRE(second.load(*db).has_value());
  CHECK(second.head(seat_ref("shw_x", "A-1")).version == 1);
}

TEST_CASE("families that were written out at different times are each caught up from their own checkpoint") {
  temp_dir dir;
  {
    auto db = open(dir);
    store::engine_index index;
    written_log log{*db, index, {}};
    log.add(record_of(1, {{"A-1", 1, 5000}}, 1000, "first"));
    log.add(record_of(2, {{"A-1", 2, 6000}}, 1000, "second"));
    REQUIRE(index.flush(*db).has_value());
    REQUIRE(db->erase_prefix(store::family::timers, "").has_value());  // as if its memtable alone had been lost
  }
  auto db = open(dir);
  store::engine_index index;
  REQUIRE(index.load(*db).has_value());
  CHECK(index.head(seat_ref("shw_x", "A-1")).version == 2);
  CHECK(index.next_deadline() == from_ms(6000));
  CHECK(index.find_key("usr_ann", "second"));
}

TEST_CASE("a start that is killed while it catches up leaves no family behind what it had") {
  temp_dir dir;
  constexpr std::uint64_t records = 1030;  // of which 1024 keys are written while the start goes on
  {
    auto db = open(dir);
    store::engine_index index;
    written_log log{*db, index, {}};
    for (std::uint64_t i = 1; i <= records; ++i) log.add(record_of(i, {{"A-1", i}}, 1000, "key-" + std::to_string(i)));
    REQUIRE(index.flush(*db).has_value());
    REQUIRE(db->erase_prefix(store::family::idempotency, "").has_value());  // as if its memtable alone had been lost
  }
  {
    auto db = open(dir);
    store::engine_index killed;
    REQUIRE(killed.load(*db).has_value());
    CHECK(killed.find_key("usr_ann", "key-1"));
  }
  auto db = open(dir);
  store::engine_index index;
  REQUIRE(index.load(*db).has_value());
  CHECK(index.head(seat_ref("shw_x", "A-1")).version == records);
  CHECK(index.find_key("usr_ann", "key-1030"));
}

TEST_CASE("a family that rarely changes reaches a file all the same, so that little is folded again after a kill") {
  temp_dir dir;
  auto db = open(dir);
  store::engine_index index{store::streams_kept, 3};
  written_log log{*db, index, {}};
  log.add(record_of(1, {{"A-1", 1}}));
  log.add(record_of(2, {{"A-1", 2}}));
  REQUIRE(index.flush(*db).has_value());
  CHECK(db->holds_in_memory(store::family::timers));
  log.add(record_of(3, {{"A-1", 3}}));
  REQUIRE(db->put_derived(store::family::views, {{"wallets@1/a", "b"}}).has_value());
  REQUIRE(index.flush(*db).has_value());
  for (const auto f : {store::family::streams, store::family::timers, store::family::idempotency, store::family::views}) CHECK_FALSE(db->holds_in_memory(f));
}

TEST_CASE("no row of the index reaches the disk before the record that it comes from") {
  temp_dir dir;
  auto db = open(dir);
  store::engine_index index;
  const auto r = record_of(1, {{"A-1", 1}});
  index.apply(r);  // handed over, not yet written
  REQUIRE(index.flush(*db).has_value());
  std::size_t rows = 0;
  auto count = [&](auto, auto) { return ++rows, true; };
  REQUIRE(db->each(store::family::streams, "", "", count).has_value());
  CHECK(rows == 0);
  REQUIRE(db->append_synced({{{here, 1}, r.SerializeAsString()}}).has_value());
  REQUIRE(index.flush(*db).has_value());
  REQUIRE(db->each(store::family::streams, "", "", count).has_value());
  CHECK(rows == 2);
}

TEST_CASE("a log that has lost its end is noticed by the rows that were derived from it") {
  temp_dir dir;
  auto db = open(dir);
  store::engine_index index;
  written_log log{*db, index, {}};
  log.add(record_of(1, {{"A-1", 1}}));
  REQUIRE(index.flush(*db).has_value());
  REQUIRE(db->put_derived(store::family::streams, {{std::string{"c\0\7", 3}, std::string{"\0\0\0\0\0\0\0\2", 8}}}).has_value());
  store::engine_index again;
  const auto loaded = again.load(*db);
  REQUIRE_FALSE(loaded.has_value());
  CHECK(loaded.error().code == errc::corrupted);
}

TEST_CASE("an idempotency key is known for 24 hours of record time, also over a restart") {
  constexpr std::int64_t day_ms = 24 * 3600 * 1000;
  temp_dir dir;
  auto db = open(dir);
  store::engine_index index;
  written_log log{*db, index, {}};
  log.add(record_of(1, {}, 1000, "early"));
  log.add(record_of(2, {}, 2000, "later"));
  log.add(record_of(3, {}, 1000 + day_ms));
  CHECK(index.find_key("usr_ann", "early"));
  REQUIRE(index.flush(*db).has_value());
  log.add(record_of(4, {}, 1001 + day_ms, "new"));
  CHECK_FALSE(index.find_key("usr_ann", "early"));
  CHECK(index.find_key("usr_ann", "later"));
  CHECK_FALSE(index.find_key("usr_bob", "later"));

  if (GENERATE(false, true)) REQUIRE(index.flush(*db).has_value());
  store::engine_index again;
  REQUIRE(again.load(*db).has_value());
  CHECK_FALSE(again.find_key("usr_ann", "early"));
  CHECK(again.find_key("usr_ann", "later"));
}

TEST_CASE("a key that comes again after its day is known anew") {
  constexpr std::int64_t day_ms = 24 * 3600 * 1000;
  store::engine_index index;
  index.apply(record_of(1, {}, 1000, "again"));
  index.apply(record_of(2, {}, 1000 + day_ms, "again"));
  index.apply(record_of(3, {}, 1001 + day_ms));
  REQUIRE(index.find_key("usr_ann", "again"));
  CHECK(index.find_key("usr_ann", "again")->at.index == 2);
}

TEST_CASE("deadlines come due in order, and stay due until a record moves them") {
  store::engine_index index;
  CHECK_FALSE(index.next_deadline());
  index.apply(record_of(1, {{"A-1", 1, 3000}, {"A-2", 1, 1000}, {"A-3", 1, 2000}, {"A-4", 1, 0}}));
  auto names = [&](std::int64_t now_ms, std::size_t limit) {
    std::string all;
    for (const auto& d : index.due_at(from_ms(now_ms), limit)) all += d.entity.name() + " ";
    return all;
  };
  CHECK(index.next_deadline() == from_ms(1000));
  CHECK(names(999, 10) == "");
  CHECK(names(2000, 10) == "A-2 A-3 ");
  CHECK(names(2000, 10) == "A-2 A-3 ");
  CHECK(names(9999, 2) == "A-2 A-3 ");
  index.apply(record_of(2, {{"A-2", 2, 4000}, {"A-3", 2, 0}}));
  CHECK(names(9999, 10) == "A-1 A-2 ");
  CHECK(index.next_deadline() == from_ms(3000));
}

TEST_CASE("an event that doesn't follow its stream stops the node") {
  CHECK(aborts([] { store::engine_index{}.apply(record_of(1, {{"A-1", 2}})); }));
  CHECK(aborts([] { store::engine_index{}.apply(record_of(2, {})); }));
  CHECK_FALSE(aborts([] { store::engine_index{}.apply(record_of(1, {{"A-1", 1}, {"A-1", 2}})); }));
}

TEST_CASE("two names never share a place in the index because their parts touch") {
  CHECK(store::hash_of(seat_ref("shw_a", "b")) != store::hash_of(seat_ref("shw_ab", "")));
  CHECK(store::hash_of(seat_ref("s", "x")) != store::hash_of(usher::stock_ref("s", "x")));
  CHECK(store::hash_of_key("u", "vk") != store::hash_of_key("uv", "k"));
  CHECK(store::hash_of_key(std::string(300, 'u'), "k") != store::hash_of_key(std::string(300, 'u'), "l"));
}
