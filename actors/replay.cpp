#include "actors/replay.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "actors/offline_engine.hpp"
#include "events/json.hpp"
#include "events/secrets.hpp"
#include "events/upcast.hpp"
#include "events/words.hpp"

namespace usher::actors {
namespace {

namespace pb = google::protobuf;

constexpr std::uint64_t progress_every = 1024;

/// Where two states differ first, as a path; the values are left out, for they may be a person's.
std::string first_difference(const v1::Snapshot& stored, const v1::Snapshot& folded) {
  class first_path final : public pb::util::MessageDifferencer::Reporter {
   public:
    using fields = std::vector<pb::util::MessageDifferencer::SpecificField>;
    void ReportAdded(const pb::Message&, const pb::Message&, const fields& f) override { note(f, "is missing there"); }
    void ReportDeleted(const pb::Message&, const pb::Message&, const fields& f) override { note(f, "is not what the log says"); }
    void ReportModified(const pb::Message&, const pb::Message&, const fields& f) override { note(f, "is not what the log says"); }
    std::string path;

   private:
    void note(const fields& f, const char* what) {
      if (!path.empty()) return;
      for (const auto& step : f) {
        if (step.field == nullptr) continue;
        if (!path.empty()) path += '.';
        path += step.field->name();
        if (step.index >= 0 && !step.field->is_map()) path += '[' + std::to_string(step.index) + ']';
      }
      path += std::string{" "} + what;
    }
  };
  first_path found;
  pb::util::MessageDifferencer differ;
  differ.ReportDifferencesTo(&found);
  return differ.Compare(stored, folded) ? std::string{} : found.path;
}

/// What of an event a decision is responsible for. Deadlines are compared where it is folded.
v1::StreamEvent decided_part(const v1::StreamEvent& e) {
  v1::StreamEvent out = e;
  out.clear_schema();
  out.clear_previous_index();
  out.clear_deadline_ms();
  out.clear_version();
  return out;
}

std::string json_of(const v1::Outcome& outcome, const std::vector<v1::StreamEvent>& events) {
  std::string out;
  json_writer json{out};
  json.begin_object().key("outcome").value(outcome).key("events").begin_array();
  for (auto e : events) {
    drop_secrets(e);
    json.value(e);
  }
  json.end_array().end_object();
  return out;
}

std::string json_of(const v1::Rejection& r) {
  std::string out;
  json_writer{out}.begin_object().key("rejection").value(r).end_object();
  return out;
}

/// The stored snapshots, by stream. What is read twice is not kept.
class stored_snapshots {
 public:
  result<void> load(const store::database& db, const replay_settings& s, replayed& out) {
    db_ = &db;
    v1::Snapshot snapshot;
    return db.each(store::family::snapshots, {}, {}, [&](std::string_view key, std::string_view value) {
      // Not everything in the family has to be a snapshot.
      if (!snapshot.ParseFromArray(value.data(), static_cast<int>(value.size())) || !snapshot.has_stream() || snapshot.version() == 0) {
        broken_.emplace_back(key.substr(0, key.find('\0')));
        return true;
      }
      if (s.snapshot_schema != 0 && snapshot.schema() != s.snapshot_schema) {
        ++out.snapshots_skipped;
        return true;
      }
      by_stream_[store::hash_of(snapshot.stream())].push_back({snapshot.version(), std::string{key}});
      return true;
    });
  }
  /// @return the snapshot of this version, which is asked for once
  result<std::optional<v1::Snapshot>> take(const store::short_hash& key, std::uint64_t version) {
    const auto found = by_stream_.find(key);
    if (found == by_stream_.end()) return std::optional<v1::Snapshot>{};
    auto& rows = found->second;
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.version == version; });
    if (row == rows.end()) return std::optional<v1::Snapshot>{};
    const auto stored = db_->get(store::family::snapshots, row->key);
    if (!stored) return stored.error();
    rows.erase(row);
    if (rows.empty()) by_stream_.erase(found);
    v1::Snapshot out;
    if (!*stored || !out.ParseFromString(**stored)) return std::optional<v1::Snapshot>{};
    return std::optional{std::move(out)};
  }
  [[nodiscard]] bool none_of(const store::short_hash& key) const { return by_stream_.empty() || !by_stream_.contains(key); }
  [[nodiscard]] const std::vector<std::string>& broken() const { return broken_; }
  /// Those that nobody took. @param visit  gets the row's key and the version
  void each_left(const std::function<void(const std::string& key, std::uint64_t version)>& visit) const {
    for (const auto& [key, rows] : by_stream_)
      for (const auto& r : rows) visit(r.key.substr(0, r.key.find('\0')), r.version);
  }

 private:
  struct row {
    std::uint64_t version;
    std::string key;
  };
  const store::database* db_ = nullptr;
  boost::unordered_flat_map<store::short_hash, std::vector<row>, store::short_hash_hasher> by_stream_;
  std::vector<std::string> broken_;
};

/// One partition, or those of its entities whose turn it is.
class replayer {
 public:
  replayer(const store::database& db, const replay_settings& s, const replay_progress& progress) : db_{db}, settings_{s}, progress_{progress}, engine_{s.awake_max} {}

  result<replayed> run() {
    if (auto loaded = snapshots_.load(db_, settings_, out_); !loaded) return loaded.error();
    for (const auto& key : snapshots_.broken()) blame({}, key, 0, "A stored snapshot can't be read.");
    for (std::uint32_t p = 0; p != partition_count && !out_.cancelled; ++p)
      if (auto done = fold_partition(p); !done) return done.error();
    if (!out_.cancelled)
      snapshots_.each_left([this](const std::string& key, std::uint64_t version) {
        blame({}, key, version, "There is a snapshot of a version that the log doesn't have.");
      });
    return std::move(out_);
  }

 private:
  result<void> fold_partition(std::uint32_t p) {
    const auto records = db_.durable_end(p);
    if (records == 0) return {};
    passes_ = settings_.decide ? 1 : 1 + records / settings_.records_a_pass;
    for (pass_ = 0; pass_ != passes_ && !out_.cancelled; ++pass_)
      if (auto done = fold_pass(p); !done) return done;
    return {};
  }

  result<void> fold_pass(std::uint32_t p) {
    std::optional<failure> broken;
    v1::Record record;
    const auto scanned = db_.scan_stored(p, 1, [&](std::uint64_t index, std::string_view stored) {
      if (!decode(stored, record)) {
        broken = failure{errc::corrupted, "record " + std::to_string(p) + '/' + std::to_string(index) + " can't be decoded"};
        return false;
      }
      at_ = {p, index};
      if (auto taken = take(record); !taken) broken = taken.error();
      engine_.trim();
      return !broken && goes_on();
    });
    if (broken) return *broken;
    if (!scanned) return scanned;
    engine_.drain([this](v1::Kind kind, std::string_view packed) { add_up(kind, packed); });
    return {};
  }

  bool goes_on() {
    if (pass_ == 0) ++out_.records;
    if (++taken_ % progress_every == 0 && progress_ && !progress_(std::max(out_.records, shown_))) out_.cancelled = true;
    shown_ = std::max(shown_, out_.records);
    return !out_.cancelled;
  }

  result<void> take(const v1::Record& record) {
    if (settings_.decide) decide_again(record);
    for (const auto& e : record.events()) {
      const auto key = store::hash_of(e.stream());
      if (passes_ != 1 && key.low % passes_ != pass_) continue;
      if (auto taken = take(e, key); !taken) return taken;
    }
    return {};
  }

  result<void> take(const v1::StreamEvent& e, const store::short_hash& key) {
    ++out_.events;
    if (e.stream().kind() == v1::KIND_UNSPECIFIED || e.stream().kind() == v1::PROVIDER || !v1::Kind_IsValid(e.stream().kind())) {
      blame(at_, key_of(e.stream()), e.version(), "The event is of a stream that this code doesn't know.");
      return {};
    }
    if (const auto why = unreadable(e)) blame(at_, key_of(e.stream()), e.version(), "The event can't be read: " + *why + '.');
    if (const auto before = engine_.version(key); e.version() != before + 1)
      blame(at_, key_of(e.stream()), e.version(), "Version " + std::to_string(e.version()) + " follows version " + std::to_string(before) + '.');
    const auto deadline_ms = engine_.take(e, key);
    if (deadline_ms != e.deadline_ms())
      blame(at_, key_of(e.stream()), e.version(), "The deadline is recorded as " + time_of(e.deadline_ms()) + ", and is " + time_of(deadline_ms) + '.');
    if (snapshots_.none_of(key)) return {};
    return compare_snapshot(e, key, deadline_ms);
  }

  result<void> compare_snapshot(const v1::StreamEvent& e, const store::short_hash& key, std::int64_t deadline_ms) {
    const auto stored = snapshots_.take(key, e.version());
    if (!stored) return stored.error();
    if (!*stored) return {};
    ++out_.snapshots;
    auto folded = engine_.state_of(key);
    folded.set_index(at_.index);
    folded.set_deadline_ms(deadline_ms);
    folded.set_schema((*stored)->schema());
    if (packed(folded) == packed(**stored)) return {};
    if (const auto where = first_difference(**stored, folded); !where.empty())
      blame(at_, key_of(e.stream()), e.version(), "The stored snapshot differs: " + where + '.');
    return {};
  }

  void add_up(v1::Kind kind, std::string_view state) {
    ++out_.entities;
    auto& total = out_.by_kind[std::string{word_of(kind)}];
    ++total.entities;
    unordered_hash one;
    one.add(state);
    total.hash.add(one);
    out_.hash.add(one);
  }

  // --- deciding

  void decide_again(const v1::Record& record) {
    auto& total = out_.by_command[type_of(record.command(), "kind")];
    if (const auto why = impossible(record); !why.empty()) {
      ++total.impossible;
      ++out_.why_impossible[why];
      return;
    }
    try {
      const context ctx{from_ms(record.at_ms()), record.user_id(), record.role()};
      const auto d = engine_.decide(record.target(), record.command(), ctx);
      compare_decision(record, d, total);
    } catch (const std::exception& e) {
      ++total.impossible;
      ++out_.why_impossible[std::string{"The decider throws: "} + e.what()];
    }
  }

  static std::string impossible(const v1::Record& record) {
    if (record.command().kind_case() == v1::Command::KIND_NOT_SET) return "The record has no command that this code knows.";
    if (!v1::Kind_IsValid(record.target().kind()) || record.target().kind() == v1::KIND_UNSPECIFIED || record.target().kind() == v1::PROVIDER)
      return "The command is to an entity that this code doesn't know.";
    return {};
  }

  void compare_decision(const v1::Record& record, const offline_decision& d, replayed::command_total& total) {
    std::vector<v1::StreamEvent> was, is;
    for (const auto& e : record.events()) was.push_back(decided_part(e));
    for (const auto& share : d.shares)
      for (const auto& e : share.events) *is.emplace_back(e).mutable_stream() = share.of;
    const auto& outcome = d.settles ? d.settles->outcome : d.outcome;
    const auto alike = [](const auto& a, const auto& b) { return packed(a) == packed(b); };
    if (d.records() && alike(outcome, record.outcome()) && std::equal(was.begin(), was.end(), is.begin(), is.end(), alike)) {
      ++total.same;
      return;
    }
    ++total.other;
    if (out_.redecisions.size() == settings_.differences_max) return;
    auto decided = d.is_refused() ? json_of(d.rejection) : d.what == entity_decision::kind::postpone ? R"({"postponed":true})" : json_of(outcome, is);
    out_.redecisions.push_back({at_, key_of(record.target()), type_of(record.command(), "kind"), json_of(record.outcome(), was), std::move(decided)});
  }

  static std::string time_of(std::int64_t ms) { return ms == 0 ? "none" : to_rfc3339(from_ms(ms)); }

  void blame(log_position at, std::string entity, std::uint64_t version, std::string detail) {
    ++out_.different;
    if (out_.differences.size() < settings_.differences_max) out_.differences.push_back({at, std::move(entity), version, std::move(detail)});
  }

  const store::database& db_;
  const replay_settings settings_;
  const replay_progress& progress_;
  offline_engine engine_;
  stored_snapshots snapshots_;
  replayed out_;
  log_position at_;
  std::uint64_t passes_ = 1;
  std::uint64_t pass_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t shown_ = 0;
};

}  // namespace

void unordered_hash::add(std::string_view text) {
  const auto bytes = store::sha256(text);
  std::array<std::uint64_t, 4> words;
  std::memcpy(words.data(), bytes.data(), sizeof words);
  add_words(words);
}

void unordered_hash::add(const unordered_hash& other) { add_words(other.words_); }

void unordered_hash::add_words(const std::array<std::uint64_t, 4>& words) {
  bool carry = false;
  for (std::size_t i = 0; i != words_.size(); ++i) {
    const auto sum = words_[i] + words[i] + (carry ? 1 : 0);
    carry = carry ? sum <= words_[i] : sum < words_[i];
    words_[i] = sum;
  }
}

std::string unordered_hash::hex() const {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (auto word = words_.rbegin(); word != words_.rend(); ++word)
    for (int shift = 60; shift >= 0; shift -= 4) out += digits[*word >> shift & 15U];
  return out;
}

std::uint64_t replayed::decided_otherwise() const {
  std::uint64_t sum = 0;
  for (const auto& [type, total] : by_command) sum += total.other;
  return sum;
}

result<replayed> replay(const store::database& db, const replay_settings& s, const replay_progress& progress) {
  return replayer{db, s, progress}.run();
}

}  // namespace usher::actors
