// Backups of a node that serves and of one that is stopped, and the nodes that are made of them.

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include "http/secret.hpp"
#include "store/archive.hpp"
#include "store/audit.hpp"
#include "store/backup.hpp"
#include "tests/client.hpp"
#include "tests/command_line.hpp"

namespace usher::tests {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

/// A node with a show, a user who can log in, and reservations.
struct box_office : test_node {
  std::string director = token("op_director", http::role::operator_);
  std::string show;

  box_office() {
    const auto opened = client{*this}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","startsAt":"2030-03-01T19:30:00Z",
        "tiers":[{"name":"all","price":1000}],"sections":[{"name":"floor","kind":"generalAdmission","tier":"all","stock":1000}]})", director);
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    show = opened.text("showId");
    const auto signed_up = client{*this}.post("/users", R"({"name":"Ann Example","email":"ann@example.org","password":"correct horse"})", "");
    INFO(signed_up.body);
    REQUIRE(signed_up.status == 201);
    reserve(5);
  }
  void reserve(int times) {
    client c{*this};
    for (int i = 0; i != times; ++i) {
      const auto made = c.post("/reservations", R"({"showId":")" + show + R"(","userId":"usr_ann","generalAdmission":[{"section":"floor","quantity":1}]})", director);
      INFO(made.body);
      REQUIRE((made.status == 201 || made.status == 409));
    }
  }
  /// Waits for an operation's end. @return it
  json::object done(const answer& begun) {
    INFO(begun.body);
    REQUIRE(begun.status == 202);
    json::object last;
    REQUIRE(eventually([&] {
      last = client{*this}.get("/operations/" + begun.text("operationId"), director).json();
      return last.at("state") == "SUCCEEDED" || last.at("state") == "FAILED";
    }));
    return last;
  }
  json::object back_up(const std::string& name) { return done(client{*this}.post("/admin/backup", R"({"name":")" + name + R"("})", director)); }
};

std::string chain_of(const std::string& data) {
  const auto db = store::database::open_read_only(log_directory(data)).value();
  std::string out;
  for (std::uint32_t p = 0; p != partition_count; ++p) out += store::verify_chain(*db, p).value().last_hash;
  return out;
}

/// A node of this process on a directory that is there already.
struct other_node {
  explicit other_node(const std::string& data, const wall_clock& clock) {
    auto config = default_configuration();
    config.set_data_directory(data);
    config.set_listen_port(0);
    running = node::start(config, clock).value();
  }
  std::unique_ptr<node> running;
};

std::vector<std::string> files_below(const std::string& directory) {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator{directory})
    if (entry.is_regular_file()) out.push_back(entry.path().string());
  std::ranges::sort(out);
  return out;
}

void flip_byte(const std::string& path, std::uint64_t at) {
  std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
  file.seekg(static_cast<std::streamoff>(at));
  const auto byte = static_cast<char>(file.get() ^ 0x04);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

}  // namespace

TEST_CASE("a node that serves is backed up, and what is restored has everything up to then") {
  box_office n;
  const auto made = n.back_up("evening");
  INFO(json::serialize(made));
  REQUIRE(made.at("state") == "SUCCEEDED");
  const auto records = made.at("result").at("records").to_number<std::uint64_t>();
  CHECK(records >= 7);
  n.reserve(3);
  const auto listed = client{n}.get("/admin/backups", n.director).json().at("items").as_array();
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].at("name") == "evening");
  CHECK(listed[0].at("records").to_number<std::uint64_t>() == records);

  temp_dir elsewhere;
  const auto data = elsewhere.path + "/data";
  const auto restored = store::restore_backup(n.directory() + "/backups/evening", data);
  REQUIRE(restored.has_value());
  CHECK(restored->records == records);
  CHECK(store::verify_all(*store::database::open_read_only(log_directory(data)).value()).value().records == records);
  for (const auto& place : {data, data + "/db"}) CHECK(fs::status(place).permissions() == fs::perms::owner_all);
  CHECK(fs::status(data + "/secret").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  other_node again{data, n.clock};
  // A token of the old node is one of the new one, and Ann can log in with her sealed password.
  client c{again.running->port()};
  CHECK(c.get("/shows/" + n.show, n.director).status == 200);
  CHECK(c.post("/auth/login", R"({"email":"ann@example.org","password":"correct horse"})", "").status == 200);
  CHECK(c.post("/auth/login", R"({"email":"ann@example.org","password":"wrong"})", "").status == 401);
}

/// What a replay says that follows from the log alone: the hashes of all entities and of every read model.
std::string hashes_in(const json::object& replay) {
  CHECK(replay.at("same").as_bool());
  auto out = std::string{replay.at("positionsHash").as_string()} + ' ' + std::string{replay.at("stateHash").as_string()};
  for (const auto& view : replay.at("views").as_array()) ((out += ' ') += view.at("name").as_string()) += view.at("hash").as_string();
  return out;
}
std::string hashes_of(const std::string& data) {
  const auto told = run("replay --json --data " + data);
  INFO(told.text);
  REQUIRE(told.code == 0);
  return hashes_in(json::parse(told.text).as_object());
}

TEST_CASE("a running node, the same after a restart, its backup and its export imported elsewhere fold to the same state") {
  box_office office;
  temp_dir elsewhere;
  const auto replay = [&] { return hashes_in(office.done(client{office}.post("/admin/replay", "{}", office.director)).at("result").as_object()); };
  const auto live = replay();
  office.restart();
  CHECK(replay() == live);
  CHECK(office.back_up("evening").at("state") == "SUCCEEDED");
  office.stop();
  CHECK(hashes_of(office.directory()) == live);
  CHECK(run("restore " + office.directory() + "/backups/evening --data " + elsewhere.path + "/restored").code == 0);
  CHECK(hashes_of(elsewhere.path + "/restored") == live);
  CHECK(run("export --data " + office.directory() + " --out " + elsewhere.path + "/log").code == 0);
  CHECK(run("import " + elsewhere.path + "/log --data " + elsewhere.path + "/imported").code == 0);
  CHECK(hashes_of(elsewhere.path + "/imported") == live);
}

TEST_CASE("two backups of one name, and names that lead elsewhere, are refused") {
  box_office n;
  CHECK(n.back_up("a").at("state") == "SUCCEEDED");
  const auto again = n.back_up("a");
  CHECK(again.at("state") == "FAILED");
  CHECK(std::string{again.at("error").as_string()}.find("already") != std::string::npos);
  for (const auto* name : {"../x", "a/b", ".hidden", "..", "x.partial", "a b"})
    CHECK(client{n}.post("/admin/backup", json::serialize(json::object{{"name", name}}), n.director).status == 400);
  CHECK(client{n}.post("/admin/backup", "{}", n.token("usr_ann")).status == 403);
  CHECK(client{n}.get("/admin/backups", n.token("usr_ann")).status == 403);
  CHECK(files_below(n.directory() + "/backups/a").size() > 3);
  CHECK_FALSE(fs::exists(n.directory() + "/backups/a.partial"));
}

TEST_CASE("a backup in which any file was changed, lost or added is refused, and leaves no log") {
  box_office n;
  n.stop();
  const auto made = run("backup --data " + n.directory() + " --name b --to " + n.directory() + "/kept");
  INFO(made.text);
  REQUIRE(made.code == 0);
  const auto backup = n.directory() + "/kept/b";
  temp_dir elsewhere;
  const auto data = elsewhere.path + "/data";
  const auto refused = [&](const std::string& names) {
    const auto restored = run("restore " + backup + " --data " + data);
    INFO(restored.text);
    CHECK(restored.code == 1);
    CHECK(restored.text.find(names) != std::string::npos);
    CHECK_FALSE(fs::exists(data + "/db"));
  };
  for (const auto& file : files_below(backup)) {
    if (fs::file_size(file) == 0) continue;
    for (const auto at : {std::uint64_t{0}, fs::file_size(file) / 2, fs::file_size(file) - 1}) {
      flip_byte(file, at);
      if (const auto restored = store::restore_backup(backup, data); restored || restored.error().detail.find(fs::path{file}.filename().string()) == std::string::npos) {
        INFO((restored ? "restored" : restored.error().detail));
        FAIL_CHECK(file << " was changed at " << at);
        fs::remove_all(data);
      }
      CHECK_FALSE(fs::exists(data + "/db"));
      flip_byte(file, at);
    }
  }
  { std::ofstream{backup + "/db/stranger.sst"} << "x"; }
  refused("stranger.sst");
  fs::remove(backup + "/db/stranger.sst");
  fs::rename(backup + "/db/CURRENT", backup + "/away");
  fs::rename(backup + "/away", elsewhere.path + "/away");
  refused("CURRENT");
  fs::rename(elsewhere.path + "/away", backup + "/db/CURRENT");
  const auto restored = run("restore " + backup + " --data " + data + " --json");
  INFO(restored.text);
  CHECK(restored.code == 0);
  CHECK(chain_of(data) == chain_of(n.directory()));
  CHECK(run("restore " + backup + " --data " + data).code == 2);  // it has a log now
}

TEST_CASE("what killed backups, restores and imports left is removed, and nothing else") {
  box_office n;
  n.stop();
  const fs::path data{n.directory()};
  const auto leave = [](const fs::path& directory, const char* file) {
    fs::create_directories(directory);
    std::ofstream{directory / file} << "x";
  };
  for (const auto* dead : {"db.restoring", "db.importing", "backups/a.partial"}) leave(data / dead, "secret");
  leave(data / "backups/mine.partial", "pictures");
  n.start();
  for (const auto* dead : {"db.restoring", "db.importing", "backups/a.partial"}) CHECK_FALSE(fs::exists(data / dead));
  CHECK(fs::exists(data / "backups/mine.partial/pictures"));
  leave(data / "backups/b.partial", "secret");
  CHECK(n.back_up("b").at("state") == "SUCCEEDED");
  CHECK_FALSE(fs::exists(data / "backups/b.partial"));
}

TEST_CASE("a directory for backups that is there keeps its mode, and a backup is for its owner alone") {
  box_office n;
  const fs::path place{n.directory() + "/backups"};
  fs::create_directories(place);
  const auto open_to_group = fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec;
  fs::permissions(place, open_to_group);
  REQUIRE(n.back_up("a").at("state") == "SUCCEEDED");
  CHECK(fs::status(place).permissions() == open_to_group);
  CHECK(fs::status(place / "a").permissions() == fs::perms::owner_all);
}

TEST_CASE("a data directory that a node makes is for its owner alone, and one that is there keeps its mode, but not its log") {
  settable_clock clock;
  temp_dir elsewhere;
  const auto data = elsewhere.path + "/made/data/";
  { const other_node first{data, clock}; }
  for (const auto& place : {data, data + "db"}) CHECK(fs::status(place).permissions() == fs::perms::owner_all);
  CHECK(fs::status(elsewhere.path + "/made").permissions() != fs::perms::owner_all);
  const auto open_to_all = fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec;
  for (const auto& place : {data, data + "db"}) fs::permissions(place, open_to_all);
  { const other_node again{data, clock}; }
  CHECK(fs::status(data).permissions() == open_to_all);
  CHECK(fs::status(data + "db").permissions() == fs::perms::owner_all);
}

TEST_CASE("a data directory with a secret of its own is left alone") {
  box_office n;
  n.back_up("c");
  temp_dir elsewhere;
  REQUIRE(http::secret_from(secret_file(elsewhere.path)).has_value());
  const auto restored = store::restore_backup(n.directory() + "/backups/c", elsewhere.path);
  REQUIRE_FALSE(restored.has_value());
  CHECK(restored.error().code == errc::invalid_argument);
  CHECK(restored.error().detail.find("secret") != std::string::npos);
  CHECK_FALSE(fs::exists(elsewhere.path + "/db"));
  CHECK_FALSE(fs::exists(elsewhere.path + "/db.restoring"));
}

TEST_CASE("a backup holds the archived segments, also those that lie elsewhere") {
  box_office n;
  n.clock.advance(std::chrono::hours{1});
  n.reserve(5);
  n.stop();
  temp_dir elsewhere;
  const auto archived = run("archive --data " + n.directory() + " --before 2027-01-15T08:30:00Z --to " + elsewhere.path + "/far");
  INFO(archived.text);
  REQUIRE(archived.code == 0);
  const auto before = chain_of(n.directory());
  const auto made = run("backup --data " + n.directory() + " --name d --json");
  INFO(made.text);
  REQUIRE(made.code == 0);
  REQUIRE(fs::exists(n.directory() + "/backups/d/db/segments"));
  CHECK(files_below(n.directory() + "/backups/d/db/segments").size() == files_below(elsewhere.path + "/far").size());
  fs::remove_all(elsewhere.path + "/far");
  const auto data = elsewhere.path + "/data";
  REQUIRE(store::restore_backup(n.directory() + "/backups/d", data).has_value());
  CHECK(chain_of(data) == before);
}

TEST_CASE("backups are made and listed from the command line, of a node that runs and of one that does not") {
  test_node n;
  const auto nothing = run("backup --list --data " + n.directory());
  CHECK(nothing.code == 0);
  CHECK(nothing.text == "no backups\n");
  n.stop();
  CHECK(run("backup --data " + n.directory() + " --name first").code == 0);
  const auto again = run("backup --data " + n.directory() + " --name first");
  CHECK(again.code == 2);
  CHECK(again.text.find("already") != std::string::npos);
  CHECK(run("backup --data " + n.directory() + " --name ../x").code == 2);
  CHECK(run("backup --data " + n.directory() + "/nowhere").code == 2);
  const auto listed = run("backup --list --json --data " + n.directory());
  CHECK(json::parse(listed.text).at("items").as_array().at(0).at("name") == "first");
  n.start();
  const auto server = " --data " + n.directory() + " --server 127.0.0.1:" + std::to_string(n.port()) + " --token " + n.token("op_x", http::role::operator_);
  const auto live = run("backup --name second" + server);
  INFO(live.text);
  CHECK(live.code == 0);
  CHECK(live.text.find("second: ") != std::string::npos);
  CHECK(run("backup --name second" + server).code == 1);
  CHECK(run("backup --name ../x" + server).code == 2);
  CHECK(run("backup --to /tmp --name third" + server).code == 2);
  CHECK(run("backup --list" + server).text.find("second") != std::string::npos);
}

}  // namespace usher::tests
