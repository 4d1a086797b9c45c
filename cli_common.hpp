#pragma once
// What the verbs of the command line share: exit codes, settings as flags, and how they find a running node.

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "http/auth.hpp"
#include "node_config.hpp"

namespace usher::cli {

enum exit_code : int { succeeded = 0, was_refused = 1, misused = 2 };

/// The flags of `serve` and `up`: each setting has one, and the usual ones a short name besides.
struct serve_flags {
  std::string data;
  std::string listen;
  std::string config_file;
  setting_texts settings;
};
void add_serve_flags(CLI::App& verb, serve_flags& flags);

/// Flags over the environment over the file over the defaults. @error as load_configuration
[[nodiscard]] result<v1::Configuration> configuration_of(const serve_flags& flags);

/// A node that runs on this machine, as its data directory says.
struct running_node {
  std::string address;
  std::uint16_t port = 0;
  std::int64_t pid = 0;
};
std::string node_file(const std::string& data_directory);
/// The node that announced itself there and holds the lock on the log. What a killed node left behind, or was copied, counts for nothing.
///
/// Not for a process that has this log open for writing itself: to look at the lock would end it.
/// @return nullopt where no node runs on this directory
std::optional<running_node> find_running(const std::string& data_directory);
/// Whether there is a log that could be opened. Opening one to write would make it.
bool has_log(const std::string& data_directory);
/// invalid_argument: whoever names a directory without a log most likely named the wrong one.
failure no_log(const std::string& data_directory);
/// @error io_failure
[[nodiscard]] result<void> announce(const std::string& data_directory, const running_node& node);

/// A signed access token.
/// @error invalid_argument  there is no secret to sign it with: one made here would be worth nothing to any node; else as tokens::open
[[nodiscard]] result<std::string> mint_token(const std::string& data_directory, http::role role, const std::string& user_id,
                                             std::chrono::seconds lifetime);

/// `90`, `90s`, `15m`, `1h` or `7d`. @return nullopt for anything else
std::optional<std::chrono::seconds> duration_in(const std::string& text);

/// All of a file; `-` is standard input. @error invalid_argument
[[nodiscard]] result<std::string> read_file(const std::string& path);

/// For options that mean something else when they are left away: a script's empty variable is refused in place of that.
CLI::Validator not_empty();

/// A whole number of this much or more, in digits. CLI11 itself takes -1 for the greatest that fits where no sign is expected.
CLI::Validator at_least(std::uint64_t least);

/// Says on standard error why a verb failed. @return was_refused, or misused where the caller's input is to blame
int complain(const failure& why);

}  // namespace usher::cli
