// The simulated disk, alone and under a database: it loses all that it may lose, and nothing else.

#include <catch2/catch.hpp>

#include <set>

#include "store/database.hpp"
#include "tests/simulation/disk.hpp"

namespace usher::tests {
namespace {

constexpr std::uint32_t here = 7;

std::string content(const disk_files& files, const std::string& name) {
  const auto file = files.find(name);
  return file ? file->bytes : "no file";
}

std::unique_ptr<store::database> open(disk& d) { return std::move(store::database::open(d.directory, d.env.get()).value()); }

std::string record(std::uint64_t index) {
  v1::Record r;
  r.set_partition(here);
  r.set_index(index);
  return r.SerializeAsString();
}

result<void> append(store::database& db, std::uint64_t index) { return db.append_synced({{{here, index}, record(index)}}); }

}  // namespace

TEST_CASE("a power cut leaves the synced bytes of a file and a beginning of the others") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed != 100; ++seed) {
    disk_files files;
    const auto log = files.create("/x/1.log");
    CHECK(files.append("/x/1.log", *log, "abc"));
    CHECK(files.sync("/x/1.log", *log));
    CHECK(files.sync_names());
    CHECK(files.append("/x/1.log", *log, "de"));
    files.cut_power();
    CHECK_FALSE(files.append("/x/1.log", *log, "f"));
    const auto lost = files.restart(seed);
    seen.insert(content(files, "/x/1.log"));
    CHECK(lost.bytes + lost.kept == 2);
  }
  CHECK(seen == std::set<std::string>{"abc", "abcd", "abcde"});
}

TEST_CASE("a power cut leaves the names that were synced and the first of the later changes") {
  std::set<std::vector<std::string>> seen;
  for (std::uint64_t seed = 0; seed != 100; ++seed) {
    disk_files files;
    files.create("/x/old");
    CHECK(files.sync_names());
    files.create("/x/new");
    CHECK(files.rename("/x/new", "/x/newer"));
    CHECK(files.remove("/x/old"));
    files.cut_power();
    files.restart(seed);
    seen.insert(files.names_in("/x"));
  }
  CHECK(seen == std::set<std::vector<std::string>>{{"old"}, {"new", "old"}, {"newer", "old"}, {"newer"}});
}

TEST_CASE("what could not be synced once is never safe again") {
  disk_files files;
  const auto log = files.create("/x/1.log");
  CHECK(files.sync_names());
  CHECK(files.append("/x/1.log", *log, "abc"));
  files.before_log_sync = [] { return false; };
  CHECK_FALSE(files.sync("/x/1.log", *log));
  files.before_log_sync = nullptr;
  CHECK(files.sync("/x/1.log", *log));
  CHECK(log->synced == 0);
}

TEST_CASE("a database over it has every record that was synced, and takes no more after a failure") {
  for (std::uint64_t seed = 0; seed != 50; ++seed) {
    INFO("seed " << seed);
    disk d;
    {
      const auto db = open(d);
      REQUIRE(append(*db, 1).has_value());
      REQUIRE(append(*db, 2).has_value());
      d.files.before_log_sync = [] { return false; };
      CHECK_FALSE(append(*db, 3).has_value());
      d.files.before_log_sync = nullptr;
      CHECK_FALSE(append(*db, 4).has_value());
      d.files.cut_power();
    }
    d.files.restart(seed);
    const auto db = open(d);
    const auto end = db->durable_end(here);
    CHECK((end == 2 || end == 3));
    CHECK(db->last_stored(here).value() == record(end));
  }
}

}  // namespace usher::tests
