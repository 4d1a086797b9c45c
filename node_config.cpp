// Reads settings by a walk over the configuration message, so that a new setting is a new field and nothing else.

#include "node_config.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "events/json.hpp"

namespace usher {
namespace {

using google::protobuf::FieldDescriptor;

constexpr std::string_view prefix = "USHER_";

/// All that is wrong, so that a person mends it in one go.
class complaints {
 public:
  void add(std::string_view where, std::string_view what) {
    if (!text_.empty()) text_ += '\n';
    text_.append(where).append(": ").append(what);
  }
  bool empty() const { return text_.empty(); }
  failure as_failure() const { return {errc::invalid_argument, text_}; }

 private:
  std::string text_;
};

std::string upper(std::string_view name) {
  std::string out{name};
  std::ranges::transform(out, out.begin(), [](char c) { return 'a' <= c && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return out;
}

std::string dashed(std::string name) {
  std::ranges::replace(name, '_', '-');
  return name;
}

const v1::Setting& bounds_of(const FieldDescriptor& field) { return field.options().GetExtension(v1::setting); }

template <class T>
std::optional<T> number_in(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Sets one field from text. @return what is wrong with the text, or nothing.
std::optional<std::string> set(v1::Configuration& config, const FieldDescriptor& field, const std::string& text) {
  const auto& access = *v1::Configuration::GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: access.SetString(&config, &field, text); return std::nullopt;
    case FieldDescriptor::CPPTYPE_UINT32:
      if (const auto value = number_in<std::uint32_t>(text)) return access.SetUInt32(&config, &field, *value), std::nullopt;
      return "\"" + text + "\" is not a whole number from 0 to 4294967295";
    case FieldDescriptor::CPPTYPE_INT64:
      if (const auto value = number_in<std::int64_t>(text)) return access.SetInt64(&config, &field, *value), std::nullopt;
      return "\"" + text + "\" is not a whole number";
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return "\"" + text + "\" is neither true nor false";
      access.SetBool(&config, &field, text == "true");
      return std::nullopt;
    case FieldDescriptor::CPPTYPE_ENUM:
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_UINT64:
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_MESSAGE: break;
  }
  std::fprintf(stderr, "bug: settings of the type of %s can't be read\n", field.full_name().c_str());
  std::abort();
}

void read_file(const std::string& file, v1::Configuration& config, complaints& wrong) {
  std::ifstream in{file, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  for (const auto& fault : from_json(text, config)) wrong.add(fault.field().empty() ? file : file + ": " + fault.field(), fault.detail());
}

void read_environment(const setting_texts& environment, v1::Configuration& config, complaints& wrong) {
  const auto& type = *v1::Configuration::descriptor();
  setting_texts rest;
  for (const auto& [name, text] : environment) {
    if (name.starts_with(prefix)) rest.emplace(name, text);
  }
  for (int i = 0; i < type.field_count(); ++i) {
    const auto found = rest.find(std::string{prefix} + upper(type.field(i)->name()));
    if (found == rest.end()) continue;
    if (const auto fault = set(config, *type.field(i), found->second)) wrong.add(found->first, *fault);
    rest.erase(found);
  }
  for (const auto& [name, text] : rest) wrong.add(name, "there is no such setting");
}

void read_flags(const setting_texts& flags, v1::Configuration& config, complaints& wrong) {
  for (const auto& [name, text] : flags) {
    const auto* field = v1::Configuration::descriptor()->FindFieldByName(name);
    const auto fault = field ? set(config, *field, text) : std::optional<std::string>{"there is no such setting"};
    if (fault) wrong.add("--" + dashed(name), *fault);
  }
}

/// The bounds of one field of a whole configuration.
void check(const v1::Configuration& config, const FieldDescriptor& field, complaints& wrong) {
  const auto& access = *v1::Configuration::GetReflection();
  const auto& bounds = bounds_of(field);
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    if (bounds.required() && access.GetString(config, &field).empty()) wrong.add(field.name(), "must not be empty");
    return;
  }
  std::int64_t value = 0;
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32) value = access.GetUInt32(config, &field);
  else if (field.cpp_type() == FieldDescriptor::CPPTYPE_INT64) value = access.GetInt64(config, &field);
  else return;
  if (bounds.has_min() && value < bounds.min()) {
    wrong.add(field.name(), std::to_string(value) + " is less than " + std::to_string(bounds.min()));
  }
  if (bounds.has_max() && value > bounds.max()) {
    wrong.add(field.name(), std::to_string(value) + " is more than " + std::to_string(bounds.max()));
  }
}

void check_all(const v1::Configuration& config, complaints& wrong) {
  const auto& type = *v1::Configuration::descriptor();
  for (int i = 0; i < type.field_count(); ++i) check(config, *type.field(i), wrong);
  if (const auto& key = config.jwt_issuer_key_file(); !key.empty() && !std::ifstream{key}) {
    wrong.add("jwt_issuer_key_file", key + " can't be read");
  }
  if (config.jwt_issuer_key_file().empty() && !config.jwt_issuer_name().empty()) {
    wrong.add("jwt_issuer_name", "is of no use without jwt_issuer_key_file");
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> settings_with_defaults() {
  std::vector<std::pair<std::string, std::string>> out;
  const auto& type = *v1::Configuration::descriptor();
  for (int i = 0; i < type.field_count(); ++i) out.emplace_back(type.field(i)->name(), bounds_of(*type.field(i)).preset());
  return out;
}

v1::Configuration default_configuration() {
  v1::Configuration config;
  for (const auto& [name, preset] : settings_with_defaults()) {
    const auto& field = *v1::Configuration::descriptor()->FindFieldByName(name);
    if (preset.empty()) continue;
    if (const auto fault = set(config, field, preset)) {
      std::fprintf(stderr, "bug: the default of %s: %s\n", name.c_str(), fault->c_str());
      std::abort();
    }
  }
  return config;
}

result<v1::Configuration> load_configuration(const std::optional<std::string>& file, const setting_texts& environment,
                                             const setting_texts& flags) {
  auto config = default_configuration();
  complaints wrong;
  if (file) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(*file, ignored) || !std::ifstream{*file}) {
      return failure{errc::io_failure, *file + " can't be read"};
    }
    read_file(*file, config, wrong);
  }
  read_environment(environment, config, wrong);
  read_flags(flags, config, wrong);
  if (wrong.empty()) check_all(config, wrong);
  if (!wrong.empty()) return wrong.as_failure();
  return config;
}

setting_texts usher_variables(const char* const* environ) {
  setting_texts out;
  for (; *environ; ++environ) {
    const std::string_view entry{*environ};
    const auto equals = entry.find('=');
    if (!entry.starts_with(prefix) || equals == std::string_view::npos) continue;
    out.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return out;
}

result<setting_texts> listen_flags(std::string_view address_and_port) {
  const auto colon = address_and_port.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == address_and_port.size()) {
    return failure{errc::invalid_argument, "\"" + std::string{address_and_port} + "\" is not an address and a port, as in 127.0.0.1:8080"};
  }
  auto address = address_and_port.substr(0, colon);
  if (address.size() > 2 && address.front() == '[' && address.back() == ']') address = address.substr(1, address.size() - 2);
  return setting_texts{{"listen_address", std::string{address}}, {"listen_port", std::string{address_and_port.substr(colon + 1)}}};
}

}  // namespace usher
