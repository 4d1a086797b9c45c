// How a WebSocket is read, written and closed.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/websocket.hpp>

#include "http/quietly.hpp"
#include "http/socket_connection.hpp"

namespace usher::http {

namespace beast = boost::beast;
namespace ws = boost::beast::websocket;

namespace {

constexpr std::chrono::milliseconds close_grace{3000};  // how long a peer may take to answer a close
constexpr std::size_t reason_bytes_max = 123;           // RFC 6455, 5.5

}  // namespace

socket_connection::socket_connection(std::shared_ptr<server::core> core, stream_socket socket, session_deadline deadline_ticks, std::optional<principal> caller)
    : core_{std::move(core)}, deadline_ticks_{std::move(deadline_ticks)}, id_{++core_->connection_ids}, stream_{std::move(socket)},
      caller_{std::move(caller)} {}

asio::awaitable<bool> socket_connection::accept(upgrade_request request, bool with_subprotocol) {
  const auto& limits = core_->settings.websocket;
  stream_.set_option(ws::stream_base::timeout{core_->settings.header_timeout, limits.idle_timeout, true});
  if (with_subprotocol) {
    stream_.set_option(ws::stream_base::decorator([name = limits.subprotocol](ws::response_type& answer) {
      answer.set(beast::http::field::sec_websocket_protocol, name);
    }));
  }
  stream_.read_message_max(limits.message_bytes_max);
  stream_.text(true);
  const auto [failed] = co_await stream_.async_accept(request, quietly);
  co_return !failed;
}

asio::awaitable<void> socket_connection::run() {
  auto& handler = *core_->parts.sockets;
  const std::shared_ptr<connection> self = shared_from_this();
  core_->parts.metrics.websocket_opened();
  handler.opened(self);
  co_await read_all();
  {
    const std::lock_guard lock{mutex_};
    done_ = true;
    queue_.clear();
  }
  cut();
  handler.closed(self);
  core_->parts.metrics.websocket_closed();
}

void socket_connection::cut() {
  boost::system::error_code ignored;
  beast::get_lowest_layer(stream_).close(ignored);
}

asio::awaitable<void> socket_connection::read_all() {
  const std::shared_ptr<connection> self = shared_from_this();
  auto window_start = std::chrono::steady_clock::now();
  std::size_t in_window = 0;
  for (;;) {
    const auto [failed, size] = co_await stream_.async_read(incoming_, quietly);
    if (failed) co_return;
    {
      const std::lock_guard lock{mutex_};
      if (closing_) {  // only the peer's answer to the close is waited for
        incoming_.consume(size);
        continue;
      }
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - window_start >= std::chrono::seconds{1}) {
      window_start = now;
      in_window = 0;
    }
    if (++in_window > core_->settings.websocket.messages_per_second) {
      close(close_too_many_messages, "too many messages");
    } else if (!stream_.got_text()) {
      close(close_bad_message, "text messages only");
    } else {
      core_->parts.sockets->message(self, {static_cast<const char*>(incoming_.data().data()), size});
    }
    incoming_.consume(size);
  }
}

asio::awaitable<void> socket_connection::write_all() {
  for (;;) {
    std::shared_ptr<const std::string> next;
    std::optional<ws::close_reason> closing;
    {
      const std::lock_guard lock{mutex_};
      closing = closing_;
      if (done_ || (!closing && queue_.empty())) {
        writing_ = false;
        overflowed_ = false;
        co_return;
      }
      if (!closing) {
        next = std::move(queue_.front());
        queue_.pop_front();
      }
    }
    if (closing) {
      co_await stream_.async_close(*closing, quietly);
      co_return;
    }
    const auto [failed, written] = co_await stream_.async_write(asio::buffer(*next), quietly);
    if (failed) co_return;  // the reader sees it too and ends the connection; `writing_` stays, so nothing is written any more
  }
}

asio::awaitable<void> socket_connection::write_while_alive(std::shared_ptr<socket_connection> self) { co_await self->write_all(); }

void socket_connection::wake_writer() {
  if (writing_) return;
  writing_ = true;
  // Posted, for on the connection's thread the writer would begin at once, and wait for the mutex that is held here.
  asio::post(executor_, [self = shared_from_this()] { asio::co_spawn(self->executor_, write_while_alive(self), asio::detached); });
}

void socket_connection::send(std::shared_ptr<const std::string> text) {
  const std::lock_guard lock{mutex_};
  if (done_ || closing_) return;
  if (queue_.size() < core_->settings.websocket.queue_messages_max) {
    queue_.push_back(std::move(text));
    wake_writer();
    return;
  }
  queue_.clear();
  if (overflowed_) {
    close_locked(close_slow_reader, "too slow");
    return;
  }
  overflowed_ = true;
  asio::post(executor_, [self = shared_from_this()] { self->core_->parts.sockets->overflowed(self); });
}

void socket_connection::close(std::uint16_t code, std::string reason) {
  const std::lock_guard lock{mutex_};
  close_locked(code, std::move(reason));
}

void socket_connection::close_locked(std::uint16_t code, std::string reason) {
  if (done_ || closing_) return;
  if (reason.size() > reason_bytes_max) reason.resize(reason_bytes_max);
  closing_.emplace(static_cast<ws::close_code>(code), reason);
  queue_.clear();
  *deadline_ticks_ = core_->now_ticks + core_->ticks(close_grace);
  wake_writer();
}

std::optional<principal> socket_connection::caller() const {
  const std::lock_guard lock{mutex_};
  return caller_;
}

void socket_connection::identify(principal who) {
  const std::lock_guard lock{mutex_};
  caller_ = std::move(who);
}

}  // namespace usher::http
