// Who waits too long is told so: over real sockets, with a disk that takes as long as the test wants.

#include <catch2/catch.hpp>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>

#include "store/database.hpp"
#include "tests/asked_disk.hpp"
#include "tests/client.hpp"

namespace usher::tests {
namespace {

/// While it is held, whatever is to be synced to the log waits. Thread-safe.
class gate {
 public:
  void hold() {
    const std::lock_guard lock{mutex_};
    held_ = true;
  }
  void release() {
    {
      const std::lock_guard lock{mutex_};
      held_ = false;
    }
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock{mutex_};
    ++waiting_;
    changed_.wait(lock, [this] { return !held_; });
    --waiting_;
  }
  bool somebody_waits() {
    const std::lock_guard lock{mutex_};
    return waiting_ != 0;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  int waiting_ = 0;
};

struct slow_disk {
  gate log;
  std::unique_ptr<rocksdb::Env> env = asked_disk([this] {
    log.pass();
    return rocksdb::IOStatus::OK();
  });
};

/// One seat for 1,000, and ann who can pay for it.
struct box_office : slow_disk, test_node {
  std::string ann = token("usr_ann");
  std::string show;
  std::string reservation;

  box_office() : test_node{default_configuration(), env.get()} {
    client c{*this};
    const auto opened = c.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
        "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":1,"tier":"all"}]}]})", token("op", http::role::operator_));
    REQUIRE(opened.status == 201);
    show = opened.text("showId");
    REQUIRE(c.post("/balance/charge", R"({"amount":1000})", ann).status == 200);
    const auto held = c.post("/reservations", R"({"showId":")" + show + R"(","seats":["A-1"]})", ann);
    REQUIRE(held.status == 201);
    reservation = held.text("reservationId");
  }
  ~box_office() { log.release(); }

  /// Asks in a thread of its own. Returns when what was decided waits for the disk.
  std::future<answer> ask_and_be_decided(request r) {
    auto asked = std::async(std::launch::async, [this, r = std::move(r)] { return client{*this}.ask(r); });
    REQUIRE(eventually([this] { return log.somebody_waits(); }));
    return asked;
  }
  [[nodiscard]] request pays() const { return {"POST", "/payment", R"({"reservationId":")" + reservation + R"("})", ann, {}}; }
  [[nodiscard]] request cancels() const { return {"POST", "/reservations/" + reservation + "/cancel", "{}", ann, {}}; }
  /// Stops the node. @return how many records there are of somebody cancelling
  std::size_t cancelled() {
    stop();
    const auto db = std::move(*store::database::open(log_directory(directory())));
    std::size_t found = 0;
    const auto read = db->scan(partition_of(show), 1, [&](const store::record_ptr& record, std::string_view) {
      found += record->command().reservation().has_cancel() ? 1 : 0;
      return true;
    });
    REQUIRE(read.has_value());
    return found;
  }
};

request waiting_a_second(request r) {
  r.headers.emplace_back("Prefer", "wait=1");
  return r;
}

}  // namespace

TEST_CASE("a request whose turn doesn't come in time is refused as busy, and never executed") {
  box_office office;
  office.log.hold();
  auto paying = office.ask_and_be_decided(office.pays());
  // The payment is under way until its first record is on disk and the wallet has said what it thinks.
  const auto refused = client{office}.ask(waiting_a_second(office.cancels()));
  INFO(refused.body);
  CHECK(refused.status == 503);
  CHECK(refused.text("code") == "busy");
  CHECK_FALSE(refused.header("Retry-After").empty());
  CHECK(office.log.somebody_waits());
  office.log.release();
  CHECK(paying.get().status == 200);
  CHECK(client{office}.get("/reservations/" + office.reservation, office.ann).text("status") == "CONFIRMED");
  CHECK(office.cancelled() == 0);
}

TEST_CASE("a request whose turn comes in time is executed, however long it waited for it") {
  box_office office;
  office.log.hold();
  auto paying = office.ask_and_be_decided(office.pays());
  auto cancelling = std::async(std::launch::async, [&office] { return client{office}.ask(office.cancels()); });
  CHECK(cancelling.wait_for(std::chrono::milliseconds{100}) == std::future_status::timeout);
  office.log.release();
  CHECK(paying.get().status == 200);
  CHECK(cancelling.get().status == 200);
  CHECK(office.cancelled() == 1);
}

TEST_CASE("what is decided but not on disk in time is answered as unknown, and the same key tells later what became of it") {
  box_office office;
  office.log.hold();
  const request charge{"POST", "/balance/charge", R"({"amount":5})", office.ann, {{"Idempotency-Key", "five"}}};
  const auto began = std::chrono::steady_clock::now();
  const auto unknown = office.ask_and_be_decided(waiting_a_second(charge)).get();
  INFO(unknown.body);
  CHECK(unknown.status == 504);
  CHECK(unknown.text("code") == "outcome-unknown");
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::seconds{2});  // it gets its time again when it is decided
  office.log.release();
  const auto known = client{office}.ask(charge);
  CHECK(known.status == 200);
  CHECK(known.header("Idempotency-Replayed") == "true");
  CHECK(known.number("balance") == 1005);
}

}  // namespace usher::tests
