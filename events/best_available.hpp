#pragma once
// Which seats a house gives to a buyer who leaves the choice to it, and which ones a choice would leave standing alone.
//
// Pure functions over the rows of a hall. Nothing here knows where the hall comes from, or what becomes of a choice.
//
// **Orphan:** a free seat whose neighbours in its row are both taken, or missing because the row ends, and which had a free
// neighbour before. What it costs and whom it is for makes no difference; gangways within a row are not known.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace usher {

/// Some of a hall's seats: a bit a seat, the first in the lowest bit of the first word.
class seat_set {
 public:
  seat_set() = default;
  explicit seat_set(std::size_t seats) : words_((seats + 63) / 64) {}
  explicit seat_set(std::vector<std::uint64_t> words) : words_(std::move(words)) {}

  [[nodiscard]] bool has(std::size_t seat) const { return (words_[seat / 64] >> (seat % 64) & 1U) != 0; }
  void add(std::size_t seat) { words_[seat / 64] |= bit(seat); }
  void remove(std::size_t seat) { words_[seat / 64] &= ~bit(seat); }
  /// The first seat in [from, end) that is a member, or that is none; `end` where there is no such seat.
  [[nodiscard]] std::uint32_t next_member(std::uint32_t from, std::uint32_t end) const { return next(from, end, 0); }
  [[nodiscard]] std::uint32_t next_gap(std::uint32_t from, std::uint32_t end) const { return next(from, end, ~std::uint64_t{0}); }

  seat_set& operator&=(const seat_set& other);  ///< of the same size
  seat_set& operator-=(const seat_set& other);

 private:
  static std::uint64_t bit(std::size_t seat) { return std::uint64_t{1} << (seat % 64); }
  [[nodiscard]] std::uint32_t next(std::uint32_t from, std::uint32_t end, std::uint64_t flip) const;

  std::vector<std::uint64_t> words_;
};

/// The seats of a hall by where they stand: what never changes of it.
struct floor_plan {
  /// Seats side by side. `place` grows from the front to the back; rows of one section are nearer to each other than to any of another.
  struct row {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint64_t place = 0;
  };
  /// Seats side by side in one row and of one tier, as many as there are.
  struct stretch {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t row = 0;
    std::uint16_t tier = 0;
  };
  std::vector<row> rows;  ///< the front one first; together they are all seats, in order
  std::vector<stretch> stretches;
  seat_set accessible;    ///< made for wheelchairs
};

/// Seats side by side in one row.
struct seat_block {
  std::uint32_t begin = 0;
  std::uint32_t size = 0;
  auto operator<=>(const seat_block&) const = default;
};

struct seat_wish {
  std::uint32_t quantity = 1;               ///< at least 1
  std::optional<std::uint16_t> tier;        ///< absent: any, but one for all of them, so that all cost the same
  bool accessible = false;                  ///< only seats made for wheelchairs
  bool spares_orphans = false;              ///< rather far away than leave an orphan
};

/// The best free seats for a wish, in the hall's order: one block where they fit in one row, else the parts of a split.
/// Empty where there are not so many free seats of one tier.
///
/// **Goodness of a block**, what comes first counts first: nearer to the front by rows; fewer orphans; nearer to its row's centre; the
/// lower seat. So all blocks of one row are equally good as far as orphans are concerned, and none is left where another block of
/// the row leaves fewer. With `spares_orphans` the number of orphans comes before the row.
///
/// **Split**, only where no row has so many side by side, what comes first counts first: fewest parts; fewest parts of a single seat;
/// fewest rows from the first to the last part (within one section, if it can be); the first part nearest to the front; the tier
/// that the plan names first; the largest parts (the largest one as large as can be, then the second, and so on). Then each part, the largest
/// first, is the best block of its size within these rows, by the goodness of a block after the parts before it were taken.
///
/// **Accessible seats** are chosen only for who asks for them, unless there is no choice without: then they count like any other.
///
/// Whoever lost a choice to somebody faster chooses again with a higher `attempt`: the choice is then number `seed` (modulo) of
/// the 16^attempt best blocks, at most 65,536, so that a crowd spreads. With `spares_orphans` these are blocks that leave as few
/// orphans as any. Of a split, the rows are chosen so: among the places for it that are equally good but for being nearer to the front.
///
/// Cost: a few ns a seat in the rows up to the chosen one, skipping 64 taken seats at once; a split and `spares_orphans` look at all rows.
std::vector<seat_block> best_available(const floor_plan&, const seat_set& free, const seat_wish&, unsigned attempt = 0, std::uint64_t seed = 0);

/// Up to `count` blocks that share no seat: each the best of those that are left, never split, never seats made for wheelchairs
/// unless they are asked for. With `spares_orphans` all of them leave as few orphans as the first.
std::vector<seat_block> best_blocks(const floor_plan&, const seat_set& free, const seat_wish&, std::size_t count);

/// What seats like these are to be found by: so many, of their tier. @return nullopt where they are of several tiers, or only some of
/// them are made for wheelchairs
std::optional<seat_wish> wish_like(const floor_plan&, const std::vector<std::uint32_t>& picked);

/// The orphans that these seats leave when they are taken. @param picked  free seats, in order
std::vector<std::uint32_t> orphans_of(const floor_plan&, const seat_set& free, const std::vector<std::uint32_t>& picked);

/// Whether as many free seats of the same tiers could be had that leave no orphan: as one block, where those picked are one, else any seats.
/// Seats made for wheelchairs count only where such are picked, and the others only where any of them is picked.
/// Where 64 or more are picked one by one, nobody counts: yes. @param picked  free seats, in order
bool could_spare_orphans(const floor_plan&, const seat_set& free, const std::vector<std::uint32_t>& picked);

}  // namespace usher
