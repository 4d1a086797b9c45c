#include "http/log_reports.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "actors/replay.hpp"
#include "events/json.hpp"
#include "events/sha256.hpp"
#include "events/upcast.hpp"
#include "events/words.hpp"
#include "projections/replay.hpp"

namespace usher::http {
namespace {

namespace pb = google::protobuf;

std::uint64_t records_in(const store::database& db) {
  std::uint64_t sum = 0;
  for (std::uint32_t p = 0; p != partition_count; ++p) sum += db.durable_end(p);
  return sum;
}

failure cancelled() { return {errc::io_failure, "it was cancelled"}; }

// --- replay

/// Where two logs end alike, this is the same.
std::string hash_of_positions(const store::database& db) {
  std::string ends;
  for (std::uint32_t p = 0; p != partition_count; ++p) ends += std::to_string(db.durable_end(p)) + ' ';
  return to_hex(bytes_of(sha256({ends})));
}

std::string_view word_of(projections::row_difference::kind what) {
  switch (what) {
    case projections::row_difference::kind::missing: return "missing";
    case projections::row_difference::kind::superfluous: return "superfluous";
    case projections::row_difference::kind::other: return "other";
  }
  return "other";
}

void write_entities(json_writer& json, const actors::replayed& r) {
  json.member("records", r.records).member("events", r.events).member("entities", r.entities).member("stateHash", r.hash.hex());
  json.key("kinds").begin_array();
  for (const auto& [kind, total] : r.by_kind)
    json.begin_object().member("kind", kind).member("entities", total.entities).member("stateHash", total.hash.hex()).end_object();
  json.end_array();
  json.member("snapshotsCompared", r.snapshots).member("snapshotsSkipped", r.snapshots_skipped).member("entityDifferences", r.different);
  json.key("differences").begin_array();
  for (const auto& d : r.differences) {
    json.begin_object();
    if (d.at.index != 0) json.member("position", place_of(d.at));
    json.member("entity", d.entity).member("version", d.version).member("detail", d.detail).end_object();
  }
  json.end_array();
}

void write_view(json_writer& json, const projections::replayed_view& v) {
  json.begin_object().member("name", v.name).member("stored", v.stored).member("records", v.records).member("rows", v.rows);
  json.member("hash", v.hash).member("rowDifferences", v.different);
  if (!v.error.empty()) json.member("error", v.error);
  json.key("differences").begin_array();
  for (const auto& d : v.differences) json.begin_object().member("key", d.key).member("stored", word_of(d.what)).end_object();
  json.end_array().end_object();
}

void write_decisions(json_writer& json, const actors::replayed& r) {
  json.key("decisions").begin_object().member("otherwise", r.decided_otherwise()).key("commands").begin_array();
  for (const auto& [type, total] : r.by_command)
    json.begin_object().member("command", type).member("same", total.same).member("otherwise", total.other)
        .member("impossible", total.impossible).end_object();
  json.end_array().key("impossible").begin_array();
  for (const auto& [why, times] : r.why_impossible) json.begin_object().member("why", why).member("commands", times).end_object();
  json.end_array().key("differences").begin_array();
  for (const auto& d : r.redecisions)
    json.begin_object().member("position", place_of(d.at)).member("entity", d.entity).member("command", d.command)
        .key("recorded").raw(d.recorded).key("decided").raw(d.decided).end_object();
  json.end_array().end_object();
}

bool is_same(const actors::replayed& r, const std::vector<projections::replayed_view>& views) {
  return r.different == 0 && r.decided_otherwise() == 0 &&
         std::ranges::all_of(views, [](const auto& v) { return v.different == 0 && v.error.empty(); });
}

// --- stats

/// Types are few and events many: their names are made once. Both cases together are a number.
class type_counts {
 public:
  void count(const v1::StreamEvent& e) {
    auto& [name, times] = counts_[{e.payload_case(), inner_case(e)}];
    if (times++ == 0) name = type_of(e, "payload");
  }
  [[nodiscard]] std::map<std::string, std::uint64_t> by_name() const {
    std::map<std::string, std::uint64_t> out;
    for (const auto& [cases, counted] : counts_) out[counted.first] += counted.second;
    return out;
  }

 private:
  static int inner_case(const v1::StreamEvent& e) {
    switch (e.payload_case()) {
      case v1::StreamEvent::kShow: return e.show().kind_case();
      case v1::StreamEvent::kSeat: return e.seat().kind_case();
      case v1::StreamEvent::kStock: return e.stock().kind_case();
      case v1::StreamEvent::kAllowance: return e.allowance().kind_case();
      case v1::StreamEvent::kReservation: return e.reservation().kind_case();
      case v1::StreamEvent::kQueue: return e.queue().kind_case();
      case v1::StreamEvent::kWallet: return e.wallet().kind_case();
      case v1::StreamEvent::kUser: return e.user().kind_case();
      case v1::StreamEvent::PAYLOAD_NOT_SET: break;
    }
    return 0;
  }
  std::map<std::pair<int, int>, std::pair<std::string, std::uint64_t>> counts_;
};

/// The streams with the most events. A version says how many there are, so that nothing needs to be counted.
class largest_streams {
 public:
  void take(const v1::StreamEvent& e) {
    if (e.version() <= least_) return;
    const auto known = std::ranges::find_if(all_, [&](const auto& s) { return s.name == name_of(e.stream()); });
    if (known != all_.end()) {
      known->events = std::max(known->events, e.version());
    } else {
      if (all_.size() == streams_max) all_.erase(std::ranges::min_element(all_, {}, &stream::events));
      all_.push_back({name_of(e.stream()), e.version()});
    }
    if (all_.size() == streams_max) least_ = std::ranges::min_element(all_, {}, &stream::events)->events;
  }
  void write(json_writer& json) {
    std::ranges::sort(all_, [](const auto& a, const auto& b) { return a.events != b.events ? a.events > b.events : a.name < b.name; });
    json.key("largestStreams").begin_array();
    for (const auto& s : all_) json.begin_object().member("stream", s.name).member("events", s.events).end_object();
    json.end_array();
  }

 private:
  static constexpr std::size_t streams_max = 10;
  struct stream {
    std::string name;
    std::uint64_t events;
  };
  std::vector<stream> all_;
  std::uint64_t least_ = 0;
};

struct partition_total {
  std::uint32_t number = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
};

class count {
 public:
  result<void> run(const store::database& db, const report_progress& progress) {
    const auto total = records_in(db);
    if (progress && !progress(0, total)) return cancelled();
    for (std::uint32_t p = 0; p != partition_count; ++p) {
      auto& here = partitions_[p];
      here.number = p;
      std::optional<failure> stopped;
      const auto scanned = db.scan_stored(p, 1, [&](std::uint64_t index, std::string_view stored) {
        if (!decode(stored, record_))
          stopped = failure{errc::corrupted, "record " + place_of({p, index}) + " can't be decoded"};
        else if (take(here, stored.size()); records_ % 1024 == 0 && progress && !progress(records_, total))
          stopped.emplace(cancelled());
        return !stopped;
      });
      if (!scanned) return scanned;
      if (stopped) return *stopped;
    }
    if (progress) progress(records_, std::max(total, records_));
    return {};
  }

  std::string text() {
    std::string out;
    json_writer json{out};
    json.begin_object().member("records", records_).member("events", events_).member("bytes", bytes_);
    json.member("partitionsInUse", std::ranges::count_if(partitions_, [](const auto& p) { return p.records != 0; }));
    json.member("partitions", partition_count);
    if (records_ != 0) json.member("firstAt", from_ms(first_ms_)).member("lastAt", from_ms(last_ms_));
    json.key("eventsByType").begin_object();
    for (const auto& [type, times] : types_.by_name()) json.member(type, times);
    json.end_object();
    write_partitions(json);
    streams_.write(json);
    json.end_object();
    return out;
  }

 private:
  void take(partition_total& here, std::size_t bytes) {
    ++here.records;
    here.bytes += bytes;
    first_ms_ = records_ == 0 ? record_.at_ms() : std::min(first_ms_, record_.at_ms());
    last_ms_ = std::max(last_ms_, record_.at_ms());
    ++records_;
    bytes_ += bytes;
    events_ += static_cast<std::uint64_t>(record_.events_size());
    for (const auto& e : record_.events()) {
      types_.count(e);
      streams_.take(e);
    }
  }

  void write_partitions(json_writer& json) {
    constexpr std::size_t shown_max = 10;
    std::ranges::stable_sort(partitions_, [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
    json.key("largestPartitions").begin_array();
    for (std::size_t i = 0; i != shown_max && partitions_[i].records != 0; ++i)
      json.begin_object().member("partition", partitions_[i].number).member("records", partitions_[i].records)
          .member("bytes", partitions_[i].bytes).end_object();
    json.end_array();
  }

  v1::Record record_;
  std::array<partition_total, partition_count> partitions_{};
  type_counts types_;
  largest_streams streams_;
  std::uint64_t records_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t bytes_ = 0;
  std::int64_t first_ms_ = 0;
  std::int64_t last_ms_ = 0;
};

}  // namespace

result<std::string> replay_report(const store::database& db, const replay_wishes& wishes, const report_progress& progress) {
  const auto all = records_in(db);
  const auto step = [&](std::uint64_t before) {
    return [&progress, before, all](std::uint64_t records) { return !progress || progress(before + records, 2 * all); };
  };
  const auto entities = actors::replay(db, {.decide = wishes.decide}, step(0));
  if (!entities) return entities.error();
  if (entities->cancelled) return cancelled();
  const auto views = projections::replay_views(db, wishes.scratch, step(all));
  if (!views) return views.error();
  if (views->empty()) return cancelled();

  std::string out;
  json_writer json{out};
  json.begin_object().member("same", is_same(*entities, *views)).member("positionsHash", hash_of_positions(db));
  write_entities(json, *entities);
  json.key("views").begin_array();
  for (const auto& v : *views) write_view(json, v);
  json.end_array();
  if (wishes.decide) write_decisions(json, *entities);
  json.end_object();
  return out;
}

result<std::string> stats_report(const store::database& db, const report_progress& progress) {
  const auto counted = std::make_unique<count>();
  if (auto done = counted->run(db, progress); !done) return done.error();
  return counted->text();
}

}  // namespace usher::http
