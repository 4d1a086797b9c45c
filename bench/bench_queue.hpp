// `usher bench queue`: what a full waiting room costs, and how fast it hears.
#pragma once

#include <cstddef>
#include <string>

namespace usher::bench {

struct queue_bench_options {
  std::string binary;            // of usher: it is started as `serve` and `token`
  std::string scratch = ".";     // a data directory is made in it and removed again
  std::size_t sockets = 20'000;  // WebSockets that wait, each with a ticket of its own
  std::size_t joins = 5'000;     // people a second who join behind them
  double seconds = 30;           // of joining
  bool json = false;
};

/// Fills one queue, lets people join while windows admit, and measures: from an admission until each who waits was told,
/// how fast joins are answered, and what a waiting connection costs in resident memory.
///
/// One thread of raw epoll on the client's side. As root it raises the limit of open files itself, which has to be above
/// the number of sockets.
/// @return  0 where everything was measured and no socket was lost, whether or not the targets are met; else 1
int bench_queue(const queue_bench_options&);

}  // namespace usher::bench
