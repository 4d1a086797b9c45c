#pragma once
// Where read models keep their rows in family::views, and what their checkpoints say.
//
// `<name>!` is the checkpoint of the rows that are read, `<name>~!` that of those being built beside them; the rows
// themselves are `<name>@<generation>/…`. So no prefix covers the keys of another read model, or of another generation.

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "store/database.hpp"

namespace usher::projections {

/// An index per partition: the last record that was taken in, 0 for none.
using positions = std::array<std::uint64_t, partition_count>;

/// Which records rows hold, written in one batch with them.
struct checkpoint {
  std::uint32_t version = 0;     ///< projection::version of who wrote them
  std::uint64_t generation = 1;  ///< grows with each time that the read model is built again
  positions at{};
};

[[nodiscard]] std::uint64_t sum_of(const positions&);

[[nodiscard]] std::string checkpoint_key(std::string_view name);
[[nodiscard]] std::string building_key(std::string_view name);  ///< of the checkpoint of rows being built
[[nodiscard]] std::string rows_of(std::string_view name, std::uint64_t generation);  ///< what the keys of the rows begin with

[[nodiscard]] std::string row_of(const checkpoint&);
/// @return nullopt where there is none  @error io_failure, corrupted
[[nodiscard]] result<std::optional<checkpoint>> find_checkpoint(const store::database&, const std::string& key);

/// Erases the rows of all generations but these. @error io_failure
[[nodiscard]] result<void> erase_other_generations(store::database&, std::string_view name, std::uint64_t live, std::uint64_t building);

/// Whether a read model shall be built again: kept over a crash, also of the machine. @error io_failure
[[nodiscard]] result<void> note_rebuild(store::database&, std::string_view name, bool wanted);
[[nodiscard]] result<bool> is_rebuild_wanted(const store::database&, std::string_view name);

/// Puts a prefix before the keys of rows.
class prefixed_rows final : public store::database::row_writer {
 public:
  prefixed_rows(std::string prefix, row_writer& into) : prefix_(std::move(prefix)), into_(into) {}
  void put(std::string_view key, std::string_view value) override { into_.put(whole(key), value); }
  void erase(std::string_view key) override { into_.erase(whole(key)); }

 private:
  std::string_view whole(std::string_view key) { return key_.assign(prefix_).append(key); }

  const std::string prefix_;
  row_writer& into_;
  std::string key_;
};

}  // namespace usher::projections
