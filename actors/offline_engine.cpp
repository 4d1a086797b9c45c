#include "actors/offline_engine.hpp"
#include "events/upcast.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <stdexcept>

namespace usher::actors {
namespace {

/// What a record says of where its command came from, as the shell's begin_record.
void describe(v1::Record& record, request& r, time_point at) {
  record.set_partition(partition_of(r.to.group()));
  record.set_at_ms(to_ms(at));
  record.set_user_id(r.user_id);
  record.set_role(r.role);
  record.set_causation(r.causation);
  record.set_correlation(r.correlation);
  record.set_traceparent(r.traceparent);
  *record.mutable_target() = r.to;
  *record.mutable_command() = std::move(r.command);
  record.set_idempotency_key(r.idempotency_key);
  record.set_fingerprint(r.fingerprint);
}

/// The outcome, and the key that finds it again: of a process at its end, not at its start.
void settle(v1::Record& record, offline_decision& d) {
  if (d.what == entity_decision::kind::park) record.clear_idempotency_key();
  if (!d.settles) {
    *record.mutable_outcome() = std::move(d.outcome);
    return;
  }
  *record.mutable_outcome() = d.settles->outcome;
  if (!d.settles->key) return;
  record.set_user_id(d.settles->key->user_id());
  record.set_idempotency_key(d.settles->key->key());
  record.set_fingerprint(d.settles->key->fingerprint());
}

}  // namespace

std::string packed(const google::protobuf::Message& m) {
  std::string out;
  out.reserve(m.ByteSizeLong());
  google::protobuf::io::StringOutputStream stream{&out};
  google::protobuf::io::CodedOutputStream coded{&stream};
  coded.SetSerializationDeterministic(true);
  m.SerializeWithCachedSizes(&coded);
  coded.Trim();
  return out;
}

bool offline_decision::records() const {
  return (what == entity_decision::kind::accept || what == entity_decision::kind::park) && !shares.empty() &&
         (shares.size() > 1 || !shares.front().events.empty());
}

offline_decision offline_engine::decide(const v1::EntityRef& to, const v1::Command& command, const context& ctx) {
  const auto key = store::hash_of(to);
  auto first = wake(to, key).state->decide(to, command, ctx);
  offline_decision out;
  out.what = first.what;
  out.rejection = std::move(first.rejection);
  out.outcome = std::move(first.outcome);
  out.settles = std::move(first.settles);
  out.shares.push_back({to, key, std::move(first.events)});
  const context of_part{ctx.now, ctx.user_id, v1::ROLE_SYSTEM};
  for (auto& part : first.parts) {
    const auto part_key = store::hash_of(part.to);
    auto d = wake(part.to, part_key).state->decide(part.to, part.command, of_part);
    if (d.what == entity_decision::kind::reject) {
      out.what = d.what;
      out.rejection = std::move(d.rejection);
      out.shares.clear();
      return out;
    }
    out.shares.push_back({std::move(part.to), part_key, std::move(d.events)});
  }
  return out;
}

offline_record offline_engine::record(request& r, time_point at, offline_decision d) {
  offline_record out{std::make_unique<v1::Record>(), {}};
  auto& record = *out.record;
  describe(record, r, at);
  settle(record, d);
  if (!record.idempotency_key().empty()) out.hashes.key = store::hash_of_key(record.user_id(), record.idempotency_key());
  for (auto& share : d.shares) {
    auto& who = wake(share.of, share.key);
    for (auto& e : share.events) {
      who.state->evolve(e);
      *e.mutable_stream() = share.of;
      e.set_version(++who.version);
      e.set_schema(schema_of(e));
      if (const auto due = who.state->deadline()) e.set_deadline_ms(to_ms(*due));
      *record.add_events() = std::move(e);
      out.hashes.streams.push_back(share.key);
    }
  }
  return out;
}

std::int64_t offline_engine::take(const v1::StreamEvent& e, const store::short_hash& key) {
  auto& who = wake(e.stream(), key);
  who.state->evolve(e);
  who.version = e.version();
  const auto due = who.state->deadline();
  return due ? to_ms(*due) : 0;
}

std::uint64_t offline_engine::version(const store::short_hash& key) const {
  const auto found = slots_.find(key);
  if (found == slots_.end()) return 0;
  return found->second.awake ? found->second.awake->version : state_of(key).version();
}

std::vector<errand> offline_engine::react(const v1::EntityRef& ref) { return wake(ref, store::hash_of(ref)).state->react(ref); }

v1::Snapshot offline_engine::state_of(const store::short_hash& key) const {
  const auto found = slots_.find(key);
  if (found == slots_.end()) return {};
  if (found->second.awake) return snapshot_of(*found->second.awake);
  v1::Snapshot s;
  s.ParseFromString(found->second.packed);
  return s;
}

offline_engine::awake_entity& offline_engine::wake(const v1::EntityRef& ref, const store::short_hash& key) {
  auto& s = slots_[key];
  if (!s.awake) {
    s.awake = std::make_unique<awake_entity>();
    s.awake->ref = ref;
    s.awake->state = make_entity(ref.kind());
    if (!s.packed.empty()) {
      v1::Snapshot slept;
      if (!slept.ParseFromString(s.packed)) throw std::logic_error("a state can't be read back");
      s.awake->state->restore(slept);
      s.awake->version = slept.version();
      s.packed = {};
    }
    awake_.push_back(key);
  }
  s.awake->touched = round_;
  return *s.awake;
}

v1::Snapshot offline_engine::snapshot_of(const awake_entity& e) {
  v1::Snapshot s;
  *s.mutable_stream() = e.ref;
  s.set_version(e.version);
  e.state->save(s);
  return s;
}

void offline_engine::trim() {
  if (awake_.size() < awake_max_) return;
  const auto first_to_sleep = std::partition(awake_.begin(), awake_.end(),
                                             [this](const auto& key) { return slots_.find(key)->second.awake->touched == round_; });
  for (auto i = first_to_sleep; i != awake_.end(); ++i) {
    auto& s = slots_.find(*i)->second;
    // One that was only asked is as good as one that never was.
    if (s.awake->version == 0) {
      slots_.erase(*i);
      continue;
    }
    s.packed = packed(snapshot_of(*s.awake));
    s.packed.shrink_to_fit();
    s.awake.reset();
  }
  awake_.erase(first_to_sleep, awake_.end());
  ++round_;
}

void offline_engine::drain(const std::function<void(v1::Kind, std::string_view)>& visit) {
  v1::Snapshot slept;
  for (auto& [key, s] : slots_) {
    if (s.awake && s.awake->version != 0) {
      visit(s.awake->ref.kind(), packed(snapshot_of(*s.awake)));
    } else if (!s.awake && slept.ParseFromString(s.packed)) {
      visit(slept.stream().kind(), s.packed);
    }
    s = {};
  }
  slots_.clear();
  awake_.clear();
}

}  // namespace usher::actors
