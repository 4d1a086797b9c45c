// A node with years of history: what takes all of its log is done in bounded memory, and it starts as soon as a new one.

#include <catch2/catch.hpp>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <thread>

#include "cli_common.hpp"
#include "tests/log_maker.hpp"
#include "tests/program.hpp"

namespace usher::tests {
namespace {

using clock = std::chrono::steady_clock;

constexpr double memory_mib_max = 1024;
constexpr double start_seconds_max = 3;

double seconds_since(clock::time_point began) { return std::chrono::duration<double>(clock::now() - began).count(); }

void tell(const std::string& what, double seconds, std::uint64_t events, double memory_mib) {
  std::printf("%-24s %9.2f s %12.0f events/s %8.0f MiB\n", what.c_str(), seconds, static_cast<double>(events) / std::max(seconds, 0.001), memory_mib);
  std::fflush(stdout);
}

/// A node that is started, waited for and stopped in an orderly way.
struct node_run {
  double seconds = 0;     ///< until it listens
  double memory_mib = 0;  ///< the most that was resident
};
node_run start_and_stop(const std::string& data) {
  const auto began = clock::now();
  const auto pid = ::fork();
  if (pid < 0) throw std::runtime_error("no process for the node");
  if (pid == 0) {  // only what is safe in a copy of one thread
    ::unsetenv("USHER_TEST_EVENTS");
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::execl(USHER_BINARY, USHER_BINARY, "serve", "--data", data.c_str(), "--listen", "127.0.0.1:0", nullptr);
    ::_exit(127);
  }
  node_run run;
  while (!cli::find_running(data)) {
    if (::waitpid(pid, nullptr, WNOHANG) == pid) throw std::runtime_error("the node ended while it started");
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  run.seconds = seconds_since(began);
  ::kill(pid, SIGTERM);
  rusage used{};
  ::wait4(pid, nullptr, 0, &used);
  run.memory_mib = static_cast<double>(used.ru_maxrss) / 1024;
  return run;
}

program_run measure(const std::string& what, std::vector<std::string> words, std::uint64_t events) {
  auto run = run_program(std::move(words));
  tell(what, run.seconds, events, run.memory_mib);
  INFO(what << ": " << run.out.substr(0, 2000) << run.err.substr(0, 2000));
  CHECK(run.code == 0);
  CHECK(run.memory_mib <= memory_mib_max);
  return run;
}

TEST_CASE("years of history are verified, folded again and looked through in bounded memory, and delay no start") {
  temp_dir dir;
  const auto data = dir.path + "/data";
  std::filesystem::create_directory(data);
  std::string rich;
  std::uint64_t events = 0;
  {
    auto db = store::database::open(data + "/db").value();
    log_maker maker{*db};
    const auto began = clock::now();
    maker.make(number_from_environment("USHER_TEST_EVENTS", 200'000));
    events = maker.events();
    rich = maker.users().front();
    std::printf("%llu records, %llu events\n", static_cast<unsigned long long>(maker.records()), static_cast<unsigned long long>(events));
    tell("made", seconds_since(began), events, 0);
  }
  const auto first = start_and_stop(data);  // builds all views
  tell("first start, all views", first.seconds, events, first.memory_mib);
  const auto start = start_and_stop(data);
  tell("start", start.seconds, events, start.memory_mib);
  CHECK(start.seconds <= start_seconds_max);
  CHECK(start.memory_mib <= memory_mib_max);

  measure("stats", {"stats", "--data", data}, events);
  measure("verify", {"verify", "--data", data}, events);
  measure("replay", {"replay", "--data", data}, events);
  measure("replay --decide", {"replay", "--data", data, "--decide"}, events);
  measure("history of a wallet", {"history", "wallet/" + rich, "--data", data}, events);
  measure("rebuild of every view", {"projection", "rebuild", "all", "--data", data}, events);
}

}  // namespace
}  // namespace usher::tests
