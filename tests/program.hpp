#pragma once
// Runs the program as a person does, and tells what it printed, how it ended and what it took.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support.hpp"

namespace usher::tests {

struct program_run {
  int code = -1;               ///< the exit code; -1 where a signal ended it
  std::string out, err;
  double seconds = 0;
  double memory_mib = 0;       ///< the most that was resident

  [[nodiscard]] boost::json::object json() const { return boost::json::parse(out).as_object(); }
};

/// Runs `usher` with these words to its end.
inline program_run run_program(std::vector<std::string> words) {
  temp_dir dir;
  words.insert(words.begin(), USHER_BINARY);
  std::vector<char*> arguments;
  for (auto& w : words) arguments.push_back(w.data());
  arguments.push_back(nullptr);
  const auto file = [&dir](const char* name) { return dir.path + '/' + name; };
  const int out = ::open(file("out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), err = ::open(file("err").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const auto began = std::chrono::steady_clock::now();
  const auto pid = ::fork();
  if (pid < 0) throw std::runtime_error("no process for the program");
  if (pid == 0) {  // only what is safe in a copy of one thread
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(out);
  ::close(err);
  int status = 0;
  rusage used{};
  ::wait4(pid, &status, 0, &used);
  program_run ended;
  ended.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  ended.memory_mib = static_cast<double>(used.ru_maxrss) / 1024;
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  const auto read = [](const std::string& from) {
    std::ostringstream text;
    text << std::ifstream{from}.rdbuf();
    return text.str();
  };
  ended.out = read(file("out"));
  ended.err = read(file("err"));
  return ended;
}

}  // namespace usher::tests
