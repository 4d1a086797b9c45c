// CAF's work sharing, but for what an I/O thread wakes.

#include "node_scheduler.hpp"

#include <caf/all.hpp>
#include <caf/policy/work_sharing.hpp>
#include <caf/scheduler/coordinator.hpp>

#include <cstddef>
#include <deque>

namespace usher {
namespace {

constexpr int handlers_together = 16;          // measured: a tenth less time for each than one by one
constexpr std::size_t messages_at_once = 64;   // of one actor, before it is the next one's turn
constexpr std::size_t resumes_together = 256;  // before the sockets are looked at again

/// The actors that wait for their turn on one I/O thread.
class run_queue final : public caf::execution_unit {
 public:
  explicit run_queue(caf::actor_system& system) : caf::execution_unit{&system} { of_this_thread = this; }
  ~run_queue() override { of_this_thread = nullptr; }
  run_queue(const run_queue&) = delete;
  run_queue& operator=(const run_queue&) = delete;

  void exec_later(caf::resumable* actor) override { waiting_.push_back(actor); }
  [[nodiscard]] bool empty() const { return waiting_.empty(); }

  void run() {
    for (std::size_t i = 0; i < resumes_together && !waiting_.empty(); ++i) {
      auto* actor = waiting_.front();
      waiting_.pop_front();
      if (actor->resume(this, messages_at_once) == caf::resumable::resume_later) {
        waiting_.push_back(actor);
      } else {
        caf::intrusive_ptr_release(actor);  // the reference that the queue had
      }
    }
  }

  static thread_local run_queue* of_this_thread;

 private:
  std::deque<caf::resumable*> waiting_;
};

thread_local run_queue* run_queue::of_this_thread = nullptr;

class where_woken : public caf::policy::work_sharing {
 public:
  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* actor) {
    if (auto* here = run_queue::of_this_thread) here->exec_later(actor);
    else enqueue(self, actor);
  }
};

}  // namespace

void schedule_where_woken(caf::actor_system_config& config) {
  config.module_factories.push_back([](caf::actor_system& system) -> caf::actor_system::module* {
    return new caf::scheduler::coordinator<where_woken>{system};  // CAF takes it
  });
}

void run_with_actors(boost::asio::io_context& io, caf::actor_system& system) {
  run_queue woken{system};
  for (;;) {
    const auto ran = woken.empty() ? io.run_one() : io.poll_one();
    if (ran == 0 && woken.empty()) return;
    for (int i = 1; i < handlers_together && io.poll_one() != 0; ++i) {
    }
    woken.run();
  }
}

}  // namespace usher
