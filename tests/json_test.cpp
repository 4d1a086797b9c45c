// JSON in and out of messages, bodies by hand, and times.

#include "events/json.hpp"

#include <catch2/catch.hpp>

#include <google/protobuf/util/message_differencer.h>

#include <limits>
#include <random>

#include "events/record.pb.h"

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

/// Fills messages at random, down to a depth, with the values that are likely to break something.
class random_messages {
 public:
  explicit random_messages(std::uint32_t seed) : random_{seed} {}

  void fill(Message& m, int depth = 0) {
    const auto& type = *m.GetDescriptor();
    for (int i = 0; i != type.field_count(); ++i) {
      const auto& field = *type.field(i);
      if (field.real_containing_oneof() && m.GetReflection()->HasOneof(m, field.real_containing_oneof())) continue;
      if (field.is_map()) continue;
      const auto times = field.is_repeated() ? pick(4) : pick(4) == 0 ? 0 : 1;
      for (std::uint64_t n = 0; n != times; ++n) put(m, field, depth);
    }
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  template <class T>
  T number() {
    switch (pick(4)) {
      case 0: return std::numeric_limits<T>::max();
      case 1: return std::numeric_limits<T>::min();
      case 2: return static_cast<T>(pick(10));
      default: return static_cast<T>(random_());
    }
  }

  std::string text() {
    const std::vector<std::string> parts{"a", "\"", "\\", "\n", "\t", std::string(1, '\0'), "\x1f", "ü", "€", "🎟", "/", "</script>", "\x7f"};
    std::string out;
    for (auto n = pick(6); n != 0; --n) out += parts[pick(parts.size())];
    return out;
  }

  std::int64_t time_ms() { return static_cast<std::int64_t>(pick(253402300799999)) + 1; }

  void put(Message& m, const FieldDescriptor& field, int depth) {
    const auto* r = m.GetReflection();
    const auto* f = &field;
    const bool many = field.is_repeated();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT64: {
        const auto n = field.name().ends_with("at_ms") ? time_ms() : number<std::int64_t>();
        return many ? r->AddInt64(&m, f, n) : r->SetInt64(&m, f, n);
      }
      case FieldDescriptor::CPPTYPE_UINT64:
        return many ? r->AddUInt64(&m, f, number<std::uint64_t>()) : r->SetUInt64(&m, f, number<std::uint64_t>());
      case FieldDescriptor::CPPTYPE_UINT32:
        return many ? r->AddUInt32(&m, f, number<std::uint32_t>()) : r->SetUInt32(&m, f, number<std::uint32_t>());
      case FieldDescriptor::CPPTYPE_INT32:
        return many ? r->AddInt32(&m, f, number<std::int32_t>()) : r->SetInt32(&m, f, number<std::int32_t>());
      case FieldDescriptor::CPPTYPE_BOOL: return many ? r->AddBool(&m, f, pick(2) == 0) : r->SetBool(&m, f, pick(2) == 0);
      case FieldDescriptor::CPPTYPE_STRING: return many ? r->AddString(&m, f, text()) : r->SetString(&m, f, text());
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto& type = *field.enum_type();
        const auto* value = type.value(static_cast<int>(pick(static_cast<std::uint64_t>(type.value_count()))));
        return many ? r->AddEnum(&m, f, value) : r->SetEnum(&m, f, value);
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (depth < 8) fill(many ? *r->AddMessage(&m, f) : *r->MutableMessage(&m, f), depth + 1);
        return;
      default: FAIL("no values are made for " << field.full_name());
    }
  }

  std::mt19937_64 random_;
};

std::string written(const Message& m) {
  std::string out;
  usher::to_json(m, out);
  return out;
}

struct wrong {
  std::string text;
  std::string field;
  std::string detail;
};

template <class M>
void check_faults(const std::vector<wrong>& table) {
  for (const auto& [text, field, detail] : table) {
    INFO(text);
    M message;
    const auto faults = usher::from_json(std::string_view{text}, message);
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].field() == field);
    CHECK_THAT(faults[0].detail(), Catch::StartsWith(detail));
  }
}

std::string nested(std::size_t depth) { return "{\"x\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}"; }

}  // namespace

TEST_CASE("whatever is in a record comes back from its JSON") {
  for (std::uint32_t seed = 1; seed != 300; ++seed) {
    INFO("seed " << seed);
    usher::v1::Record before;
    random_messages{seed}.fill(before);
    usher::v1::Record after;
    const auto faults = usher::from_json(std::string_view{written(before)}, after);
    for (const auto& fault : faults) INFO(fault.field() << ": " << fault.detail());
    REQUIRE(faults.empty());
    std::string difference;
    MessageDifferencer differ;
    differ.ReportDifferencesToString(&difference);
    const bool same = differ.Compare(before, after);
    INFO(difference);
    REQUIRE(same);
  }
}

TEST_CASE("a map is an object in order of its keys, and comes back") {
  usher::v1::WalletState wallet;
  (*wallet.mutable_payments())["pay_b"] = usher::v1::REFUNDED;
  (*wallet.mutable_payments())["pay_a"] = usher::v1::DEBITED;
  const auto text = written(wallet);
  CHECK(text == R"({"balance":0,"payments":{"pay_a":"DEBITED","pay_b":"REFUNDED"},"authorizations":{},"held":0})");
  usher::v1::WalletState back;
  CHECK(usher::from_json(std::string_view{text}, back).empty());
  CHECK(MessageDifferencer::Equals(wallet, back));
}

TEST_CASE("zero and empty are written, what is absent is not") {
  CHECK(written(usher::v1::Tier{}) == R"({"name":"","price":0})");
  CHECK(written(usher::v1::ShowChange{}) == R"({"tiers":[]})");
  usher::v1::ShowChange change;
  change.set_title("");
  change.set_hold_seconds(0);
  CHECK(written(change) == R"({"title":"","holdSeconds":0,"tiers":[]})");
  CHECK(written(usher::v1::ShowCommand{}) == "{}");
}

TEST_CASE("a time in milliseconds is a time in RFC 3339 outside") {
  usher::v1::ReservationOutcome outcome;
  outcome.set_hold_expires_at_ms(1772393400000);
  CHECK_THAT(written(outcome), Catch::Contains(R"("holdExpiresAt":"2026-03-01T19:30:00Z")"));
  usher::v1::ShowPlan plan;
  CHECK(usher::from_json(std::string_view{R"({"startsAt":"2026-03-01T20:30:00.250+01:00"})"}, plan).empty());
  CHECK(plan.starts_at_ms() == 1772393400250);
}

TEST_CASE("64-bit numbers are numbers to the last digit") {
  usher::v1::WalletOutcome outcome;
  outcome.set_balance(std::numeric_limits<std::int64_t>::max());
  CHECK_THAT(written(outcome), Catch::Contains("\"balance\":9223372036854775807"));
}

TEST_CASE("a whole number may be written with a point or an exponent, and null is as good as nothing") {
  usher::v1::Tier tier;
  CHECK(usher::from_json(std::string_view{R"({"price":1.5e3,"name":null})"}, tier).empty());
  CHECK(tier.price() == 1500);
  CHECK(tier.name().empty());
}

TEST_CASE("each mistake in a show is named by its path") {
  check_faults<usher::v1::ShowPlan>({
      {R"({"foo":1})", "foo", "There is no such field."},
      {R"({"hold_seconds":1})", "hold_seconds", "There is no such field."},
      {R"({"startsAtMs":1})", "startsAtMs", "There is no such field."},
      {R"({"holdSecondsMs":1})", "holdSecondsMs", "There is no such field."},
      {R"({"":1})", "", "There is no such field."},
      {R"({"title":1})", "title", "Expected a string, not a number."},
      {R"({"holdSeconds":"300"})", "holdSeconds", "Expected a whole number, not a string."},
      {R"({"holdSeconds":1.5})", "holdSeconds", "Expected a whole number, not a fraction."},
      {R"({"holdSeconds":-1})", "holdSeconds", "The number must be from 0 to 4294967295."},
      {R"({"holdSeconds":4294967296})", "holdSeconds", "The number must be from 0 to 4294967295."},
      {R"({"holdSeconds":1e300})", "holdSeconds", "The number must be from 0 to 4294967295."},
      {R"({"tiers":[{"price":9223372036854775808}]})", "tiers[0].price", "The number must be from -9223372036854775808 to"},
      {R"({"tiers":[{"price":1e17}]})", "tiers[0].price", "The number must be from"},
      {R"({"tiers":{}})", "tiers", "Expected an array, not an object."},
      {R"({"tiers":[null]})", "tiers[0]", "Expected an object, not null."},
      {R"({"queue":[]})", "queue", "Expected an object, not an array."},
      {R"({"queue":{"admitPerWindow":true}})", "queue.admitPerWindow", "Expected a whole number, not a boolean."},
      {R"({"sections":[{},{"rows":[{"seats":3},{"seats":3,"foo":1}]}]})", "sections[1].rows[1].foo", "There is no such field."},
      {R"({"startsAt":1772393400000})", "startsAt", "Expected a time in RFC 3339, not a number."},
      {R"({"startsAt":"tomorrow"})", "startsAt", "Expected a time in RFC 3339, as in"},
  });
}

TEST_CASE("each mistake in enums, booleans, bytes, lists, maps and alternatives is named by its path") {
  check_faults<usher::v1::Record>({
      {R"({"role":"ROLE_KING"})", "role", "Expected one of ROLE_UNSPECIFIED, ROLE_USER, "},
      {R"({"role":1})", "role", "Expected a string, not a number."},
      {R"({"outcome":{"unchanged":"yes"}})", "outcome.unchanged", "Expected a boolean, not a string."},
      {R"({"previousHash":"?"})", "previousHash", "Expected bytes in base64."},
      {R"({"previousHash":"YR=="})", "previousHash", "Expected bytes in base64."},
      {R"({"outcome":{"reservation":{"seats":["A-1",2]}}})", "outcome.reservation.seats[1]", "Expected a string, not a number."},
      {R"({"outcome":{"empty":{},"user":{}}})", "outcome.user", "Only one of the alternatives may be there."},
  });
  check_faults<usher::v1::WalletState>({
      {R"({"payments":[]})", "payments", "Expected an object, not an array."},
      {R"({"payments":{"pay_a":"GONE"}})", "payments.pay_a", "Expected one of NO_VERDICT, "},
  });
}

TEST_CASE("malformed JSON is one fault with the byte that is to blame") {
  check_faults<usher::v1::ShowPlan>({
      {"", "", "Malformed JSON at byte 0: "},
      {"{\"title\":}", "", "Malformed JSON at byte 9: "},
      {"{\"title\":\"a\"} x", "", "Malformed JSON at byte 14: "},
      {"{\"title\":\"a\"", "", "Malformed JSON at byte 12: "},
      {"{\"title\":\"\xff\"}", "", "Malformed JSON at byte 10: "},
      {"{\"title\":\"\xed\xa0\x80\"}", "", "Malformed JSON at byte "},
      {"{\"title\":\"a\",}", "", "Malformed JSON at byte 13: "},
      {"{\"holdSeconds\":NaN}", "", "Malformed JSON at byte 15: "},
      {"[]", "", "Expected an object, not an array."},
      {"17", "", "Expected an object, not a number."},
      {nested(usher::json_depth_limit + 1), "", "Malformed JSON at byte "},
      {nested(usher::json_depth_limit), "x", "There is no such field."},
      {std::string(100000, '['), "", "Malformed JSON at byte "},
  });
}

TEST_CASE("several mistakes are told together, up to a limit") {
  usher::v1::ShowPlan plan;
  const auto two = usher::from_json(std::string_view{R"({"title":1,"venue":2})"}, plan);
  REQUIRE(two.size() == 2);
  CHECK(two[1].field() == "venue");
  std::string many = R"({"tiers":[)";
  for (int i = 0; i != 1000; ++i) many += i ? ",1" : "1";
  CHECK(usher::from_json(std::string_view{many + "]}"}, plan).size() == usher::fault_limit);
}

TEST_CASE("a long member name is cut in its fault, but never within a character") {
  usher::v1::ShowPlan plan;
  std::string name = "x";
  for (int i = 0; i != 100; ++i) name += "ü";
  const auto faults = usher::from_json(std::string_view{"{\"" + name + "\":1}"}, plan);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].field() == name.substr(0, 99));
}

TEST_CASE("a member can be taken out of a body before the rest is read") {
  boost::json::value body;
  REQUIRE_FALSE(usher::parse_json(R"({"title":"Gala","seatingPlan":{"zones":[]}})", body));
  auto& object = body.as_object();
  CHECK(object.at("seatingPlan").is_object());
  object.erase("seatingPlan");
  usher::v1::ShowPlan plan;
  CHECK(usher::from_json(object, plan).empty());
  CHECK(plan.title() == "Gala");
}

TEST_CASE("a value that was parsed replaces one that was there") {
  boost::json::value body;
  REQUIRE_FALSE(usher::parse_json("[1,2,3]", body));
  REQUIRE_FALSE(usher::parse_json("{\"a\":\"a string that is too long to be kept in place\"}", body));
  CHECK(body.at("a").is_string());
  CHECK(usher::parse_json("{", body));
}

TEST_CASE("a body written by hand has its commas and escapes") {
  std::string out;
  usher::json_writer w{out};
  w.begin_object().member("a", "x\"\\\n\r\t\x01ü").member("b", 1).member("c", true).key("d").begin_array();
  w.value(std::int64_t{-5}).value(1.5).value(nullptr).begin_object().end_object().begin_array().end_array().value("e");
  w.end_array().member("f", usher::from_ms(0)).key("g").raw("[0]").member("h", usher::v1::Tier{});
  w.member("i", std::numeric_limits<double>::infinity()).members(usher::v1::PlacesOutcome{}).end_object();
  CHECK(out ==
        "{\"a\":\"x\\\"\\\\\\n\\r\\t\\u0001ü\",\"b\":1,\"c\":true,\"d\":[-5,1.5,null,{},[],\"e\"],\"f\":\"1970-01-01T00:00:00Z\","
        "\"g\":[0],\"h\":{\"name\":\"\",\"price\":0},\"i\":null,\"section\":\"\",\"quantity\":0}");
}

TEST_CASE("a time is written without what is zero and read with any offset") {
  CHECK(usher::to_rfc3339(usher::from_ms(1772393400000)) == "2026-03-01T19:30:00Z");
  CHECK(usher::to_rfc3339(usher::from_ms(1772393400007)) == "2026-03-01T19:30:00.007Z");
  CHECK(usher::to_rfc3339(usher::from_ms(-1)) == "1969-12-31T23:59:59.999Z");
  CHECK(usher::to_rfc3339(usher::from_ms(std::numeric_limits<std::int64_t>::max())) == "9999-12-31T23:59:59.999Z");
  CHECK(usher::to_rfc3339(usher::from_ms(std::numeric_limits<std::int64_t>::min())) == "0000-01-01T00:00:00Z");
  const auto same = usher::from_ms(1772393400000);
  for (const std::string text : {"2026-03-01T19:30:00Z", "2026-03-01t19:30:00z", "2026-03-01 19:30:00Z", "2026-03-01T20:30:00+01:00",
                                 "2026-03-01T14:00:00-05:30", "2026-03-02T00:30:00.0009+05:00", "2026-03-01T19:29:60Z"}) {
    INFO(text);
    CHECK(usher::from_rfc3339(text) == same);
  }
  CHECK(usher::from_rfc3339("2024-02-29T00:00:00.12345Z") == usher::from_ms(1709164800123));
}

TEST_CASE("every millisecond comes back from its text") {
  std::mt19937_64 random{7};
  for (int i = 0; i != 2000; ++i) {
    const auto t = usher::from_ms(static_cast<std::int64_t>(random() % 315537897600000U) - 62135596800000);
    REQUIRE(usher::from_rfc3339(usher::to_rfc3339(t)) == t);
  }
}

TEST_CASE("what no calendar has is not a time") {
  for (const std::string text :
       {"", "2026", "2026-03-01", "2026-03-01T19:30Z", "2026-03-01T19:30:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T00:60:00Z", "2026-03-01T00:00:61Z",
        "2026-03-01T00:00:00.Z", "2026-03-01T00:00:00+1:00", "2026-03-01T00:00:00+24:00", "2026-03-01T00:00:00Zx", "+026-03-01T00:00:00Z",
        " 2026-03-01T00:00:00Z", "2026-3-1T00:00:00Z", "2026-03-01T00:00:00+0100"}) {
    INFO(text);
    CHECK_FALSE(usher::from_rfc3339(text));
  }
}
