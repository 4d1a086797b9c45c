#pragma once
// What every read model is: a fold of the log that answers from memory at once and is written behind.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.hpp"

namespace usher::projections {

/// Takes rows of family::views under `<name>@<generation>/`. A projection names them without that prefix; the runner adds it.
using row_writer = store::database::row_writer;

/// A part of a list, and where the next part begins.
template <class T>
struct page {
  std::vector<T> items;
  std::string next_cursor;  ///< empty: this was the last part
};

/// A set of the payloads that an event may have. One that this version does not know is in every set.
class payloads {
 public:
  using kind = v1::StreamEvent::PayloadCase;
  payloads(std::initializer_list<kind> of) {
    for (const auto k : of) bits_ |= bit(k);
  }
  static payloads all() {
    payloads every{};
    every.bits_ = ~std::uint32_t{0};
    return every;
  }
  [[nodiscard]] bool has(kind k) const { return (bits_ & bit(k)) != 0; }

 private:
  static std::uint32_t bit(kind k) { return std::uint32_t{1} << k; }
  std::uint32_t bits_ = bit(v1::StreamEvent::PAYLOAD_NOT_SET);
};

/// One read model. `apply`, `collect`, `written`, `load` and `swap_in` are called by one thread at a time; what a read
/// model answers may be asked by any thread meanwhile, under the read model's own lock.
///
/// It is built again beside the one that serves: a fresh one folds the log, and then they exchange what they hold.
class projection {
 public:
  virtual ~projection() = default;

  /// Unique, without '/', '@', '!' or '~'; part of its keys on disk.
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Of the rows' meaning. Rows of another version are erased at start and built again from the log.
  [[nodiscard]] virtual std::uint32_t version() const = 0;
  /// The payloads that `apply` looks at: the records that it gets may be without events of another payload.
  [[nodiscard]] virtual payloads concerns() const = 0;

  /// Another one of the same kind that holds nothing yet. What it refers to is what this one refers to.
  [[nodiscard]] virtual std::unique_ptr<projection> fresh() const = 0;
  /// Before the first `apply`: takes in what was written, or only remembers where its rows are.
  /// @param rows  what their keys begin with; each_row wants it
  [[nodiscard]] virtual result<void> load(const store::database&, const std::string& rows) = 0;
  /// The next record of its partition; of those, only partition, index, times and events are there for sure. Visible to
  /// readers on return. Throws where the record makes no sense: the runner then parks this projection.
  virtual void apply(const v1::Record&) = 0;
  /// Hands over the rows that changed since the last time. They stay readable until `written`.
  virtual void collect(row_writer&) = 0;
  /// About how many rows `collect` would hand over. Cost: O(1).
  [[nodiscard]] virtual std::size_t unwritten() const = 0;
  /// Hands over rows that say all that it holds, the same whenever it was written before. They are to be compared, and never loaded.
  /// @return false: it handed over nothing, since the rows of `collect` are so already
  [[nodiscard]] virtual bool collect_whole(row_writer&) const { return false; }
  /// What `collect` handed over is in the database.
  virtual void written() {}
  /// Exchanges everything with a fresh one that has caught up. Readers see the one or the other, whole.
  /// @param built  made by `fresh` of the same kind; holds the old afterwards
  virtual void swap_in(projection& built) = 0;

  /// The event that the last `apply` looked at last: where that threw, the one to blame. nullptr: it doesn't say.
  /// Valid as long as the record.
  [[nodiscard]] const v1::StreamEvent* looked_at() const { return looked_at_; }
  void forget_event() { looked_at_ = nullptr; }

 protected:
  void look_at(const v1::StreamEvent& event) { looked_at_ = &event; }

 private:
  const v1::StreamEvent* looked_at_ = nullptr;
};

/// Visits a projection's rows whose key (without `rows`) begins with `prefix`, in order.
/// @param rows  what the keys of all its rows begin with: see rows.hpp
[[nodiscard]] result<void> each_row(const store::database&, const std::string& rows, std::string_view prefix,
                                    const std::function<bool(std::string_view key, std::string_view value)>& visit);

}  // namespace usher::projections
