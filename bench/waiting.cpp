#include "bench/waiting.hpp"

#include "bench/answers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace usher::bench {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 9> words{"EARLY", "WAITING", "ADMITTED", "EXPIRED", "LEFT", "PAID", "VANISHED", "EVICTED", "CLOSED"};
enum word : std::uint8_t { early, waiting, admitted, expired, left, paid, vanished, evicted, closed, unknown };
enum stage : std::uint8_t { before_the_draw = 1, in_line = 2, inside = 3, over = 4 };

constexpr std::int64_t promise_every_ms = 60'000;
constexpr std::int64_t closing_ms_max = 2'000;
constexpr std::int64_t same_moment_ms = 1'000;
constexpr double inside_tolerance = 0.05;
constexpr double inside_share_min = 0.9;
constexpr std::size_t inside_samples_min = 5;
constexpr std::array<std::uint32_t, 7> lengths_s{10, 30, 60, 120, 300, 600, 1'800};

word word_in(std::string_view status) { return static_cast<word>(std::find(words.begin(), words.end(), status) - words.begin()); }

std::uint8_t stage_of(word w) { return w == early ? before_the_draw : w == waiting ? in_line : w == admitted ? inside : over; }

std::optional<eta> eta_in(const json::object& data) {
  const auto* range = member(data, "eta");
  if (range == nullptr) return std::nullopt;
  const auto p50 = count(*range, "p50"), p90 = count(*range, "p90");
  if (!p50 || !p90) return std::nullopt;
  return eta{static_cast<std::uint32_t>(*p50), static_cast<std::uint32_t>(*p90)};
}

double median(std::vector<double>& of) {
  if (of.empty()) return 0;
  const auto middle = of.begin() + static_cast<std::ptrdiff_t>((of.size() - 1) / 2);
  std::nth_element(of.begin(), middle, of.end());
  return *middle;
}

struct wait {
  eta promised;
  double real_s;
};

kept_promises kept(std::string of, const std::vector<wait>& waits) {
  kept_promises out;
  out.of = std::move(of);
  out.count = waits.size();
  if (waits.empty()) return out;
  std::vector<double> promised, real, error;
  std::size_t within_p50 = 0, within_p90 = 0;
  for (const auto& one : waits) {
    const auto whole_s = std::floor(one.real_s);  // promises are whole seconds
    within_p50 += whole_s <= one.promised.p50_s;
    within_p90 += whole_s <= one.promised.p90_s;
    promised.push_back(one.promised.p50_s);
    real.push_back(one.real_s);
    error.push_back(std::abs(one.real_s - one.promised.p50_s));
  }
  out.within_p50 = static_cast<double>(within_p50) / static_cast<double>(waits.size());
  out.within_p90 = static_cast<double>(within_p90) / static_cast<double>(waits.size());
  out.promised_s = median(promised);
  out.real_s = median(real);
  out.error_s = median(error);
  return out;
}

std::string of_all(std::size_t some, std::size_t all, std::string_view what) {
  return std::to_string(some) + " of " + std::to_string(all) + " " + std::string{what};
}

}  // namespace

told told_in(std::string_view message) {
  const auto whole = object_of(message);
  const auto* inner = member(whole, "data");
  const auto& data = inner == nullptr ? whole : *inner;
  told out;
  out.refusal = text(whole, "code");
  out.closed = out.refusal == "sale-closed";
  // A problem has a `status` as well, a number; what is said to a whole room speaks of nobody's place.
  if (!out.refusal.empty() || text(whole, "op") == "room") return out;
  out.status = text(data, "status");
  out.closed = out.status == "CLOSED";
  out.position = count(data, "position");
  out.ahead = count(data, "ahead");
  out.promised = eta_in(data);
  if (const auto* admission = member(data, "admission")) {
    out.admission = text(*admission, "token");
    out.admission_expires_ms = time_ms(*admission, "expiresAt");
  }
  return out;
}

waiting_book::ticket waiting_book::joined(std::uint64_t number, channel by) {
  auto& added = stories_.emplace_back();
  added.number = number;
  added.by = by;
  return stories_.size() - 1;
}

void waiting_book::heard(ticket of, const told& said, std::int64_t now_ms) {
  auto& story = stories_[of];
  if (!story.listens) return;
  if (said.closed && story.closed_ms == 0 && story.stage < inside) story.closed_ms = now_ms;
  story.lost = story.lost || (said.refusal == "queue-ticket-expired" && story.stage < inside);
  if (said.status.empty()) return;
  const auto told_word = word_in(said.status);
  const auto stage = stage_of(told_word);
  story.words = static_cast<std::uint16_t>(story.words | 1u << told_word);
  story.went_back = story.went_back || stage < story.stage;
  story.lost = story.lost || (story.stage < inside && stage == over && told_word != closed);
  story.stage = stage;
  if (stage == inside && said.admission_expires_ms != 0) {
    if (story.admission_expires_ms == 0) story.heard_ms = now_ms;
    story.admitted_twice = story.admitted_twice || (story.admission_expires_ms != 0 && story.admission_expires_ms != said.admission_expires_ms);
    story.admission_expires_ms = said.admission_expires_ms;
  }
  if (stage != in_line) return;
  if (said.position) {
    story.grew = story.grew || (story.position != 0 && *said.position > story.position);
    story.position = *said.position;
  }
  if (said.promised && (story.promises.empty() || now_ms - story.promises.back().made_ms >= promise_every_ms)) {
    story.promises.push_back({now_ms, *said.promised});
  }
}

void waiting_book::listens_by(ticket of, channel by) { stories_[of].by = by; }
void waiting_book::gone(ticket of) { stories_[of].listens = false; }

std::uint64_t waiting_book::rank(const story& s) const {
  const auto found = rank_of_.find(s.number);
  return found == rank_of_.end() ? s.number : found->second;
}

// People who were let in while somebody with a better rank, who listened, still waited. An admission that is decided together with
// a purchase bears the purchase's time, which may be a little before that of one decided meanwhile: that is no overtaking.
std::size_t waiting_book::overtakers(const pace& by) const {
  std::vector<const story*> order;
  for (const auto& one : stories_) {
    const bool waited_to_the_end = one.listens || one.closed_ms != 0;
    const bool rank_unknown = (one.words >> early & 1) != 0 && !rank_of_.contains(one.number);
    if (!one.lost && !rank_unknown && (one.admission_expires_ms != 0 || waited_to_the_end)) order.push_back(&one);
  }
  std::sort(order.begin(), order.end(), [this](const story* a, const story* b) { return rank(*a) < rank(*b); });
  std::size_t found = 0;
  std::int64_t latest = same_moment_ms;
  for (const auto* one : order) {
    const auto never = std::numeric_limits<std::int64_t>::max();
    const auto at = one->admission_expires_ms == 0 ? never : admitted_ms(*one, by);
    found += at < latest - same_moment_ms;
    latest = std::max(latest, at);
  }
  return found;
}

// The most people that one window let in, and the number of windows that let anybody in.
std::pair<std::size_t, std::size_t> waiting_book::fullest_window(const pace& by) const {
  auto start = by.window_started_ms;
  if (start == 0) {
    start = std::numeric_limits<std::int64_t>::max();
    for (const auto& one : stories_) {
      if (one.admission_expires_ms != 0) start = std::min(start, admitted_ms(one, by));
    }
  }
  const auto length_ms = 1'000 * std::max<std::int64_t>(by.window_s, 1);
  std::map<std::int64_t, std::size_t> windows;
  for (const auto& one : stories_) {
    if (one.admission_expires_ms == 0) continue;
    const auto since = admitted_ms(one, by) - start;
    ++windows[since >= 0 ? since / length_ms : (since + 1) / length_ms - 1];
  }
  std::size_t most = 0;
  for (const auto& [window, people] : windows) most = std::max(most, people);
  return {most, windows.size()};
}

void waiting_book::judge_stories(waiting_report& into) const {
  std::size_t grew = 0, went_back = 0, twice = 0, lost = 0;
  for (const auto& one : stories_) {
    grew += one.grew;
    went_back += one.went_back;
    twice += one.admitted_twice;
    lost += one.lost;
  }
  std::size_t strange = 0;
  for (const auto& one : stories_) strange += (one.words >> unknown & 1) != 0;
  const auto all = stories_.size();
  into.checks.push_back({"no position grew", grew == 0, of_all(grew, all, "did")});
  into.checks.push_back({"each ticket's story only went forward", went_back + strange == 0, of_all(went_back + strange, all, "didn't")});
  into.checks.push_back({"nobody was admitted twice with one ticket", twice == 0, of_all(twice, all, "were")});
  into.checks.push_back({"nobody who listened lost their place", lost == 0, of_all(lost, all, "did")});
}

void waiting_book::judge_admissions(const pace& by, waiting_report& into) const {
  std::size_t admissions = 0;
  for (const auto& one : stories_) {
    auto& account = into.channels[static_cast<std::size_t>(one.by)];
    ++account.people;
    for (std::size_t w = 0; w < words.size(); ++w) {
      if ((one.words >> w & 1) != 0) ++account.words[std::string{words[w]}];
    }
    if (one.admission_expires_ms == 0) continue;
    ++admissions;
    ++account.admitted;
    account.late.record(1'000 * (one.heard_ms - admitted_ms(one, by)));
  }
  const auto overtook = overtakers(by);
  into.checks.push_back({rank_of_.empty() ? "admissions followed the numbers" : "admissions followed the draw, then the numbers", overtook == 0,
                         of_all(overtook, admissions, "overtook somebody")});
  const auto [most, windows] = fullest_window(by);
  into.checks.push_back({"no window let in more than promised", most <= by.per_window,
                         "at most " + std::to_string(most) + " of " + std::to_string(by.per_window) + " in " + std::to_string(windows) + " windows"});
}

// Who polls hears it when they ask next, and so isn't counted.
void waiting_book::judge_closing(const pace& by, waiting_report& into) const {
  auto first = std::numeric_limits<std::int64_t>::max();
  std::int64_t last = 0;
  std::size_t heard = 0, led_on = 0;
  for (const auto& one : stories_) {
    if (one.closed_ms == 0 || one.by == channel::poll) continue;
    ++heard;
    first = std::min(first, one.closed_ms);
    last = std::max(last, one.closed_ms);
  }
  if (heard == 0) return;
  for (const auto& one : stories_) led_on += one.admission_expires_ms != 0 && admitted_ms(one, by) > first + closing_ms_max;
  into.checks.push_back({"everyone who waited heard of the end within 2 s", last - first <= closing_ms_max,
                         std::to_string(heard) + " people within " + std::to_string(last - first) + " ms"});
  into.checks.push_back({"nobody was let in after the end", led_on == 0, std::to_string(led_on) + " were"});
}

void waiting_book::judge_promises(waiting_report& into) const {
  std::vector<wait> at_joining, later;
  std::array<std::vector<wait>, lengths_s.size() + 1> by_length;
  for (const auto& one : stories_) {
    if (one.admission_expires_ms == 0) continue;
    for (const auto& made : one.promises) {
      const wait seen{made.range, static_cast<double>(one.heard_ms - made.made_ms) / 1e3};
      (&made == &one.promises.front() ? at_joining : later).push_back(seen);
      by_length[static_cast<std::size_t>(std::upper_bound(lengths_s.begin(), lengths_s.end(), made.range.p50_s) - lengths_s.begin())].push_back(seen);
    }
  }
  if (at_joining.empty()) return;
  into.promises.push_back(kept("at joining", at_joining));
  into.promises.push_back(kept("a minute later and on", later));
  for (std::size_t i = 0; i < by_length.size(); ++i) {
    if (by_length[i].empty()) continue;
    const auto limit = i < lengths_s.size() ? "below " + std::to_string(lengths_s[i]) + " s" : "longer";
    into.promises.push_back(kept(limit, by_length[i]));
  }
}

// A cap is kept from above always. From below only where it is the cap that holds people back: once the room was full, while
// people wait, places are left for all inside, and the windows of the last while had more to give.
void waiting_book::judge_inside(const pace& by, waiting_report& into) const {
  auto& account = into.inside;
  bool was_full = false;
  std::size_t before = 0;
  const double cap = by.max_active;
  for (const auto& seen : samples_) {
    ++account.samples;
    account.most = std::max(account.most, seen.inside);
    if (by.max_active == 0) continue;
    while (samples_[before].at_ms < seen.at_ms - 1'000 * std::int64_t{by.window_s}) ++before;
    const bool windows_bind = seen.admitted - samples_[before].admitted >= std::uint64_t{by.per_window} * 9 / 10;
    const bool hall_binds = seen.available && *seen.available <= by.max_active;
    was_full = was_full || static_cast<double>(seen.inside) >= cap * (1 - inside_tolerance);
    if (!was_full || seen.waiting == 0 || windows_bind || hall_binds) continue;
    ++account.judged;
    account.close += std::abs(static_cast<double>(seen.inside) - cap) <= cap * inside_tolerance;
  }
  if (by.max_active == 0 || account.samples == 0) return;
  into.checks.push_back({"no more people inside than may be", account.most <= by.max_active, std::to_string(account.most) + " of " + std::to_string(by.max_active)});
  if (account.judged < inside_samples_min) return;
  const auto share = static_cast<double>(account.close) / static_cast<double>(account.judged);
  into.checks.push_back({"people inside stayed within 5 % of the cap", share >= inside_share_min, of_all(account.close, account.judged, "samples")});
}

waiting_report waiting_book::judge(const pace& by) const {
  waiting_report out;
  if (!stories_.empty()) {
    judge_stories(out);
    judge_admissions(by, out);
    judge_closing(by, out);
    judge_promises(out);
  }
  judge_inside(by, out);
  return out;
}

}  // namespace usher::bench
