// Folding everything again: what the log says is what is stored, and whoever changes one of them is found out.

#include <catch2/catch.hpp>

#include <set>

#include "actors/replay.hpp"
#include "http/log_reports.hpp"
#include "projections/auditor.hpp"
#include "projections/replay.hpp"
#include "projections/runner.hpp"
#include "store/audit.hpp"
#include "store/copy.hpp"
#include "tests/child_node.hpp"
#include "tests/log_maker.hpp"
#include "tests/program.hpp"

namespace usher::tests {
namespace {

using actors::replay;
using actors::replay_settings;

constexpr std::uint64_t few_events = 30'000;

/// A log with all that is derived from it, as a node leaves it behind.
struct made_log {
  temp_dir dir;
  std::string data = dir.path + "/data";
  std::unique_ptr<store::database> db;

  explicit made_log(std::uint64_t events = few_events) {
    std::filesystem::create_directory(data);
    db = store::database::open(data + "/db").value();
    log_maker{*db, {.shows = 3, .rows = 20, .seats = 20, .places = 200, .users = 100, .snapshot_every = 20}}.make(events);
  }
  void make_views() {
    projections::runner views;
    views.start(*db).value();
    views.flush().value();
  }
  [[nodiscard]] std::vector<projections::replayed_view> replay_views() const { return projections::replay_views(*db, dir.path + "/scratch").value(); }

  /// The first record that is as wanted.
  v1::Record find(const std::function<bool(const v1::Record&)>& wanted) const {
    v1::Record found;
    for (std::uint32_t p = 0; p != partition_count && found.index() == 0; ++p)
      db->scan(p, 1, [&](const store::record_ptr& r, std::string_view) {
          if (wanted(*r)) found = *r;
          return found.index() == 0;
        }).value();
    REQUIRE(found.index() != 0);
    return found;
  }
  void rewrite(const v1::Record& r) { db->append_synced({{{r.partition(), r.index()}, r.SerializeAsString()}}).value(); }
};

std::set<std::string> types_in(const store::database& db) {
  std::set<std::string> types;
  for (std::uint32_t p = 0; p != partition_count; ++p)
    db.scan(p, 1, [&](const store::record_ptr& r, std::string_view) {
        for (const auto& e : r->events()) {
          const auto* payload = e.GetReflection()->GetOneofFieldDescriptor(e, e.GetDescriptor()->FindOneofByName("payload"));
          const auto& inner = e.GetReflection()->GetMessage(e, payload);
          const auto* kind = inner.GetReflection()->GetOneofFieldDescriptor(inner, inner.GetDescriptor()->FindOneofByName("kind"));
          types.insert(payload->name() + '.' + kind->name());
        }
        return true;
      }).value();
  return types;
}

TEST_CASE("a log that was made quickly is chained, and the auditor finds nothing in it") {
  temp_dir dir;
  auto db = store::database::open(dir.path).value();
  log_maker maker{*db};
  maker.make(60'000);
  CHECK(store::verify_all(*db).value().records == maker.records());
  projections::auditor judge;
  for (std::uint32_t p = 0; p != partition_count; ++p)
    db->scan(p, 1, [&](const store::record_ptr& r, std::string_view) {
        judge.take(*r);
        return true;
      }).value();
  judge.finish();
  for (const auto& f : judge.take_faults()) FAIL_CHECK(projections::word_of(f.kind) << ' ' << f.entity << ": " << f.detail);
  CHECK(types_in(*db).size() >= 30);
}

TEST_CASE("folding a log again makes what is stored, and deciding it again what was decided") {
  made_log log;
  const auto seen = replay(*log.db, {.decide = true}).value();
  for (const auto& d : seen.differences) UNSCOPED_INFO(d.entity << " v" << d.version << ": " << d.detail);
  CHECK(seen.different == 0);
  CHECK(seen.snapshots > 20);
  for (const auto& d : seen.redecisions) UNSCOPED_INFO(d.entity << ' ' << d.command << '\n' << d.recorded << '\n' << d.decided);
  CHECK(seen.decided_otherwise() == 0);
  CHECK(seen.why_impossible.empty());
  CHECK(seen.by_command.at("reservation.place").same > 1000);

  // In passes over some entities at a time, most of them at rest, it comes to the same; and so it does where commands are decided.
  const auto drowsy = replay(*log.db, {.decide = true, .awake_max = 20}).value();
  CHECK(drowsy.hash.hex() == seen.hash.hex());
  CHECK(drowsy.decided_otherwise() == 0);
  const auto piecemeal = replay(*log.db, {.records_a_pass = 500, .awake_max = 20}).value();
  CHECK(piecemeal.hash.hex() == seen.hash.hex());
  CHECK(piecemeal.records == seen.records);
  CHECK(piecemeal.events == seen.events);
  CHECK(piecemeal.different == 0);

  // And so it does on a copy.
  const auto copy = store::database_copy::make(*log.db, log.dir.path + "/copy").value();
  CHECK(replay(copy->db(), {}).value().hash.hex() == seen.hash.hex());

  // Of another log it is another.
  auto record = log.find([](const auto& r) { return r.events_size() != 0 && r.events(0).reservation().has_placed(); });
  auto& placed = *record.mutable_events(0)->mutable_reservation()->mutable_placed();
  placed.set_amount(placed.amount() + 1);
  log.rewrite(record);
  CHECK(replay(*log.db, {}).value().hash.hex() != seen.hash.hex());
}

TEST_CASE("a snapshot that was tampered with is named") {
  made_log log;
  std::string key;
  v1::Snapshot wallet;
  log.db->each(store::family::snapshots, {}, {}, [&](std::string_view k, std::string_view value) {
      key = k;
      wallet.ParseFromArray(value.data(), static_cast<int>(value.size()));
      return !wallet.has_wallet();
    }).value();
  REQUIRE(wallet.has_wallet());
  wallet.mutable_wallet()->set_balance(wallet.wallet().balance() + 1);
  log.db->put_derived(store::family::snapshots, {{key, wallet.SerializeAsString()}}).value();
  auto seen = replay(*log.db, {}).value();
  REQUIRE(seen.different == 1);
  CHECK(seen.differences[0].entity == key_of(wallet.stream()));
  CHECK(seen.differences[0].version == wallet.version());
  CHECK_THAT(seen.differences[0].detail, Catch::Contains("wallet.balance"));

  // One of a version that there is not.
  wallet.set_version(1'000'000);
  log.db->put_derived(store::family::snapshots, {{key, wallet.SerializeAsString()}}).value();
  seen = replay(*log.db, {}).value();
  REQUIRE(seen.different == 1);
  CHECK_THAT(seen.differences[0].detail, Catch::Contains("doesn't have"));
}

TEST_CASE("a row of a view that was changed, lost or added is named") {
  made_log log{10'000};
  log.make_views();
  auto seen = log.replay_views();
  std::map<std::string, std::string> hashes;
  for (const auto& v : seen) {
    for (const auto& d : v.differences) UNSCOPED_INFO(v.name << " row " << d.key);
    CHECK(v.different == 0);
    CHECK(v.error.empty());
    CHECK(v.stored);
    hashes[v.name] = v.hash;
  }
  CHECK(seen.size() == 8);
  CHECK_FALSE(std::filesystem::exists(log.dir.path + "/scratch"));

  std::vector<std::string> keys;
  log.db->each(store::family::views, "wallets@1/", {}, [&](std::string_view key, std::string_view) {
      keys.emplace_back(key);
      return keys.size() < 10;
    }).value();
  log.db->put_derived(store::family::views, {{keys[3], "nonsense"}, {keys[7], std::nullopt}, {"wallets@1/~", "more"}}).value();
  seen = log.replay_views();
  for (const auto& v : seen) {
    CHECK(v.hash == hashes[v.name]);  // of the log, which is the same
    if (v.name != "wallets") {
      CHECK(v.different == 0);
      continue;
    }
    REQUIRE(v.different == 3);
    using kind = projections::row_difference::kind;
    CHECK(v.differences[0].what == kind::other);
    CHECK(v.differences[1].what == kind::missing);
    CHECK(v.differences[2].what == kind::superfluous);
    CHECK(v.differences[2].key == "~");
  }
}

TEST_CASE("when the views were written makes no difference to what they are, nor to their hashes") {
  made_log log{20'000};
  const auto hashes_of = [](const std::vector<projections::replayed_view>& seen) {
    std::map<std::string, std::string> hashes;
    for (const auto& v : seen) {
      for (const auto& d : v.differences) UNSCOPED_INFO(v.name << " row " << d.key);
      CHECK(v.different == 0);
      CHECK(v.error == "");
      hashes[v.name] = v.hash;
    }
    return hashes;
  };
  log.make_views();
  const auto once = hashes_of(log.replay_views());
  log.db->erase_prefix(store::family::views, "").value();
  {
    projections::runner often{{.flush_every = 37}};
    often.start(*log.db).value();
  }
  std::string room;
  std::size_t tails = 0;
  log.db->each(store::family::views, "queues@1/", {}, [&](std::string_view key, std::string_view) {
      room = key;
      tails += key.starts_with("queues@1/e/");
      return true;
    }).value();
  REQUIRE(room != "");
  REQUIRE(tails > 1);
  CHECK(hashes_of(log.replay_views()) == once);  // and the last records were not written
  log.make_views();
  CHECK(hashes_of(log.replay_views()) == once);

  log.db->put_derived(store::family::views, {{room, "nonsense"}}).value();
  for (const auto& v : log.replay_views()) {
    CHECK(v.hash == once.at(v.name));
    CHECK(v.different == (v.name == "queues" ? 1 : 0));
  }
}

TEST_CASE("a decision that today's rules would not make is named, with both") {
  made_log log{10'000};
  auto dearer = log.find([](const auto& r) { return r.command().reservation().has_place() && r.command().reservation().place().seats_size() != 0; });
  auto& item = *dearer.mutable_command()->mutable_reservation()->mutable_place()->mutable_seats(0);
  item.set_price(item.price() + 1);
  log.rewrite(dearer);
  auto refused = log.find([](const auto& r) { return r.command().wallet().has_use(); });
  refused.mutable_command()->mutable_wallet()->mutable_use()->set_amount(1'000'000'000);
  log.rewrite(refused);
  auto without = log.find([](const auto& r) { return r.command().reservation().has_cancel(); });
  without.clear_command();
  log.rewrite(without);

  const auto seen = replay(*log.db, {.decide = true}).value();
  CHECK(seen.different == 0);
  REQUIRE(seen.decided_otherwise() == 2);
  CHECK(seen.why_impossible.size() == 1);
  CHECK(seen.by_command.at("unknown").impossible == 1);
  const auto& place = *std::ranges::find(seen.redecisions, "reservation.place", &actors::redecision::command);
  CHECK(place.at == log_position{dearer.partition(), dearer.index()});
  CHECK(place.entity == key_of(dearer.target()));
  CHECK(place.recorded != place.decided);
  const auto& use = *std::ranges::find(seen.redecisions, "wallet.use", &actors::redecision::command);
  CHECK_THAT(use.decided, Catch::Contains("INSUFFICIENT_BALANCE"));
}

TEST_CASE("a stream with a version missing, or an event of a type that nobody knows, is named") {
  made_log log{5'000};
  auto gap = log.find([](const auto& r) { return r.events_size() == 1 && r.events(0).wallet().has_charged() && r.events(0).version() == 3; });
  gap.mutable_events(0)->set_version(4);
  log.rewrite(gap);
  auto unknown = log.find([](const auto& r) { return r.events_size() == 1 && r.events(0).wallet().has_used(); });
  unknown.mutable_events(0)->mutable_wallet()->Clear();
  log.rewrite(unknown);
  const auto seen = replay(*log.db, {}).value();
  const auto says = [&](const v1::Record& r, const std::string& what) {
    return std::ranges::any_of(seen.differences, [&](const auto& d) {
      return d.at == log_position{r.partition(), r.index()} && d.entity == key_of(r.events(0).stream()) && d.detail.find(what) != std::string::npos;
    });
  };
  CHECK(says(gap, "Version 4 follows version 2"));
  CHECK(says(unknown, "type that this version of Usher doesn't know"));
}

// --- as people ask for it

boost::json::object hashes_in(const boost::json::object& report) {
  boost::json::object out;
  out["positions"] = report.at("positionsHash");
  out["state"] = report.at("stateHash");
  for (const auto& v : report.at("views").as_array()) out[v.at("name").as_string()] = v.at("hash");
  return out;
}

TEST_CASE("a node, its stopped data and a copy of it have the same hashes, and the program says when something is wrong") {
  made_log log{5'000};
  log.db.reset();
  child_node node{log.data};
  program_run live, live_stats, stopped;
  // What was due long ago is recorded as soon as the node starts, and people are admitted while it runs: until a picture has met no record.
  for (int i = 0; i != 10; ++i) {
    if (i != 0) node.restart();
    live = run_program({"replay", "--data", log.data, "--decide", "--json"});
    INFO(live.out << live.err);
    REQUIRE(live.code == 0);
    live_stats = run_program({"stats", "--data", log.data, "--json"});
    node.kill();
    stopped = run_program({"replay", "--data", log.data, "--decide", "--json"});
    REQUIRE(stopped.code == 0);
    if (live.json().at("positionsHash") == stopped.json().at("positionsHash")) break;
  }
  CHECK(hashes_in(live.json()) == hashes_in(stopped.json()));
  CHECK(live.json().at("decisions") == stopped.json().at("decisions"));
  CHECK(live_stats.code == 0);
  CHECK(live_stats.out == run_program({"stats", "--data", log.data, "--json"}).out);

  const auto copy = log.dir.path + "/copy";
  std::filesystem::create_directory(copy);
  auto db = store::database::open(log.data + "/db").value();
  db->copy_to(copy + "/db").value();
  CHECK(hashes_in(run_program({"replay", "--data", copy, "--json"}).json()) == hashes_in(stopped.json()));

  log.db = std::move(db);
  auto dearer = log.find([](const auto& r) { return r.command().reservation().has_extend(); });
  dearer.mutable_command()->mutable_reservation()->mutable_extend()->set_seconds(1);
  log.rewrite(dearer);
  log.db->put_derived(store::family::views, {{"wallets@1/~", "more"}}).value();
  log.db->flush().value();
  log.db.reset();
  const auto wrong = run_program({"replay", "--data", log.data, "--decide"});
  CHECK(wrong.code == 1);
  CHECK_THAT(wrong.out, Catch::Contains("1 command would be decided otherwise"));
  CHECK_THAT(wrong.out, Catch::Contains("reservation.extend"));
  CHECK_THAT(wrong.err, Catch::Contains("view wallets, row ~: the stored one is superfluous"));
}

TEST_CASE("stats counts what the log holds, and says where it is largest") {
  made_log log{5'000};
  std::vector<std::pair<std::uint64_t, std::uint64_t>> steps;
  http::stats_report(*log.db, [&](std::uint64_t done, std::uint64_t total) { return steps.emplace_back(done, total), true; }).value();
  CHECK(steps.front().first == 0);
  CHECK((steps.back().first == steps.back().second && steps.back() == std::pair{steps.back().first, steps.front().second}));
  log.db.reset();
  const auto asked = run_program({"stats", "--data", log.data, "--json"});
  REQUIRE(asked.code == 0);
  const auto stats = asked.json();
  std::int64_t sum = 0;
  for (const auto& type : stats.at("eventsByType").as_object()) sum += type.value().as_int64();
  CHECK(stats.at("events").as_int64() == sum);
  CHECK(stats.at("events").as_int64() >= 5'000);
  CHECK(stats.at("largestStreams").as_array().size() == 10);
  CHECK(stats.at("largestPartitions").as_array().size() == 10);
  for (const auto& stream : stats.at("largestStreams").as_array()) {
    const std::string name{stream.at("stream").as_string()};
    INFO(name);
    CHECK(run_program({"history", name, "--data", log.data, "--limit", "1"}).code == 0);
  }
  const auto table = run_program({"stats", "--data", log.data});
  CHECK(table.code == 0);
  CHECK_THAT(table.out, Catch::Contains("wallet.charged") && Catch::Contains("largest streams"));
  CHECK(run_program({"stats", "--data", log.dir.path + "/nothing"}).code == 2);
  CHECK(run_program({"stats", "--nonsense"}).code != 0);
}

}  // namespace
}  // namespace usher::tests
