// The engine as a child process on a scratch folder, for whatever is measured on it.
#pragma once

#include "bench/client.hpp"

#include <boost/json/object.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace usher::bench {

inline constexpr std::size_t rows_per_show = 100;
inline constexpr std::size_t seats_per_row = 1'000;
inline constexpr std::size_t seats_per_show = rows_per_show * seats_per_row;

/// A child process of ours, ended with the object that stands for it.
class child {
 public:
  /// @param log  where its standard output goes; what it says on standard error goes beside it, to <log>.err
  child(const std::string& binary, std::vector<std::string> arguments, const std::string& log);
  child(child&&) noexcept;
  child& operator=(child&&) noexcept;
  ~child();

  int wait();
  void end(int signal);
  [[nodiscard]] bool running() const;
  [[nodiscard]] std::size_t resident_bytes() const;

 private:
  pid_t pid_ = -1;
};

std::uint16_t free_port();

/// One request on a connection of its own.
http_reply call(const endpoint& server, http_request request);
/// The same where it must be served. Throws std::runtime_error with the answer.
boost::json::object created(const endpoint& server, http_request request);
/// Throws where the process ends before, or it takes longer than two minutes.
void wait_until_served(const endpoint& server, const http_request& probe, const child& process);

/// Removed at the end, unless somebody shall look into it.
class scratch_folder {
 public:
  explicit scratch_folder(const std::string& parent);
  ~scratch_folder();
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;

  [[nodiscard]] std::string file(const char* name) const { return path_ / name; }
  [[nodiscard]] bool in_memory() const;
  void keep() { kept_ = true; }

 private:
  std::filesystem::path path_;
  bool kept_ = false;
};

/// `usher serve` on a data directory in the scratch folder, with tokens for it.
class engine {
 public:
  /// @param more  flags of `serve`
  engine(std::string binary, const scratch_folder&, std::vector<std::string> more = {});

  [[nodiscard]] const endpoint& server() const { return server_; }
  [[nodiscard]] std::size_t resident_bytes() const { return process_.resident_bytes(); }
  [[nodiscard]] std::string service() const { return "Bearer " + service_; }

  struct queue {
    unsigned admit_per_window = 250;
    unsigned window_seconds = 10;
  };
  std::string open_show(const std::string& title, std::optional<queue> = {});
  std::string sign_up(const std::string& name);
  /// Killed, not asked to stop: the start that matters is the one after a crash.
  double seconds_to_restart();

 private:
  child spawn() const;
  std::string token(const char* role) const;

  std::string binary_;
  const scratch_folder& scratch_;
  std::vector<std::string> more_;
  endpoint server_;
  child process_;
  std::string service_, operator_;
};

}  // namespace usher::bench
