#pragma once
// How long the people in a waiting room will wait, and how good that has been as a promise.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace usher::projections {

/// Half of all waits should end within `p50_s` seconds from now, nine of ten within `p90_s`.
struct wait_range {
  std::uint32_t p50_s = 0;
  std::uint32_t p90_s = 0;
  bool operator==(const wait_range&) const = default;
};

/// What the operators have declared for one lane, with all defaults filled in.
struct lane_pace {
  std::uint32_t per_window = 250;      ///< admissions of all lanes
  std::int64_t window_ms = 10'000;
  bool is_smooth = false;              ///< spread over the window, not at its start
  std::uint32_t max_active = 0;        ///< people inside of all lanes; 0: no cap
  std::int64_t admission_ms = 300'000; ///< longest stay inside
  double share = 1;                    ///< of this lane, by weight: above 0, up to 1
  std::int64_t opens_at_ms = 0;        ///< nobody is admitted before
  bool operator==(const lane_pace&) const = default;
};

/// The waits in one lane, estimated from what it did in its last sixty blocks: a block is 10 s, or the whole windows that cover 10 s.
///
/// For a person at some position, how many of those ahead will be admitted and how many go away by themselves: at the rate at which
/// people went away lately that is ln(1 + c p) / c admissions for p people, c being departures per waiting person and admission.
/// One person a block is followed as a probe: how many admissions it really took corrects the formula, whose people go away at any
/// age alike, and their spread widens the range. How long so many admissions take: the mean and the variance of the blocks in
/// which somebody waited all the time; where people inside set the pace, only of those blocks. While there is little history the
/// declared pace stands in for it, and the range is wider. This is the queue-length delay predictor with abandonment of Ibrahim
/// and Whitt ("Real-time delay estimation in overloaded multiserver queues with abandonments", 2009), with quantiles by the normal
/// approximation. Windows that nothing disturbs are foreseen to the second.
///
/// Nothing here asks a clock: the same calls in the same order give the same estimates. Times of calls never decrease; one that
/// does counts as the time before it. Memory: at most 6 KB, whatever the queue. Cost: O(1) a call and an estimate.
class wait_estimates {
 public:
  wait_estimates() { sum_up(); }

  /// A pace that differs counts from here on: what the old one did is dropped, except for how people go away and, where people
  /// inside set the pace and their cap stays, how they make room.
  void declare(std::int64_t at_ms, const lane_pace&);
  void pause(std::int64_t at_ms);
  void resume(std::int64_t at_ms);

  /// `people` come to wait at once, the last of them at this place of the lane and at this position.
  void join(std::int64_t at_ms, std::uint64_t place, std::uint64_t position, std::uint64_t people = 1);
  /// People who waited give up, vanish or are taken out.
  void leave(std::int64_t at_ms, std::uint64_t people = 1);
  /// @param through  everyone of the lane at a place up to here waits no more
  /// @param inside   people inside of all lanes, with these
  void admit(std::int64_t at_ms, std::uint64_t people, std::uint64_t through, std::int64_t window_started_at_ms,
             std::uint64_t inside);
  /// The queue ends for all who wait. That is no habit of theirs: it doesn't count for later estimates.
  void close(std::int64_t at_ms);

  /// How long the person at this position will wait. @return nullopt while paused: nobody knows
  [[nodiscard]] std::optional<wait_range> estimate(std::uint64_t position, std::int64_t now_ms) const;

  /// All of it as a row.
  [[nodiscard]] std::string save() const;
  /// Throws std::runtime_error where the row isn't one that `save` made.
  void restore(std::string_view row);

 private:
  struct block {
    double admitted = 0;
    double gone = 0;
    double waited_ms = 0;   // by all who waited, together
    bool is_busy = true;    // somebody waited all the time, under the pace that is in force
    bool is_full = false;   // people inside set the pace, from its start to its end
  };
  struct probe {
    std::uint64_t place = 0;
    double predicted = 0;   // admissions until its own
    double admitted = 0;    // of the lane when it was set
  };
  struct rate {             // admissions a block
    double mean = 0;
    double blocks = 0;      // seen
    double variance = 0;    // of one block
    double unknown = 0;     // relative deviation of the mean, for want of history
    bool is_full = false;   // the cap on people inside sets it
  };
  struct departures {
    double gone = 0;
    double waited_ms = 0;
    double median = 1;      // how many of those ahead are really admitted, to what was predicted
    double deviation = 0;   // relative, of that
  };

  void advance(std::int64_t at_ms);
  void end_block(std::int64_t at_ms);
  void start_block(std::int64_t at_ms);
  void set_probe(std::int64_t at_ms, std::uint64_t place, std::uint64_t position);
  void read_probes(std::uint64_t people, std::uint64_t through);
  [[nodiscard]] std::int64_t block_ms() const;
  void sum_up();
  [[nodiscard]] rate rate_of_blocks() const;
  [[nodiscard]] departures departures_of_blocks() const;
  /// Admissions until somebody's own, not corrected.
  [[nodiscard]] double admissions_before(std::uint64_t position) const;
  [[nodiscard]] double ms_until(double blocks, bool in_steps, std::int64_t now_ms) const;

  lane_pace pace_;
  std::deque<block> blocks_;     // the latest is the last
  std::deque<probe> probes_;     // by place
  std::deque<double> outcomes_;  // of probes: admissions that it took, to those predicted
  block current_;
  std::int64_t block_started_at_ms_ = 0;
  std::int64_t at_ms_ = 0;       // of the last call
  std::int64_t window_started_at_ms_ = 0;
  double waiting_ = 0;
  double admitted_ = 0;          // ever
  std::uint64_t through_ = 0;
  double inside_ = 0;            // of this lane, by its share
  double stays_ms_ = 0;          // inside, of all together
  double exits_ = 0;
  double probe_phase_ = 0.5;     // when in a block its probe is set
  rate rate_;                    // of the blocks that have ended
  departures departures_;
  double kept_in_pause_ = 1;     // the share of those who waited at its start and still do
  bool has_started_ = false;     // somebody was admitted
  bool is_paused_ = false;
  bool has_probe_ = false;       // this block
  bool was_full_ = false;        // at the start of this block
};

/// What somebody was promised who joined: four bytes a ticket.
struct wait_promise {
  std::uint16_t p50_s = 0xffff;  ///< 0xffff: nothing was promised
  std::uint16_t p90_s = 0xffff;

  wait_promise() = default;
  explicit wait_promise(const std::optional<wait_range>&);
  [[nodiscard]] bool is_made() const { return p50_s != 0xffff; }
};

/// How often reality fell inside of what was promised at joining, over the last few thousand people who were admitted.
///
/// Ideal are 0.5 and 0.9; a queue that can be foreseen to the second does better. Pauses and changes of the pace count as what
/// they are to somebody who waits: if they lead to a longer wait than promised, the promise was not kept.
class wait_score {
 public:
  /// @param waited_ms  from joining to admission
  void note(const wait_promise&, std::int64_t waited_ms);
  /// Those of another queue too: each counts as much as it has people in mind.
  void add(const wait_score&);

  [[nodiscard]] std::uint64_t samples() const { return samples_; }   ///< ever
  [[nodiscard]] double within_p50() const { return within_p50_; }    ///< 0 to 1; 0 without samples
  [[nodiscard]] double within_p90() const { return within_p90_; }

  [[nodiscard]] std::string save() const;
  /// Throws std::runtime_error where the row is too short.
  void restore(std::string_view row);

 private:
  std::uint64_t samples_ = 0;
  double within_p50_ = 0;
  double within_p90_ = 0;
};

}  // namespace usher::projections
