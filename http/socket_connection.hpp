#pragma once
// The WebSocket side of a session: one reader, one writer, and a bounded queue between the handler and the writer.

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <deque>
#include <mutex>
#include <optional>

#include "http/session.hpp"

namespace usher::http {

class socket_connection final : public connection, public std::enable_shared_from_this<socket_connection> {
 public:
  using upgrade_request = boost::beast::http::request<boost::beast::http::empty_body>;

  socket_connection(std::shared_ptr<server::core>, stream_socket, session_deadline,
                    std::optional<principal>);

  /// Accepts the upgrade; on the connection's thread. @return false where the peer is gone
  asio::awaitable<bool> accept(upgrade_request, bool with_subprotocol);
  /// Serves until the connection ends; on the connection's thread. What waits here costs memory for each who waits in a queue.
  asio::awaitable<void> run();
  /// Ends the connection at once; on the connection's thread.
  void cut();

  void send(std::shared_ptr<const std::string> text) override;
  void close(std::uint16_t code, std::string reason) override;
  [[nodiscard]] std::optional<principal> caller() const override;
  void identify(principal) override;
  [[nodiscard]] std::uint64_t id() const override { return id_; }

 private:
  asio::awaitable<void> read_all();
  asio::awaitable<void> write_all();
  static asio::awaitable<void> write_while_alive(std::shared_ptr<socket_connection> self);
  void wake_writer();  // with mutex_ held
  void close_locked(std::uint16_t code, std::string reason);

  const std::shared_ptr<server::core> core_;
  const session_deadline deadline_ticks_;  // set with a close, for the writer may hang on a peer that doesn't read
  const std::uint64_t id_;
  boost::beast::websocket::stream<stream_socket, false> stream_;
  const stream_executor executor_{stream_.get_executor()};
  boost::beast::flat_buffer incoming_;

  mutable std::mutex mutex_;  // of everything below
  std::deque<std::shared_ptr<const std::string>> queue_;
  std::optional<boost::beast::websocket::close_reason> closing_;
  std::optional<principal> caller_;
  bool writing_ = false;     // a writer runs
  bool overflowed_ = false;  // since the queue was last empty
  bool done_ = false;
};

}  // namespace usher::http
