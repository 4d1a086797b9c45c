// Long work that somebody asked the node for.

#include <catch2/catch.hpp>

#include <future>

#include "http/operations.hpp"

namespace usher::http {
namespace {

struct still_clock final : wall_clock {
  [[nodiscard]] time_point now() const override { return from_ms(1'000); }
};

/// Work that waits until the test lets it go on.
class gate {
 public:
  void open() { opened_.set_value(); }
  void wait() { open_.wait(); }

 private:
  std::promise<void> opened_;
  std::shared_future<void> open_ = opened_.get_future().share();
};

/// Waits for the end of an operation, which comes.
operation_view ended(const operations& all, const std::string& id) {
  for (;;) {
    if (auto seen = all.find(id); seen && seen->ended_at_ms != 0) return *seen;
    std::this_thread::yield();
  }
}

}  // namespace

TEST_CASE("an operation tells what came of it") {
  still_clock clock;
  operations all{clock};
  const auto good = all.start("count", "", [](operation_progress& p) {
    p.expect(3);
    p.done(3);
    return result<std::string>{R"({"n":3})"};
  });
  const auto bad = all.start("open", "a store", [](operation_progress&) { return result<std::string>{failure{errc::corrupted, "It is damaged."}}; });
  const auto worse = all.start("throw", "", [](operation_progress&) -> result<std::string> { throw std::runtime_error("no memory"); });
  REQUIRE((good && bad && worse));
  const auto counted = ended(all, *good);
  CHECK(word_of(counted.state) == "SUCCEEDED");
  CHECK(counted.result == R"({"n":3})");
  CHECK((counted.done == 3 && counted.total == 3 && counted.started_at_ms == 1'000));
  CHECK(word_of(ended(all, *bad).state) == "FAILED");
  CHECK(ended(all, *bad).error == "It is damaged.");
  CHECK(ended(all, *bad).subject == "a store");
  CHECK(ended(all, *worse).error == "no memory");
  CHECK(all.all().size() == 3);
  CHECK(all.all().front().id == *worse);
  CHECK_FALSE(all.find("op_4711"));
}

TEST_CASE("what is under way is not begun a second time") {
  still_clock clock;
  operations all{clock, 1};
  gate first;
  const auto wait = [&first](operation_progress&) {
    first.wait();
    return result<std::string>{"{}"};
  };
  const auto one = all.start("rebuild", "seat_map", wait);
  const auto other = all.start("rebuild", "shows", wait);
  REQUIRE((one && other));
  CHECK(all.start("rebuild", "seat_map", wait) == one);
  CHECK(*one != *other);
  first.open();
  ended(all, *one);
  ended(all, *other);
  CHECK(all.start("rebuild", "seat_map", [](operation_progress&) { return result<std::string>{"{}"}; }) != one);
}

TEST_CASE("a crowd of operations is turned away") {
  still_clock clock;
  operations all{clock, 1};
  gate held;
  const auto wait = [&held](operation_progress&) {
    held.wait();
    return result<std::string>{"{}"};
  };
  int taken = 0;
  while (taken < 100 && all.start("rebuild", std::to_string(taken), wait)) ++taken;
  CHECK((taken == 64 || taken == 65));  // one of them may be running by now
  held.open();
}

TEST_CASE("an operation hears that the node ends, and none begins afterwards") {
  still_clock clock;
  operations all{clock, 1};
  std::promise<void> runs;
  const auto id = all.start("verify", "", [&runs](operation_progress& p) {
    runs.set_value();
    while (!p.cancelled()) std::this_thread::yield();
    return result<std::string>{"{}"};
  });
  runs.get_future().wait();
  all.stop();
  CHECK(ended(all, *id).state == operation_state::succeeded);
  CHECK_FALSE(all.start("verify", "", [](operation_progress&) { return result<std::string>{"{}"}; }));
}

}  // namespace usher::http
