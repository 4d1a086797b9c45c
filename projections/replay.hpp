#pragma once
// Builds every read model again beside the stored one, up to the same record, and compares them row by row. Where the rows
// depend on when they were written, as those of the queues, what they say is compared and hashed.

#include <functional>
#include <string>
#include <vector>

#include "store/database.hpp"

namespace usher::projections {

/// A row that is stored otherwise than the log, folded again, makes it.
struct row_difference {
  enum class kind : std::uint8_t { missing, superfluous, other };  ///< of the stored row
  std::string key;  ///< without the read model's name; what isn't printable as \xNN. Why, where no row of the read model can be read
  kind what = kind::other;
};

struct replayed_view {
  std::string name;
  bool stored = false;          ///< else there are no rows of this version: nothing to compare
  std::uint64_t records = 0;    ///< that the stored rows hold, over all partitions
  std::uint64_t different = 0;  ///< stored rows that are not what the log makes of so many records
  std::vector<row_difference> differences;  ///< the first ones
  std::uint64_t rows = 0;       ///< of the whole log
  std::string hash;             ///< over the rows of the whole log in order, and over how far it goes: 64 hexadecimal digits
  std::string error;            ///< what the read model threw, and on which record; the rest means nothing then
};

/// Folds the log into fresh read models, each up to its stored checkpoint, compares, and folds on to the end of the log.
///
/// @param db        read-only, or a copy: nobody writes meanwhile
/// @param scratch   a directory that is not there yet; it is made, and removed again
/// @param progress  called now and then with the records taken in; returns whether to go on
/// @return  empty where it was cancelled
/// @error io_failure, corrupted
/// Cost: as a node that builds all its read models; memory as they take in a node, and twice that for the queues.
result<std::vector<replayed_view>> replay_views(const store::database& db, const std::string& scratch,
                                                const std::function<bool(std::uint64_t records)>& progress = {});

}  // namespace usher::projections
