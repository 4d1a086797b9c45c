#pragma once
// Whether the files of a database are byte by byte what was written, looked at without opening it.

#include <functional>
#include <string>
#include <vector>

#include "store/database.hpp"

namespace usher::store {

/// What is wrong, and where.
struct damage {
  std::string kind;    ///< file, torn, record, chain, stream, index, timer, key, snapshot, evidence, or an invariant's name
  std::string place;   ///< a record as 17/4711, or a file's path below the data directory, or a row's family; never empty
  std::string detail;  ///< a sentence, without anything of a person
};

struct checked_files {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::vector<damage> found;
  std::vector<std::string> unchecked;  ///< files of which nobody knows what they should be
};

/// Reads every file of a database's directory that is not a log of RocksDB's own doings (LOG, LOG.old.*) and not LOCK, which is empty.
///
/// CURRENT has to name the manifest; the manifest and the write-ahead logs have to be whole in each record, with nothing
/// in the gaps between them; the write-ahead log that the manifest has come to, or a later one, has to be there; tables have to have the size and checksum that the manifest says. An end that a crash tore looks
/// like a damaged one: it is reported as `torn`, and opening the database for writing mends it. OPTIONS and IDENTITY are for check_noted_files.
///
/// @param named  what stands before the files' names in places, as in `db/`
/// @param read  told of the bytes that were read; @return false to end early
/// @error io_failure  the directory can't be read
/// Cost: reads all bytes once, at about a gigabyte a second.
result<checked_files> check_files(const std::string& directory, const std::string& named, const std::function<bool(std::uint64_t bytes)>& read);
/// The bytes that check_files will read.
std::uint64_t bytes_in_files(const std::string& directory);

/// Keeps the hash of a file that should stay as it is, such as a secret, in the database. Synced, where it is not kept already.
/// @param name  below the data directory
/// @return whether another hash was kept under this name before: somebody changed the file
/// @error io_failure
result<bool> note_file(database&, const std::string& path, const std::string& name);
/// Compares the noted files with their hashes. Of OPTIONS the newest that was noted, or a later one, has to be there.
/// @param directory  of the data; and of the database where that is a copy elsewhere
result<checked_files> check_noted_files(const database&, const std::string& data_directory, const std::string& database_directory);
/// Notes those of RocksDB's files that don't vouch for themselves, OPTIONS and IDENTITY, and forgets those that are gone.
result<void> note_own_files(database&, const std::string& directory);

}  // namespace usher::store
