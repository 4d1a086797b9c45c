#pragma once
// What every read model is: a fold of the log that answers from memory at once and is written behind.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.hpp"

namespace usher::projections {

/// Takes rows of family::views under `<name>/`. A projection names them without that prefix; the runner adds it.
using row_writer = store::database::row_writer;

/// A part of a list, and where the next part begins.
template <class T>
struct page {
  std::vector<T> items;
  std::string next_cursor;  ///< empty: this was the last part
};

/// One read model. `apply`, `collect`, `written`, `load` and `clear` are called by one thread at a time, the runner's;
/// what a read model answers may be asked by any thread meanwhile, under the read model's own lock.
class projection {
 public:
  virtual ~projection() = default;

  /// Unique, without '/' or '!'; part of its keys on disk.
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Of the rows' meaning. Rows of another version are erased at start and built again from the log.
  [[nodiscard]] virtual std::uint32_t version() const = 0;

  /// Before the first `apply`: takes in what was written, or only remembers where its rows are.
  [[nodiscard]] virtual result<void> load(const store::database&) = 0;
  /// The next record of its partition. Visible to readers on return. Throws where the record makes no sense: the
  /// runner then parks this projection.
  virtual void apply(const v1::Record&) = 0;
  /// Hands over the rows that changed since the last time. They stay readable until `written`.
  virtual void collect(row_writer&) = 0;
  /// What `collect` handed over is in the database.
  virtual void written() {}
  /// Forgets everything, as before the first record.
  virtual void clear() = 0;
};

/// Visits the rows of a projection whose key (without the projection's name) begins with `prefix`, in order.
[[nodiscard]] result<void> each_row(const store::database&, std::string_view projection_name, std::string_view prefix,
                                    const std::function<bool(std::string_view key, std::string_view value)>& visit);

}  // namespace usher::projections
