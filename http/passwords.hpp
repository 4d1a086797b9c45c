#pragma once
// Passwords, kept as Argon2id hashes that are made on a few threads of their own, since each takes tens of milliseconds and 64 MiB.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>

namespace usher::http {

struct password_settings {
  std::size_t threads = 2;
  std::size_t waiting_max = 64;  ///< under way and waiting; more is refused at once
};

/// Hashes and compares passwords. Thread-safe; must outlive every coroutine that waits for it.
class passwords {
 public:
  explicit passwords(password_settings);
  ~passwords();  ///< finishes what is under way

  /// The hash as text, with its salt and cost. nullopt: too many are waiting, answer BUSY.
  [[nodiscard]] boost::asio::awaitable<std::optional<std::string>> hash(std::string password);

  /// Whether the password is the one that was hashed. An empty hash (an unknown user, or one without a password) never matches and
  /// takes as long as any other. nullopt: too many are waiting, answer BUSY.
  [[nodiscard]] boost::asio::awaitable<std::optional<bool>> matches(std::string hash, std::string password);

 private:
  template <class Work>
  auto run(Work work) -> boost::asio::awaitable<std::optional<decltype(work())>>;

  std::size_t waiting_max_;
  std::atomic<std::size_t> waiting_{0};
  std::string nobody_;  // the hash of a random password, compared with where there is none
  boost::asio::thread_pool threads_;
};

}  // namespace usher::http
