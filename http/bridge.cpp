#include "http/bridge.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>

namespace usher::http {

namespace asio = boost::asio;
using actors::answer;
using clock = std::chrono::steady_clock;

namespace {
constexpr std::chrono::milliseconds sweep_every{50};
}

struct bridge::pending {
  /// Boost 1.81 can construct its handler from another but not assign one: that never returns.
  template <class Handler>
  explicit pending(Handler&& handler) : resume(std::forward<Handler>(handler)) {}

  asio::any_completion_handler<void(answer)> resume;
  actors::request_ptr request;  ///< null: waits for a read model
  clock::duration wait{};
  bool decided = false;         ///< the first deadline found it under way
  bool done = false;
  by_deadline::iterator place;
  answer result;
};

bridge::bridge(asio::io_context& io, cluster::router& router) : io_(io), router_(router), sweeper_(io) { arm_sweep(); }
bridge::~bridge() = default;

asio::awaitable<answer> bridge::ask(actors::request_ptr r, std::chrono::milliseconds wait) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(answer)>(
      [this, r, wait](auto handler) {
        begin(std::make_shared<pending>(std::move(handler)), r, wait);
      },
      asio::use_awaitable);
}

asio::awaitable<std::vector<answer>> bridge::ask_all(std::vector<actors::request_ptr> all, std::chrono::milliseconds wait) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(std::vector<answer>)>(
      [this, all, wait](auto handler) {
        struct gathering {
          decltype(handler) resume;
          std::vector<answer> answers;
          std::atomic<std::size_t> missing;
        };
        auto g = std::shared_ptr<gathering>(new gathering{std::move(handler), std::vector<answer>(all.size()), all.size()});
        for (std::size_t i = 0; i < all.size(); ++i) {
          auto one = [this, g, i](answer a) {
            g->answers[i] = std::move(a);
            if (--g->missing > 0) return;
            asio::dispatch(asio::get_associated_executor(g->resume, io_.get_executor()),
                           [g] { std::move(g->resume)(std::move(g->answers)); });
          };
          begin(std::make_shared<pending>(std::move(one)), all[i], wait);
        }
      },
      asio::use_awaitable);
}

void bridge::begin(const pending_ptr& p, const actors::request_ptr& r, std::chrono::milliseconds wait) {
  p->request = r;
  p->wait = wait;
  r->reply = [this, p](answer a) { answered(p, std::move(a)); };
  await(p);
  router_.send(r);
}

asio::awaitable<bool> bridge::reached(projections::runner& views, log_position at, std::chrono::milliseconds wait) {
  if (views.reached(at)) co_return true;
  std::optional<projections::runner::waiter_id> waiter;
  auto start = [this, &views, &waiter, at, wait](auto handler) {
    auto p = std::make_shared<pending>(std::move(handler));
    p->wait = wait;
    await(p);
    waiter = views.when_reached(at, [this, p] { answered(p, {}); });
    if (!waiter) answered(p, actors::rejected(v1::BUSY, "Too many readers wait."));
  };
  const auto a = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(answer)>(start, asio::use_awaitable);
  if (a.rejection && waiter) views.forget(*waiter);
  co_return !a.rejection;
}

void bridge::await(pending_ptr p) {
  std::scoped_lock lock(mutex_);
  p->place = waiting_.emplace(clock::now() + p->wait, p);
}

/// From any thread. The first answer counts.
void bridge::answered(const pending_ptr& p, answer a) {
  bool post = false;
  {
    std::scoped_lock lock(mutex_);
    if (p->done) return;
    p->done = true;
    p->request.reset();  // whose reply holds `p`; whoever calls that reply keeps the request alive meanwhile
    waiting_.erase(p->place);
    p->result = std::move(a);
    ready_.push_back(p);
    post = !std::exchange(posted_, true);
  }
  if (post) asio::post(io_, [this] { drain(); });
}

void bridge::drain() {
  std::vector<pending_ptr> batch;
  {
    std::scoped_lock lock(mutex_);
    batch.swap(ready_);
    posted_ = false;
  }
  for (auto& p : batch) {
    auto executor = asio::get_associated_executor(p->resume, io_.get_executor());
    asio::dispatch(executor, [p] { std::move(p->resume)(std::move(p->result)); });
  }
}

void bridge::arm_sweep() {
  std::scoped_lock lock(mutex_);
  if (stopped_) return;
  sweeper_.expires_after(sweep_every);
  sweeper_.async_wait([this](auto error) {
    if (error) return;
    sweep();
    arm_sweep();
  });
}

/// Gives up what has waited too long.
void bridge::sweep() {
  std::vector<std::pair<pending_ptr, answer>> late;
  {
    std::scoped_lock lock(mutex_);
    const auto now = clock::now();
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      auto p = waiting_.begin()->second;
      waiting_.erase(waiting_.begin());
      const bool never_decided = !p->request || (!p->decided && p->request->give_up());
      const bool over = never_decided || p->decided;
      p->decided = true;
      p->place = waiting_.emplace(over ? clock::time_point::max() : now + p->wait, p);
      if (never_decided) late.emplace_back(p, actors::rejected(v1::BUSY, "Waited too long for its turn; it was not executed."));
      else if (over) late.emplace_back(p, actors::rejected(v1::OUTCOME_UNKNOWN, "Decided, but not yet known to be on disk; repeat it with the same Idempotency-Key."));
    }
  }
  for (auto& [p, a] : late) answered(p, std::move(a));
}

void bridge::stop() {
  std::vector<pending_ptr> left;
  {
    std::scoped_lock lock(mutex_);
    stopped_ = true;
    for (auto& [at, p] : waiting_) left.push_back(p);
    sweeper_.cancel();
  }
  for (auto& p : left) answered(p, actors::rejected(v1::SHUTTING_DOWN, "The node is shutting down."));
}

}  // namespace usher::http
