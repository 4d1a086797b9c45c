#include "projections/wait_estimates.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "projections/bytes.hpp"

namespace usher::projections {

namespace {

constexpr std::int64_t shortest_block_ms = 10'000;
constexpr std::size_t blocks_max = 60;
constexpr std::size_t probes_max = 100;
constexpr std::size_t outcomes_max = 30;
constexpr double z90 = 1.2816;              // nine tenths of a normal distribution are below so many deviations
constexpr double unknown_pace = 0.25;       // relative deviation of what was declared, before anything was seen
constexpr double unknown_stays = 0.4;       // and of how people inside make room
constexpr double stays_assumed = 10;        // people whose stay is taken for half of the longest, until there are more
constexpr double stays_put_ms = 1'000'000;  // waited by all together without anybody who goes away, assumed to have been seen before
constexpr double probe_predicted_min = 20;  // admissions: fewer tell nothing about a rate
constexpr double golden = 0.6180339887498949;
constexpr std::uint64_t score_memory = 5'000;  // people

bool is_same_rate(lane_pace a, const lane_pace& b) {
  a.opens_at_ms = b.opens_at_ms;
  return a == b;
}

/// So long without anybody who comes, goes or is admitted, and the node was down or the queue forgotten: no habit of a queue.
double standstill_blocks(double admissions_a_block) { return std::max(20.0, std::min(10 / admissions_a_block, 10'000.0)); }

double variance_of(const std::vector<double>& values, double mean) {
  if (values.size() < 2) return 0;
  double squares = 0;
  for (const auto v : values) squares += (v - mean) * (v - mean);
  return squares / static_cast<double>(values.size() - 1);
}

void put_real(std::string& out, double value) { put_number(out, std::bit_cast<std::uint64_t>(value)); }
double real(byte_reader& in) { return std::bit_cast<double>(in.number()); }
void put_time(std::string& out, std::int64_t ms) { put_number(out, static_cast<std::uint64_t>(ms)); }
std::int64_t time(byte_reader& in) { return static_cast<std::int64_t>(in.number()); }

}  // namespace

std::int64_t wait_estimates::block_ms() const {
  if (pace_.is_smooth) return shortest_block_ms;
  return (shortest_block_ms + pace_.window_ms - 1) / pace_.window_ms * pace_.window_ms;
}

void wait_estimates::declare(std::int64_t at_ms, const lane_pace& pace) {
  advance(at_ms);
  const auto before = pace_;
  const auto block_ms_before = block_ms();
  pace_ = pace;
  if (is_same_rate(before, pace)) return;
  const bool is_same_house = before.max_active == pace.max_active && before.admission_ms == pace.admission_ms &&
                             before.share == pace.share && block_ms() == block_ms_before;
  const double most = static_cast<double>(pace.per_window) * pace.share * static_cast<double>(block_ms()) / static_cast<double>(pace.window_ms);
  for (auto& b : blocks_) {
    b.is_busy = b.is_busy && b.is_full && is_same_house;
    b.admitted = std::min(b.admitted, most);
  }
  probes_.clear();
  start_block(at_ms_);
  current_.is_busy = false;
}

void wait_estimates::pause(std::int64_t at_ms) {
  advance(at_ms);
  is_paused_ = true;
}

void wait_estimates::resume(std::int64_t at_ms) {
  advance(at_ms);
  is_paused_ = false;
  // Who went away meanwhile would have been admitted or not: either way, the predictions were not about them.
  for (auto& p : probes_) {
    const double until_now = std::min(p.predicted, admitted_ - p.admitted);
    p.predicted = until_now + (p.predicted - until_now) * kept_in_pause_;
  }
  kept_in_pause_ = 1;
  start_block(at_ms_);
  current_.is_busy = false;  // it may have the windows of two
}

void wait_estimates::join(std::int64_t at_ms, std::uint64_t place, std::uint64_t position, std::uint64_t people) {
  advance(at_ms);
  set_probe(at_ms_, place, position);
  waiting_ += static_cast<double>(people);
}

void wait_estimates::leave(std::int64_t at_ms, std::uint64_t people) {
  advance(at_ms);
  const auto gone = std::min(waiting_, static_cast<double>(people));
  if (is_paused_ && waiting_ > 0) kept_in_pause_ *= 1 - gone / waiting_;
  waiting_ -= gone;
  current_.gone += gone;
  if (waiting_ == 0) current_.is_busy = false;
}

void wait_estimates::admit(std::int64_t at_ms, std::uint64_t people, std::uint64_t through, std::int64_t window_started_at_ms,
                           std::uint64_t inside) {
  advance(at_ms);
  if (!has_started_) start_block(at_ms_);
  has_started_ = true;
  const auto admitted = static_cast<double>(people);
  const double inside_now = static_cast<double>(inside) * pace_.share;
  exits_ += std::max(0.0, inside_ + admitted - inside_now);
  inside_ = inside_now;
  window_started_at_ms_ = window_started_at_ms;
  read_probes(people, through);
  current_.admitted += admitted;
  waiting_ -= std::min(waiting_, admitted);
  if (waiting_ == 0) current_.is_busy = false;
}

void wait_estimates::close(std::int64_t at_ms) {
  advance(at_ms);
  waiting_ = 0;
  probes_.clear();
  current_.is_busy = false;
}

void wait_estimates::advance(std::int64_t at_ms) {
  if (at_ms <= at_ms_) return;
  if (is_paused_) {
    at_ms_ = at_ms;
    return;
  }
  if (!has_started_) block_started_at_ms_ = at_ms;  // there is nothing to cut into blocks yet
  if (static_cast<double>(at_ms - at_ms_) > standstill_blocks(rate_.mean) * static_cast<double>(block_ms())) {
    start_block(at_ms);
    current_.is_busy = false;
    return;
  }
  while (at_ms >= block_started_at_ms_ + block_ms()) end_block(block_started_at_ms_ + block_ms());
  const auto passed_ms = static_cast<double>(at_ms - at_ms_);
  current_.waited_ms += waiting_ * passed_ms;
  stays_ms_ += inside_ * passed_ms;
  at_ms_ = at_ms;
}

void wait_estimates::end_block(std::int64_t at_ms) {
  const auto passed_ms = static_cast<double>(at_ms - at_ms_);
  current_.waited_ms += waiting_ * passed_ms;
  stays_ms_ += inside_ * passed_ms;
  const bool is_full = pace_.max_active > 0 && inside_ >= 0.95 * pace_.share * pace_.max_active;
  current_.is_full = is_full && was_full_;
  blocks_.push_back(current_);
  if (blocks_.size() > blocks_max) blocks_.pop_front();
  start_block(at_ms);
  was_full_ = is_full;
}

void wait_estimates::start_block(std::int64_t at_ms) {
  current_ = block{};
  current_.is_busy = waiting_ > 0 || !has_started_;
  block_started_at_ms_ = at_ms;
  at_ms_ = at_ms;
  has_probe_ = false;
  was_full_ = false;
  sum_up();
}

void wait_estimates::sum_up() {
  rate_ = rate_of_blocks();
  departures_ = departures_of_blocks();
}

// One person a block is followed, each time at another moment of it: those who come just before a window are not like others.
void wait_estimates::set_probe(std::int64_t at_ms, std::uint64_t place, std::uint64_t position) {
  const bool is_time = at_ms >= block_started_at_ms_ + static_cast<std::int64_t>(probe_phase_ * static_cast<double>(block_ms()));
  if (!has_started_ || is_paused_ || has_probe_ || !is_time || probes_.size() == probes_max) return;
  if (!probes_.empty() && place <= probes_.back().place) return;
  const auto predicted = admissions_before(position);
  if (predicted < probe_predicted_min) return;
  has_probe_ = true;
  probe_phase_ = std::fmod(probe_phase_ + golden, 1.0);
  probes_.push_back({place, predicted, admitted_});
}

void wait_estimates::read_probes(std::uint64_t people, std::uint64_t through) {
  const auto before = through_;
  while (!probes_.empty() && probes_.front().place <= through) {
    const auto& p = probes_.front();
    // Its own turn among those who are admitted with it, since a whole window's worth comes at once.
    const double part = p.place <= before ? 0 : static_cast<double>(p.place - before) / static_cast<double>(through - before);
    outcomes_.push_back((admitted_ + part * static_cast<double>(people) - p.admitted) / p.predicted);
    if (outcomes_.size() > outcomes_max) outcomes_.pop_front();
    probes_.pop_front();
    departures_ = departures_of_blocks();
  }
  through_ = std::max(before, through);
  admitted_ += static_cast<double>(people);
}

wait_estimates::rate wait_estimates::rate_of_blocks() const {
  const auto is_of_full_house = [](const block& b) { return b.is_busy && b.is_full; };
  const double declared = static_cast<double>(pace_.per_window) * pace_.share * static_cast<double>(block_ms()) / static_cast<double>(pace_.window_ms);
  rate r;
  r.is_full = pace_.max_active > 0 && std::ranges::count_if(blocks_, is_of_full_house) >= 3;

  std::vector<double> seen;
  double sum = 0;
  for (const auto& b : blocks_) {
    if (!b.is_busy || b.is_full != r.is_full) continue;
    seen.push_back(b.admitted);
    sum += b.admitted;
  }
  r.blocks = static_cast<double>(seen.size());
  r.variance = variance_of(seen, sum / std::max(r.blocks, 1.0));
  if (r.is_full) {
    // The longer a full house was seen to empty and fill, the better it is known.
    const double times_refilled = sum / (pace_.max_active * pace_.share);
    r.mean = std::max(sum / r.blocks, 0.01);
    r.unknown = unknown_stays / (1 + 2 * times_refilled);
  } else {
    r.mean = (sum + 0.5 * declared) / (r.blocks + 0.5);
    r.unknown = unknown_pace / (1 + r.blocks * r.blocks);
  }
  return r;
}

wait_estimates::departures wait_estimates::departures_of_blocks() const {
  departures d;
  d.waited_ms = stays_put_ms;
  for (const auto& b : blocks_) {
    d.gone += b.gone;
    d.waited_ms += b.waited_ms;
  }
  std::vector<double> sorted(outcomes_.begin(), outcomes_.end());
  sorted.insert(sorted.end(), {1, 1, 1});  // so that the first few don't decide
  std::ranges::sort(sorted);
  d.median = sorted[sorted.size() / 2];
  d.deviation = (sorted[sorted.size() * 9 / 10] / d.median - 1) / z90;
  return d;
}

double wait_estimates::admissions_before(std::uint64_t position) const {
  const auto people = static_cast<double>(position);
  const double gone_a_block = (departures_.gone + current_.gone) / (departures_.waited_ms + current_.waited_ms) * static_cast<double>(block_ms());
  const double c = gone_a_block / rate_.mean;
  return c * people > 1e-6 ? std::log1p(c * people) / c : people;
}

/// @param in_steps  people come in at the starts of windows
double wait_estimates::ms_until(double blocks, bool in_steps, std::int64_t now_ms) const {
  const auto until_open_ms = static_cast<double>(std::max<std::int64_t>(0, pace_.opens_at_ms - now_ms));
  const double ms = blocks * static_cast<double>(block_ms());
  if (!in_steps) return until_open_ms + ms;
  const auto window_ms = static_cast<double>(pace_.window_ms);
  const double windows = std::max(1.0, std::ceil(ms / window_ms - 1e-9));
  if (!has_started_) return until_open_ms + (windows - 1) * window_ms;
  const auto passed_ms = std::max<std::int64_t>(0, now_ms - window_started_at_ms_) % pace_.window_ms;
  return until_open_ms + windows * window_ms - static_cast<double>(passed_ms);
}

std::optional<wait_range> wait_estimates::estimate(std::uint64_t position, std::int64_t now_ms) const {
  if (is_paused_) return std::nullopt;
  const double admissions = admissions_before(position) * departures_.median;
  double blocks = admissions / rate_.mean;
  double unknown = rate_.unknown;
  if (pace_.max_active > 0 && !rate_.is_full) {
    const double room = std::max(0.0, pace_.max_active * pace_.share - inside_);
    if (admissions > room) {  // then people inside have to make room
      const double stay_ms = (stays_ms_ + stays_assumed * static_cast<double>(pace_.admission_ms) / 2) / (exits_ + stays_assumed);
      const double refill = pace_.max_active * pace_.share * static_cast<double>(block_ms()) / stay_ms;
      if (refill < rate_.mean) {
        blocks = room / rate_.mean + (admissions - room) / refill;
        unknown = std::max(unknown, unknown_stays);
      }
    }
  }
  const double by_chance = rate_.variance / (rate_.mean * rate_.mean) * (1 / std::max(blocks, 0.5) + 1 / std::max(rate_.blocks, 1.0));
  const double deviation = std::sqrt(by_chance + unknown * unknown + departures_.deviation * departures_.deviation);

  const bool in_steps = !pace_.is_smooth && !rate_.is_full;
  const double p50_ms = ms_until(blocks, in_steps, now_ms);
  const double p90_ms = ms_until(blocks * (1 + z90 * deviation), in_steps, now_ms);
  // Of all fractions of a second one half is rounded down, and one tenth: so the whole seconds keep the meaning of the quantiles.
  const auto seconds = [](double ms, double up) {
    return static_cast<std::uint32_t>(std::min(std::floor(ms / 1000 + up), 4e9));
  };
  return wait_range{seconds(p50_ms, 0.5), seconds(p90_ms, 0.9)};
}

std::string wait_estimates::save() const {
  std::string row;
  put_number(row, pace_.per_window);
  put_time(row, pace_.window_ms);
  put_number(row, pace_.is_smooth);
  put_number(row, pace_.max_active);
  put_time(row, pace_.admission_ms);
  put_real(row, pace_.share);
  put_time(row, pace_.opens_at_ms);
  const auto put_block = [&](const block& b) {
    put_real(row, b.admitted);
    put_real(row, b.gone);
    put_real(row, b.waited_ms);
    put_number(row, (b.is_busy ? 1U : 0U) | (b.is_full ? 2U : 0U));
  };
  put_number(row, blocks_.size());
  for (const auto& b : blocks_) put_block(b);
  put_block(current_);
  put_number(row, probes_.size());
  for (const auto& p : probes_) {
    put_number(row, p.place);
    put_real(row, p.predicted);
    put_real(row, p.admitted);
  }
  put_number(row, outcomes_.size());
  for (const auto o : outcomes_) put_real(row, o);
  put_time(row, block_started_at_ms_);
  put_time(row, at_ms_);
  put_time(row, window_started_at_ms_);
  put_number(row, through_);
  for (const auto value : {waiting_, admitted_, inside_, stays_ms_, exits_, probe_phase_, kept_in_pause_}) put_real(row, value);
  put_number(row, (has_started_ ? 1U : 0U) | (is_paused_ ? 2U : 0U) | (has_probe_ ? 4U : 0U) | (was_full_ ? 8U : 0U));
  return row;
}

void wait_estimates::restore(std::string_view row) {
  byte_reader in(row);
  *this = {};
  pace_.per_window = static_cast<std::uint32_t>(in.number());
  pace_.window_ms = time(in);
  pace_.is_smooth = in.number() != 0;
  pace_.max_active = static_cast<std::uint32_t>(in.number());
  pace_.admission_ms = time(in);
  pace_.share = real(in);
  pace_.opens_at_ms = time(in);
  const auto read_block = [&] {
    block b;
    b.admitted = real(in);
    b.gone = real(in);
    b.waited_ms = real(in);
    const auto flags = in.number();
    b.is_busy = (flags & 1U) != 0;
    b.is_full = (flags & 2U) != 0;
    return b;
  };
  for (auto n = in.number(); n > 0; --n) blocks_.push_back(read_block());
  current_ = read_block();
  for (auto n = in.number(); n > 0; --n) {
    const auto place = in.number();
    const auto predicted = real(in);
    probes_.push_back({place, predicted, real(in)});
  }
  for (auto n = in.number(); n > 0; --n) outcomes_.push_back(real(in));
  block_started_at_ms_ = time(in);
  at_ms_ = time(in);
  window_started_at_ms_ = time(in);
  through_ = in.number();
  for (auto* value : {&waiting_, &admitted_, &inside_, &stays_ms_, &exits_, &probe_phase_, &kept_in_pause_}) *value = real(in);
  const auto flags = in.number();
  has_started_ = (flags & 1U) != 0;
  is_paused_ = (flags & 2U) != 0;
  has_probe_ = (flags & 4U) != 0;
  was_full_ = (flags & 8U) != 0;
  sum_up();
}

wait_promise::wait_promise(const std::optional<wait_range>& range) {
  if (!range) return;
  p50_s = static_cast<std::uint16_t>(std::min<std::uint32_t>(range->p50_s, 0xfffe));
  p90_s = static_cast<std::uint16_t>(std::min<std::uint32_t>(range->p90_s, 0xfffe));
}

void wait_score::note(const wait_promise& promise, std::int64_t waited_ms) {
  if (!promise.is_made()) return;
  ++samples_;
  const double part = 1.0 / static_cast<double>(std::min(samples_, score_memory));
  within_p50_ += part * ((waited_ms <= std::int64_t{1000} * promise.p50_s ? 1.0 : 0.0) - within_p50_);
  within_p90_ += part * ((waited_ms <= std::int64_t{1000} * promise.p90_s ? 1.0 : 0.0) - within_p90_);
}

void wait_score::add(const wait_score& other) {
  if (other.samples_ == 0) return;
  const auto own = static_cast<double>(std::min(samples_, score_memory));
  const auto its = static_cast<double>(std::min(other.samples_, score_memory));
  within_p50_ = (own * within_p50_ + its * other.within_p50_) / (own + its);
  within_p90_ = (own * within_p90_ + its * other.within_p90_) / (own + its);
  samples_ += other.samples_;
}

std::string wait_score::save() const {
  std::string row;
  put_number(row, samples_);
  put_real(row, within_p50_);
  put_real(row, within_p90_);
  return row;
}

void wait_score::restore(std::string_view row) {
  byte_reader in(row);
  samples_ = in.number();
  within_p50_ = real(in);
  within_p90_ = real(in);
}

}  // namespace usher::projections
