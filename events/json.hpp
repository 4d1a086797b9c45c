#pragma once
// The only JSON code: protobuf messages and hand-made bodies, in and out, and times in RFC 3339.
//
// A field `hold_seconds` is `holdSeconds`; 64-bit numbers are numbers; enums go by name; bytes are base64. A time
// `starts_at_ms` is `startsAt` in RFC 3339, in both directions, and 0 stands for none.

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <google/protobuf/message.h>

#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "events/reply.pb.h"
#include "events/vocabulary.hpp"

namespace usher {

/// The most faults that are told at once; whoever sends more mistakes than this is helped by the first ones.
inline constexpr std::size_t fault_limit = 100;

/// How deeply JSON may be nested.
inline constexpr std::size_t json_depth_limit = 32;

/// Reads JSON without giving it a meaning. The caller has checked the size.
///
/// @param into  the value, in memory of its own that it frees in one go; move it, rather than copy it
/// @return nothing, or one fault with the offset of the byte that is to blame. Where a member is named twice, the last one counts.
[[nodiscard]] std::optional<v1::Fault> parse_json(std::string_view text, boost::json::value& into);

/// Reads an object into a message. A null counts as a member that is not there.
///
/// @param into  the fields that the object names are set, lists and maps are added to; after a fault its content means nothing
/// @return nothing where all is well, else a fault for each place that is wrong, named by its path as in `seats[1].price`:
///         an unknown member, a wrong type, a number that is not whole or out of range, an unknown enum name, a bad time
[[nodiscard]] std::vector<v1::Fault> from_json(const boost::json::object& object, google::protobuf::Message& into);

/// The same from text, which has to be one object.
[[nodiscard]] std::vector<v1::Fault> from_json(std::string_view text, google::protobuf::Message& into);

/// Appends a message as an object. Fields without presence are always there, also zero and empty ones; times that are 0,
/// absent messages, absent `optional` fields and the unchosen cases of a oneof are left out. Members of a map are in order of key.
void to_json(const google::protobuf::Message& message, std::string& out);

/// `2026-03-01T19:30:00Z`, with milliseconds only where there are any. Years outside 0 to 9999 are cut to these.
std::string to_rfc3339(time_point);

/// Reads RFC 3339 with any offset. What is finer than a millisecond is cut off.
/// @return nullopt where it is anything else, also a date that no calendar has
std::optional<time_point> from_rfc3339(std::string_view);

/// Writes a body by hand, appending to a string. Puts the commas and escapes; that objects and arrays are closed, and that
/// each member has a key, is up to the caller.
///
///     json_writer{out}.begin_object().member("status", "WAITING").key("items").begin_array().end_array().end_object();
class json_writer {
 public:
  explicit json_writer(std::string& out) : out_{out} { out_.reserve(first_reserve); }

  json_writer& begin_object() { return open('{'); }
  json_writer& end_object() { return close('}'); }
  json_writer& begin_array() { return open('['); }
  json_writer& end_array() { return close(']'); }

  json_writer& key(std::string_view name);  ///< a name of ours: nothing in it is escaped

  json_writer& value(std::string_view text);
  json_writer& value(const char* text) { return value(std::string_view{text}); }
  json_writer& value(const std::string& text) { return value(std::string_view{text}); }
  json_writer& value(bool);
  json_writer& value(double);  ///< null where it is infinite or not a number
  json_writer& value(std::nullptr_t);
  json_writer& value(time_point);
  json_writer& value(const google::protobuf::Message&);
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  json_writer& value(T number) {
    separate();
    char digits[24];
    out_.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
    return *this;
  }
  /// Takes JSON that is already written.
  json_writer& raw(std::string_view json);

  /// A key and its value.
  template <class T>
  json_writer& member(std::string_view name, const T& v) {
    return key(name).value(v);
  }

  /// The fields of a message as members of the object that is open.
  json_writer& members(const google::protobuf::Message&);

 private:
  void separate();
  json_writer& open(char bracket);
  json_writer& close(char bracket);
  void quote(std::string_view text);

  static constexpr std::size_t first_reserve = 512;  // most bodies fit, so that they don't grow step by step

  std::string& out_;
  bool needs_comma_ = false;
};

}  // namespace usher
