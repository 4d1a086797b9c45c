#pragma once
// A whole node: the log, the actors, the read models and the HTTP interface, started and stopped in the order they need.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "events/config.pb.h"
#include "events/vocabulary.hpp"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace usher {

namespace cluster {
class router;
}  // namespace cluster
namespace http {
class tokens;
}  // namespace http
namespace projections {
class runner;
}  // namespace projections

/// Where a node keeps what must survive, below its data directory.
std::string log_directory(const std::string& data_directory);
std::string secret_file(const std::string& data_directory);
std::string sandbox_secret_file(const std::string& data_directory);
std::string signing_secret_file(const std::string& data_directory);

struct node_options {
  rocksdb::Env* env = nullptr;  ///< another file system for the log; outlives the node
  /// The disk failed or what is stored is damaged. Called at most once, from any thread, and must not stop the node
  /// itself. None: the failure is logged and the process ends at once, as nothing that follows could be kept.
  std::function<void(const failure&)> on_failure;
};

/// Several may live in one process, each with a data directory of its own.
class node {
 public:
  /// Makes the data directory where there is none, catches up with the log and listens.
  ///
  /// @param clock  outlives the node
  /// @error invalid_argument  the address or port can't be had, or a file of the settings is wrong
  /// @error io_failure, corrupted, wrong_format  the log can't be opened; another process may have it
  /// Cost: about a second per million records since the last clean stop.
  [[nodiscard]] static result<std::unique_ptr<node>> start(const v1::Configuration&, const wall_clock& clock,
                                                           node_options = {});
  ~node();  ///< stops it first
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  /// Signs and checks this node's tokens.
  [[nodiscard]] http::tokens& access();
  /// Takes commands without HTTP. Not after stop().
  [[nodiscard]] cluster::router& commands();
  /// What readers see.
  [[nodiscard]] projections::runner& views();

  /// Lets requests under way finish, for at most stop_timeout_ms, writes everything out and ends all threads.
  /// Calling it again does nothing. For one thread at a time, none of the node's own.
  void stop();

 private:
  struct impl;
  explicit node(std::unique_ptr<impl>);
  std::unique_ptr<impl> impl_;
};

}  // namespace usher
