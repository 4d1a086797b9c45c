#pragma once
// Everything that can be checked about what a node has stored, in one go, for the command line and for a running node.

#include "events/json.hpp"
#include "projections/auditor.hpp"
#include "store/audit.hpp"

namespace usher::projections {

struct verification {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  bool opened = false;                 ///< the database could be opened; if not, only its files were looked at
  store::audit_report log;
  std::vector<store::damage> found;    ///< in files first, then in the log, then what contradicts itself in it
  std::uint64_t found_besides = 0;     ///< more than that, unsaid
  std::optional<std::uint32_t> only;   ///< the one partition that was looked at
  std::vector<std::string> unchecked;  ///< files of which nobody knows what they should be; of a single partition, what was not looked at
  bool ended_early = false;
};

struct verify_options {
  std::string data_directory;
  std::string database_directory;          ///< `db` in it, or a copy elsewhere
  std::optional<std::uint32_t> partition;  ///< only its chain and what was signed of it: no files, nothing derived
  std::function<bool(std::uint64_t done, std::uint64_t total)> advance;  ///< in kilobytes; @return false to end early
};

/// Checks the files (store::check_files), opens the database read-only, and checks the log and what is derived from it (store::audit) and
/// the invariants of the sale (auditor, where every record can be read). No node may write there meanwhile.
///
/// @error io_failure  there is nothing to look at. A database that can't be opened is no error, but found.
/// Cost: all bytes are read twice; some 5 µs a record; memory: see store::audit and auditor.
result<verification> verify(const verify_options&);

/// `{"intact", "records", "streams", "files", "bytes", "checkpoints", "signedRecords", "damage": [{kind, place, detail}], "unchecked", …}`
void write(json_writer&, const verification&);

}  // namespace usher::projections
