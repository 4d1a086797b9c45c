#pragma once
// How a person sees that a verb is at work.

#include <chrono>
#include <cstdint>
#include <string>

namespace usher::cli {

/// A bar on standard error with what is left of the time: not before a second has passed, and only at a terminal.
class progress {
 public:
  /// @param unit  of what is counted, in the plural: records
  explicit progress(std::uint64_t total, std::string unit = "records");
  ~progress();  ///< leaves the line empty
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  /// Cheap enough to be called for each record.
  void advance(std::uint64_t by) {
    done_ += by;
    // Reading the clock for each record would cost more than many of them.
    if (!tty_ || (since_look_ += by) < look_every) return;
    look();
  }
  /// For those who count themselves, or learn only now how much there is.
  void show(std::uint64_t done, std::uint64_t total);

 private:
  static constexpr std::uint64_t look_every = 256;
  void look();
  void draw();

  std::uint64_t total_;
  const std::string unit_;
  std::uint64_t done_ = 0;
  std::uint64_t since_look_ = 0;
  const bool tty_;
  bool drawn_ = false;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_ = began_ + std::chrono::seconds{1};
};

}  // namespace usher::cli
