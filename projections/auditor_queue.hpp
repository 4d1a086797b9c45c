#pragma once
// Judges the events of one waiting room: a fold of its own, that knows no more of a ticket than it needs to.

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "events/merkle.hpp"
#include "events/vocabulary.hpp"

namespace usher::projections {

/// Takes the events of one queue in, in their order.
///
/// Memory: a byte for each ticket ever, and four more for one that waits or whose admission has not ended.
/// Cost: constant for each ticket that an event is about; the end of a queue and the draw look at all tickets.
class queue_audit {
 public:
  /// @return what is wrong with the event, as a whole sentence; nullptr: nothing. What follows is judged as if it were right.
  [[nodiscard]] const char* take(const v1::QueueEvent&);

 private:
  enum phase : char { waiting, inside, over };
  struct lane {
    std::deque<std::uint32_t> order;  // numbers by place, from the first one that no admission has come to
    std::uint64_t through = 0;        // admissions have come to this place
  };

  const char* open(const v1::QueueOpened&);
  const char* join(const v1::QueueJoined&);
  const char* admit(const v1::TicketsAdmitted&);
  const char* expire(const v1::AdmissionsExpired&);
  const char* vanish(const v1::TicketsVanished&);
  const char* assign(const v1::LaneAssigned&);
  const char* close(const v1::QueueClosed&);
  const char* close_entries(const v1::EntriesClosed&);
  const char* draw(const v1::DrawHeld&);
  const char* end(std::uint64_t number, bool waits, bool is_inside, const char* otherwise);
  std::uint64_t let_in(std::size_t lane, std::uint64_t through, std::vector<std::uint32_t>& people);
  [[nodiscard]] bool waits_at(std::size_t lane, std::uint64_t place, std::uint32_t number) const;
  [[nodiscard]] std::uint64_t inside_at(std::int64_t now_ms) const;
  [[nodiscard]] std::uint64_t still_inside(const std::vector<std::uint32_t>& people) const;
  void set(const v1::QueueSettings&);
  void schedule(std::int64_t opens_at_ms, std::int64_t closes_at_ms);
  [[nodiscard]] bool is_over(std::int64_t now_ms) const { return closes_at_ms_ != 0 && now_ms >= closes_at_ms_; }
  void put(std::uint32_t number, std::size_t lane);

  // A ticket is its phase in the lowest bits, and its lane above them.
  [[nodiscard]] std::uint64_t joined() const { return tickets_.size(); }
  [[nodiscard]] bool exists(std::uint64_t number) const { return number != 0 && number <= joined(); }
  [[nodiscard]] phase phase_of(std::uint64_t number) const { return static_cast<phase>(tickets_[number - 1] & 3); }
  [[nodiscard]] std::size_t lane_of(std::uint64_t number) const { return static_cast<unsigned char>(tickets_[number - 1]) >> 2; }
  void set_phase(std::uint64_t number, phase now);

  std::string tickets_;
  std::vector<lane> lanes_ = std::vector<lane>(1);
  boost::unordered_flat_map<std::uint32_t, std::uint64_t> moved_;  // the places of those who changed lanes
  std::map<std::int64_t, std::vector<std::uint32_t>> let_in_;      // whom, by when their admission ends
  std::uint64_t waiting_ = 0;
  std::uint64_t inside_ = 0;
  std::uint32_t max_active_ = 0;
  std::int64_t opens_at_ms_ = 0;
  std::int64_t closes_at_ms_ = 0;          // 0: never
  std::optional<std::int64_t> entries_closed_at_ms_;
  std::optional<v1::SupplyNoted> left_;    // nullopt: nobody has said
  bool opened_ = false;
  bool by_lot_ = true;
  bool paused_ = false;
  bool draining_ = false;
  bool closed_ = false;
  bool drawn_ = false;
  std::optional<merkle::digest> commitment_;  // to the secret of the draw
  merkle::frontier entries_;                  // over the tickets that take part
};

}  // namespace usher::projections
