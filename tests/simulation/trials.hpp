#pragma once
// Plays many seeds in processes of their own, so that an engine that aborts is one more thing to be told; and shortens a
// story that fails.

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/simulation/player.hpp"

namespace usher::tests {

/// How a story ended, and what was told of it.
struct trial {
  bool failed = false;
  std::string text;
};

constexpr unsigned seconds_per_story_max = 20;

/// Plays one story in a process of its own, which holds nothing of an earlier one. Nobody may have opened a database in
/// the calling process before: its threads are not there in a copy.
inline trial try_out(const story& s) {
  std::FILE* said = std::tmpfile();
  if (!said) throw std::runtime_error("no temporary file");
  std::fflush(nullptr);
  const auto child = ::fork();
  if (child == 0) {
    ::alarm(seconds_per_story_max);
    ::dup2(::fileno(said), STDERR_FILENO);  // the last words of a node that aborts stand among the others
    const auto say = [](const std::string& line) { std::fputs((line + '\n').c_str(), stderr); };
    probes ignored;
    tale t{s, say};
    const auto faults = player{s, ignored, t}.play();
    for (const auto& fault : faults) t.line("  !!  " + fault);
    ::_exit(faults.empty() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  trial out;
  out.failed = status != 0;
  std::rewind(said);
  for (int c = std::fgetc(said); c != EOF; c = std::fgetc(said)) out.text += static_cast<char>(c);
  if (WIFSIGNALED(status)) out.text += "  !!  The process ended by signal " + std::to_string(WTERMSIG(status)) + ".\n";
  std::fclose(said);
  return out;
}

/// The same story with as few steps as it takes to fail (delta debugging: drops ever smaller parts of the list).
inline story shorten(story s) {
  for (auto part = std::max<std::size_t>(s.steps.size() / 2, 1); !s.steps.empty();) {
    bool dropped = false;
    for (std::size_t from = 0; from < s.steps.size();) {
      auto shorter = s;
      const auto begin = shorter.steps.begin() + static_cast<std::ptrdiff_t>(from);
      shorter.steps.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(part, s.steps.size() - from)));
      if (try_out(shorter).failed) {
        s = std::move(shorter);
        dropped = true;
      } else {
        from += part;
      }
    }
    if (part == 1 && !dropped) break;
    part = std::max<std::size_t>(part / 2, 1);
  }
  return s;
}

/// What many seeds came to.
struct outcome_of_seeds {
  std::uint64_t played = 0;
  std::optional<std::uint64_t> failing;  ///< a seed that failed
  std::array<std::uint64_t, probe_count> met{};
};

/// Plays the seeds `first` … `first + n - 1`, on all processors. Ends early where one fails.
inline outcome_of_seeds try_seeds(std::uint64_t first, std::uint64_t n) {
  struct board {
    std::atomic<std::uint64_t> next, end, played, failing;
    std::array<std::atomic<std::uint64_t>, 256> at;
    std::array<std::atomic<std::uint64_t>, probe_count> met;
  };
  constexpr auto none = ~std::uint64_t{0};
  auto* shared = new (::mmap(nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) board{};
  shared->next = first;
  shared->end = first + n;
  shared->failing = none;
  std::fflush(nullptr);
  const auto work = [shared](std::size_t worker) {
    probes met;
    for (std::uint64_t seed = shared->next++; seed < shared->end && shared->failing == none; seed = shared->next++) {
      shared->at[worker] = seed;
      ::alarm(seconds_per_story_max);
      tale nobody_listens;
      const auto s = make_story(seed);
      if (!player{s, met, nobody_listens}.play().empty()) ::_exit(1);
      ++shared->played;
    }
    for (std::size_t i = 0; i != probe_count; ++i) shared->met[i] += met.counts()[i];
    ::_exit(0);
  };
  std::vector<pid_t> workers(std::clamp(std::thread::hardware_concurrency(), 1U, 256U));
  for (std::size_t i = 0; i != workers.size(); ++i)
    if ((workers[i] = ::fork()) == 0) work(i);
  for (std::size_t i = 0; i != workers.size(); ++i) {
    int status = 0;
    ::waitpid(workers[i], &status, 0);
    if (status != 0) shared->failing = std::min<std::uint64_t>(shared->failing, shared->at[i]);
  }
  outcome_of_seeds out;
  out.played = shared->played;
  if (shared->failing != none) out.failing = shared->failing;
  for (std::size_t i = 0; i != probe_count; ++i) out.met[i] = shared->met[i];
  ::munmap(shared, sizeof(board));
  return out;
}

}  // namespace usher::tests
