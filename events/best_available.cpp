// Blocks are found by a walk over the free seats of each row; a split by the lengths of what is free, then block by block.

#include "events/best_available.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <span>
#include <tuple>

namespace usher {

seat_set& seat_set::operator&=(const seat_set& other) {
  for (std::size_t i = 0; i != words_.size(); ++i) words_[i] &= other.words_[i];
  return *this;
}

seat_set& seat_set::operator-=(const seat_set& other) {
  for (std::size_t i = 0; i != words_.size(); ++i) words_[i] &= ~other.words_[i];
  return *this;
}

std::uint32_t seat_set::next(std::uint32_t from, std::uint32_t end, std::uint64_t flip) const {
  while (from < end) {
    const auto rest = (words_[from / 64] ^ flip) >> (from % 64);
    if (rest != 0) return std::min(end, from + static_cast<std::uint32_t>(std::countr_zero(rest)));
    from = (from / 64 + 1) * 64;
  }
  return end;
}

namespace {

/// Where to look for blocks, and for which.
struct search {
  const floor_plan& in;
  const seat_set& free;
  const seat_set& fits;  ///< which of the free ones may be chosen
  seat_wish wish;
  std::uint32_t first_row = 0;
  std::uint32_t last_row = 0;  ///< the search ends with it
};

search everywhere(const floor_plan& in, const seat_set& free, const seat_set& fits, const seat_wish& wish) {
  return {in, free, fits, wish, 0, static_cast<std::uint32_t>(in.rows.size()) - 1};
}

/// Calls with each run of seats of one row and tier that may be chosen, as long as it can be, row by row, until told to stop (false).
template <class Visit>
void each_run(const search& s, Visit visit) {
  auto stretch = std::ranges::lower_bound(s.in.stretches, s.first_row, {}, &floor_plan::stretch::row);
  for (; stretch != s.in.stretches.end() && stretch->row <= s.last_row; ++stretch) {
    if (s.wish.tier && stretch->tier != *s.wish.tier) continue;
    for (auto begin = s.fits.next_member(stretch->begin, stretch->end); begin != stretch->end;) {
      const auto end = s.fits.next_gap(begin, stretch->end);
      if (!visit(*stretch, begin, end)) return;
      begin = s.fits.next_member(end, stretch->end);
    }
  }
}

bool is_free(const seat_set& free, const floor_plan::row& row, std::uint32_t seat) {
  return seat >= row.begin && seat < row.end && free.has(seat);  // one before seat 0 is beyond every row
}

/// How many orphans a block of free seats leaves: 0 to 2. Only its neighbours can become some.
unsigned orphans_beside(const seat_set& free, const floor_plan::row& row, std::uint32_t begin, std::uint32_t end) {
  const bool left = is_free(free, row, begin - 1) && !is_free(free, row, begin - 2);
  const bool right = is_free(free, row, end) && !is_free(free, row, end + 1);
  return unsigned{left} + unsigned{right};
}

/// How many blocks there are that leave no orphan, one, and two.
using grades = std::array<std::size_t, 3>;

std::size_t sum(const grades& g) { return g[0] + g[1] + g[2]; }

/// Adds the blocks of a run. All but the two that are nearest to either of its ends leave at least two seats on both sides.
void count_blocks(const search& s, const floor_plan::row& row, std::uint32_t begin, std::uint32_t end, grades& out) {
  const auto last = end - s.wish.quantity;  // where the last block begins
  const auto grade = [&](std::uint32_t at) { ++out[orphans_beside(s.free, row, at, at + s.wish.quantity)]; };
  if (last - begin < 4) {
    for (auto at = begin; at <= last; ++at) grade(at);
  } else {
    for (const auto at : {begin, begin + 1, last - 1, last}) grade(at);
    out[0] += last - begin - 3;
  }
}

struct row_count {
  std::uint32_t row = 0;
  grades blocks{};
};

/// The blocks of each row that has some, until there are `enough` that are worth choosing.
std::vector<row_count> count_rows(const search& s, std::size_t enough) {
  std::vector<row_count> out;
  std::size_t good = 0;
  const auto worth = [&](const grades& g) { return s.wish.spares_orphans ? g[0] : sum(g); };
  each_run(s, [&](const floor_plan::stretch& in, std::uint32_t begin, std::uint32_t end) {
    if (end - begin < s.wish.quantity) return true;
    if (out.empty() || out.back().row != in.row) {
      if (!out.empty()) good += worth(out.back().blocks);
      if (good >= enough) return false;
      out.push_back({in.row, {}});
    }
    count_blocks(s, s.in.rows[in.row], begin, end, out.back().blocks);
    return true;
  });
  return out;
}

/// Block number `number` of a row among those that leave so many orphans, from the row's centre outwards.
seat_block block_of_row(const search& s, std::uint32_t index, unsigned orphans, std::size_t number) {
  const auto& row = s.in.rows[index];
  std::vector<bool> is_one(row.end - row.begin);
  each_run({s.in, s.free, s.fits, s.wish, index, index}, [&](const floor_plan::stretch&, std::uint32_t begin, std::uint32_t end) {
    for (auto at = begin; at + s.wish.quantity <= end; ++at)
      is_one[at - row.begin] = orphans_beside(s.free, row, at, at + s.wish.quantity) == orphans;
    return true;
  });
  const auto last = std::int64_t{row.end} - row.begin - s.wish.quantity;  // where the row's last block would begin
  auto low = last / 2, high = low + 1;                                      // the centred block, or the lower of the two next to it
  while (true) {
    const bool goes_low = low >= 0 && (high > last || last - 2 * low <= 2 * high - last);
    const auto at = static_cast<std::uint32_t>(goes_low ? low-- : high++);
    if (is_one[at] && number-- == 0) return {row.begin + at, s.wish.quantity};
  }
}

struct graded_block {
  seat_block block;
  unsigned orphans = 0;
};

/// Block number `seed` (modulo) of the `enough` best ones. @return nullopt where no row has so many seats side by side
std::optional<graded_block> good_block(const search& s, std::size_t enough, std::uint64_t seed) {
  const auto rows = count_rows(s, enough);
  grades all{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i != all.size(); ++i) all[i] += row.blocks[i];
  if (sum(all) == 0) return std::nullopt;
  unsigned orphans = 0;
  while (all[orphans] == 0) ++orphans;
  const auto candidates = s.wish.spares_orphans ? all[orphans] : sum(all);
  auto number = static_cast<std::size_t>(seed % std::min(candidates, enough));
  for (const auto& row : rows)
    for (auto grade = orphans; grade != all.size(); ++grade) {
      if (number < row.blocks[grade]) return graded_block{block_of_row(s, row.row, grade, number), grade};
      number -= row.blocks[grade];
      if (s.wish.spares_orphans) break;
    }
  return std::nullopt;
}

// --- splits ----------------------------------------------------------------------------------------------------------

/// In how few parts a quantity can be had, and how many of them are single seats at least.
struct division {
  std::size_t parts = 0;
  std::size_t singles = 0;
  auto operator<=>(const division&) const = default;
};

/// How many runs there are of each length. All are shorter than what is wanted.
class run_lengths {
 public:
  explicit run_lengths(std::uint32_t quantity) : quantity_(quantity), count_(quantity) {}
  void add(std::uint32_t length) { ++count_[length]; }
  void remove(std::uint32_t length) { --count_[length]; }

  /// @return nullopt where they are too few. The longest runs need the fewest parts, and the fewest of one seat.
  [[nodiscard]] std::optional<division> divide() const {
    std::size_t seats = 0, parts = 0, longer_than_one = 0;
    for (std::uint32_t length = quantity_ - 1; length > 0 && seats < quantity_; --length) {
      const auto needed = (quantity_ - seats + length - 1) / length;
      const auto taken = std::min<std::size_t>(needed, count_[length]);
      seats += taken * length;
      parts += taken;
      if (length > 1) longer_than_one += taken;
    }
    if (seats < quantity_) return std::nullopt;
    // A second seat for each part is there as long as the quantity lasts and the run has one.
    return division{parts, parts - std::min(longer_than_one, quantity_ - parts)};
  }

  /// The sizes of the parts, the largest first and each as large as it can be.
  [[nodiscard]] std::vector<std::uint32_t> sizes(const division& d) const {
    std::vector<std::uint32_t> out;
    auto left = quantity_;
    auto pairs = d.parts - d.singles;
    for (std::uint32_t length = quantity_ - 1; length > 1; --length)
      for (std::size_t i = 0; i != count_[length] && pairs > 0; ++i, --pairs) {
        const auto for_the_others = 2 * (pairs - 1) + d.singles;
        out.push_back(std::min(length, static_cast<std::uint32_t>(left - for_the_others)));
        left -= out.back();
      }
    out.insert(out.end(), d.singles, 1);
    return out;
  }

 private:
  std::size_t quantity_;
  std::vector<std::size_t> count_;
};

struct run {
  std::uint32_t row = 0;
  std::uint32_t length = 0;
};

/// Rows that have what a split needs.
struct window {
  std::uint64_t span = 0;
  std::uint32_t first_row = 0;
  std::uint16_t tier = 0;
  std::uint32_t last_row = 0;
  auto operator<=>(const window&) const = default;
};

/// For each row the nearest rows behind it with which a division as good as `wanted` is to be had.
void find_windows(const search& s, std::uint16_t tier, std::span<const run> runs, const division& wanted, std::vector<window>& out) {
  run_lengths inside{s.wish.quantity};
  const auto suffices = [&] {
    const auto d = inside.divide();
    return d && *d <= wanted;
  };
  std::size_t end = 0;
  for (std::size_t begin = 0; begin != runs.size();) {
    while (end != runs.size() && !suffices())
      for (const auto row = runs[end].row; end != runs.size() && runs[end].row == row; ++end) inside.add(runs[end].length);
    if (!suffices()) return;
    const auto first = runs[begin].row, last = runs[end - 1].row;
    out.push_back({s.in.rows[last].place - s.in.rows[first].place, first, tier, last});
    for (; begin != runs.size() && runs[begin].row == first; ++begin) inside.remove(runs[begin].length);
  }
}

/// The parts of a split within these rows, in the hall's order.
std::vector<seat_block> take_parts(const search& s, const window& rows, std::span<const run> runs, const division& wanted) {
  run_lengths inside{s.wish.quantity};
  for (const auto& r : runs)
    if (r.row >= rows.first_row && r.row <= rows.last_row) inside.add(r.length);
  auto free = s.free, fits = s.fits;
  std::vector<seat_block> parts;
  for (const auto size : inside.sizes(wanted)) {
    auto wish = s.wish;
    wish.quantity = size;
    wish.tier = rows.tier;
    parts.push_back(good_block({s.in, free, fits, wish, rows.first_row, rows.last_row}, 1, 0)->block);
    for (auto seat = parts.back().begin; seat != parts.back().begin + size; ++seat) free.remove(seat), fits.remove(seat);
  }
  std::ranges::sort(parts);
  return parts;
}

/// Where nothing fits in one row.
std::vector<seat_block> split(const search& s, std::size_t enough, std::uint64_t seed) {
  std::vector<std::vector<run>> runs;  // by tier
  each_run(s, [&](const floor_plan::stretch& in, std::uint32_t begin, std::uint32_t end) {
    if (in.tier >= runs.size()) runs.resize(std::size_t{in.tier} + 1);
    runs[in.tier].push_back({in.row, end - begin});
    return true;
  });
  std::vector<std::optional<division>> divisions;
  std::optional<division> best;
  for (const auto& of_tier : runs) {
    run_lengths all{s.wish.quantity};
    for (const auto& r : of_tier) all.add(r.length);
    const auto& d = divisions.emplace_back(all.divide());
    if (d && (!best || *d < *best)) best = d;
  }
  if (!best) return {};
  std::vector<window> windows;
  for (std::size_t tier = 0; tier != runs.size(); ++tier)
    if (divisions[tier] == best) find_windows(s, static_cast<std::uint16_t>(tier), runs[tier], *best, windows);
  std::ranges::sort(windows);
  const auto as_good = std::ranges::count(windows, windows.front().span, &window::span);
  const auto& rows = windows[seed % std::min(static_cast<std::size_t>(as_good), enough)];
  return take_parts(s, rows, runs[rows.tier], *best);
}

std::vector<seat_block> choose(const search& s, std::size_t enough, std::uint64_t seed) {
  if (const auto found = good_block(s, enough, seed)) return {found->block};
  return s.wish.quantity > 1 ? split(s, enough, seed) : std::vector<seat_block>{};
}

/// The free seats that are for whoever has this wish.
seat_set seats_for(const floor_plan& in, const seat_set& free, bool accessible) {
  auto fits = free;
  if (accessible) fits &= in.accessible;
  else fits -= in.accessible;
  return fits;
}

// --- orphans ---------------------------------------------------------------------------------------------------------

const floor_plan::row& row_of(const floor_plan& in, std::uint32_t seat) {
  return *std::prev(std::ranges::upper_bound(in.rows, seat, {}, &floor_plan::row::begin));
}

const floor_plan::stretch& stretch_of(const floor_plan& in, std::uint32_t seat) {
  return *std::prev(std::ranges::upper_bound(in.stretches, seat, {}, &floor_plan::stretch::begin));
}

std::size_t count_accessible(const floor_plan& in, const std::vector<std::uint32_t>& picked) {
  return static_cast<std::size_t>(std::ranges::count_if(picked, [&](auto seat) { return in.accessible.has(seat); }));
}

bool is_one_block(const floor_plan& in, const std::vector<std::uint32_t>& picked) {
  return picked.back() - picked.front() + 1 == picked.size() && picked.back() < row_of(in, picked.front()).end;
}

/// Free seats of the tiers of those picked, for the same people.
seat_set seats_like(const floor_plan& in, const seat_set& free, const std::vector<std::uint32_t>& picked) {
  const auto accessible = count_accessible(in, picked);
  auto fits = free;
  if (accessible == 0 || accessible == picked.size()) fits = seats_for(in, free, accessible > 0);
  std::vector<std::uint16_t> tiers;
  for (const auto seat : picked) tiers.push_back(stretch_of(in, seat).tier);
  for (const auto& stretch : in.stretches)
    if (std::ranges::find(tiers, stretch.tier) == tiers.end())
      for (auto seat = stretch.begin; seat != stretch.end; ++seat) fits.remove(seat);
  return fits;
}

/// Whether some block of this size leaves no orphan, whatever the tiers within it.
bool has_block(const floor_plan& in, const seat_set& free, const seat_set& fits, std::uint32_t size) {
  for (const auto& row : in.rows)
    for (auto begin = fits.next_member(row.begin, row.end); begin != row.end;) {
      const auto end = fits.next_gap(begin, row.end);
      for (auto at = begin; at + size <= end; ++at)
        if (orphans_beside(free, row, at, at + size) == 0) return true;
      begin = fits.next_member(end, row.end);
    }
  return false;
}

/// Whether some seats of this number leave no orphan. Walks along the rows with the numbers of seats that can have been taken so
/// far, as bits, by how the walk stands: behind a taken seat, behind one that is left alone so far, or behind two that are left.
bool has_seats(const floor_plan& in, const seat_set& free, const seat_set& fits, std::size_t number) {
  std::uint64_t taken = 1, alone = 0, together = 0;
  for (const auto& row : in.rows) {
    bool was_alone = false;  // the seat before has no free neighbour anyhow
    for (auto seat = row.begin; seat != row.end; ++seat) {
      if (!free.has(seat)) {
        taken |= together | (was_alone ? alone : 0);
        alone = together = 0;
        was_alone = false;
        continue;
      }
      was_alone = !is_free(free, row, seat - 1) && !is_free(free, row, seat + 1);
      const auto left = std::pair{taken, alone | together};
      taken = fits.has(seat) ? (taken | together) << 1 : 0;
      std::tie(alone, together) = left;
    }
    taken |= together | (was_alone ? alone : 0);
    alone = together = 0;
  }
  return (taken >> number & 1U) != 0;
}

}  // namespace

std::vector<seat_block> best_available(const floor_plan& in, const seat_set& free, const seat_wish& wish, unsigned attempt, std::uint64_t seed) {
  if (in.rows.empty()) return {};
  const std::size_t enough = std::size_t{1} << (4 * std::min(attempt, 4U));
  const auto fits = seats_for(in, free, wish.accessible);
  auto chosen = choose(everywhere(in, free, fits, wish), enough, seed);
  if (!chosen.empty() || wish.accessible) return chosen;
  return choose(everywhere(in, free, free, wish), enough, seed);
}

std::vector<seat_block> best_blocks(const floor_plan& in, const seat_set& free, const seat_wish& wish, std::size_t count) {
  if (in.rows.empty()) return {};
  auto fits = seats_for(in, free, wish.accessible);
  std::vector<seat_block> out;
  unsigned orphans = 0;
  while (out.size() < count) {
    const auto next = good_block(everywhere(in, free, fits, wish), 1, 0);
    const bool is_worse = next && wish.spares_orphans && !out.empty() && next->orphans > orphans;
    if (!next || is_worse) break;
    orphans = next->orphans;
    out.push_back(next->block);
    for (auto seat = out.back().begin; seat != out.back().begin + out.back().size; ++seat) fits.remove(seat);
  }
  return out;
}

std::optional<seat_wish> wish_like(const floor_plan& in, const std::vector<std::uint32_t>& picked) {
  const auto accessible = count_accessible(in, picked);
  if (picked.empty() || (accessible != 0 && accessible != picked.size())) return std::nullopt;
  seat_wish wish;
  wish.quantity = static_cast<std::uint32_t>(picked.size());
  wish.tier = stretch_of(in, picked.front()).tier;
  wish.accessible = accessible != 0;
  const bool is_one_tier = std::ranges::all_of(picked, [&](auto seat) { return stretch_of(in, seat).tier == *wish.tier; });
  return is_one_tier ? std::optional{wish} : std::nullopt;
}

std::vector<std::uint32_t> orphans_of(const floor_plan& in, const seat_set& free, const std::vector<std::uint32_t>& picked) {
  auto left = free;
  for (const auto seat : picked) left.remove(seat);
  std::vector<std::uint32_t> out;
  for (const auto seat : picked) {
    const auto& row = row_of(in, seat);
    for (const auto beside : {seat - 1, seat + 1})
      if (is_free(left, row, beside) && !is_free(left, row, beside - 1) && !is_free(left, row, beside + 1) &&
          (out.empty() || out.back() != beside))
        out.push_back(beside);
  }
  return out;
}

bool could_spare_orphans(const floor_plan& in, const seat_set& free, const std::vector<std::uint32_t>& picked) {
  const auto fits = seats_like(in, free, picked);
  if (is_one_block(in, picked)) return has_block(in, free, fits, static_cast<std::uint32_t>(picked.size()));
  return picked.size() > 63 || has_seats(in, free, fits, picked.size());
}

}  // namespace usher
