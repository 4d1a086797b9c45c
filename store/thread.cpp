#include "store/thread.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace usher::store {
namespace {

constexpr int niceness = 5;

}  // namespace

void give_way() {
  const sched_param none{};
  static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &none));
  static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness));
}

}  // namespace usher::store
