#include "bench/rehearsal_report.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <iomanip>
#include <ostream>

namespace usher::bench {
namespace {

namespace json = boost::json;

constexpr int name_width = 26;
constexpr int width = 11;

void print_name(std::ostream& out, std::string_view name) { out << std::left << std::setw(name_width) << name << std::right; }

void print_head(std::ostream& out, std::string_view name, std::initializer_list<const char*> columns) {
  out << '\n';
  print_name(out, name);
  for (const char* column : columns) out << std::setw(width) << column;
}

void print_latency(std::ostream& out, const histogram& of) {
  out << std::setprecision(2);
  for (const double quantile : {0.5, 0.9, 0.99}) out << std::setw(width) << static_cast<double>(of.percentile_us(quantile)) / 1e3;
  out << std::setw(width) << static_cast<double>(of.max_us()) / 1e3;
}

void print_steps(const std::vector<step_report>& steps, std::ostream& out) {
  print_head(out, "step", {"count", "p50 ms", "p90 ms", "p99 ms", "max ms"});
  out << "  answers\n";
  for (const auto& step : steps) {
    if (step.latency.count() == 0) continue;
    print_name(out, step.name);
    out << std::setw(width) << step.latency.count();
    print_latency(out, step.latency);
    out << ' ';
    for (const auto& [status, count] : step.by_status) out << ' ' << (status == 0 ? "lost" : std::to_string(status)) << ':' << count;
    out << '\n';
  }
}

void print_channels(const waiting_report& waiting, std::ostream& out) {
  print_head(out, "told of an admission by", {"admitted", "p50 ms", "p90 ms", "p99 ms", "max ms"});
  out << "  heard\n";
  for (std::size_t i = 0; i < channel_names.size(); ++i) {
    const auto& one = waiting.channels[i];
    if (one.people == 0) continue;
    print_name(out, channel_names[i]);
    out << std::setw(width) << one.admitted;
    print_latency(out, one.late);
    out << ' ';
    for (const auto& [word, people] : one.words) out << ' ' << word << ':' << people;
    out << '\n';
  }
}

void print_promises(const waiting_report& waiting, std::ostream& out) {
  if (waiting.promises.empty()) return;
  print_head(out, "promised waits", {"count", "<= p50", "<= p90", "p50 s", "real s", "error s"});
  out << '\n';
  for (const auto& one : waiting.promises) {
    print_name(out, one.of);
    out << std::setw(width) << one.count << std::setprecision(1) << std::setw(width - 1) << 100 * one.within_p50 << '%' << std::setw(width - 1)
        << 100 * one.within_p90 << '%' << std::setw(width) << one.promised_s << std::setw(width) << one.real_s << std::setw(width) << one.error_s << '\n';
  }
}

json::object latency_json(const histogram& of) {
  return {{"count", of.count()}, {"p50Us", of.percentile_us(0.5)}, {"p90Us", of.percentile_us(0.9)}, {"p99Us", of.percentile_us(0.99)}, {"maxUs", of.max_us()}};
}

json::object waiting_json(const waiting_report& waiting) {
  json::object channels;
  for (std::size_t i = 0; i < channel_names.size(); ++i) {
    const auto& one = waiting.channels[i];
    if (one.people == 0) continue;
    json::object words;
    for (const auto& [word, people] : one.words) words[word] = people;
    channels[channel_names[i]] = json::object{{"people", one.people}, {"admitted", one.admitted}, {"told", std::move(words)}, {"late", latency_json(one.late)}};
  }
  json::array promises;
  for (const auto& one : waiting.promises) {
    promises.push_back({{"of", one.of}, {"count", one.count}, {"withinP50", one.within_p50}, {"withinP90", one.within_p90},
                        {"promisedSeconds", one.promised_s}, {"realSeconds", one.real_s}, {"errorSeconds", one.error_s}});
  }
  const auto& inside = waiting.inside;
  return {{"channels", std::move(channels)}, {"promises", std::move(promises)},
          {"inside", {{"samples", inside.samples}, {"judged", inside.judged}, {"close", inside.close}, {"most", inside.most}}}};
}

}  // namespace

bool rehearsal_report::holds() const {
  return std::all_of(checks.begin(), checks.end(), [](const verdict& one) { return one.holds; });
}

void print_table(const rehearsal_report& of, std::ostream& out) {
  out << of.show << ": " << of.buyers << " buyers over " << std::fixed << std::setprecision(0) << of.arrived_over_s << " s, done after " << std::setprecision(1)
      << of.seconds << " s, seed " << of.seed << "\n\n";
  for (const auto& ending : of.endings) {
    if (ending.people == 0) continue;
    print_name(out, ending.what);
    out << std::setw(width) << ending.people << '\n';
  }
  print_steps(of.steps, out);
  print_channels(of.waiting, out);
  print_promises(of.waiting, out);
  const auto& inside = of.waiting.inside;
  if (inside.samples > 0) {
    out << "\ninside: at most " << inside.most << " in " << inside.samples << " samples";
    if (inside.judged > 0) out << "; " << inside.close << " of the " << inside.judged << " where the cap held people back were within 5 % of it";
    out << '\n';
  }
  out << '\n';
  for (const auto& one : of.checks) out << (one.holds ? "ok      " : "FAILED  ") << one.name << " (" << one.detail << ")\n";
  for (const auto& note : of.notes) out << "note    " << note << '\n';
  if (!of.first_surprise.empty()) out << "first surprise: " << of.first_surprise << '\n';
}

void print_json(const rehearsal_report& of, std::ostream& out) {
  json::object outcomes, steps;
  for (const auto& ending : of.endings) outcomes[ending.what] = ending.people;
  for (const auto& step : of.steps) {
    if (step.latency.count() == 0) continue;
    json::object statuses;
    for (const auto& [status, count] : step.by_status) statuses[std::to_string(status)] = count;
    auto one = latency_json(step.latency);
    one["statuses"] = std::move(statuses);
    steps[step.name] = std::move(one);
  }
  json::array checks;
  for (const auto& one : of.checks) checks.push_back({{"name", one.name}, {"holds", one.holds}, {"detail", one.detail}});
  out << json::serialize(json::object{{"show", of.show}, {"buyers", of.buyers}, {"seconds", of.seconds}, {"seed", of.seed}, {"outcomes", std::move(outcomes)},
                                      {"steps", std::move(steps)}, {"waiting", waiting_json(of.waiting)}, {"checks", std::move(checks)},
                                      {"notes", json::array(of.notes.begin(), of.notes.end())}, {"firstSurprise", of.first_surprise}})
      << '\n';
}

}  // namespace usher::bench
