// The rows are those of store/index.cpp: s<hash> with version and index, c<partition> with the last record that they know.

#include "store/head.hpp"

#include <limits>

#include "store/stream.hpp"

namespace usher::store {
namespace {

std::string big_endian(std::uint64_t number, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
  return out;
}

std::uint64_t number_at(std::string_view bytes, std::size_t place) {
  std::uint64_t out = 0;
  for (const char c : bytes.substr(place, 8)) out = (out << 8) | static_cast<unsigned char>(c);
  return out;
}

/// A row of numbers; empty where there is none. @error corrupted
result<std::string> numbers_in(const database& db, const std::string& key, std::size_t bytes) {
  const auto row = db.get(family::streams, key);
  if (!row) return row.error();
  if (*row && (*row)->size() != bytes) return failure{errc::corrupted, "a row of streams can't be read"};
  return row->value_or(std::string{});
}

}  // namespace

result<stream_head> stored_head(const database& db, const v1::EntityRef& ref) {
  const auto hash = hash_of(ref);
  const auto partition = partition_of(ref.group());
  const auto row = numbers_in(db, 's' + big_endian(hash.high, 8) + big_endian(hash.low, 8), 16);
  if (!row) return row.error();
  const auto known = numbers_in(db, 'c' + big_endian(partition, 2), 8);
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
