#include "store/filesystem.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "events/sha256.hpp"

namespace usher::store {
namespace {

struct descriptor {
  int fd;
  ~descriptor() { if (fd >= 0) ::close(fd); }
};

failure failed_at(const std::string& path) { return {errc::io_failure, path + ": " + std::strerror(errno)}; }

}  // namespace

result<std::string> sha256_of_file(const std::string& path, const std::function<void(std::uint64_t)>& read) {
  const descriptor in{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (in.fd < 0) return failed_at(path);
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  std::vector<unsigned char> piece(1 << 18);
  for (;;) {
    const auto got = ::read(in.fd, piece.data(), piece.size());
    if (got < 0) return failed_at(path);
    if (got == 0) break;
    crypto_hash_sha256_update(&state, piece.data(), static_cast<unsigned long long>(got));
    if (read) read(static_cast<std::uint64_t>(got));
  }
  sha256_digest digest;
  crypto_hash_sha256_final(&state, digest.data());
  return to_hex(bytes_of(digest));
}

result<void> make_private_directory(const std::string& path) {
  std::filesystem::path whole{path};
  if (!whole.has_filename()) whole = whole.parent_path();  // a slash at its end
  std::error_code failed;
  if (whole.has_parent_path()) std::filesystem::create_directories(whole.parent_path(), failed);
  if (failed) return failure{errc::io_failure, path + ": " + failed.message()};
  if (::mkdir(whole.c_str(), S_IRWXU) == 0) return {};
  const auto refused = failed_at(path);
  if (std::filesystem::is_directory(whole, failed)) return {};
  return refused;
}

result<void> sync_path(const std::string& path) {
  const descriptor it{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (it.fd < 0 || ::fsync(it.fd) != 0) return failed_at(path);
  return {};
}

}  // namespace usher::store
