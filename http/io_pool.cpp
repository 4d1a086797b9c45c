#include "http/io_pool.hpp"

namespace usher::http {

io_pool::io_pool(std::size_t threads) {
  for (std::size_t i = 0; i < threads; ++i) members_.push_back(std::make_unique<member>());
}

io_pool::~io_pool() { finish({}); }

asio::io_context& io_pool::next() { return members_[turn_++ % members_.size()]->io; }

void io_pool::start(const std::function<void(asio::io_context&)>& run) {
  running_ = members_.size();
  for (auto& m : members_) {
    m->thread = std::thread{[this, run, &io = m->io] {
      run(io);
      const std::lock_guard lock{mutex_};
      --running_;
      ended_.notify_one();
    }};
  }
}

bool io_pool::finish(std::chrono::milliseconds patience) {
  for (auto& m : members_) m->work.reset();
  bool all = false;
  {
    std::unique_lock lock{mutex_};
    all = ended_.wait_for(lock, patience, [this] { return running_ == 0; });
  }
  for (auto& m : members_) {
    m->io.stop();
    if (m->thread.joinable()) m->thread.join();
  }
  return all;
}

}  // namespace usher::http
