#pragma once
// Where the verbs that read the past read it: a running node, or the data directory of one that is stopped. They answer alike.

#include <boost/json/object.hpp>

#include <memory>

#include "actors/chronicle.hpp"
#include "cli_server.hpp"
#include "store/database.hpp"

namespace usher::cli {

/// An entity as people name it: `seat/shw_…/A-12`, `reservation/rsv_…`, `wallet/ann@example.org`. @return nullopt where it is none
std::optional<v1::EntityRef> entity_named(const std::string& text);
/// A user's id, also where an e-mail address is given.
std::string user_named(const std::string& text);

/// What the audit endpoints answer.
class past {
 public:
  /// The node that `--server` names, or that runs on `--data`; else the directory, opened read-only. @error as server_of, open_offline
  static result<past> open(const server_flags&);

  /// The answers of /audit/streams, /audit/state and /audit/diff. Times and positions as texts; empty ones are not sent.
  /// @error invalid_argument (a moment that is none), io_failure (also where there is no such thing), corrupted
  [[nodiscard]] result<std::string> events(const v1::EntityRef&, const std::string& as_of, const std::string& cursor, std::size_t limit) const;
  [[nodiscard]] result<std::string> state(const v1::EntityRef&, const std::string& as_of) const;
  [[nodiscard]] result<std::string> difference(const v1::EntityRef&, const std::string& from, const std::string& to) const;

  /// Calls `visit` for each record that fits, until it returns false or the end, which `follow` has only where the node stops. Behind a bar
  /// where it is read here; a partition that can't be read to its end is then complained of, and the others follow.
  /// @error corrupted  afterwards, where there was such a one
  [[nodiscard]] result<void> log(const actors::log_filter&, bool follow, std::uint64_t limit, const std::function<bool(const v1::Record&)>& visit) const;
  [[nodiscard]] bool is_live() const { return node_.has_value(); }

 private:
  [[nodiscard]] result<std::string> ask(const std::string& target) const;
  [[nodiscard]] result<void> read_log(const actors::log_filter&, std::uint64_t limit, const std::function<bool(const v1::Record&)>& visit) const;

  std::optional<server> node_;
  std::shared_ptr<const store::database> db_;
};

}  // namespace usher::cli
