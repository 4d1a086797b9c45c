#include "node_notary.hpp"

#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace usher {
namespace {

constexpr std::uint64_t portion = 4096;           // records
constexpr std::uint64_t at_the_end_max = 200'000;  // more are left for the next start
constexpr std::chrono::milliseconds look_every{500};
constexpr std::chrono::seconds vouch_within{10};
constexpr int niceness = 5;

/// A system that refuses this gets a thread like the others.
void give_way() {
  const sched_param none{};
  static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &none));
  static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness));
}

}  // namespace

notary_thread::notary_thread(store::database& db, store::signing_key key, const wall_clock& clock, std::chrono::seconds every)
    : clock_{clock}, every_{every}, notary_{db, std::move(key)} {}

notary_thread::~notary_thread() { stop(); }

void notary_thread::start() {
  thread_ = std::thread{[this] { run(); }};
}

void notary_thread::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void notary_thread::fail(const failure& f) {
  spdlog::error("event=notary_ended detail=\"{}\"", f.detail);
  const std::lock_guard lock{mutex_};
  fault_ = f.detail;
  changed_.notify_all();
}

void notary_thread::run() {
  give_way();
  if (auto loaded = notary_.load(); !loaded) return fail(loaded.error());
  bool sign_now = true;  // what an earlier run left unsigned
  auto next = std::chrono::steady_clock::now();
  while (true) {
    if (sign_now) next = std::chrono::steady_clock::now() + every_;
    if (!work(sign_now)) return;
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, std::min<std::chrono::milliseconds>(look_every, every_), [this] { return stopping_ || wanted_; });
    sign_now = wanted_ || std::chrono::steady_clock::now() >= next;
    if (!stopping_) continue;
    lock.unlock();
    static_cast<void>(work(true));
    return;
  }
}

/// @return whether to go on
bool notary_thread::work(bool sign_now) {
  for (std::uint64_t taken = 0;; taken += portion) {
    const auto more = notary_.follow(portion);
    if (!more) return fail(more.error()), false;
    if (!*more) break;
    const std::lock_guard lock{mutex_};
    if (stopping_ && taken > at_the_end_max) return false;
  }
  if (!sign_now) return true;
  if (auto is_signed = notary_.sign(clock_.now()); !is_signed) return fail(is_signed.error()), false;
  const std::lock_guard lock{mutex_};
  if (notary_.last()) last_ = *notary_.last();
  last_body_ = notary_.last_body();
  last_number_.store(last_body_.number(), std::memory_order_relaxed);
  wanted_.reset();
  changed_.notify_all();
  return true;
}

result<v1::SignedCheckpoint> notary_thread::vouch(log_position at) {
  std::unique_lock lock{mutex_};
  const auto is_over = [&] { return store::covers(last_body_, at) || !fault_.empty() || stopping_; };
  for (const auto end = std::chrono::steady_clock::now() + vouch_within; !is_over() && std::chrono::steady_clock::now() < end;) {
    wanted_ = at;
    changed_.notify_all();
    changed_.wait_until(lock, end, [&] { return is_over() || !wanted_; });
  }
  if (store::covers(last_body_, at)) return last_;
  return failure{errc::io_failure, fault_.empty() ? "there is no checkpoint that covers this yet" : fault_};
}

std::string notary_thread::fault() const {
  const std::lock_guard lock{mutex_};
  return fault_;
}

}  // namespace usher
