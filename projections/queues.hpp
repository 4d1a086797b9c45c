#pragma once
// Where everybody stands in the waiting rooms.

#include <map>
#include <optional>
#include <set>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "projections/projection.hpp"

namespace usher::projections {

enum class ticket_status {
  early,     ///< came before the sale opened and takes part in the draw
  waiting,
  admitted,
  expired,   ///< was inside and ran out of time
  left,
  paid,      ///< was inside and has bought
  vanished,  ///< was not heard of for longer than the grace
  evicted,
  closed,    ///< waited when the queue closed
};
/// EARLY, WAITING, ADMITTED, EXPIRED, LEFT, PAID, VANISHED, EVICTED or CLOSED.
std::string_view word_of(ticket_status);

struct ticket_view {
  std::string show_id;
  std::string ticket_id;
  std::string user_id;
  std::uint64_t number = 0;    ///< order of joining: 1, 2, 3 …
  ticket_status status = ticket_status::waiting;
  std::uint64_t ahead = 0;     ///< waiting people with a lower number, exact; 0 unless waiting
  std::uint64_t position = 0;  ///< ahead + 1 while waiting, else 0
  std::uint64_t total = 0;     ///< people who wait now, in the same lane
  std::string lane;            ///< empty where there is only one
  std::uint32_t device = 0;    ///< a hash of the login that it belongs to; 0: any
  std::int64_t eta_p50_s = 0;  ///< seconds until admission at the declared rate; 0 unless waiting
  std::int64_t eta_p90_s = 0;  ///< the same with one window lost
  std::int64_t joined_at_ms = 0;
  std::int64_t admitted_at_ms = 0;          ///< 0: never admitted
  std::int64_t admission_expires_at_ms = 0; ///< 0: never admitted
};

struct lane_totals {
  std::string name;
  std::uint32_t weight = 1;
  std::uint64_t waiting = 0;
};

struct queue_totals {
  std::uint64_t joined = 0;    ///< tickets ever
  std::uint64_t waiting = 0;   ///< now
  std::uint64_t admitted = 0;  ///< ever, whether still valid or not
  std::uint64_t left = 0;      ///< ever, from the waiting room or after admission
  std::uint64_t through = 0;   ///< the highest number that is inside
  std::uint32_t admit_per_window = 0;  ///< in force, defaults filled in
  std::uint32_t window_seconds = 0;
  std::uint32_t admission_seconds = 0;
  std::int64_t window_started_at_ms = 0;
  std::uint32_t admitted_in_window = 0;
  std::uint64_t inside = 0;            ///< admitted, and neither paid nor gone nor out of time
  std::uint32_t max_active = 0;        ///< 0: no cap
  std::uint32_t grace_seconds = 0;
  bool is_smooth = false;
  bool is_drawn_by_lot = false;        ///< who comes early is put into a random order
  std::int64_t opens_at_ms = 0;        ///< of the sale; 0: at once
  std::int64_t closes_at_ms = 0;
  bool paused = false;
  std::string pause_reason;
  bool draining = false;               ///< takes nobody in any more
  std::string notice;                  ///< empty: none
  v1::QueueEnd end = v1::QUEUE_IS_OPEN;
  std::vector<std::string> sold_out_tiers;
  std::vector<lane_totals> lanes;      ///< at least one
};

/// In memory, about 100 bytes a ticket. Every question is answered in O(log n) of the show's tickets.
class queues final : public projection {
 public:
  queues();
  ~queues() override;
  [[nodiscard]] std::string_view name() const override { return "queues"; }
  [[nodiscard]] std::uint32_t version() const override { return 1; }
  [[nodiscard]] result<void> load(const store::database&) override;
  void apply(const v1::Record&) override;
  void collect(row_writer&) override;
  void clear() override;

  [[nodiscard]] std::optional<ticket_view> by_ticket(std::string_view ticket_id, time_point now) const;
  /// The user's latest ticket of the show.
  [[nodiscard]] std::optional<ticket_view> by_user(std::string_view show_id, std::string_view user_id,
                                                   time_point now) const;
  /// @return nullopt where nobody ever joined
  [[nodiscard]] std::optional<queue_totals> totals(std::string_view show_id) const;

 private:
  struct line;
  line& line_of(const std::string& show_id);
  void fold(const std::string& show_id, const v1::QueueEvent&);
  void load_row(std::string_view key, std::string_view value);

  mutable std::shared_mutex mutex_;
  std::map<std::string, std::unique_ptr<line>, std::less<>> lines_;
  std::set<std::pair<std::string, std::uint64_t>> changed_tickets_;
  std::set<std::pair<std::string, std::uint64_t>> fresh_runs_;  // by index in the line's runs
  std::set<std::string> changed_lines_;
};

}  // namespace usher::projections
