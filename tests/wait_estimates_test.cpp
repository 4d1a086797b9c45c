// What people in a waiting room are told about their wait, against what they then waited: whole queues are played, from seeds.
#include "projections/wait_estimates.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <queue>
#include <random>
#include <tuple>
#include <vector>

namespace {

using namespace usher::projections;

constexpr std::int64_t minute_ms = 60'000;

/// A queue to play. Times are in seconds where nothing else is said.
struct scenario {
  std::uint32_t per_window = 250;
  std::uint32_t window = 10;
  bool is_smooth = false;
  std::uint32_t max_active = 0;
  double stay = 60;                       // inside, on average
  double idle = 0;                        // the share of those inside who do nothing until their time is over
  int crowd = 3'000;                      // who come in the first second
  double arrivals = 25;                   // a second, from then on
  double abandon = 0;                     // the share of people who go away
  double patience = 600;                  // those do it at some moment of so many seconds
  std::vector<double> weights{1};         // of lanes
  std::vector<double> choice{1};          // how many of the people come to each
  bool has_pauses = false;
  std::uint32_t per_window_later = 0;     // what an operator makes of it after 15 minutes
  std::int64_t minutes = 40;
  std::int64_t from_minute = 10;          // people who joined before aren't compared
};

struct verdict {
  int people = 0;
  int within_p50 = 0;
  int within_p90 = 0;
  double error_s = 0;
  double wait_s = 0;
  double width_s = 0;
  void note(const wait_range& told, std::int64_t waited_ms) {
    ++people;
    within_p50 += waited_ms <= std::int64_t{told.p50_s} * 1000;
    within_p90 += waited_ms <= std::int64_t{told.p90_s} * 1000;
    wait_s += static_cast<double>(waited_ms) / 1000;
    error_s += std::abs(static_cast<double>(waited_ms) / 1000 - told.p50_s);
    width_s += told.p90_s - told.p50_s;
  }
  [[nodiscard]] double p50() const { return static_cast<double>(within_p50) / people; }
  [[nodiscard]] double p90() const { return static_cast<double>(within_p90) / people; }
};

/// How many people wait up to a place.
class standing {
 public:
  void add() {
    const std::size_t i = sums_.size();
    sums_.push_back(up_to(i - 1) - up_to(i - (i & (~i + 1))));
    change(i, 1);
  }
  void change(std::size_t place, int by) {
    for (auto i = place; i < sums_.size(); i += i & (~i + 1)) sums_[i] += by;
  }
  [[nodiscard]] int up_to(std::size_t place) const {
    int sum = 0;
    for (auto i = place; i > 0; i -= i & (~i + 1)) sum += sums_[i];
    return sum;
  }

 private:
  std::vector<int> sums_{0};
};

/// Plays one queue and compares what everybody was told on joining with how long they waited.
class play {
 public:
  play(const scenario& s, std::uint64_t seed, verdict& told) : s_(s), dice_(seed), told_(told), lanes_(s.weights.size()) {
    double all = 0;
    for (const auto w : s_.weights) all += w;
    for (std::size_t l = 0; l < lanes_.size(); ++l) {
      lane_pace pace{s.per_window, std::int64_t{s.window} * 1000, s.is_smooth, s.max_active};
      pace.share = s.weights[l] / all;
      lanes_[l].pace = pace;
      lanes_[l].estimates.declare(0, pace);
    }
    for (int i = 0; i < s_.crowd; ++i) plan(some(1000), {what::join});
    plan(1000, {what::come});
    plan(1500, {what::start});
    if (s_.has_pauses) plan(exponential(5 * minute_ms), {what::pause});
    if (s_.per_window_later != 0) plan(15 * minute_ms, {what::change});
  }

  void run() {
    while (!plans_.empty() && now_ < s_.minutes * minute_ms) {
      const auto next = plans_.top();
      plans_.pop();
      now_ = next.at_ms;
      happen(next.it);
      admit();
    }
  }
  [[nodiscard]] const wait_estimates& lane(std::size_t l) const { return lanes_[l].estimates; }

 private:
  enum class what { join, come, give_up, leave_house, start, wake, pause, resume, change };
  struct event {
    what kind;
    std::size_t lane = 0;
    std::size_t place = 0;
  };
  struct plan_entry {
    std::int64_t at_ms;
    std::uint64_t order;
    event it;
    bool operator<(const plan_entry& o) const { return std::tie(o.at_ms, o.order) < std::tie(at_ms, order); }
  };
  struct person {
    std::int64_t joined_ms;
    std::optional<wait_range> told;
    bool waits = true;
  };
  struct lane_of_play {
    lane_pace pace;
    wait_estimates estimates;
    standing places;
    std::vector<person> people;
    std::size_t through = 0;
    int waiting = 0;
    double pass = 0;
  };

  double chance() { return static_cast<double>(dice_() >> 11) * 0x1.0p-53; }
  std::int64_t some(double ms) { return static_cast<std::int64_t>(chance() * ms); }
  std::int64_t exponential(double mean_ms) { return static_cast<std::int64_t>(-mean_ms * std::log1p(-chance())); }
  void plan(std::int64_t after_ms, event it) { plans_.push({now_ + after_ms, planned_++, it}); }

  void happen(const event& e) {
    switch (e.kind) {
      case what::join: return join();
      case what::come:
        plan(exponential(1000 / s_.arrivals), {what::come});
        return join();
      case what::give_up: {
        auto& lane = lanes_[e.lane];
        auto& who = lane.people[e.place - 1];
        if (!who.waits) return;
        who.waits = false;
        lane.places.change(e.place, -1);
        --lane.waiting;
        return lane.estimates.leave(now_);
      }
      case what::leave_house: --inside_; return;
      case what::start:
        window_ms_ = now_;
        started_ = true;
        return;
      case what::wake: return;
      case what::pause:
        paused_ = true;
        for (auto& l : lanes_) l.estimates.pause(now_);
        disturbed_ms_ = now_;
        return plan(20'000 + some(100'000), {what::resume});
      case what::resume:
        paused_ = false;
        for (auto& l : lanes_) l.estimates.resume(now_);
        disturbed_ms_ = now_;
        return plan(exponential(10 * minute_ms), {what::pause});
      case what::change:
        s_.per_window = s_.per_window_later;
        for (auto& l : lanes_) {
          l.pace.per_window = s_.per_window;
          l.estimates.declare(now_, l.pace);
        }
        disturbed_ms_ = now_;
        return;
    }
  }

  void join() {
    double pick = chance();
    std::size_t l = 0;
    while (l + 1 < lanes_.size() && pick >= s_.choice[l]) pick -= s_.choice[l++];
    auto& lane = lanes_[l];
    lane.places.add();
    const std::size_t place = lane.people.size() + 1;
    const auto position = static_cast<std::uint64_t>(lane.places.up_to(place) - lane.places.up_to(lane.through));
    lane.estimates.join(now_, place, position);
    lane.people.push_back({now_, lane.estimates.estimate(position, now_)});
    ++lane.waiting;
    if (chance() < s_.abandon) plan(some(s_.patience * 1000), {what::give_up, l, place});
  }

  void admit() {
    if (!started_ || paused_) return;
    const std::int64_t length_ms = std::int64_t{s_.window} * 1000;
    if (now_ - window_ms_ >= length_ms) {
      window_ms_ += (now_ - window_ms_) / length_ms * length_ms;
      in_window_ = 0;
    }
    const auto by_now = s_.is_smooth ? (now_ - window_ms_) * s_.per_window / length_ms + 1 : std::int64_t{s_.per_window};
    auto room = std::min(by_now, std::int64_t{s_.per_window}) - in_window_;
    if (s_.max_active != 0) room = std::min<std::int64_t>(room, s_.max_active - inside_);

    std::vector<int> counts(lanes_.size());
    for (; room > 0; --room) {
      lane_of_play* next = nullptr;
      for (std::size_t l = 0; l < lanes_.size(); ++l) {
        if (lanes_[l].waiting > counts[l] && (next == nullptr || lanes_[l].pass < next->pass)) next = &lanes_[l];
      }
      if (next == nullptr) break;
      const auto l = static_cast<std::size_t>(next - lanes_.data());
      ++counts[l];
      next->pass += 1 / s_.weights[l];
    }
    for (std::size_t l = 0; l < lanes_.size(); ++l) inside_ += counts[l];
    for (std::size_t l = 0; l < lanes_.size(); ++l) {
      if (counts[l] > 0) let_in(l, counts[l]);
    }
    // A lane that nobody waits in saves nothing up.
    double least = 1e18;
    for (const auto& l : lanes_) {
      if (l.waiting > 0) least = std::min(least, l.pass);
    }
    for (auto& l : lanes_) {
      if (l.waiting == 0 && least < 1e18) l.pass = std::max(l.pass, least);
    }
    const auto next_ms = s_.is_smooth && in_window_ < s_.per_window ? window_ms_ + (in_window_ * length_ms + s_.per_window - 1) / s_.per_window
                                                                    : window_ms_ + length_ms;
    if (next_ms > now_ && next_ms != woken_ms_) plan(next_ms - now_, {what::wake});
    woken_ms_ = next_ms;
  }

  void let_in(std::size_t l, int count) {
    auto& lane = lanes_[l];
    for (int left = count; left > 0;) {
      auto& who = lane.people[lane.through++];
      if (!who.waits) continue;
      who.waits = false;
      --left;
      if (s_.max_active != 0) {
        const auto longest_ms = lane.pace.admission_ms;
        const auto stay_ms = chance() < s_.idle ? longest_ms : std::min(longest_ms, exponential(s_.stay * 1000));
        plan(stay_ms, {what::leave_house});
      }
      if (who.told && who.joined_ms >= std::max(s_.from_minute * minute_ms, disturbed_ms_)) told_.note(*who.told, now_ - who.joined_ms);
    }
    lane.waiting -= count;
    in_window_ += count;
    lane.estimates.admit(now_, static_cast<std::uint64_t>(count), lane.through, window_ms_, static_cast<std::uint64_t>(inside_));
  }

  scenario s_;
  std::mt19937_64 dice_;
  verdict& told_;
  std::vector<lane_of_play> lanes_;
  std::priority_queue<plan_entry> plans_;
  std::uint64_t planned_ = 0;
  std::int64_t now_ = 0;
  std::int64_t window_ms_ = 0;
  std::int64_t in_window_ = 0;
  std::int64_t woken_ms_ = 0;
  std::int64_t disturbed_ms_ = 0;
  std::int64_t inside_ = 0;
  bool started_ = false;
  bool paused_ = false;
};

verdict of_many(const scenario& s) {
  verdict told;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) play(s, seed, told).run();
  return told;
}

struct named {
  const char* name;
  scenario it;
};

const std::vector<named> steady{
    {"250 every ten seconds", {}},
    {"250 in ten seconds, one by one", {.is_smooth = true}},
    {"a quarter to a half of them go away again", {.arrivals = 35, .abandon = 0.4}},
    {"who goes away does so soon", {.arrivals = 35, .abandon = 0.4, .patience = 100}},
    {"one by one, and many go away again", {.is_smooth = true, .arrivals = 35, .abandon = 0.4, .patience = 300}},
    {"500 people inside at most", {.max_active = 500, .crowd = 2'000, .arrivals = 8}},
    {"2,500 people inside at most, who are never so many", {.max_active = 2'500}},
    {"500 inside at most, and many go away again", {.max_active = 500, .crowd = 2'000, .arrivals = 11, .abandon = 0.4}},
    {"500 inside at most, many of whom do nothing there", {.max_active = 500, .idle = 0.4, .crowd = 1'000, .arrivals = 3}},
    {"pauses now and then", {.arrivals = 35, .abandon = 0.4, .has_pauses = true}},
    {"lanes that share three to one", {.arrivals = 35, .abandon = 0.4, .weights = {3, 1}, .choice = {0.7, 0.3}}},
};

TEST_CASE("half of all waits end within the p50 that was told on joining, and nine of ten within the p90") {
  for (const auto& s : steady) {
    DYNAMIC_SECTION(s.name) {
      const auto told = of_many(s.it);
      INFO("people " << told.people << ", wait " << told.wait_s / told.people << " s, p90 - p50 " << told.width_s / told.people << " s, error "
                     << told.error_s / told.people << " s");
      CHECK(told.people > 10'000);
      CHECK(told.p50() >= 0.35);
      CHECK(told.p50() <= 0.65);
      CHECK(told.p90() >= 0.85);
      CHECK(told.p90() <= 0.99);
      // And it is not by a wide range that they are right.
      CHECK(told.width_s / told.wait_s < 0.3);
      CHECK(told.error_s / told.wait_s < 0.1);
    }
  }
}

TEST_CASE("after an operator has changed the rate, the p90 holds for those who join from then on") {
  const std::vector<named> changed{
      {"faster", {.crowd = 6'000, .arrivals = 40, .abandon = 0.4, .per_window_later = 350, .from_minute = 15}},
      {"slower", {.arrivals = 30, .abandon = 0.4, .per_window_later = 150, .from_minute = 15}},
      {"slower, though people inside set the pace", {.max_active = 500, .arrivals = 11, .abandon = 0.4, .per_window_later = 150, .from_minute = 15}},
  };
  for (const auto& s : changed) {
    DYNAMIC_SECTION(s.name) {
      const auto told = of_many(s.it);
      CHECK(told.people > 10'000);
      CHECK(told.p90() >= 0.75);
    }
  }
}

TEST_CASE("where a lane of priority comes and goes, the others are not told less than they wait") {
  const auto told = of_many({.arrivals = 35, .abandon = 0.4, .weights = {3, 1}, .choice = {0.1, 0.9}});
  CHECK(told.p90() >= 0.85);
}

TEST_CASE("the first crowd, of which nobody knows anything yet, waits no longer than it was told") {
  SECTION("they all stay") {
    const auto told = of_many({.crowd = 10'000, .arrivals = 0.01, .minutes = 20, .from_minute = 0});
    CHECK(told.p90() >= 0.85);
    CHECK(told.error_s / told.people < 2);  // nothing disturbs the windows, so it is known to the moment of the opening
  }
  SECTION("many go away again") {
    CHECK(of_many({.crowd = 10'000, .arrivals = 0.01, .abandon = 0.4, .minutes = 20, .from_minute = 0}).p90() >= 0.9);
  }
  SECTION("few may be inside") {
    CHECK(of_many({.max_active = 500, .crowd = 5'000, .arrivals = 0.01, .minutes = 60, .from_minute = 0}).p90() >= 0.85);
  }
}

TEST_CASE("before anything has happened, the declared pace says how long it takes") {
  wait_estimates estimates;
  estimates.declare(0, {});
  estimates.join(0, 1, 1, 1'000);
  CHECK(estimates.estimate(250, 0)->p50_s == 0);
  CHECK(estimates.estimate(251, 0)->p50_s == 10);
  CHECK(estimates.estimate(1'000, 0)->p50_s == 30);
  CHECK(estimates.estimate(1'000, 0)->p90_s > 30);

  SECTION("from the next window on, once one is running") {
    estimates.admit(0, 250, 250, 0, 250);
    CHECK(estimates.estimate(1, 4'000)->p50_s == 6);
    CHECK(estimates.estimate(250, 4'000)->p50_s == 6);
    CHECK(estimates.estimate(251, 4'000)->p50_s == 16);
  }
  SECTION("from the opening on, if that is still to come") {
    estimates.declare(0, {.opens_at_ms = minute_ms});
    CHECK(estimates.estimate(1, 10'000)->p50_s == 50);
    CHECK(estimates.estimate(251, 10'000)->p50_s == 60);
  }
  SECTION("for the share that a lane has") {
    estimates.declare(0, {.share = 0.25});
    CHECK(estimates.estimate(250, 0)->p50_s == 30);
  }
}

TEST_CASE("nobody knows at first how soon people inside make room, and the range says so") {
  wait_estimates estimates;
  estimates.declare(0, {.max_active = 100});
  estimates.join(0, 1, 1, 1'000);
  const auto told = *estimates.estimate(1'000, 0);
  CHECK(told.p50_s >= 1'200);  // each of the nine hundred beyond the first hundred for half of the five minutes he may stay
  CHECK(told.p90_s >= told.p50_s * 7 / 5);
}

TEST_CASE("three people who go away at once don't promise that everybody will") {
  wait_estimates estimates;
  estimates.declare(0, {});
  estimates.join(0, 1, 1, 1'003);
  estimates.leave(10, 3);
  CHECK(estimates.estimate(1'000, 10)->p50_s == 30);
}

TEST_CASE("a change of the rate counts at once") {
  const auto after_ten_minutes = [](std::uint32_t admitted_a_window, std::uint64_t inside, const lane_pace& pace) {
    wait_estimates estimates;
    estimates.declare(0, pace);
    estimates.join(0, 1, 1, 100'000);
    for (std::int64_t at_ms = 0; at_ms < 10 * minute_ms; at_ms += 10'000) {
      estimates.admit(at_ms, admitted_a_window, static_cast<std::uint64_t>(at_ms / 10'000 + 1) * admitted_a_window, at_ms, inside);
    }
    return estimates;
  };
  SECTION("where windows set the pace") {
    auto estimates = after_ten_minutes(250, 250, {});
    CHECK(estimates.estimate(2'500, 595'000)->p50_s == 95);
    estimates.declare(595'000, {.per_window = 500});
    CHECK(estimates.estimate(2'500, 595'000)->p50_s == 45);
    estimates.declare(595'000, {.per_window = 25});
    CHECK(estimates.estimate(2'500, 595'000)->p50_s == 995);
  }
  SECTION("where people inside set it: only if it becomes slower than they are") {
    auto estimates = after_ten_minutes(80, 500, {.max_active = 500});
    CHECK(estimates.estimate(800, 595'000)->p50_s == 100);
    estimates.declare(595'000, {.per_window = 500, .max_active = 500});
    CHECK(estimates.estimate(800, 595'000)->p50_s == 100);
    estimates.declare(595'000, {.per_window = 40, .max_active = 500});
    CHECK(estimates.estimate(800, 595'000)->p50_s == 200);
  }
}

TEST_CASE("while the queue is paused nobody is told how long it takes") {
  wait_estimates estimates;
  estimates.join(0, 1, 1);
  estimates.pause(1'000);
  CHECK_FALSE(estimates.estimate(1, 1'000));
  estimates.resume(2'000);
  CHECK(estimates.estimate(1, 2'000));
}

TEST_CASE("a node that was down for an hour tells the same as before") {
  verdict ignored;
  play played({}, 1, ignored);
  played.run();
  auto after = played.lane(0);
  const auto before_s = after.estimate(5'000, 40 * minute_ms)->p50_s;
  after.join(100 * minute_ms, 1'000'000, 5'000);
  CHECK(after.estimate(5'000, 100 * minute_ms)->p50_s == Approx(before_s).margin(10));
}

TEST_CASE("estimates go on from their row as if nothing had happened, and the row stays small") {
  for (const auto& s : steady) {
    INFO(s.name);
    verdict ignored;
    play played(s.it, 3, ignored);
    played.run();
    auto lane = played.lane(0);
    CHECK(lane.save().size() <= 6'000);
    wait_estimates again;
    again.restore(lane.save());
    const auto now_ms = s.it.minutes * minute_ms;
    for (std::int64_t after_ms = 0; after_ms < minute_ms; after_ms += 5'000) {
      for (auto* e : {&lane, &again}) {
        e->join(now_ms + after_ms, 2'000'000 + static_cast<std::uint64_t>(after_ms), 3'000);
        e->leave(now_ms + after_ms);
        e->admit(now_ms + after_ms, 100, 1'000'000, now_ms + after_ms, 100);
      }
      CHECK(lane.estimate(3'000, now_ms + after_ms) == again.estimate(3'000, now_ms + after_ms));
    }
    CHECK(lane.save() == again.save());
  }
  wait_estimates broken;
  CHECK_THROWS(broken.restore("no row"));
}

TEST_CASE("the score says how often waits ended within what was promised") {
  wait_score score;
  CHECK(score.samples() == 0);
  const wait_promise promise(wait_range{60, 90});
  for (const std::int64_t waited_s : {10, 60, 61, 90, 91}) score.note(promise, waited_s * 1000);
  score.note(wait_promise{}, 1000);  // nothing was promised, so nothing can be broken
  CHECK(score.samples() == 5);
  CHECK(score.within_p50() == Approx(0.4));
  CHECK(score.within_p90() == Approx(0.8));

  wait_score again;
  again.restore(score.save());
  CHECK(again.save() == score.save());

  SECTION("of several queues together") {
    wait_score other;
    for (int i = 0; i < 15; ++i) other.note(promise, 1000);
    score.add(other);
    CHECK(score.samples() == 20);
    CHECK(score.within_p50() == Approx(0.85));
    CHECK(score.within_p90() == Approx(0.95));
  }
  SECTION("of the last few thousand people") {
    for (int i = 0; i < 30'000; ++i) score.note(promise, 1000);
    CHECK(score.within_p50() > 0.99);
  }
}

TEST_CASE("a promise of more than eighteen hours is kept as one of eighteen hours") {
  CHECK(wait_promise(wait_range{100'000, 200'000}).p90_s == 0xfffe);
  CHECK(wait_promise(wait_range{100'000, 200'000}).is_made());
  CHECK_FALSE(wait_promise(std::nullopt).is_made());
}

}  // namespace
