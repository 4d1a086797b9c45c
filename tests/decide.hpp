#pragma once
// Given what happened, when a command comes, then this is decided: how the tests of the deciders read.

#include <catch2/catch.hpp>
#include <google/protobuf/text_format.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "actors/aggregate.hpp"

namespace usher::actors::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A message from Protobuf's text format; a typo in it fails the test.
template <class Message>
Message from_text(const std::string& text) {
  Message m;
  INFO(text);
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &m));
  return m;
}

/// A message on one line, as the tests compare it.
inline std::string to_text(const google::protobuf::Message& m) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string out;
  printer.PrintToString(m, &out);
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

/// One entity without a shell: it decides, and evolves by what it decided. Time stands still unless it is passed.
template <aggregate A>
class given {
 public:
  using event = typename A::event;
  using command = typename A::command;
  using kind = typename decision<event>::kind;

  explicit given(v1::EntityRef ref) : ref_(std::move(ref)) {}

  /// Events that have happened, in text format.
  given& happened(const std::string& event_text) {
    A::evolve(state_, from_text<event>(event_text));
    return *this;
  }
  given& as_user(std::string user_id) {
    context_.user_id = std::move(user_id);
    context_.role = v1::ROLE_USER;
    return *this;
  }
  given& as_system() {
    context_.user_id.clear();
    context_.role = v1::ROLE_SYSTEM;
    return *this;
  }
  given& pass(std::chrono::milliseconds time) {
    context_.now += time;
    return *this;
  }

  /// Decides and, where the decision is not refused or put off, evolves.
  decision<event> when(const command& c) {
    auto d = A::decide(ref_, state_, c, context_);
    if (d.what == kind::reject || d.what == kind::postpone) {
      CHECK(d.events.empty());
      CHECK(d.parts.empty());
    }
    for (const auto& e : d.events) A::evolve(state_, e);
    return d;
  }
  decision<event> when(const std::string& command_text) { return when(from_text<command>(command_text)); }
  /// What the deadline sends.
  decision<event> when_woken() {
    const auto c = A::wake();
    REQUIRE(c);
    return when(*c);
  }

  [[nodiscard]] const typename A::state& state() const { return state_; }
  [[nodiscard]] std::optional<time_point> deadline() const { return A::deadline(state_); }
  [[nodiscard]] std::vector<errand> reaction() const { return A::react(ref_, state_); }
  [[nodiscard]] time_point now() const { return context_.now; }

 private:
  v1::EntityRef ref_;
  typename A::state state_;
  context context_{from_ms(1'000'000), {}, v1::ROLE_SYSTEM};
};

template <class Event>
bool accepted(const decision<Event>& d) {
  return d.what == decision<Event>::kind::accept;
}

/// Accepted, and nothing to record.
template <class Event>
bool accepted_unchanged(const decision<Event>& d) {
  return accepted(d) && d.events.empty() && d.parts.empty() && !d.settles && d.outcome.unchanged();
}

template <class Event>
bool parked(const decision<Event>& d) {
  return d.what == decision<Event>::kind::park && d.events.size() == 1;
}

template <class Event>
bool postponed(const decision<Event>& d) {
  return d.what == decision<Event>::kind::postpone;
}

/// The code of a refusal, OK where nothing was refused.
template <class Event>
v1::Code refused(const decision<Event>& d) {
  if (d.what != decision<Event>::kind::reject) return v1::OK;
  CHECK_FALSE(d.rejection.detail().empty());
  return d.rejection.code();
}

/// The fields that are to blame, in order.
inline std::vector<std::string> blamed(const v1::Rejection& r) {
  std::vector<std::string> out;
  for (const auto& f : r.faults()) out.push_back(f.field());
  return out;
}

/// The events of a decision, in text format, separated by ` | `.
template <class Event>
std::string events_of(const decision<Event>& d) {
  std::string out;
  for (const auto& e : d.events) out += (out.empty() ? "" : " | ") + to_text(e);
  return out;
}

/// The parts of a decision in order: `seat/shw_x/A-1: seat { hold { … } }`.
template <class Event>
std::vector<std::string> parts_of(const decision<Event>& d) {
  std::vector<std::string> out;
  for (const auto& p : d.parts) out.push_back(key_of(p.to) + ": " + to_text(p.command));
  return out;
}

}  // namespace usher::actors::test
