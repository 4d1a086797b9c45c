// Walks the partitions and believes nothing.
//
// That the rows of ten million streams are right is found out without keeping them. Each (stream, version, record) has a random number
// under a secret of the process. An event adds its own and takes away that of the one before it, so that what is left in the end
// is the sum over the streams' last events, if versions and links have no gaps; and that has to be the sum over the rows.
// The sums are kept by classes of streams, so that only those of a class that is wrong are looked at one by one.

#include "store/audit.hpp"

#include <sodium.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <set>

#include "events/words.hpp"
#include "store/bug.hpp"
#include "store/evidence.hpp"
#include "store/hash.hpp"
#include "store/index.hpp"
#include "store/index_rows.hpp"

namespace usher::store {
namespace {

/// What is wrong with a record after `before`, empty if nothing.
std::string fault_in(const v1::Record& record, std::uint32_t partition, std::uint64_t index, const audited& before, std::uint64_t last_epoch) {
  if (index != before.records + 1) return "stands where " + std::to_string(before.records + 1) + " should";
  if (record.partition() != partition || record.index() != index) return "says that it stands elsewhere";
  if (record.epoch() < last_epoch) return "has an epoch before its predecessor's";
  if (record.previous_hash() != before.last_hash) return "doesn't carry the hash of its predecessor";
  return {};
}

}  // namespace

result<audited> verify_chain(const database& db, std::uint32_t partition) {
  audited so_far;
  std::uint64_t last_epoch = 0;
  std::string fault;
  v1::Record record;
  auto scanned = db.scan_stored(partition, 0, [&](std::uint64_t index, std::string_view stored) {
    fault = record.ParseFromArray(stored.data(), static_cast<int>(stored.size()))
                ? fault_in(record, partition, index, so_far, last_epoch)
                : "can't be decoded";
    if (!fault.empty()) {
      fault = "record " + std::to_string(index) + " of partition " + std::to_string(partition) + " " + fault;
      return false;
    }
    last_epoch = record.epoch();
    so_far.last_hash = sha256(stored);
    ++so_far.records;
    return true;
  });
  if (!scanned) return scanned.error();
  if (!fault.empty()) return failure{errc::corrupted, fault};
  return so_far;
}

result<audited> verify_all(const database& db) {
  audited all;
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    auto one = verify_chain(db, p);
    if (!one) return one.error();
    all.records += one->records;
  }
  return all;
}

namespace {

constexpr std::size_t classes = 4096;
constexpr std::size_t classes_looked_at_max = 64;  // in the second pass

struct sum128 {
  std::uint64_t low = 0, high = 0;
  bool operator==(const sum128&) const = default;
};

/// Random numbers that follow from what they stand for, and that nobody outside can foresee.
class numbers {
 public:
  numbers() {
    if (sodium_init() < 0) bug("libsodium has no randomness");
    randombytes_buf(secret_.data(), sizeof secret_);
  }
  [[nodiscard]] sum128 of(const short_hash& h, std::uint64_t a, std::uint64_t b, std::uint64_t c = 0, std::uint64_t d = 0) const {
    return {mixed(0, h, a, b, c, d), mixed(1, h, a, b, c, d)};
  }

 private:
  [[nodiscard]] std::uint64_t mixed(std::size_t which, const short_hash& h, std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) const {
    auto x = secret_[2 * which];
    for (const auto part : {h.high, h.low, a, b, c, d}) x = stir(x + part * 0x9e3779b97f4a7c15U) ^ secret_[2 * which + 1];
    return stir(x);
  }
  static std::uint64_t stir(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
  }
  std::array<std::uint64_t, 4> secret_{};
};

std::size_t class_of(const short_hash& h) { return h.high % classes; }

class sums {
 public:
  void add(const short_hash& h, const sum128& n) { move(h, n.low, n.high); }
  void take_away(const short_hash& h, const sum128& n) { move(h, 0 - n.low, 0 - n.high); }
  [[nodiscard]] std::set<std::size_t> wrong() const {
    std::set<std::size_t> out;
    for (std::size_t c = 0; c != classes; ++c)
      if (all_[c] != sum128{}) out.insert(c);
    return out;
  }

 private:
  void move(const short_hash& h, std::uint64_t low, std::uint64_t high) {
    auto& s = all_[class_of(h)];
    s.low += low;
    s.high += high;
  }
  std::vector<sum128> all_ = std::vector<sum128>(classes);
};

/// How far the rows of one family go, by partition.
using ends = std::array<std::uint64_t, partition_count>;

template <class Value>
using by_hash = boost::unordered_flat_map<short_hash, Value, short_hash_hasher>;

struct last_event { std::uint64_t version = 0, index = 0; };
struct pending { std::int64_t deadline_ms = 0; std::uint32_t partition = 0; };
struct key_row { std::uint64_t fingerprint = 0; log_position at; std::int64_t at_ms = 0; };

/// A head that was signed: all that has to be known of it when the walk comes to its size.
struct signed_head {
  std::uint64_t size = 0;
  std::uint64_t mark = 0;  ///< of root and last hash
  std::uint64_t number = 0;
};
std::uint64_t mark_of(std::string_view root, std::string_view last_hash) { return number_at(sha256(std::string{root} + std::string{last_hash}), 0); }

class whole_audit {
 public:
  whole_audit(const database& db, const audit_options& options) : db_{db}, options_{options} {}

  result<audit_report> run() {
    if (auto read = read_evidence(); !read) blame("evidence", "evidence", read.error().detail);
    if (going_on_ && !options_.partition) read_row_ends();
    for (std::uint32_t p = 0; p != partition_count && going_on_; ++p)
      if (!options_.partition || *options_.partition == p) walk(p);
    if (going_on_ && !options_.partition) compare_rows();
    return std::move(out_);
  }

 private:
  void blame(std::string kind, std::string place, std::string detail) {
    if (out_.found.size() < damage_max) out_.found.push_back({std::move(kind), std::move(place), std::move(detail)});
    else ++out_.found_besides;
  }
  /// For what can fail only because something can't be read.
  void expect(const result<void>& read, const char* kind, std::string_view place) {
    if (!read) blame(kind, std::string{place}, read.error().detail);
  }

  // ---------------------------------------------------------------------------------------- evidence

  result<void> read_evidence() {
    auto key = kept_public_key(db_);
    if (!key) return key.error();
    std::string before;
    v1::Checkpoint last;
    auto read = each_checkpoint(db_, 0, [&](std::uint64_t number, const v1::SignedCheckpoint& c) {
      take_checkpoint(number, c, *key, before, last);
      return ask_whether_to_go_on();
    });
    if (!read) return read;
    out_.public_key = *key && last.number() != 0 ? **key : std::string{};
    out_.checkpoints = last.number();
    for (const auto& h : last.partitions()) out_.signed_records += h.size();
    if (!going_on_) return {};  // there are later ones
    for (std::uint32_t p = 0; p != partition_count; ++p) check_kept_tree(p, head_of(last, p));
    return {};
  }

  void take_checkpoint(std::uint64_t number, const v1::SignedCheckpoint& c, const std::optional<std::string>& key, std::string& before, v1::Checkpoint& last) {
    const auto wrong = [&](std::string detail) { blame("evidence", "checkpoint " + std::to_string(number), std::move(detail)); };
    auto body = body_of(c);
    if (!body) return wrong("It can't be read.");
    if (!is_signed(c)) wrong("Its signature doesn't hold.");
    else if (!key || c.public_key() != *key) wrong("It is signed by another key than this node's.");
    if (body->number() != number || number != last.number() + 1) wrong("It follows number " + std::to_string(last.number()) + '.');
    if (body->previous() != before) wrong("It doesn't carry the hash of the one before.");
    if (body->root() != bytes_of(root_over(body->partitions()))) wrong("Its root is not that of its partitions.");
    for (const auto& h : body->partitions()) {
      if (h.partition() >= partition_count || h.size() == 0) { wrong("It names a partition that can't be."); continue; }
      auto& heads = heads_[h.partition()];
      const auto mark = mark_of(h.root(), h.last_hash());
      if (!heads.empty() && heads.back().size == h.size() && heads.back().mark == mark) continue;
      if (!heads.empty() && heads.back().size >= h.size()) wrong("It takes back what was signed of partition " + std::to_string(h.partition()) + '.');
      else heads.push_back({h.size(), mark, number});
    }
    before = sha256(c.body());
    last = std::move(*body);
  }

  void check_kept_tree(std::uint32_t partition, const v1::PartitionHead* head) {
    const auto kept = kept_frontier(db_, partition);
    if (!kept) return blame("evidence", "evidence", kept.error().detail);
    if (!head && !*kept) return;
    if (!head || !*kept || (*kept)->size() != head->size() || bytes_of((*kept)->root()) != head->root())
      blame("evidence", "evidence", "The kept tree of partition " + std::to_string(partition) + " is not that of the last checkpoint.");
  }

  // ---------------------------------------------------------------------------------------- the log

  void walk(std::uint32_t p) {
    audited before;
    std::uint64_t last_epoch = 0;
    merkle::frontier tree, block;
    auto head = heads_[p].begin();
    const auto scanned = db_.scan_stored(p, 0, [&](std::uint64_t index, std::string_view stored) {
      if (index != before.records + 1) {
        blame("record", place_of({p, before.records + 1}), index > before.records + 2 ? "It and those up to " + place_of({p, index - 1}) + " are missing." : "It is missing.");
        before = {index - 1, {}};
        head = heads_[p].end();  // the tree can't be made any more
      }
      const auto hash = sha256(stored);
      if (!record_.ParseFromArray(stored.data(), static_cast<int>(stored.size()))) {
        blame("record", place_of({p, index}), "It can't be decoded.");
      } else {
        judge(p, index, before, last_epoch);
        last_epoch = record_.epoch();
        take(p, index);
      }
      ++before.records;
      before.last_hash = hash;
      grow(p, tree, block, head, stored, hash);
      return advance();
    });
    if (!scanned) blame("record", place_of({p, before.records + 1}), "The log can't be read from here on: " + scanned.error().detail);
    if (!going_on_) return;
    out_.records += before.records;
    if (head != heads_[p].end())
      blame("evidence", place_of({p, before.records}), "The log ends here, and checkpoint " + std::to_string(heads_[p].back().number) + " was signed for the records up to " +
                                                         place_of({p, heads_[p].back().size}) + '.');
  }

  void judge(std::uint32_t p, std::uint64_t index, const audited& before, std::uint64_t last_epoch) {
    if (record_.partition() != p || record_.index() != index) blame("record", place_of({p, index}), "It says that it stands elsewhere.");
    if (record_.epoch() < last_epoch) blame("record", place_of({p, index}), "It has an epoch before its predecessor's.");
    if (record_.previous_hash() == before.last_hash || (before.last_hash.empty() && index != 1)) return;
    blame("chain", place_of({p, index}), index == 1 ? std::string{"It is the first, and carries the hash of one before it."}
                                                  : "It doesn't carry the hash of " + place_of({p, index - 1}) + ": one of the two was changed.");
  }

  void grow(std::uint32_t p, merkle::frontier& tree, merkle::frontier& block, std::vector<signed_head>::iterator& head, std::string_view stored,
            const std::string& hash) {
    if (head == heads_[p].end()) return;  // nothing from here on was ever signed
    const auto leaf = merkle::leaf(stored);
    tree.add(leaf);
    block.add(leaf);
    if (block.size() == leaves_in_block) {
      check_block(p, tree.size() / leaves_in_block - 1, block.root());
      block = {};
    }
    if (tree.size() != head->size) return;
    if (mark_of(bytes_of(tree.root()), hash) != head->mark && !was_blamed_[p]) {
      // All later ones are wrong as well.
      was_blamed_[p] = true;
      blame("evidence", place_of({p, head->size}), "Checkpoint " + std::to_string(head->number) + " was signed for other records up to here" +
                                                     (head == heads_[p].begin() ? "." : "; up to " + place_of({p, std::prev(head)->size}) + " they are those that were signed."));
    }
    ++head;
  }

  void check_block(std::uint32_t p, std::uint64_t block, const merkle::digest& root) {
    const auto kept = block_root(db_, p, block);
    if (!kept) return blame("evidence", "evidence", kept.error().detail);
    if (*kept && **kept != root)
      blame("evidence", place_of({p, block * leaves_in_block + 1}), "The kept root of the 1,024 records from here on is another one.");
  }

  /// Between checkpoints, which are no records.
  bool ask_whether_to_go_on() {
    if (options_.advance) going_on_ = options_.advance(0);
    return going_on_;
  }

  bool advance() {
    if (++since_told_ < 256) return true;
    if (options_.advance) going_on_ = options_.advance(since_told_);
    since_told_ = 0;
    return going_on_;
  }

  void take(std::uint32_t p, std::uint64_t index) {
    if (options_.visit) options_.visit(record_);
    if (options_.partition) return;
    for (int i = 0; i != record_.events_size(); ++i) {
      const auto& e = record_.events(i);
      const auto h = hash_of(e.stream());
      if (index <= stream_ends_[p]) take_event(h, e, index, i);
      if (index <= timer_ends_[p]) take_deadline(h, e.deadline_ms(), p);
      if (e.version() == 1) ++out_.streams;
    }
    if (index <= key_ends_[p] && !record_.idempotency_key().empty() && record_.at_ms() >= keys_from_ms_) {
      const auto h = hash_of_key(record_.user_id(), record_.idempotency_key());
      key_sums_.add(h, numbers_.of(h, record_.fingerprint(), p, index, static_cast<std::uint64_t>(record_.at_ms())));
    }
  }

  void take_event(const short_hash& h, const v1::StreamEvent& e, std::uint64_t index, int place) {
    stream_sums_.add(h, numbers_.of(h, e.version(), index));
    if (e.version() == 1 && e.previous_index() == 0 && !touched_before(e, place)) return;
    stream_sums_.take_away(h, numbers_.of(h, e.version() - 1, touched_before(e, place) ? index : e.previous_index()));
  }

  /// Whether an event before this one in the same record is of the same stream.
  [[nodiscard]] bool touched_before(const v1::StreamEvent& e, int place) const {
    for (int i = 0; i != place; ++i) {
      const auto& other = record_.events(i).stream();
      if (other.kind() == e.stream().kind() && other.name() == e.stream().name() && other.group() == e.stream().group()) return true;
    }
    return false;
  }

  void take_deadline(const short_hash& h, std::int64_t deadline_ms, std::uint32_t p) {
    if (deadline_ms == 0) timers_.erase(h);
    else timers_[h] = {deadline_ms, p};
  }

  // ---------------------------------------------------------------------------------------- rows

  void read_row_ends() {
    std::int64_t latest_ms = 0;
    for (const auto& [f, name, into] : {std::tuple{family::streams, "streams", &stream_ends_}, std::tuple{family::timers, "timers", &timer_ends_},
                                        std::tuple{family::idempotency, "idempotency", &key_ends_}}) {
      expect(db_.each(f, "c", {}, [&, into = into, name = name](std::string_view key, std::string_view value) {
        const auto p = partition_in(key);
        if (p >= partition_count || value.size() != 8) return blame("index", name, "A row can't be read."), true;
        (*into)[p] = number_at(value, 0);
        if ((*into)[p] > db_.durable_end(static_cast<std::uint32_t>(p)))
          blame("index", name, "Rows were derived from " + place_of({static_cast<std::uint32_t>(p), (*into)[p]}) + ", and the log ends at " +
                                   std::to_string(db_.durable_end(static_cast<std::uint32_t>(p))) + '.');
        return true;
      }), "index", name);
    }
    // Keys are forgotten after a while by the latest time of any record that the rows know.
    for (std::uint32_t p = 0; p != partition_count; ++p) {
      if (key_ends_[p] == 0) continue;
      const auto record = db_.read({p, key_ends_[p]});
      if (record && *record) latest_ms = std::max({latest_ms, (*record)->at_ms(), (*record)->latest_ms()});
    }
    keys_from_ms_ = latest_ms - key_lifetime.count();
  }

  void compare_rows() {
    compare_streams();
    compare_timers();
    compare_keys();
    check_snapshots();
  }

  static std::string hex_of(std::string_view key) { return to_hex(key.substr(1)); }

  void compare_streams() {
    expect(db_.each(family::streams, "s", {}, [&](std::string_view key, std::string_view value) {
      if (key.size() != 17 || value.size() != 16) return blame("index", "streams", "A row can't be read."), true;
      stream_sums_.take_away(hash_in(key), numbers_.of(hash_in(key), number_at(value, 0), number_at(value, 8)));
      return true;
    }), "index", "streams");
    if (auto wrong = stream_sums_.wrong(); !wrong.empty()) look_at_streams(std::move(wrong));
  }

  /// The streams of the classes that are wrong, one by one.
  void look_at_streams(std::set<std::size_t> wrong) {
    const auto all = wrong.size();
    if (all > classes_looked_at_max) wrong.erase(std::next(wrong.begin(), classes_looked_at_max), wrong.end());
    by_hash<last_event> streams;
    again(stream_ends_, [&](std::uint32_t p, std::uint64_t index) {
      for (int i = 0; i != record_.events_size(); ++i) {
        const auto& e = record_.events(i);
        const auto h = hash_of(e.stream());
        if (!wrong.contains(class_of(h))) continue;
        auto& last = streams[h];
        const auto expected = touched_before(e, i) ? last.index : e.previous_index();
        if (e.version() != last.version + 1)
          blame("stream", place_of({p, index}), "An event of its " + v1::Kind_Name(e.stream().kind()) + " stream has version " + std::to_string(e.version()) + " after " + std::to_string(last.version) + '.');
        else if (expected != last.index)
          blame("stream", place_of({p, index}), "Its link leads to " + place_of({p, e.previous_index()}) + ", and the one before it is " + place_of({p, last.index}) + '.');
        last = {e.version(), index};
      }
    });
    expect(db_.each(family::streams, "s", {}, [&](std::string_view key, std::string_view value) {
      if (key.size() != 17 || value.size() != 16 || !wrong.contains(class_of(hash_in(key)))) return true;
      const auto found = streams.find(hash_in(key));
      if (found == streams.end()) return blame("index", "streams", "Row " + hex_of(key) + " is of no stream."), true;
      if (found->second.version != number_at(value, 0) || found->second.index != number_at(value, 8))
        blame("index", "streams", "Row " + hex_of(key) + " says version " + std::to_string(number_at(value, 0)) + " at record " + std::to_string(number_at(value, 8)) + ", the log says " +
                                      std::to_string(found->second.version) + " at " + std::to_string(found->second.index) + '.');
      streams.erase(found);
      return true;
    }), "index", "streams");
    if (!streams.empty()) blame("index", "streams", std::to_string(streams.size()) + " streams have no row.");
    if (wrong.size() != all) blame("index", "streams", "Only a part of what is wrong was looked at one by one.");
  }

  /// Another pass over the records that rows were made of.
  void again(const ends& upto, const std::function<void(std::uint32_t, std::uint64_t)>& take) {
    for (std::uint32_t p = 0; p != partition_count && going_on_; ++p) {
      static_cast<void>(db_.scan_stored(p, 0, [&](std::uint64_t index, std::string_view stored) {
        if (index > upto[p]) return false;
        if (record_.ParseFromArray(stored.data(), static_cast<int>(stored.size()))) take(p, index);
        return going_on_;
      }));
    }
  }

  void compare_timers() {
    expect(db_.each(family::timers, "t", {}, [&](std::string_view key, std::string_view value) {
      v1::EntityRef entity;
      if (key.size() != 17 || value.size() < 8 || !entity.ParseFromArray(value.data() + 8, static_cast<int>(value.size() - 8)) || hash_of(entity) != hash_in(key))
        return blame("timer", "timers", "A row can't be read."), true;
      const auto found = timers_.find(hash_in(key));
      if (found == timers_.end() || found->second.deadline_ms != static_cast<std::int64_t>(number_at(value, 0)))
        blame("timer", "timers", "Row " + hex_of(key) + " has a deadline that the log doesn't have.");
      if (found != timers_.end()) timers_.erase(found);
      return true;
    }), "timer", "timers");
    if (!timers_.empty()) blame("timer", "timers", std::to_string(timers_.size()) + " deadlines have no row.");
  }

  void compare_keys() {
    expect(db_.each(family::idempotency, "k", {}, [&](std::string_view key, std::string_view value) {
      if (key.size() != 17 || value.size() != 32) return blame("key", "idempotency", "A row can't be read."), true;
      if (static_cast<std::int64_t>(number_at(value, 24)) >= keys_from_ms_)
        key_sums_.take_away(hash_in(key), numbers_.of(hash_in(key), number_at(value, 0), number_at(value, 8), number_at(value, 16), number_at(value, 24)));
      return true;
    }), "key", "idempotency");
    if (auto wrong = key_sums_.wrong(); !wrong.empty()) look_at_keys(std::move(wrong));
  }

  /// A key may have been used twice, for two entities: the newer one counts, and the sums don't know that.
  void look_at_keys(std::set<std::size_t> wrong) {
    if (wrong.size() > classes_looked_at_max) wrong.erase(std::next(wrong.begin(), classes_looked_at_max), wrong.end());
    by_hash<std::vector<key_row>> keys;
    again(key_ends_, [&](std::uint32_t p, std::uint64_t index) {
      if (record_.idempotency_key().empty() || record_.at_ms() < keys_from_ms_) return;
      const auto h = hash_of_key(record_.user_id(), record_.idempotency_key());
      if (wrong.contains(class_of(h))) keys[h].push_back({record_.fingerprint(), {p, index}, record_.at_ms()});
    });
    expect(db_.each(family::idempotency, "k", {}, [&](std::string_view key, std::string_view value) {
      if (key.size() != 17 || value.size() != 32 || !wrong.contains(class_of(hash_in(key))) || static_cast<std::int64_t>(number_at(value, 24)) < keys_from_ms_) return true;
      const auto found = keys.find(hash_in(key));
      const auto is_row = [&](const key_row& k) {
        return k.fingerprint == number_at(value, 0) && k.at.partition == number_at(value, 8) && k.at.index == number_at(value, 16) && static_cast<std::uint64_t>(k.at_ms) == number_at(value, 24);
      };
      if (found == keys.end() || std::ranges::none_of(found->second, is_row)) blame("key", "idempotency", "Row " + hex_of(key) + " is of no record.");
      if (found != keys.end()) keys.erase(found);
      return true;
    }), "key", "idempotency");
    if (!keys.empty()) blame("key", "idempotency", std::to_string(keys.size()) + " idempotency keys have no row.");
  }

  void check_snapshots() {
    v1::Snapshot snapshot;
    expect(db_.each(family::snapshots, {}, {}, [&](std::string_view key, std::string_view value) {
      ++out_.snapshots;
      if (!snapshot.ParseFromArray(value.data(), static_cast<int>(value.size()))) return blame("snapshot", "snapshots", "A snapshot can't be read."), true;
      const auto partition = partition_of(snapshot.stream().group());
      if (!key.starts_with(key_of(snapshot.stream()))) blame("snapshot", "snapshots", "A snapshot stands under another stream's name.");
      else if (snapshot.index() > db_.durable_end(partition) || snapshot.index() == 0)
        blame("snapshot", place_of({partition, snapshot.index()}), "A snapshot was made of this record, and the log ends at " + std::to_string(db_.durable_end(partition)) + '.');
      return true;
    }), "snapshot", "snapshots");
  }

  const database& db_;
  const audit_options& options_;
  audit_report out_;
  bool going_on_ = true;
  std::uint64_t since_told_ = 0;
  v1::Record record_;  // one for all: making each anew costs more than reading it

  std::array<std::vector<signed_head>, partition_count> heads_;
  std::array<bool, partition_count> was_blamed_{};

  const numbers numbers_;
  ends stream_ends_{}, timer_ends_{}, key_ends_{};
  std::int64_t keys_from_ms_ = 0;
  sums stream_sums_, key_sums_;
  by_hash<pending> timers_;
};

}  // namespace

result<audit_report> audit(const database& db, const audit_options& options) { return whole_audit{db, options}.run(); }

}  // namespace usher::store
