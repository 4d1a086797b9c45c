// The HTTP and WebSocket machinery as a client on a real socket sees it, without anything of tickets.
#include <catch2/catch.hpp>

#include <stdlib.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/parse.hpp>

#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "http/problem.hpp"
#include "http/server.hpp"
#include "tests/support.hpp"

namespace {

namespace http = usher::http;
namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using namespace std::chrono_literals;

struct noon final : usher::wall_clock {
  usher::time_point now() const override { return usher::from_ms(1'800'000'000'000); }
};

/// Sends back what it gets; a text `flood` is answered with more messages than a queue holds, and after `deluge` so is each overflow.
struct echo final : http::socket_handler {
  std::atomic<int> opened_count{0}, closed_count{0}, overflows{0};
  std::atomic<bool> deluge{false};
  std::string caller;  // of the last one that opened

  void opened(std::shared_ptr<http::connection> c) override {
    caller = c->caller() ? c->caller()->user_id : "nobody";
    ++opened_count;
  }
  void message(const std::shared_ptr<http::connection>& c, std::string_view text) override {
    if (text == "deluge") deluge = true;
    if (text != "flood" && text != "deluge") return c->send(std::make_shared<const std::string>(text));
    const auto large = std::make_shared<const std::string>(1024, 'x');
    for (int i = 0; i < 100; ++i) c->send(large);
  }
  void overflowed(const std::shared_ptr<http::connection>& c) override {
    ++overflows;
    if (deluge) return message(c, "flood");  // what this reader watches is more than it reads
    c->send(std::make_shared<const std::string>("snapshot"));
  }
  void closed(const std::shared_ptr<http::connection>&) override { ++closed_count; }
};

/// A server on two threads, with a handful of routes. `slow` answers when the test says so.
struct world {
  usher::tests::temp_dir folder;
  noon clock;
  echo sockets;
  std::promise<void> entered;
  http::io_pool threads{2};
  asio::steady_timer gate{threads.first(), asio::steady_timer::time_point::max()};
  http::router routes{table()};
  http::metrics metrics{routes};
  std::unique_ptr<http::tokens> tokens;
  std::unique_ptr<http::server> server;
  std::uint16_t port = 0;

  explicit world(http::server_settings settings = {}) {
    tokens = std::move(http::tokens::open({folder.path + "/secret", {}, {}, 100}).value());
    server = std::make_unique<http::server>(threads, settings, http::server_parts{routes, *tokens, clock, metrics, &sockets});
    port = server->listen().value();
    threads.start([](asio::io_context& io) { io.run(); });
  }
  ~world() {
    open_gate();
    stop(2s);
    threads.finish(0s);
  }
  void open_gate() {
    asio::post(threads.first(), [this] { gate.cancel(); });
  }
  void stop(std::chrono::milliseconds deadline) {
    if (!stopped_.exchange(true)) asio::co_spawn(threads.first(), server->stop(deadline), asio::use_future).get();
  }
  std::string token(http::role role = http::role::user) const {
    http::claims c;
    c.user_id = "usr_ann";
    c.role = role;
    c.expires_at = clock.now() + 1h;
    return tokens->issue(c);
  }

 private:
  using answer = asio::awaitable<http::response>;
  std::atomic<bool> stopped_{false};

  std::vector<http::route> table() {
    const http::route_options open{.who = http::access::anyone};
    return {
        {http::method::get, "/hello/{name}", open,
         [](http::request_context& c) -> answer {
           co_return http::json_response(200, std::string{c.path_param("name")} + "|" + std::string{c.query_param("q").value_or("-")});
         }},
        {http::method::get, "/hello/world", open,
         [](http::request_context&) -> answer { co_return http::json_response(200, "the word"); }},
        {http::method::get, "/audit/{kind}/{id...}", open,
         [](http::request_context& c) -> answer {
           co_return http::json_response(200, std::string{c.path_param("kind")} + "|" + std::string{c.path_param("id")});
         }},
        {http::method::post, "/echo", open,
         [](http::request_context& c) -> answer { co_return http::json_response(200, c.body); }},
        {http::method::post, "/plan", {.body_limit_bytes = 1024 * 1024, .who = http::access::anyone, .raw_body = true},
         [](http::request_context& c) -> answer { co_return http::json_response(200, std::to_string(c.body.size())); }},
        {http::method::get, "/mine", {},
         [](http::request_context& c) -> answer { co_return http::json_response(200, c.caller->user_id); }},
        {http::method::delete_, "/mine", {.who = http::access::operator_},
         [](http::request_context&) -> answer { co_return http::no_content(); }},
        {http::method::get, "/throws", open,
         [](http::request_context&) -> answer {
           throw std::runtime_error("a defect");
           co_return http::no_content();
         }},
        {http::method::get, "/slow", open,
         [this](http::request_context&) -> answer {
           entered.set_value();
           co_await gate.async_wait(asio::as_tuple(asio::use_awaitable));
           co_return http::json_response(200, "slow");
         }},
        {http::method::get, "/large", open,
         [](http::request_context&) -> answer {
           http::response out;
           out.body = std::make_shared<const std::string>(100'000, 'L');
           co_return out;
         }},
    };
  }
};

/// One connection. Reads wait ten seconds at most.
struct client {
  asio::io_context io;
  tcp::socket socket{io};
  beast::flat_buffer buffer;
  using answer = beast::http::response<beast::http::string_body>;

  explicit client(const world& w) {
    socket.connect({asio::ip::make_address("127.0.0.1"), w.port});
    const timeval ten{10, 0};
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof ten);
  }
  void send(std::string_view text) { asio::write(socket, asio::buffer(text)); }
  answer read(bool head = false) {
    beast::http::response_parser<beast::http::string_body> parser;
    parser.skip(head);
    beast::http::read(socket, buffer, parser);
    return parser.release();
  }
  answer ask(std::string_view text) {
    send(text);
    return read();
  }
  answer get(std::string_view path, std::string_view headers = "") {
    return ask("GET " + std::string{path} + " HTTP/1.1\r\nHost: x\r\n" + std::string{headers} + "\r\n");
  }
  answer post(std::string_view path, std::string_view body, std::string_view headers = "") {
    return ask("POST " + std::string{path} + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
               std::string{headers} + "\r\n" + std::string{body});
  }
  bool at_end() {
    char byte;
    boost::system::error_code failed;
    socket.read_some(asio::buffer(&byte, 1), failed);
    return failed == asio::error::eof || failed == asio::error::connection_reset;
  }
};

std::string code_of(const client::answer& a) {
  CHECK(a[beast::http::field::content_type] == "application/problem+json");
  const auto body = boost::json::parse(a.body()).as_object();
  CHECK(body.at("status").to_number<unsigned>() == a.result_int());
  CHECK(body.at("requestId").as_string() == a["Request-Id"]);
  return std::string{body.at("code").as_string()};
}

using socket_client = beast::websocket::stream<tcp::socket&>;

/// The code that the server closes with, after whatever it still sends.
std::uint16_t code_at_close(socket_client& ws) {
  for (;;) {
    beast::flat_buffer buffer;
    boost::system::error_code failed;
    ws.read(buffer, failed);
    if (failed) return ws.reason().code;
  }
}

std::string read_text(socket_client& ws) {
  beast::flat_buffer buffer;
  ws.read(buffer);
  return beast::buffers_to_string(buffer.data());
}

}  // namespace

TEST_CASE("connections are dealt to the threads in turn, which end when nothing is left to do") {
  http::io_pool threads{2};
  auto& one = threads.next();
  auto& other = threads.next();
  CHECK(&one != &other);
  CHECK(&threads.next() == &one);
  std::promise<std::thread::id> of_one, of_other;
  threads.start([](asio::io_context& io) { io.run(); });
  asio::post(one, [&] { of_one.set_value(std::this_thread::get_id()); });
  asio::post(other, [&] { of_other.set_value(std::this_thread::get_id()); });
  CHECK(of_one.get_future().get() != of_other.get_future().get());
  CHECK(threads.finish(10s));
}

TEST_CASE("what never ends doesn't keep the threads from ending") {
  http::io_pool threads{2};
  asio::steady_timer never{threads.next(), asio::steady_timer::time_point::max()};
  never.async_wait([](auto) {});
  threads.start([](asio::io_context& io) { io.run(); });
  CHECK_FALSE(threads.finish(10ms));
}

TEST_CASE("one connection serves many requests") {
  world w;
  client c{w};
  for (int i = 0; i < 3; ++i) {
    const auto a = c.get("/v1/hello/a%20b?q=x+y%2Bz&q=second");
    CHECK(a.result_int() == 200);
    CHECK(a.body() == "a b|x y+z");
    CHECK(a[beast::http::field::date] == "Fri, 15 Jan 2027 08:00:00 GMT");
    CHECK(a.keep_alive());
  }
  CHECK(c.get("/hello/world").body() == "the word");
  CHECK(c.get("/audit/seat/shw_1/A-12").body() == "seat|shw_1/A-12");
  CHECK(c.get("/large").body() == std::string(100'000, 'L'));
  CHECK(w.server->connections() == 1);
}

TEST_CASE("pipelined requests are answered in their order") {
  world w;
  client c{w};
  std::string all;
  for (int i = 0; i < 50; ++i) all += "GET /hello/" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  all += "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}GET /hello/last HTTP/1.1\r\nHost: x\r\n\r\n";
  c.send(all);
  for (int i = 0; i < 50; ++i) CHECK(c.read().body() == std::to_string(i) + "|-");
  CHECK(c.read().body() == "{}");
  CHECK(c.read().body() == "last|-");
}

TEST_CASE("a request that comes byte by byte is the same request") {
  world w;
  client c{w};
  const std::string text = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  for (const char& byte : text) c.send({&byte, 1});
  CHECK(c.read().body() == "abcde");
}

TEST_CASE("HEAD is GET without the body") {
  world w;
  client c{w};
  c.send("HEAD /hello/you HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto a = c.read(true);
  CHECK(a.result_int() == 200);
  CHECK(a[beast::http::field::content_length] == "5");
  CHECK(c.get("/hello/you").body() == "you|-");
}

TEST_CASE("every answer names its request") {
  world w;
  client c{w};
  CHECK(c.get("/hello/you", "Request-Id: mine-1\r\n")["Request-Id"] == "mine-1");
  const auto first = std::string{c.get("/hello/you", "Request-Id: not ours\r\n")["Request-Id"]};
  CHECK(first.starts_with("req_"));
  CHECK(first != c.get("/hello/you")["Request-Id"]);
}

TEST_CASE("what isn't served is refused with its own code") {
  world w;
  client c{w};
  CHECK(code_of(c.get("/nothing")) == "not-found");
  CHECK(code_of(c.get("/hello/%zz")) == "not-found");
  CHECK(code_of(c.get("/hello/you?q=%zz")) == "invalid-request");
  const auto wrong = c.ask("DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(code_of(wrong) == "method-not-allowed");
  CHECK(wrong[beast::http::field::allow] == "POST");
  CHECK(code_of(c.ask("OPTIONS /mine HTTP/1.1\r\nHost: x\r\n\r\n")) == "method-not-allowed");
  CHECK(code_of(c.get("/throws")) == "internal");
  CHECK(code_of(client{w}.ask("GET /hello/you HTTP/1.1\r\n\r\n")) == "invalid-request");
}

TEST_CASE("a body has to be JSON where nothing else is said") {
  world w;
  CHECK(client{w}.post("/echo", "{}", "Content-Type: application/json; charset=utf-8\r\n").body() == "{}");
  CHECK(client{w}.post("/echo", "{}").body() == "{}");
  CHECK(client{w}.post("/plan", "abc", "Content-Type: text/csv\r\n").body() == "3");
  CHECK(code_of(client{w}.post("/echo", "{}", "Content-Type: text/plain\r\n")) == "unsupported-media-type");
}

TEST_CASE("a body may be as long as its route says") {
  world w;
  CHECK(client{w}.post("/echo", std::string(16 * 1024, 'x')).body().size() == 16 * 1024);
  CHECK(code_of(client{w}.post("/echo", std::string(16 * 1024 + 1, 'x'))) == "body-too-large");
  CHECK(client{w}.post("/plan", std::string(1024 * 1024, 'x')).body() == "1048576");
  CHECK(code_of(client{w}.post("/plan", std::string(1024 * 1024 + 1, 'x'))) == "body-too-large");
  std::string chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 5; ++i) chunked += "1000\r\n" + std::string(4096, 'x') + "\r\n";
  CHECK(code_of(client{w}.ask(chunked)) == "body-too-large");
}

TEST_CASE("a client that asks first is told to go on, and one that would be refused isn't") {
  world w;
  client c{w};
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(c.read().result_int() == 100);
  CHECK(c.ask("{}").body() == "{}");
  CHECK(code_of(c.ask("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n")) == "body-too-large");
}

TEST_CASE("a header that is too large is refused, and the connection ends") {
  world w;
  client c{w};
  CHECK(code_of(c.get("/hello/you", "X: " + std::string(9000, 'x') + "\r\n")) == "header-too-large");
  CHECK(c.at_end());
}

TEST_CASE("what isn't HTTP is refused, and the connection ends") {
  world w;
  for (const auto* text : {"nonsense\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\r\nHost x\r\n\r\n",
                           "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n",
                           "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}) {
    client c{w};
    INFO(text);
    const auto a = c.ask(text);
    CHECK(code_of(a) == "invalid-request");
    CHECK_FALSE(a.keep_alive());
    CHECK(c.at_end());
  }
}

TEST_CASE("a route says who may call it") {
  world w;
  client c{w};
  const auto as = [&](http::role r) { return "Authorization: Bearer " + w.token(r) + "\r\n"; };
  const auto without = c.get("/mine");
  CHECK(code_of(without) == "unauthenticated");
  CHECK(without[beast::http::field::www_authenticate] == "Bearer");
  CHECK(code_of(c.get("/mine", "Authorization: Bearer x.y.z\r\n")) == "unauthenticated");
  CHECK(c.get("/mine", as(http::role::user)).body() == "usr_ann");
  CHECK(code_of(c.ask("DELETE /mine HTTP/1.1\r\nHost: x\r\n" + as(http::role::service) + "\r\n")) == "forbidden");
  CHECK(c.ask("DELETE /mine HTTP/1.1\r\nHost: x\r\n" + as(http::role::operator_) + "\r\n").result_int() == 204);
}

TEST_CASE("a connection that sends its header too slowly, or nothing at all, is cut") {
  http::server_settings settings;
  settings.header_timeout = 40ms;
  settings.idle_timeout = 40ms;
  world w{settings};
  client silent{w}, slow{w}, idle{w};
  slow.send("GET /hello/you HTTP/1.1\r\nHo");
  CHECK(idle.get("/hello/you").result_int() == 200);
  CHECK(silent.at_end());
  CHECK(slow.at_end());
  CHECK(idle.at_end());
}

TEST_CASE("one connection more than allowed is told that it is too busy here") {
  http::server_settings settings;
  settings.connections_max = 1;
  world w{settings};
  client first{w};
  CHECK(first.get("/hello/you").result_int() == 200);
  client second{w};
  CHECK(second.read().result_int() == 503);
  CHECK(second.at_end());
  CHECK(first.get("/hello/you").result_int() == 200);
}

TEST_CASE("stopping finishes what is under way, and ends what is idle") {
  world w;
  client busy{w}, idle{w};
  CHECK(idle.get("/hello/you").result_int() == 200);
  busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  w.entered.get_future().get();
  auto stopped = std::async(std::launch::async, [&] { w.stop(10s); });
  CHECK(idle.at_end());
  w.open_gate();
  const auto a = busy.read();
  CHECK(a.body() == "slow");
  CHECK_FALSE(a.keep_alive());
  stopped.get();
  CHECK(w.server->connections() == 0);
  tcp::socket late{w.threads.first()};
  boost::system::error_code failed;
  late.connect({asio::ip::make_address("127.0.0.1"), w.port}, failed);
  CHECK(failed == asio::error::connection_refused);
}

TEST_CASE("a WebSocket speaks our subprotocol and sends back what it gets") {
  world w;
  client c{w};
  socket_client ws{c.socket};
  ws.set_option(beast::websocket::stream_base::decorator([&](beast::websocket::request_type& r) {
    r.set(beast::http::field::sec_websocket_protocol, "other, usher.v1");
    r.set(beast::http::field::authorization, "Bearer " + w.token());
  }));
  beast::websocket::response_type answer;
  ws.handshake(answer, "x", "/v1/ws");
  CHECK(answer[beast::http::field::sec_websocket_protocol] == "usher.v1");
  for (const auto* text : {"one", "two", "three"}) ws.write(asio::buffer(std::string{text}));
  CHECK(read_text(ws) == "one");
  CHECK(read_text(ws) == "two");
  CHECK(read_text(ws) == "three");
  CHECK(w.sockets.caller == "usr_ann");
  ws.close(beast::websocket::close_code::normal);
  w.stop(5s);
  CHECK(w.sockets.opened_count == 1);
  CHECK(w.sockets.closed_count == 1);
}

TEST_CASE("a WebSocket is refused with a bad token or without our subprotocol among those offered") {
  world w;
  const std::string begin = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  CHECK(code_of(client{w}.ask(begin + "Authorization: Bearer x.y.z\r\n\r\n")) == "unauthenticated");
  CHECK(code_of(client{w}.ask(begin + "Sec-WebSocket-Protocol: other\r\n\r\n")) == "invalid-request");
  CHECK(client{w}.ask(begin + "\r\n").result_int() == 101);
}

TEST_CASE("a WebSocket message that is too long, not text, or one too many closes it") {
  world w;
  client a{w}, b{w}, c{w};
  socket_client long_one{a.socket}, binary{b.socket}, eager{c.socket};
  for (auto* ws : {&long_one, &binary, &eager}) ws->handshake("x", "/ws");
  long_one.write(asio::buffer(std::string(4097, 'x')));
  CHECK(code_at_close(long_one) == 1009);
  binary.binary(true);
  binary.write(asio::buffer(std::string{"x"}));
  CHECK(code_at_close(binary) == 4002);
  for (int i = 0; i < 200; ++i) {
    boost::system::error_code ignored;  // the server may be gone before the last one
    eager.write(asio::buffer(std::string{"x"}), ignored);
  }
  CHECK(code_at_close(eager) == 4029);
}

TEST_CASE("a WebSocket whose queue overflows gets a snapshot in place of what was dropped") {
  world w;
  client c{w};
  socket_client ws{c.socket};
  ws.handshake("x", "/ws");
  ws.write(asio::buffer(std::string{"flood"}));
  int before = 0;
  for (auto text = read_text(ws); text != "snapshot"; text = read_text(ws)) ++before;
  CHECK(before < 100);
  CHECK(w.sockets.overflows == 1);
}

TEST_CASE("a WebSocket that is still too slow after a snapshot is closed, and so is no other") {
  world w;
  client first{w}, second{w};
  socket_client slow{first.socket}, other{second.socket};
  slow.handshake("x", "/ws");
  other.handshake("x", "/ws");
  slow.write(asio::buffer(std::string{"deluge"}));
  CHECK(code_at_close(slow) == 4008);
  CHECK(w.sockets.overflows == 1);
  other.write(asio::buffer(std::string{"still here"}));
  CHECK(read_text(other) == "still here");
}

TEST_CASE("stopping tells WebSockets that the node restarts") {
  world w;
  client c{w};
  socket_client ws{c.socket};
  ws.handshake("x", "/ws");
  ws.write(asio::buffer(std::string{"there?"}));
  CHECK(read_text(ws) == "there?");
  auto stopped = std::async(std::launch::async, [&] { w.stop(10s); });
  CHECK(code_at_close(ws) == 1012);
  stopped.get();
  CHECK(w.sockets.closed_count == 1);
}

TEST_CASE("answers are counted by route and status") {
  world w;
  client c{w};
  c.get("/hello/you");
  c.get("/nothing");
  const auto text = w.metrics.exposition();
  CHECK(text.find(R"(usher_http_requests_total{method="GET",route="/hello/{name}",status="200"} 1)") != std::string::npos);
  CHECK(text.find(R"(usher_http_requests_total{method="any",route="none",status="404"} 1)") != std::string::npos);
  CHECK(text.find(R"(usher_http_connections{kind="all"} 1)") != std::string::npos);
}

TEST_CASE("every code has its place in the public table") {
  const std::map<unsigned, std::vector<std::string>> table{
      {400, {"invalid-request", "idempotency-key-missing"}}, {401, {"unauthenticated"}}, {402, {"insufficient-balance"}},
      {403, {"forbidden", "admission-required"}}, {404, {"not-found"}}, {405, {"method-not-allowed"}}, {413, {"body-too-large"}},
      {415, {"unsupported-media-type"}}, {431, {"header-too-large"}},
      {409, {"seat-unavailable", "reservation-not-pending", "ticket-limit-exceeded", "idempotency-in-flight", "already-exists", "orphan-seat",
             "extension-unavailable", "authorization-ended", "ticket-moved"}},
      {410, {"reservation-expired", "queue-ticket-expired", "sale-closed", "erased"}}, {500, {"stream-unreadable"}}, {412, {"version-mismatch"}},
      {422, {"idempotency-key-reused", "validation-failed"}}, {428, {"precondition-required"}}, {429, {"rate-limited"}},
      {503, {"busy", "queue-paused", "no-quorum", "shutting-down"}}, {504, {"outcome-unknown"}}};
  for (int i = 1; i < usher::v1::Code_ARRAYSIZE; ++i) {
    const auto kind = http::kind_of(static_cast<usher::v1::Code>(i));
    INFO(kind.code);
    REQUIRE(table.contains(kind.status));
    CHECK(std::ranges::count(table.at(kind.status), kind.code) == 1);
  }
  usher::v1::Rejection r;
  r.set_code(usher::v1::STOCK_UNAVAILABLE);
  r.set_detail("Say \"please\".");
  r.add_seats("A-12");
  auto* fault = r.add_faults();
  fault->set_field("seats[0]");
  fault->set_detail("Taken.");
  const auto answer = http::problem(r, "req_1");
  CHECK(answer.status == 409);
  CHECK(boost::json::parse(answer.text()) == boost::json::parse(R"({"type":"urn:usher:problem:seat-unavailable",
      "title":"Not available","status":409,"detail":"Say \"please\".","code":"seat-unavailable","retryable":false,
      "requestId":"req_1","seats":["A-12"],"faults":[{"field":"seats[0]","detail":"Taken."}]})"));
}
