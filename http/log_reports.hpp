#pragma once
// What is told of a whole log, as JSON: the same by a running node and by the command line on a stopped one's.

#include <cstdint>
#include <functional>
#include <string>

#include "store/database.hpp"

namespace usher::http {

/// Called now and then with how much is done, of how much. @return whether to go on
using report_progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

struct replay_wishes {
  bool decide = false;  ///< decide the recorded commands again, too
  std::string scratch;  ///< a directory that is not there yet, for what is built; removed again
};

/// Folds every entity and every read model again and compares them with what is stored.
///
/// @return an object whose `same` says whether all is as stored; hashes are equal where logs are. Of differences the first are told.
/// @error io_failure, corrupted  Cost: actors::replay and projections::replay_views
result<std::string> replay_report(const store::database&, const replay_wishes&, const report_progress& = {});

/// Counts what the log holds: records, events by type, the largest partitions and streams.
/// @error io_failure, corrupted  Cost: a scan; records that come meanwhile may be missed
result<std::string> stats_report(const store::database&, const report_progress& = {});

}  // namespace usher::http
