#include "cli_progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace usher::cli {

progress::progress(std::uint64_t total, std::string unit)
    : total_{std::max<std::uint64_t>(total, 1)}, unit_{std::move(unit)}, tty_{::isatty(STDERR_FILENO) == 1} {}

progress::~progress() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void progress::show(std::uint64_t done, std::uint64_t total) {
  done_ = done;
  total_ = std::max<std::uint64_t>(total, 1);
  if (tty_) look();
}

void progress::look() {
  since_look_ = 0;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds{100};
  draw();
}

void progress::draw() {
  constexpr std::size_t width = 40;
  const auto share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
  std::string bar(static_cast<std::size_t>(share * width), '#');
  bar.resize(width, '.');
  const auto taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  const auto left = share > 0 ? taken / share - taken : 0;
  std::fprintf(stderr, "\r\x1b[K[%s] %3.0f %%  %llu of %llu %s, %.0f s left", bar.c_str(), share * 100,
               static_cast<unsigned long long>(done_), static_cast<unsigned long long>(total_), unit_.c_str(), left);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace usher::cli
