#pragma once
// Reads server-sent events over a real socket.

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "tests/client.hpp"

namespace usher::tests {

/// GET /queue/stream, event by event.
class event_reader {
 public:
  event_reader(std::uint16_t port, const std::string& query) {
    socket_.connect({boost::asio::ip::address_v4::loopback(), port});
    const timeval limit{std::chrono::seconds{patience}.count(), 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    boost::asio::write(socket_, boost::asio::buffer("GET /queue/stream" + query + " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    head_ = until("\r\n\r\n");
  }
  [[nodiscard]] const std::string& head() const { return head_; }
  /// The data of the next event, or what else it says.
  std::string next() {
    const auto event = until("\n\n");
    const auto at = event.find("data: ");
    return event.substr(at == std::string::npos ? event.rfind("\r\n") + 2 : at + 6);
  }
  boost::json::object next_place() {
    for (;;) {
      const auto said = boost::json::parse(next()).as_object();
      if (said.at("op") != "room") return said.at("data").as_object();
    }
  }
  /// Whether the answer ends here, as a whole.
  bool ends() { return until("0\r\n\r\n").find("data") == std::string::npos; }

 private:
  std::string until(const std::string& mark) {
    for (;;) {
      if (const auto at = seen_.find(mark); at != std::string::npos) {
        auto out = seen_.substr(0, at);
        seen_.erase(0, at + mark.size());
        return out;
      }
      char piece[4096];
      const auto got = ::recv(socket_.native_handle(), piece, sizeof piece, 0);
      if (got <= 0) throw std::runtime_error("the stream ended or said nothing; left: " + seen_);
      seen_.append(piece, static_cast<std::size_t>(got));
    }
  }
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_{io_};
  std::string head_, seen_;
};

}  // namespace usher::tests
