#include "cli_offline.hpp"

#include <charconv>
#include <filesystem>

#include "node.hpp"

namespace usher::cli {
namespace {

namespace pb = google::protobuf;

/// The name of what a oneof holds, and the message in it.
std::pair<std::string, const pb::Message*> chosen_in(const pb::Message& message, const char* oneof) {
  const auto* choice = message.GetDescriptor()->FindOneofByName(oneof);
  if (!choice) return {};
  const auto* field = message.GetReflection()->GetOneofFieldDescriptor(message, choice);
  if (!field || field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) return {};
  return {std::string{field->name()}, &message.GetReflection()->GetMessage(message, field)};
}

}  // namespace

result<std::unique_ptr<store::database>> open_offline(const std::string& data) {
  const auto directory = log_directory(data);
  // Opening would make one where there is none.
  if (!std::filesystem::exists(std::filesystem::path{directory} / "CURRENT")) return failure{errc::io_failure, data + " holds no log"};
  if (const auto running = find_running(data)) {
    return failure{errc::io_failure, "a node runs on " + data + " (process " + std::to_string(running->pid) +
                                         "): stop it first"};
  }
  return store::database::open_read_only(directory);
}

std::string type_of(const pb::Message& message, const char* oneof) {
  auto [name, inner] = chosen_in(message, oneof);
  if (!inner) return "unknown";
  const auto what = chosen_in(*inner, "kind").first;
  return what.empty() ? name : name + "." + what;
}

std::uint64_t records_in(const store::database& db) {
  std::uint64_t sum = 0;
  for (std::uint32_t p = 0; p != partition_count; ++p) sum += db.durable_end(p);
  return sum;
}

std::string place_of(log_position at) { return std::to_string(at.partition) + "/" + std::to_string(at.index); }

std::optional<log_position> place_from(const std::string& text) {
  log_position out;
  const auto* end = text.data() + text.size();
  const auto [slash, bad] = std::from_chars(text.data(), end, out.partition);
  if (bad != std::errc{} || slash == end || *slash != '/' || out.partition >= partition_count) return std::nullopt;
  const auto [last, wrong] = std::from_chars(slash + 1, end, out.index);
  if (wrong != std::errc{} || last != end || out.index == 0) return std::nullopt;
  return out;
}

}  // namespace usher::cli
