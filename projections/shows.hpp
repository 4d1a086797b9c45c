#pragma once
// What is on sale: shows by id, by date and by how fast they sold out.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <shared_mutex>
#include <unordered_set>

#include "projections/seat_map.hpp"

namespace usher::projections {

/// A show as it is now. Counts come from the seat map, which is folded before this view.
struct show_view {
  std::string show_id;
  std::uint64_t version = 0;                 ///< of the show's stream: the ETag
  std::shared_ptr<const v1::ShowPlan> plan;  ///< with every change applied
  std::int64_t opened_at_ms = 0;             ///< when the show was created
  show_counts counts;
  std::int64_t sold_out_at_ms = 0;  ///< 0: not sold out so far
};

struct sellout_view {
  show_view show;
  std::int64_t took_ms = 0;  ///< from the opening of the sale to the sale of the last place
};

struct show_query {
  std::optional<std::int64_t> starts_from_ms;    ///< inclusive
  std::optional<std::int64_t> starts_before_ms;  ///< exclusive
  std::string cursor;
  std::size_t limit = 50;
};

class shows final : public projection {
 public:
  /// @param seats  must outlive this view and be applied before it
  explicit shows(const seat_map& seats) : seats_(seats) {}

  [[nodiscard]] std::string_view name() const override { return "shows"; }
  [[nodiscard]] std::uint32_t version() const override { return 1; }
  [[nodiscard]] payloads concerns() const override { return {v1::StreamEvent::kShow}; }
  [[nodiscard]] std::unique_ptr<projection> fresh() const override { return std::make_unique<shows>(seats_); }
  [[nodiscard]] result<void> load(const store::database&, const std::string& rows) override;
  void apply(const v1::Record&) override;
  void collect(row_writer&) override;
  [[nodiscard]] std::size_t unwritten() const override;
  void swap_in(projection& built) override;

  [[nodiscard]] std::optional<show_view> find(std::string_view show_id) const;
  /// The plan with every change applied: the terms of a sale. @return nullptr where there is no such show
  [[nodiscard]] std::shared_ptr<const v1::ShowPlan> plan(std::string_view show_id) const;
  /// Whether `list` may have given it out.
  [[nodiscard]] static bool is_cursor(std::string_view);
  /// By the time they start, then by id. A cursor that was not made here begins at the start.
  [[nodiscard]] page<show_view> list(const show_query&) const;
  /// Shows that sold out at least once, the fastest first. Cost: looks at every show.
  [[nodiscard]] std::vector<sellout_view> fastest_sellouts(std::size_t limit) const;

 private:
  struct entry {
    std::shared_ptr<const v1::ShowPlan> plan;
    std::uint64_t version = 0;
    std::int64_t opened_at_ms = 0;
  };
  using place = std::pair<std::int64_t, std::string>;  // starts_at_ms, show id
  void fold(const std::string& show_id, std::uint64_t version, const v1::ShowEvent&);
  [[nodiscard]] show_view view_of(const std::string& show_id, const entry&) const;

  const seat_map& seats_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, entry, std::less<>> shows_;
  std::set<place> by_start_;
  std::unordered_set<std::string> changed_;
};

}  // namespace usher::projections
