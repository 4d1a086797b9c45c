#include "actors/testimony.hpp"

#include <boost/json.hpp>

#include <charconv>
#include <limits>
#include <set>

#include "events/json.hpp"
#include "events/layout.hpp"
#include "events/secrets.hpp"
#include "events/sha256.hpp"
#include "events/words.hpp"

namespace usher::actors {
namespace {

namespace json = boost::json;
namespace pb = google::protobuf;

constexpr std::size_t differences_max = 200;

std::string_view word_of(v1::Role role) {
  switch (role) {
    case v1::ROLE_USER: return "user";
    case v1::ROLE_SERVICE: return "service";
    case v1::ROLE_OPERATOR: return "operator";
    case v1::ROLE_SYSTEM: return "system";
    case v1::ROLE_UNSPECIFIED:
    case v1::Role_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Role_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return "";
}

/// Why somebody wanted it, where the command says so.
std::string reason_of(const v1::Command& command) {
  const auto* wanted = content_of(command, "kind");
  const auto* field = wanted ? wanted->GetDescriptor()->FindFieldByName("reason") : nullptr;
  if (!field || field->cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING) return {};
  return wanted->GetReflection()->GetString(*wanted, field);
}

void member_unless_empty(json_writer& out, std::string_view name, const std::string& text) {
  if (!text.empty()) out.member(name, text);
}

/// The hash by which the next record of the partition knows this one.
result<std::string> hash_of_stored(const store::database& db, log_position at) {
  std::string out;
  const auto read = db.scan_stored(at.partition, at.index, [&out](std::uint64_t, std::string_view stored) {
    out = to_hex(bytes_of(sha256({stored})));
    return false;
  });
  if (!read) return read.error();
  return out;
}

void write_origin(json_writer& out, const v1::Record& record, const v1::EntityRef& ref) {
  out.member("command", type_of(record.command(), "kind"));
  if (!store::same_entity(record.target(), ref)) out.member("target", name_of(record.target()));
  member_unless_empty(out, "reason", reason_of(record.command()));
  out.key("by").begin_object();
  member_unless_empty(out, "userId", record.user_id());
  out.member("role", word_of(record.role())).end_object();
  out.member("causation", record.causation()).member("correlation", record.correlation());
  member_unless_empty(out, "traceparent", record.traceparent());
  member_unless_empty(out, "idempotencyKey", record.idempotency_key());
}

void write_event(json_writer& out, const v1::Record& record, const v1::StreamEvent& event, const std::string& hash) {
  out.begin_object().member("version", event.version()).member("position", place_of({record.partition(), record.index()}));
  out.member("at", from_ms(record.at_ms())).member("type", type_of(event, "payload"));
  const auto shown = without_secrets(event);
  if (const auto* content = content_of(shown, "payload")) out.key("data").value(*content);
  write_origin(out, record, event.stream());
  out.member("hash", hash).member("previousHash", to_hex(record.previous_hash())).end_object();
}

/// Writes events as items of the array that is open. @return where to read on
result<std::optional<stream_place>> write_events(json_writer& out, const testified& of, const stream_question& asked) {
  std::optional<failure> broken;
  const auto rest = events_of(of.db, of.head, of.ref, asked.from, asked.limit, asked.upto_index, [&](const v1::Record& record, const v1::StreamEvent& event) {
    const auto hash = hash_of_stored(of.db, {record.partition(), record.index()});
    if (hash) write_event(out, record, event, *hash);
    else broken = hash.error();
  });
  if (broken) return *broken;
  return rest;
}

/// The message of a state, without what nobody may read. Of a queue without the columns of its tickets, which no reader could take apart.
std::string text_of_state(const entity& state) {
  v1::Snapshot saved;
  state.save(saved);
  auto shown = without_secrets(saved);
  if (shown.has_queue()) {
    auto& queue = *shown.mutable_queue();
    for (const auto field : {v1::QueueState::kUserIdsFieldNumber, v1::QueueState::kUserIdBytesFieldNumber, v1::QueueState::kJoinedMsFieldNumber,
                             v1::QueueState::kPhasesFieldNumber, v1::QueueState::kLaneOfFieldNumber, v1::QueueState::kPlacesFieldNumber,
                             v1::QueueState::kRunsOfFieldNumber, v1::QueueState::kDevicesFieldNumber})
      queue.GetReflection()->ClearField(&queue, queue.GetDescriptor()->FindFieldByNumber(field));
  }
  const auto* chosen = shown.GetReflection()->GetOneofFieldDescriptor(shown, shown.GetDescriptor()->FindOneofByName("state"));
  std::string out;
  if (chosen) to_json(shown.GetReflection()->GetMessage(shown, chosen), out);
  return out;
}

/// What a seat or a stock of this hall is before anything happens to it. @return false where the hall has no such thing
bool begin_in(const v1::ShowPlan& plan, const v1::EntityRef& ref, entity& state) {
  const layout hall{plan};
  if (ref.kind() == v1::SEAT) return hall.find(ref.name()).has_value();
  const auto section = hall.find_section(ref.name());
  if (!section) return false;
  v1::Snapshot begin;
  begin.mutable_stock()->set_capacity(hall.sections_without_seats()[*section].capacity);
  state.restore(begin);
  return true;
}

/// As state_as_of, but a seat and a stock are there from the opening of their show on, at version 0. Whatever was not there has index 0.
result<past_state> state_then(const testified& of, std::uint64_t upto_index) {
  auto past = state_as_of(of.db, of.head, of.ref, upto_index);
  if (!past || past->version != 0 || (of.ref.kind() != v1::SEAT && of.ref.kind() != v1::STOCK)) return past;
  const auto read = events_of(of.db, of.show, show_ref(of.ref.group()), {}, 1, upto_index, [&](const v1::Record& record, const v1::StreamEvent& event) {
    if (begin_in(event.show().opened().plan(), of.ref, *past->state)) past->index = record.index();
  });
  if (!read) return read.error();
  return past;
}

/// The state as a value that can be compared; null where the entity was not there.
result<json::value> value_at(const testified& of, std::uint64_t index) {
  const auto past = state_then(of, index);
  if (!past) return past.error();
  json::value out;
  if (past->index == 0) return out;
  if (auto fault = parse_json(text_of_state(*past->state), out)) return failure{errc::corrupted, fault->detail()};
  return out;
}

struct difference {
  std::string path;
  json::value before;
  json::value after;
};

/// Walks two values side by side.
class comparison {
 public:
  void compare(const std::string& path, const json::value& before, const json::value& after) {
    if (before == after) return;
    if (is_tree(before, after, json::kind::object)) return compare_members(path, before, after);
    if (is_tree(before, after, json::kind::array)) return compare_items(path, before, after);
    if (found.size() == differences_max) more = true;
    else found.push_back({path, before, after});
  }
  std::vector<difference> found;
  bool more = false;

 private:
  /// What is not there on one side is compared part by part with nothing.
  static bool is_tree(const json::value& a, const json::value& b, json::kind kind) {
    return (a.kind() == kind || a.is_null()) && (b.kind() == kind || b.is_null());
  }
  static const json::value& part_of(const json::value* found) {
    static const json::value nothing;
    return found ? *found : nothing;
  }
  void compare_members(const std::string& path, const json::value& before, const json::value& after) {
    std::set<std::string> names;
    for (const auto* side : {&before, &after})
      if (side->is_object())
        for (const auto& member : side->as_object()) names.emplace(member.key());
    for (const auto& name : names) {
      const auto* old = before.is_object() ? before.as_object().if_contains(name) : nullptr;
      const auto* now = after.is_object() ? after.as_object().if_contains(name) : nullptr;
      compare(path.empty() ? name : path + '.' + name, part_of(old), part_of(now));
    }
  }
  void compare_items(const std::string& path, const json::value& before, const json::value& after) {
    const auto size_of = [](const json::value& v) { return v.is_array() ? v.as_array().size() : 0; };
    for (std::size_t i = 0; i != std::max(size_of(before), size_of(after)); ++i) {
      const auto* old = i < size_of(before) ? &before.as_array()[i] : nullptr;
      const auto* now = i < size_of(after) ? &after.as_array()[i] : nullptr;
      compare(path + '[' + std::to_string(i) + ']', part_of(old), part_of(now));
    }
  }
};

void write_changes(json_writer& out, const comparison& compared) {
  out.key("changes").begin_array();
  for (const auto& change : compared.found) {
    out.begin_object().member("path", change.path).key("before").raw(json::serialize(change.before));
    out.key("after").raw(json::serialize(change.after)).end_object();
  }
  out.end_array();
  if (compared.more) out.member("moreChanges", true);
}

}  // namespace

result<bool> ever_was(const testified& of) {
  if (of.head.version != 0) return true;
  const auto now = state_then(of, std::numeric_limits<std::uint64_t>::max());
  if (!now) return now.error();
  return now->index != 0;
}

std::string cursor_from(const stream_place& place) { return std::to_string(place.version) + '.' + std::to_string(place.after); }

std::optional<stream_place> place_from_cursor(std::string_view text) {
  stream_place out;
  const auto* end = text.data() + text.size();
  const auto [dot, bad] = std::from_chars(text.data(), end, out.version);
  if (bad != std::errc{} || dot == end || *dot != '.' || out.version == 0) return std::nullopt;
  const auto [last, wrong] = std::from_chars(dot + 1, end, out.after);
  if (wrong != std::errc{} || last != end) return std::nullopt;
  return out;
}

result<std::string> stream_json(const testified& of, const stream_question& asked) {
  std::string text;
  json_writer out{text};
  out.begin_object().member("stream", name_of(of.ref)).member("version", of.head.version).key("items").begin_array();
  const auto rest = write_events(out, of, asked);
  if (!rest) return rest.error();
  out.end_array();
  if (*rest) out.member("nextCursor", cursor_from(**rest));
  else out.member("nextCursor", nullptr);
  out.end_object();
  return text;
}

result<std::optional<std::string>> state_json(const testified& of, std::string_view as_of, std::uint64_t upto_index) {
  const auto past = state_then(of, upto_index);
  if (!past) return past.error();
  if (past->index == 0) return std::optional<std::string>{};
  const log_position at{partition_of(of.ref.group()), past->index};
  const auto record = of.db.read(at);
  if (!record) return record.error();
  if (!*record) return failure{errc::corrupted, "record " + place_of(at) + " is missing"};
  std::string text;
  json_writer out{text};
  out.begin_object().member("stream", name_of(of.ref));
  if (!as_of.empty()) out.member("asOf", as_of);
  out.member("version", past->version).member("position", place_of(at)).member("at", from_ms((*record)->at_ms()));
  out.key("state").raw(text_of_state(*past->state)).end_object();
  return std::optional{std::move(text)};
}

result<std::string> diff_json(const testified& of, const diff_end& from, const diff_end& to) {
  const auto before = value_at(of, from.index);
  if (!before) return before.error();
  const auto after = value_at(of, to.index);
  if (!after) return after.error();
  comparison compared;
  compared.compare("", *before, *after);
  std::string text;
  json_writer out{text};
  out.begin_object().member("stream", name_of(of.ref)).member("from", from.text).member("to", to.text);
  write_changes(out, compared);
  out.key("events").begin_array();
  const auto first = state_as_of(of.db, of.head, of.ref, from.index);
  if (!first) return first.error();
  const auto rest = write_events(out, of, {{first->version + 1, from.index}, differences_max, to.index});
  if (!rest) return rest.error();
  out.end_array();
  if (*rest) out.member("moreEvents", true);
  out.end_object();
  return text;
}

}  // namespace usher::actors
