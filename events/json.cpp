// JSON by a walk over protobuf's descriptors, so that no message needs code of its own.

#include "events/json.hpp"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parser.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "events/base64.hpp"

namespace usher {
namespace {

namespace json = boost::json;
using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// ---- names ----

bool is_time(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_INT64 && !field.is_repeated() &&
         (field.name().ends_with("_at_ms") || field.name() == "at_ms");
}

std::string_view name_of(const FieldDescriptor& field) {
  std::string_view name{field.json_name()};
  if (is_time(field)) name.remove_suffix(2);  // startsAtMs
  return name;
}

/// Messages have few fields, so that looking at each is faster than asking the descriptor's table, which wants a string.
const FieldDescriptor* field_named(const Descriptor& type, std::string_view name) {
  for (int i = 0; i != type.field_count(); ++i) {
    if (name_of(*type.field(i)) == name) return type.field(i);
  }
  return nullptr;
}

// ---- faults ----

v1::Fault fault(std::string field, std::string detail) {
  v1::Fault out;
  out.set_field(std::move(field));
  out.set_detail(std::move(detail));
  return out;
}

/// Where the walk is. Lives on the stack, so that a path is spelled out only for a fault.
struct place {
  static constexpr std::size_t no_index = std::numeric_limits<std::size_t>::max();

  const place* parent = nullptr;
  std::string_view member;
  std::size_t index = no_index;
};

/// A name as the client sent it, cut to what a person will read, and never within a character.
std::string_view shortened(std::string_view name) {
  constexpr std::size_t longest = 100;
  if (name.size() <= longest) return name;
  std::size_t end = longest;
  while (end != 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return name.substr(0, end);
}

std::string path_of(const place* at) {
  if (!at) return {};
  std::string path = path_of(at->parent);
  if (at->index != place::no_index) return path + '[' + std::to_string(at->index) + ']';
  if (!path.empty()) path += '.';
  return path.append(shortened(at->member));
}

std::string_view kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_: return "a number";
    case json::kind::string: return "a string";
    case json::kind::array: return "an array";
    case json::kind::object: return "an object";
  }
  return "something else";
}

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

// ---- reading ----

class reader {
 public:
  void read(const json::object& object, Message& into, const place* at) {
    const auto& type = *into.GetDescriptor();
    for (const auto& [key, value] : object) {
      const place here{at, {key.data(), key.size()}};
      const auto* field = field_named(type, here.member);
      if (!field) {
        blame(here, "There is no such field.");
      } else if (!value.is_null()) {
        read_field(value, into, *field, here);
      }
      if (faults_.size() >= fault_limit) return;
    }
  }

  std::vector<v1::Fault> faults() && { return std::move(faults_); }

 private:
  void blame(const place& at, std::string detail) {
    if (faults_.size() < fault_limit) faults_.push_back(fault(path_of(&at), std::move(detail)));
  }

  void blame_type(const place& at, std::string_view expected, const json::value& value) {
    blame(at, std::string{"Expected "}.append(expected).append(", not ").append(kind_name(value)).append("."));
  }

  void read_field(const json::value& value, Message& into, const FieldDescriptor& field, const place& at) {
    if (const auto* choice = field.real_containing_oneof(); choice && into.GetReflection()->HasOneof(into, choice)) {
      blame(at, "Only one of the alternatives may be there.");
    } else if (field.is_map()) {
      read_map(value, into, field, at);
    } else if (field.is_repeated()) {
      read_list(value, into, field, at);
    } else {
      read_one(value, into, field, at);
    }
  }

  void read_list(const json::value& value, Message& into, const FieldDescriptor& field, const place& at) {
    const auto* items = value.if_array();
    if (!items) return blame_type(at, "an array", value);
    for (std::size_t i = 0; i != items->size() && faults_.size() < fault_limit; ++i)
      read_one((*items)[i], into, field, place{&at, {}, i});
  }

  void read_map(const json::value& value, Message& into, const FieldDescriptor& field, const place& at) {
    const auto* members = value.if_object();
    if (!members) return blame_type(at, "an object", value);
    const auto& entry_type = *field.message_type();
    for (const auto& [key, item] : *members) {
      Message& entry = *into.GetReflection()->AddMessage(&into, &field);
      entry.GetReflection()->SetString(&entry, entry_type.map_key(), std::string{key.data(), key.size()});
      read_one(item, entry, *entry_type.map_value(), place{&at, {key.data(), key.size()}});
      if (faults_.size() >= fault_limit) return;
    }
  }

  /// A singular field, or one more element of a list.
  void read_one(const json::value& value, Message& into, const FieldDescriptor& field, const place& at) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return store(into, field, whole<std::int32_t>(value, at), &Reflection::SetInt32, &Reflection::AddInt32);
      case FieldDescriptor::CPPTYPE_INT64:
        return store(into, field, is_time(field) ? time(value, at) : whole<std::int64_t>(value, at), &Reflection::SetInt64,
                     &Reflection::AddInt64);
      case FieldDescriptor::CPPTYPE_UINT32:
        return store(into, field, whole<std::uint32_t>(value, at), &Reflection::SetUInt32, &Reflection::AddUInt32);
      case FieldDescriptor::CPPTYPE_UINT64:
        return store(into, field, whole<std::uint64_t>(value, at), &Reflection::SetUInt64, &Reflection::AddUInt64);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return store(into, field, number<double>(value, at), &Reflection::SetDouble, &Reflection::AddDouble);
      case FieldDescriptor::CPPTYPE_FLOAT:
        return store(into, field, number<float>(value, at), &Reflection::SetFloat, &Reflection::AddFloat);
      case FieldDescriptor::CPPTYPE_BOOL:
        return store(into, field, boolean(value, at), &Reflection::SetBool, &Reflection::AddBool);
      case FieldDescriptor::CPPTYPE_STRING:
        return store(into, field, text(value, field, at), &Reflection::SetString, &Reflection::AddString);
      case FieldDescriptor::CPPTYPE_ENUM:
        return store(into, field, enumerator(value, field, at), &Reflection::SetEnum, &Reflection::AddEnum);
      case FieldDescriptor::CPPTYPE_MESSAGE: return read_message(value, into, field, at);
    }
  }

  void read_message(const json::value& value, Message& into, const FieldDescriptor& field, const place& at) {
    const auto* object = value.if_object();
    if (!object) return blame_type(at, "an object", value);
    const auto* reflection = into.GetReflection();
    read(*object, field.is_repeated() ? *reflection->AddMessage(&into, &field) : *reflection->MutableMessage(&into, &field), &at);
  }

  template <class T>
  using setter = void (Reflection::*)(Message*, const FieldDescriptor*, T) const;

  template <class T>
  static void store(Message& into, const FieldDescriptor& field, std::optional<T> value, setter<T> set, setter<T> add) {
    if (value) (into.GetReflection()->*(field.is_repeated() ? add : set))(&into, &field, std::move(*value));
  }

  template <class T>
  std::optional<T> whole(const json::value& value, const place& at) {
    if (!value.is_number()) return blame_type(at, "a whole number", value), std::nullopt;
    if (const auto* n = value.if_int64(); n && std::in_range<T>(*n)) return static_cast<T>(*n);
    if (const auto* n = value.if_uint64(); n && std::in_range<T>(*n)) return static_cast<T>(*n);
    if (const auto* n = value.if_double()) {
      constexpr double exact = 9007199254740992;  // 2^53: a double beyond it may not be what the client wrote
      if (std::trunc(*n) != *n) return blame(at, "Expected a whole number, not a fraction."), std::nullopt;
      if (std::abs(*n) <= exact && std::in_range<T>(static_cast<std::int64_t>(*n))) return static_cast<T>(*n);
    }
    blame(at, "The number must be from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
                  std::to_string(std::numeric_limits<T>::max()) + ".");
    return {};
  }

  template <class T>
  std::optional<T> number(const json::value& value, const place& at) {
    if (!value.is_number()) return blame_type(at, "a number", value), std::nullopt;
    return static_cast<T>(value.to_number<double>());
  }

  std::optional<bool> boolean(const json::value& value, const place& at) {
    if (!value.is_bool()) return blame_type(at, "a boolean", value), std::nullopt;
    return value.get_bool();
  }

  std::optional<std::string> text(const json::value& value, const FieldDescriptor& field, const place& at) {
    const auto* string = value.if_string();
    if (!string) return blame_type(at, "a string", value), std::nullopt;
    if (field.type() != FieldDescriptor::TYPE_BYTES) return std::string{view(*string)};
    auto bytes = from_base64(view(*string));
    if (!bytes) blame(at, "Expected bytes in base64.");
    return bytes;
  }

  std::optional<const EnumValueDescriptor*> enumerator(const json::value& value, const FieldDescriptor& field, const place& at) {
    const auto* string = value.if_string();
    if (!string) return blame_type(at, "a string", value), std::nullopt;
    const auto& type = *field.enum_type();
    if (const auto* found = type.FindValueByName(std::string{view(*string)})) return found;
    std::string names;
    for (int i = 0; i != type.value_count(); ++i) names += (i ? ", " : "") + type.value(i)->name();
    blame(at, "Expected one of " + names + ".");
    return {};
  }

  std::optional<std::int64_t> time(const json::value& value, const place& at) {
    const auto* string = value.if_string();
    if (!string) return blame_type(at, "a time in RFC 3339", value), std::nullopt;
    const auto t = from_rfc3339(view(*string));
    if (!t) return blame(at, "Expected a time in RFC 3339, as in 2026-03-01T19:30:00Z."), std::nullopt;
    return to_ms(*t);
  }

  std::vector<v1::Fault> faults_;
};

std::optional<v1::Fault> parse(std::string_view text, json::storage_ptr memory, json::value& into) {
  json::parse_options options;
  options.max_depth = json_depth_limit;
  json::parser parser{{}, options};
  parser.reset(std::move(memory));
  json::error_code error;
  const std::size_t consumed = parser.write_some(text.data(), text.size(), error);
  if (!error && consumed != text.size()) error = json::error::extra_data;
  if (error) return fault({}, "Malformed JSON at byte " + std::to_string(consumed) + ": " + error.message() + ".");
  // An assignment would copy into the memory that `into` has now; a value that is built anew keeps the parser's.
  std::destroy_at(&into);
  std::construct_at(&into, parser.release());
  return {};
}

std::vector<v1::Fault> read_value(const json::value& value, Message& into) {
  const auto* object = value.if_object();
  if (object) return from_json(*object, into);
  return {fault({}, std::string{"Expected an object, not "}.append(kind_name(value)).append("."))};
}

// ---- writing ----

void write_map(const Message& message, const FieldDescriptor& field, json_writer& out);

/// A value of a field. `index` is the element of a list, or -1 for a singular field.
void write_value(const Message& m, const FieldDescriptor& field, int index, json_writer& out) {
  const auto& r = *m.GetReflection();
  const auto* f = &field;
  const bool listed = index >= 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: out.value(listed ? r.GetRepeatedInt32(m, f, index) : r.GetInt32(m, f)); return;
    case FieldDescriptor::CPPTYPE_INT64: out.value(listed ? r.GetRepeatedInt64(m, f, index) : r.GetInt64(m, f)); return;
    case FieldDescriptor::CPPTYPE_UINT32: out.value(listed ? r.GetRepeatedUInt32(m, f, index) : r.GetUInt32(m, f)); return;
    case FieldDescriptor::CPPTYPE_UINT64: out.value(listed ? r.GetRepeatedUInt64(m, f, index) : r.GetUInt64(m, f)); return;
    case FieldDescriptor::CPPTYPE_DOUBLE: out.value(listed ? r.GetRepeatedDouble(m, f, index) : r.GetDouble(m, f)); return;
    case FieldDescriptor::CPPTYPE_FLOAT:
      out.value(static_cast<double>(listed ? r.GetRepeatedFloat(m, f, index) : r.GetFloat(m, f)));
      return;
    case FieldDescriptor::CPPTYPE_BOOL: out.value(listed ? r.GetRepeatedBool(m, f, index) : r.GetBool(m, f)); return;
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      const auto& text = listed ? r.GetRepeatedStringReference(m, f, index, &scratch) : r.GetStringReference(m, f, &scratch);
      if (field.type() == FieldDescriptor::TYPE_BYTES) {
        out.value(to_base64(text));
      } else {
        out.value(text);
      }
      return;
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = listed ? r.GetRepeatedEnumValue(m, f, index) : r.GetEnumValue(m, f);
      if (const auto* name = field.enum_type()->FindValueByNumber(number)) {
        out.value(name->name());
      } else {
        out.value(number);  // from a newer node
      }
      return;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      out.value(listed ? r.GetRepeatedMessage(m, f, index) : r.GetMessage(m, f));
      return;
  }
}

void write_field(const Message& message, const FieldDescriptor& field, json_writer& out) {
  const auto& reflection = *message.GetReflection();
  if (field.is_map()) {
    write_map(message, field, out);
  } else if (field.is_repeated()) {
    out.key(name_of(field)).begin_array();
    const int size = reflection.FieldSize(message, &field);
    for (int i = 0; i != size; ++i) write_value(message, field, i, out);
    out.end_array();
  } else if (field.has_presence() && !reflection.HasField(message, &field)) {
    return;
  } else if (is_time(field)) {
    const auto ms = reflection.GetInt64(message, &field);
    if (ms != 0) out.key(name_of(field)).value(from_ms(ms));
  } else {
    out.key(name_of(field));
    write_value(message, field, -1, out);
  }
}

void write_map(const Message& message, const FieldDescriptor& field, json_writer& out) {
  const auto& reflection = *message.GetReflection();
  const auto& entry_type = *field.message_type();
  std::vector<std::pair<std::string, const Message*>> entries;
  const int size = reflection.FieldSize(message, &field);
  for (int i = 0; i != size; ++i) {
    const auto& entry = reflection.GetRepeatedMessage(message, &field, i);
    entries.emplace_back(entry.GetReflection()->GetString(entry, entry_type.map_key()), &entry);
  }
  std::sort(entries.begin(), entries.end());
  out.key(name_of(field)).begin_object();
  for (const auto& [key, entry] : entries) {
    out.key(key);
    write_value(*entry, *entry_type.map_value(), -1, out);
  }
  out.end_object();
}

// ---- times ----

/// Takes a number of exactly `width` digits off the front.
std::optional<int> take_digits(std::string_view& text, std::size_t width) {
  if (text.size() < width) return {};
  int n = 0;
  for (const char c : text.substr(0, width)) {
    if (c < '0' || c > '9') return {};
    n = n * 10 + (c - '0');
  }
  text.remove_prefix(width);
  return n;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::chrono::sys_days> take_date(std::string_view& text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, "-")) return {};
  const auto month = take_digits(text, 2);
  if (!month || !take(text, "-")) return {};
  const auto day = take_digits(text, 2);
  if (!day) return {};
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return {};
  return std::chrono::sys_days{date};
}

std::optional<std::chrono::minutes> take_hours_and_minutes(std::string_view& text) {
  const auto hours = take_digits(text, 2);
  if (!hours || *hours > 23 || !take(text, ":")) return {};
  const auto minutes = take_digits(text, 2);
  if (!minutes || *minutes > 59) return {};
  return std::chrono::hours{*hours} + std::chrono::minutes{*minutes};
}

/// The digits behind the seconds. Nothing where there is a point but no digit.
std::optional<std::chrono::milliseconds> take_fraction(std::string_view& text) {
  if (!take(text, ".")) return std::chrono::milliseconds{0};
  int ms = 0;
  int weight = 100;
  std::size_t digits = 0;
  for (; digits != text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits, weight /= 10)
    ms += (text[digits] - '0') * weight;
  text.remove_prefix(digits);
  if (digits == 0) return {};
  return std::chrono::milliseconds{ms};
}

std::optional<std::chrono::minutes> take_offset(std::string_view& text) {
  if (take(text, "Zz")) return std::chrono::minutes{0};
  const bool behind = text.starts_with('-');
  if (!take(text, "+-")) return {};
  const auto offset = take_hours_and_minutes(text);
  if (!offset) return {};
  return behind ? -*offset : *offset;
}

void append_digits(std::string& out, unsigned n, unsigned width) {
  std::array<char, 4> digits{};
  for (unsigned i = width; i-- != 0; n /= 10) digits[i] = static_cast<char>('0' + n % 10);
  out.append(digits.data(), width);
}

}  // namespace

std::optional<v1::Fault> parse_json(std::string_view text, json::value& into) {
  return parse(text, json::make_shared_resource<json::monotonic_resource>(), into);
}

std::vector<v1::Fault> from_json(const json::object& object, Message& into) {
  reader r;
  r.read(object, into, nullptr);
  return std::move(r).faults();
}

std::vector<v1::Fault> from_json(std::string_view text, Message& into) {
  std::array<unsigned char, 4096> buffer;  // most bodies fit, so that they need no heap
  json::monotonic_resource memory{buffer.data(), buffer.size()};
  json::value value;
  if (auto wrong = parse(text, &memory, value)) return {std::move(*wrong)};
  return read_value(value, into);
}

void to_json(const Message& message, std::string& out) { json_writer{out}.value(message); }

namespace {

void append_rfc3339(std::string& out, time_point t) {
  constexpr time_point first = std::chrono::sys_days{std::chrono::year{0} / 1 / 1};
  constexpr time_point end = std::chrono::sys_days{std::chrono::year{10000} / 1 / 1};
  t = std::clamp(t, first, end - std::chrono::milliseconds{1});
  const auto midnight = std::chrono::floor<std::chrono::days>(t);
  const std::chrono::year_month_day date{midnight};
  const std::chrono::hh_mm_ss clock{t - midnight};
  append_digits(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_digits(out, static_cast<unsigned>(clock.hours().count()), 2);
  out += ':';
  append_digits(out, static_cast<unsigned>(clock.minutes().count()), 2);
  out += ':';
  append_digits(out, static_cast<unsigned>(clock.seconds().count()), 2);
  if (const auto ms = clock.subseconds().count(); ms != 0) {
    out += '.';
    append_digits(out, static_cast<unsigned>(ms), 3);
  }
  out += 'Z';
}

}  // namespace

std::string to_rfc3339(time_point t) {
  std::string out;
  append_rfc3339(out, t);
  return out;
}

std::optional<time_point> from_rfc3339(std::string_view text) {
  const auto date = take_date(text);
  if (!date || !take(text, "Tt ")) return {};
  const auto minutes = take_hours_and_minutes(text);
  if (!minutes || !take(text, ":")) return {};
  const auto seconds = take_digits(text, 2);
  if (!seconds || *seconds > 60) return {};  // 60 is a leap second, which counts as the next second
  const auto fraction = take_fraction(text);
  if (!fraction) return {};
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return {};
  return time_point{*date} + *minutes + std::chrono::seconds{*seconds} + *fraction - *offset;
}

void json_writer::separate() {
  if (needs_comma_) out_ += ',';
  needs_comma_ = true;
}

json_writer& json_writer::open(char bracket) {
  separate();
  out_ += bracket;
  needs_comma_ = false;
  return *this;
}

json_writer& json_writer::close(char bracket) {
  out_ += bracket;
  needs_comma_ = true;
  return *this;
}

namespace {

constexpr auto escaped = [] {
  std::array<bool, 256> which{};
  for (std::size_t c = 0; c != 0x20; ++c) which[c] = true;
  which['"'] = which['\\'] = true;
  return which;
}();

bool is_escaped(char c) { return escaped[static_cast<unsigned char>(c)]; }

}  // namespace

void json_writer::quote(std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  out_ += '"';
  while (!text.empty()) {
    const auto end = std::find_if(text.begin(), text.end(), is_escaped);
    out_.append(text.data(), static_cast<std::size_t>(end - text.begin()));
    if (end == text.end()) break;
    const auto c = static_cast<unsigned char>(*end);
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()) + 1);
    switch (c) {
      case '"': out_ += "\\\""; break;
      case '\\': out_ += "\\\\"; break;
      case '\n': out_ += "\\n"; break;
      case '\r': out_ += "\\r"; break;
      case '\t': out_ += "\\t"; break;
      default:
        out_ += "\\u00";
        out_ += hex[c >> 4];
        out_ += hex[c & 15];
    }
  }
  out_ += '"';
}

json_writer& json_writer::key(std::string_view name) {
  separate();
  out_ += '"';
  out_ += name;
  out_ += "\":";
  needs_comma_ = false;
  return *this;
}

json_writer& json_writer::value(std::string_view text) {
  separate();
  quote(text);
  return *this;
}

json_writer& json_writer::value(bool b) { return raw(b ? "true" : "false"); }

json_writer& json_writer::value(double number) {
  if (!std::isfinite(number)) return value(nullptr);
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  return raw({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

json_writer& json_writer::value(std::nullptr_t) { return raw("null"); }

json_writer& json_writer::value(time_point t) {
  separate();
  out_ += '"';
  append_rfc3339(out_, t);
  out_ += '"';
  return *this;
}

json_writer& json_writer::value(const Message& message) { return begin_object().members(message).end_object(); }

json_writer& json_writer::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

json_writer& json_writer::members(const Message& message) {
  const auto& type = *message.GetDescriptor();
  for (int i = 0; i != type.field_count(); ++i) write_field(message, *type.field(i), *this);
  return *this;
}

}  // namespace usher
