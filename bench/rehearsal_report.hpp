// What a rehearsal found, and how it reads.
#pragma once

#include "bench/histogram.hpp"
#include "bench/waiting.hpp"

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

namespace usher::bench {

struct step_report {
  std::string name;
  histogram latency;
  std::map<int, std::uint64_t> by_status;  // 0: no answer
};

struct counted {
  std::string what;
  std::size_t people = 0;
};

struct rehearsal_report {
  std::string show;
  std::size_t buyers = 0;
  double arrived_over_s = 0, seconds = 0;
  std::uint64_t seed = 0;
  std::vector<counted> endings;
  std::vector<step_report> steps;
  waiting_report waiting;
  std::vector<verdict> checks;    // of everything
  std::vector<std::string> notes; // what couldn't be checked, and why
  std::string first_surprise;     // the first unexpected answer, or empty

  [[nodiscard]] bool holds() const;
};

void print_table(const rehearsal_report&, std::ostream&);
/// One line. Latencies and delays in microseconds, waits in seconds.
void print_json(const rehearsal_report&, std::ostream&);

}  // namespace usher::bench
