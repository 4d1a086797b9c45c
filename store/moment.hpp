#pragma once
// A moment of the past, as a place in the log.

#include <limits>
#include <optional>
#include <string_view>

#include "store/database.hpp"

namespace usher::store {

/// Before the first record that is later than either; both by default never, which is now.
struct moment {
  std::uint64_t index = std::numeric_limits<std::uint64_t>::max();  ///< in the partition that it is about
  std::int64_t at_ms = std::numeric_limits<std::int64_t>::max();    ///< wall time
};

/// From a time (RFC 3339), a Log-Position or a place (`17/4711`) of this partition, or the index of a record in it.
/// @return nullopt where it is none, or of another partition, whose order with this one nobody knows
std::optional<moment> moment_from(std::string_view text, std::uint32_t partition);

/// The same for somebody who asks for the past, which has to have been.
///
/// @param now  nothing later is taken, but where the partition's last record is
/// @error invalid_argument  it is none, or beyond now or the partition's end; `detail` says so, and what would be taken
/// @error io_failure, corrupted
/// Cost: at most one point look-up.
result<moment> moment_in(const database&, std::uint32_t partition, std::string_view text, time_point now);

/// The greatest time of a partition's records up to this one. Clocks may be set back; this never falls along a partition.
inline std::int64_t latest_of(const v1::Record& record) { return std::max(record.at_ms(), record.latest_ms()); }

/// The last record of a partition as of a moment: the one before the first that is later; 0 where there is none.
///
/// @error io_failure, corrupted (a record is missing)
/// Cost: a point look-up for each bit of the partition's length.
result<std::uint64_t> index_at(const database&, std::uint32_t partition, const moment&);

}  // namespace usher::store
