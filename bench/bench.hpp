// `usher bench`: what the engine does, beside what bare HTTP does, on the same machine in the same minutes.
#pragma once

#include <cstddef>
#include <string>

namespace usher::bench {

struct bench_options {
  std::string binary;             // of usher: it is started as `serve`, `token` and `bare-server`
  std::string scratch = ".";      // a folder on the disk to be measured; a data directory is made in it and removed again
  std::size_t connections = 64;   // each with one request in flight
  int repeats = 3;                // bare and engine take turns; medians are reported, so an even number counts as the next odd one
  double seconds = 5;             // of one run
  std::size_t events = 1'000'000; // in the log when the start is timed
  bool json = false;
};

/// Measures and prints to standard output; progress goes to standard error. Takes a few minutes.
///
/// Runs these children: `<binary> bare-server --port N`, `<binary> serve --data DIR --listen 127.0.0.1:N`,
/// and `<binary> token --data DIR --role service` and `--role operator`, which print a bearer token.
/// @return  0 where everything was measured and every request was served, whether or not the targets are met; else 1
int bench(const bench_options& options);

}  // namespace usher::bench
