#include "http/secret.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace usher::http {
namespace {

constexpr std::size_t secret_bytes = 32;
constexpr std::chrono::minutes signature_age_max{5};

failure io_failure(const std::filesystem::path& file, std::string_view deed) {
  return {errc::io_failure, std::string{deed}.append(" ").append(file.string()).append(": ").append(std::strerror(errno))};
}

/// A descriptor that closes itself.
struct descriptor {
  int fd;
  ~descriptor() { if (fd >= 0) ::close(fd); }
};

/// Written beside its place, synced and then linked there, so that a crash leaves a whole secret or none, and of two processes that
/// start at once both use the first one's.
std::optional<failure> make_secret(const std::filesystem::path& file) {
  const auto bytes = fresh_secret();
  const auto draft = file.string() + "." + std::to_string(::getpid());
  ::unlink(draft.c_str());
  const descriptor out{::open(draft.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)};
  if (out.fd < 0) return io_failure(draft, "can't make");
  if (::write(out.fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) || ::fsync(out.fd) != 0) {
    return io_failure(draft, "can't write");
  }
  const bool linked = ::link(draft.c_str(), file.c_str()) == 0 || errno == EEXIST;
  const auto error = linked ? std::nullopt : std::optional{io_failure(file, "can't make")};
  ::unlink(draft.c_str());
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path{"."};
  const descriptor parent{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!error && (parent.fd < 0 || ::fsync(parent.fd) != 0)) return io_failure(folder, "can't sync");
  return error;
}

result<std::string> read_secret(const std::filesystem::path& file) {
  const descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (in.fd < 0) return io_failure(file, "can't open");
  struct stat facts {};
  if (::fstat(in.fd, &facts) != 0) return io_failure(file, "can't look at");
  if ((facts.st_mode & 077) != 0) {
    return failure{errc::invalid_argument, file.string() + ": others can read the secret; its mode must be 0600"};
  }
  std::string bytes(4096, '\0');
  const auto got = ::read(in.fd, bytes.data(), bytes.size());
  if (got < 0) return io_failure(file, "can't read");
  if (static_cast<std::size_t>(got) < secret_bytes) {
    return failure{errc::invalid_argument, file.string() + ": a secret has at least 32 bytes"};
  }
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

std::string signature_of(std::string_view secret, std::string_view message, std::string_view seconds) {
  std::string text{seconds};
  text.append(".").append(message);
  const auto mac = hmac{secret}(text);
  std::string hex(2 * mac.size() + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), reinterpret_cast<const unsigned char*>(mac.data()), mac.size());
  hex.pop_back();  // its terminating zero
  return hex;
}

}  // namespace

std::string fresh_secret() {
  std::string bytes(secret_bytes, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  return bytes;
}

result<std::string> secret_from(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) {
    if (auto failed = make_secret(file)) return *failed;
  }
  return read_secret(file);
}

void hmac::context_free::operator()(EVP_MAC_CTX* c) const { EVP_MAC_CTX_free(c); }

hmac::hmac(std::string_view key) {
  const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> algorithm{EVP_MAC_fetch(nullptr, "HMAC", nullptr), &EVP_MAC_free};
  std::string digest{"SHA256"};
  const std::array<OSSL_PARAM, 2> settings{OSSL_PARAM_construct_utf8_string("digest", digest.data(), 0), OSSL_PARAM_construct_end()};
  keyed_.reset(EVP_MAC_CTX_new(algorithm.get()));
  if (EVP_MAC_init(keyed_.get(), reinterpret_cast<const unsigned char*>(key.data()), key.size(), settings.data()) != 1)
    throw std::runtime_error("OpenSSL has no HMAC-SHA-256");
}

std::string hmac::operator()(std::string_view text) const {
  const context own{EVP_MAC_CTX_dup(keyed_.get())};
  std::string out(EVP_MAX_MD_SIZE, '\0');
  std::size_t size = 0;
  if (!own || EVP_MAC_update(own.get(), reinterpret_cast<const unsigned char*>(text.data()), text.size()) != 1 ||
      EVP_MAC_final(own.get(), reinterpret_cast<unsigned char*>(out.data()), &size, out.size()) != 1)
    throw std::runtime_error("HMAC-SHA-256 failed");
  out.resize(size);
  return out;
}

std::string sign_message(std::string_view secret, std::string_view message, time_point now) {
  const auto seconds = std::to_string(std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count());
  return "t=" + seconds + ",v1=" + signature_of(secret, message, seconds);
}

bool is_signed_message(std::string_view secret, std::string_view message, std::string_view signature, time_point now) {
  const auto comma = signature.find(",v1=");
  if (!signature.starts_with("t=") || comma == std::string_view::npos) return false;
  const auto seconds = signature.substr(2, comma - 2);
  std::int64_t at = 0;
  const auto [end, error] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), at);
  if (error != std::errc{} || end != seconds.data() + seconds.size()) return false;
  const auto now_s = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  const auto age_max = std::chrono::seconds{signature_age_max}.count();
  if (at < now_s - age_max || at > now_s + age_max) return false;
  const auto right = signature_of(secret, message, seconds);
  const auto said = signature.substr(comma + 4);
  return said.size() == right.size() && sodium_memcmp(said.data(), right.data(), right.size()) == 0;
}

}  // namespace usher::http
