// A person is forgotten: afterwards no file of the node holds who they were, and all else is as it was.

#include <catch2/catch.hpp>

#include <cstdio>
#include <fstream>
#include <thread>

#include "store/audit.hpp"
#include "tests/child_node.hpp"
#include "tests/client.hpp"
#include "tests/forged.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

const std::string ann_signs_up = R"({"name":"Annegret Zwiebelturm","email":"Annegret.Z@Example.org","password":"correct horse"})";
const std::string ann = make_user_id("Annegret.Z@Example.org");
const std::string log_in = R"({"email":"annegret.z@example.org","password":"correct horse"})";

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// The files below a directory that hold these bytes, letters in any case where it is a text.
std::vector<std::string> files_with(const std::string& bytes, const std::string& directory, bool text = true) {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator{directory}) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in{entry.path(), std::ios::binary};
    std::string content{std::istreambuf_iterator<char>{in}, {}};
    if (text) content = lower(std::move(content));
    if (content.find(text ? lower(bytes) : bytes) != std::string::npos) out.push_back(entry.path().filename());
  }
  return out;
}

using names = std::vector<std::string>;

/// What a test must know of a person to look for it afterwards: of a node that is stopped or was killed.
struct traces {
  std::string key;
  std::string password_hash;

  static traces of(const std::string& user_id, const std::string& data) {
    const auto db = store::database::open_read_only(log_directory(data)).value();
    const auto key = db->find_person_key(user_id).value();
    if (!key) throw std::runtime_error("no key");
    traces out;
    out.key = store::bytes_of(*key);
    const auto visit = [&](const store::record_ptr& r, std::string_view) {
      for (const auto& e : r->events())
        if (e.stream().group() == user_id && e.user().has_signed_up()) out.password_hash = store::unseal(e.user().signed_up().sealed(), *key).value().password_hash();
      return true;
    };
    db->scan(partition_of(user_id), 1, visit).value();
    return out;
  }

  [[nodiscard]] names key_in(const std::string& data) const { return files_with(key, data, false); }
};

void check_no_clear_text(const std::string& data, const traces& t) {
  for (const auto* text : {"Zwiebelturm", "Annegret", "annegret.z@example.org"}) CHECK(files_with(text, data) == names{});
  REQUIRE(t.password_hash.size() > 30);
  CHECK(files_with(t.password_hash, data) == names{});
  CHECK(files_with(t.password_hash.substr(t.password_hash.size() - 20), data) == names{});
}

void check_forgotten(const std::string& data, const traces& t) {
  check_no_clear_text(data, t);
  CHECK(t.key_in(data) == names{});
}

answer erase(client& c, const std::string& user_id, const std::string& token, const std::string& key = {}) {
  request r{"DELETE", "/users/" + user_id, R"({"reason":"request 7"})", token, {}};
  if (!key.empty()) r.headers.emplace_back("Idempotency-Key", key);
  return c.ask(r);
}

struct box_office : test_node {
  std::string director = token("op_director", http::role::operator_);

  traces known_of(const std::string& user_id) {
    stop();
    auto out = traces::of(user_id, directory());
    start();
    return out;
  }
};

struct said {
  int code;
  std::string text;
};

/// What the program answers, errors too.
said usher(const std::string& words) {
  said out{};
  auto* pipe = ::popen((USHER_BINARY " " + words + " 2>&1").c_str(), "r");
  REQUIRE(pipe);
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) out.text += static_cast<char>(c);
  out.code = WEXITSTATUS(::pclose(pipe));
  return out;
}

}  // namespace

TEST_CASE("whoever was forgotten is unknown to everybody, and seats and money stay where they are") {
  box_office office;
  client c{office};
  const auto made = c.post("/users", ann_signs_up, "", "first");
  REQUIRE(made.status == 201);
  const auto token = made.text("token");
  const auto opened = c.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
      "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":4,"tier":"all"}]}]})", office.director);
  REQUIRE(opened.status == 201);
  REQUIRE(c.post("/balance/charge", R"({"amount":5000})", token).status == 200);
  const auto held = c.post("/reservations", R"({"showId":")" + opened.text("showId") + R"(","seats":["A-1"]})", token);
  REQUIRE(held.status == 201);
  const auto rsv = held.text("reservationId");
  REQUIRE(c.post("/payment", R"({"reservationId":")" + rsv + R"("})", token).status == 200);
  REQUIRE(c.post("/auth/login", log_in, "").status == 200);
  const auto balance = c.get("/balance?userId=" + ann, office.director);
  const auto reservation = c.get("/reservations/" + rsv, office.director);
  const auto seats = c.get("/shows/" + opened.text("showId") + "/seats", office.director);

  const auto gone = erase(c, ann, token, "forget-me");
  INFO(gone.body);
  CHECK(gone.status == 204);
  CHECK(gone.body.empty());
  CHECK_FALSE(gone.header("Log-Position").empty());

  for (int start = 0; start != 2; ++start) {
    client again{office};
    const auto seen = again.get("/users/" + ann, office.director);
    CHECK(seen.status == 410);
    CHECK(seen.text("code") == "erased");
    CHECK(again.get("/users/" + ann, token).status == 410);
    CHECK(again.post("/auth/login", log_in, "").status == 401);
    CHECK(again.post("/auth/login", R"({"userId":")" + ann + R"(","password":"correct horse"})", "").status == 401);
    CHECK(again.post("/users", ann_signs_up, "").status == 410);
    CHECK(again.post("/users", ann_signs_up, "", "first").status == 410);  // as it was answered once
    CHECK(again.get("/balance?userId=" + ann, office.director).body == balance.body);
    CHECK(again.get("/reservations/" + rsv, office.director).body == reservation.body);
    CHECK(again.get("/shows/" + opened.text("showId") + "/seats", office.director).body == seats.body);
    office.restart();
  }
}

TEST_CASE("to be forgotten twice is to be forgotten, and a retry is told the same") {
  box_office office;
  client c{office};
  const auto token = c.post("/users", ann_signs_up, "").text("token");
  const auto first = erase(c, ann, token, "once");
  const auto retry = erase(c, ann, token, "once");
  CHECK(first.status == 204);
  CHECK(retry.status == 204);
  CHECK(retry.header("Idempotency-Replayed") == "true");
  CHECK(retry.header("Log-Position") == first.header("Log-Position"));
  CHECK(erase(c, ann, office.director).status == 204);
  request other{"DELETE", "/users/" + ann, R"({"reason":"another"})", token, {{"Idempotency-Key", "once"}}};
  CHECK(c.ask(other).status == 422);
}

TEST_CASE("only the person and an operator may erase an account, and only one that is there") {
  box_office office;
  const auto asks = [&office](const request& r) { return client{office}.ask(r).status; };  // a refusal may end the connection
  const auto erases = [&](const std::string& who, const std::string& token) { return asks({"DELETE", "/users/" + who, {}, token, {}}); };
  REQUIRE(asks({"POST", "/users", ann_signs_up, {}, {}}) == 201);
  CHECK(erases(ann, "") == 401);
  CHECK(erases(ann, office.token("usr_bob")) == 403);
  CHECK(erases(ann, office.token("svc_shop", http::role::service)) == 403);
  CHECK(erases("usr_nobody", office.director) == 404);
  CHECK(asks({"DELETE", "/users/" + ann, R"({"reason":")" + std::string(501, 'r') + "\"}", office.director, {}}) == 422);
  CHECK(asks({"DELETE", "/users/" + ann, R"({"why":"x"})", office.director, {}}) == 400);
  CHECK(asks({"GET", "/users/" + ann, {}, office.director, {}}) == 200);
  CHECK(asks({"DELETE", "/users/" + ann, "", office.director, {}}) == 204);
}

TEST_CASE("before, the key is in a file and the person in none; afterwards neither, and the chain holds") {
  box_office office;
  std::string others;
  for (int i = 0; i != 300; ++i) others += R"({"name":"p)" + std::to_string(i) + R"(","email":"p)" + std::to_string(i) + "@example.org\"}\n";
  REQUIRE(client{office}.post("/users", ann_signs_up, "", "first").status == 201);
  REQUIRE(client{office}.ask({"POST", "/users/bulk", others, office.director, {{"Content-Type", "application/x-ndjson"}}}).status == 200);
  const auto known = office.known_of(ann);
  const auto bystander = office.known_of(make_user_id("p7@example.org"));
  CHECK_FALSE(known.key_in(office.directory()).empty());
  check_no_clear_text(office.directory(), known);

  client c{office};
  REQUIRE(erase(c, ann, office.director).status == 204);
  check_forgotten(office.directory(), known);  // while it runs
  CHECK(client{office}.get("/users/" + make_user_id("p7@example.org"), office.director).text("name") == "p7");
  office.stop();
  check_forgotten(office.directory(), known);
  CHECK_FALSE(bystander.key_in(office.directory()).empty());
  const auto db = store::database::open_read_only(log_directory(office.directory())).value();
  CHECK(store::verify_all(*db).has_value());
  CHECK_FALSE(db->find_person_key(ann).value());
  CHECK(db->users_to_purge().value().empty());
}

TEST_CASE("many are forgotten at the same time, each for good") {
  box_office office;
  std::string lines;
  std::vector<request> erasures;
  for (int i = 0; i != 20; ++i) {
    const auto email = "p" + std::to_string(i) + "@example.org";
    lines += R"({"name":"p","email":")" + email + "\"}\n";
    erasures.push_back({"DELETE", "/users/" + make_user_id(email), {}, office.director, {}});
  }
  REQUIRE(client{office}.ask({"POST", "/users/bulk", lines, office.director, {{"Content-Type", "application/x-ndjson"}}}).status == 200);
  office.stop();
  std::vector<traces> known;
  for (int i = 0; i != 20; ++i) known.push_back(traces::of(make_user_id("p" + std::to_string(i) + "@example.org"), office.directory()));
  office.start();
  for (const auto& a : at_once(office.port(), 8, erasures)) CHECK(a.status == 204);
  for (const auto& t : known) CHECK(t.key_in(office.directory()) == names{});
}

TEST_CASE("what a node was killed over is finished by its next start, without anybody asking") {
  box_office office;
  REQUIRE(client{office}.post("/users", ann_signs_up, "").status == 201);
  const auto known = office.known_of(ann);
  office.stop();
  v1::StreamEvent erased;
  *erased.mutable_stream() = user_ref(ann);
  erased.set_schema(1);
  erased.mutable_user()->mutable_erased()->set_at_ms(to_ms(office.clock.now()));
  forge(office.directory(), to_ms(office.clock.now()), {erased});
  // Gone for whoever asks the store, and there for whoever takes the disk away.
  CHECK_FALSE(store::database::open_read_only(log_directory(office.directory())).value()->find_person_key(ann).value());
  REQUIRE_FALSE(known.key_in(office.directory()).empty());
  office.start();
  CHECK(eventually([&] { return known.key_in(office.directory()).empty(); }));
  CHECK(eventually([&] { return client{office}.get("/operations", office.director).body.find("\"SUCCEEDED\"") != std::string::npos; }));
  office.stop();
  check_forgotten(office.directory(), known);
  CHECK(store::database::open_read_only(log_directory(office.directory())).value()->users_to_purge().value().empty());
}

TEST_CASE("whoever still reads an old file is waited for") {
  const temp_dir at;
  auto db = store::database::open(at.path).value();
  const auto key = store::new_person_key();
  const std::string bytes{store::bytes_of(key)};
  REQUIRE(db->append_synced({{{0, 1}, "x"}}, {{"usr_ann", key}, {"usr_bob", store::new_person_key()}}).has_value());
  CHECK_FALSE(files_with(bytes, at.path, false).empty());  // the write-ahead log
  REQUIRE(db->flush().has_value());
  CHECK_FALSE(files_with(bytes, at.path, false).empty());  // a table
  REQUIRE(db->append_synced({{{0, 2}, "y"}}, {{"usr_ann", std::nullopt}}).has_value());
  CHECK(db->users_to_purge().value() == names{"usr_ann"});
  const auto visit = [&](std::string_view, std::string_view) {
    CHECK_FALSE(db->purge({"usr_ann"}).value());
    CHECK_FALSE(files_with(bytes, at.path, false).empty());
    return false;
  };
  REQUIRE(db->each(store::family::persons, {}, {}, visit).has_value());
  CHECK(db->purge({"usr_ann"}).value());
  CHECK(files_with(bytes, at.path, false) == names{});
  REQUIRE(db->purged({"usr_ann"}).has_value());
  CHECK(db->users_to_purge().value().empty());
  CHECK(db->find_person_key("usr_bob").value());
}

TEST_CASE("who is erased while a copy of before is still read is forgotten by the same operation") {
  box_office office;
  REQUIRE(client{office}.post("/users", ann_signs_up, "").status == 201);
  REQUIRE(client{office}.post("/users", R"({"name":"Bob","email":"bob@example.org"})", "").status == 201);
  const auto bob = office.known_of(make_user_id("bob@example.org"));
  const auto copy = office.directory() + "/copies/x";
  fs::create_directories(copy);
  const auto erases = [&](const std::string& user_id) {
    request r{"DELETE", "/users/" + user_id, {}, office.director, {{"Prefer", "wait=1"}}};
    return client{office}.ask(r);
  };
  const auto first = erases(ann);
  INFO(first.body);
  REQUIRE(first.status == 202);
  const auto operation = [&] { return client{office}.get("/operations/" + first.text("operationId"), office.director); };
  REQUIRE(eventually([&] { return operation().text("state") == "RUNNING"; }));
  const auto second = erases(make_user_id("bob@example.org"));
  REQUIRE(second.status == 202);
  CHECK(second.text("operationId") == first.text("operationId"));
  CHECK(client{office}.post("/admin/backup", R"({"name":"later"})", office.director).status == 202);
  fs::remove_all(copy);
  CHECK(eventually([&] { return operation().text("state") == "SUCCEEDED"; }));
  CHECK(eventually([&] { return fs::exists(office.directory() + "/backups/later"); }));
  office.stop();
  CHECK(bob.key_in(office.directory()) == names{});
  CHECK(store::database::open_read_only(log_directory(office.directory())).value()->users_to_purge().value().empty());
}

TEST_CASE("a kill at any moment of it leaves a person who is forgotten at the latest by the next request") {
  const temp_dir at;
  const auto data = at.path + "/data";
  child_node node{data};
  int interrupted = 0;
  for (const auto after : {0ms, 2ms, 5ms, 10ms, 30ms}) {
    const auto email = "zwiebelturm" + std::to_string(after.count()) + "@example.org";
    const auto id = make_user_id(email);
    REQUIRE(client{node.port()}.post("/users", R"({"name":"Zwiebelturm","email":")" + email + R"("})", "").status == 201);
    node.kill();
    const auto known = traces::of(id, data);
    REQUIRE_FALSE(known.key_in(data).empty());
    node.start();
    std::thread asks{[&, port = node.port(), token = node.token("op_director", http::role::operator_)] {
      try {
        client c{port};
        erase(c, id, token);
      } catch (const std::exception&) {  // killed meanwhile
      }
    }};
    std::this_thread::sleep_for(after);
    node.kill();
    asks.join();
    if (!known.key_in(data).empty()) ++interrupted;
    node.start();
    client c{node.port()};
    CHECK(erase(c, id, node.token("op_director", http::role::operator_)).status == 204);
    CHECK(known.key_in(data) == names{});
    CHECK(files_with("Zwiebelturm", data) == names{});
  }
  INFO("interrupted: " << interrupted);
  CHECK(interrupted > 0);
  node.kill();
  CHECK(store::verify_all(*store::database::open_read_only(log_directory(data)).value()).has_value());
}

TEST_CASE("an operator sees and forgets a person from the command line, on a node that runs or is stopped") {
  const temp_dir at;
  const auto data = at.path + "/data";
  child_node node{data};
  REQUIRE(client{node.port()}.post("/users", ann_signs_up, "").status == 201);
  REQUIRE(client{node.port()}.post("/users", R"({"name":"Bob","email":"bob@example.org"})", "").status == 201);
  const auto live = usher("user show Annegret.Z@Example.org --data " + data);
  CHECK(live.code == 0);
  CHECK(live.text.find("name       Annegret Zwiebelturm\nemail      Annegret.Z@Example.org\n") != std::string::npos);
  const auto as_json = usher("user show " + ann + " --json --data " + data);
  CHECK(boost::json::parse(as_json.text).at("email") == "Annegret.Z@Example.org");
  const auto bob = usher("user show bob@example.org --json --data " + data);

  CHECK(usher("user erase " + ann + " --data " + data).code == 2);  // without a reason
  CHECK(usher("user erase nobody@example.org --reason x --data " + data).code == 1);
  const auto gone = usher("user erase " + ann + " --reason 'request 7' --json --data " + data);
  INFO(gone.text);
  CHECK(gone.code == 0);
  CHECK(boost::json::parse(gone.text).at("filesRewritten") == true);
  const auto after = usher("user show " + ann + " --data " + data);
  CHECK(after.code == 1);
  CHECK(after.text.find("This person was erased on ") != std::string::npos);

  node.kill();
  CHECK(usher("user show bob@example.org --json --data " + data).text == bob.text);
  const auto offline = usher("user show " + ann + " --data " + data);
  CHECK(offline.code == 1);
  CHECK(offline.text.find("This person was erased on ") != std::string::npos);
  CHECK(usher("user show usr_nobody --data " + data).code == 1);
  const auto stopped = usher("user erase " + ann + " --reason x --data " + data);
  CHECK(stopped.code == 1);
  CHECK(stopped.text.find("no node runs on") != std::string::npos);
  const auto log = usher("log --json --limit 0 --data " + data).text;
  for (const auto* secret : {"Zwiebelturm", "xample.org", "Bob"}) CHECK(log.find(secret) == std::string::npos);
}

}  // namespace usher::tests
