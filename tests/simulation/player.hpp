#pragma once
// Plays a story: its clients, the lives of its node, and everything that must hold meanwhile and at the end.

#include <google/protobuf/message.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/audit.hpp"
#include "tests/simulation/probes.hpp"
#include "tests/simulation/readers.hpp"
#include "tests/simulation/story.hpp"
#include "tests/simulation/tale.hpp"

namespace usher::tests {

/// Plays one story once. The disk and what clients were told outlive the lives of the node.
class player {
 public:
  player(const story& s, probes& p, tale& t) : story_{s}, probes_{p}, tale_{t} {}

  /// @return what went wrong, in whole sentences; the rest of the story is not played then
  std::vector<std::string> play() {
    try {
      begin();
      for (const auto& s : story_.steps) {
        if (!faults_.empty()) break;
        play(s);
      }
      if (faults_.empty()) finish();
    } catch (const std::exception& e) {
      collect_faults();
      faults_.emplace_back(e.what());
    }
    return faults_;
  }

 private:
  /// What one client waits for, or has heard.
  struct asked {
    const step* from;
    question_ptr question;
    std::size_t life;
    bool knew = false;  ///< when it asked, it or another try had been told that it is done
    bool given_up = false;
    bool heard = false;
  };
  /// What the clients of one step know, over all their tries.
  struct knowledge {
    std::optional<v1::Outcome> accepted;  ///< and recorded under the key
    bool lost = false;                    ///< a life ended before the answer
    std::size_t tries = 0;
  };
  struct acknowledged {
    log_position at;
    v1::Outcome outcome;
    std::string what;
  };

  void expect(bool ok, const std::string& what) {
    if (!ok) faults_.push_back(what);
  }

  // --- lives ---------------------------------------------------------------------------------------------------------

  void begin() {
    start();
    for (const auto& show : story_.shows) {
      const auto opened = w_->ask(show_ref(show.id), open_command(show));
      expect(opened->accepted(), show.name + " could not be opened.");
    }
    look();
  }

  void start() {
    ++life_;
    w_ = std::make_unique<world>(story_.seed, disk_, life_settings{
        .start = now_,
        .snapshot_every = story_.snapshot_every,
        .ticket_limit = story_.ticket_limit,
        .views = projections::runner::settings{story_.views_flush_every, 64},
        .provider = [this](const actors::request_ptr& r) { provider_.order(r->command.provider(), w_->now()); },
    });
    w_->on_record = [this](const v1::Record& r) { recorded(r, r.SerializeAsString()); };
    expect_the_same_log();
    probe_start();
  }

  /// @param power_cut  else the node ends as one that was asked to
  void restart(std::uint64_t seed, bool power_cut) {
    probes_.met(probe::append_failed, w_->stopped() && w_->refused() == trouble::kind::append_fails);
    probes_.met(probe::sync_failed, w_->stopped() && w_->refused() == trouble::kind::sync_fails);
    if (w_->stopped()) w_->run_some(20);  // the process dies a little later; what it does until then must not matter
    if (!power_cut) w_->stop();
    look();
    if (!faults_.empty()) return;
    const bool cut = power_cut || w_->over();
    const auto in_flight = w_->records_in_flight();
    now_ = w_->now();
    if (cut) w_->cut_power();
    for (auto& a : asked_) lose(a);
    w_.reset();
    disk_files::losses lost;
    if (cut) lost = disk_.files.restart(seed);
    probes_.met(probe::orderly_stop, !cut);
    probes_.met(probe::torn_log, lost.bytes != 0 && lost.kept != 0);
    const auto before = records_;
    in_flight_ = cut ? in_flight : 0;
    now_ += std::chrono::milliseconds{seed % 3 == 0 ? seed / 3 % 3000 : 0};
    tale_.line("      The node starts again. Of the log, " + std::to_string(lost.bytes) + " bytes were lost that were not synced.");
    start();
    expect_places();
    probes_.met(probe::write_in_flight_lost, in_flight_ != 0 && records_ == before);
    probes_.met(probe::write_in_flight_found, in_flight_ != 0 && records_ != before);
    look();
  }

  void lose(asked& a) {
    if (a.heard || a.given_up || a.life != life_) return;
    knowledge_[a.from->number].lost = true;
  }

  /// What is on disk is what was known to be, and the write that the end met as a whole or not at all.
  void expect_the_same_log() {
    std::size_t more = 0;
    for (const auto& [p, known] : log_) expect(w_->database().durable_end(p) >= known.size(), "Records that were on disk are gone.");
    w_->read_log([&](store::record_ptr r, std::string_view stored) {
      auto& known = log_[r->partition()];
      if (r->index() <= known.size()) return expect(known[r->index() - 1] == stored, "A record on disk has changed.");
      ++more;
      recorded(*r, std::string{stored});
    });
    expect(more == 0 || more == in_flight_, "Of " + std::to_string(in_flight_) + " records in one write " + std::to_string(more) + " are there.");
    for (const auto& [p, known] : log_)
      if (auto checked = store::verify_chain(w_->database(), p); !checked) faults_.push_back(checked.error().detail);
  }

  /// Whoever waited, waits at the same place: the book was made anew from the log.
  void expect_places() {
    w_->catch_up_views();
    for (auto& difference : differences(w_->book, w_->views(), story_, w_->now())) faults_.push_back(std::move(difference));
    for (const auto& [show, h] : w_->book.halls) probes_.met(probe::crash_with_people_waiting, h.queue.waiting() > 1);
  }

  void recorded(const v1::Record& r, std::string stored) {
    ++records_;
    log_[r.partition()].push_back(std::move(stored));
    if (!r.idempotency_key().empty()) recorded_keys_.emplace(r.user_id(), r.idempotency_key());
    for (const auto& e : r.events()) {
      probes_.met(probe::admitted_by_the_clock, e.has_queue() && e.queue().has_admitted() && r.events_size() == 1);
      probes_.met(probe::left_the_queue, e.has_queue() && e.queue().has_left());
      probes_.met(probe::admission_ran_out, e.has_queue() && e.queue().has_expired());
      if (!e.has_reservation()) continue;
      const auto& state = w_->book.halls[e.stream().group()].reservations[e.stream().name()];
      probes_.met(probe::paid_after_the_hold_was_due, e.reservation().has_confirmed() && r.at_ms() >= state.hold_expires_at_ms());
      probes_.met(probe::declined, e.reservation().has_payment_declined());
      probes_.met(probe::refunded, e.reservation().has_cancelled());
      probes_.met(probe::lapsed, e.reservation().has_payment_lapsed());
      probes_.met(probe::late_money_seated, e.reservation().has_late_payment_seated());
      probes_.met(probe::late_money_given_back, e.reservation().has_late_refunded());
      probes_.met(probe::extended, e.reservation().has_extended());
      probes_.met(probe::transferred, e.reservation().has_transferred());
      probes_.met(probe::exchanged, e.reservation().has_exchanged());
    }
    tale_.record(r);
  }

  void probe_start() {
    for (const auto& [show, h] : w_->book.halls)
      for (const auto& [id, r] : h.reservations) {
        const auto& book = w_->book.purses[r.user_id()].payments;
        const auto money = book.find(r.payment_id());
        const bool taken = money != book.end() && money->second.times_taken != 0;
        const bool given_back = money != book.end() && money->second.times_given_back != 0;
        probes_.met(probe::crash_before_the_debit, r.status() == v1::PAYING && !taken);
        probes_.met(probe::crash_between_debit_and_confirmation, r.status() == v1::PAYING && taken);
        probes_.met(probe::crash_before_the_credit, r.status() == v1::REFUNDING && !given_back);
        probes_.met(probe::crash_between_credit_and_cancellation, r.status() == v1::REFUNDING && given_back);
        probes_.met(probe::crash_with_a_due_hold, r.status() == v1::PENDING && r.hold_expires_at_ms() <= to_ms(now_));
      }
    probes_.met(probe::started_with_snapshots, has_snapshots(w_->database()));
    const auto index_rows = index_rows_of(w_->database());
    probes_.met(probe::index_rows_behind_the_log, index_rows != 0 && index_rows < records_);
    std::set<std::uint64_t> ages;
    for (const auto& p : w_->views().health().projections) ages.insert(p.written);
    probes_.met(probe::view_rows_behind_the_log, *ages.rbegin() != 0 && *ages.begin() < records_);
    probes_.met(probe::views_differ_in_age, ages.size() > 1);
  }

  // --- steps ---------------------------------------------------------------------------------------------------------

  void play(const step& s) {
    tale_.step(s);
    w_->reseed(s.seed);
    const auto decided = w_->decided_meanwhile();
    const auto awake = w_->awake();
    do_it(s);
    let_provider_speak();
    w_->run_some(s.messages);
    probes_.met(probe::went_to_sleep, s.what == step::kind::retire && w_->awake() < awake);
    probes_.met(probe::decided_during_a_slow_sync, w_->decided_meanwhile() != decided);
    look();
    if (w_->over() && faults_.empty()) restart(s.seed, true);
  }

  void do_it(const step& s) {
    switch (s.what) {
      case step::kind::send: return ask(s);
      case step::kind::again:
        if (const auto* first = find(s.of)) ask(*first);
        return;
      case step::kind::give_up: return give_up(s.of);
      case step::kind::pass: return w_->let_pass(s.time);
      case step::kind::meet: return meet(s.time);
      case step::kind::idle: return w_->settle();
      case step::kind::stall: return stall(s);
      case step::kind::retire: return w_->ask_to_retire();
      case step::kind::drop: return probes_.met(probe::views_missed_records, w_->drop_unread());
      case step::kind::write_behind: return w_->write_behind();
      case step::kind::rebuild: return w_->rebuild_a_view();
      case step::kind::flush: return flush(s);
      case step::kind::disk: return w_->expect_trouble(s.befalls);
      case step::kind::crash: return restart(s.seed, true);
      case step::kind::stop: return restart(s.seed, false);
    }
  }

  void let_provider_speak() {
    for (auto& fault : provider_.speak(*w_, story_.ticket_limit, life_)) faults_.push_back(std::move(fault));
  }

  const step* find(std::size_t number) const {
    for (const auto& s : story_.steps)
      if (s.number == number) return &s;
    return nullptr;
  }

  void ask(const step& s) {
    auto& known = knowledge_[s.number];
    for (const auto& a : asked_)
      probes_.met(probe::retry_at_once, !s.key.empty() && a.from->number == s.number && a.life == life_ && !a.heard && !a.given_up);
    ++known.tries;
    asked_.push_back({&s, w_->send(s.to, s.command, s.user, s.key, s.number), life_, known.accepted.has_value()});
  }

  void give_up(std::size_t number) {
    for (auto& a : asked_) {
      if (a.from->number != number || a.life != life_ || a.heard || a.given_up) continue;
      a.given_up = a.question->request->give_up();
      probes_.met(a.given_up ? probe::gave_up_in_time : probe::gave_up_too_late);
    }
  }

  void meet(std::chrono::milliseconds past) {
    const auto next = w_->index().next_deadline();
    const auto until = next ? *next + past - w_->now() : std::chrono::milliseconds{1000};
    w_->let_pass(std::max(until, std::chrono::milliseconds{0}));
  }

  void stall(const step& s) {
    w_->run_some(w_->below(6));
    w_->stall();
    w_->run_some(s.messages);
    w_->resume();
  }

  void flush(const step& s) {
    if (s.power_cut_at != 0) disk_.files.cut_power_at_table(s.power_cut_at);
    if (w_->below(3) != 0) w_->write_behind();
    probes_.met(probe::power_cut_between_tables, !w_->flush_tables() && s.power_cut_at > 1);
    if (!w_->over()) disk_.files.cut_power_at_table(0);
  }

  // --- what clients hear -----------------------------------------------------------------------------------------------

  /// After every step: who has heard something, and is anything wrong?
  void look() {
    for (auto& a : asked_) {
      expect(a.question->answers <= 1, "Step " + std::to_string(a.from->number) + " was answered twice.");
      expect(!a.given_up || a.question->answers == 0, "Step " + std::to_string(a.from->number) + " was given up and answered.");
      if (a.heard || a.question->answers == 0) continue;
      a.heard = true;
      hear(a);
    }
    collect_faults();
  }

  void collect_faults() {
    if (!w_) return;
    faults_.insert(faults_.end(), w_->book.faults.begin(), w_->book.faults.end());
    w_->book.faults.clear();
  }

  void hear(const asked& a) {
    const auto& answer = a.question->answer;
    auto& known = knowledge_[a.from->number];
    tale_.answer(*a.from, answer);
    if (answer.rejection) {
      hear_refusal(a, answer.rejection->code());
      return;
    }
    if (answer.at && !answer.outcome->unchanged()) expect_recorded(*a.from, answer);
    if (a.from->key.empty()) return;
    probes_.met(probe::retry_got_the_same_answer, answer.replayed && known.accepted);
    probes_.met(probe::retry_after_a_crash_found_it_done, known.lost && !known.accepted && answer.replayed);
    probes_.met(probe::retry_after_a_crash_did_it, known.lost && !known.accepted && !answer.replayed && !answer.outcome->unchanged());
    if (known.accepted) {
      auto same = *answer.outcome;
      same.clear_unchanged();
      expect(same.SerializeAsString() == known.accepted->SerializeAsString(), "A retry of step " + std::to_string(a.from->number) + " was told something else.");
    } else if (!answer.outcome->unchanged()) {
      known.accepted = *answer.outcome;
    }
  }

  void hear_refusal(const asked& a, v1::Code code) {
    expect(!a.knew || a.from->key.empty(), "A retry of step " + std::to_string(a.from->number) + ", which was accepted, was refused.");
    probes_.met(probe::expired_before_the_payment, code == v1::RESERVATION_EXPIRED && a.from->command.reservation().has_pay());
    probes_.met(probe::seat_was_taken, code == v1::SEAT_UNAVAILABLE);
    probes_.met(probe::places_were_gone, code == v1::STOCK_UNAVAILABLE);
    probes_.met(probe::limit_was_reached, code == v1::TICKET_LIMIT_EXCEEDED);
  }

  /// The record that an answer names is on disk, and is the one.
  void expect_recorded(const step& s, const actors::answer& a) {
    acknowledged_.push_back({*a.at, *a.outcome, "step " + std::to_string(s.number)});
    expect_recorded(acknowledged_.back());
  }
  void expect_recorded(const acknowledged& told) {
    const auto record = w_->database().read(told.at).value();
    expect(record != nullptr, "The record that " + told.what + " was told of is not on disk.");
    if (record) expect(record->outcome().SerializeAsString() == told.outcome.SerializeAsString(), "The record of " + told.what + " says something else than the answer.");
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  void finish() {
    tale_.line("The end: the disk is sound, everybody asks again, and time passes.");
    w_->reseed(story_.seed);
    w_->expect_trouble({});
    rest(3);
    for (const auto& s : story_.steps)
      if (s.what == step::kind::send && !s.key.empty()) ask(s);
    rest(3);
    w_->pass(std::chrono::seconds{story_.hold_seconds + 61});
    rest(3);
    rest(6);
    expect(provider_.has_said_everything(), "The provider has not been heard to the end.");
    expect_answers();
    expect_settled();
    if (!story_.ends_with_crash || !faults_.empty()) return;
    restart(story_.seed, true);
    expect_settled();
    for (const auto& told : acknowledged_) expect_recorded(told);
  }

  /// What was lost is asked for again by the reactor, once a second.
  void rest(int seconds) {
    w_->settle();
    for (; seconds != 0; --seconds) {
      let_provider_speak();
      w_->pass(std::chrono::seconds{1});
    }
    look();
  }

  void expect_answers() {
    for (const auto& a : asked_) {
      const auto what = "Step " + std::to_string(a.from->number);
      if (a.life == life_ && !a.given_up) expect(a.question->answers == 1, what + " was never answered.");
      if (a.given_up && !a.from->key.empty() && knowledge_[a.from->number].tries == 1)
        expect(!recorded_keys_.contains({a.from->user, a.from->key}), what + " was given up and done nevertheless.");
    }
  }

  void expect_settled() {
    w_->book.provider = provider_.book();
    w_->book.check_settled();
    for (const auto& [show, h] : w_->book.halls)
      for (const auto& [id, r] : h.reservations) expect(r.status() != v1::PENDING, id + " is still held, long after its time.");
    w_->catch_up_views();
    for (auto& difference : differences(w_->book, w_->views(), story_, w_->now())) faults_.push_back(std::move(difference));
    collect_faults();
  }

  const story& story_;
  probes& probes_;
  tale& tale_;
  disk disk_;
  simulated_provider provider_;
  time_point now_ = from_ms(1'000'000);
  std::size_t life_ = 0;
  std::size_t in_flight_ = 0;
  std::map<std::uint32_t, std::vector<std::string>> log_;  ///< as stored, by partition
  std::uint64_t records_ = 0;
  std::set<std::pair<std::string, std::string>> recorded_keys_;
  std::deque<asked> asked_;
  std::map<std::size_t, knowledge> knowledge_;  ///< by step
  std::vector<acknowledged> acknowledged_;
  std::vector<std::string> faults_;
  std::unique_ptr<world> w_;
};

}  // namespace usher::tests
