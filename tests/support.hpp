#pragma once
// What several tests need: a directory that vanishes, and how long they shall go on.

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

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

/// How often to do what grows more convincing by repetition: USHER_TEST_ROUNDS, say, as `./usher test --rounds` sets it.
/// @return `otherwise` where it isn't set. Throws where it is no whole number above 0.
inline std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* set = std::getenv(name);
  if (!set) return otherwise;
  const std::string_view text{set};
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number == 0)
    throw std::runtime_error(std::string{name} + " has to be a whole number above 0");
  return number;
}

}  // namespace usher::tests
