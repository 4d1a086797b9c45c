// The log as text and back, and what the shell completes.

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "store/audit.hpp"
#include "store/export.hpp"
#include "tests/client.hpp"
#include "tests/command_line.hpp"

namespace usher::tests {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

struct box_office : test_node {
  std::string director = token("op_director", http::role::operator_);
  std::string show;

  box_office() {
    const auto opened = client{*this}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","startsAt":"2030-03-01T19:30:00Z",
        "tiers":[{"name":"all","price":1000}],"sections":[{"name":"floor","kind":"generalAdmission","tier":"all","stock":1000}]})", director);
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    show = opened.text("showId");
    REQUIRE(client{*this}.post("/users", R"({"name":"Ann Example","email":"ann@example.org","password":"correct horse"})", "").status == 201);
    for (int i = 0; i != 4; ++i) {
      clock.advance(std::chrono::minutes{1});  // and nothing expires
      const auto made = client{*this}.post("/reservations", R"({"showId":")" + show + R"(","userId":"usr_)" + std::to_string(i) + R"(","generalAdmission":[{"section":"floor","quantity":1}]})", director);
      INFO(made.body);
      REQUIRE(made.status == 201);
    }
  }
};

std::string content_of(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

/// Every row of the families that an export carries.
std::string stored_in(const std::string& data, bool with_keys) {
  const auto db = store::database::open_read_only(log_directory(data)).value();
  std::string out;
  for (std::uint32_t p = 0; p != partition_count; ++p)
    db->scan_stored(p, 0, [&](std::uint64_t index, std::string_view stored) {
      out.append(std::to_string(p)).append("/").append(std::to_string(index)).append(stored);
      return true;
    }).value();
  if (with_keys) db->each(store::family::persons, "", "", [&](auto key, auto value) { return out.append(key).append(value), true; }).value();
  return out;
}

}  // namespace

TEST_CASE("what was exported and imported is the same log, and a node goes on with it") {
  box_office n;
  n.stop();
  temp_dir elsewhere;
  const auto file = elsewhere.path + "/log.jsonl";
  const auto data = elsewhere.path + "/data";
  const auto exported = run("export --with-keys --data " + n.directory() + " --out " + file);
  INFO(exported.text);
  REQUIRE(exported.code == 0);
  const auto text = content_of(file);
  for (const auto* secret : {"Ann Example", "ann@example.org", "$argon2"}) CHECK(text.find(secret) == std::string::npos);
  CHECK((fs::status(file).permissions() & fs::perms::others_all) == fs::perms::none);
  const auto imported = run("import " + file + " --json --data " + data);
  INFO(imported.text);
  REQUIRE(imported.code == 0);
  CHECK(json::parse(imported.text).at("keys").to_number<int>() == 1);
  CHECK(stored_in(data, true) == stored_in(n.directory(), true));
  CHECK(stored_in(data, true).size() > 500);
  for (const auto& place : {data, data + "/db"}) CHECK(fs::status(place).permissions() == fs::perms::owner_all);
  CHECK(run("verify --data " + data).code == 0);
  CHECK(run("import " + file + " --data " + data).code == 2);  // it has a log now

  auto config = default_configuration();
  config.set_data_directory(data);
  config.set_listen_port(0);
  auto again = node::start(config, n.clock).value();
  client c{again->port()};
  CHECK(c.get("/shows/" + n.show).status == 200);
  CHECK(c.post("/auth/login", R"({"email":"ann@example.org","password":"correct horse"})", "").status == 200);
}

TEST_CASE("without the keys nobody can log in where it is imported, and everything else is there") {
  box_office n;
  n.stop();
  temp_dir elsewhere;
  const auto file = elsewhere.path + "/log.jsonl";
  REQUIRE(run("export --data " + n.directory() + " > " + file).code == 0);
  REQUIRE(run("import " + file + " --data " + elsewhere.path + "/data").code == 0);
  CHECK(stored_in(elsewhere.path + "/data", false) == stored_in(n.directory(), false));
  const auto db = store::database::open_read_only(log_directory(elsewhere.path + "/data")).value();
  CHECK_FALSE(db->find_person_key(make_user_id("ann@example.org")).value());
}

TEST_CASE("a node that serves exports the same as one that is stopped") {
  box_office n;
  const auto live = client{n}.get("/admin/export", n.director);
  REQUIRE(live.status == 200);
  CHECK(live.header("Content-Type") == "application/x-ndjson");
  const auto server = " --server 127.0.0.1:" + std::to_string(n.port()) + " --token " + n.director;
  const auto by_verb = run("export" + server);
  REQUIRE(by_verb.code == 0);
  CHECK(by_verb.text == live.body);
  const auto table = run("export --format csv" + server);
  CHECK(client{n}.get("/admin/export", n.token("usr_1")).status == 403);
  CHECK(client{n}.get("/admin/export?since=tomorrow", n.director).status == 400);
  CHECK(client{n}.get("/admin/export?stream=nonsense", n.director).status == 400);
  CHECK(client{n}.get("/admin/export?type=reservation.place", n.director).status == 400);
  CHECK(client{n}.get("/admin/export?withKeys=true", n.director).status == 400);
  CHECK(run("export --with-keys" + server).code == 2);
  n.stop();
  const auto offline = lines_of(run("export --data " + n.directory()).text);
  const auto before = lines_of(live.body);
  REQUIRE(offline.size() == before.size());
  for (std::size_t i = 1; i < offline.size(); ++i) CHECK(offline[i] == before[i]);  // the first says when
  CHECK(run("export --format csv --data " + n.directory()).text == table.text);
}

TEST_CASE("a filtered export holds what was asked for, says so, and can't be imported") {
  box_office n;
  n.stop();
  temp_dir elsewhere;
  const auto file = elsewhere.path + "/part.jsonl";
  const auto count = [&](const std::string& flags) {
    const auto said = run("export --data " + n.directory() + " --out " + file + flags);
    INFO(said.text);
    REQUIRE(said.code == 0);
    const auto lines = lines_of(content_of(file));
    const auto head = json::parse(lines.at(0)).as_object();
    CHECK(head.at("whole").as_bool() == false);
    for (const auto& line : lines) CHECK(json::parse(line).is_object());
    return lines.size() - 2;
  };
  CHECK(count(" --type reservation.placed") == 4);
  CHECK(count(" --events --type reservation.placed") == 4);
  CHECK(count(" --stream show/" + n.show) == 1);
  CHECK(count(" --type reservation.placed --since 2027-01-15T08:01:30Z --until 2027-01-15T08:03:30Z") == 2);
  CHECK(count(" --stream show/shw_nowhere") == 0);
  const auto first = json::parse(lines_of(run("export --events --type reservation.placed --data " + n.directory()).text).at(1)).as_object();
  const std::string reservation{first.at("stream").as_string()};
  CHECK(reservation.starts_with("reservation/rsv_"));  // which the other verbs take as well
  CHECK(count(" --stream " + reservation) == 1);
  CHECK(count(" --events --stream reservation/" + n.show + reservation.substr(reservation.find('/'))) == 1);
  CHECK(count(" --stream user/ann@example.org") == 1);
  for (const auto* wrong : {" --stream nonsense", " --stream reservation/rsv_x", " --type reservation.place", " --type nonsense"})
    CHECK(run("export --data " + n.directory() + wrong).code == 2);
  const auto refused = run("import " + file + " --data " + elsewhere.path + "/data");
  CHECK(refused.code == 2);
  CHECK(refused.text.find("part of a log") != std::string::npos);
  CHECK_FALSE(fs::exists(elsewhere.path + "/data/db"));
  CHECK(run("export --with-keys --type reservation.placed --data " + n.directory()).code == 2);
  CHECK(run("export --since yesterday --data " + n.directory()).code == 2);
  CHECK(run("export --format xml --data " + n.directory()).code == 2);
  CHECK(run("export --data " + elsewhere.path).code == 2);
}

TEST_CASE("a table for spreadsheets has an event a line") {
  box_office n;
  n.stop();
  const auto lines = lines_of(run("export --format csv --type reservation.placed --data " + n.directory()).text);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0] == "position,at,stream,version,type,user,role,data\r");
  CHECK(lines[1].find(",reservation.placed,") != std::string::npos);
  CHECK(lines[1].find(",\"{\"\"") != std::string::npos);
}

TEST_CASE("an export in which any line was changed, lost, swapped or cut off is refused, with the line that is to blame") {
  box_office n;
  n.stop();
  temp_dir elsewhere;
  const auto whole = lines_of(run("export --with-keys --data " + n.directory()).text);
  REQUIRE(whole.size() > 6);
  const auto data = elsewhere.path + "/data";
  const auto refusal = [&](const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    std::istringstream in{text};
    const auto done = store::import_log(in, data);
    CHECK(fs::exists(data + "/db") == done.has_value());
    CHECK_FALSE(fs::exists(data + "/db.importing"));
    if (!done) return done.error().detail;
    fs::remove_all(data);
    return std::string{"nothing"};
  };
  for (std::size_t i = 0; i != whole.size(); ++i) {
    const auto line = "line " + std::to_string(i + 1) + ":";
    for (const auto at : {std::size_t{1}, whole[i].size() / 3, whole[i].size() / 2, whole[i].size() - 4}) {
      auto changed = whole;
      changed[i][at] = changed[i][at] == 'x' ? 'y' : 'x';
      INFO(i << " at " << at);
      CHECK(refusal(changed).find(line) == 0);
    }
  }
  for (std::size_t i = 1; i != whole.size(); ++i) {
    auto shorter = whole;
    shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
    INFO("without line " << i + 1);
    const bool is_key = whole[i].starts_with("{\"userId\"");
    CHECK((refusal(shorter) == "nothing") == is_key);
  }
  auto swapped = whole;
  std::size_t pair = 1;  // two records of one partition
  const auto partition_of_line = [&](std::size_t i) { return whole[i].substr(0, whole[i].find('/')); };
  while (partition_of_line(pair) != partition_of_line(pair + 1)) ++pair;
  std::swap(swapped[pair], swapped[pair + 1]);
  CHECK(refusal(swapped).find("line " + std::to_string(pair + 1) + ": it is not in order (record ") == 0);
  CHECK(refusal({whole.begin(), whole.end() - 1}).find("before it is whole") != std::string::npos);
  CHECK(refusal({}) != "nothing");
  CHECK(refusal(whole) == "nothing");
}

TEST_CASE("an import that was killed leaves nothing that a node would start on, and can be done again") {
  box_office n;
  n.stop();
  temp_dir elsewhere;
  const auto data = elsewhere.path + "/data";
  const auto text = run("export --data " + n.directory()).text;
  fs::create_directories(data);
  {
    auto db = store::database::open(data + "/db.importing").value();  // as it is when the process dies
    db->append_synced({{{1, 1}, "half"}}).value();
  }
  std::istringstream in{text};
  REQUIRE(store::import_log(in, data).has_value());
  CHECK(stored_in(data, false) == stored_in(n.directory(), false));
}

TEST_CASE("bash completes verbs, options and their values") {
  temp_dir dir;
  const auto script = dir.path + "/completion";
  REQUIRE(run("completion bash > " + script).code == 0);
  CHECK(std::system(("bash -n " + script).c_str()) == 0);
  const auto completed = [&](const std::string& words) {
    std::ofstream{dir.path + "/try"} << ". " << script << "\nCOMP_WORDS=(usher " << words << ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_usher\necho \"${COMPREPLY[@]}\"\n";
    std::FILE* out = ::popen(("cd " + dir.path + " && bash " + dir.path + "/try 2>&1").c_str(), "r");
    std::string text;
    for (int c = std::fgetc(out); c != EOF; c = std::fgetc(out)) text += static_cast<char>(c);
    ::pclose(out);
    return text;
  };
  CHECK(completed("arch") == "archive\n");
  CHECK(completed("archive --be") == "--before\n");
  CHECK(completed("token --role op") == "operator\n");
  CHECK(completed("export --format c") == "csv\n");
  CHECK(completed("export --format json --ev") == "--events\n");
  CHECK(completed("completion z") == "zsh\n");
  CHECK(completed("restore scr") == "\n");
  CHECK(completed("restore compl") == "completion\n");  // a file
  CHECK(completed("bare") == "\n");                     // nothing that is hidden
  CHECK(run("completion zsh").text.find("bashcompinit") != std::string::npos);
  CHECK(run("completion fish").code == 2);
}

}  // namespace usher::tests
