#pragma once
// A waiting room: what the events of a queue make of it, and who stands where.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "events/merkle.hpp"
#include "events/queue.pb.h"

namespace usher {

/// The settings of a queue with their defaults filled in.
struct queue_pace {
  explicit queue_pace(const v1::QueueSettings&);

  std::uint32_t per_window;       ///< 250
  std::int64_t window_ms;         ///< 10 s
  std::int64_t admission_ms;      ///< 300 s
  std::int64_t grace_ms;          ///< 300 s
  std::uint32_t max_active;       ///< 0: no cap
  bool is_smooth;
  bool is_drawn_by_lot;           ///< who comes before the sale opens
  std::vector<std::uint32_t> weights;  ///< of the lanes; at least one
};

/// How many of the numbers 1 to n are marked: a Fenwick tree that grows at its end (Fenwick 1994). O(log n) each.
class marks {
 public:
  void append();
  void mark(std::size_t number);
  [[nodiscard]] std::uint64_t up_to(std::size_t number) const;
  /// Marked numbers in (after, until].
  [[nodiscard]] std::uint64_t between(std::size_t after, std::size_t until) const { return until <= after ? 0 : up_to(until) - up_to(after); }

 private:
  std::deque<std::uint32_t> sums_{0};
};

/// The fold of a queue's events. The aggregate decides on it and the read model answers from it, so both count alike.
///
/// Tickets have the numbers 1, 2, 3 … in the order of joining, and each a place in the order of its lane; people are admitted by
/// their places. A place is a number's until its ticket moves to another lane, or until the draw puts those into a random order who
/// came before the sale opened.
/// `fold` is total: an event that makes no sense changes nothing it can't change. Nothing here asks a clock.
/// Memory: some 90 bytes a ticket with a user's id of 20 bytes. Cost: O(log n) a question; an event costs O(log n) for each ticket
/// that it is about, DrawHeld and QueueClosed O(n).
class waiting_room {
 public:
  struct ticket {
    std::int64_t joined_at_ms = 0;
    std::uint64_t user = 0;    // where the id begins, and in the lowest byte how long it is
    std::uint32_t place = 0;   ///< in the lane's order, from 1
    std::uint32_t run = 0;     ///< the admission that let it in; 0: none has
    std::uint32_t device = 0;
    std::uint8_t lane = 0;
    std::uint8_t phase_byte = v1::TICKET_WAITING;

    [[nodiscard]] v1::TicketPhase phase() const { return static_cast<v1::TicketPhase>(phase_byte); }
  };
  /// Admissions that end together.
  struct run {
    std::int64_t at_ms = 0;
    std::int64_t expires_at_ms = 0;
    std::uint32_t inside = 0;             ///< of its people, those who still are
    std::vector<std::uint32_t> people;    ///< their numbers
  };

  void fold(const v1::QueueEvent&);

  /// Everything, with the tickets as columns: O(n).
  void save(v1::QueueState&) const;
  void restore(const v1::QueueState&);

  // --- tickets
  [[nodiscard]] std::uint64_t joined() const { return tickets_.size(); }
  /// @param number  1 to joined()
  [[nodiscard]] const ticket& at(std::uint64_t number) const { return tickets_[number - 1]; }
  [[nodiscard]] std::string_view user_of(std::uint64_t number) const;
  /// The newest ticket of a user; 0: none ever.
  [[nodiscard]] std::uint64_t newest_of(std::string_view user_id) const;
  /// The user's ticket if it waits, or lets its owner in at that time; else 0.
  [[nodiscard]] std::uint64_t live_of(std::string_view user_id, std::int64_t now_ms) const;
  /// Whether this ticket lets its owner in at that time.
  [[nodiscard]] bool is_inside(std::uint64_t number, std::int64_t now_ms) const;
  /// The admission of a ticket, while some of those who came in with it are inside. @return nullptr: none
  [[nodiscard]] const run* run_of(std::uint64_t number) const;
  /// Whether it waits for a draw: its place says nothing yet.
  [[nodiscard]] bool is_early(std::uint64_t number) const;
  /// People who wait in the same lane and will be admitted before it. Of a ticket that waits.
  [[nodiscard]] std::uint64_t ahead_of(std::uint64_t number) const;
  /// Where a user will be put who has no ticket and names no lane.
  [[nodiscard]] std::uint32_t lane_for(const std::string& user_id) const;
  /// The lane of this name; nullopt where there is none. The empty name is nobody's.
  [[nodiscard]] std::optional<std::uint32_t> lane_named(std::string_view) const;

  // --- the room
  [[nodiscard]] std::size_t lanes() const { return lanes_.size(); }
  [[nodiscard]] std::uint64_t waiting(std::size_t lane) const { return lanes_[lane].waiting; }
  [[nodiscard]] std::uint64_t waiting() const { return waiting_; }
  /// The place of the last of the next `count` people who wait in a lane. There are that many.
  [[nodiscard]] std::uint64_t place_of_next(std::size_t lane, std::uint64_t count) const;
  /// Places that were given out in a lane, to whomever.
  [[nodiscard]] std::uint64_t places(std::size_t lane) const { return lanes_[lane].order.size(); }
  /// Whom a place was given to, from 1 to places(lane), wherever that ticket is now.
  [[nodiscard]] std::uint64_t number_at(std::size_t lane, std::uint64_t place) const { return lanes_[lane].order[place - 1]; }
  [[nodiscard]] std::uint64_t through(std::size_t lane) const { return lanes_[lane].through; }
  /// How far a lane has come in the sharing of admissions; the lane that has come the least far is next.
  [[nodiscard]] std::uint64_t pass(std::size_t lane) const { return lanes_[lane].pass; }
  /// What one admission costs a lane of that weight.
  static constexpr std::uint64_t stride(std::uint32_t weight) { return (std::uint64_t{1} << 32) / weight; }

  /// People inside whose time is not over at that time.
  [[nodiscard]] std::uint64_t inside(std::int64_t now_ms) const { return inside_ - expired_by(now_ms); }
  /// People inside whose time is over by then, and nobody has recorded it.
  [[nodiscard]] std::uint64_t expired_by(std::int64_t now_ms) const;
  [[nodiscard]] std::optional<std::int64_t> next_expiry_ms() const;

  [[nodiscard]] const v1::QueueSettings& settings() const { return head_.settings(); }
  [[nodiscard]] const queue_pace& pace() const { return pace_; }
  /// The rest that needs no work: times, reasons, the notice, supply, the draw. Its columns are empty.
  [[nodiscard]] const v1::QueueState& head() const { return head_; }
  /// Whether the window that runs goes on, with those it has let in, when the pace changes; else a new one begins at that moment.
  static bool keeps_windows(const queue_pace& before, const queue_pace& after);
  /// Whether those who come early are put into a random order, and that has not happened yet.
  [[nodiscard]] bool draw_is_due() const;
  /// Tickets that take part in the draw: the numbers 1 to this.
  [[nodiscard]] std::uint64_t entries() const { return entries_.size(); }
  /// Of the Merkle tree over the tickets so far that take part in the draw.
  [[nodiscard]] merkle::digest draw_root() const { return entries_.root(); }
  /// After the draw: the rank of a ticket that took part; 0 for another.
  [[nodiscard]] std::uint32_t rank_of(std::uint64_t number) const { return number - 1 < ranks_.size() ? ranks_[number - 1] : 0; }

 private:
  /// Of a hash table: a number, and the hash of its user's id, so that other users' ids are hardly ever looked at.
  struct slot {
    std::uint32_t number = 0;  // 0: free
    std::uint32_t hash = 0;
  };
  struct lane {
    std::deque<std::uint32_t> order;  // the numbers by place
    marks gone;                       // places that nobody waits at any more, though the admissions have not come by
    std::uint64_t through = 0;        // admissions have come to here
    std::uint64_t waiting = 0;
    std::uint64_t pass = 0;
  };

  void join(const v1::QueueJoined&);
  void admit(const v1::TicketsAdmitted&);
  void admit_lane(std::size_t lane, std::uint64_t through, std::uint32_t run_number, run&);
  void expire(std::int64_t until_ms);
  void end(std::uint64_t number, v1::TicketPhase);
  void stop_waiting(ticket&);
  void leave_run(std::uint32_t run_number);
  std::uint32_t open_run(std::int64_t at_ms, std::int64_t expires_at_ms);
  void move_to_lane(std::uint64_t number, std::uint32_t lane);
  void close(v1::QueueEnd);
  void draw(const std::string& secret);
  void set_settings(const v1::QueueSettings&);
  void enter_lane(std::uint64_t number, ticket&, std::size_t lane);
  [[nodiscard]] bool waits_at(std::size_t lane, std::uint64_t place) const;
  void index_user(std::uint64_t number);
  [[nodiscard]] std::size_t slot_of(std::string_view user_id, std::uint32_t hash) const;
  void grow_index();
  std::uint64_t keep(std::string_view user_id);
  std::vector<std::uint32_t> rank();
  void sort_lanes();
  void restore_tickets(const v1::QueueState&);
  void restore_draw(const v1::QueueState&);

  std::deque<ticket> tickets_;               // by number
  std::vector<std::string> names_;           // the users' ids, in chunks
  std::vector<slot> newest_;                 // open addressing: the newest number of each user
  std::size_t users_ = 0;
  std::vector<lane> lanes_{1};
  std::map<std::uint32_t, run> runs_;        // those with somebody inside, by number from 1
  std::set<std::pair<std::int64_t, std::uint32_t>> run_ends_;
  std::uint32_t runs_made_ = 0;
  std::uint64_t waiting_ = 0;
  std::uint64_t inside_ = 0;
  merkle::frontier entries_;
  std::vector<std::uint32_t> ranks_;         // by number, after the draw
  v1::QueueState head_;
  queue_pace pace_{v1::QueueSettings{}};
};

}  // namespace usher
