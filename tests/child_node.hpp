#pragma once
// A node in a process of its own, as it runs in earnest: what stays of it after a kill is what is on the disk.

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cli_common.hpp"
#include "tests/client.hpp"

namespace usher::tests {

/// `usher serve` on a directory and a free port, killed and reaped at the latest by the destructor.
///
/// For the thread that made it, which must outlive it; port() and token() also for others.
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

  /// SIGTERM, and waits until it has ended in good order.
  void stop() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  /// Begins to start, and is killed on the way or soon after: what it then finds on the disk is half mended at most.
  void start_in_vain(std::chrono::milliseconds until) {
    std::filesystem::remove(cli::node_file(data_));
    spawn();
    std::this_thread::sleep_for(until);
    kill();
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

  /// A node refuses settings that it doesn't know, and what is meant for the tests is none of its own.
  static std::vector<char*> environment_for_node() {
    std::vector<char*> out;
    for (char** entry = environ; *entry; ++entry)
      if (!std::string_view{*entry}.starts_with("USHER_TEST_")) out.push_back(*entry);
    out.push_back(nullptr);
    return out;
  }

  /// The kernel kills the node where this process ends without its destructors, as after a failed assertion.
  void spawn() {
    std::array<std::string, 6> words{USHER_BINARY, "serve", "--data", data_, "--listen", "127.0.0.1:0"};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    auto environment = environment_for_node();
    const int log = ::open(log_file().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_ = ::fork();
    if (pid_ == 0) {  // only what is safe in a copy of one thread
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(log, STDOUT_FILENO);
      ::dup2(log, STDERR_FILENO);
      ::execve(arguments[0], arguments.data(), environment.data());
      ::_exit(127);
    }
    ::close(log);
    if (pid_ > 0) return;
    pid_ = 0;
    throw std::runtime_error("no process for the node");
  }

  std::string data_;
  pid_t pid_ = 0;
  std::uint16_t port_ = 0;
};

}  // namespace usher::tests
