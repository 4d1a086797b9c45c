#pragma once
// A node in a process of its own, as it runs in earnest: what stays of it after a kill is what is on the disk.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli_common.hpp"
#include "tests/client.hpp"

namespace usher::tests {

/// `usher serve` on a directory and a free port, killed and reaped at the latest by the destructor.
///
/// Only kill() may be called while other threads read port().
class child_node {
 public:
  explicit child_node(std::string data_directory) : data_{std::move(data_directory)} { start(); }
  ~child_node() { kill(); }
  child_node(const child_node&) = delete;
  child_node& operator=(const child_node&) = delete;

  /// Returns once it listens. Throws where it ends before that, or takes too long.
  void start() {
    // A killed node leaves its file behind.
    std::filesystem::remove(cli::node_file(data_));
    spawn();
    const auto listens = [this] {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = 0;
        throw std::runtime_error("the node ended while it started; " + log_file() + " says why");
      }
      const auto found = cli::find_running(data_);
      if (found) port_ = found->port;
      return found.has_value();
    };
    if (eventually(listens)) return;
    kill();
    throw std::runtime_error("the node does not listen");
  }

  /// SIGKILL: nothing is written out, no connection is closed in an orderly way. Again: does nothing.
  void kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  void restart() {
    kill();
    start();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// One that the node accepts for an hour.
  [[nodiscard]] std::string token(const std::string& user_id, http::role role = http::role::user) const {
    return cli::mint_token(data_, role, user_id, std::chrono::hours{1}).value();
  }

 private:
  /// Beside the data directory, in which the node keeps only its own.
  [[nodiscard]] std::string log_file() const { return data_ + ".log"; }

  void spawn() {
    std::array<std::string, 6> words{USHER_BINARY, "serve", "--data", data_, "--listen", "127.0.0.1:0"};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const auto log = log_file();
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    const int failed = ::posix_spawn(&pid_, USHER_BINARY, &files, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (failed == 0) return;
    pid_ = 0;
    throw std::runtime_error(std::string{USHER_BINARY} + " can't be started");
  }

  std::string data_;
  pid_t pid_ = 0;
  std::uint16_t port_ = 0;
};

}  // namespace usher::tests
