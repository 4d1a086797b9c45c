#pragma once
// A command on its way to the entity that it is for, and the answer on its way back.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "actors/aggregate.hpp"
#include "store/hash.hpp"
#include "store/persons.hpp"

namespace usher::actors {

struct answer {
  std::shared_ptr<const v1::Outcome> outcome;  ///< that of the record, where one was written
  std::optional<v1::Rejection> rejection;      ///< where it is set, `outcome` is null or says nothing
  std::optional<log_position> at;              ///< of the record, where one was written
  bool replayed = false;                       ///< the outcome of an earlier request with the same idempotency key
};

inline answer rejected(v1::Code code, std::string detail) {
  answer a;
  a.rejection.emplace();
  a.rejection->set_code(code);
  a.rejection->set_detail(std::move(detail));
  return a;
}

/// One command with all that its record says about where it came from. Shared between the sender, which may give up
/// while the command waits, and the actor that decides it; an accepted one moves into its record.
struct request {
  v1::EntityRef to;
  v1::Command command;
  std::string user_id;
  v1::Role role = v1::ROLE_SYSTEM;
  std::string causation;
  std::string correlation;
  std::string traceparent;
  std::string idempotency_key;              ///< empty: none
  store::short_hash key_hash;               ///< hash_of_key: set by the actor, where there is a key
  std::uint64_t fingerprint = 0;            ///< of the client's request, where there is a key
  std::optional<store::person_key> person_key;    ///< what the command's personal data is sealed with: kept beside the log, by the same write
  std::optional<std::uint64_t> expected_version;  ///< of the entity, from If-Match
  /// Called once, from any thread, when the answer may leave: what it rests on is on disk. Never called for a command
  /// that was given up.
  std::function<void(answer)> reply;

  /// The actor's right to decide. @return false where the sender has given up: the command must not be executed.
  bool claim() {
    auto expected = stage::waiting;
    return stage_.compare_exchange_strong(expected, stage::claimed);
  }
  /// The actor puts it back to wait for a change of state.
  void postpone() { stage_ = stage::waiting; }
  /// The sender gives up. @return true where the command was not decided and never will be; false where the outcome is
  /// unknown until the reply comes.
  bool give_up() {
    auto expected = stage::waiting;
    return stage_.compare_exchange_strong(expected, stage::given_up);
  }
  bool given_up() const { return stage_ == stage::given_up; }

 private:
  enum class stage { waiting, claimed, given_up };
  std::atomic<stage> stage_ = stage::waiting;
};

using request_ptr = std::shared_ptr<request>;

}  // namespace usher::actors
