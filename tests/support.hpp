#pragma once
// What several tests need: a directory that vanishes.

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace usher::tests {

/// An empty directory of its own, removed with all that is in it.
struct temp_dir {
  std::string path;

  temp_dir() : path{(std::filesystem::temp_directory_path() / "usher-test-XXXXXX").string()} {
    if (!::mkdtemp(path.data())) throw std::runtime_error("no temporary directory");
  }
  ~temp_dir() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  temp_dir(const temp_dir&) = delete;
  temp_dir& operator=(const temp_dir&) = delete;
};

}  // namespace usher::tests
