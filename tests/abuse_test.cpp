// What one person can't do to the others: stand in the queue twice, lend out a place, use what is somebody else's, or ask without end.

#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <future>
#include <set>

#include "tests/client.hpp"

namespace {

namespace http = usher::http;
using usher::tests::answer;
using usher::tests::at_once;
using usher::tests::client;
using usher::tests::eventually;
using usher::tests::patience;
using usher::tests::request;
using usher::tests::watcher;
using namespace std::chrono_literals;

/// A node with shows that have a queue, and what people do with it. A refused body ends its connection, so each request has its own.
struct door : usher::tests::test_node {
  using test_node::test_node;

  std::string open_show(int per_window = 250) {
    const auto opened = client{*this}.post(
        "/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
            "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":9,"tier":"all"}]}],
            "queue":{"admitPerWindow":)" + std::to_string(per_window) + "}}", token("usr_boss", http::role::operator_));
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    return opened.text("showId");
  }
  /// What logging in on that device gives.
  std::string login(const std::string& user, const std::string& device) {
    http::claims c;
    c.user_id = "usr_" + user;
    c.expires_at = clock.now() + 24h;
    c.session = device;
    return access().issue(c);
  }
  http::tokens& access() { return running().access(); }

  answer post(const std::string& path, const std::string& body, const std::string& caller, const std::string& queue_token = {}) {
    request r{"POST", path, body, caller, {}};
    if (!queue_token.empty()) r.headers.emplace_back("Queue-Token", queue_token);
    return client{*this}.ask(r);
  }
  answer join(const std::string& show, const std::string& caller) { return post("/queue/token", R"({"showId":")" + show + R"("})", caller); }
  answer status(const answer& joined, const std::string& caller, const std::string& wait = "") {
    request r{"GET", "/queue/status", {}, caller, {{"Queue-Token", joined.text("token")}}};
    if (!wait.empty()) r.headers.emplace_back("Prefer", "wait=" + wait);
    return client{*this}.ask(r);
  }
  answer leave(const answer& joined, const std::string& caller) {
    return client{*this}.ask({"DELETE", "/queue/token", {}, caller, {{"Queue-Token", joined.text("token")}}});
  }
  answer reserve(const std::string& show, const std::string& seat, const std::string& caller, const std::string& admission) {
    return post("/reservations", R"({"showId":")" + show + R"(","seats":[")" + seat + R"("]})", caller, admission);
  }
};

std::string admission_of(const answer& joined) {
  INFO(joined.body);
  REQUIRE(joined.text("status") == "ADMITTED");
  return std::string{joined.json().at("admission").as_object().at("token").as_string()};
}

/// The status and the code of a refusal, as in `409 ticket-moved`; of anything else the status.
std::string refusal_of(const answer& a) { return std::to_string(a.status) + (a.status < 400 ? "" : ' ' + a.text("code")); }

/// GET /queue/stream, as it comes.
class events {
 public:
  events(std::uint16_t port, const std::string& token) {
    socket_.connect({boost::asio::ip::address_v4::loopback(), port});
    const timeval limit{std::chrono::seconds{patience}.count(), 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    boost::asio::write(socket_, boost::asio::buffer("GET /queue/stream?token=" + token + " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  }
  /// Waits until it is said. @return false where the answer ends before
  bool say(const std::string& words) {
    while (heard_.find(words) == std::string::npos) {
      char piece[4096];
      const auto got = ::recv(socket_.native_handle(), piece, sizeof piece, 0);
      if (got <= 0) return false;
      heard_.append(piece, static_cast<std::size_t>(got));
    }
    return true;
  }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_{io_};
  std::string heard_;
};

usher::v1::Configuration limits(std::uint32_t per_user, std::uint32_t per_address, std::uint32_t proxies = 0) {
  auto out = usher::default_configuration();
  out.set_rate_limit_per_user(per_user);
  out.set_rate_limit_per_address(per_address);
  out.set_proxies_in_front(proxies);
  return out;
}

}  // namespace

TEST_CASE("one person has one place, from however many logins they join") {
  door d;
  const auto show = d.open_show(1);
  std::vector<request> joins;
  for (int i = 0; i < 30; ++i)
    joins.push_back({"POST", "/queue/token", R"({"showId":")" + show + R"("})", d.login("ann", "device" + std::to_string(i)), {}});
  std::set<std::string> tickets;
  for (const auto& a : at_once(d.port(), 10, joins)) {
    INFO(a.body);
    CHECK((a.status == 200 || a.status == 201));
    tickets.insert(a.text("ticketId"));
  }
  CHECK(tickets.size() == 1);
  CHECK(d.join(show, d.login("bob", "phone")).number("number") == 2);
}

TEST_CASE("each login is a device of its own, and the answer to signing up again is the same as before") {
  door d;
  const auto show = d.open_show();
  const auto sign_up = [&] { return client{d}.post("/users", R"({"name":"Ann","email":"ann@x.org","password":"correct horse"})", {}, "once"); };
  const auto log_in = [&] { return client{d}.post("/auth/login", R"({"email":"ann@x.org","password":"correct horse"})", {}).text("token"); };
  const auto first = sign_up().text("token");
  CHECK(sign_up().text("token") == first);
  const auto second = log_in(), third = log_in();
  std::set<std::uint32_t> devices;
  for (const auto& token : {first, second, third}) {
    const auto who = d.access().caller("Bearer " + token, d.clock.now());
    REQUIRE(who);
    CHECK(who->device != 0);
    devices.insert(who->device);
  }
  CHECK(devices.size() == 3);
  const auto joined = d.join(show, second);
  CHECK(joined.status == 201);
  CHECK(d.join(show, third).status == 200);
  CHECK(refusal_of(d.status(joined, second)) == "409 ticket-moved");
}

TEST_CASE("a place goes along to the login that joins last, and nothing of the one before is worth anything") {
  door d;
  const auto show = d.open_show();
  const auto phone = d.login("ann", "phone"), laptop = d.login("ann", "laptop");
  const auto on_phone = d.join(show, phone);
  CHECK(d.status(on_phone, phone).status == 200);
  CHECK(refusal_of(d.status(on_phone, laptop)) == "409 ticket-moved");  // a token that was copied; it has to join there

  const auto on_laptop = d.join(show, laptop);
  CHECK(on_laptop.status == 200);
  CHECK(on_laptop.text("ticketId") == on_phone.text("ticketId"));
  for (int restarted = 0; restarted < 2; ++restarted) {
    CHECK(refusal_of(d.status(on_phone, phone)) == "409 ticket-moved");
    CHECK(refusal_of(d.status(on_laptop, phone)) == "409 ticket-moved");
    CHECK(refusal_of(d.leave(on_phone, phone)) == "409 ticket-moved");
    CHECK(client{d}.get("/queue/stream?token=" + on_phone.text("token")).status == 409);
    CHECK(refusal_of(d.reserve(show, "A-1", phone, admission_of(on_phone))) == "409 ticket-moved");
    CHECK(refusal_of(d.reserve(show, "A-1", phone, admission_of(on_laptop))) == "409 ticket-moved");
    CHECK(refusal_of(d.reserve(show, "A-1", laptop, admission_of(on_phone))) == "409 ticket-moved");
    CHECK(d.status(on_laptop, laptop).text("status") == "ADMITTED");
    if (restarted == 0) d.restart();
  }
  CHECK(d.reserve(show, "A-1", laptop, admission_of(on_laptop)).status == 201);

  const auto back = d.join(show, phone);
  CHECK(back.number("number") == on_phone.number("number"));
  CHECK(d.status(on_phone, phone).status == 200);
  CHECK(refusal_of(d.status(on_laptop, laptop)) == "409 ticket-moved");
  CHECK(d.leave(back, phone).status == 204);
}

TEST_CASE("a program that joins for somebody doesn't take the place away from their device") {
  door d;
  const auto show = d.open_show(1);
  const auto phone = d.login("ann", "phone"), service = d.token("svc", http::role::service);
  const auto on_phone = d.join(show, phone);
  const auto by_service = d.post("/queue/token", R"({"showId":")" + show + R"(","userId":"usr_ann"})", service);
  CHECK(by_service.status == 200);
  CHECK(by_service.text("ticketId") == on_phone.text("ticketId"));
  CHECK(d.status(on_phone, phone).status == 200);
  CHECK(d.status(by_service, service).status == 200);

  // And who got a place from a program takes it to the first device that joins.
  const auto for_bob = d.post("/queue/token", R"({"showId":")" + show + R"(","userId":"usr_bob"})", service);
  CHECK(for_bob.status == 201);
  const auto bobs = d.login("bob", "phone"), tablet = d.login("bob", "tablet");
  CHECK(d.status(for_bob, bobs).status == 200);
  const auto taken = d.join(show, tablet);
  CHECK(taken.text("ticketId") == for_bob.text("ticketId"));
  CHECK(refusal_of(d.status(for_bob, bobs)) == "409 ticket-moved");
}

TEST_CASE("when a place moves, the older login's connections end and say why, and its other tabs keep theirs until then") {
  door d;
  const auto show = d.open_show(1);
  REQUIRE(d.join(show, d.login("first", "phone")).status == 201);
  const auto phone = d.login("ann", "phone"), laptop = d.login("ann", "laptop");
  const auto on_phone = d.join(show, phone);
  const auto channel = "queue:" + on_phone.text("ticketId");
  watcher tab{d.port(), phone}, other_tab{d.port(), phone}, elsewhere{d.port(), laptop};
  for (auto* w : {&tab, &other_tab, &elsewhere}) w->subscribe(channel);
  CHECK(tab.read().at("op") == "snapshot");
  CHECK(other_tab.read().at("op") == "snapshot");
  const auto refused = elsewhere.read();
  CHECK(refused.at("op") == "error");
  CHECK(refused.at("code") == "ticket-moved");
  events stream{d.port(), on_phone.text("token")};
  REQUIRE(stream.say("\"WAITING\""));
  auto polled = std::async(std::launch::async, [&] { return d.status(on_phone, phone, "15"); });

  const auto on_laptop = d.join(show, laptop);
  CHECK(on_laptop.number("position") == 1);
  CHECK(tab.closed_with() == 4009);
  CHECK(other_tab.closed_with() == 4009);
  CHECK(stream.say("event: closed\ndata: {\"code\":4009"));
  CHECK(refusal_of(polled.get()) == "409 ticket-moved");
  elsewhere.subscribe(channel);
  CHECK(elsewhere.read().at("op") == "snapshot");
  watcher late{d.port(), phone};
  late.subscribe(channel);
  CHECK(late.read().at("code") == "ticket-moved");
}

TEST_CASE("a token for another show, or of another person, opens nothing, and a name in a body gets nobody a place", "[defect-9]") {
  door d;
  const auto show = d.open_show(), other_show = d.open_show();
  const auto ann = d.login("ann", "phone"), bob = d.login("bob", "phone");
  const auto joined = d.join(show, ann);
  const auto admission = admission_of(joined);
  REQUIRE(d.join(other_show, ann).status == 201);
  CHECK(refusal_of(d.reserve(other_show, "A-1", ann, admission)) == "403 admission-required");
  CHECK(refusal_of(d.reserve(show, "A-1", bob, admission)) == "403 admission-required");
  CHECK(refusal_of(d.status(joined, bob)) == "403 forbidden");
  CHECK(refusal_of(d.leave(joined, bob)) == "403 forbidden");

  std::vector<request> grabs;
  for (int i = 0; i < 100; ++i)
    grabs.push_back({"POST", "/queue/token", R"({"showId":")" + show + R"(","userId":"usr_)" + std::to_string(i) + "\"}", bob, {}});
  for (const auto& a : at_once(d.port(), 10, grabs)) CHECK(refusal_of(a) == "403 forbidden");
  CHECK(d.join(show, bob).number("number") == 2);
  CHECK(d.reserve(show, "A-1", ann, admission).status == 201);
}

TEST_CASE("who asks too often is told when to come back, and that is true") {
  door d{limits(60, 0)};
  const auto ann = d.login("ann", "phone");
  client c{d};
  const auto first = c.get("/balance", ann);
  CHECK(first.status == 200);
  CHECK(first.header("RateLimit-Policy") == R"("user";q=60;w=60)");
  CHECK(first.header("RateLimit") == R"("user";r=9;t=1)");
  for (int i = 0; i < 9; ++i) CHECK(c.get("/balance", ann).status == 200);

  const auto refused = c.get("/balance", ann);
  CHECK(refusal_of(refused) == "429 rate-limited");
  CHECK(refused.header("Retry-After") == "1");
  CHECK(refused.header("RateLimit") == R"("user";r=0;t=10)");
  CHECK(refused.header("RateLimit-Policy") == R"("user";q=60;w=60)");
  CHECK(refused.json().at("retryable") == true);
  CHECK(c.get("/nowhere", ann).status == 429);
  CHECK(c.get("/balance", d.login("ann", "laptop")).status == 429);  // the person counts, not the login
  CHECK(c.get("/balance", d.login("bob", "phone")).status == 200);
  for (int i = 0; i < 20; ++i) CHECK(c.get("/balance", d.token("usr_boss", http::role::operator_)).header("RateLimit").empty());

  d.clock.advance(999ms);
  CHECK(c.get("/balance", ann).status == 429);
  d.clock.advance(1ms);
  CHECK(c.get("/balance", ann).status == 200);
  CHECK(c.get("/balance", ann).status == 429);
  CHECK(c.get("/metrics").body.find(R"(usher_http_rate_limited_total{by="user"} 5)") != std::string::npos);
}

TEST_CASE("an order that comes too early is refused before its body is read, and a WebSocket before it opens") {
  door d{limits(6, 0)};
  const auto ann = d.login("ann", "phone");
  CHECK(client{d}.get("/balance", ann).status == 200);
  request r{"POST", "/balance/charge", R"({"amount":1})", ann, {{"Expect", "100-continue"}}};
  CHECK(client{d}.ask(r).status == 429);
  const request upgrade{"GET", "/ws", {}, ann, {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"},
                                                {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}}};
  const auto refused = client{d}.ask(upgrade);
  CHECK(refusal_of(refused) == "429 rate-limited");
  CHECK(refused.header("Retry-After") == "10");
  d.clock.advance(10s);
  CHECK(client{d}.ask(upgrade).status == 101);
  CHECK(client{d}.ask(upgrade).status == 429);  // it counted as a request
}

TEST_CASE("an address has its limit too, whoever it says it is; probes are never refused") {
  door d{limits(0, 60, 1)};
  const auto from = [&](const std::string& path, const std::string& forwarded, const std::string& caller = {}) {
    return client{d}.ask({"GET", path, {}, caller, {{"X-Forwarded-For", forwarded}}});
  };
  const auto first = from("/shows", "198.51.100.7");
  CHECK(first.header("RateLimit-Policy") == R"("address";q=60;w=60)");
  CHECK(first.header("RateLimit") == R"("address";r=9;t=1)");
  for (int i = 0; i < 9; ++i) CHECK(from("/shows", std::to_string(i) + ".1.1.1, 198.51.100.7").status == 200);
  CHECK(from("/shows", "203.0.113.1, 198.51.100.7").status == 429);
  CHECK(from("/balance", "198.51.100.7", d.login("ann", "phone")).status == 429);
  CHECK(from("/balance", "198.51.100.7", "made up").status == 429);
  CHECK(from("/shows", "198.51.100.8").status == 200);
  for (const auto* probe : {"/healthz", "/readyz", "/metrics"}) {
    const auto a = from(probe, "198.51.100.7");
    CHECK(a.status == 200);
    CHECK(a.header("RateLimit").empty());
  }
}

TEST_CASE("where no limit is set nobody is told of one") {
  door d;
  client c{d};
  for (int i = 0; i < 500; ++i) CHECK(c.get("/shows").status == 200);
  CHECK(c.get("/shows").header("RateLimit-Policy").empty());
}
