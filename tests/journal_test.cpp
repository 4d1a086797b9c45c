// The journal on a real RocksDB, over a file system that counts syncs and can refuse them.

#include <catch2/catch.hpp>


#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/send.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

#include "store/audit.hpp"
#include "store/journal.hpp"
#include "store/journal_actor.hpp"
#include "tests/asked_disk.hpp"
#include "tests/support.hpp"

namespace {

using namespace std::chrono_literals;
using usher::seat_ref;
using usher::tests::temp_dir;
namespace v1 = usher::v1;
namespace store = usher::store;

constexpr std::uint32_t here = 3;

/// What the disk is told to do, and what it was asked.
struct disk {
  std::atomic<bool> refuses{false};
  std::atomic<int> log_syncs{0};

  rocksdb::IOStatus before_sync() {
    ++log_syncs;
    return refuses ? rocksdb::IOStatus::IOError("the disk refuses") : rocksdb::IOStatus::OK();
  }
};

/// A journal with everything around it, and what it told.
struct node {
  const temp_dir& dir;
  disk hardware;
  std::unique_ptr<rocksdb::Env> env = usher::tests::asked_disk([this] { return hardware.before_sync(); });
  std::unique_ptr<store::database> db;
  store::engine_index index;
  std::unique_ptr<store::journal> journal;
  int announced = 0;
  int failures = 0;
  std::vector<store::record_ptr> committed;
  std::vector<std::string> told;  // in the order of the calls

  explicit node(const temp_dir& d) : dir{d} {
    auto opened = store::database::open(dir.path, env.get());
    REQUIRE(opened.has_value());
    db = std::move(*opened);
    REQUIRE(index.load(*db).has_value());
    journal = std::make_unique<store::journal>(
        *db, index,
        store::journal::hooks{[this] { ++announced; },
                              [this](const std::vector<store::record_ptr>& records) {
                                told.push_back("committed");
                                committed.insert(committed.end(), records.begin(), records.end());
                              },
                              [this](const usher::failure& f) {
                                CHECK(f.code == usher::errc::io_failure);
                                ++failures;
                              }});
    REQUIRE(journal->load().has_value());
  }

  void hand_over(std::unique_ptr<v1::Record> r) {
    journal->hand_over(std::move(r), [this](std::optional<usher::log_position> at) {
      told.push_back(at ? std::to_string(at->index) : "rejection");
    });
  }
};

std::unique_ptr<v1::Record> touching(std::vector<std::pair<std::string, std::uint64_t>> seats, std::uint32_t partition = here) {
  auto r = std::make_unique<v1::Record>();
  r->set_partition(partition);
  r->set_at_ms(1000);
  for (const auto& [seat, version] : seats) {
    auto& e = *r->add_events();
    *e.mutable_stream() = seat_ref("shw_x" + std::to_string(partition), seat);
    e.set_version(version);
  }
  return r;
}

}  // namespace

TEST_CASE("many records share one sync, and each is told its place only afterwards") {
  temp_dir dir;
  node n{dir};
  const int before = n.hardware.log_syncs;
  for (std::uint64_t i = 1; i <= 100; ++i) n.hand_over(touching({{"A-1", i}}));
  CHECK(n.announced == 1);
  CHECK(n.told.empty());
  CHECK(n.journal->waiting() == 100);
  CHECK_FALSE(n.journal->write_round());
  CHECK(n.hardware.log_syncs == before + 1);
  CHECK(n.journal->waiting() == 0);
  REQUIRE(n.told.size() == 101);
  CHECK(n.told.front() == "committed");
  CHECK(n.told.back() == "100");
  CHECK(n.committed.size() == 100);
  CHECK(n.committed.front()->index() == 1);
  CHECK(n.db->durable_end(here) == 100);
  CHECK(store::verify_chain(*n.db, here).value().records == 100);
}

TEST_CASE("work is announced again once the journal has come to rest") {
  temp_dir dir;
  node n{dir};
  n.hand_over(touching({{"A-1", 1}}));
  n.hand_over(touching({{"A-1", 2}}));
  CHECK(n.announced == 1);
  CHECK_FALSE(n.journal->write_round());
  CHECK_FALSE(n.journal->write_round());
  n.hand_over(touching({{"A-1", 3}}));
  CHECK(n.announced == 2);
}

TEST_CASE("a round takes no more than it may, and the rest follows without another announcement") {
  temp_dir dir;
  node n{dir};
  for (std::uint64_t i = 1; i <= 1500; ++i) n.hand_over(touching({{"A-1", i}}));
  CHECK(n.journal->write_round());
  CHECK(n.db->durable_end(here) == 1024);
  CHECK(n.journal->waiting() == 476);
  CHECK_FALSE(n.journal->write_round());
  CHECK(n.db->durable_end(here) == 1500);
  CHECK(n.announced == 1);
  CHECK(store::verify_chain(*n.db, here).value().records == 1500);
}

TEST_CASE("a round of big records ends at a mebibyte") {
  temp_dir dir;
  node n{dir};
  for (std::uint64_t i = 1; i <= 5; ++i) {
    auto r = touching({{"A-1", i}});
    r->set_causation(std::string(400'000, 'x'));
    n.hand_over(std::move(r));
  }
  CHECK(n.journal->write_round());
  CHECK(n.db->durable_end(here) == 3);
  CHECK_FALSE(n.journal->write_round());
  CHECK(n.db->durable_end(here) == 5);
}

TEST_CASE("a rejection doesn't overtake the record that it rests on, and costs no sync of its own") {
  temp_dir dir;
  node n{dir};
  n.hand_over(touching({{"A-1", 1}}));
  n.hand_over(nullptr);
  n.hand_over(touching({{"A-1", 2}}));
  CHECK(n.told.empty());
  n.journal->write_round();
  CHECK(n.told == std::vector<std::string>{"committed", "1", "rejection", "2"});
  const int before = n.hardware.log_syncs;
  n.hand_over(nullptr);
  CHECK_FALSE(n.journal->write_round());
  CHECK(n.told.back() == "rejection");
  CHECK(n.hardware.log_syncs == before);
}

TEST_CASE("a stream can be followed backwards from its last record to its first") {
  temp_dir dir;
  node n{dir};
  n.hand_over(touching({{"A-1", 1}}));
  n.hand_over(touching({{"A-2", 1}}));
  n.hand_over(touching({{"A-1", 2}, {"A-2", 2}, {"A-1", 3}}));
  n.hand_over(touching({{"A-1", 4}}));
  n.journal->write_round();
  std::vector<std::uint64_t> path;
  for (auto at = n.index.head(seat_ref("shw_x3", "A-1")).index; at != 0;) {
    path.push_back(at);
    at = n.db->read({here, at}).value()->events(0).previous_index();
  }
  CHECK(path == std::vector<std::uint64_t>{4, 3, 1});
  const auto third = n.db->read({here, 3}).value();
  CHECK(third->events(1).previous_index() == 2);
  CHECK(third->events(2).previous_index() == 1);
}

TEST_CASE("the chain of each partition goes on after a restart") {
  temp_dir dir;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    node n{dir};
    n.hand_over(touching({{"A-1", i}}));
    n.hand_over(touching({{"A-1", i}}, here + 1));
    n.journal->write_round();
    if (i == 2) REQUIRE(n.index.flush(*n.db).has_value());
  }
  node n{dir};
  CHECK(store::verify_chain(*n.db, here).value().records == 3);
  CHECK(store::verify_chain(*n.db, here + 1).value().records == 3);
  CHECK(n.db->read({here, 1}).value()->previous_hash().empty());
  CHECK(n.db->read({here, 2}).value()->previous_hash().size() == 32);
  CHECK(n.db->read({here, 2}).value()->epoch() == 1);
}

TEST_CASE("after a failed sync nobody is told anything, and the failure is reported once") {
  temp_dir dir;
  node n{dir};
  n.hand_over(touching({{"A-1", 1}}));
  n.journal->write_round();
  n.told.clear();
  n.hand_over(touching({{"A-1", 2}}));
  n.hand_over(nullptr);
  n.hardware.refuses = true;
  CHECK_FALSE(n.journal->write_round());
  n.hardware.refuses = false;  // a disk that comes back changes nothing
  n.hand_over(touching({{"A-1", 3}}));
  n.hand_over(nullptr);
  CHECK_FALSE(n.journal->write_round());
  CHECK(n.told.empty());
  CHECK(n.failures == 1);
  CHECK(n.announced == 2);
  CHECK_FALSE(n.db->append_synced({}).has_value());
}

TEST_CASE("a decision on an old version of a stream stops the node") {
  temp_dir dir;
  node n{dir};
  n.hand_over(touching({{"A-1", 1}}));
  const auto child = ::fork();
  if (child == 0) {
    ::close(STDERR_FILENO);
    ::signal(SIGABRT, SIG_DFL);
    n.hand_over(touching({{"A-1", 1}}));
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
}

TEST_CASE("threads that hand over at once get every index once, in one valid chain") {
  temp_dir dir;
  node n{dir};
  std::atomic<int> durable{0};
  std::vector<std::thread> actors;
  for (int t = 0; t != 3; ++t) {
    actors.emplace_back([&, t] {
      for (std::uint64_t i = 1; i <= 500; ++i)
        n.journal->hand_over(touching({{"S-" + std::to_string(t), i}}), [&](auto at) { durable += at.has_value(); });
    });
  }
  while (durable < 1500) n.journal->write_round();
  for (auto& t : actors) t.join();
  CHECK(store::verify_chain(*n.db, here).value().records == 1500);
  CHECK(n.index.head(seat_ref("shw_x3", "S-2")).version == 500);
}

TEST_CASE("the journal's actor writes what is announced to it") {
  temp_dir dir;
  auto opened = store::database::open(dir.path);
  REQUIRE(opened.has_value());
  store::engine_index index;
  REQUIRE(index.load(**opened).has_value());
  caf::actor writer;
  store::journal journal{**opened, index, {[&] { caf::anon_send(writer, store::write_atom::value); }, {}, {}}};
  REQUIRE(journal.load().has_value());
  std::promise<void> all_durable;
  caf::actor_system_config config;
  config.set("scheduler.max-threads", 1);
  caf::actor_system system{config};
  writer = store::spawn_journal(system, journal, true);
  for (std::uint64_t i = 1; i <= 2000; ++i)
    journal.hand_over(touching({{"A-1", i}}), [&, i](auto) { if (i == 2000) all_durable.set_value(); });
  CHECK(all_durable.get_future().wait_for(30s) == std::future_status::ready);
  caf::anon_send_exit(writer, caf::exit_reason::user_shutdown);
  system.await_all_actors_done();
  writer = {};  // the system waits for the thread, and the thread until nobody refers to its actor
  CHECK((*opened)->durable_end(here) == 2000);
}
