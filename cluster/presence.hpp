#pragma once
// Who of those that wait is still there.

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actors/request.hpp"
#include "projections/queues.hpp"

namespace usher::cluster {

/// Knows when each ticket that waits was last heard of, and drops those that were silent for longer than the queue's grace.
///
/// A connection that watches a ticket holds it, a request with its token renews it. Nothing of this is stored: after a start
/// everybody has the whole grace before them, as has whoever joins. Only those who wait (or take part in a draw) can vanish.
/// Thread-safe. Memory: 4 bytes a ticket of a queue where somebody waits, and some 40 for each that is held.
class presence {
 public:
  using port = std::function<void(const actors::request_ptr&)>;

  /// @param send  takes the commands to the queues, from sweep's thread; what it refers to and the others outlive this
  presence(const projections::queues&, const wall_clock&, port send);

  void hold(std::string_view ticket_id);     ///< as often as it is released again
  void release(std::string_view ticket_id);  ///< from now on its grace runs
  void heard(std::string_view ticket_id);

  /// Sends at most one command for each queue, with at most 10,000 tickets; what is left follows at the next sweep, and a
  /// command that came to nothing is repeated after five seconds. To be called about once a second, by one thread at a
  /// time. Cost: 4 bytes read for each ticket, and a look at each that was silent for long.
  void sweep();

 private:
  struct room {
    std::vector<std::uint32_t> heard_s;  // by number, the first is 1; or `over`
    std::unordered_map<std::uint64_t, std::uint32_t> holds;
  };
  [[nodiscard]] std::uint32_t now_s() const;
  void renew(room&, std::uint64_t number) const;
  [[nodiscard]] std::vector<std::uint64_t> silent(const std::string& show_id, const projections::queue_totals&);
  [[nodiscard]] std::vector<std::uint64_t> still_waiting(const std::string& show_id, const std::vector<std::uint64_t>& numbers);
  void drop(const std::string& show_id, const std::vector<std::uint64_t>& numbers) const;

  const projections::queues& queues_;
  const wall_clock& clock_;
  const port send_;
  const std::int64_t start_ms_;

  std::mutex mutex_;  // of the rooms; the view's own lock is never taken inside of it
  std::map<std::string, room, std::less<>> rooms_;
};

}  // namespace usher::cluster
