// Scenarios and the table. Each figure is a ratio to the bare server's, since absolute ones only describe a machine.
#include "bench/bench.hpp"

#include "bench/aim.hpp"
#include "bench/client.hpp"
#include "bench/engine.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace usher::bench {
namespace {

namespace json = boost::json;
using boost::beast::http::verb;

constexpr std::size_t shows_side_by_side = 8;
constexpr std::size_t seats_per_group = seats_per_show * shows_side_by_side;
constexpr std::size_t users = 64;
constexpr std::size_t events_per_reservation = 3;  // the reservation, the buyer's allowance, the seat

// --- what is sent -------------------------------------------------------------------------------------------------

// A new seat for each request, spread over eight shows at a time; a connection always buys for the same user.
class reservations {
 public:
  explicit reservations(engine& on) : on_(on) {
    for (std::size_t i = 0; i < users; ++i) buyers_.push_back(on_.sign_up("buyer" + std::to_string(i)));
  }

  void provide(std::size_t seats) {
    while (shows_.size() * seats_per_show < next_ + seats) {
      for (std::size_t i = 0; i < shows_side_by_side; ++i) shows_.push_back(on_.open_show("sale-" + std::to_string(shows_.size())));
    }
  }

  bool operator()(std::size_t connection, std::string& bytes) {
    if (next_ >= shows_.size() * seats_per_show || next_ >= last_) return false;
    bytes = wire_bytes(request(next_, connection, "reserve-" + std::to_string(next_)));
    ++next_;
    return true;
  }

  // Whether the first and the latest seat still belong to somebody: a start that forgot them would be no start.
  [[nodiscard]] bool remembered() const {
    const auto taken = [this](std::size_t seat) { return call(on_.server(), request(seat, 0, "again-" + std::to_string(seat))).status == 409; };
    return next_ > 0 && taken(0) && taken(next_ - 1);
  }

  void stop_after(std::size_t more) { last_ = next_ + more; }
  [[nodiscard]] const std::string& some_show() const { return shows_.front(); }
  [[nodiscard]] std::size_t entities() const { return 2 * next_ + users * shows_.size(); }  // reservations, seats; allowances

 private:
  [[nodiscard]] http_request request(std::size_t index, std::size_t connection, const std::string& key) const {
    const auto within = index % seats_per_group;
    const auto& show = shows_[index / seats_per_group * shows_side_by_side + within % shows_side_by_side];
    const auto seat = within / shows_side_by_side;
    const auto name = "R" + std::to_string(seat / seats_per_row) + "-" + std::to_string(seat % seats_per_row + 1);
    return {verb::post, "/reservations", R"({"showId":")" + show + R"(","userId":")" + buyers_[connection % users] + R"(","seats":[")" + name + R"("]})",
            {{"Authorization", on_.service()}, {"Idempotency-Key", key}}};
  }

  engine& on_;
  std::vector<std::string> buyers_, shows_;
  std::size_t next_ = 0;
  std::size_t last_ = SIZE_MAX;
};

class queue_tokens {
 public:
  explicit queue_tokens(engine& on) : on_(on), show_(on.open_show("queue", engine::queue{})) {}

  bool operator()(std::size_t, std::string& bytes) {
    const auto number = std::to_string(joined_++);
    bytes = wire_bytes({verb::post, "/queue/token", R"({"showId":")" + show_ + R"(","userId":"usr_bench)" + number + "\"}",
                        {{"Authorization", on_.service()}, {"Idempotency-Key", "join-" + number}}});
    return true;
  }
  [[nodiscard]] std::size_t joined() const { return joined_; }

 private:
  engine& on_;
  std::string show_;
  std::size_t joined_ = 0;
};

request_source constant(const std::string& bytes) {
  return [bytes](std::size_t, std::string& out) {
    if (out.size() != bytes.size()) out = bytes;
    return true;
  };
}

// --- measuring ----------------------------------------------------------------------------------------------------

struct outcome {
  std::string name;
  double bare_per_s = 0, engine_per_s = 0, ratio = 0;
  double target_ratio = 0;
  std::int64_t p50_us = 0, p99_us = 0, max_us = 0;
  std::uint64_t served = 0, refused = 0;
  std::string first_refusal;
};

template <class Number>
Number median(std::vector<Number> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

class bench_run {
 public:
  bench_run(const bench_options& options, endpoint bare, endpoint engine) : options_(options), bare_(std::move(bare)), engine_(std::move(engine)) {}

  // Turn by turn, so that whatever else the machine does meets both; the ratio is the median of each turn's ratio.
  outcome compare(const std::string& name, double target, const std::string& sample, const request_source& source,
                  const std::function<void()>& prepare) {
    std::cerr << "bench: " << name << std::endl;
    outcome found{name, 0, 0, 0, target, 0, 0, 0, 0, 0, {}};
    prepare();
    const auto warm = run(engine_, source, 0.2);
    account(found, warm);
    const auto bare_source = constant(with_answer_bytes(sample, warm.body_bytes));
    run(bare_, bare_source, 0.2);
    std::vector<double> bare_rates, engine_rates, ratios;
    std::vector<std::int64_t> p50s, p99s;
    for (int i = 0; i < options_.repeats; ++i) {
      prepare();
      const auto bare = run(bare_, bare_source, 1);
      const auto engine = run(engine_, source, 1);
      account(found, engine);
      bare_rates.push_back(bare.per_second());
      engine_rates.push_back(engine.per_second());
      ratios.push_back(bare.per_second() > 0 ? engine.per_second() / bare.per_second() : 0);
      p50s.push_back(engine.latency.percentile_us(0.5));
      p99s.push_back(engine.latency.percentile_us(0.99));
      found.max_us = std::max(found.max_us, engine.latency.max_us());
    }
    found.bare_per_s = median(bare_rates);
    found.engine_per_s = median(engine_rates);
    found.ratio = median(ratios);
    found.p50_us = median(p50s);
    found.p99_us = median(p99s);
    return found;
  }

  load_result run(const endpoint& server, const request_source& source, double share) const {
    const auto length = std::chrono::milliseconds(static_cast<std::int64_t>(options_.seconds * share * 1'000));
    return run_closed_loop({server, options_.connections, std::max(length, std::chrono::milliseconds(100))}, source);
  }

 private:
  static std::string with_answer_bytes(std::string request, std::size_t bytes) {
    return request.insert(request.find("\r\n") + 2, "Answer-Bytes: " + std::to_string(bytes) + "\r\n");
  }
  static void account(outcome& found, const load_result& part) {
    for (const auto& [status, count] : part.by_status) (status / 100 == 2 ? found.served : found.refused) += count;
    if (found.first_refusal.empty()) found.first_refusal = part.first_refusal;
  }

  const bench_options& options_;
  endpoint bare_, engine_;
};

// --- the report ---------------------------------------------------------------------------------------------------

constexpr double p99_target_ms = 20;
constexpr double memory_target_bytes = 3 * 1024;
constexpr double start_target_s = 5;

struct report {
  std::vector<outcome> outcomes;
  double bytes_per_entity = 0;
  std::size_t entities = 0;
  double start_s = 0;
  std::size_t events = 0;
  bool on_disk = true;

  [[nodiscard]] bool clean() const {
    return std::all_of(outcomes.begin(), outcomes.end(), [](const outcome& one) { return one.refused == 0 && one.served > 0; });
  }
};

void print_table(const report& found, const bench_options& options) {
  std::printf("%u processors, %zu connections, %d runs of %.1f s each, medians%s\n\n", std::thread::hardware_concurrency(), options.connections,
              options.repeats, options.seconds, found.on_disk ? "" : " -- the scratch folder is in memory: nothing here is durable");
  std::printf("%-28s %10s %10s %7s %7s %-7s %9s %9s %9s %9s\n", "", "bare/s", "usher/s", "ratio", "target", "", "p50 ms", "p99 ms", "max ms", "refused");
  for (const auto& one : found.outcomes) {
    std::printf("%-28s %10.0f %10.0f %7.2f %7.2f %-7s %9.2f %9.2f %9.2f %9llu\n", one.name.c_str(), one.bare_per_s, one.engine_per_s, one.ratio,
                one.target_ratio, met_or_missed(one.ratio >= one.target_ratio), static_cast<double>(one.p50_us) / 1e3, static_cast<double>(one.p99_us) / 1e3,
                static_cast<double>(one.max_us) / 1e3, static_cast<unsigned long long>(one.refused));
    if (one.refused > 0) std::printf("    first refusal: %s\n", one.first_refusal.c_str());
  }
  const auto p99_ms = static_cast<double>(found.outcomes.front().p99_us) / 1e3;
  std::printf("\n%-44s %10.2f ms  target %4.0f ms  %s\n", "p99 of a durable reservation", p99_ms, p99_target_ms, met_or_missed(p99_ms <= p99_target_ms));
  std::printf("%-44s %10.0f B   target %4.0f B   %s  (%zu entities)\n", "resident memory per active entity", found.bytes_per_entity, memory_target_bytes,
              met_or_missed(found.bytes_per_entity <= memory_target_bytes), found.entities);
  std::printf("%-44s %10.2f s   target %4.0f s   %s  (%zu events)\n", "start after a kill", found.start_s, start_target_s,
              met_or_missed(found.start_s <= start_target_s), found.events);
}

void print_json(const report& found, const bench_options& options) {
  json::array rows;
  for (const auto& one : found.outcomes) {
    rows.push_back({{"name", one.name}, {"barePerSecond", one.bare_per_s}, {"usherPerSecond", one.engine_per_s}, {"ratio", one.ratio},
                    {"targetRatio", one.target_ratio}, {"p50Us", one.p50_us}, {"p99Us", one.p99_us}, {"maxUs", one.max_us},
                    {"served", one.served}, {"refused", one.refused}});
  }
  const json::object all{{"processors", std::thread::hardware_concurrency()}, {"connections", options.connections}, {"repeats", options.repeats},
                         {"secondsPerRun", options.seconds}, {"onDisk", found.on_disk}, {"scenarios", std::move(rows)},
                         {"bytesPerEntity", found.bytes_per_entity}, {"entities", found.entities}, {"startSeconds", found.start_s}, {"events", found.events}};
  std::cout << json::serialize(all) << '\n';
}

// --- the whole run ------------------------------------------------------------------------------------------------

report measure(const bench_options& options, const scratch_folder& scratch) {
  const endpoint bare{"127.0.0.1", free_port()};
  const child bare_process{options.binary, {"bare-server", "--port", std::to_string(bare.port)}, scratch.file("bare.log")};
  wait_until_served(bare, {verb::get, "/", {}, {{"Authorization", "Bearer any"}}}, bare_process);
  engine usher{options.binary, scratch};
  bench_run run{options, bare, usher.server()};

  report found;
  found.on_disk = !scratch.in_memory();
  reservations seats{usher};
  const auto enough = static_cast<std::size_t>(options.seconds * 100'000) + 1'000;
  seats.provide(enough);
  const auto before = usher.resident_bytes();
  const auto reserve = [&](std::size_t connection, std::string& bytes) { return seats(connection, bytes); };
  const auto reserve_sample = wire_bytes({verb::post, "/reservations",
                                          R"({"showId":"shw_0123456789abcdef","userId":"usr_0123456789abcdef","seats":["R10-100"]})",
                                          {{"Authorization", usher.service()}, {"Idempotency-Key", "reserve-100000"}}});
  found.outcomes.push_back(run.compare("durable reservation", 0.25, reserve_sample, reserve, [&] { seats.provide(enough); }));
  found.entities = seats.entities();
  found.bytes_per_entity = static_cast<double>(usher.resident_bytes() - std::min(before, usher.resident_bytes())) / static_cast<double>(found.entities);

  const auto read = [&](const char* name, const std::string& query) {
    const auto bytes = wire_bytes({verb::get, "/shows/" + seats.some_show() + "/seats?" + query, {}, {{"Authorization", usher.service()}}});
    found.outcomes.push_back(run.compare(name, 0.6, bytes, constant(bytes), [] {}));
  };
  read("seat map, bitset", "format=bitset");
  read("seat map, first list page", "format=list");

  queue_tokens tokens{usher};
  const auto join = [&](std::size_t connection, std::string& bytes) { return tokens(connection, bytes); };
  const auto join_sample = wire_bytes({verb::post, "/queue/token", R"({"showId":"shw_0123456789abcdef","userId":"usr_bench100000"})",
                                       {{"Authorization", usher.service()}, {"Idempotency-Key", "join-100000"}}});
  found.outcomes.push_back(run.compare("queue token", 0.3, join_sample, join, [] {}));

  auto written = found.outcomes.front().served * events_per_reservation + found.outcomes.back().served;
  if (written < options.events) {
    const auto more = (options.events - written + events_per_reservation - 1) / events_per_reservation;
    std::cerr << "bench: filling the log" << std::endl;
    seats.provide(more);
    seats.stop_after(more);
    written += run_closed_loop({usher.server(), options.connections, std::chrono::milliseconds(0)}, reserve).succeeded() * events_per_reservation;
  }
  found.events = written;
  std::cerr << "bench: start" << std::endl;
  std::vector<double> starts;
  for (int i = 0; i < options.repeats; ++i) starts.push_back(usher.seconds_to_restart());
  found.start_s = median(starts);
  if (!seats.remembered()) throw std::runtime_error("an acknowledged reservation is gone after the start");
  return found;
}

}  // namespace

int bench(const bench_options& wanted) try {
  auto options = wanted;
  options.repeats |= 1;
  if (options.repeats < 1 || options.connections < 1 || options.seconds <= 0) throw std::invalid_argument("repeats, connections and seconds must be positive");
  raise_file_limit();
  scratch_folder scratch{options.scratch};
  try {
    const auto found = measure(options, scratch);
    options.json ? print_json(found, options) : print_table(found, options);
    return found.clean() ? 0 : 1;
  } catch (...) {
    scratch.keep();
    std::cerr << "bench: logs are kept in " << scratch.file("") << '\n';
    throw;
  }
} catch (const std::exception& error) {
  std::cerr << "bench: " << error.what() << '\n';
  return 1;
}

}  // namespace usher::bench
