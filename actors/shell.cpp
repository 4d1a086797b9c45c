#include "actors/shell.hpp"

#include <spdlog/spdlog.h>

#include "actors/process.hpp"
#include "actors/registry.hpp"
#include "events/upcast.hpp"
#include "store/snapshots.hpp"
#include "store/stream.hpp"

namespace usher::actors {
namespace {

void tell(const request_ptr& to, answer a) {
  if (to && to->reply) to->reply(std::move(a));
}

void tell(audience& who, std::optional<log_position> at) {
  who.done.at = who.settled.at = at;
  tell(who.from, std::move(who.done));
  for (const auto& r : who.parked) tell(r, who.settled);
}

std::shared_ptr<const v1::Outcome> outcome_in(const store::record_ptr& record) { return {record, &record->outcome()}; }

}  // namespace

slip_end::outcome slip_end::find(const caf::actor& who) {
  const std::lock_guard lock(mutex_);
  if (outcome_ == outcome::open) waiting_.push_back(who);
  return outcome_;
}

void slip_end::set(outcome o) {
  std::vector<caf::actor> waiting;
  {
    const std::lock_guard lock(mutex_);
    outcome_ = o;
    waiting.swap(waiting_);
  }
  for (const auto& w : waiting) caf::anon_send(w, note{slip_ended{}});
}

shell::shell(caf::actor_config& cfg, surroundings& around, const v1::EntityRef& entity, const store::short_hash& key)
    : caf::event_based_actor(cfg), around_(around), ref_(entity), key_(key), state_(make_entity(ref_.kind())) {
  // Without it CAF ends this actor alone, and everybody who asks it waits in vain.
  set_exception_handler([this](std::exception_ptr& thrown) -> caf::error {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      around_.bug(key_of(ref_) + " threw: " + e.what());
    }
    return caf::sec::runtime_error;
  });
}

caf::behavior shell::make_behavior() {
  wake();
  return {[this](const note& n) { std::visit([this](const auto& what) { hear(what); }, n.what); }};
}

void shell::hear(slip_ended) {
  tentative_->told = false;
  drain();
}

void shell::hear(retire) {
  if (!idle()) return;
  // What this actor recorded must be readable before its successor wakes.
  around_.journal.hand_over(nullptr, [me = caf::actor{this}, check = retire_check{version_}](auto) { caf::anon_send(me, note{check}); });
}

void shell::hear(retire_check check) {
  if (idle() && check.version == version_ && around_.entities.forget(*this)) quit();
}

/// Folds the snapshot and the rest of the stream.
void shell::wake() {
  const auto head = around_.index.head(key_);
  if (head.version == 0) return;
  std::uint64_t since = 0;
  if (head.version >= around_.snapshot_every) {  // before that there is none, and most entities never come so far
    auto stored = store::last_snapshot(around_.db, ref_, head.index);
    if (!stored) return around_.bug(stored.error().detail);
    if (*stored && (*stored)->snapshot.schema() == snapshot_schema) {
      const auto& snapshot = (*stored)->snapshot;
      state_->restore(snapshot);
      version_ = snapshot_version_ = snapshot.version();
      snapshot_bytes_ = (*stored)->bytes;
      since = snapshot.index();
    }
  }
  auto records = store::read_stream(around_.db, ref_, head.index, since);
  if (!records && records.error().code == errc::wrong_format) return stand_still(records.error().detail);
  if (!records) return around_.bug(records.error().detail);
  for (const auto& record : *records)
    for (const auto& e : record->events())
      if (store::same_entity(e.stream(), ref_)) {
        state_->evolve(e);
        version_ = e.version();
      }
  if (version_ != head.version) around_.bug(key_of(ref_) + ": the stream ends before its head");
}

/// The node and all other entities go on: whoever understands the stream, a newer version of Usher, takes it from here.
void shell::stand_still(std::string why) {
  spdlog::error("event=stream_unreadable detail=\"{}\"", why);
  unreadable_ = std::make_unique<const std::string>(std::move(why));
}

void shell::take(work w) {
  if (!settled()) {
    waiting_.push_back(std::move(w));
    return;
  }
  std::visit([this](const auto& item) { handle(item); }, w);
}

void shell::drain() {
  while (settled() && !waiting_.empty()) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    take(std::move(next));
  }
}

void shell::handle(const request_ptr& r) {
  if (!r->claim()) return;
  if (unreadable_) return answer_in_order(r, rejected(v1::STREAM_UNREADABLE, *unreadable_));
  if (answered_before(r)) return;
  if (r->expected_version && *r->expected_version != version_)
    return answer_in_order(r, rejected(v1::VERSION_MISMATCH, "It is at version " + std::to_string(version_) + " by now."));
  const auto now = around_.clock.now();
  auto d = state_->decide(ref_, r->command, {now, r->user_id, r->role});
  switch (d.what) {
    case entity_decision::kind::reject: {
      answer a;
      a.rejection = std::move(d.rejection);
      return answer_in_order(r, std::move(a));
    }
    case entity_decision::kind::postpone:
      r->postpone();
      postponed_.push_back(r);
      return;
    case entity_decision::kind::park: parked_.push_back(r); [[fallthrough]];
    case entity_decision::kind::accept: return accept(r, std::move(d), now);
  }
}

/// Answers a request whose idempotency key is in the log already.
bool shell::answered_before(const request_ptr& r) {
  if (r->idempotency_key.empty()) return false;
  r->key_hash = store::hash_of_key(r->user_id, r->idempotency_key);
  const auto known = around_.index.find_key(r->key_hash);
  if (!known) return false;
  if (known->fingerprint != r->fingerprint) {
    answer_in_order(r, rejected(v1::IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key came with another request before."));
    return true;
  }
  // The record may still be on its way to the disk: read it when everything before this point is there.
  around_.journal.hand_over(nullptr, [r, at = known->at, &db = around_.db, &bug = around_.bug](auto) {
    auto record = db.read(at);
    if (!record || !*record) return bug("the record of an idempotency key is missing");
    answer a;
    a.outcome = outcome_in(*record);
    a.at = at;
    a.replayed = true;
    tell(r, std::move(a));
  });
  return true;
}

/// @param now  what the decision went by, and the record says: so it can be decided again
void shell::accept(const request_ptr& r, entity_decision d, time_point now) {
  const bool parks = d.what == entity_decision::kind::park;
  if (d.events.empty() && d.parts.empty()) {
    answer a;
    a.outcome = std::make_shared<const v1::Outcome>(std::move(d.outcome));
    // What it rests on; whoever reads on from there sees it.
    if (const auto head = around_.index.head(key_); head.version != 0) a.at = log_position{partition_of(ref_.group()), head.index};
    answer_in_order(r, std::move(a));
    return drive();
  }
  if (parks) process_ = std::make_shared<const origin>(origin{r->correlation, r->traceparent});
  auto s = std::make_shared<slip>();
  s->from = r;
  s->written = begin_record(*r, now);
  auto& record = *s->written.record;
  auto& tells = s->tells;
  if (!parks) tells.from = r;
  if (ref_.kind() == v1::SHOW) tells.changed_show = ref_.group();
  if (parks) record.clear_idempotency_key();  // recorded with the outcome, when the process ends
  if (d.settles) {
    tells.parked = std::exchange(parked_, {});
    process_.reset();
    if (d.settles->key) {
      record.set_user_id(d.settles->key->user_id());
      record.set_idempotency_key(d.settles->key->key());
      record.set_fingerprint(d.settles->key->fingerprint());
      s->written.hashes.key = store::hash_of_key(record.user_id(), record.idempotency_key());
    }
    *record.mutable_outcome() = std::move(d.settles->outcome);
    tells.settled.outcome = outcome_in(s->written.record);
    tells.settled.rejection = std::move(d.settles->rejection);
    tells.done.outcome = std::make_shared<const v1::Outcome>(std::move(d.outcome));
  } else {
    *record.mutable_outcome() = std::move(d.outcome);
    tells.done.outcome = outcome_in(s->written.record);
  }
  if (d.parts.empty()) {
    add_events(std::move(d.events), ref_, *state_, version_, s->written);
    hand_over(s);
    return changed();
  }
  s->parts = std::move(d.parts);
  s->end = std::make_shared<slip_end>();
  s->ctx = {now, r->user_id, v1::ROLE_SYSTEM};
  send_on(s, std::move(d.events), ref_);
}

/// Adds this entity's events to the slip, and sends it to the next.
void shell::send_on(const slip_ptr& s, std::vector<v1::StreamEvent> events, v1::EntityRef stream) {
  tentative_ = std::make_unique<tentative>();
  auto& t = *tentative_;
  t.end = s->end;
  t.state = version_ == 0 ? std::move(state_) : state_->clone();  // what has no past is made anew where it is refused
  t.version = version_;
  add_events(std::move(events), std::move(stream), *t.state, t.version, s->written);
  if (snapshot_is_due(t.version)) {
    t.snapshot_before = {snapshot_version_, snapshot_bytes_};
    add_snapshot(*t.state, t.version, s->tells);
  }
  // What the new state owes to others must not wait for the next message.
  if (!postponed_.empty() || !t.state->react(ref_).empty()) t.told = t.end->find(this) == slip_end::outcome::open;
  const auto& to = s->parts[s->next].to;
  around_.entities.send(to, s);
}

void shell::handle(const slip_ptr& s) {
  if (unreadable_) return refuse(s, *rejected(v1::STREAM_UNREADABLE, *unreadable_).rejection);
  auto& part = s->parts[s->next];
  auto d = state_->decide(ref_, part.command, s->ctx);
  if (d.what == entity_decision::kind::reject) {
    if (d.rejection.code() == v1::NOT_THE_HOLDER)
      return around_.bug(key_of(ref_) + " contradicts " + key_of(s->written.record->target()) + ": " + d.rejection.detail());
    return refuse(s, std::move(d.rejection));
  }
  if (++s->next < s->parts.size()) return send_on(s, std::move(d.events), std::move(part.to));
  add_events(std::move(d.events), std::move(part.to), *state_, version_, s->written);
  hand_over(s);
  s->end->set(slip_end::outcome::recorded);
  changed();
}

void shell::refuse(const slip_ptr& s, v1::Rejection why) {
  s->end->set(slip_end::outcome::refused);
  answer a;
  a.rejection = std::move(why);
  answer_in_order(s->from, std::move(a));
}

/// Whether no slip is under way here. Where one is, this actor will be told when it ends.
bool shell::settled() {
  while (tentative_ && !tentative_->told) {
    const auto outcome = tentative_->end->find(this);
    if (outcome == slip_end::outcome::open) {
      tentative_->told = true;
    } else {
      end_slip(outcome);
    }
  }
  return !tentative_;
}

void shell::end_slip(slip_end::outcome outcome) {
  const auto after = std::move(tentative_);
  if (outcome == slip_end::outcome::recorded) {
    state_ = std::move(after->state);
    version_ = after->version;
    changed();
    return;
  }
  if (!state_) state_ = make_entity(ref_.kind());
  if (after->snapshot_before) std::tie(snapshot_version_, snapshot_bytes_) = *after->snapshot_before;
}

/// The state has moved on: repeat what the process owes, decide again what was put off.
void shell::changed() {
  drive();
  auto again = std::exchange(postponed_, {});
  for (auto& r : again) take(std::move(r));
}

/// Sends what the process under way owes to other partitions, once everything that it rests on is on disk.
void shell::drive() {
  auto errands = state_->react(ref_);
  if (errands.empty()) return;
  auto from = process_ ? process_ : std::make_shared<const origin>();
  around_.journal.hand_over(nullptr, [errands = std::move(errands), ref = ref_, from, &around = around_](auto) {
    for (const auto& e : errands) {
      auto r = std::make_shared<actors::request>();
      r->to = e.to;
      r->command = e.command;
      r->causation = key_of(ref);
      r->correlation = from->correlation;
      r->traceparent = from->traceparent;
      r->reply = [sent = e.command, ref, from, &around](answer a) {
        auto next = heard(sent, a);
        if (!next) return;  // the deadline asks again
        auto verdict = std::make_shared<actors::request>();
        verdict->to = ref;
        verdict->command = std::move(*next);
        if (a.at) verdict->causation = to_token(*a.at);
        verdict->correlation = from->correlation;
        verdict->traceparent = from->traceparent;
        around.route(std::move(verdict));
      };
      around.route(std::move(r));
    }
  });
}

/// Takes target, command and what came with them out of the request: it is decided, and will not be again.
draft shell::begin_record(actors::request& r, time_point now) const {
  auto record = std::make_shared<v1::Record>();
  record->set_partition(partition_of(ref_.group()));
  record->set_at_ms(to_ms(now));
  record->set_user_id(r.user_id);
  record->set_role(r.role);
  record->set_causation(std::move(r.causation));
  record->set_correlation(std::move(r.correlation));
  if (!r.traceparent.empty()) record->set_traceparent(std::move(r.traceparent));
  *record->mutable_target() = std::move(r.to);
  *record->mutable_command() = std::move(r.command);
  if (!r.idempotency_key.empty()) record->set_idempotency_key(std::move(r.idempotency_key));
  record->set_fingerprint(r.fingerprint);
  return {std::move(record), {{}, r.key_hash}, r.person_key};
}

/// Evolves `state` by the events and adds them to the record, each with its version and the deadline that it leaves.
/// @param stream  this entity, of which the last event takes the name
void shell::add_events(std::vector<v1::StreamEvent> events, v1::EntityRef stream, entity& state, std::uint64_t& version,
                       draft& into) const {
  for (auto& e : events) {
    state.evolve(e);
    if (&e == &events.back()) *e.mutable_stream() = std::move(stream);
    else *e.mutable_stream() = ref_;
    e.set_version(++version);
    e.set_schema(schema_of(e));
    if (const auto due = state.deadline()) e.set_deadline_ms(to_ms(*due));
    *into.record->add_events() = std::move(e);
    into.hashes.streams.push_back(key_);
  }
}

/// A large state is saved less often, so that snapshots stay a small part of what is written.
bool shell::snapshot_is_due(std::uint64_t version) const {
  return version - snapshot_version_ >= std::max(around_.snapshot_every, snapshot_bytes_ / 256);
}

void shell::add_snapshot(const entity& state, std::uint64_t version, audience& tells) {
  auto& snapshot = tells.snapshots.emplace_back();
  *snapshot.mutable_stream() = ref_;
  snapshot.set_version(version);
  snapshot.set_schema(snapshot_schema);
  if (const auto due = state.deadline()) snapshot.set_deadline_ms(to_ms(*due));
  state.save(snapshot);
  snapshot_version_ = version;
  snapshot_bytes_ = snapshot.ByteSizeLong();
}

/// Hands the record to the journal, with a snapshot where one is due. Called when this entity's own events, the last
/// ones of the record, are folded into the state.
void shell::hand_over(const slip_ptr& s) {
  if (snapshot_is_due(version_)) add_snapshot(*state_, version_, s->tells);
  auto done = [s, &around = around_](std::optional<log_position> at) {
    if (!s->tells.changed_show.empty()) around.show_changed(s->tells.changed_show);
    for (auto& snapshot : s->tells.snapshots) {
      snapshot.set_index(at->index);
      if (auto stored = store::put_snapshot(around.db, snapshot); !stored) around.bug(stored.error().detail);
    }
    tell(s->tells, at);
  };
  s->parts = {};  // rather here, where they are in the processor's cache, than where the slip ends
  auto& [record, hashes, person_key] = s->written;
  around_.journal.hand_over(std::move(record), hashes, std::move(done), person_key);
}

/// Answers what recorded nothing, after everything that it may rest on.
void shell::answer_in_order(const request_ptr& r, answer a) {
  if (!r->reply) return;
  around_.journal.hand_over(nullptr, [r, a = std::move(a)](auto) { r->reply(a); });
}

bool shell::idle() { return settled() && waiting_.empty() && postponed_.empty() && parked_.empty(); }

}  // namespace usher::actors
