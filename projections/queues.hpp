#pragma once
// Where everybody stands in the waiting rooms.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <shared_mutex>
#include <vector>

#include "events/merkle.hpp"
#include "projections/projection.hpp"
#include "projections/wait_estimates.hpp"

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
  std::uint64_t ahead = 0;     ///< people who will be admitted before it, in the same lane, exact; 0 unless waiting
  std::uint64_t position = 0;  ///< ahead + 1 while waiting, else 0
  std::uint64_t total = 0;     ///< people who wait now, in the same lane
  std::string lane;            ///< empty where there is only one
  std::uint32_t device = 0;    ///< a hash of the login that it belongs to; 0: any
  std::int64_t eta_p50_s = -1; ///< seconds until admission, as likely longer as shorter; -1: nobody knows
  std::int64_t eta_p90_s = -1; ///< nine of ten are admitted by then
  std::int64_t joined_at_ms = 0;
  std::int64_t admitted_at_ms = 0;          ///< 0 unless it is inside
  std::int64_t admission_expires_at_ms = 0; ///< 0 unless it is inside
};

struct lane_totals {
  std::string name;            ///< empty where there is only one
  std::uint32_t weight = 1;
  std::uint64_t waiting = 0;
};

/// A waiting room as a whole. Defaults of the settings are filled in.
struct queue_totals {
  std::uint64_t version = 0;   ///< how many events made it what it is
  std::uint64_t joined = 0;    ///< tickets ever
  std::uint64_t waiting = 0;   ///< now
  std::uint64_t admitted = 0;  ///< ever, whether still valid or not
  std::uint64_t left = 0;      ///< ever, of their own will, from the waiting room or after admission
  std::uint64_t inside = 0;    ///< admitted, and neither paid nor gone nor out of time
  std::uint32_t admit_per_window = 0;
  std::uint32_t window_seconds = 0;
  std::uint32_t admission_seconds = 0;
  std::uint32_t grace_seconds = 0;
  std::uint32_t max_active = 0;        ///< 0: no cap
  bool is_smooth = false;
  bool is_drawn_by_lot = false;        ///< who comes early is put into a random order
  std::int64_t window_started_at_ms = 0;
  std::uint32_t admitted_in_window = 0;
  std::int64_t opens_at_ms = 0;        ///< of the sale; 0: at once
  std::int64_t closes_at_ms = 0;       ///< 0: never
  bool paused = false;
  std::string pause_reason;
  bool draining = false;               ///< takes nobody in any more
  std::string drain_reason;
  std::string notice;                  ///< empty: none
  v1::QueueEnd end = v1::QUEUE_IS_OPEN;
  bool supply_known = false;
  std::uint64_t available = 0;         ///< as the queue was told last
  std::uint64_t held = 0;
  std::vector<std::string> sold_out_tiers;
  std::vector<lane_totals> lanes;      ///< at least one
  wait_score score;                    ///< of what people were told about their waits
  v1::QueueSettings settings;          ///< as they were given, without the defaults
};

/// The draw of a show's waiting room, as far as it has come.
struct draw_view {
  merkle::digest commitment{};    ///< SHA-256 of the secret; public
  bool entries_closed = false;    ///< the sale has opened, and nobody takes part any more
  std::uint64_t count = 0;        ///< once the entries are closed: the tickets 1 to this take part
  merkle::digest root{};          ///< once the entries are closed: over them
  std::int64_t closed_at_ms = 0;
  bool drawn = false;
  std::string secret;             ///< empty until it is drawn, and nobody's business
  std::int64_t drawn_at_ms = 0;
};

/// One that took part.
struct drawn_ticket {
  std::uint64_t number = 0;
  std::uint64_t rank = 0;      ///< over all lanes, from 1
  std::string_view user_id;    ///< valid during the visit
  std::int64_t joined_at_ms = 0;
};

/// In memory, about 105 bytes a ticket. Every question is answered in O(log n) of the show's tickets.
class queues final : public projection {
 public:
  queues();
  ~queues() override;
  [[nodiscard]] std::string_view name() const override { return "queues"; }
  [[nodiscard]] std::uint32_t version() const override { return 3; }
  [[nodiscard]] payloads concerns() const override { return {v1::StreamEvent::kQueue}; }
  [[nodiscard]] std::unique_ptr<projection> fresh() const override { return std::make_unique<queues>(); }
  [[nodiscard]] result<void> load(const store::database&, const std::string& rows) override;
  void apply(const v1::Record&) override;
  void collect(row_writer&) override;
  [[nodiscard]] bool collect_whole(row_writer&) const override;
  [[nodiscard]] std::size_t unwritten() const override;
  void swap_in(projection& built) override;

  [[nodiscard]] std::optional<ticket_view> by_ticket(std::string_view ticket_id, time_point now) const;
  /// The user's latest ticket of the show.
  [[nodiscard]] std::optional<ticket_view> by_user(std::string_view show_id, std::string_view user_id, time_point now) const;
  /// @return nullopt where the show has no queue
  [[nodiscard]] std::optional<queue_totals> totals(std::string_view show_id, time_point now) const;
  /// How good all that people were told about their waits has been.
  [[nodiscard]] wait_score score() const;
  /// Shows where somebody waits, by id.
  [[nodiscard]] std::vector<std::string> with_waiting() const;

  /// @return nullopt where nothing is drawn: the show has no queue, sells at once, or takes people in the order of joining
  [[nodiscard]] std::optional<draw_view> draw(std::string_view show_id) const;
  /// Visits the tickets `from`, `from` + 1 … of a draw that was held: `max` of them, or as many as there are.
  /// The waiting rooms take nothing in meanwhile, so ask for a thousand at a time.
  void visit_drawn(std::string_view show_id, std::uint64_t from, std::size_t max, const std::function<void(const drawn_ticket&)>&) const;

 private:
  struct line;
  void fold(const v1::Record&);  // what readers see of it

  mutable std::shared_mutex mutex_;
  std::map<std::string, std::unique_ptr<line>, std::less<>> lines_;
  std::set<std::string> changed_;
};

}  // namespace usher::projections
