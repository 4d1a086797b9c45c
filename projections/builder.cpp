#include "projections/builder.hpp"

#include <algorithm>
#include <exception>

#include "events/words.hpp"

namespace usher::projections {

namespace {

constexpr std::size_t rows_max = 1024;            // in one batch, about
constexpr std::uint64_t records_max = 65'536;     // between two batches: what a crash may cost, and what waits in memory
constexpr std::uint64_t progress_every = 1024;    // records

}  // namespace

builder::builder(store::database& db, const projection& like, std::string key, std::uint64_t generation)
    : db_(db), view_(like.fresh()), key_(std::move(key)), events_(like.concerns()) {
  reached_.version = like.version();
  reached_.generation = generation;
}

result<void> builder::begin() {
  const auto rows = rows_of(view_->name(), reached_.generation);
  const auto found = find_checkpoint(db_, key_);
  if (!found) return found.error();
  if (*found && (*found)->version == reached_.version && (*found)->generation == reached_.generation) {
    reached_ = **found;
    written_ = reached_.at;
  } else {
    if (auto gone = db_.put_derived(store::family::views, {{key_, std::nullopt}}); !gone) return gone;
    if (auto gone = db_.erase_prefix(store::family::views, rows); !gone) return gone;
  }
  done_ = sum_of(reached_.at);
  try {
    return view_->load(db_, rows);
  } catch (const std::exception& e) {
    return failure{errc::corrupted, "the rows of " + std::string(view_->name()) + ": " + e.what()};
  }
}

result<bool> builder::fold(const positions& ends, const build_progress& progress) {
  for (std::uint32_t p = 0; p < partition_count && !ended_ && !failed_on_; ++p) {
    if (reached_.at[p] >= ends[p]) continue;
    if (auto folded = fold(p, ends[p], progress); !folded) return folded.error();
  }
  if (progress && !progress(done_)) ended_ = true;
  return !ended_ && !failed_on_;
}

result<void> builder::fold(std::uint32_t partition, std::uint64_t end, const build_progress& progress) {
  result<void> outcome;
  const auto scanned = db_.scan_stored(partition, reached_.at[partition] + 1, [&](std::uint64_t index, std::string_view stored) {
    if (index > end || ended_ || failed_on_) return false;
    outcome = take(partition, index, stored);
    if (done_ % progress_every == 0 && progress && !progress(done_)) ended_ = true;
    return outcome.has_value();
  });
  return scanned ? outcome : scanned;
}

result<void> builder::take(std::uint32_t partition, std::uint64_t index, std::string_view stored) {
  if (index != reached_.at[partition] + 1) return failure{errc::corrupted, "the log has a hole before " + place_of({partition, index})};
  const auto* record = events_.read(stored);
  if (record == nullptr) return failure{errc::corrupted, "record " + place_of({partition, index}) + " can't be decoded"};
  failed_on_ = apply_to(*view_, *record);
  if (failed_on_) return {};
  reached_.at[partition] = index;
  ++done_;
  if (++since_write_ >= records_max || view_->unwritten() >= rows_max) return write();
  return {};
}

result<void> builder::write() {
  // What failed may hold half a record.
  if (failed_on_) return {};
  since_write_ = 0;
  const auto put = db_.put_derived(store::family::views, [this](row_writer& rows) {
    prefixed_rows own{rows_of(view_->name(), reached_.generation), rows};
    view_->collect(own);
    rows.put(key_, row_of(reached_));
  });
  if (!put) return put;
  view_->written();
  written_ = reached_.at;
  return {};
}

std::uint64_t builder::left(const positions& ends) const {
  std::uint64_t sum = 0;
  for (std::uint32_t p = 0; p < partition_count; ++p) sum += ends[p] - std::min(ends[p], reached_.at[p]);
  return sum;
}

}  // namespace usher::projections
