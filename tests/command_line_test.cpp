// What the verbs refuse, what they exit with, and how they tell a node that runs from what one left behind.

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include "cli_common.hpp"
#include "node.hpp"
#include "store/database.hpp"
#include "tests/child_node.hpp"
#include "tests/command_line.hpp"
#include "tests/support.hpp"

namespace usher::tests {
namespace {

namespace fs = std::filesystem;

bool says(const said& answer, const std::string& what) { return answer.text.find(what) != std::string::npos; }

/// A node in a process of its own, on a directory beside which there is room for others.
struct office {
  temp_dir dir;
  std::string data = dir.path + "/data";
  child_node node{made(data)};

  static std::string made(const std::string& directory) {
    fs::create_directories(directory);
    return directory;
  }
  void charge(const std::string& key) {
    REQUIRE(client{node.port()}.post("/balance/charge", R"({"amount":100})", node.token("usr_ann"), key).status / 100 == 2);
  }
};

}  // namespace

TEST_CASE("a node runs on the directory whose log it holds, not on a copy nor on what a killed one left") {
  office o;
  o.charge("a");
  CHECK(cli::find_running(o.data));
  const auto copy = o.dir.path + "/copy";
  fs::copy(o.data, copy, fs::copy_options::recursive);
  CHECK_FALSE(cli::find_running(copy));
  const auto erased = run("user erase usr_ann --reason x --data " + copy);
  CHECK(erased.code == 1);
  CHECK(says(erased, "no node runs on " + copy));
  CHECK(run("projection retry all --data " + copy).code == 2);
  CHECK(cli::find_running(o.data));  // to look at the lock does not end it

  o.node.kill();
  CHECK_FALSE(cli::find_running(o.data));
  REQUIRE(cli::announce(o.data, {"127.0.0.1", 1, 1}).has_value());  // the number of a process that lives, and is another one
  CHECK_FALSE(cli::find_running(o.data));
  CHECK(run("verify --data " + o.data).code == 0);
  CHECK(run("log --data " + o.data).code == 0);
  const auto writer = store::database::open(log_directory(o.data));  // another process that writes is no node
  REQUIRE(writer.has_value());
  CHECK(says(run("user erase usr_ann --reason x --data " + o.data), "no node runs on"));
}

TEST_CASE("a directory without a log is refused by every verb, and stays as it was") {
  temp_dir dir;
  const auto nowhere = dir.path + "/nowhere";
  for (const auto* verb : {"token --role operator", "log", "history seat/x/y", "state seat/x/y", "diff seat/x/y --from 1", "stats", "verify", "replay",
                           "projection list", "projection rebuild all", "export", "backup", "backup --list", "archive --before 90d",
                           "user show usr_ann", "user erase usr_ann --reason x", "queue shw_x"}) {
    const auto refused = run(std::string{verb} + " --data " + nowhere);
    INFO(verb << ": " << refused.text);
    CHECK(refused.code == 2);
    CHECK(says(refused, "holds no log"));
  }
  CHECK(run("backup --list --to " + nowhere).code == 2);
  CHECK_FALSE(fs::exists(nowhere));
}

TEST_CASE("what would be taken for something else is refused") {
  office o;
  o.charge("a");
  const auto here = " --data " + o.data;
  for (const auto* words : {"log --limit -1", "history wallet/usr_ann --limit -1", "log --partition 43 --from -5", "log --partition 43 --from 0", "rehearse --seed -1",
                            "rehearse --waiting-connections -1", "history wallet/usr_ann --as-of ''", "state wallet/usr_ann --as-of ''", "diff wallet/usr_ann --from ''",
                            "diff wallet/usr_ann --from 1 --to ''", "log --user ''", "log --since ''", "log --stream ''", "export --type ''", "log --user 'a b'",
                            "log --user a/b", "log --follow --until 2030-01-01T00:00:00Z", "log --server ''", "verify --proof ''", "backup --name ''", "backup --name ../x",
                            "projection rebuild nope", "projection retry nope"}) {
    const auto refused = run(words + here);
    INFO(words << ": " << refused.text);
    CHECK(refused.code == 2);
  }
  REQUIRE(run("token --role operator" + here).code == 0);
  o.node.kill();
  fs::remove(secret_file(o.data));
  const auto unsigned_ = run("token --role operator" + here);
  CHECK(unsigned_.code == 2);
  CHECK(says(unsigned_, secret_file(o.data) + " is missing"));
  CHECK_FALSE(fs::exists(secret_file(o.data)));
}

TEST_CASE("where nothing in the log matches, the log verb says so") {
  office o;
  o.charge("a");
  const auto ask = [&](const std::string& words) { return run("log --data " + o.data + words); };
  const auto check = [&] {
    for (const auto* words : {" --user nobody@example.com", " --user usr_nobody --json", " --stream seat/shw_7q2m4x9c1v5k3tza/ZZ-8", " --until 2020-01-01T00:00:00Z"}) {
      const auto nothing = ask(words);
      CHECK(nothing.code == 0);
      CHECK(nothing.text == "nothing in the log matches\n");
    }
    const auto found = ask(" --user usr_ann");
    CHECK(found.code == 0);
    CHECK(says(found, "wallet.charged"));
    CHECK_FALSE(says(found, "nothing"));
  };
  check();
  o.node.kill();
  check();
}

TEST_CASE("a log is followed until there were as many records as asked for, or the node ends") {
  office o;
  o.charge("a");
  o.charge("b");
  const auto one = run("log --follow --json --limit 1 --type wallet.charged --since 2020-01-01T00:00:00Z --data " + o.data);
  CHECK(one.code == 0);
  CHECK(std::ranges::count(one.text, '\n') == 1);

  const auto heard = o.dir.path + "/heard";
  auto following = std::async(std::launch::async, [&] { return run("log --follow --json --since 2020-01-01T00:00:00Z --data " + o.data + " >" + heard).code; });
  const auto last_heard = [&] {
    std::ifstream in{heard};
    const std::string all{std::istreambuf_iterator<char>{in}, {}};
    return all.substr(all.rfind('\n', all.size() - 2) + 1);
  };
  REQUIRE(eventually([&] { return fs::exists(heard) && fs::file_size(heard) > 0; }));
  SECTION("in good order") {
    o.node.stop();
    CHECK(following.get() == 0);
    CHECK(last_heard() == "the node stopped: there is nothing more to follow\n");
  }
  SECTION("killed") {
    o.node.kill();
    CHECK(following.get() == 1);
    CHECK(last_heard().starts_with("usher: the node can't be heard any more: "));
  }
}

}  // namespace usher::tests
