#include "cli_offline.hpp"

#include "node.hpp"

namespace usher::cli {
result<std::unique_ptr<store::database>> open_offline(const std::string& data) {
  if (!has_log(data)) return no_log(data);
  if (const auto running = find_running(data)) {
    return failure{errc::io_failure, "a node runs on " + data + " (process " + std::to_string(running->pid) +
                                         "): stop it first"};
  }
  return store::database::open_read_only(log_directory(data));
}

std::uint64_t records_in(const store::database& db) {
  std::uint64_t sum = 0;
  for (std::uint32_t p = 0; p != partition_count; ++p) sum += db.durable_end(p);
  return sum;
}

}  // namespace usher::cli
