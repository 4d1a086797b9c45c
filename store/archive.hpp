#pragma once
// Years of history out of the way: the oldest records move into files of their own, and the log stays short.

#include <functional>
#include <string>

#include "store/database.hpp"
#include "store/files.hpp"

namespace usher::store {

struct archive_outcome {
  std::uint64_t records = 0;   ///< that moved
  std::uint64_t segments = 0;  ///< files that were made
  std::uint64_t bytes = 0;     ///< of these files
};

/// How many records `archive_before` would move.
result<std::uint64_t> archivable(const database&, time_point before);

/// Moves all records of each partition before the first one that is not before this time, except its last record. What reads
/// the log reads them where they are then. For a database that nobody else uses.
///
/// @param directory  for the files, each run's in a new directory below it, so that nothing else there is touched; empty: beside
///                   the database, where copies and backups have them too
/// @param moved      called with the sum of records now and then; may be empty
/// @return  durable. After a crash the rest is moved by calling it again; nothing is ever in two places for readers.
/// @error io_failure, corrupted
/// Cost: about two seconds for a million records; the memory of one file's index.
result<archive_outcome> archive_before(database&, time_point before, const std::string& directory,
                                       const std::function<void(std::uint64_t)>& moved = {});

/// Whether every segment's file is there and is what was once written. Other files among them, beside the database, are `unchecked`.
/// @param read  told of the bytes that were read; @return false to end early. May be empty
result<checked_files> check_segments(const database&, const std::function<bool(std::uint64_t bytes)>& read = {});

}  // namespace usher::store
