#include "node_notary.hpp"

#include <spdlog/spdlog.h>

#include "store/thread.hpp"

namespace usher {
namespace {

constexpr std::uint64_t portion_records = 4096;
constexpr std::uint64_t unsigned_max = 1'000'000;   // records that a catch-up takes in before it keeps how far it is
constexpr std::uint64_t at_the_end_max = 200'000;   // more are left for the next start
constexpr std::uint64_t waited_for_max = 100'000;   // records that are taken in while somebody waits for a proof
constexpr std::chrono::milliseconds look_every{500};
constexpr std::chrono::seconds on_demand_every{1};  // however many ask
constexpr std::chrono::seconds vouch_within{2};

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
  store::give_way();
  if (auto loaded = notary_.load(); !loaded) return fail(loaded.error());
  bool sign_now = true;  // what an earlier run left unsigned
  while (work(sign_now)) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, look_every, [this] { return stopping_ || wanted_; });
    if (wanted_) changed_.wait_until(lock, signed_at_ + on_demand_every, [this] { return stopping_; });
    sign_now = wanted_ || std::chrono::steady_clock::now() >= signed_at_ + every_;
    if (!stopping_) continue;
    lock.unlock();
    static_cast<void>(work(true));
    return;
  }
}

/// Takes in what there is. @return whether to go on
bool notary_thread::work(bool sign_now) {
  std::uint64_t unsigned_records = 0;
  for (std::uint64_t taken = 0;; taken += portion_records) {
    const auto more = notary_.follow(portion_records);
    if (!more) return fail(more.error()), false;
    left_.store(notary_.left(), std::memory_order_relaxed);
    if (!*more) return !sign_now || sign();
    unsigned_records += portion_records;
    if (unsigned_records >= unsigned_max && !sign()) return false;
    if (unsigned_records >= unsigned_max) unsigned_records = 0;
    if (ends_here(taken)) return sign(), false;
  }
}

bool notary_thread::ends_here(std::uint64_t taken) const {
  const std::lock_guard lock{mutex_};
  return stopping_ && taken > at_the_end_max;
}

/// @return whether to go on
bool notary_thread::sign() {
  if (auto is_signed = notary_.sign(clock_.now()); !is_signed) return fail(is_signed.error()), false;
  const std::lock_guard lock{mutex_};
  if (notary_.last()) last_ = *notary_.last();
  last_body_ = notary_.last_body();
  last_number_.store(last_body_.number(), std::memory_order_relaxed);
  signed_at_ = std::chrono::steady_clock::now();
  wanted_ = false;
  changed_.notify_all();
  return true;
}

result<v1::SignedCheckpoint> notary_thread::vouch(log_position at) {
  std::unique_lock lock{mutex_};
  const auto is_over = [&] {
    return store::covers(last_body_, at) || !fault_.empty() || stopping_ || left_.load(std::memory_order_relaxed) > waited_for_max;
  };
  for (const auto end = std::chrono::steady_clock::now() + vouch_within; !is_over() && std::chrono::steady_clock::now() < end;) {
    wanted_ = true;
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
