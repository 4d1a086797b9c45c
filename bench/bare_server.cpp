// A keep-alive Beast server by callbacks, the cheapest form that Beast has, so that ratios to it don't flatter.
#include "bench/bare_server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace usher::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::size_t usual_body_bytes = 256;
constexpr std::size_t body_bytes_max = std::size_t{1} << 20;

std::size_t wanted_bytes(beast::string_view header) {
  std::size_t bytes = usual_body_bytes;
  std::from_chars(header.data(), header.data() + header.size(), bytes);
  return std::min(bytes, body_bytes_max);
}

std::string constant_body(std::size_t bytes) {
  const std::string_view frame = R"({"constant":""})";
  std::string body = R"({"constant":")";
  body.append(bytes > frame.size() ? bytes - frame.size() : 0, 'x');
  return body + R"("})";
}

class session : public std::enable_shared_from_this<session> {
 public:
  explicit session(tcp::socket socket) : socket_(std::move(socket)) {
    answer_.set(http::field::content_type, "application/json");
    prepare(usual_body_bytes);
  }

  void read() {
    request_.emplace();
    http::async_read(socket_, buffer_, *request_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) self->answer();
    });
  }

 private:
  void prepare(std::size_t bytes) {
    answer_.body() = constant_body(bytes);
    answer_.prepare_payload();
    bytes_ = bytes;
  }

  void answer() {
    const auto& request = request_->get();
    answer_.result(request.count(http::field::authorization) ? http::status::ok : http::status::unauthorized);
    answer_.keep_alive(request.keep_alive());
    if (const auto header = request.find("Answer-Bytes"); header != request.end()) {
      if (const auto bytes = wanted_bytes(header->value()); bytes != bytes_) prepare(bytes);
    }
    http::async_write(socket_, answer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error && self->answer_.keep_alive()) self->read();
    });
  }

  tcp::socket socket_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> request_;
  http::response<http::string_body> answer_;
  std::size_t bytes_ = 0;
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code error, tcp::socket socket) {
    if (!acceptor.is_open()) return;
    if (!error) {
      beast::error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      std::make_shared<session>(std::move(socket))->read();
    }
    accept(acceptor);
  });
}

}  // namespace

int run_bare_server(std::uint16_t port) try {
  asio::io_context io{1};
  tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), port}};
  asio::signal_set signals{io, SIGINT, SIGTERM};
  signals.async_wait([&io](beast::error_code, int) { io.stop(); });
  accept(acceptor);
  io.run();
  return 0;
} catch (const boost::system::system_error& error) {
  std::fprintf(stderr, "bare-server: %s\n", error.what());
  return 1;
}

}  // namespace usher::bench
