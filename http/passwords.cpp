// Argon2id by libsodium, away from the threads that serve.

#include "http/passwords.hpp"

#include <sodium.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace usher::http {

namespace asio = boost::asio;

namespace {

std::string argon2id(const std::string& password) {
  std::array<char, crypto_pwhash_STRBYTES> out{};
  if (crypto_pwhash_str(out.data(), password.data(), password.size(), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                        crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0) {
    std::fputs("bug: no memory for a password's hash\n", stderr);
    std::abort();
  }
  return out.data();
}

std::string hash_of_nobody() {
  if (sodium_init() < 0) {
    std::fputs("bug: libsodium does not start\n", stderr);
    std::abort();
  }
  std::string password(32, '\0');
  randombytes_buf(password.data(), password.size());
  return argon2id(password);
}

/// Gives the place back also where the coroutine is destroyed while it waits.
struct place {
  std::atomic<std::size_t>& taken;
  ~place() { --taken; }
};

}  // namespace

passwords::passwords(password_settings settings)
    : waiting_max_{settings.waiting_max}, nobody_{hash_of_nobody()}, threads_{settings.threads} {}

passwords::~passwords() { threads_.join(); }

template <class Work>
auto passwords::run(Work work) -> asio::awaitable<std::optional<decltype(work())>> {
  const auto back = co_await asio::this_coro::executor;
  if (++waiting_ > waiting_max_) {
    --waiting_;
    co_return std::nullopt;
  }
  const place mine{waiting_};
  co_await asio::post(asio::bind_executor(threads_.get_executor(), asio::use_awaitable));
  auto out = work();
  co_await asio::post(asio::bind_executor(back, asio::use_awaitable));
  co_return out;
}

asio::awaitable<std::optional<std::string>> passwords::hash(std::string password) {
  auto work = [password = std::move(password)] { return argon2id(password); };
  co_return co_await run(std::move(work));
}

asio::awaitable<std::optional<bool>> passwords::matches(std::string hash, std::string password) {
  const bool somebody = !hash.empty();
  auto work = [hash = somebody ? std::move(hash) : nobody_, password = std::move(password), somebody] {
    return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0 && somebody;
  };
  co_return co_await run(std::move(work));
}

}  // namespace usher::http
