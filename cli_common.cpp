#include "cli_common.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "node.hpp"

namespace usher::cli {
namespace {

std::string dashed(std::string name) {
  std::ranges::replace(name, '_', '-');
  return name;
}

/// The process that has the log open for writing: RocksDB locks a file of it for as long as the process lives, however that ends.
/// @return nullopt where none has; 0 or less for one whose number can't be told here, as of another container
std::optional<std::int64_t> writer_of(const std::string& data_directory) {
  const int fd = ::open((std::filesystem::path{log_directory(data_directory)} / "LOCK").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool known = ::fcntl(fd, F_GETLK, &lock) == 0;
  ::close(fd);
  if (!known || lock.l_type == F_UNLCK) return std::nullopt;
  return lock.l_pid;
}

}  // namespace

void add_serve_flags(CLI::App& verb, serve_flags& flags) {
  verb.add_option("--data", flags.data, "Directory for everything that must survive; made where there is none");
  verb.add_option("--listen", flags.listen, "ADDRESS:PORT of the HTTP interface; port 0 takes any free one");
  verb.add_option("--config", flags.config_file, "A JSON file with settings, weaker than the environment and these flags")
      ->check(CLI::ExistingFile);
  for (const auto& [name, preset] : settings_with_defaults()) {
    const auto take = [&flags, name = name](const std::string& text) { flags.settings[name] = text; };
    verb.add_option_function<std::string>("--" + dashed(name), take, preset.empty() ? "" : "default " + preset)
        ->group("Settings (events/config.proto says what they mean)");
  }
}

result<v1::Configuration> configuration_of(const serve_flags& flags) {
  auto settings = flags.settings;
  if (!flags.data.empty()) settings["data_directory"] = flags.data;
  if (!flags.listen.empty()) {
    auto listen = listen_flags(flags.listen);
    if (!listen) return listen.error();
    for (auto& [name, text] : *listen) settings[name] = text;
  }
  const auto file = flags.config_file.empty() ? std::nullopt : std::optional{flags.config_file};
  return load_configuration(file, usher_variables(environ), settings);
}

std::string node_file(const std::string& data_directory) { return (std::filesystem::path{data_directory} / "node.json").string(); }

std::optional<running_node> find_running(const std::string& data_directory) {
  std::ifstream in{node_file(data_directory)};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  boost::system::error_code bad;
  const auto value = boost::json::parse(text, bad);
  if (bad || !value.is_object()) return std::nullopt;
  const auto& object = value.as_object();
  const auto* address = object.if_contains("address");
  const auto* port = object.if_contains("port");
  const auto* pid = object.if_contains("pid");
  if (!address || !address->is_string() || !port || !port->is_int64() || !pid || !pid->is_int64()) return std::nullopt;
  running_node out{std::string{address->as_string()}, static_cast<std::uint16_t>(port->as_int64()), pid->as_int64()};
  const auto writer = writer_of(data_directory);
  if (!writer || (*writer > 0 && *writer != out.pid)) return std::nullopt;
  return out;
}

bool has_log(const std::string& data_directory) {
  std::error_code unreadable;
  return std::filesystem::exists(std::filesystem::path{log_directory(data_directory)} / "CURRENT", unreadable);
}

failure no_log(const std::string& data_directory) { return {errc::invalid_argument, data_directory + " holds no log"}; }

result<void> announce(const std::string& data_directory, const running_node& node) {
  const auto path = node_file(data_directory);
  const auto fresh = path + ".new";
  std::ofstream out{fresh, std::ios::trunc};
  out << boost::json::object{{"address", node.address}, {"port", node.port}, {"pid", node.pid}} << '\n';
  out.close();
  std::error_code failed;
  if (out) std::filesystem::rename(fresh, path, failed);
  if (!out || failed) return failure{errc::io_failure, path + " can't be written"};
  return {};
}

result<std::string> mint_token(const std::string& data_directory, http::role role, const std::string& user_id,
                               std::chrono::seconds lifetime) {
  http::auth_settings settings;
  settings.secret_file = secret_file(data_directory);
  std::error_code unreadable;
  if (std::filesystem::status(settings.secret_file, unreadable).type() == std::filesystem::file_type::not_found) {
    if (!has_log(data_directory)) return no_log(data_directory);
    return failure{errc::invalid_argument, settings.secret_file.string() + " is missing: it signs the tokens, and a node makes one when it starts"};
  }
  auto access = http::tokens::open(settings);
  if (!access) return access.error();
  http::claims says;
  says.user_id = user_id;
  says.role = role;
  says.expires_at = system_wall_clock{}.now() + lifetime;
  return (*access)->issue(says);
}

std::optional<std::chrono::seconds> duration_in(const std::string& text) {
  std::int64_t count = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  if (bad != std::errc{} || count <= 0 || count > 1'000'000'000) return std::nullopt;
  if (unit.empty() || unit == "s") return std::chrono::seconds{count};
  if (unit == "m") return std::chrono::minutes{count};
  if (unit == "h") return std::chrono::hours{count};
  if (unit == "d") return std::chrono::days{count};
  return std::nullopt;
}

CLI::Validator not_empty() {
  return {[](std::string& text) { return text.empty() ? std::string{"it is empty; leave it away, or say something"} : std::string{}; }, ""};
}

CLI::Validator at_least(std::uint64_t least) {
  const auto check = [least](std::string& text) {
    std::uint64_t number = 0;
    const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool good = bad == std::errc{} && end == text.data() + text.size() && number >= least;
    return good ? std::string{} : text + " is no whole number of " + std::to_string(least) + " or more";
  };
  return {check, ""};
}

int complain(const failure& why) {
  std::cerr << "usher: " << why.detail << '\n';
  return why.code == errc::invalid_argument ? misused : was_refused;
}

result<std::string> read_file(const std::string& path) {
  const bool piped = path == "-";
  std::ifstream file;
  if (!piped) file.open(path, std::ios::binary);
  auto& in = piped ? std::cin : file;
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in || (!piped && !file.is_open())) return failure{errc::invalid_argument, path + " can't be read"};
  return text;
}

}  // namespace usher::cli
