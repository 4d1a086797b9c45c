#include "projections/status.hpp"

#include <algorithm>
#include <limits>

#include "projections/catalogue.hpp"

namespace usher::projections {

std::string_view word_of(projection_state s) {
  switch (s) {
    case projection_state::live: return "LIVE";
    case projection_state::rebuilding: return "REBUILDING";
    case projection_state::parked: return "PARKED";
    case projection_state::absent: return "ABSENT";
  }
  return {};
}

double build_state::progress() const {
  return total == 0 ? 0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
}

namespace {

void write(json_writer& json, const offence& found) {
  json.member("error", found.text()).key("parkedAt").begin_object();
  json.member("position", std::to_string(found.at.partition) + '/' + std::to_string(found.at.index));
  if (!found.stream.empty()) json.member("stream", found.stream).member("eventType", found.event_type);
  json.end_object();
}

void write(json_writer& json, const projection_status& p, const build_state& building) {
  json.key("rebuild").begin_object();
  if (!p.operation_id.empty()) json.member("operationId", p.operation_id);
  json.member("done", building.done).member("total", building.total).member("progress", building.progress());
  if (p.eta_seconds) json.member("etaSeconds", *p.eta_seconds);
  json.end_object();
}

result<projection_status> stored_status(const store::database& db, const projection& view, time_point now, record_times& known) {
  projection_status out;
  out.name = view.name();
  out.version = view.version();
  const auto live = find_checkpoint(db, checkpoint_key(view.name()));
  if (!live) return live.error();
  const bool usable = *live && (*live)->version == view.version();
  const auto found = usable ? **live : checkpoint{view.version(), 0, {}};
  out.state = usable ? projection_state::live : projection_state::absent;
  out.generation = found.generation;
  out.applied = out.written = sum_of(found.at);
  out.lag = lag_of(db, found.at, now, known);
  const auto wanted = is_rebuild_wanted(db, view.name());
  if (!wanted) return wanted.error();
  if (!*wanted) return out;
  const auto beside = find_checkpoint(db, building_key(view.name()));
  if (!beside) return beside.error();
  if (usable) out.state = projection_state::rebuilding;
  out.building = build_state{*beside ? sum_of((*beside)->at) : 0, out.applied + out.lag.records};
  return out;
}

}  // namespace

void write(json_writer& json, const projection_status& p) {
  json.begin_object().member("name", p.name).member("state", word_of(p.state)).member("version", p.version);
  json.member("generation", p.generation).member("appliedRecords", p.applied).member("writtenRecords", p.written);
  json.member("lagRecords", p.lag.records).member("lagMs", p.lag.ms);
  if (p.failed_on) write(json, *p.failed_on);
  if (p.building) write(json, p, *p.building);
  json.end_object();
}

std::string to_json(const std::vector<projection_status>& all) {
  std::string out;
  json_writer json{out};
  json.begin_object().key("items").begin_array();
  for (const auto& p : all) write(json, p);
  json.end_array().end_object();
  return out;
}

namespace {

std::optional<std::int64_t> time_of(const store::database& db, log_position at, record_times& known) {
  const auto [found, is_new] = known.try_emplace({at.partition, at.index});
  if (!is_new) return found->second;
  const auto record = db.read(at);
  if (record && *record) found->second = (*record)->at_ms();
  return found->second;
}

}  // namespace

projection_lag lag_of(const store::database& db, const positions& applied, time_point now, record_times& known) {
  projection_lag lag;
  auto oldest = std::numeric_limits<std::int64_t>::max();
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    const auto end = db.durable_end(p);
    if (end <= applied[p]) continue;
    lag.records += end - applied[p];
    if (const auto at_ms = time_of(db, {p, applied[p] + 1}, known)) oldest = std::min(oldest, *at_ms);
  }
  if (oldest != std::numeric_limits<std::int64_t>::max()) lag.ms = std::max<std::int64_t>(1, to_ms(now) - oldest);
  return lag;
}

result<std::vector<projection_status>> stored_status(const store::database& db, time_point now) {
  std::vector<projection_status> out;
  views catalogue;
  record_times known;
  for (const auto* view : catalogue.all()) {
    auto one = stored_status(db, *view, now, known);
    if (!one) return one.error();
    out.push_back(std::move(*one));
  }
  return out;
}

}  // namespace usher::projections
