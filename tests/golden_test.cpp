// The bytes of every event that was ever written must decode, for good.
//
// tests/golden/<kind>.<event>.bin is a StreamEvent as it was once written and <kind>.<event>.txt what it means. They are never
// changed. A new event, or a new field of an old one, needs a further file: <kind>.<event>.2.bin and so on. Where an upcaster makes
// another event of it, <kind>.<event>.now.txt is that one; such a file changes with the upcasters.
// USHER_WRITE_GOLDEN=1 in the environment writes what is missing, and nothing else.

#include <catch2/catch.hpp>
#include <google/protobuf/text_format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "events/upcast.hpp"

namespace {

namespace fs = std::filesystem;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

fs::path folder() { return fs::path{USHER_SOURCE_DIR} / "tests" / "golden"; }

std::string content(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::string text_of(const Message& m) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(m, &text);
  return text;
}

/// An event type: a case of the payload, and a case of its kind.
struct event_type {
  const FieldDescriptor* payload;
  const FieldDescriptor* event;
  std::string name() const { return payload->name() + '.' + event->name(); }
};

std::vector<event_type> event_types() {
  std::vector<event_type> types;
  const auto& payload = *usher::v1::StreamEvent::descriptor()->FindOneofByName("payload");
  for (int p = 0; p != payload.field_count(); ++p) {
    const auto& kind = *payload.field(p)->message_type()->FindOneofByName("kind");
    for (int e = 0; e != kind.field_count(); ++e) types.push_back({payload.field(p), kind.field(e)});
  }
  return types;
}

/// Sets every field to a value that follows from its name and number, so that two fields can't be mistaken for each other.
void fill(Message& m, const std::string& suffix);

void put(Message& m, const FieldDescriptor& field, const std::string& suffix) {
  const auto* r = m.GetReflection();
  const auto* f = &field;
  const bool many = f->is_repeated();
  const auto n = static_cast<std::uint32_t>(f->number());
  const auto text = f->name() + suffix;
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return many ? r->AddInt32(&m, f, -int(n)) : r->SetInt32(&m, f, -int(n));
    case FieldDescriptor::CPPTYPE_INT64:
      return many ? r->AddInt64(&m, f, 1772393400000 + n) : r->SetInt64(&m, f, 1772393400000 + n);
    case FieldDescriptor::CPPTYPE_UINT32: return many ? r->AddUInt32(&m, f, 300 + n) : r->SetUInt32(&m, f, 300 + n);
    case FieldDescriptor::CPPTYPE_UINT64:
      return many ? r->AddUInt64(&m, f, (1ULL << 40) + n) : r->SetUInt64(&m, f, (1ULL << 40) + n);
    case FieldDescriptor::CPPTYPE_BOOL: return many ? r->AddBool(&m, f, true) : r->SetBool(&m, f, true);
    case FieldDescriptor::CPPTYPE_DOUBLE: return many ? r->AddDouble(&m, f, 0.5 + n) : r->SetDouble(&m, f, 0.5 + n);
    case FieldDescriptor::CPPTYPE_FLOAT: return many ? r->AddFloat(&m, f, 0.5F + n) : r->SetFloat(&m, f, 0.5F + n);
    case FieldDescriptor::CPPTYPE_STRING: return many ? r->AddString(&m, f, text) : r->SetString(&m, f, text);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* last = f->enum_type()->value(f->enum_type()->value_count() - 1);
      return many ? r->AddEnum(&m, f, last) : r->SetEnum(&m, f, last);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return fill(many ? *r->AddMessage(&m, f) : *r->MutableMessage(&m, f), suffix);
  }
}

void fill(Message& m, const std::string& suffix) {
  const auto& type = *m.GetDescriptor();
  for (int i = 0; i != type.field_count(); ++i) {
    const auto& field = *type.field(i);
    const auto* choice = field.real_containing_oneof();
    if (choice && m.GetReflection()->HasOneof(m, choice)) continue;
    put(m, field, suffix + " ü");
    if (field.is_repeated()) put(m, field, suffix + " 2");
  }
}

usher::v1::StreamEvent sample(const event_type& type) {
  usher::v1::StreamEvent out;
  auto& kind = *out.GetReflection()->MutableMessage(&out, type.payload);
  fill(*kind.GetReflection()->MutableMessage(&kind, type.event), {});
  auto& stream = *out.mutable_stream();
  usher::v1::Kind number{};
  std::string upper = type.payload->name();
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  REQUIRE(usher::v1::Kind_Parse(upper, &number));
  stream.set_kind(number);
  stream.set_group("the group");
  stream.set_name("the name");
  out.set_version(3);
  out.set_previous_index(4711);
  out.set_deadline_ms(1772393400000);
  usher::upcast(out);  // without the fields that only earlier schemas had
  out.set_schema(usher::schema_of(out));
  return out;
}

/// The names of all fields that are set, at any depth.
void collect(const Message& m, std::set<std::string>& names) {
  const auto& r = *m.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  r.ListFields(m, &fields);
  for (const auto* f : fields) {
    names.insert(f->full_name());
    if (f->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!f->is_repeated()) collect(r.GetMessage(m, f), names);
    for (int i = 0; f->is_repeated() && i != r.FieldSize(m, f); ++i) collect(r.GetRepeatedMessage(m, f, i), names);
  }
}

fs::path golden(const event_type& type, int number) {
  return folder() / (type.name() + (number == 1 ? "" : '.' + std::to_string(number)) + ".bin");
}

/// The fields of the event that no golden file has. `number` becomes that of the next file.
std::set<std::string> uncovered(const event_type& type, int& number) {
  std::set<std::string> missing;
  collect(sample(type), missing);
  for (number = 1; fs::exists(golden(type, number)); ++number) {
    usher::v1::StreamEvent event;
    REQUIRE(event.ParseFromString(content(golden(type, number))));
    std::set<std::string> covered;
    collect(event, covered);
    for (const auto& name : covered) missing.erase(name);
  }
  return missing;
}

void write_golden(const event_type& type, int number) {
  const auto event = sample(type);
  auto path = golden(type, number);
  std::ofstream{path, std::ios::binary} << event.SerializeAsString();
  std::ofstream{path.replace_extension(".txt"), std::ios::binary} << text_of(event);
}

}  // namespace

TEST_CASE("every field of every event has been kept as it was once written") {
  const bool write = std::getenv("USHER_WRITE_GOLDEN") != nullptr;
  for (const auto& type : event_types()) {
    int number = 0;
    auto missing = uncovered(type, number);
    if (write && (!missing.empty() || number == 1)) {
      write_golden(type, number);
      missing = uncovered(type, number);
    }
    INFO(type.name() << ": USHER_WRITE_GOLDEN=1 makes the file");
    CHECK(number > 1);
    CHECK(missing == std::set<std::string>{});
  }
}

TEST_CASE("every event that was ever written still means the same") {
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator{folder()}) {
    auto path = entry.path();
    if (path.extension() != ".bin") continue;
    ++files;
    INFO(path.filename());
    usher::v1::StreamEvent event;
    REQUIRE(event.ParseFromString(content(path)));
    CHECK(text_of(event) == content(path.replace_extension(".txt")));
    CHECK_FALSE(usher::unreadable(event));
    usher::upcast(event);
    CHECK(event.schema() == usher::schema_of(event));
    auto now = path;
    now.replace_extension(".now.txt");
    CHECK(text_of(event) == content(fs::exists(now) ? now : path));
  }
  CHECK(files >= event_types().size());
}

TEST_CASE("every schema that an event ever had is kept") {
  for (const auto& type : event_types()) {
    std::set<std::uint32_t> kept;
    for (int number = 1; fs::exists(golden(type, number)); ++number) {
      usher::v1::StreamEvent event;
      REQUIRE(event.ParseFromString(content(golden(type, number))));
      kept.insert(event.schema());
    }
    INFO(type.name());
    REQUIRE_FALSE(kept.empty());
    CHECK(*kept.begin() == 1);
    CHECK(*kept.rbegin() == usher::schema_of(sample(type)));
    CHECK(kept.size() == *kept.rbegin());
  }
}

TEST_CASE("an event of the stream's kind is in the stream's payload") {
  for (const auto& type : event_types()) {
    INFO(type.name());
    usher::v1::StreamEvent event;
    REQUIRE(event.ParseFromString(content(golden(type, 1))));
    CHECK(event.GetReflection()->HasField(event, type.payload));
    const auto& kind = event.GetReflection()->GetMessage(event, type.payload);
    CHECK(kind.GetReflection()->HasField(kind, type.event));
  }
}
