// Beast for the coroutines, raw epoll for the closed loop.
#include "bench/client.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <deque>
#include <system_error>
#include <utility>

namespace usher::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using clock = std::chrono::steady_clock;
using boost::system::error_code;

constexpr rlim_t file_limit_wanted = 262'144;
constexpr auto request_timeout = std::chrono::seconds(35);  // above the longest wait that the interface allows (30 s)

auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

std::vector<tcp::endpoint> resolve(asio::io_context& io, const endpoint& server, error_code& error) {
  std::vector<tcp::endpoint> found;
  tcp::resolver resolver{io};
  for (const auto& entry : resolver.resolve(server.host, std::to_string(server.port), error)) found.push_back(entry);
  return found;
}

std::string_view header_of(const http::response<http::string_body>& response, std::string_view name) {
  const auto field = response.find(beast::string_view{name.data(), name.size()});
  if (field == response.end()) return {};
  return {field->value().data(), field->value().size()};
}

template <class Number>
Number number_in(std::string_view text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

struct connection_pool::impl {
  struct connection {
    explicit connection(asio::io_context& io) : stream(io) {}
    beast::tcp_stream stream;
    beast::flat_buffer buffer;
    bool open = false;
  };

  asio::io_context& io;
  endpoint server;
  std::vector<tcp::endpoint> addresses;
  std::string unresolved;  // why there are no addresses
  std::string host_header;
  std::size_t unopened;    // connections that may still be made
  std::deque<std::unique_ptr<connection>> idle;
  struct waiter {
    asio::steady_timer woken;
    std::unique_ptr<connection> handed;
  };
  std::deque<waiter*> waiting;

  asio::awaitable<std::unique_ptr<connection>> acquire();
  void release(std::unique_ptr<connection> done);
  asio::awaitable<http_reply> exchange(connection& via, const http_request& request);
  asio::awaitable<error_code> open(connection& via);
};

asio::awaitable<std::unique_ptr<connection_pool::impl::connection>> connection_pool::impl::acquire() {
  if (!idle.empty()) {
    auto free = std::move(idle.back());  // the one used last is the least likely to have been closed
    idle.pop_back();
    co_return free;
  }
  if (unopened > 0) {
    --unopened;
    co_return std::make_unique<connection>(io);
  }
  waiter self{asio::steady_timer{io, clock::time_point::max()}, nullptr};
  waiting.push_back(&self);
  error_code cancelled;
  co_await self.woken.async_wait(into(cancelled));
  co_return std::move(self.handed);
}

// Handed over directly, so that nobody who comes between the wake-up and the resumption can take it.
void connection_pool::impl::release(std::unique_ptr<connection> done) {
  if (waiting.empty()) {
    idle.push_back(std::move(done));
    return;
  }
  auto* next = waiting.front();
  waiting.pop_front();
  next->handed = std::move(done);
  next->woken.cancel();
}

asio::awaitable<error_code> connection_pool::impl::open(connection& via) {
  error_code error;
  via.buffer.clear();
  via.stream.close();
  via.stream.expires_after(request_timeout);
  co_await via.stream.async_connect(addresses, into(error));
  if (!error) via.stream.socket().set_option(tcp::no_delay(true), error);
  via.open = !error;
  co_return error;
}

asio::awaitable<http_reply> connection_pool::impl::exchange(connection& via, const http_request& request) {
  http::request<http::string_body> message{request.method, request.target, 11};
  message.set(http::field::host, host_header);
  for (const auto& [name, value] : request.fields) message.set(name, value);
  if (!request.body.empty()) message.set(http::field::content_type, "application/json");
  message.body() = request.body;
  message.prepare_payload();

  http_reply reply;
  error_code error;
  http::response_parser<http::string_body> parser;
  parser.body_limit(std::uint64_t{64} << 20);
  via.stream.expires_at(std::min(clock::now() + request_timeout, request.give_up));
  co_await http::async_write(via.stream, message, into(error));
  if (!error) co_await http::async_read(via.stream, via.buffer, parser, into(error));
  if (error) {
    via.open = false;
    reply.body = error.message();
    co_return reply;
  }
  auto& response = parser.get();
  via.open = response.keep_alive();
  reply.status = response.result_int();
  reply.log_position = header_of(response, "Log-Position");
  reply.etag = header_of(response, "ETag");
  reply.retry_after_s = number_in<unsigned>(header_of(response, "Retry-After"));
  reply.body = std::move(response.body());
  co_return reply;
}

connection_pool::connection_pool(asio::io_context& io, endpoint server, std::size_t connections)
    : impl_(std::make_unique<impl>(impl{io, std::move(server), {}, {}, {}, std::max<std::size_t>(connections, 1), {}, {}})) {
  error_code error;
  impl_->addresses = resolve(io, impl_->server, error);
  if (error) impl_->unresolved = error.message();
  impl_->host_header = impl_->server.host + ":" + std::to_string(impl_->server.port);
}

connection_pool::~connection_pool() = default;

asio::awaitable<http_reply> connection_pool::send(http_request request) {
  http_reply reply;
  reply.body = impl_->unresolved;
  if (impl_->addresses.empty()) co_return reply;
  auto via = co_await impl_->acquire();
  const bool reused = via->open;
  if (reused) reply = co_await impl_->exchange(*via, request);
  if (reply.status == 0 && clock::now() < request.give_up) {
    const auto error = co_await impl_->open(*via);
    if (error) {
      reply.body = error.message();
    } else {
      reply = co_await impl_->exchange(*via, request);
    }
  }
  impl_->release(std::move(via));
  co_return reply;
}

struct websocket_client::impl {
  explicit impl(asio::io_context& context) : io(context), stream(context) {}
  asio::io_context& io;
  websocket::stream<beast::tcp_stream> stream;
  beast::flat_buffer buffer;
};

websocket_client::websocket_client(asio::io_context& io) : impl_(std::make_unique<impl>(io)) {}
websocket_client::~websocket_client() = default;
websocket_client::websocket_client(websocket_client&&) noexcept = default;
websocket_client& websocket_client::operator=(websocket_client&&) noexcept = default;

asio::awaitable<bool> websocket_client::connect(endpoint server, std::string token, clock::time_point deadline) {
  error_code error;
  const auto addresses = resolve(impl_->io, server, error);
  if (error) co_return false;
  auto& lowest = beast::get_lowest_layer(impl_->stream);
  lowest.expires_at(deadline);
  co_await lowest.async_connect(addresses, into(error));
  if (error) co_return false;
  impl_->stream.set_option(websocket::stream_base::decorator([token](websocket::request_type& request) {
    request.set(http::field::authorization, "Bearer " + token);
    request.set(http::field::sec_websocket_protocol, "usher.v1");
  }));
  const std::string host = server.host + ":" + std::to_string(server.port);
  co_await impl_->stream.async_handshake(host, "/ws", into(error));
  co_return !error;
}

asio::awaitable<bool> websocket_client::send(std::string message) {
  error_code error;
  co_await impl_->stream.async_write(asio::buffer(message), into(error));
  co_return !error;
}

asio::awaitable<std::optional<std::string>> websocket_client::receive() {
  error_code error;
  impl_->buffer.clear();
  co_await impl_->stream.async_read(impl_->buffer, into(error));
  if (error) co_return std::nullopt;
  co_return beast::buffers_to_string(impl_->buffer.data());
}

struct event_source::impl {
  explicit impl(asio::io_context& context) : io(context), stream(context) {}
  asio::io_context& io;
  beast::tcp_stream stream;
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  std::string unread;  // of the body, from the first event that was not given out

  asio::awaitable<error_code> read_some();
  std::optional<std::string> next();
};

// Takes the body out of the parser as it comes: the stream has no end, and nobody needs what has been read. The parser isn't
// eager, since an eager one would want to see the next chunk before it gives out this one.
asio::awaitable<error_code> event_source::impl::read_some() {
  error_code error;
  co_await http::async_read_some(stream, buffer, parser, into(error));
  auto& body = parser.get().body();
  unread += body;
  body.clear();
  co_return error;
}

std::optional<std::string> event_source::impl::next() {
  for (auto end = unread.find("\n\n"); end != std::string::npos; end = unread.find("\n\n")) {
    const std::string event = unread.substr(0, end + 1);
    unread.erase(0, end + 2);
    std::string data;
    for (std::size_t line = 0; line < event.size();) {
      const auto stop = event.find('\n', line);
      if (event.compare(line, 6, "data: ") == 0) data.append(event, line + 6, stop - line - 6);
      line = stop + 1;
    }
    if (!data.empty()) return data;  // else a comment, or advice for browsers
  }
  return std::nullopt;
}

event_source::event_source(asio::io_context& io) : impl_(std::make_unique<impl>(io)) {}
event_source::~event_source() = default;
event_source::event_source(event_source&&) noexcept = default;
event_source& event_source::operator=(event_source&&) noexcept = default;

asio::awaitable<http_reply> event_source::connect(endpoint server, std::string target, clock::time_point deadline) {
  http_reply reply;
  error_code error;
  const auto addresses = resolve(impl_->io, server, error);
  if (error) co_return reply;
  impl_->stream.expires_at(deadline);
  co_await impl_->stream.async_connect(addresses, into(error));
  if (error) co_return reply;
  http::request<http::empty_body> request{http::verb::get, target, 11};
  request.set(http::field::host, server.host + ":" + std::to_string(server.port));
  request.set(http::field::accept, "text/event-stream");
  impl_->parser.body_limit(boost::none);
  co_await http::async_write(impl_->stream, request, into(error));
  if (!error) co_await http::async_read_header(impl_->stream, impl_->buffer, impl_->parser, into(error));
  if (error) co_return reply;
  reply.status = impl_->parser.get().result_int();
  while (reply.status != 200 && !error && !impl_->parser.is_done()) error = co_await impl_->read_some();
  if (reply.status != 200) reply.body = std::move(impl_->unread);
  co_return reply;
}

asio::awaitable<std::optional<std::string>> event_source::receive() {
  for (;;) {
    auto event = impl_->next();
    if (event || impl_->parser.is_done()) co_return event;
    const auto error = co_await impl_->read_some();
    if (error && impl_->unread.empty()) co_return std::nullopt;
    if (error) {
      event = impl_->next();
      impl_->unread.clear();
      co_return event;
    }
  }
}

http_reply read_lines(const endpoint& server, const std::string& target, const headers& fields,
                      const std::function<bool(std::string_view line)>& on_line) {
  const auto broken = [](const error_code& e) { return http_reply{0, e.message(), {}, 0, {}}; };
  asio::io_context io{1};
  beast::tcp_stream stream{io};
  error_code error;
  const auto addresses = resolve(io, server, error);
  if (!error) stream.connect(addresses, error);
  if (error) return broken(error);
  http::request<http::empty_body> request{http::verb::get, target, 11};
  request.set(http::field::host, server.host + ":" + std::to_string(server.port));
  for (const auto& [name, value] : fields) request.set(name, value);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  http::write(stream, request, error);
  if (!error) http::read_header(stream, buffer, parser, error);
  if (error) return broken(error);
  http_reply reply;
  reply.status = static_cast<int>(parser.get().result_int());
  std::string unread;
  while (!parser.is_done()) {
    http::read_some(stream, buffer, parser, error);
    if (error) return broken(error);
    unread += std::exchange(parser.get().body(), {});
    if (reply.status != 200) continue;
    std::size_t from = 0;
    for (auto end = unread.find('\n'); end != std::string::npos; from = end + 1, end = unread.find('\n', from))
      if (!on_line(std::string_view{unread}.substr(from, end - from))) return reply;
    unread.erase(0, from);
  }
  if (reply.status != 200) reply.body = std::move(unread);
  else if (!unread.empty()) on_line(unread);
  return reply;
}

std::string wire_bytes(const http_request& request) {
  const auto method = http::to_string(request.method);
  std::string bytes{method.data(), method.size()};
  bytes += " " + request.target + " HTTP/1.1\r\nHost: bench\r\n";
  for (const auto& [name, value] : request.fields) bytes += name + ": " + value + "\r\n";
  if (!request.body.empty()) bytes += "Content-Type: application/json\r\n";
  if (!request.body.empty() || request.method == http::verb::post) bytes += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return bytes + "\r\n" + request.body;
}

namespace {

struct raw_answer {
  int status = 0;
  std::size_t head = 0;  // bytes up to the body
  std::size_t body = 0;
};

bool same_letters(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b;
         });
}

// Servers under test answer with a Content-Length; a chunked answer counts as a broken connection and so can't go unseen.
std::optional<raw_answer> parse_head(std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos || bytes.size() < 12) return std::nullopt;
  raw_answer answer;
  answer.status = number_in<int>(bytes.substr(9, 3));
  answer.head = end + 4;
  for (auto at = bytes.find("\r\n"); at < end;) {
    const auto next = bytes.find("\r\n", at + 2);
    const auto line = bytes.substr(at + 2, next - at - 2);
    if (line.size() > 15 && same_letters(line.substr(0, 15), "content-length:")) {
      const auto value = line.find_first_not_of(' ', 15);
      answer.body = value == std::string_view::npos ? 0 : number_in<std::size_t>(line.substr(value));
    } else if (line.size() > 18 && same_letters(line.substr(0, 18), "transfer-encoding:")) {
      answer.status = 0;
    }
    at = next;
  }
  return answer;
}

class closed_loop {
 public:
  closed_loop(const load& what, const request_source& source) : what_(what), source_(source), epoll_(::epoll_create1(0)) {
    if (epoll_ < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
    buffer_.resize(std::size_t{256} << 10);
  }
  ~closed_loop() {
    for (auto& peer : peers_) {
      if (peer.socket >= 0) ::close(peer.socket);
    }
    ::close(epoll_);
  }
  closed_loop(const closed_loop&) = delete;
  closed_loop& operator=(const closed_loop&) = delete;

  load_result run() {
    for (std::size_t i = 0; i < what_.connections; ++i) connect();
    const auto start = clock::now();
    stop_ = what_.at_most.count() > 0 ? start + what_.at_most : clock::time_point::max();
    last_ = start;
    for (std::size_t i = 0; i < peers_.size(); ++i) next_request(i);
    while (in_flight_ > 0 && wait_once()) {}
    result_.by_status[0] += in_flight_;  // a minute without any answer: what is still out is lost
    if (result_.by_status[0] == 0) result_.by_status.erase(0);
    result_.seconds = std::chrono::duration<double>(last_ - start).count();
    return std::move(result_);
  }

 private:
  struct peer {
    int socket = -1;
    std::string request, received;
    clock::time_point sent;
    raw_answer expected;
    bool head_known = false;
    bool waits = false;  // for an answer
  };

  void connect() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(what_.server.port);
    if (::inet_pton(AF_INET, what_.server.host.c_str(), &address.sin_addr) != 1)
      throw std::system_error(EINVAL, std::system_category(), what_.server.host);
    auto& added = peers_.emplace_back();
    added.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (added.socket < 0 || ::connect(added.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::system_error(errno, std::system_category(), "connect to port " + std::to_string(what_.server.port));
    const int on = 1;
    ::setsockopt(added.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.u64 = peers_.size() - 1;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, added.socket, &interest);
  }

  // The socket blocks on writing: a request is far smaller than a socket buffer that has just been drained.
  void next_request(std::size_t index) {
    auto& peer = peers_[index];
    peer.received.clear();
    peer.head_known = false;
    if (clock::now() >= stop_ || !source_(index, peer.request)) return;
    peer.sent = clock::now();
    ++in_flight_;
    peer.waits = true;
    std::string_view rest = peer.request;
    while (!rest.empty()) {
      const auto written = ::send(peer.socket, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (written < 0) return broken(peer);
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  bool wait_once() {
    std::array<epoll_event, 128> ready;
    const int count = ::epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), 60'000);
    if (count < 0 && errno == EINTR) return true;
    for (int i = 0; i < count; ++i) receive(ready[static_cast<std::size_t>(i)].data.u64);
    return count > 0;
  }

  void receive(std::size_t index) {
    auto& peer = peers_[index];
    const auto got = ::recv(peer.socket, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return broken(peer);
    peer.received.append(buffer_.data(), static_cast<std::size_t>(got));
    if (!peer.head_known) {
      const auto head = parse_head(peer.received);
      if (!head) return;
      peer.expected = *head;
      peer.head_known = true;
    }
    if (peer.expected.status == 0) return broken(peer);
    if (peer.received.size() < peer.expected.head + peer.expected.body) return;
    answered(peer);
    next_request(index);
  }

  void answered(peer& from) {
    last_ = clock::now();
    from.waits = false;
    --in_flight_;
    ++result_.by_status[from.expected.status];
    if (from.expected.status / 100 == 2) {
      result_.latency.record(std::chrono::duration_cast<std::chrono::microseconds>(last_ - from.sent).count());
      result_.body_bytes = from.expected.body;
    } else if (result_.first_refusal.empty()) {
      result_.first_refusal = from.received.substr(from.expected.head);
    }
  }

  void broken(peer& lost) {
    if (std::exchange(lost.waits, false)) {
      --in_flight_;
      ++result_.by_status[0];
    }
    ::close(lost.socket);  // leaves the epoll set by itself
    lost.socket = -1;
  }

  const load& what_;
  const request_source& source_;
  int epoll_;
  std::vector<peer> peers_;
  std::string buffer_;
  std::size_t in_flight_ = 0;
  clock::time_point stop_, last_;
  load_result result_;
};

}  // namespace

load_result run_closed_loop(const load& what, const request_source& source) { return closed_loop{what, source}.run(); }

std::size_t raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlimit more{file_limit_wanted, std::max<rlim_t>(limit.rlim_max, file_limit_wanted)};
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &more) != 0) ::setrlimit(RLIMIT_NOFILE, &limit);  // only root goes beyond the hard limit
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace usher::bench
