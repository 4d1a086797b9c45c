// That the log grew and did not change can be proved to those who have none of it, and a node signs nothing that contradicts what it signed.

#include <catch2/catch.hpp>

#include <fstream>

#include "events/base64.hpp"
#include "http/secret.hpp"
#include "node_notary.hpp"
#include "store/audit.hpp"
#include "store/evidence.hpp"
#include "store/hash.hpp"
#include "store/proof.hpp"
#include "tests/small_sale.hpp"

namespace usher::tests {
namespace {

using store::notary;
using store::signing_key;

signing_key key(char seed = 'k') { return signing_key::from(std::string(32, seed)).value(); }

/// A log whose records say nothing but where they stand.
struct plain_log {
  std::unique_ptr<store::database> db;
  std::array<std::string, partition_count> last_hash;

  explicit plain_log(const std::string& directory) : db{store::database::open(directory).value()} {}
  void add(std::uint32_t partition, std::uint64_t count) {
    std::vector<std::pair<log_position, std::string>> batch;
    for (auto index = db->durable_end(partition) + 1; count-- != 0; ++index) {
      v1::Record r;
      r.set_partition(partition);
      r.set_index(index);
      r.set_epoch(1);
      r.set_previous_hash(last_hash[partition]);
      batch.emplace_back(log_position{partition, index}, r.SerializeAsString());
      last_hash[partition] = store::sha256(batch.back().second);
    }
    db->append_synced(batch).value();
  }
};

void sign_all(notary& n, std::uint64_t portion = 1000) {
  while (n.follow(portion).value()) {
  }
  n.sign(from_ms(1'800'000'000'000)).value();
}

v1::SignedCheckpoint checkpoint(const store::database& db, std::uint64_t number) { return store::find_checkpoint(db, number).value().value(); }
boost::json::object parsed(const std::string& text) { return boost::json::parse(text).as_object(); }
std::vector<std::string> faults_of(const store::proved& p) {
  std::vector<std::string> out;
  for (const auto& f : p.wrong) out.push_back(f.field());
  return out;
}

}  // namespace

TEST_CASE("each record is proved under each checkpoint that covers it, also across blocks and restarts") {
  temp_dir dir;
  plain_log log{dir.path};
  // Around the ends of blocks; one partition stands still meanwhile.
  const std::vector<std::uint64_t> sizes{1, 2, 1023, 1024, 1025, 2047, 2048, 3000, 4096, 5000};
  log.add(3, 5);
  for (const auto size : sizes) {
    notary n{*log.db, key()};  // each time as after a restart
    n.load().value();
    log.add(200, size - log.db->durable_end(200));
    sign_all(n, size % 2 == 0 ? 1 << 20 : 77);
  }
  REQUIRE(store::last_checkpoint(*log.db).value()->body() == checkpoint(*log.db, sizes.size()).body());
  for (std::uint64_t number = 1; number <= sizes.size(); ++number) {
    const auto c = checkpoint(*log.db, number);
    REQUIRE(store::is_signed(c));
    const auto size = sizes[number - 1];
    const auto body = store::body_of(c).value();
    CHECK(body.number() == number);
    CHECK(store::head_of(body, 3)->size() == 5);
    CHECK_FALSE(store::head_of(body, 4));
    for (std::uint64_t index : {std::uint64_t{1}, size / 2 + 1, size - std::min<std::uint64_t>(size - 1, 1), size}) {
      INFO(index << " of " << size);
      const auto proof = store::record_proof(*log.db, {200, index}, store::shown::whole, c).value();
      REQUIRE(faults_of(store::check_proof(parsed(proof), to_hex(key().public_key()))).empty());
    }
    CHECK_FALSE(store::record_proof(*log.db, {200, size + 1}, store::shown::whole, c).has_value());
    for (std::uint64_t later = number; later <= sizes.size(); ++later) {
      INFO(number << " to " << later);
      const auto growth = store::growth_proof(*log.db, c, checkpoint(*log.db, later)).value();
      REQUIRE(faults_of(store::check_proof(parsed(growth), "")).empty());
    }
  }
}

TEST_CASE("a checkpoint is made of what is new, and only then") {
  temp_dir dir;
  plain_log log{dir.path};
  notary n{*log.db, key()};
  n.load().value();
  sign_all(n);
  CHECK_FALSE(n.last());
  log.add(1, 1);
  sign_all(n);
  sign_all(n);
  CHECK(n.last_body().number() == 1);
  log.add(2, 1);
  sign_all(n);
  CHECK(n.last_body().number() == 2);
  CHECK(n.last_body().previous() == store::sha256(checkpoint(*log.db, 1).body()));
}

TEST_CASE("a log that is signed while it is still being read can be proved as far as that goes, and the next run continues it") {
  temp_dir dir;
  plain_log log{dir.path};
  log.add(1, 3000);
  log.add(2, 10);
  for (std::uint64_t number = 1; number <= 4; ++number) {
    notary n{*log.db, key()};
    n.load().value();
    const auto left = n.left();
    REQUIRE(n.follow(750).value());
    CHECK(n.left() == left - 750);
    n.sign(from_ms(1'800'000'000'000)).value();
    const auto c = checkpoint(*log.db, number);
    CHECK(faults_of(store::check_proof(parsed(store::record_proof(*log.db, {1, number * 750}, store::shown::whole, c).value()), "")).empty());
  }
  notary n{*log.db, key()};
  n.load().value();
  sign_all(n);
  CHECK(n.left() == 0);
  CHECK(faults_of(store::check_proof(parsed(store::growth_proof(*log.db, checkpoint(*log.db, 1), checkpoint(*log.db, 5)).value()), "")).empty());
  CHECK(store::audit(*log.db, {}).value().found.empty());
}

TEST_CASE("checking stops between two checkpoints where it is told to, and blames nobody for that") {
  temp_dir dir;
  plain_log log{dir.path};
  notary n{*log.db, key()};
  n.load().value();
  for (int i = 0; i != 5; ++i) {
    log.add(1, 1);
    sign_all(n);
  }
  int asked = 0;
  store::audit_options options;
  options.advance = [&](std::uint64_t) { return ++asked != 2; };
  const auto report = store::audit(*log.db, options).value();
  CHECK(report.checkpoints == 2);
  CHECK(report.records == 0);
  CHECK(report.found.empty());
}

TEST_CASE("however many ask for proofs, a checkpoint is made at most once a second") {
  temp_dir dir;
  plain_log log{dir.path};
  settable_clock clock;
  notary_thread thread{*log.db, key(), clock, std::chrono::hours{1}};
  const auto covering = [&](log_position at) {
    auto c = thread.vouch(at);
    while (!c) c = thread.vouch(at);  // the processors may be busy
    return store::body_of(*c).value();
  };
  const auto began = std::chrono::steady_clock::now();
  thread.start();
  for (std::uint64_t i = 1; i != 4; ++i) {
    log.add(1, 1);
    CHECK(store::covers(covering({1, i}), {1, i}));
    CHECK(store::covers(covering({1, i}), {1, i}));
  }
  CHECK(thread.last_number() == 3);
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::seconds{2});
  log.add(1, 1);
  thread.stop();
  CHECK(thread.last_number() == 4);
}

TEST_CASE("whoever asks for a proof where nothing is signed any more is told why") {
  temp_dir dir;
  plain_log log{dir.path};
  log.add(1, 1);
  notary{*log.db, key('x')}.load().value();
  settable_clock clock;
  notary_thread thread{*log.db, key(), clock, std::chrono::hours{1}};
  thread.start();
  while (thread.fault().empty()) std::this_thread::yield();
  CHECK(thread.vouch({1, 1}).error().detail == thread.fault());
}

TEST_CASE("nothing is signed on top of a log that isn't what was signed") {
  temp_dir dir;
  {
    plain_log log{dir.path};
    log.add(9, 1500);
    notary n{*log.db, key()};
    n.load().value();
    sign_all(n);
  }
  auto db = store::database::open(dir.path).value();
  SECTION("by another key") {
    CHECK(notary{*db, key('x')}.load().error().detail.find("not the one that signed") != std::string::npos);
  }
  SECTION("where its last record is another one") {
    v1::Record r;
    r.set_partition(9);
    r.set_index(1500);
    db->append_synced({{{9, 1500}, r.SerializeAsString()}}).value();
    CHECK(notary{*db, key()}.load().error().detail.find("another one now") != std::string::npos);
  }
  SECTION("where it is shorter") {
    temp_dir elsewhere;
    plain_log shorter{elsewhere.path};
    shorter.add(9, 1499);
    std::vector<store::database::row> rows;
    db->each(store::family::evidence, {}, {}, [&](std::string_view k, std::string_view v) {
      rows.push_back({std::string{k}, std::string{v}});
      return true;
    }).value();
    shorter.db->put_evidence(rows).value();
    CHECK(notary{*shorter.db, key()}.load().error().detail.find("the log ends at 1499") != std::string::npos);
  }
  SECTION("but where it is, it goes on") {
    notary n{*db, key()};
    REQUIRE(n.load().has_value());
    CHECK(n.last_body().number() == 1);
  }
}

TEST_CASE("a document that was changed anywhere proves nothing") {
  temp_dir dir;
  plain_log log{dir.path};
  notary n{*log.db, key()};
  n.load().value();
  for (const auto more : {40, 1000, 1000}) {
    log.add(7, more);
    log.add(8, 3);
    sign_all(n);
  }
  const auto record = store::record_proof(*log.db, {7, 33}, store::shown::whole, checkpoint(*log.db, 2)).value();
  const auto growth = store::growth_proof(*log.db, checkpoint(*log.db, 1), checkpoint(*log.db, 3)).value();
  std::string list;
  json_writer json{list};
  json.begin_object().key("items").begin_array();
  for (std::uint64_t i = 1; i != 4; ++i) store::write_checkpoint(json, checkpoint(*log.db, i));
  json.end_array().member("nextCursor", "").end_object();
  const auto holds = [](const std::string& text, const std::string& by = {}) {
    boost::json::value value;
    if (parse_json(text, value) || !value.is_object()) return false;
    return store::check_proof(value.as_object(), by).wrong.empty();
  };
  for (const auto& document : {record, growth, list}) {
    REQUIRE(holds(document, to_hex(key().public_key())));
    CHECK_FALSE(holds(document, to_hex(key('x').public_key())));
    // Each letter or digit of each value becomes another one.
    for (std::size_t at = document.find(':'); at < document.size(); at += document.size() > 4000 ? 7 : 1) {
      auto changed = document;
      const auto c = changed[at];
      if (!std::isalnum(static_cast<unsigned char>(c))) continue;
      changed[at] = c == '1' ? '2' : '1';
      // Names of members that nobody asks for, the end of a base64 text whose last bits mean nothing, and the cursor of a page don't matter.
      if (holds(changed)) {
        INFO(changed.substr(at > 40 ? at - 40 : 0, 80));
        const bool is_name = document.find_first_of("\",", at) != std::string::npos && document[document.find('"', at) + 1] == ':';
        CHECK((is_name || document[at + 1] == '='));
      }
    }
  }
  auto gap = parsed(list);
  gap.at("items").as_array().erase(gap.at("items").as_array().begin() + 1);
  CHECK(faults_of(store::check_proof(gap, "")) == std::vector<std::string>{"items[1].number", "items[1].body"});
  auto backwards = parsed(growth);
  std::swap(backwards.at("from"), backwards.at("to"));
  CHECK_FALSE(store::check_proof(backwards, "").wrong.empty());
  CHECK_FALSE(store::check_proof({}, "").wrong.empty());
}

TEST_CASE("a buyer has a proof of the ticket that needs neither the node nor its data") {
  small_sale sale;
  const auto id = sale.sell("usr_ann", "A-1");
  sale.sell("usr_bob", "A-2");
  client c{sale};
  const auto shown = c.get("/reservations/" + id, sale.token("usr_ann"));
  REQUIRE(shown.text("proof") == "/reservations/" + id + "/proof");
  const auto proof = c.get(shown.text("proof"), sale.token("usr_ann"));
  REQUIRE(proof.status == 200);
  CHECK(proof.json().at("content").at("events").as_array().size() > 1);
  CHECK(proof.body.find("usr_bob") == std::string::npos);
  CHECK(c.get("/reservations/" + id + "/proof", sale.token("usr_bob")).status == 403);
  CHECK(c.get("/reservations/" + id + "/proof", sale.operator_token()).status == 200);
  CHECK(c.get("/reservations/" + sale.hold("usr_ann", "A-3") + "/proof", sale.token("usr_ann")).status == 404);

  const auto published = c.get("/audit/key");
  REQUIRE(published.status == 200);
  temp_dir dir;
  std::ofstream{dir.path + "/proof.json"} << proof.body;
  std::ofstream{dir.path + "/key.json"} << published.body;
  sale.stop();
  const auto file = " --proof " + dir.path + "/proof.json";
  const auto known = usher_says("verify" + file + " --key " + published.text("publicKey"));
  INFO(known.second);
  CHECK(known.first == 0);
  CHECK(known.second.find("the key that you named") != std::string::npos);
  CHECK(usher_says("verify" + file + " --key " + dir.path + "/key.json").first == 0);
  CHECK(usher_says("verify" + file).second.find("The key came with the file") != std::string::npos);
  CHECK(usher_says("verify" + file + " --key " + std::string(64, 'a')).first == 1);
  CHECK(usher_says("verify" + file + " --key nothing").first == 2);
  CHECK(usher_says("verify --proof " + dir.path + "/none.json").first == 2);
  CHECK(parsed(usher_says("verify" + file + " --json").second).at("holds") == true);
  auto other = proof.body;
  other.replace(other.find("A-1"), 3, "A-2");
  std::ofstream{dir.path + "/proof.json"} << other;
  const auto bad = usher_says("verify" + file);
  CHECK(bad.first == 1);
  CHECK(bad.second.find("content") != std::string::npos);
}

TEST_CASE("whoever was handed a ticket gets a proof without the one who bought it") {
  small_sale sale;
  const auto id = sale.sell("usr_ann", "A-1");
  client c{sale};
  REQUIRE(c.post("/reservations/" + id + "/transfer", R"({"toUserId":"usr_ben"})", sale.token("usr_ann")).status == 200);
  const auto proof = c.get("/reservations/" + id + "/proof", sale.token("usr_ben"));
  REQUIRE(proof.status == 200);
  CHECK_FALSE(proof.json().contains("record"));
  CHECK_FALSE(proof.json().contains("content"));
  CHECK(store::check_proof(proof.json(), "").wrong.empty());
  CHECK(c.get("/reservations/" + id + "/proof", sale.operator_token()).json().contains("record"));
}

TEST_CASE("auditors follow the checkpoints, and see that each continues the one before") {
  small_sale sale;
  client c{sale};
  for (int i = 1; i != 4; ++i) {
    const auto id = sale.sell("usr_ann", "A-" + std::to_string(i));
    REQUIRE(c.get("/reservations/" + id + "/proof", sale.token("usr_ann")).status == 200);
  }
  const auto last = c.get("/audit/checkpoints/latest");
  REQUIRE(last.status == 200);
  const auto newest = last.number("number");
  REQUIRE(newest >= 3);
  const auto all = c.get("/audit/checkpoints");
  REQUIRE(static_cast<std::int64_t>(all.json().at("items").as_array().size()) == newest);
  CHECK(store::check_proof(all.json(), c.get("/audit/key").text("publicKey")).wrong.empty());
  const auto page = c.get("/audit/checkpoints?limit=1");
  REQUIRE(page.text("nextCursor") == "1");
  CHECK(c.get("/audit/checkpoints?limit=1&cursor=1").json().at("items").at(0) == all.json().at("items").at(1));
  CHECK(c.get("/audit/checkpoints/2").json() == all.json().at("items").at(1).as_object());
  CHECK(c.get("/audit/checkpoints/99999").status == 404);
  CHECK(c.get("/audit/checkpoints/x").status == 400);
  const auto growth = c.get("/audit/proofs/consistency?from=1&to=" + std::to_string(newest), sale.token("usr_auditor", http::role::service));
  REQUIRE(growth.status == 200);
  CHECK(store::check_proof(growth.json(), "").wrong.empty());
  CHECK(c.get("/audit/proofs/consistency?from=2&to=1", sale.operator_token()).status == 400);
  CHECK(c.get("/audit/proofs/consistency?from=1&to=1", sale.token("usr_ann")).status == 403);
  CHECK(c.get("/audit/proofs/consistency?from=1&to=1").status == 401);

  // What was signed before a restart is continued after it.
  sale.restart();
  client again{sale};
  sale.sell("usr_bob", "A-9");
  sale.restart();
  client third{sale};
  const auto later = third.get("/audit/checkpoints/latest");
  REQUIRE(later.number("number") > newest);
  CHECK(store::check_proof(third.get("/audit/checkpoints").json(), "").wrong.empty());
}

TEST_CASE("a record with a secret is proved by its hash alone") {
  small_sale sale;
  client c{sale};
  const auto up = c.post("/users", R"({"name":"Ann Archer","email":"ann@example.org","password":"correct horse battery"})", {});
  REQUIRE(up.status == 201);
  const auto partition = std::to_string(partition_of(up.text("userId")));
  const auto proof = c.get("/audit/proofs/records/" + partition + "/1", sale.operator_token());
  REQUIRE(proof.status == 200);
  CHECK_FALSE(proof.json().contains("record"));
  CHECK(store::check_proof(proof.json(), "").wrong.empty());
  CHECK(c.get("/audit/proofs/records/" + partition + "/1", sale.token("usr_ann")).status == 403);
  CHECK(c.get("/audit/proofs/records/" + partition + "/9", sale.operator_token()).status == 404);
  CHECK(c.get("/audit/proofs/records/256/1", sale.operator_token()).status == 400);
  const auto opened = c.get("/audit/proofs/records/" + std::to_string(partition_of(sale.show)) + "/1", sale.operator_token());
  REQUIRE(opened.status == 200);
  CHECK(store::check_proof(opened.json(), "").wrong.empty());
}

TEST_CASE("a node whose log was changed goes on selling, signs nothing, and says so") {
  small_sale sale;
  sale.sell("usr_ann", "A-1");
  sale.stop();
  const auto partition = partition_of(sale.show);
  {
    auto db = store::database::open(log_directory(sale.directory())).value();
    const auto end = db->durable_end(partition);
    v1::Record last;
    REQUIRE(last.ParseFromString(db->last_stored(partition).value()));
    last.set_at_ms(last.at_ms() + 1);
    db->append_synced({{{partition, end}, last.SerializeAsString()}}).value();
  }
  sale.start();
  client c{sale};
  REQUIRE(eventually([&] { return c.get("/readyz").json().contains("notSigning"); }));
  const auto id = sale.sell("usr_bob", "A-2");
  CHECK(c.get("/reservations/" + id + "/proof", sale.token("usr_bob")).status == 503);
  CHECK(c.get("/metrics").body.find("usher_checkpoints_refused 1") != std::string::npos);
}

}  // namespace usher::tests
