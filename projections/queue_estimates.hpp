#pragma once
// What one queue tells its people about their waits: the estimates of its lanes, fed with its events, and their score.

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "events/waiting_room.hpp"
#include "projections/wait_estimates.hpp"

namespace usher::projections {

/// The estimates of all lanes of one queue, and what everybody was told on joining.
///
/// Who comes before a draw is told nothing, and who is let in at once did not wait: neither counts for the score.
/// Memory: 4 bytes a ticket and some 6 KB a lane. Cost: that of the room's fold.
class queue_estimates {
 public:
  /// Folds an event into the room, and sees what it means for those who wait there.
  void fold(waiting_room&, const v1::QueueEvent&);

  /// For somebody at this position of a lane. @return nullopt: nobody knows, since nobody is let in for now
  [[nodiscard]] std::optional<wait_range> estimate(const waiting_room&, std::size_t lane, std::uint64_t position, std::int64_t now_ms) const;
  [[nodiscard]] const wait_score& score() const { return score_; }

  /// Appends all of it to a row.
  void save(std::string& row) const;
  /// Takes off the row what `save` appended, and gives the rest. Throws std::runtime_error where it isn't there.
  [[nodiscard]] std::string_view restore(std::string_view row);

 private:
  void declare(const waiting_room&, std::int64_t at_ms);
  void join(const waiting_room&, std::uint64_t number, std::int64_t at_ms);
  void admit(waiting_room&, const v1::QueueEvent&);
  void stop_waiting(waiting_room&, const v1::QueueEvent&, const std::vector<std::uint64_t>& numbers, std::int64_t at_ms);
  void move(waiting_room&, const v1::QueueEvent&);
  void enter_drawn(waiting_room&, const v1::QueueEvent&);

  std::vector<wait_estimates> lanes_;
  std::deque<wait_promise> promises_;  // by number
  wait_score score_;
};

}  // namespace usher::projections
