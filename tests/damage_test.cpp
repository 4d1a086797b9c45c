// Whatever happens to what is stored, `usher verify` notices, and says where.

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "events/merkle.hpp"
#include "projections/verification.hpp"
#include "store/hash.hpp"
#include "store/index.hpp"
#include "tests/small_sale.hpp"

namespace usher::tests {
namespace {

namespace fs = std::filesystem;

projections::verification verified(const std::string& data) {
  projections::verify_options options;
  options.data_directory = data;
  options.database_directory = log_directory(data);
  return projections::verify(options).value();
}

/// What was found, one place after the other.
std::string told(const projections::verification& v) {
  std::string out;
  for (const auto& d : v.found) out += d.kind + " at " + d.place + ": " + d.detail + '\n';
  return out;
}
bool names(const projections::verification& v, std::string_view kind, std::string_view place) {
  return std::ranges::any_of(v.found, [&](const auto& d) { return d.kind == kind && d.place == place; });
}

/// Files that have to be as they are: all but RocksDB's diary, the empty lock, and the note of where the node listens.
std::vector<fs::path> files_in(const std::string& data) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator{data}) {
    const auto name = entry.path().filename().string();
    if (entry.is_regular_file() && !name.starts_with("LOG") && entry.file_size() != 0) out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

/// One byte of a file as it should not be, for as long as this lives.
class flipped {
 public:
  flipped(fs::path file, std::uint64_t at, unsigned char by) : file_{std::move(file)}, at_{at}, by_{by} { flip(); }
  ~flipped() { flip(); }
  flipped(const flipped&) = delete;
  flipped& operator=(const flipped&) = delete;

 private:
  void flip() const {
    std::fstream f{file_, std::ios::in | std::ios::out | std::ios::binary};
    f.seekg(static_cast<std::streamoff>(at_));
    const auto was = static_cast<unsigned char>(f.get());
    f.seekp(static_cast<std::streamoff>(at_));
    f.put(static_cast<char>(was ^ by_));
  }
  const fs::path file_;
  const std::uint64_t at_;
  const unsigned char by_;
};

void sell_a_few(small_sale& sale) {
  client c{sale};
  for (int i = 1; i != 9; ++i) sale.sell(i % 2 == 0 ? "usr_ann" : "usr_bob", "A-" + std::to_string(i));
  sale.hold("usr_cat", "A-20");
  REQUIRE(c.post("/users", R"({"name":"Ann Archer","email":"ann@example.org","password":"correct horse battery"})", {}).status == 201);
  REQUIRE(c.get("/reservations/" + sale.sell("usr_ann", "A-30") + "/proof", sale.token("usr_ann")).status == 200);
}

/// Places in a file: the first and last bytes, those around the ends of blocks, and some that the seed chooses.
std::vector<std::uint64_t> places_in(std::uint64_t size, std::size_t count, std::mt19937& random) {
  std::set<std::uint64_t> out{0, size - 1, size / 2};
  for (std::uint64_t block = 32 << 10; block < size; block += 32 << 10) out.insert({block - 1, block, block + 5});
  for (std::size_t i = 0; i != count; ++i) out.insert(random() % size);
  return {out.begin(), out.end()};
}

/// Flips single bytes in every file, one at a time. @return how many
std::size_t check_every_file(const std::string& data, std::size_t flips_in_each) {
  REQUIRE(told(verified(data)).empty());
  CHECK(verified(data).unchecked.empty());
  std::mt19937 random{5};
  std::size_t flips = 0;
  for (const auto& file : files_in(data)) {
    const auto name = fs::relative(file, data).string();
    for (const auto at : places_in(fs::file_size(file), flips_in_each, random)) {
      INFO("byte " << at << " of " << name);
      const flipped one{file, at, static_cast<unsigned char>(1U << random() % 8)};
      const auto found = verified(data);
      ++flips;
      INFO(told(found));
      CHECK_FALSE(found.found.empty());
      CHECK((names(found, "file", name) || names(found, "torn", name)));
    }
  }
  REQUIRE(told(verified(data)).empty());
  return flips;
}

/// Every byte of every file that RocksDB's own formats vouch for, without opening it each time.
void check_every_byte(const std::string& data, std::uint64_t size_max) {
  std::mt19937 random{6};
  const auto db = log_directory(data);
  for (const auto& file : files_in(db)) {
    const auto name = file.filename().string();
    if (name == "IDENTITY" || name.starts_with("OPTIONS") || fs::file_size(file) > size_max) continue;
    for (std::uint64_t at = 0; at != fs::file_size(file); ++at) {
      const flipped one{file, at, static_cast<unsigned char>(1U << random() % 8)};
      const auto found = store::check_files(db, "", [](std::uint64_t) { return true; }).value();
      if (std::ranges::any_of(found.found, [&](const auto& d) { return d.place == name; })) continue;
      FAIL("byte " << at << " of " << name);
    }
  }
}

void copy_of(const std::string& from, const std::string& to) { fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing); }

/// Everything of one store in another, but for what comes after `upto` in one partition; what is derived is derived again.
void copy_log(const std::string& from, const std::string& to, std::uint32_t cut, std::uint64_t upto) {
  const auto old = store::database::open_read_only(log_directory(from)).value();
  const auto fresh = store::database::open(log_directory(to)).value();
  for (std::uint32_t p = 0; p != partition_count; ++p)
    old->scan_stored(p, 0, [&](std::uint64_t index, std::string_view stored) {
      if (p != cut || index <= upto) fresh->append_synced({{{p, index}, std::string{stored}}}).value();
      return true;
    }).value();
  std::vector<store::database::row> rows;
  old->each(store::family::evidence, {}, {}, [&](std::string_view key, std::string_view value) {
    rows.push_back({std::string{key}, std::string{value}});
    return true;
  }).value();
  fresh->put_evidence(rows).value();
  fresh->put_meta("signing_key", old->get(store::family::meta, "signing_key").value().value()).value();
  store::engine_index index;
  index.load(*fresh).value();
  index.flush(*fresh).value();
}

/// Changes a record, and chains all behind it again, as somebody would who knows what they do.
void rewrite(const std::string& data, std::uint32_t partition, std::uint64_t from, bool chain_again) {
  const auto db = store::database::open(log_directory(data)).value();
  std::vector<std::pair<log_position, std::string>> changed;
  std::string last_hash;
  db->scan_stored(partition, from, [&](std::uint64_t index, std::string_view stored) {
    v1::Record r;
    r.ParseFromArray(stored.data(), static_cast<int>(stored.size()));
    if (index == from) r.set_correlation("another one");
    else if (chain_again) r.set_previous_hash(last_hash);
    changed.emplace_back(log_position{partition, index}, r.SerializeAsString());
    last_hash = store::sha256(changed.back().second);
    return true;
  }).value();
  db->append_synced(changed).value();
}

struct stopped_sale {
  temp_dir dir;
  std::string data = dir.path + "/data";
  std::uint32_t partition = 0;  // of the show
  std::string show;

  explicit stopped_sale() {
    small_sale sale;
    sell_a_few(sale);
    partition = partition_of(sale.show);
    show = sale.show;
    sale.stop();
    copy_of(sale.directory(), data);
  }
};

}  // namespace

TEST_CASE("one byte of any file of a store that was closed is noticed, and the file named") {
  const stopped_sale sale;
  CHECK(check_every_file(sale.data, number_from_environment("USHER_TEST_ROUNDS", 3)) > 60);
  check_every_byte(sale.data, 3000);
}

TEST_CASE("one byte of any file that a killed node left is noticed, and the file named") {
  small_sale sale;
  sell_a_few(sale);
  const temp_dir dir;
  copy_of(sale.directory(), dir.path);  // nothing is written just now: this is what a kill leaves
  const auto found = verified(dir.path);
  CHECK(found.log.records > 20);
  CHECK(found.log.checkpoints > 0);
  CHECK(std::ranges::any_of(files_in(dir.path), [](const auto& f) { return f.extension() == ".log" && fs::file_size(f) > 5000; }));
  CHECK(check_every_file(dir.path, number_from_environment("USHER_TEST_ROUNDS", 4)) > 30);
}

TEST_CASE("an end of the write-ahead log that a crash tore is told from other damage, as far as that goes") {
  small_sale sale;
  sell_a_few(sale);
  const temp_dir dir;
  copy_of(sale.directory(), dir.path);
  for (const auto& file : files_in(dir.path)) {
    if (file.extension() != ".log") continue;
    fs::resize_file(file, fs::file_size(file) - 3);
    CHECK(names(verified(dir.path), "torn", fs::relative(file, dir.path).string()));
    // Opening it for writing mends it.
    { const auto opened = store::database::open(log_directory(dir.path)).value(); }
  }
  const auto mended = verified(dir.path);
  INFO(told(mended));
  CHECK(std::ranges::none_of(mended.found, [](const auto& d) { return d.kind == "torn" || d.kind == "file"; }));
}

TEST_CASE("files that are missing, and those that nobody knows, are named") {
  const stopped_sale sale;
  std::ofstream{sale.data + "/db/notes.txt"} << "hello";
  CHECK(verified(sale.data).unchecked == std::vector<std::string>{"db/notes.txt"});
  fs::remove(sale.data + "/secret.signing");
  CHECK(names(verified(sale.data), "file", "secret.signing"));
  for (const auto& file : files_in(sale.data))
    if (file.extension() == ".sst") {
      fs::remove(file);
      CHECK(names(verified(sale.data), "file", fs::relative(file, sale.data).string()));
      break;
    }
}

TEST_CASE("a write-ahead log, an identity and options that are gone are noticed, and what RocksDB drops by itself is not") {
  small_sale sale;
  sell_a_few(sale);
  const temp_dir killed, closed;
  copy_of(sale.directory(), killed.path);
  {
    const auto copied = client{sale}.post("/admin/backup", R"({"name":"evening"})", sale.operator_token(), "backup-1");
    REQUIRE(copied.status == 202);
    REQUIRE(eventually([&] { return fs::exists(sale.directory() + "/backups/evening/backup.json"); }));
  }
  sale.stop();
  copy_of(sale.directory(), closed.path);
  for (const auto& data : {killed.path, closed.path}) {
    INFO(told(verified(data)));
    REQUIRE(verified(data).found.empty());
    for (const auto* kind : {".log", "IDENTITY", "OPTIONS-"}) {
      const temp_dir less;
      copy_of(data, less.path);
      for (const auto& entry : fs::directory_iterator{less.path + "/db"})
        if (entry.path().filename().string().find(kind) != std::string::npos && !entry.path().filename().string().starts_with("LOG")) fs::remove(entry.path());
      const auto found = verified(less.path);
      INFO(kind << '\n' << told(found));
      const std::string name{kind};
      CHECK(names(found, "file", name == ".log" ? "db/*.log" : name == "IDENTITY" ? "db/IDENTITY" : "db/OPTIONS-*"));
    }
  }
  const temp_dir dir;
  const auto restored = dir.path + "/restored";
  REQUIRE(usher_says("restore " + sale.directory() + "/backups/evening --data " + restored).first == 0);
  INFO(told(verified(restored)));
  CHECK(verified(restored).found.empty());
  CHECK(verified(restored).unchecked.empty());
  // Each start has options of its own, and drops those of the start before the last.
  for (int i = 0; i != 4; ++i) {
    { const auto opened = store::database::open(log_directory(restored)).value(); }
    CHECK(told(verified(restored)).empty());
  }
  const auto exported = dir.path + "/log.jsonl";
  REQUIRE(usher_says("export --data " + restored + " --out " + exported).first == 0);
  REQUIRE(usher_says("import " + exported + " --data " + dir.path + "/imported").first == 0);
  CHECK(told(verified(dir.path + "/imported")).empty());
}

TEST_CASE("a secret that is not the one that signed here is noticed, however often the node was started with it") {
  small_sale sale;
  sell_a_few(sale);
  for (const bool is_lost : {true, false}) {
    sale.stop();
    const auto file = sale.directory() + "/secret.signing";
    const auto kept = sale.directory() + "-kept";
    fs::copy_file(file, kept, fs::copy_options::overwrite_existing);
    if (is_lost) fs::remove(file);
    else std::ofstream{file, std::ios::binary} << std::string(32, 'x');
    for (int starts = 0; starts != 2; ++starts) {
      sale.start();
      CHECK(usher_says("verify --server 127.0.0.1:" + std::to_string(sale.port()) + " --token " + sale.operator_token()).first == 1);
      sale.stop();
      const auto found = verified(sale.directory());
      INFO(told(found));
      CHECK(std::ranges::any_of(found.found, [](const auto& d) { return d.place == "secret.signing" && d.detail.starts_with("is not the key that signed here"); }));
    }
    fs::copy_file(kept, file, fs::copy_options::overwrite_existing);
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    fs::remove(kept);
    sale.start();
    sale.stop();
    CHECK(told(verified(sale.directory())).empty());
  }
}

TEST_CASE("a block that can't be read ends its partition, and all others are read, printed and exported") {
  constexpr std::uint32_t good = 2, bad = 3, next = 200;
  const temp_dir dir;
  const auto data = dir.path + "/data";
  fs::create_directories(data);
  {
    const auto db = store::database::open(log_directory(data)).value();
    std::mt19937_64 random{7};
    for (const auto p : {good, bad, next}) {
      std::string last_hash;
      std::vector<std::pair<log_position, std::string>> records;
      for (std::uint64_t index = 1; index != 401; ++index) {
        v1::Record r;
        r.set_partition(p);
        r.set_index(index);
        r.set_epoch(1);
        r.set_previous_hash(last_hash);
        r.set_user_id("usr_of_" + std::to_string(p));
        std::string noise;
        while (noise.size() < 300) noise += std::to_string(random());
        r.set_correlation(noise);
        records.emplace_back(log_position{p, index}, r.SerializeAsString());
        last_hash = store::sha256(records.back().second);
      }
      db->append_synced(records).value();
    }
    db->flush().value();
    db->compact_log().value();
  }
  fs::path largest;
  for (const auto& entry : fs::directory_iterator{data + "/db"})
    if (entry.path().extension() == ".sst" && (largest.empty() || entry.file_size() > fs::file_size(largest))) largest = entry.path();
  const auto whole = usher_says("log --limit 0 --data " + data).second;
  const flipped one{largest, fs::file_size(largest) / 2, 1};  // of three partitions in their order
  const auto count = [](const std::string& text, const std::string& of) {
    std::size_t n = 0;
    for (auto at = text.find(of); at != std::string::npos; at = text.find(of, at + 1)) ++n;
    return n;
  };
  REQUIRE(count(whole, "by usr_of_3") == 400);

  const auto db = store::database::open_read_only(log_directory(data)).value();
  std::uint64_t seen = 0;
  const auto scanned = db->scan_stored(bad, 0, [&](std::uint64_t index, std::string_view) { return seen = index, true; });
  REQUIRE_FALSE(scanned.has_value());
  CHECK(seen > 20);
  CHECK(seen < 380);
  CHECK(scanned.error().detail.find("partition 3") != std::string::npos);
  for (const auto p : {good, next}) CHECK(db->durable_end(p) == 400);

  const auto log = usher_says("log --limit 0 --data " + data);
  CHECK(log.first == 1);
  CHECK(count(log.second, "by usr_of_2\n") == 400);
  CHECK(count(log.second, "by usr_of_200") == 400);
  CHECK(count(log.second, "by usr_of_3") == seen);
  CHECK(log.second.find("usher: reading partition 3") + log.second.find("usher: partition 3") != 2 * std::string::npos);
  CHECK(log.second.find("1 partition can't be read to the end") != std::string::npos);
  CHECK(usher_says("log --limit 0 --partition 2 --data " + data).first == 0);

  const auto file = dir.path + "/rest.jsonl";
  const auto exported = usher_says("export --data " + data + " --out " + file);
  INFO(exported.second);
  CHECK(exported.first == 1);
  CHECK(exported.second.find("partition 3") != std::string::npos);
  std::ifstream in{file};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  CHECK(count(text, "\"position\":\"200/") == 400);
  CHECK(count(text, "\"position\":\"3/") == seen);
  CHECK(text.find("\"end\":true") == std::string::npos);
  CHECK(usher_says("import " + file + " --data " + dir.path + "/again").first != 0);

  const auto found = verified(data);
  INFO(told(found));
  CHECK(names(found, "file", "db/" + largest.filename().string()));
  CHECK(names(found, "record", "3/" + std::to_string(seen + 1)));
}

TEST_CASE("a log that lost its end is noticed, though nothing in it contradicts anything else") {
  const stopped_sale sale;
  const temp_dir dir;
  const auto end = store::database::open_read_only(log_directory(sale.data)).value()->durable_end(sale.partition);
  fs::create_directories(dir.path);
  copy_log(sale.data, dir.path, sale.partition, end);
  INFO(told(verified(dir.path)));
  REQUIRE(verified(dir.path).found.empty());
  const temp_dir shorter;
  copy_log(sale.data, shorter.path, sale.partition, end - 1);
  const auto found = verified(shorter.path);
  INFO(told(found));
  CHECK(names(found, "evidence", std::to_string(sale.partition) + "/" + std::to_string(end - 1)));
}

TEST_CASE("a record that was changed is noticed by the chain, and by what was signed where all behind it was chained again") {
  const stopped_sale sale;
  const auto place = [&](std::uint64_t index) { return std::to_string(sale.partition) + "/" + std::to_string(index); };
  const auto end = store::database::open_read_only(log_directory(sale.data)).value()->durable_end(sale.partition);
  REQUIRE(end > 4);
  SECTION("it alone") {
    rewrite(sale.data, sale.partition, 3, false);
    const auto found = verified(sale.data);
    INFO(told(found));
    CHECK(names(found, "chain", place(4)));
    CHECK(std::ranges::any_of(found.found, [](const auto& d) { return d.kind == "evidence"; }));
  }
  SECTION("with all behind it") {
    rewrite(sale.data, sale.partition, 3, true);
    const auto found = verified(sale.data);
    INFO(told(found));
    CHECK(found.found.size() == 1);
    CHECK(found.found.front().kind == "evidence");
    CHECK(found.found.front().detail.find("signed for other records") != std::string::npos);
  }
  SECTION("the last one") {
    rewrite(sale.data, sale.partition, end, true);
    CHECK(names(verified(sale.data), "evidence", place(end)));
  }
  SECTION("and all that is wrong is named, not only the first") {
    rewrite(sale.data, sale.partition, 3, false);
    rewrite(sale.data, partition_of("usr_ann"), 2, false);
    const auto found = verified(sale.data);
    CHECK(names(found, "chain", place(4)));
    CHECK(names(found, "chain", std::to_string(partition_of("usr_ann")) + "/3"));
  }
}

TEST_CASE("signatures and roots that were changed are noticed") {
  const stopped_sale sale;
  const auto db = store::database::open(log_directory(sale.data)).value();
  std::vector<store::database::row> rows;
  db->each(store::family::evidence, {}, {}, [&](std::string_view key, std::string_view value) {
    rows.push_back({std::string{key}, std::string{value}});
    return true;
  }).value();
  // However often the notary came to sign before the node was stopped.
  const auto has = [&](char kind) { return std::ranges::any_of(rows, [&](const auto& row) { return row.key.front() == kind; }); };
  REQUIRE(has('c'));
  REQUIRE(has('f'));
  for (const auto& row : rows) {
    auto changed = *row.value;
    changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 1);
    db->put_evidence({{row.key, changed}}).value();
    store::audit_options options;
    CHECK_FALSE(store::audit(*db, options).value().found.empty());
    db->put_evidence({row}).value();
    CHECK(store::audit(*db, options).value().found.empty());
  }
}

TEST_CASE("rows that don't follow from the log are noticed") {
  const stopped_sale sale;
  const auto db = store::database::open(log_directory(sale.data)).value();
  const auto audit = [&] { return store::audit(*db, {}).value().found; };
  REQUIRE(audit().empty());
  for (const auto& [f, prefix, kind] : {std::tuple{store::family::streams, "s", "index"}, std::tuple{store::family::timers, "t", "timer"},
                                        std::tuple{store::family::idempotency, "k", "key"}}) {
    std::vector<store::database::row> rows;
    db->each(f, prefix, {}, [&](std::string_view key, std::string_view value) {
      rows.push_back({std::string{key}, std::string{value}});
      return rows.size() != 5;
    }).value();
    INFO(kind);
    REQUIRE_FALSE(rows.empty());
    for (const auto& row : rows) {
      for (const auto at : {std::size_t{0}, std::size_t{7}}) {
        auto changed = *row.value;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        db->put_derived(f, {{row.key, changed}}).value();
        const auto found = audit();
        REQUIRE_FALSE(found.empty());
        CHECK(found.front().kind == kind);
      }
      db->put_derived(f, {{row.key, std::nullopt}}).value();
      CHECK_FALSE(audit().empty());
      auto elsewhere = row.key;
      elsewhere[9] = static_cast<char>(elsewhere[9] ^ 1);
      db->put_derived(f, {row, {elsewhere, row.value}}).value();
      CHECK_FALSE(audit().empty());
      db->put_derived(f, {{elsewhere, std::nullopt}}).value();
      REQUIRE(audit().empty());
    }
  }
  db->put_derived(store::family::snapshots, {{"seat/x", "\xff\xff"}}).value();
  CHECK(audit().front().kind == "snapshot");
}

TEST_CASE("a stream with a gap in its versions, or a link that leads astray, is named by its record") {
  temp_dir dir;
  const auto db = store::database::open(dir.path).value();
  std::string last_hash;
  std::uint64_t index = 0;
  const auto add = [&](std::uint64_t version, std::uint64_t previous) {
    v1::Record r;
    r.set_partition(7);
    r.set_index(++index);
    r.set_epoch(1);
    r.set_previous_hash(last_hash);
    auto& e = *r.add_events();
    *e.mutable_stream() = seat_ref("shw_x", "A-1");
    e.set_version(version);
    e.set_previous_index(previous);
    const auto stored = r.SerializeAsString();
    last_hash = store::sha256(stored);
    db->append_synced({{{7, index}, stored}}).value();
  };
  const auto row_is = [&](std::uint64_t version) {
    // As the index would have it, had it believed the log.
    const auto h = store::hash_of(seat_ref("shw_x", "A-1"));
    std::string key{"s"}, value, end;
    for (const auto n : {h.high, h.low}) for (int i = 7; i >= 0; --i) key.push_back(static_cast<char>(n >> (8 * i)));
    for (const auto n : {version, index}) for (int i = 7; i >= 0; --i) value.push_back(static_cast<char>(n >> (8 * i)));
    for (int i = 7; i >= 0; --i) end.push_back(static_cast<char>(index >> (8 * i)));
    db->put_derived(store::family::streams, {{key, value}, {std::string{"c\0\7", 3}, end}}).value();
  };
  const auto found = [&] { return store::audit(*db, {}).value().found; };
  add(1, 0);
  add(2, 1);
  row_is(2);
  INFO([&] { std::string s; for (auto& d : found()) s += d.place + d.detail; return s; }());
  REQUIRE(found().empty());
  SECTION("a gap") {
    add(4, 2);
    row_is(4);
    REQUIRE(found().size() == 1);
    CHECK(found().front().kind == "stream");
    CHECK(found().front().place == "7/3");
  }
  SECTION("a link") {
    add(3, 1);
    row_is(3);
    REQUIRE(found().size() == 1);
    CHECK(found().front().place == "7/3");
  }
}

TEST_CASE("the command says what is wrong, of a node that is stopped and of one that runs") {
  small_sale sale;
  sell_a_few(sale);
  const auto live = usher_says("verify --server 127.0.0.1:" + std::to_string(sale.port()) + " --token " + sale.operator_token());
  INFO(live.second);
  CHECK(live.first == 0);
  CHECK(live.second.find("signed by") != std::string::npos);
  CHECK(live.second.find("Not known") == std::string::npos);
  sale.stop();
  const auto good = usher_says("verify --data " + sale.directory());
  INFO(good.second);
  CHECK(good.first == 0);
  CHECK(good.second.find("whole, in order and chained") != std::string::npos);
  const auto as_json = boost::json::parse(usher_says("verify --json --data " + sale.directory()).second).as_object();
  CHECK(as_json.at("intact") == true);
  CHECK(as_json.at("damage").as_array().empty());
  const auto partial = usher_says("verify --partition 3 --data " + sale.directory());
  CHECK(partial.first == 0);
  CHECK(partial.second.find("of partition 3 checked") != std::string::npos);
  CHECK(partial.second.find("Not looked at: the other partitions") != std::string::npos);
  CHECK(partial.second.find("contradicts") == std::string::npos);
  CHECK_FALSE(boost::json::parse(usher_says("verify --json --partition 3 --data " + sale.directory()).second).at("unchecked").as_array().empty());
  CHECK(usher_says("verify --data " + sale.directory() + "/nothing").first == 2);
  for (const auto& file : files_in(sale.directory())) {
    if (!file.filename().string().starts_with("MANIFEST")) continue;
    const flipped one{file, 20, 1};
    const auto bad = usher_says("verify --data " + sale.directory());
    INFO(bad.second);
    CHECK(bad.first == 1);
    CHECK(bad.second.find("db/" + file.filename().string()) != std::string::npos);
    CHECK(usher_says("verify --json --data " + sale.directory()).first == 1);
  }
}

}  // namespace usher::tests
