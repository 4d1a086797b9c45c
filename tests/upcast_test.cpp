// Events of other versions of Usher: older ones are brought to today's form, newer ones stop their stream and nothing else.

#include <catch2/catch.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "actors/entity.hpp"
#include "events/upcast.hpp"
#include "tests/client.hpp"
#include "tests/forged.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;

struct box_office : test_node {
  std::string director = token("op_director", http::role::operator_);

  /// Seats A-1 to A-4 at 1,000 each.
  std::string open() {
    const auto opened = client{*this}.post("/shows", R"({"title":"Evening","venue":"Hall","currency":"EUR","tiers":[{"name":"all","price":1000}],
        "sections":[{"name":"stalls","kind":"seated","rows":[{"name":"A","seats":4,"tier":"all"}]}]})", director);
    INFO(opened.body);
    REQUIRE(opened.status == 201);
    return opened.text("showId");
  }
  answer reserve(const std::string& user, const std::string& show, const std::string& seats) {
    return client{*this}.post("/reservations", R"({"showId":")" + show + R"(","seats":[)" + seats + "]}", token(user));
  }
  answer charge(const std::string& user) { return client{*this}.post("/balance/charge", R"({"amount":1000})", token(user)); }
  log_position forge(std::vector<v1::StreamEvent> events) { return tests::forge(directory(), to_ms(clock.now()), std::move(events)); }
};

/// The node's log while this lives.
struct listener {
  std::ostringstream heard;
  std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  listener() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_mt>(heard))); }
  ~listener() { spdlog::set_default_logger(before); }
};

std::size_t times(const std::string& what, const std::string& in) {
  std::size_t n = 0;
  for (auto at = in.find(what); at != std::string::npos; at = in.find(what, at + 1)) ++n;
  return n;
}

v1::StreamEvent of(v1::EntityRef stream) {
  v1::StreamEvent e;
  *e.mutable_stream() = std::move(stream);
  e.set_schema(1);
  return e;
}

/// With a payload of a kind that comes with some later version.
v1::StreamEvent from_the_future(v1::EntityRef stream) {
  auto e = of(std::move(stream));
  e.GetReflection()->MutableUnknownFields(&e)->AddLengthDelimited(77, "what this is, nobody here knows");
  return e;
}

v1::StreamEvent signed_up_in_the_clear(const std::string& user_id) {
  auto e = of(user_ref(user_id));
  auto& s = *e.mutable_user()->mutable_signed_up();
  s.set_name("Ann Old");
  s.set_email("ann@example.org");
  s.set_password_hash("$argon2id$v=19$x");
  s.set_at_ms(1'700'000'000'000);
  return e;
}

}  // namespace

TEST_CASE("what this version knows can be read, whatever its schema was") {
  auto e = of(user_ref("usr_ann"));
  e.mutable_user()->mutable_erased();
  CHECK(schema_of(e) == 1);
  CHECK_FALSE(unreadable(e));
  e = signed_up_in_the_clear("usr_ann");
  CHECK(schema_of(e) == 2);
  CHECK_FALSE(unreadable(e));
  e.set_schema(2);
  CHECK_FALSE(unreadable(e));
}

TEST_CASE("an event is unreadable without a payload, without a kind in it, or with a newer schema") {
  CHECK(unreadable(from_the_future(user_ref("usr_ann"))) == "it is of a type that this version of Usher doesn't know");
  auto e = of(wallet_ref("usr_ann"));
  e.mutable_wallet();
  CHECK(unreadable(e) == "it is of a type that this version of Usher doesn't know");
  e.mutable_wallet()->mutable_charged();
  CHECK_FALSE(unreadable(e));
  e.set_schema(2);
  CHECK(unreadable(e) == "it has schema 2 of its type, of which this version of Usher knows 1 at most");
}

TEST_CASE("a sign-up in the clear becomes one of whom nothing is known, and today's stays as it is") {
  auto e = signed_up_in_the_clear("usr_ann");
  upcast(e);
  CHECK(e.schema() == 2);
  const auto& s = e.user().signed_up();
  CHECK(s.name() + s.email() + s.password_hash() + s.sealed() == "");
  CHECK(s.at_ms() == 1'700'000'000'000);
  e.mutable_user()->mutable_signed_up()->set_sealed("a letter");
  const auto before = e.SerializeAsString();
  upcast(e);
  CHECK(e.SerializeAsString() == before);
}

TEST_CASE("what can't be read stays as it is, down to the bytes that nobody understands") {
  auto e = from_the_future(user_ref("usr_ann"));
  const auto before = e.SerializeAsString();
  upcast(e);
  CHECK(e.SerializeAsString() == before);
}

TEST_CASE("nobody is woken who is of a kind from the future") {
  CHECK_FALSE(actors::wake_command(static_cast<v1::Kind>(99)));
  CHECK_FALSE(actors::wake_command(v1::PROVIDER));
  CHECK(actors::wake_command(v1::RESERVATION));
}

TEST_CASE("a person whom an older version wrote down in the clear is there, and nobody is told more than the id") {
  box_office office;
  const auto ann = make_user_id("ann@example.org");
  office.stop();
  office.forge({signed_up_in_the_clear(ann)});
  for (int start = 0; start != 2; ++start) {
    office.start();
    client c{office};
    const auto seen = c.get("/users/" + ann, office.director);
    CHECK(seen.status == 200);
    CHECK(seen.body == R"({"userId":")" + ann + R"(","signedUpAt":"2023-11-14T22:13:20Z"})");
    CHECK(c.post("/auth/login", R"({"email":"ann@example.org","password":"correct horse"})", "").status == 401);
    CHECK(c.post("/users", R"({"name":"Ann","email":"ann@example.org"})", "").status == 409);
    CHECK(office.charge(ann).status == 200);
    office.stop();
  }
}

TEST_CASE("a seat with an event from the future refuses everybody and says where it stands, and all others are sold") {
  box_office office;
  const auto show = office.open();
  const auto other = office.open();
  office.stop();
  const auto at = office.forge({from_the_future(seat_ref(show, "A-1"))});
  for (int start = 0; start != 2; ++start) {
    office.start();
    const auto refused = office.reserve("usr_ann", show, "\"A-1\"");
    INFO(refused.body);
    CHECK(refused.status == 500);
    CHECK(refused.text("code") == "stream-unreadable");
    CHECK(refused.text("detail") == "seat/" + show + "/A-1 stands still: event 1 of it, in record " + std::to_string(at.partition) + "/" +
                                        std::to_string(at.index) + ", can't be read: it is of a type that this version of Usher doesn't know");
    // Whoever wants it with others gets none, and blocks none.
    CHECK(office.reserve("usr_bob", show, "\"A-2\",\"A-1\"").status == 500);
    CHECK(office.reserve("usr_cem", show, start == 0 ? "\"A-2\"" : "\"A-3\"").status == 201);
    CHECK(office.reserve("usr_dan", other, start == 0 ? "\"A-1\"" : "\"A-2\"").status == 201);
    office.stop();
  }
}

TEST_CASE("a wallet whose events are newer than this version stands still, and no money moves from it or to it") {
  box_office office;
  REQUIRE(office.charge("usr_ann").status == 200);
  office.stop();
  auto e = of(wallet_ref("usr_ann"));
  e.set_schema(2);
  e.mutable_wallet()->mutable_charged()->set_amount(1);
  e.mutable_wallet()->mutable_charged()->set_balance(1001);
  const auto at = office.forge({e});
  const auto end_before = [&] { return store::database::open_read_only(log_directory(office.directory())).value()->durable_end(at.partition); };
  const auto records = end_before();
  office.start();
  const auto refused = office.charge("usr_ann");
  CHECK(refused.status == 500);
  CHECK(refused.text("detail").find("wallet/usr_ann stands still: event 2 of it, in record " + std::to_string(at.partition) + "/" + std::to_string(at.index)) == 0);
  CHECK(client{office}.post("/balance/use", R"({"amount":1})", office.token("usr_ann")).status == 500);
  CHECK(office.charge("usr_bob").status == 200);
  office.stop();
  CHECK(end_before() == records);
}

TEST_CASE("a show that can't be read sells nothing, and the answer says why") {
  box_office office;
  const auto show = office.open();
  const auto other = office.open();
  office.stop();
  office.forge({from_the_future(show_ref(show))});
  office.start();
  const auto refused = office.reserve("usr_ann", show, "\"A-1\"");
  CHECK(refused.status == 500);
  CHECK(refused.text("code") == "stream-unreadable");
  CHECK(office.reserve("usr_ann", other, "\"A-1\"").status == 201);
}

TEST_CASE("a deadline of a stream that can't be read is asked for in peace, and complained of once") {
  box_office office;
  const auto show = office.open();
  const auto held = office.reserve("usr_ann", show, "\"A-1\"");
  REQUIRE(held.status == 201);
  office.stop();
  auto e = from_the_future(reservation_ref(held.text("reservationId")));
  e.set_deadline_ms(to_ms(office.clock.now()));
  auto strange = of(user_ref(show));  // of a kind from the future, that nobody can wake
  strange.mutable_stream()->set_kind(static_cast<v1::Kind>(99));
  strange.set_deadline_ms(to_ms(office.clock.now()));
  office.forge({e, strange});
  const listener node_log;
  office.start();
  for (int i = 0; i != 5; ++i) {
    office.clock.advance(1s);
    const auto gone = client{office}.ask({"DELETE", "/reservations/" + held.text("reservationId"), {}, office.token("usr_ann"), {}});
    CHECK(gone.status == 500);
  }
  // Another hold ends meanwhile as ever.
  const auto next = office.reserve("usr_bob", show, "\"A-2\"");
  REQUIRE(next.status == 201);
  office.clock.advance(1h);
  const auto ended = [&] {  // as the log has it: the read model of reservations is parked
    return client{office}.get("/audit/state/reservation/" + next.text("reservationId"), office.director).body.find("\"EXPIRED\"") != std::string::npos;
  };
  CHECK(eventually(ended));
  office.stop();
  CHECK(times("event=stream_unreadable", node_log.heard.str()) == 1);
}

TEST_CASE("the auditor says once of an event that it can't judge it") {
  box_office office;
  office.stop();
  const auto at = office.forge({from_the_future(wallet_ref("usr_ann"))});
  const listener node_log;
  office.start();
  const auto found = [&] { return client{office}.get("/metrics").body.find("usher_audit_faults{kind=\"event_unreadable\"} 1") != std::string::npos; };
  CHECK(eventually(found));
  office.stop();
  const auto said = "kind=event_unreadable position=" + std::to_string(at.partition) + "/" + std::to_string(at.index) + " entity=wallet ";
  CHECK(times(said, node_log.heard.str()) == 1);
}

}  // namespace usher::tests
