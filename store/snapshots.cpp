// Rows of family::snapshots, numbers big endian:   key_of(entity) 0x00 index version   Snapshot (Protobuf)

#include "store/snapshots.hpp"

#include "store/big_endian.hpp"
#include "store/stream.hpp"

namespace usher::store {
namespace {

constexpr std::size_t key_numbers_bytes = 16;

std::string prefix_of(const v1::EntityRef& ref) { return key_of(ref) + '\0'; }

std::string key_at(const v1::EntityRef& ref, std::uint64_t index, std::uint64_t version) {
  return prefix_of(ref).append(view(big_endian(index, version)));
}

/// The greatest key that is less than one whose numbers are these. @return nullopt where there is none, or these are no numbers
std::optional<std::string> key_before(const v1::EntityRef& ref, std::string_view numbers) {
  if (numbers.size() != key_numbers_bytes) return std::nullopt;
  const auto index = number_at(numbers, 0), version = number_at(numbers, 8);
  if (version != 0) return key_at(ref, index, version - 1);
  return index == 0 ? std::nullopt : std::optional{key_at(ref, index - 1, ~std::uint64_t{0})};
}

}  // namespace

result<void> put_snapshot(database& db, const v1::Snapshot& snapshot) {
  return db.put_derived(family::snapshots, {{key_at(snapshot.stream(), snapshot.index(), snapshot.version()), snapshot.SerializeAsString()}});
}

result<std::optional<stored_snapshot>> last_snapshot(const database& db, const v1::EntityRef& ref, std::uint64_t upto_index) {
  const auto prefix = prefix_of(ref);
  auto last = key_at(ref, upto_index, ~std::uint64_t{0});
  for (;;) {
    const auto row = db.last_of(family::snapshots, prefix, last);
    if (!row) return row.error();
    if (!*row) return std::optional<stored_snapshot>{};
    const auto& [key, bytes] = **row;
    stored_snapshot out{{}, bytes.size()};
    if (out.snapshot.ParseFromString(bytes) && same_entity(out.snapshot.stream(), ref)) return std::optional{std::move(out)};
    const auto before = key_before(ref, std::string_view{key}.substr(prefix.size()));
    if (!before) return std::optional<stored_snapshot>{};
    last = *before;
  }
}

result<std::optional<stream_head>> snapshot_behind(const database& db, const v1::EntityRef& ref, std::uint64_t index) {
  std::optional<stream_head> out;
  if (index == ~std::uint64_t{0}) return out;
  const auto prefix = prefix_of(ref);
  const auto read = db.each(family::snapshots, prefix, key_at(ref, index + 1, 0), [&](std::string_view key, std::string_view) {
    const auto numbers = key.substr(prefix.size());
    if (numbers.size() == key_numbers_bytes) out = stream_head{number_at(numbers, 8), number_at(numbers, 0)};
    return false;
  });
  if (!read) return read.error();
  return out;
}

result<stream_head> snapshot_before(const database& db, const v1::EntityRef& ref, std::uint64_t version, std::uint64_t end_index) {
  stream_head best;
  auto end = end_index;  // no snapshot behind it is early enough
  while (best.index < end) {
    const auto middle = best.index + (end - best.index) / 2;
    const auto next = snapshot_behind(db, ref, middle);
    if (!next) return next.error();
    if (*next && (*next)->version < version) best = **next;
    else end = middle;
  }
  return best;
}

}  // namespace usher::store
