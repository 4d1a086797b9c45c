// What waits for an answer belongs to the io_context of whoever asked; each of these has a lane with a lock of its own.

#include "http/bridge.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/intrusive/list.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "cluster/router.hpp"

namespace usher::http {

namespace asio = boost::asio;
namespace intrusive = boost::intrusive;
using actors::answer;
using clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds sweep_every{50};

/// Of the coroutine that is to be resumed.
template <class Handler>
asio::io_context& context_of(const Handler& handler) {
  return static_cast<asio::io_context&>(asio::query(asio::get_associated_executor(handler), asio::execution::context));
}

}  // namespace

/// Kept alive by its request, which it keeps alive, or by the read models; until it is done.
struct bridge::pending : std::enable_shared_from_this<pending>, intrusive::list_base_hook<intrusive::link_mode<intrusive::normal_link>> {
  /// Boost 1.81 can construct its handler from another but not assign one: that never returns.
  template <class Handler>
  pending(lane& l, Handler&& handler) : of(l), resume(std::forward<Handler>(handler)) {}

  lane& of;
  asio::any_completion_handler<void(answer)> resume;
  actors::request_ptr request;  ///< null: waits for a read model
  std::chrono::milliseconds wait{};
  clock::time_point deadline;
  bool decided = false;         ///< the first deadline found it under way
  bool done = false;
  answer recorded;              ///< waits for the read models
  answer result;
};

/// What waits for the coroutines of one io_context.
struct bridge::lane {
  explicit lane(asio::io_context& context) : io(context) {}

  void await(pending&, std::chrono::milliseconds wait);
  void answered(const pending_ptr&, answer);
  void drain();
  void sweep(clock::time_point now);
  void answer_all(v1::Code, const char* detail);

  asio::io_context& io;
  std::mutex mutex;  // of what follows
  /// By how long they wait, which few differ in: so each list is in the order of its deadlines.
  std::map<std::chrono::milliseconds, intrusive::list<pending>> waiting;
  std::vector<pending_ptr> ready;
  bool posted = false;

 private:
  std::optional<answer> late(pending&, clock::time_point now);
};

bridge::bridge(asio::io_context& timing, cluster::router& router) : router_(router), sweeper_(timing) { arm_sweep(); }
bridge::~bridge() = default;

bridge::lane& bridge::lane_of(asio::io_context& io) {
  const auto mine = [&io](const auto& l) { return &l->io == &io; };
  {
    const std::shared_lock lock(mutex_);
    if (const auto found = std::ranges::find_if(lanes_, mine); found != lanes_.end()) return **found;
  }
  const std::lock_guard lock(mutex_);
  if (const auto found = std::ranges::find_if(lanes_, mine); found != lanes_.end()) return **found;
  return *lanes_.emplace_back(std::make_unique<lane>(io));
}

asio::awaitable<answer> bridge::ask(actors::request_ptr r, std::chrono::milliseconds wait) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(answer)>(
      [this, r, wait](auto handler) {
        auto& mine = lane_of(context_of(handler));
        auto p = std::make_shared<pending>(mine, std::move(handler));
        r->reply = [p](answer a) { p->of.answered(p, std::move(a)); };
        send(p, r, wait);
      },
      asio::use_awaitable);
}

asio::awaitable<answer> bridge::ask_and_see(projections::runner& views, actors::request_ptr r, std::chrono::milliseconds wait) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(answer)>(
      [this, &views, r, wait](auto handler) {
        auto& mine = lane_of(context_of(handler));
        auto p = std::make_shared<pending>(mine, std::move(handler));
        r->reply = [p, &views](answer a) { answer_when_seen(p, views, std::move(a)); };
        send(p, r, wait);
      },
      asio::use_awaitable);
}

/// In the thread that recorded it.
void bridge::answer_when_seen(const pending_ptr& p, projections::runner& views, answer a) {
  if (!a.at) return p->of.answered(p, std::move(a));
  p->recorded = std::move(a);
  const auto waits = views.when_reached(*p->recorded.at, [p] { p->of.answered(p, std::move(p->recorded)); });
  if (!waits) p->of.answered(p, actors::rejected(v1::OUTCOME_UNKNOWN, "It is recorded, but too many wait for the read models; ask for it again."));
}

asio::awaitable<std::vector<answer>> bridge::ask_all(std::vector<actors::request_ptr> all, std::chrono::milliseconds wait) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(std::vector<answer>)>(
      [this, all, wait](auto handler) {
        struct gathering {
          decltype(handler) resume;
          std::vector<answer> answers;
          std::size_t missing;
        };
        auto& mine = lane_of(context_of(handler));
        auto g = std::shared_ptr<gathering>(new gathering{std::move(handler), std::vector<answer>(all.size()), all.size()});
        for (std::size_t i = 0; i < all.size(); ++i) {
          auto one = [g, i](answer a) {  // on the lane's one thread
            g->answers[i] = std::move(a);
            if (--g->missing == 0) std::move(g->resume)(std::move(g->answers));
          };
          auto p = std::make_shared<pending>(mine, std::move(one));
          all[i]->reply = [p](answer a) { p->of.answered(p, std::move(a)); };
          send(p, all[i], wait);
        }
      },
      asio::use_awaitable);
}

void bridge::send(const pending_ptr& p, const actors::request_ptr& r, std::chrono::milliseconds wait) {
  p->request = r;
  p->of.await(*p, wait);
  router_.send(r);
}

asio::awaitable<bool> bridge::reached(projections::runner& views, log_position at, std::chrono::milliseconds wait) {
  if (views.reached(at)) co_return true;
  std::optional<projections::runner::waiter_id> waiter;
  auto start = [this, &views, &waiter, at, wait](auto handler) {
    auto& mine = lane_of(context_of(handler));
    auto p = std::make_shared<pending>(mine, std::move(handler));
    mine.await(*p, wait);
    waiter = views.when_reached(at, [p] { p->of.answered(p, {}); });
    if (!waiter) mine.answered(p, actors::rejected(v1::BUSY, "Too many readers wait."));
  };
  const auto a = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(answer)>(start, asio::use_awaitable);
  if (a.rejection && waiter) views.forget(*waiter);
  co_return !a.rejection;
}

void bridge::lane::await(pending& p, std::chrono::milliseconds wait) {
  const std::lock_guard lock(mutex);
  p.wait = wait;
  p.deadline = clock::now() + wait;
  waiting[wait].push_back(p);
}

/// From any thread. The first answer counts.
void bridge::lane::answered(const pending_ptr& p, answer a) {
  bool post = false;
  {
    const std::lock_guard lock(mutex);
    if (p->done) return;
    p->done = true;
    p->request.reset();  // whose reply holds `p`; whoever calls that reply keeps the request alive meanwhile
    auto& list = waiting[p->wait];
    list.erase(list.iterator_to(*p));
    p->result = std::move(a);
    ready.push_back(p);
    post = !std::exchange(posted, true);
  }
  if (post) asio::post(io, [this] { drain(); });
}

void bridge::lane::drain() {
  std::vector<pending_ptr> batch;
  {
    const std::lock_guard lock(mutex);
    batch.swap(ready);
    posted = false;
  }
  for (auto& p : batch) std::move(p->resume)(std::move(p->result));
}

void bridge::arm_sweep() {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  sweeper_.expires_after(sweep_every);
  sweeper_.async_wait([this](auto error) {
    if (error) return;
    sweep();
    arm_sweep();
  });
}

void bridge::sweep() {
  const auto now = clock::now();
  const std::shared_lock lock(mutex_);
  for (auto& l : lanes_) l->sweep(now);
}

/// Gives up what has waited too long.
void bridge::lane::sweep(clock::time_point now) {
  std::vector<std::pair<pending_ptr, answer>> over;
  {
    const std::lock_guard lock(mutex);
    for (auto& [wait, list] : waiting) {
      while (!list.empty() && list.front().deadline <= now) {
        auto& p = list.front();
        list.pop_front();
        auto told = late(p, now);
        list.push_back(p);
        if (told) over.emplace_back(p.shared_from_this(), std::move(*told));
      }
    }
  }
  for (auto& [p, a] : over) answered(p, std::move(a));
}

/// @return what to tell; nothing: it gets as long again
std::optional<answer> bridge::lane::late(pending& p, clock::time_point now) {
  const bool never_decided = !p.request || (!p.decided && p.request->give_up());
  const bool was_decided = std::exchange(p.decided, true);
  p.deadline = never_decided || was_decided ? clock::time_point::max() : now + p.wait;
  if (never_decided) return actors::rejected(v1::BUSY, "Waited too long for its turn; it was not executed.");
  if (!was_decided) return std::nullopt;
  return actors::rejected(v1::OUTCOME_UNKNOWN, "Decided, but not yet known to be on disk; repeat it with the same Idempotency-Key.");
}

void bridge::lane::answer_all(v1::Code code, const char* detail) {
  std::vector<pending_ptr> left;
  {
    const std::lock_guard lock(mutex);
    for (auto& [wait, list] : waiting)
      for (auto& p : list) left.push_back(p.shared_from_this());
  }
  for (auto& p : left) answered(p, actors::rejected(code, detail));
}

void bridge::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    sweeper_.cancel();
  }
  const std::shared_lock lock(mutex_);
  for (auto& l : lanes_) l->answer_all(v1::SHUTTING_DOWN, "The node is shutting down.");
}

}  // namespace usher::http
