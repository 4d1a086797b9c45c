#pragma once
// A node's settings: defaults, then a JSON file, then the environment, then the command line.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "events/config.pb.h"
#include "events/vocabulary.hpp"

namespace usher {

/// Settings as text, by name. What the names look like is said where they are used.
using setting_texts = std::map<std::string, std::string>;

/// The defaults, as events/config.proto has them.
v1::Configuration default_configuration();

/// Puts the sources over the defaults, each over the one before, and checks the whole.
///
/// @param file         a JSON object with the fields in camelCase; none: no file
/// @param environment  by variable, as in USHER_LISTEN_PORT; every name that begins with USHER_ must be a setting
/// @param flags        by field, as in listen_port
/// @error invalid_argument  `detail` has a line for each thing that is wrong, with the source and the setting
/// @error io_failure        the file can't be read
[[nodiscard]] result<v1::Configuration> load_configuration(const std::optional<std::string>& file,
                                                           const setting_texts& environment, const setting_texts& flags);

/// The variables of a process that begin with USHER_.
setting_texts usher_variables(const char* const* environ);

/// The name of each setting and its default as text, in the order of the configuration message: what a command line offers.
std::vector<std::pair<std::string, std::string>> settings_with_defaults();

/// `127.0.0.1:8080` or `[::1]:8080` as the flags listen_address and listen_port.
/// @error invalid_argument  there is no port in it
[[nodiscard]] result<setting_texts> listen_flags(std::string_view address_and_port);

}  // namespace usher
