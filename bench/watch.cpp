#include "bench/watch.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <utility>

namespace usher::bench {
namespace {

namespace asio = boost::asio;
using clock = std::chrono::steady_clock;

constexpr auto patience = std::chrono::seconds(10);
constexpr auto poll_every = std::chrono::milliseconds(9'500);
constexpr auto busy_wait = std::chrono::milliseconds(500);

std::string subscription(const std::string& ticket_id) {
  return boost::json::serialize(boost::json::object{{"op", "subscribe"}, {"channel", "queue:" + ticket_id}});
}

}  // namespace

watcher::watcher(asio::io_context& io, endpoint server, connection_pool& requests, std::size_t connections)
    : io_(io), server_(server), requests_(requests), held_(io, std::move(server), connections) {}

asio::awaitable<void> watcher::follow(channel by, watched_ticket ticket, clock::time_point until, listener hears) {
  switch (by) {
    case channel::websocket: co_await by_websocket(ticket, until, hears); break;
    case channel::events: co_await by_events(ticket, until, hears); break;
    case channel::long_poll: co_await by_asking(true, ticket, until, hears); break;
    case channel::poll: co_await by_asking(false, ticket, until, hears); break;
  }
}

asio::awaitable<told> watcher::ask_once(channel by, watched_ticket ticket) {
  told heard;
  const auto first = [&heard](const told& said) {
    heard = said;
    return said.status.empty() && said.refusal.empty();
  };
  co_await follow(by == channel::long_poll ? channel::poll : by, std::move(ticket), clock::now() + patience, first);
  co_return heard;
}

asio::awaitable<void> watcher::by_websocket(const watched_ticket& ticket, clock::time_point until, const listener& hears) {
  websocket_client socket{io_};
  bool open = co_await socket.connect(server_, ticket.access_token, until);
  if (open) open = co_await socket.send(subscription(ticket.id));
  while (open) {
    const auto message = co_await socket.receive();
    if (!message || !hears(told_in(*message))) break;
  }
}

asio::awaitable<void> watcher::by_events(const watched_ticket& ticket, clock::time_point until, const listener& hears) {
  event_source source{io_};
  std::string target = "/queue/stream?token=" + ticket.token;
  const auto answer = co_await source.connect(server_, std::move(target), until);
  if (answer.status != 200 && answer.status != 0) hears(told_in(answer.body));
  while (answer.status == 200) {
    const auto event = co_await source.receive();
    if (!event || !hears(told_in(*event))) break;
  }
}

asio::awaitable<void> watcher::by_asking(bool held, const watched_ticket& ticket, clock::time_point until, const listener& hears) {
  auto& requests = held ? held_ : requests_;
  http_request request{boost::beast::http::verb::get, "/queue/status", {}, {{"Authorization", "Bearer " + ticket.access_token}, {"Queue-Token", ticket.token}}, until};
  while (clock::now() < until) {
    auto asked = request;
    const auto answer = co_await requests.send(std::move(asked));
    if (answer.status == 0) break;
    const bool busy = answer.status == 503 || answer.status == 429;
    if (!busy && answer.status != 304 && !hears(told_in(answer.body))) break;
    if (held && !busy) {  // from now on it waits for news against what was told last, so that nothing is missed in between
      request.fields.resize(2);
      request.fields.emplace_back("Prefer", "wait=25");
      request.fields.emplace_back("If-None-Match", answer.etag);
    }
    if (held && !busy) continue;
    const auto wait = busy ? busy_wait * std::max(answer.retry_after_s, 1u) : poll_every + std::chrono::milliseconds(polls_++ % 1'000);
    asio::steady_timer timer{io_, std::min(until, clock::now() + wait)};
    co_await timer.async_wait(asio::use_awaitable);
  }
}

}  // namespace usher::bench
