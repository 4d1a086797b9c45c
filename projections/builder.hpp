#pragma once
// Builds a read model beside the one that serves, in the thread of whoever asks for it.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "projections/folded_events.hpp"
#include "projections/offence.hpp"
#include "projections/projection.hpp"
#include "projections/rows.hpp"

namespace usher::projections {

/// Hears how many records are taken in. @return false: end here
using build_progress = std::function<bool(std::uint64_t done)>;

/// A fresh read model on its way through the log. One thread at a time. What it writes are small batches, since the log's
/// writer waits for each, every one with its checkpoint: whoever builds next goes on from there.
class builder {
 public:
  /// @param key         of the checkpoint
  /// @param generation  of the rows
  builder(store::database& db, const projection& like, std::string key, std::uint64_t generation);

  /// Loads what the checkpoint's rows hold; where there is none of this version and generation, begins with nothing.
  /// @error io_failure, corrupted
  [[nodiscard]] result<void> begin();
  /// Takes in what is missing up to these positions.
  /// @return false where it did not come so far: it was told to end, or there is an offence
  /// @error io_failure, corrupted
  [[nodiscard]] result<bool> fold(const positions& ends, const build_progress&);
  /// Writes what changed. @error io_failure
  [[nodiscard]] result<void> write();

  [[nodiscard]] projection& view() { return *view_; }
  [[nodiscard]] const checkpoint& reached() const { return reached_; }
  /// What the rows on disk hold.
  [[nodiscard]] const positions& written() const { return written_; }
  [[nodiscard]] std::uint64_t left(const positions& ends) const;
  [[nodiscard]] const std::optional<offence>& failed_on() const { return failed_on_; }

 private:
  [[nodiscard]] result<void> fold(std::uint32_t partition, std::uint64_t end, const build_progress&);
  [[nodiscard]] result<void> take(std::uint32_t partition, std::uint64_t index, std::string_view stored);

  store::database& db_;
  std::unique_ptr<projection> view_;
  const std::string key_;
  checkpoint reached_;
  positions written_{};
  folded_events events_;
  std::uint64_t since_write_ = 0;
  std::uint64_t done_ = 0;
  bool ended_ = false;
  std::optional<offence> failed_on_;
};

}  // namespace usher::projections
