// What people were told while they waited, and whether it was true: the judge of a rehearsal's waiting room. No sockets here.
#pragma once

#include "bench/histogram.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace usher::bench {

/// How somebody follows their place. `poll` asks again every few seconds and holds no connection.
enum class channel : std::uint8_t { websocket, events, long_poll, poll };
constexpr std::array<std::string_view, 4> channel_names{"WebSocket", "server-sent events", "long poll", "poll"};

struct eta {
  std::uint32_t p50_s = 0, p90_s = 0;
};

/// What one message says, whichever channel it came by. What it doesn't speak of is empty.
struct told {
  std::string status;                       // the word of the interface, as in WAITING
  std::optional<std::uint64_t> position, ahead;
  std::optional<eta> promised;
  std::string admission;                    // the token
  std::int64_t admission_expires_ms = 0;
  bool closed = false;                      // the queue has closed for them: it is sold out, or the sale is over
  std::string refusal;                      // the code of an error
};

/// Reads a message of the WebSocket or of the event stream, or the body of an answer of /queue/status, also a refusal.
told told_in(std::string_view message);

/// Settings of the show's queue, and where its windows begin.
struct pace {
  std::uint32_t per_window = 250;
  std::uint32_t window_s = 10;
  std::uint32_t admission_s = 300;
  std::uint32_t max_active = 0;         // 0: no cap
  std::int64_t window_started_ms = 0;   // of any window; 0: the first admission begins one
};

/// What an operator saw at one moment.
struct inside_sample {
  std::int64_t at_ms = 0;
  std::uint64_t inside = 0, waiting = 0, admitted = 0;  // admitted: ever
  std::optional<std::uint64_t> available;               // places left to sell
};

struct verdict {
  std::string name;
  bool holds;
  std::string detail;
};

/// Promises of about the same length, against what came.
struct kept_promises {
  std::string of;              // "below 30 s"
  std::size_t count = 0;
  double within_p50 = 0, within_p90 = 0;  // shares of the waits that were no longer
  double promised_s = 0, real_s = 0;      // medians: of the promised p50, and of the waits
  double error_s = 0;                     // median of |wait - p50|
};

/// How one channel told of places and admissions.
struct channel_account {
  std::size_t people = 0, admitted = 0;
  std::map<std::string, std::size_t> words;  // how many were told each status
  histogram late;                            // from the moment of an admission until its person heard of it
};

struct inside_account {
  std::size_t samples = 0;
  std::size_t judged = 0;   // of these: people waited, and neither the windows nor the hall were what held them back
  std::size_t close = 0;    // of these: inside was within 5 % of the cap
  std::uint64_t most = 0;
};

struct waiting_report {
  std::array<channel_account, channel_names.size()> channels;
  std::vector<kept_promises> promises;  // made at joining; made later; then all of them by their length
  inside_account inside;
  std::vector<verdict> checks;
};

/// Everything that everyone was told about their ticket, in the order of hearing. About 150 bytes a ticket.
///
/// Times are milliseconds of the wall clock. The moment of an admission is the server's (its end minus how long it lasts),
/// so delays and the last checks take it that both clocks agree.
class waiting_book {
 public:
  using ticket = std::size_t;

  /// Somebody got a ticket and listens from now on. What the answer said goes to `heard`.
  ticket joined(std::uint64_t number, channel by);
  void heard(ticket, const told&, std::int64_t now_ms);
  /// They changed over, as after connections that were refused.
  void listens_by(ticket, channel);
  /// They don't listen any more: what happens to the ticket from here on is not held against the server.
  void gone(ticket);
  void sampled(const inside_sample& seen) { samples_.push_back(seen); }
  /// The draw put this ticket there, among those that took part.
  void drawn(std::uint64_t number, std::uint64_t rank) { rank_of_[number] = rank; }

  [[nodiscard]] std::size_t size() const { return stories_.size(); }
  [[nodiscard]] waiting_report judge(const pace& by) const;

 private:
  struct promise {
    std::int64_t made_ms;
    eta range;
  };
  struct story {
    std::uint64_t number = 0;
    std::int64_t admission_expires_ms = 0;  // 0: not admitted
    std::int64_t heard_ms = 0;              // of the admission
    std::int64_t closed_ms = 0;             // 0: was not told that the queue closed
    std::uint64_t position = 0;             // told last; 0: none yet
    std::vector<promise> promises;
    std::uint16_t words = 0;                // a bit for each status that was told
    std::uint8_t stage = 0;
    channel by = channel::websocket;
    bool listens = true;
    bool grew = false, went_back = false, admitted_twice = false, lost = false;
  };

  [[nodiscard]] std::int64_t admitted_ms(const story& s, const pace& by) const { return s.admission_expires_ms - 1'000 * std::int64_t{by.admission_s}; }
  [[nodiscard]] std::uint64_t rank(const story& s) const;
  [[nodiscard]] std::size_t overtakers(const pace& by) const;
  [[nodiscard]] std::pair<std::size_t, std::size_t> fullest_window(const pace& by) const;
  void judge_stories(waiting_report& into) const;
  void judge_admissions(const pace& by, waiting_report& into) const;
  void judge_closing(const pace& by, waiting_report& into) const;
  void judge_promises(waiting_report& into) const;
  void judge_inside(const pace& by, waiting_report& into) const;

  std::vector<story> stories_;
  std::vector<inside_sample> samples_;
  std::map<std::uint64_t, std::uint64_t> rank_of_;
};

}  // namespace usher::bench
