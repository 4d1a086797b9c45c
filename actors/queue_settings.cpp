// What settings of a waiting room may be.

#include "actors/queue_settings.hpp"

#include <algorithm>
#include <string>
#include <unordered_set>

#include "actors/rules.hpp"
#include "events/sha256.hpp"

namespace usher::actors {
namespace {

class settings_inspection {
 public:
  explicit settings_inspection(std::string_view path) : prefix_(path.empty() ? "" : std::string{path} + '.') {}

  void blame(const std::string& field, std::string detail) {
    auto& fault = found_.emplace_back();
    fault.set_field(prefix_ + field);
    fault.set_detail(std::move(detail));
  }
  /// 0 stands for the default.
  void check_most(const std::string& field, std::uint32_t value, std::uint32_t most, const std::string& what) {
    if (value > most) blame(field, what + " may be from 1 to " + std::to_string(most) + '.');
  }
  void check_word(const std::string& field, const std::string& value, const std::string& one, const std::string& other) {
    if (!value.empty() && value != one && value != other) blame(field, "It has to be " + one + " or " + other + '.');
  }
  void check_lanes(const google::protobuf::RepeatedPtrField<v1::QueueLane>& lanes) {
    if (lanes.size() > queue_lanes_max) return blame("lanes", "A queue has at most 16 lanes.");
    std::unordered_set<std::string_view> seen;
    for (int i = 0; i != lanes.size(); ++i) {
      const auto path = "lanes[" + std::to_string(i) + ']';
      if (!is_name(lanes[i].name())) blame(path + ".name", "A name of 1 to 100 bytes is needed.");
      else if (!seen.insert(lanes[i].name()).second) blame(path + ".name", "There is a lane " + lanes[i].name() + " already.");
      if (lanes[i].weight() == 0 || lanes[i].weight() > lane_weight_max) blame(path + ".weight", "A weight must be from 1 to 1000.");
    }
  }
  std::vector<v1::Fault> found() && { return std::move(found_); }

 private:
  const std::string prefix_;
  std::vector<v1::Fault> found_;
};

}  // namespace

std::vector<v1::Fault> faults_of(const v1::QueueSettings& q, std::string_view path) {
  settings_inspection result{path};
  result.check_most("admitPerWindow", q.admit_per_window(), admit_per_window_max, "The people admitted in a window");
  result.check_most("windowSeconds", q.window_seconds(), window_seconds_max, "The seconds of a window");
  result.check_most("admissionSeconds", q.admission_seconds(), admission_seconds_max, "The seconds of an admission");
  result.check_most("graceSeconds", q.grace_seconds(), grace_seconds_max, "The seconds of grace");
  result.check_word("mode", q.mode(), "window", "smooth");
  result.check_word("order", q.order(), "random", "joining");
  result.check_lanes(q.lanes());
  return std::move(result).found();
}

std::uint64_t version_of(const v1::QueueSettings& settings) {
  const auto digest = sha256({settings.SerializeAsString()});
  std::uint64_t version = 0;
  for (std::size_t i = 0; i != 4; ++i) version = version << 8 | digest[i];
  return std::max<std::uint64_t>(version, 1);
}

}  // namespace usher::actors
