#pragma once
// Counts how often the rare things happened, so that a run that never met them fails.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace usher::tests {

/// Each a rare branch. `probe_words` says what it is.
enum class probe : std::size_t {
  paid_after_the_hold_was_due,
  expired_before_the_payment,
  declined,
  refunded,
  lapsed,
  late_money_seated,
  late_money_given_back,
  extended,
  transferred,
  exchanged,
  seat_was_taken,
  places_were_gone,
  limit_was_reached,
  crash_before_the_debit,
  crash_between_debit_and_confirmation,
  crash_before_the_credit,
  crash_between_credit_and_cancellation,
  crash_with_a_due_hold,
  torn_log,
  write_in_flight_lost,
  write_in_flight_found,
  append_failed,
  sync_failed,
  decided_during_a_slow_sync,
  retry_at_once,
  retry_got_the_same_answer,
  retry_after_a_crash_found_it_done,
  retry_after_a_crash_did_it,
  gave_up_in_time,
  gave_up_too_late,
  went_to_sleep,
  started_with_snapshots,
  index_rows_behind_the_log,
  view_rows_behind_the_log,
  views_differ_in_age,
  power_cut_between_tables,
  views_missed_records,
  orderly_stop,
  admitted_by_the_clock,
  left_the_queue,
  admission_ran_out,
  crash_with_people_waiting,
  count_
};
inline constexpr auto probe_count = static_cast<std::size_t>(probe::count_);

inline constexpr std::array<std::string_view, probe_count> probe_words{
    "a payment was confirmed although the hold had become due meanwhile",
    "a payment came after the hold had expired",
    "a payment was declined",
    "a reservation was refunded",
    "a provider gave no verdict in time",
    "money that came after the end of the hold got its seats",
    "money that nothing could be given for went back",
    "a hold was made longer",
    "a reservation was handed over",
    "a seat was exchanged",
    "a seat was somebody else's",
    "a section had too few places",
    "a person wanted more than the limit",
    "crash between the start of a payment and its debit",
    "crash between debit and confirmation",
    "crash between the start of a refund and its credit",
    "crash between credit and cancellation",
    "a hold became due while the node was down",
    "the log ended in the middle of a record",
    "a write that a crash met was lost",
    "a write that a crash met was there",
    "a write of the log failed",
    "a sync of the log failed",
    "others decided while a slow sync went on",
    "a client asked twice before the first answer",
    "a retry got the recorded answer",
    "a retry after a crash found it done, though nobody had been told",
    "a retry after a crash did it",
    "a client gave up before its turn",
    "a client gave up when it was decided already",
    "entities went to sleep",
    "a node started with snapshots of entities",
    "the index started from rows older than the log",
    "a read model started from rows older than the log",
    "read models started from rows of different age",
    "the power went while tables were written",
    "the read models missed records and found them in the log",
    "an orderly stop and start",
    "people who waited in a queue were let in when their time came",
    "somebody left a queue",
    "the time of people inside ran out",
    "people waited in a queue when the node went down",
};
static_assert(!probe_words.back().empty());

/// How often each was met.
class probes {
 public:
  void met(probe p, bool really = true) { counts_[static_cast<std::size_t>(p)] += really; }
  [[nodiscard]] const std::array<std::uint64_t, probe_count>& counts() const { return counts_; }

 private:
  std::array<std::uint64_t, probe_count> counts_{};
};

}  // namespace usher::tests
