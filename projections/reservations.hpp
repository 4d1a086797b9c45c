#pragma once
// Reservations by id, and by the user that they are for. The log has what they are; the rows say where in it.

#include "projections/table.hpp"

namespace usher::projections {

struct reservation_view {
  std::string reservation_id;
  std::uint64_t version = 0;    ///< of the reservation's stream: the ETag
  v1::ReservationState state;   ///< without process_key, which is the client's own
};

class reservations final : public projection {
 public:
  [[nodiscard]] std::string_view name() const override { return "reservations"; }
  [[nodiscard]] std::uint32_t version() const override { return 3; }
  [[nodiscard]] payloads concerns() const override { return {v1::StreamEvent::kReservation}; }
  [[nodiscard]] std::unique_ptr<projection> fresh() const override { return std::make_unique<reservations>(); }
  [[nodiscard]] result<void> load(const store::database&, const std::string& rows) override;
  void apply(const v1::Record&) override;
  void collect(row_writer& out) override { table_.collect(out); }
  void written() override { table_.written(); }
  [[nodiscard]] std::size_t unwritten() const override { return table_.unwritten(); }
  void swap_in(projection& built) override { table_.swap_in(static_cast<reservations&>(built).table_); }

  /// As of the last record that was taken in. Cost: a point read, and one for each record of its stream: a handful.
  /// @error io_failure, corrupted
  [[nodiscard]] result<std::optional<reservation_view>> find(std::string_view reservation_id) const;
  /// Newest placed first, without those that were handed to somebody else: a page may be shorter than `limit`.
  /// @param cursor  of an earlier answer for the same user, or empty
  [[nodiscard]] result<page<reservation_view>> of_user(std::string_view user_id, std::string_view cursor,
                                                       std::size_t limit) const;

 private:
  table table_;
  const store::database* db_ = nullptr;  // the log's; set before anybody reads
};

}  // namespace usher::projections
