#pragma once
// The terms of every show that is being sold, ready for the commands that need them.

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "actors/terms.hpp"
#include "store/index.hpp"

namespace usher::actors {

/// Thread-safe. Folds a show's stream when it is first asked for and keeps the terms until the show changes.
class show_directory {
 public:
  show_directory(const store::database& db, const store::engine_index& index) : db_(db), index_(index) {}

  /// @return nullptr where there is no such show on disk; while a change of it is on its way there, the terms as they were
  /// @error corrupted, io_failure; wrong_format: the show can't be read (store/stream.hpp)
  result<std::shared_ptr<const terms>> find(const std::string& show_id);

  /// The show's newest record is on disk: fold again when next asked.
  void changed(const std::string& show_id);

 private:
  const store::database& db_;
  const store::engine_index& index_;
  std::shared_mutex mutex_;
  std::uint64_t changes_ = 0;
  struct entry {
    std::shared_ptr<const terms> found;
    bool stale = false;
  };
  std::unordered_map<std::string, entry> known_;
};

}  // namespace usher::actors
