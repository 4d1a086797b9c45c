// Compiled once, as Beast takes long to compile.

#include "tests/client.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include <algorithm>
#include <exception>
#include <optional>

namespace usher::tests {

namespace asio = boost::asio;
namespace beast = boost::beast;

namespace {

/// Asks one request after the other on one connection.
asio::awaitable<answer> ask_on(beast::tcp_stream& stream, beast::flat_buffer& buffer, const request& r) {
  beast::http::request<beast::http::string_body> message{beast::http::string_to_verb(r.method), r.path, 11, r.body};
  message.set(beast::http::field::host, "localhost");
  if (!r.token.empty()) message.set(beast::http::field::authorization, "Bearer " + r.token);
  if (!r.body.empty()) message.set(beast::http::field::content_type, "application/json");
  for (const auto& [name, value] : r.headers) message.set(name, value);
  message.prepare_payload();
  stream.expires_after(patience);
  co_await beast::http::async_write(stream, message, asio::use_awaitable);
  beast::http::response_parser<beast::http::string_body> parser;
  parser.body_limit(64 * 1024 * 1024);
  co_await beast::http::async_read(stream, buffer, parser, asio::use_awaitable);
  auto read = parser.release();
  answer a{read.result_int(), std::move(read.body()), {}, 0};
  for (const auto& field : read.base()) a.headers.emplace_back(field.name_string(), field.value());
  co_return a;
}

}  // namespace

std::string answer::header(std::string_view name) const {
  const auto found = std::ranges::find_if(headers, [&](const auto& h) { return beast::iequals(h.first, name); });
  return found == headers.end() ? std::string{} : found->second;
}

struct client::impl {
  asio::io_context io;
  beast::tcp_stream stream{io};
  beast::flat_buffer buffer;
};

client::client(std::uint16_t port) : impl_{std::make_unique<impl>()} { impl_->stream.connect({asio::ip::address_v4::loopback(), port}); }
client::~client() = default;

answer client::ask(const request& r) {
  auto asked = asio::co_spawn(impl_->io, ask_on(impl_->stream, impl_->buffer, r), asio::use_future);
  impl_->io.restart();
  impl_->io.run();
  return asked.get();
}

answer client::post(std::string path, std::string body, std::string token, std::string idempotency_key) {
  request r{"POST", std::move(path), std::move(body), std::move(token), {}};
  if (!idempotency_key.empty()) r.headers.emplace_back("Idempotency-Key", std::move(idempotency_key));
  return ask(r);
}

std::vector<answer> at_once(std::uint16_t port, std::size_t connections, const std::vector<request>& requests) {
  struct line {
    explicit line(asio::io_context& io) : stream{io} {}
    beast::tcp_stream stream;
    beast::flat_buffer buffer;
  };
  asio::io_context io{1};
  std::vector<std::unique_ptr<line>> lines;
  for (std::size_t i = 0; i < std::min(connections, requests.size()); ++i) {
    lines.push_back(std::make_unique<line>(io));
    lines.back()->stream.connect({asio::ip::address_v4::loopback(), port});
  }
  std::vector<answer> answers(requests.size());
  std::size_t order = 0;
  std::exception_ptr failed;
  const auto work = [&](std::size_t first) -> asio::awaitable<void> {
    auto& l = *lines[first];
    for (auto i = first; i < requests.size(); i += lines.size()) {
      answers[i] = co_await ask_on(l.stream, l.buffer, requests[i]);
      answers[i].order = order++;
    }
  };
  for (std::size_t i = 0; i < lines.size(); ++i)
    asio::co_spawn(io, work(i), [&failed](std::exception_ptr e) { if (e) failed = e; });
  io.run();
  if (failed) std::rethrow_exception(failed);
  return answers;
}

struct watcher::impl {
  asio::io_context io;
  beast::websocket::stream<beast::tcp_stream> stream{io};
};

watcher::watcher(std::uint16_t port, const std::string& token) : impl_{std::make_unique<impl>()} {
  namespace ws = beast::websocket;
  beast::get_lowest_layer(impl_->stream).connect({asio::ip::address_v4::loopback(), port});
  impl_->stream.set_option(ws::stream_base::decorator([token](ws::request_type& r) {
    r.set(beast::http::field::sec_websocket_protocol, "usher.v1");
    r.set(beast::http::field::authorization, "Bearer " + token);
  }));
  impl_->stream.handshake("localhost", "/ws");
}
watcher::~watcher() = default;

void watcher::send(const std::string& text) { impl_->stream.write(asio::buffer(text)); }

void watcher::subscribe(const std::string& channel) {
  send(boost::json::serialize(boost::json::object{{"op", "subscribe"}, {"channel", channel}}));
}

boost::json::object watcher::read() {
  beast::flat_buffer buffer;
  std::optional<boost::system::error_code> done;  // not a future, whose handler another thread may call
  impl_->stream.async_read(buffer, [&done](boost::system::error_code failed, std::size_t) { done = failed; });
  impl_->io.restart();
  impl_->io.run_for(patience);
  if (!done) {
    beast::get_lowest_layer(impl_->stream).cancel();
    impl_->io.run();
    throw std::runtime_error("nothing was said on the WebSocket");
  }
  if (*done) throw boost::system::system_error{*done};
  return boost::json::parse(beast::buffers_to_string(buffer.data())).as_object();
}

std::uint16_t watcher::closed_with() {
  try {
    for (;;) read();
  } catch (const boost::system::system_error&) {
    return impl_->stream.reason().code;
  }
}

}  // namespace usher::tests
