#pragma once
// The database as it was at one moment, to be read at leisure while the real one goes on.

#include <memory>
#include <string>

#include "store/database.hpp"

namespace usher::store {

/// A copy in a directory of its own, opened read-only, and deleted at the end.
class database_copy {
 public:
  /// @param directory  is not there yet, on the same file system
  /// @error io_failure  Cost: a flush
  static result<std::unique_ptr<database_copy>> make(database&, std::string directory);
  ~database_copy();
  database_copy(const database_copy&) = delete;
  database_copy& operator=(const database_copy&) = delete;

  [[nodiscard]] const database& db() const { return *db_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  explicit database_copy(std::string directory) : directory_{std::move(directory)} {}
  const std::string directory_;
  std::unique_ptr<database> db_;
};

}  // namespace usher::store
