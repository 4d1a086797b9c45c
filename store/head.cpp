#include "store/head.hpp"

#include <limits>

#include "store/index_rows.hpp"
#include "store/stream.hpp"

namespace usher::store {
namespace {

/// A row of numbers; empty where there is none. @error corrupted
result<std::string> numbers_in(const database& db, std::string_view key, std::size_t bytes) {
  const auto row = db.get(family::streams, key);
  if (!row) return row.error();
  if (*row && (*row)->size() != bytes) return failure{errc::corrupted, "a row of streams can't be read"};
  return row->value_or(std::string{});
}

}  // namespace

result<stream_head> stored_head(const database& db, const v1::EntityRef& ref) {
  const auto row = numbers_in(db, view(row_key('s', hash_of(ref))), 16);
  if (!row) return row.error();
  const auto known = numbers_in(db, view(checkpoint_key(partition_of(ref.group()))), 8);
  if (!known) return known.error();
  stream_head out;
  if (!row->empty()) out = {number_at(*row, 0), number_at(*row, 8)};
  const auto scanned = visit_records(db, ref, known->empty() ? 1 : number_at(*known, 0) + 1, std::numeric_limits<std::uint64_t>::max(), [&](const v1::Record& record) {
    for (const auto& e : record.events())
      if (same_entity(e.stream(), ref)) out = {e.version(), record.index()};
    return true;
  });
  if (!scanned) return scanned.error();
  return out;
}

}  // namespace usher::store
