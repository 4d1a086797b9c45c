#pragma once
// Which seats and places of a show are free, held, sold or blocked, and what changed lately.

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>

#include "events/layout.hpp"
#include "projections/projection.hpp"

namespace usher::projections {

/// How many places there are of each phase. Invariant: available + held + sold + blocked = capacity.
struct place_counts {
  std::uint64_t capacity = 0;
  std::uint64_t available = 0;
  std::uint64_t held = 0;
  std::uint64_t sold = 0;
  std::uint64_t blocked = 0;
  bool operator==(const place_counts&) const = default;
};

/// The counts of a show: `total` is over named seats and general admission alike.
struct show_counts {
  place_counts total;
  std::vector<place_counts> tiers;              ///< by index in the plan's tiers
  std::vector<place_counts> general_admission;  ///< by index in layout::sections_without_seats()
  bool operator==(const show_counts&) const = default;
};

/// An immutable picture of one show at one version. Shared by all who ask between two changes.
class show_seats {
 public:
  std::string show_id;
  std::shared_ptr<const layout> seating;
  std::shared_ptr<const v1::ShowPlan> plan;  ///< as opened: names of sections, rows and tiers; prices may have changed since
  std::uint32_t partition = 0;
  std::uint64_t version = 0;  ///< index in the partition of the record that changed it last
  std::string bits;           ///< 2 bits a seat in the layout's order, 4 seats a byte, the first in the lowest bits
  show_counts counts;
  std::int64_t sold_out_at_ms = 0;  ///< when the last place was first sold; 0: not yet

  [[nodiscard]] v1::SeatPhase phase(std::size_t seat) const {
    return static_cast<v1::SeatPhase>((static_cast<unsigned char>(bits[seat / 4]) >> (2 * (seat % 4))) & 3U);
  }
  /// The seats that are AVAILABLE, found on the first call. Thread-safe.
  [[nodiscard]] const seat_set& free_seats() const;
  /// `bits` in base64 (RFC 4648, with padding), made on the first call. Thread-safe.
  [[nodiscard]] const std::string& bits_base64() const;
  /// The answer's body: what `encode` makes of this picture, made on the first call and kept. Thread-safe; all callers
  /// must pass the same encoder.
  [[nodiscard]] const std::string& body(const std::function<std::string(const show_seats&)>& encode) const;
  /// The same for an answer that also rests on something of another version: kept until another one is asked for.
  [[nodiscard]] std::shared_ptr<const std::string> page(std::uint64_t other_version, const std::function<std::string()>& encode) const;

 private:
  mutable std::once_flag free_once_;
  mutable seat_set free_;
  mutable std::once_flag base64_once_;
  mutable std::string base64_;
  mutable std::once_flag body_once_;
  mutable std::string body_;
  mutable std::mutex page_mutex_;
  mutable std::uint64_t page_version_ = 0;
  mutable std::shared_ptr<const std::string> page_;
};

/// What changed between two versions. States are absolute: applying them twice is harmless.
struct seat_delta {
  std::uint64_t from = 0;  ///< the version that was asked for
  std::uint64_t to = 0;    ///< the version now
  struct change {
    std::uint32_t seat = 0;
    v1::SeatPhase phase = v1::AVAILABLE;
  };
  std::vector<change> changes;  ///< each seat once, in the order of the layout
  show_counts counts;           ///< now
};

struct show_totals {
  show_counts counts;
  std::uint64_t version = 0;
  std::int64_t sold_out_at_ms = 0;
};

class seat_map final : public projection {
 public:
  [[nodiscard]] std::string_view name() const override { return "seat_map"; }
  [[nodiscard]] std::uint32_t version() const override { return 2; }
  [[nodiscard]] payloads concerns() const override { return {v1::StreamEvent::kShow, v1::StreamEvent::kSeat, v1::StreamEvent::kStock}; }
  [[nodiscard]] std::unique_ptr<projection> fresh() const override { return std::make_unique<seat_map>(); }
  [[nodiscard]] result<void> load(const store::database&, const std::string& rows) override;
  void apply(const v1::Record&) override;
  void collect(row_writer&) override;
  void written() override;
  [[nodiscard]] std::size_t unwritten() const override;
  void swap_in(projection& built) override;

  /// How many records of a partition have to be folded at most to have a show as it was at any moment.
  static constexpr std::uint64_t checkpoint_every = 4096;
  /// A show as it was when the record `index` was in, a multiple of checkpoint_every. There is one before each first change behind
  /// such a multiple: until the next multiple nothing else has changed, unless there is a later checkpoint.
  struct checkpoint {
    std::uint64_t index = 0;
    std::string row;
  };
  /// The last checkpoint of a show up to a record of its partition. @return nullopt where there is none
  [[nodiscard]] result<std::optional<checkpoint>> last_checkpoint(const std::string& show_id, std::uint64_t upto_index) const;
  /// All changes up to this record of a partition are known here, and so all checkpoints before it. Later ones may be.
  [[nodiscard]] std::uint64_t known_upto(std::uint32_t partition) const;
  /// Takes in a show as it was. Throws std::runtime_error where the checkpoint doesn't fit the plan.
  void restore(const std::string& show_id, const v1::ShowPlan& as_opened, const checkpoint&);

  /// @return nullptr where there is no such show. Cost: a pointer copy where nothing changed since the last call, else
  /// a copy of the bits.
  [[nodiscard]] std::shared_ptr<const show_seats> find(std::string_view show_id) const;
  /// @return nullopt where there is no such show, or `version` is older than the changes kept (4,096 a show), or newer
  /// than what is known: then the whole picture has to be sent.
  [[nodiscard]] std::optional<seat_delta> changes_since(std::string_view show_id, std::uint64_t version) const;
  [[nodiscard]] std::optional<show_totals> totals(std::string_view show_id) const;
  /// The layout alone, for whoever checks a request's seats. @return nullptr where there is no such show
  [[nodiscard]] std::shared_ptr<const layout> seating(std::string_view show_id) const;

 private:
  struct entry;
  entry& require(const std::string& show_id);
  entry& open(const v1::Record&, const std::string& show_id, const v1::ShowPlan&);
  void load_row(std::string_view key, std::string_view value);
  void keep_checkpoint(const std::string& show_id, const entry&, std::uint64_t before_index);
  void saw(std::uint32_t partition, std::uint64_t index) { known_[partition] = std::max(known_[partition], index); }

  mutable std::shared_mutex mutex_;
  std::map<std::string, std::shared_ptr<entry>, std::less<>> shows_;
  std::unordered_set<std::string> fresh_plans_;
  std::unordered_set<std::string> changed_;
  std::array<std::uint64_t, partition_count> known_{};  // the last record of each partition that was seen here
  const store::database* db_ = nullptr;
  std::string rows_;             // what the keys of the rows there begin with
  using row_map = std::map<std::string, std::string, std::less<>>;
  row_map checkpoints_;          // since the last collect
  row_map writing_checkpoints_;  // collected, perhaps not in the database yet
};

}  // namespace usher::projections
