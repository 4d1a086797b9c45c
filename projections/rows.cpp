#include "projections/rows.hpp"

#include <charconv>
#include <numeric>

#include "projections/bytes.hpp"
#include "projections/projection.hpp"

namespace usher::projections {

namespace {

// An empty value stands for none: meta has no deleting.
std::string wanted_key(std::string_view name) { return "rebuild/" + std::string(name); }
constexpr std::string_view wanted_value = "wanted";

std::uint64_t generation_in(std::string_view key, std::size_t prefix) {
  std::uint64_t generation = 0;
  std::from_chars(key.data() + prefix, key.data() + key.size(), generation);
  return generation;
}

/// The key of the first row of any generation that comes at `from` or after it; empty: there is none.
result<std::string> first_row(const store::database& db, const std::string& prefix, const std::string& from) {
  std::string found;
  auto looked = db.each(store::family::views, prefix, from, [&](std::string_view key, std::string_view) {
    found = key;
    return false;
  });
  if (!looked) return looked.error();
  return found;
}

}  // namespace

std::uint64_t sum_of(const positions& at) { return std::accumulate(at.begin(), at.end(), std::uint64_t{0}); }

std::string checkpoint_key(std::string_view name) { return std::string(name) + '!'; }
std::string building_key(std::string_view name) { return std::string(name) + "~!"; }
std::string rows_of(std::string_view name, std::uint64_t generation) {
  return std::string(name) + '@' + std::to_string(generation) + '/';
}

std::string row_of(const checkpoint& c) {
  std::string row;
  put_number(row, c.version);
  put_number(row, c.generation);
  for (std::uint32_t p = 0; p < partition_count; ++p) {
    if (c.at[p] == 0) continue;
    put_number(row, p);
    put_number(row, c.at[p]);
  }
  return row;
}

result<std::optional<checkpoint>> find_checkpoint(const store::database& db, const std::string& key) {
  const auto row = db.get(store::family::views, key);
  if (!row) return row.error();
  if (!*row) return std::optional<checkpoint>{};
  try {
    byte_reader in(**row);
    checkpoint found;
    found.version = static_cast<std::uint32_t>(in.number());
    found.generation = in.number();
    while (!in.rest().empty()) {
      const auto partition = in.number();
      if (partition >= partition_count) throw std::runtime_error("it names a partition that does not exist");
      found.at[partition] = in.number();
    }
    return std::optional{found};
  } catch (const std::exception& e) {
    return failure{errc::corrupted, "the checkpoint " + key + ": " + e.what()};
  }
}

result<void> erase_other_generations(store::database& db, std::string_view name, std::uint64_t live, std::uint64_t building) {
  const auto prefix = std::string(name) + '@';
  for (auto from = prefix;;) {
    const auto key = first_row(db, prefix, from);
    if (!key) return key.error();
    if (key->empty()) return {};
    const auto generation = generation_in(*key, prefix.size());
    const auto rows = rows_of(name, generation);
    if (generation != live && generation != building) {
      if (auto gone = db.erase_prefix(store::family::views, rows); !gone) return gone;
    }
    from = rows;
    ++from.back();  // after all that begins with `rows`
  }
}

result<void> note_rebuild(store::database& db, std::string_view name, bool wanted) {
  return db.put_meta(wanted_key(name), wanted ? wanted_value : std::string_view{});
}

result<bool> is_rebuild_wanted(const store::database& db, std::string_view name) {
  const auto noted = db.get(store::family::meta, wanted_key(name));
  if (!noted) return noted.error();
  return noted->value_or(std::string{}) == wanted_value;
}

result<void> each_row(const store::database& db, const std::string& rows, std::string_view prefix,
                      const std::function<bool(std::string_view, std::string_view)>& visit) {
  const std::string whole = rows + std::string(prefix);
  return db.each(store::family::views, whole, whole, [&](std::string_view key, std::string_view value) {
    return visit(key.substr(rows.size()), value);
  });
}

}  // namespace usher::projections
