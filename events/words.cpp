#include "events/words.hpp"

#include <charconv>
#include <utility>

namespace usher {
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

/// The entity of a kind that the group alone names.
std::optional<v1::EntityRef> one_of_a_group(v1::Kind kind, std::string_view group) {
  v1::EntityRef out;
  out.set_kind(kind);
  out.set_group(std::string{group});
  return out;
}

}  // namespace

std::string place_of(log_position at) { return std::to_string(at.partition) + "/" + std::to_string(at.index); }

std::optional<log_position> place_from(std::string_view text) {
  log_position out;
  const auto* end = text.data() + text.size();
  const auto [slash, bad] = std::from_chars(text.data(), end, out.partition);
  if (bad != std::errc{} || slash == end || *slash != '/' || out.partition >= partition_count) return std::nullopt;
  const auto [last, wrong] = std::from_chars(slash + 1, end, out.index);
  if (wrong != std::errc{} || last != end || out.index == 0) return std::nullopt;
  return out;
}

std::string type_of(const pb::Message& message, const char* oneof) {
  auto [name, inner] = chosen_in(message, oneof);
  if (!inner) return "unknown";
  const auto what = chosen_in(*inner, "kind").first;
  return what.empty() ? "unknown" : name + "." + what;
}

const pb::Message* content_of(const pb::Message& message, const char* oneof) {
  const auto* inner = chosen_in(message, oneof).second;
  return inner ? chosen_in(*inner, "kind").second : nullptr;
}

bool is_type_in(const pb::Descriptor& message, const char* oneof, std::string_view type) {
  const auto* choices = message.FindOneofByName(oneof);
  for (int i = 0; i != choices->field_count(); ++i) {
    const auto* kinds = choices->field(i)->message_type()->FindOneofByName("kind");
    for (int k = 0; kinds && k != kinds->field_count(); ++k)
      if (choices->field(i)->name() + '.' + kinds->field(k)->name() == type) return true;
  }
  return false;
}

std::optional<v1::EntityRef> entity_from(std::string_view word, std::string_view rest) {
  const auto kind = kind_from_word(word);
  const auto slash = rest.find('/');
  const auto group = rest.substr(0, slash);
  const auto name = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  switch (kind) {
    case v1::SHOW: case v1::QUEUE: case v1::WALLET: case v1::USER:
      if (group.empty() || slash != std::string_view::npos) return std::nullopt;
      return one_of_a_group(kind, group);
    case v1::SEAT: case v1::STOCK: case v1::ALLOWANCE: {
      if (group.empty() || name.empty()) return std::nullopt;
      auto out = one_of_a_group(kind, group);
      out->set_name(std::string{name});
      return out;
    }
    case v1::RESERVATION: {
      const auto id = name.empty() ? rest : name;
      const auto show = show_of_reservation(id);
      if (show.empty() || (!name.empty() && group != show)) return std::nullopt;
      return reservation_ref(std::string{id});
    }
    case v1::PROVIDER:  // outside: it has no events
    case v1::KIND_UNSPECIFIED:
    case v1::Kind_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Kind_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return std::nullopt;
}

std::optional<v1::EntityRef> entity_from(std::string_view key) {
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  return entity_from(key.substr(0, slash), key.substr(slash + 1));
}

std::string name_of(const v1::EntityRef& ref) {
  return ref.kind() == v1::RESERVATION ? "reservation/" + ref.name() : key_of(ref);
}

}  // namespace usher
