#pragma once
// Who has signed up.

#include "projections/table.hpp"

namespace usher::projections {

struct user_view {
  std::string user_id;
  std::uint64_t version = 0;  ///< of the user's stream
  std::string sealed{};  ///< v1::PersonalData, see store/persons.hpp; empty once erased
  std::int64_t signed_up_at_ms = 0;
  std::int64_t erased_at_ms = 0;  ///< 0: not erased
};

class users final : public projection {
 public:
  [[nodiscard]] std::string_view name() const override { return "users"; }
  [[nodiscard]] std::uint32_t version() const override { return 2; }
  [[nodiscard]] payloads concerns() const override { return {v1::StreamEvent::kUser}; }
  [[nodiscard]] std::unique_ptr<projection> fresh() const override { return std::make_unique<users>(); }
  [[nodiscard]] result<void> load(const store::database&, const std::string& rows) override;
  void apply(const v1::Record&) override;
  void collect(row_writer& out) override { table_.collect(out); }
  void written() override { table_.written(); }
  [[nodiscard]] std::size_t unwritten() const override { return table_.unwritten(); }
  void swap_in(projection& built) override { table_.swap_in(static_cast<users&>(built).table_); }

  /// By id; by address: find(make_user_id(email)). Cost: a point read. @error io_failure, corrupted
  [[nodiscard]] result<std::optional<user_view>> find(std::string_view user_id) const;

 private:
  table table_;
};

}  // namespace usher::projections
