#include "http/operations.hpp"

#include <algorithm>
#include <exception>

#include "store/thread.hpp"

namespace usher::http {
namespace {

constexpr std::size_t operations_waiting_max = 64;
constexpr std::size_t remembered_max = 1000;
constexpr std::chrono::seconds pace_known_after{1};

}  // namespace

std::string_view word_of(operation_state s) {
  switch (s) {
    case operation_state::waiting: return "WAITING";
    case operation_state::running: return "RUNNING";
    case operation_state::succeeded: return "SUCCEEDED";
    case operation_state::failed: return "FAILED";
  }
  return "";
}

struct operations::operation {
  operation_view is;  // what never changes, and what changes under the lock
  work does;
  operation_progress progress;
  std::chrono::steady_clock::time_point began;
};

operations::operations(const wall_clock& clock, unsigned threads) : clock_{clock} {
  for (unsigned i = 0; i != threads; ++i) threads_.emplace_back([this] { run(); });
}

operations::~operations() { stop(); }

std::optional<std::string> operations::start(std::string kind, std::string subject, work does) {
  const std::lock_guard lock{mutex_};
  if (stopping_) return std::nullopt;
  std::size_t waiting = 0;
  for (const auto& o : all_) {
    const bool ended = o->is.ended_at_ms != 0;
    if (!ended && o->is.kind == kind && o->is.subject == subject) return o->is.id;
    if (o->is.state == operation_state::waiting) ++waiting;
  }
  if (waiting >= operations_waiting_max) return std::nullopt;
  auto made = std::make_shared<operation>();
  made->is.id = "op_" + std::to_string(++last_number_);
  made->is.kind = std::move(kind);
  made->is.subject = std::move(subject);
  made->does = std::move(does);
  if (all_.size() >= remembered_max) {
    const auto ended = std::find_if(all_.begin(), all_.end(), [](const auto& o) { return o->is.ended_at_ms != 0; });
    if (ended != all_.end()) all_.erase(ended);
  }
  all_.push_back(made);
  changed_.notify_one();
  return made->is.id;
}

void operations::run() {
  store::give_way();
  std::unique_lock lock{mutex_};
  while (true) {
    std::shared_ptr<operation> next;
    changed_.wait(lock, [&] {
      const auto found = std::find_if(all_.begin(), all_.end(), [](const auto& o) { return o->is.state == operation_state::waiting; });
      next = found == all_.end() ? nullptr : *found;
      return next || stopping_;
    });
    if (stopping_) return;
    next->is.state = operation_state::running;
    next->is.started_at_ms = to_ms(clock_.now());
    next->began = std::chrono::steady_clock::now();
    lock.unlock();
    std::optional<result<std::string>> outcome;
    try {
      outcome = next->does(next->progress);
    } catch (const std::exception& e) {
      outcome = failure{errc::io_failure, e.what()};
    }
    next->does = nullptr;
    lock.lock();
    next->is.state = *outcome ? operation_state::succeeded : operation_state::failed;
    if (*outcome) next->is.result = std::move(**outcome);
    else next->is.error = outcome->error().detail;
    next->is.ended_at_ms = to_ms(clock_.now());
  }
}

operation_view operations::view_of(const operation& o) const {
  auto out = o.is;
  out.total = o.progress.total_.load(std::memory_order_relaxed);
  out.done = o.progress.done_.load(std::memory_order_relaxed);
  if (out.state != operation_state::running || out.total == 0 || out.done == 0) return out;
  const auto taken = std::chrono::steady_clock::now() - o.began;
  if (taken < pace_known_after) return out;
  const auto left = static_cast<double>(out.total - std::min(out.done, out.total)) / static_cast<double>(out.done);
  out.eta_seconds = std::chrono::ceil<std::chrono::seconds>(taken * left).count();
  return out;
}

std::optional<operation_view> operations::find(std::string_view id) const {
  const std::lock_guard lock{mutex_};
  for (const auto& o : all_)
    if (o->is.id == id) return view_of(*o);
  return std::nullopt;
}

std::vector<operation_view> operations::all() const {
  const std::lock_guard lock{mutex_};
  std::vector<operation_view> out;
  for (auto i = all_.rbegin(); i != all_.rend(); ++i) out.push_back(view_of(**i));
  return out;
}

void operations::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    for (const auto& o : all_) o->progress.cancelled_ = true;
  }
  changed_.notify_all();
  for (auto& t : threads_)
    if (t.joinable()) t.join();
}

}  // namespace usher::http
