// How events wait for their reader, and what they look like on the wire.

#include "http/event_stream.hpp"

#include <boost/asio/post.hpp>

#include "http/quietly.hpp"

namespace usher::http {
namespace {

constexpr std::size_t waiting_max = websocket_settings{}.queue_messages_max;
constexpr std::chrono::seconds comment_every{15};
constexpr std::string_view retry_reason = "retry-after-ms=";

/// The last words: after a restart the client comes back by itself, else it is told why it should not.
std::string farewell(std::uint16_t code, const std::string& reason) {
  if (reason.starts_with(retry_reason)) return "retry: " + reason.substr(retry_reason.size()) + "\n\n";
  return "event: closed\ndata: {\"code\":" + std::to_string(code) + ",\"reason\":\"" + reason + "\"}\n\n";
}

}  // namespace

event_stream::event_stream(asio::any_io_executor executor, socket_handler& handler, std::uint64_t id, principal who)
    : executor_{std::move(executor)}, handler_{handler}, id_{id}, timer_{executor_}, caller_{std::move(who)} {}

asio::awaitable<void> event_stream::serve(exchange& peer) {
  for (;;) {
    auto [text, last] = take();
    if (text.empty() && !last) {
      timer_.expires_after(comment_every);
      const auto [woken] = co_await timer_.async_wait(quietly);
      if (woken) continue;
      text = ":\n\n";
    }
    const bool there = co_await peer.write("text/event-stream", text);
    if (last || !there) co_return;
  }
}

event_stream::due event_stream::take() {
  const std::lock_guard lock{mutex_};
  due out;
  for (const auto& text : queue_) out.text.append("data: ").append(*text).append("\n\n");
  queue_.clear();
  overflowed_ = false;
  if (farewell_) {
    out.text += *farewell_;
    out.last = true;
  }
  return out;
}

/// Posted, so that it comes before the wait has begun, and then the queue is seen, or during it.
void event_stream::wake() {
  asio::post(executor_, [self = shared_from_this()] { self->timer_.cancel(); });
}

void event_stream::send(std::shared_ptr<const std::string> text) {
  const std::lock_guard lock{mutex_};
  if (farewell_) return;
  if (queue_.size() < waiting_max) {
    queue_.push_back(std::move(text));
    return wake();
  }
  queue_.clear();
  if (overflowed_) return close_locked(close_slow_reader, "too slow");
  overflowed_ = true;
  asio::post(executor_, [self = shared_from_this()] { self->handler_.overflowed(self); });
}

void event_stream::close(std::uint16_t code, std::string reason) {
  const std::lock_guard lock{mutex_};
  close_locked(code, reason);
}

void event_stream::close_locked(std::uint16_t code, const std::string& reason) {
  if (farewell_) return;
  queue_.clear();
  farewell_ = farewell(code, reason);
  wake();
}

std::optional<principal> event_stream::caller() const {
  const std::lock_guard lock{mutex_};
  return caller_;
}

void event_stream::identify(principal who) {
  const std::lock_guard lock{mutex_};
  caller_ = std::move(who);
}

}  // namespace usher::http
