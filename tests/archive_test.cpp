// Records that left the log for files of their own, and the index that leaves its rows where they are.

#include <catch2/catch.hpp>

#include <rocksdb/db.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "projections/verification.hpp"
#include "store/archive.hpp"
#include "store/audit.hpp"
#include "store/journal.hpp"
#include "store/stream.hpp"
#include "tests/client.hpp"
#include "tests/command_line.hpp"

namespace usher::tests {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t here = 7;
constexpr std::int64_t start_ms = 1'800'000'000'000;

/// A show that lives in this partition.
std::string show_in(std::uint32_t partition) {
  static std::map<std::uint32_t, std::string> known;
  auto& id = known[partition];
  for (int i = 0; id.empty() || partition_of(id) != partition; ++i) id = "shw_" + std::to_string(i);
  return id;
}

/// The engine's side of a log: the index and the journal over one database.
struct office {
  explicit office(const std::string& directory, std::size_t streams_max = store::streams_kept) : index{streams_max} {
    db = store::database::open(directory).value();
    index.load(*db).value();
    journal = std::make_unique<store::journal>(*db, index, store::journal::hooks{});
    journal->load().value();
  }
  /// A record of a partition that touches these seats next.
  void record(std::uint32_t partition, std::int64_t at_ms, const std::vector<std::string>& seats, std::int64_t deadline_ms = 0) {
    auto r = std::make_unique<v1::Record>();
    r->set_partition(partition);
    r->set_at_ms(at_ms);
    for (const auto& seat : seats) {
      auto& e = *r->add_events();
      *e.mutable_stream() = seat_ref(show_in(partition), seat);
      e.set_version(index.head(e.stream()).version + 1);
      e.set_deadline_ms(deadline_ms);
      e.mutable_seat()->mutable_held()->set_reservation_id("rsv_" + std::to_string(e.version()));
    }
    journal->hand_over(std::move(r), {});
  }
  void write() {
    while (journal->write_round()) {
    }
  }
  std::unique_ptr<store::database> db;
  store::engine_index index;
  std::unique_ptr<store::journal> journal;
};

/// Two partitions, a record a second each.
void fill(const std::string& directory, int records) {
  office o{directory};
  for (int i = 0; i != records; ++i)
    for (const auto partition : {here, here + 1}) o.record(partition, start_ms + 1000 * i, {"A-" + std::to_string(i % 10), "B-1"});
  o.write();
  o.index.flush(*o.db).value();
}

time_point second(int n) { return from_ms(start_ms + 1000 * n); }

/// All that can be read of a partition: every record as stored, by scan and one by one.
std::string content_of(const store::database& db, std::uint32_t partition) {
  std::string out;
  std::uint64_t last = 0;
  db.scan_stored(partition, 0, [&](std::uint64_t index, std::string_view stored) {
    CHECK(index == ++last);
    out.append(stored);
    return true;
  }).value();
  CHECK(last == db.durable_end(partition));
  for (std::uint64_t i = 1; i <= last; ++i) {
    const auto one = db.read({partition, i}).value();
    REQUIRE(one);
    CHECK(one->index() == i);
  }
  CHECK(db.read({partition, last + 1}).value() == nullptr);
  return out;
}

/// Takes the first records of a partition out of a log that is closed.
void take_out(const std::string& log, std::uint32_t partition, std::uint64_t upto) {
  std::vector<std::string> names;
  REQUIRE(rocksdb::DB::ListColumnFamilies({}, log, &names).ok());
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const auto& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions{});
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  REQUIRE(rocksdb::DB::Open({}, log, families, &handles, &raw).ok());
  const std::unique_ptr<rocksdb::DB> db{raw};
  for (auto* handle : handles) {
    for (std::uint64_t i = 1; handle->GetName() == "log" && i <= upto; ++i) REQUIRE(db->Delete({}, handle, store::log_key(partition, i)).ok());
    REQUIRE(db->DestroyColumnFamilyHandle(handle).ok());
  }
}

void flip_byte(const std::string& path, std::uint64_t at) {
  std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
  file.seekg(static_cast<std::streamoff>(at));
  const auto byte = static_cast<char>(file.get() ^ 0x20);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

}  // namespace

TEST_CASE("archived records are read as if they were still in the log, also after a restart and from a copy") {
  temp_dir dir;
  const auto log = dir.path + "/db";
  fill(log, 100);
  std::string before;
  {
    auto db = store::database::open(log).value();
    before = content_of(*db, here);
    CHECK(store::archivable(*db, second(40)).value() == 80);
    const auto done = store::archive_before(*db, second(40), "").value();
    CHECK(done.records == 80);
    CHECK(done.segments == 2);
    CHECK(content_of(*db, here) == before);
    CHECK(store::archivable(*db, second(40)).value() == 0);
    CHECK(store::archive_before(*db, second(60), "").value().records == 40);
    CHECK(content_of(*db, here) == before);
    std::vector<std::uint64_t> seen;
    db->scan_stored(here, 39, [&](std::uint64_t index, std::string_view) { return seen.push_back(index), seen.size() != 4; }).value();
    CHECK(seen == std::vector<std::uint64_t>{39, 40, 41, 42});
    db->copy_to(dir.path + "/copy").value();
  }
  office again{log};
  CHECK(content_of(*again.db, here) == before);
  CHECK(store::verify_all(*again.db).value().records == 200);
  const auto head = again.index.head(seat_ref(show_in(here), "A-3"));
  CHECK(store::read_stream(*again.db, seat_ref(show_in(here), "A-3"), head.index).value().size() == 10);
  again.record(here, start_ms + 1'000'000, {"A-3"});
  again.write();
  CHECK(store::verify_chain(*again.db, here).value().records == 101);

  const auto copy = store::database::open_read_only(dir.path + "/copy").value();
  CHECK(content_of(*copy, here) == before);
}

TEST_CASE("the last record of a partition stays, and a clock that steps backwards splits nothing") {
  temp_dir dir;
  {
    office o{dir.path};
    for (const auto at : {100, 300, 200, 400, 500}) o.record(here, start_ms + at, {"A-1"});
    o.write();
  }
  auto db = store::database::open(dir.path).value();
  // The third record is of an earlier time than the second, which is not before 250.
  CHECK(store::archivable(*db, from_ms(start_ms + 250)).value() == 1);
  CHECK(store::archivable(*db, from_ms(start_ms + 400)).value() == 3);
  CHECK(store::archive_before(*db, from_ms(start_ms + 10'000), "").value().records == 4);
  CHECK(store::verify_chain(*db, here).value().records == 5);
  CHECK(db->last_stored(here).value().size() > 0);
}

TEST_CASE("archiving that is interrupted anywhere leaves a log that reads alike, and can be done again") {
  const int step = GENERATE(0, 1, 2, 3);
  temp_dir dir;
  const auto log = dir.path + "/db";
  fill(log, 50);
  std::string before;
  {
    auto db = store::database::open(log).value();
    before = content_of(*db, here);
    auto file = db->write_segment(here, "");
    for (std::uint64_t i = 1; i <= 20; ++i) {
      const auto one = db->read({here, i}).value();
      file.add(i, one->SerializeAsString()).value();
    }
    if (step >= 1) {
      const auto made = file.finish().value();  // a file, and no word of it in the database
      const auto line = "7 1 20 " + std::to_string(made.bytes) + " " + made.sha256 + " " + made.file + " \n";
      if (step >= 2) db->put_meta("segments", line).value();  // listed, and everything is still in the log
    }
  }
  if (step == 3) {  // some of it was taken out, and the rest was not
    take_out(log, here, 12);
  }
  auto db = store::database::open(log).value();
  CHECK(content_of(*db, here) == before);
  CHECK(db->archived().size() == (step >= 2 ? 1 : 0));
  CHECK(store::archive_before(*db, second(30), "").value().records == (step >= 2 ? 40 : 60));
  CHECK(content_of(*db, here) == before);
  CHECK(store::check_segments(*db).value().found.empty());
  for (const auto& entry : fs::directory_iterator{db->segment_directory()}) CHECK(entry.path().extension() == ".sst");
}

TEST_CASE("checking an archived log never goes back on how far it is, and names files that are no segments") {
  temp_dir dir;
  fill(dir.path + "/db", 4000);
  { auto db = store::database::open(dir.path + "/db").value(); store::archive_before(*db, second(3900), "").value(); }
  std::ofstream{dir.path + "/db/segments/pictures.sst"} << "of a hall";
  projections::verify_options options;
  options.data_directory = dir.path;
  options.database_directory = dir.path + "/db";
  std::uint64_t furthest = 0, all = 0, fell_back = 0;
  options.advance = [&](std::uint64_t done, std::uint64_t total) {
    fell_back += done < furthest;
    furthest = done;
    all = total;
    return true;
  };
  const auto checked = projections::verify(options).value();
  CHECK(checked.log.records == 8000);
  CHECK(checked.unchecked == std::vector<std::string>{"db/segments/pictures.sst"});
  CHECK(fell_back == 0);
  CHECK(furthest <= all);
}

TEST_CASE("two databases and other people's files share a directory, and none of them loses any") {
  temp_dir dir;
  const auto shared = dir.path + "/shared";
  fs::create_directories(shared);
  for (const auto* name : {"pictures.sst", "p007-000000000001-000000000010.sst", "p7.new"}) std::ofstream{shared + "/" + name} << "foreign";
  std::vector<std::string> content;
  for (const auto* name : {"/one", "/two"}) {
    fill(dir.path + name, 50);
    auto db = store::database::open(dir.path + name).value();
    content.push_back(content_of(*db, here));
    for (const int upto : {20, 40}) CHECK(store::archive_before(*db, second(upto), shared).value().records == 40);
  }
  for (const int i : {0, 1}) {
    auto db = store::database::open(dir.path + (i == 0 ? "/one" : "/two")).value();
    CHECK(db->archived().size() == 4);
    CHECK(store::check_segments(*db).value().found.empty());
    CHECK(content_of(*db, here) == content[static_cast<std::size_t>(i)]);
  }
  for (const auto* name : {"pictures.sst", "p007-000000000001-000000000010.sst", "p7.new"}) CHECK(fs::file_size(shared + "/" + name) == 7);
}

TEST_CASE("what a run that was killed left elsewhere is removed by the next one, and nothing beside it") {
  temp_dir dir;
  const auto place = dir.path + "/elsewhere/usher-0123456789abcdef";
  fill(dir.path + "/db", 50);
  auto db = store::database::open(dir.path + "/db").value();
  fs::create_directories(place);
  std::ofstream{dir.path + "/elsewhere/p7.new"} << "foreign";
  std::ofstream{place + "/p7.new"} << "half a segment";
  db->put_meta("archiving", place).value();
  CHECK(store::archive_before(*db, second(20), dir.path + "/elsewhere").value().records == 40);
  CHECK_FALSE(fs::exists(place));
  CHECK(fs::exists(dir.path + "/elsewhere/p7.new"));
  CHECK_FALSE(db->get(store::family::meta, "archiving").value());
}

TEST_CASE("a segment is never written over a file") {
  temp_dir dir;
  fill(dir.path + "/db", 5);
  auto db = store::database::open(dir.path + "/db").value();
  const auto there = dir.path + "/p007-000000000001-000000000001.sst";
  std::ofstream{there} << "foreign";
  auto file = db->write_segment(here, dir.path);
  file.add(1, db->read({here, 1}).value()->SerializeAsString()).value();
  CHECK_FALSE(file.finish().has_value());
  CHECK(fs::file_size(there) == 7);
}

TEST_CASE("a segment that is missing or damaged is an error that names its file, and never a shorter log") {
  temp_dir dir;
  const auto log = dir.path + "/db";
  fill(log, 200);
  { auto db = store::database::open(log).value(); store::archive_before(*db, second(150), dir.path + "/elsewhere").value(); }
  std::string path;
  std::uint64_t size = 0;
  {
    auto db = store::database::open(log).value();
    REQUIRE(db->archived().size() == 2);
    CHECK(store::check_segments(*db).value().found.empty());
    CHECK(store::verify_all(*db).value().records == 400);
    path = db->path_of(db->archived().front());
    CHECK(path.starts_with(dir.path + "/elsewhere/"));
    size = fs::file_size(path);
  }
  const auto complaint = [&] {
    auto db = store::database::open(log).value();
    const auto faults = store::check_segments(*db).value().found;
    CHECK(faults.size() == 1);
    return faults.empty() ? std::string{} : faults.front().place;
  };
  for (const auto at : {std::uint64_t{0}, size / 3, size / 2, size - 1}) {
    flip_byte(path, at);
    CHECK(complaint().find(path) != std::string::npos);
    flip_byte(path, at);
  }
  flip_byte(path, 100);
  {
    auto db = store::database::open(log).value();
    const auto read = store::verify_chain(*db, here);
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().detail.find(path) != std::string::npos);
    CHECK_FALSE(db->read({here, 1}).has_value());
    CHECK(store::verify_chain(*db, here + 1).has_value());
  }
  fs::remove(path);
  CHECK(complaint().find(path) != std::string::npos);
  auto db = store::database::open(log).value();
  CHECK(store::verify_chain(*db, here).error().detail.find(path) != std::string::npos);
}

TEST_CASE("the index reads the streams that it is asked for, and drops what is on disk when there are too many") {
  temp_dir dir;
  constexpr int streams = 3000;
  {
    office o{dir.path, 500};
    for (int i = 0; i != streams; ++i) o.record(here, start_ms + i, {"S-" + std::to_string(i)}, i % 100 == 0 ? start_ms * 2 + i : 0);
    o.write();
    o.index.flush(*o.db).value();
    CHECK(o.index.streams_in_memory() <= 1500);
    // What was dropped is known, may change again, and is dropped again.
    for (int round = 2; round != 5; ++round) {
      for (int i = 0; i != streams; ++i) {
        if (o.index.head(seat_ref(show_in(here), "S-" + std::to_string(i))).version != static_cast<std::uint64_t>(round - 1)) FAIL("a stream is forgotten");
        if (i % 3 == 0) o.record(here, start_ms + i, {"S-" + std::to_string(i)});
        else o.record(here, start_ms + i, {"S-" + std::to_string(i)}, i % 100 == 1 ? start_ms * 2 + i : 0);
        if (i % 700 == 0) {
          o.write();
          o.index.flush(*o.db).value();
        }
      }
      o.write();
      o.index.flush(*o.db).value();
    }
    // Deadlines don't need their streams in memory.
    CHECK(o.index.due_at(from_ms(start_ms * 3), 10'000).size() == 20);
  }
  office again{dir.path};
  CHECK(again.index.streams_in_memory() == 0);
  CHECK(again.index.head(seat_ref(show_in(here), "S-7")).version == 4);
  CHECK(again.index.head(seat_ref(show_in(here), "nowhere")).version == 0);
  CHECK(again.index.due_at(from_ms(start_ms * 3), 10'000).size() == 20);
  // A record for a stream that nobody asked for.
  auto r = std::make_unique<v1::Record>();
  r->set_partition(here);
  auto& e = *r->add_events();
  *e.mutable_stream() = seat_ref(show_in(here), "S-8");
  e.set_version(5);
  e.mutable_seat()->mutable_released();
  again.journal->hand_over(std::move(r), {});
  again.write();
  CHECK(store::read_stream(*again.db, seat_ref(show_in(here), "S-8"), again.index.head(seat_ref(show_in(here), "S-8")).index).value().size() == 5);
}

TEST_CASE("a start reads no streams, however many there are") {
  const auto events = number_from_environment("USHER_TEST_EVENTS", 20'000);
  temp_dir dir;
  {
    office o{dir.path};
    for (std::uint64_t i = 0; i < events; ++i) {
      // Each stream has four events, and one in a hundred waits for a deadline.
      o.record(static_cast<std::uint32_t>(i / 4 % 200), start_ms + static_cast<std::int64_t>(i), {"S-" + std::to_string(i / 4)}, i % 400 == 3 ? start_ms * 2 : 0);
      if (i % 1024 == 0) o.write();
      if (i % 100'000 == 0) o.index.flush(*o.db).value();
    }
    o.write();
    o.index.flush(*o.db).value();
    o.db->flush().value();
  }
  const auto began = std::chrono::steady_clock::now();
  office again{dir.path};
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  CHECK(again.index.streams_in_memory() == 0);
  CHECK(again.index.head(seat_ref(show_in(1), "S-1")).version == 4);
  CHECK(again.index.due_at(from_ms(start_ms * 3), 1'000'000).size() == events / 400);
  if (events > 20'000) WARN(events << " events: the log, the index and the journal stood ready after " << took << " s");
}

TEST_CASE("streams that change after the last flush are found after a crash") {
  temp_dir dir;
  {
    office o{dir.path};
    for (int i = 0; i != 50; ++i) o.record(here, start_ms + i, {"S-" + std::to_string(i)});
    o.write();
    o.index.flush(*o.db).value();
    o.db->flush().value();
    for (int i = 0; i != 25; ++i) o.record(here, start_ms + i, {"S-" + std::to_string(i)});
    o.write();
  }  // what was not flushed is lost
  office again{dir.path};
  CHECK(again.index.head(seat_ref(show_in(here), "S-3")).version == 2);
  CHECK(again.index.head(seat_ref(show_in(here), "S-30")).version == 1);
}

TEST_CASE("an operator archives from the command line, and the node starts on what is left") {
  test_node n;
  const auto director = n.token("op_director", http::role::operator_);
  for (int i = 0; i != 5; ++i) {
    const auto opened = client{n}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","startsAt":"2030-03-01T19:30:00Z",
        "tiers":[{"name":"all","price":1000}],"sections":[{"name":"floor","kind":"generalAdmission","tier":"all","stock":10}]})", director, "show-" + std::to_string(i));
    REQUIRE(opened.status == 201);
    const auto show = opened.text("showId");
    REQUIRE(client{n}.post("/reservations", R"({"showId":")" + show + R"(","userId":"usr_ann","generalAdmission":[{"section":"floor","quantity":1}]})", director).status == 201);
    n.clock.advance(std::chrono::hours{1});
  }
  CHECK(run("archive --data " + n.directory() + " --before 2027-01-15T11:30:00Z").code == 1);  // it runs
  n.stop();
  CHECK(run("archive --data " + n.directory() + " --before soon").code == 2);
  const auto said = run("archive --data " + n.directory() + " --before 2027-01-15T11:30:00Z --json");
  INFO(said.text);
  CHECK(said.code == 0);
  CHECK(boost::json::parse(said.text).at("records").to_number<int>() > 0);
  const auto verified = run("verify --data " + n.directory());
  INFO(verified.text);
  CHECK(verified.code == 0);
  n.start();
  CHECK(client{n}.get("/shows", director).json().at("items").as_array().size() == 5);
  CHECK_FALSE(client{n}.get("/readyz").json().contains("notAuditing"));
  CHECK(client{n}.get("/metrics").body.find("usher_audit_stopped 0") != std::string::npos);

  // A segment that is lost is no defect of the program: the node sells on, and says what is missing.
  n.stop();
  std::string lost;
  for (const auto& entry : fs::directory_iterator{n.directory() + "/db/segments"}) lost = entry.path().filename().string();
  fs::remove(n.directory() + "/db/segments/" + lost);
  n.start();
  client c{n};
  REQUIRE(eventually([&] { return c.get("/readyz").json().contains("notAuditing"); }));
  CHECK(c.get("/readyz").status == 200);
  CHECK(c.get("/readyz").text("notAuditing").find(lost) != std::string::npos);
  CHECK(c.get("/metrics").body.find("usher_audit_stopped 1") != std::string::npos);
  const auto partition = std::to_string(std::stoi(lost.substr(1, 3)));
  const auto log = c.get("/audit/log?partition=" + partition, director);
  INFO(log.body);
  CHECK(log.status == 500);
  CHECK(log.text("code") == "stream-unreadable");
  CHECK(log.text("detail").find(lost) != std::string::npos);
  const auto shows = c.get("/shows", director).json();
  for (const auto& show : shows.at("items").as_array()) {
    const std::string id{show.at("showId").as_string()};
    if (std::to_string(partition_of(id)) != partition) continue;
    for (const auto& path : {"/audit/streams/show/" + id, "/shows/" + id + "/seats?asOf=2027-01-15T12:00:00Z"}) {
      const auto told = c.get(path, director);
      INFO(path << ' ' << told.body);
      CHECK(told.status == 500);
      CHECK(told.text("detail").find(lost) != std::string::npos);
    }
    CHECK(c.get("/shows/" + id + "/seats?asOf=2027-01-15T12:00:00Z").body.find(lost) == std::string::npos);
  }
}

}  // namespace usher::tests
