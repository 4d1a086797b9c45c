#include "http/long_poll.hpp"

#include <boost/asio/post.hpp>

#include "http/quietly.hpp"

namespace usher::http {

namespace asio = boost::asio;

long_poll::long_poll(asio::any_io_executor executor, std::uint64_t id, principal who)
    : executor_{std::move(executor)}, id_{id}, caller_{std::move(who)}, timer_{executor_} {}

asio::awaitable<bool> long_poll::news(std::chrono::steady_clock::time_point until) {
  for (;;) {
    {
      const std::lock_guard lock{mutex_};
      if (closed_) co_return false;
      if (std::exchange(news_, false)) co_return true;
    }
    timer_.expires_at(until);
    const auto [woken] = co_await timer_.async_wait(quietly);
    if (!woken) co_return false;
  }
}

/// Posted, so that it comes before the wait has begun, and then the news is seen, or during it.
void long_poll::wake() {
  asio::post(executor_, [self = shared_from_this()] { self->timer_.cancel(); });
}

void long_poll::send(std::shared_ptr<const std::string>) {
  const std::lock_guard lock{mutex_};
  if (!std::exchange(news_, true)) wake();
}

void long_poll::close(std::uint16_t, std::string) {
  const std::lock_guard lock{mutex_};
  if (!std::exchange(closed_, true)) wake();
}

}  // namespace usher::http
