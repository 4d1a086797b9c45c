#pragma once
// Backups: a directory that holds all of a node as of one moment, proved to be whole when it is made and when it is used.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.hpp"

namespace usher::store {

/// What is known of a backup, as its backup.json says.
struct backup_summary {
  std::string name;
  std::int64_t at_ms = 0;
  std::uint64_t records = 0;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};
void write_json(std::string& out, const backup_summary&);

/// Whether it can name a backup: 1 to 100 letters, digits, `.`, `-`, `_`, and no dot in front.
bool is_backup_name(std::string_view);
/// `20260301T193000Z`.
std::string backup_name_of(time_point);

/// How far the work is: bytes done, of so many. May return false, which ends it with io_failure.
using backup_progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

/// Makes `directory`/`name` of a database that goes on being written, with the secrets beside it, and checks it: each file is read
/// back, the copy is opened, and the chain of each partition is walked. Until that is done the directory has another name, so
/// what bears the name is good.
///
/// @param directory       made for its owner alone where it isn't there; one that is keeps its mode
/// @param data_directory  of the node: its files `secret` and `secret.…` are part of the backup, which therefore is secret itself
/// @error invalid_argument  the name, or one of that name is there
/// @error io_failure        too little room, or the disk refused; nothing stays
/// @error corrupted         what was copied is damaged: so is the database
/// Cost: a flush, hard links where it is the same file system, reading all of it once.
result<backup_summary> make_backup(database&, const std::string& data_directory, const std::string& directory, const std::string& name,
                                   time_point now, const backup_progress& = {});

/// Removes what a backup, a restore or an import that was killed left, for it holds secrets and keys. Backups that other processes
/// are making are left alone. For who has opened the log of the data directory, so that nobody restores or imports it.
void remove_drafts(const std::string& data_directory, const std::string& directory);

/// The backups in a directory, the newest first. What is no backup is left out.
std::vector<backup_summary> backups_in(const std::string& directory);

/// Fills a data directory, which may not have a log yet, from a backup whose every byte was compared first. A crash leaves no log.
/// @error invalid_argument  it is no backup, or the data directory has a log, or secrets of its own
/// @error corrupted         the backup is damaged; `detail` names the file
/// @error io_failure        too little room, or the disk refused
/// Cost: reading it twice and writing it once.
result<backup_summary> restore_backup(const std::string& backup, const std::string& data_directory, const backup_progress& = {});

}  // namespace usher::store
