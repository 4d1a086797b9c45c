#pragma once
// The oracle's queue: one lane, in the order of joining. It is simple, and knows nothing of the fold that the engine uses.

#include <cstdint>
#include <string>
#include <vector>

#include "events/queue.pb.h"

namespace usher::tests {

/// Says after every event of a queue what contradicts its rules.
class waiting_line {
 public:
  enum class phase { waiting, inside, over };
  struct ticket {
    std::string user;
    phase now = phase::waiting;
    std::int64_t expires_at_ms = 0;
  };

  /// @return what is wrong with it, in whole sentences
  std::vector<std::string> take(const v1::QueueEvent& e) {
    faults_.clear();
    if (e.has_opened()) per_window_ = e.opened().settings().admit_per_window();
    if (e.has_joined()) join(e.joined());
    if (e.has_left()) leave(e.left().number());
    if (e.has_admitted()) admit(e.admitted());
    if (e.has_expired()) expire(e.expired());
    return faults_;
  }

  [[nodiscard]] const std::vector<ticket>& tickets() const { return tickets_; }  ///< by number
  [[nodiscard]] std::uint64_t waiting() const { return waiting_before(tickets_.size() + 1); }
  /// People who wait with a lower number.
  [[nodiscard]] std::uint64_t waiting_before(std::uint64_t number) const {
    std::uint64_t people = 0;
    for (std::uint64_t n = 1; n < number; ++n) people += tickets_[n - 1].now == phase::waiting;
    return people;
  }

 private:
  void expect(bool ok, const std::string& what) {
    if (!ok) faults_.push_back(what);
  }

  void join(const v1::QueueJoined& e) {
    expect(e.number() == tickets_.size() + 1, "a ticket has not the next number.");
    for (const auto& t : tickets_)
      expect(t.user != e.user_id() || t.now == phase::over || (t.now == phase::inside && t.expires_at_ms <= e.at_ms()), "somebody has two places.");
    tickets_.push_back({e.user_id(), phase::waiting, 0});
  }

  void leave(std::uint64_t number) {
    if (number == 0 || number > tickets_.size()) return expect(false, "somebody left without a ticket.");
    expect(tickets_[number - 1].now != phase::over, "somebody left twice.");
    tickets_[number - 1].now = phase::over;
  }

  void admit(const v1::TicketsAdmitted& e) {
    std::uint32_t people = 0;
    for (std::uint64_t n = 1; n <= e.through() && n <= tickets_.size(); ++n) {
      auto& t = tickets_[n - 1];
      if (t.now != phase::waiting) continue;
      t.now = phase::inside;
      t.expires_at_ms = e.expires_at_ms();
      ++people;
    }
    expect(people == e.count(), "somebody was admitted twice, or overtaken.");
    if (e.window_started_at_ms() != window_started_at_ms_) in_window_ = 0;
    expect(e.window_started_at_ms() >= window_started_at_ms_, "a window began before the one that came before.");
    window_started_at_ms_ = e.window_started_at_ms();
    in_window_ += people;
    expect(in_window_ <= per_window_, "more people were admitted in a window than it has room for.");
  }

  void expire(const v1::AdmissionsExpired& e) {
    std::uint32_t people = 0;
    for (auto& t : tickets_) {
      if (t.now != phase::inside || t.expires_at_ms > e.until_ms()) continue;
      t.now = phase::over;
      ++people;
    }
    expect(people == e.count(), "other admissions ended than those whose time was over.");
  }

  std::vector<ticket> tickets_;
  std::vector<std::string> faults_;
  std::uint32_t per_window_ = 0;
  std::int64_t window_started_at_ms_ = 0;
  std::uint32_t in_window_ = 0;
};

}  // namespace usher::tests
