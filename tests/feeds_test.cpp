// What watchers of queues, seats and reservations are told. Ticks by hand, a virtual clock, and connections that only record.

#include <catch2/catch.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/presence.hpp"
#include "events/json.hpp"
#include "http/feeds.hpp"
#include "tests/support.hpp"

namespace usher {
namespace {

namespace json = boost::json;
using http::feeds;
using http::role;

const std::string hall = "shw_aaaaaaaaaaaaaaaa";
const std::string rsv = "rsv_aaaaaaaaaaaaaaaa_0000000000000001";
const std::string seats_channel = "seats:" + hall;

struct virtual_clock final : wall_clock {
  std::int64_t now_ms = 1'000'000;
  [[nodiscard]] time_point now() const override { return from_ms(now_ms); }
};

struct recorder final : http::connection {
  explicit recorder(std::uint64_t number) : number_(number) {}
  void send(std::shared_ptr<const std::string> text) override {
    (text->starts_with(R"({"op":"room")") ? rooms : sent).push_back(std::move(text));
  }
  void close(std::uint16_t code, std::string why) override {
    if (closed_with == 0) closed_with = code, reason = std::move(why);
  }
  [[nodiscard]] std::optional<http::principal> caller() const override { return who; }
  void identify(http::principal named) override { who = std::move(named); }
  [[nodiscard]] std::uint64_t id() const override { return number_; }

  /// The messages since the last call.
  std::vector<json::object> take() {
    std::vector<json::object> out;
    for (const auto& text : std::exchange(sent, {})) out.push_back(json::parse(*text).as_object());
    return out;
  }
  json::object take_one() {
    const auto all = take();
    REQUIRE(all.size() == 1);
    return all.front();
  }

  std::vector<std::shared_ptr<const std::string>> sent;   // what is for this one
  std::vector<std::shared_ptr<const std::string>> rooms;  // what is for everybody in the queue
  std::optional<http::principal> who;
  std::uint16_t closed_with = 0;
  std::string reason;

 private:
  std::uint64_t number_;
};

v1::ShowPlan small_hall() {
  v1::ShowPlan plan;
  plan.set_title("Evening");
  plan.set_currency("EUR");
  auto& tier = *plan.add_tiers();
  tier.set_name("all");
  tier.set_price(900);
  auto& stalls = *plan.add_sections();
  stalls.set_name("stalls");
  stalls.set_kind("seated");
  auto& row = *stalls.add_rows();
  row.set_name("A");
  row.set_seats(6);
  row.set_tier("all");
  auto& floor = *plan.add_sections();
  floor.set_name("floor");
  floor.set_kind("generalAdmission");
  floor.set_stock(5);
  floor.set_tier("all");
  return plan;
}

std::unique_ptr<http::tokens> open_tokens(const std::string& directory) {
  http::auth_settings settings;
  settings.secret_file = directory + "/secret";
  return http::tokens::open(settings).value();
}

// A node's read models with one show, and the feeds beside them.
struct evening {
  tests::temp_dir directory;
  std::unique_ptr<store::database> db = store::database::open(directory.path + "/db").value();
  projections::runner views;
  std::unique_ptr<http::tokens> access = open_tokens(directory.path);
  virtual_clock clock;
  boost::asio::io_context io;
  cluster::presence presence{views.views().queues, clock, [this](const actors::request_ptr& r) { orders.push_back(r); }};
  std::vector<actors::request_ptr> orders;  // of the presence, to the queues
  feeds under_test{views, *access, clock, presence, io};
  std::map<std::string, std::uint64_t> versions, heads;
  std::map<std::uint32_t, std::uint64_t> ends;
  std::uint64_t connections = 0;

  evening() {
    REQUIRE(views.start(*db).has_value());
    views.on_applied([this](const v1::Record& record) { under_test.applied(record); });
    auto opened = event(show_ref(hall));
    *opened.mutable_show()->mutable_opened()->mutable_plan() = small_hall();
    write({opened});
  }

  v1::StreamEvent event(v1::EntityRef of) {
    v1::StreamEvent e;
    e.set_version(++versions[key_of(of)]);
    e.set_schema(1);
    *e.mutable_stream() = std::move(of);
    return e;
  }
  void write(std::vector<v1::StreamEvent> events) {
    auto record = std::make_shared<v1::Record>();
    record->set_partition(partition_of(events.front().stream().group()));
    record->set_index(++ends[record->partition()]);
    record->set_at_ms(clock.now_ms);
    for (auto& e : events) {
      e.set_previous_index(std::exchange(heads[key_of(e.stream())], record->index()));
      *record->add_events() = std::move(e);
    }
    REQUIRE(db->append_synced({{{record->partition(), record->index()}, record->SerializeAsString()}}).has_value());
    REQUIRE(views.offer({record}).has_value());
  }

  void hold(const std::string& seat) {
    auto e = event(seat_ref(hall, seat));
    e.mutable_seat()->mutable_held();
    write({e});
  }
  void release(const std::string& seat) {
    auto e = event(seat_ref(hall, seat));
    e.mutable_seat()->mutable_released();
    write({e});
  }
  void place(const std::string& user) {
    auto e = event(reservation_ref(rsv));
    auto& placed = *e.mutable_reservation()->mutable_placed();
    placed.set_user_id(user);
    placed.add_seats()->set_seat("A-1");
    placed.set_amount(900);
    placed.set_currency("EUR");
    placed.set_at_ms(clock.now_ms);
    placed.set_hold_expires_at_ms(clock.now_ms + 300'000);
    write({e});
  }
  void expire_reservation() {
    auto e = event(reservation_ref(rsv));
    e.mutable_reservation()->mutable_expired()->set_at_ms(clock.now_ms);
    write({e});
  }
  std::string join(std::uint64_t number, const std::string& user) {
    auto e = event(queue_ref(hall));
    auto& joined = *e.mutable_queue()->mutable_joined();
    joined.set_user_id(user);
    joined.set_ticket_id(make_ticket_id(hall, number));
    joined.set_number(number);
    joined.set_at_ms(clock.now_ms);
    write({e});
    return "queue:" + make_ticket_id(hall, number);
  }
  void leave(std::uint64_t number) {
    auto e = event(queue_ref(hall));
    e.mutable_queue()->mutable_left()->set_number(number);
    write({e});
  }
  void admit(std::uint64_t through, std::uint32_t count) {
    auto e = event(queue_ref(hall));
    auto& admitted = *e.mutable_queue()->mutable_admitted();
    admitted.set_through(through);
    admitted.set_count(count);
    admitted.set_at_ms(clock.now_ms);
    admitted.set_expires_at_ms(clock.now_ms + 300'000);
    admitted.set_window_started_at_ms(clock.now_ms);
    admitted.set_admitted_in_window(count);
    write({e});
  }

  /// Valid for a minute.
  std::string token_of(const std::string& user) const {
    http::claims said;
    said.user_id = user;
    said.expires_at = from_ms(clock.now_ms + 60'000);
    return access->issue(said);
  }
  std::shared_ptr<recorder> connect() {
    auto made = std::make_shared<recorder>(++connections);
    under_test.opened(made);
    return made;
  }
  std::shared_ptr<recorder> connect(const std::string& user, role as = role::user) {
    auto made = connect();
    made->identify({user, as, from_ms(clock.now_ms + 86'400'000)});
    return made;
  }
  void say(const std::shared_ptr<recorder>& from, const std::string& text) { under_test.message(from, text); }
  void subscribe(const std::shared_ptr<recorder>& from, const std::string& channel) {
    say(from, R"({"op":"subscribe","channel":")" + channel + "\"}");
  }
  void subscribe(const std::shared_ptr<recorder>& from, const std::string& channel, std::uint64_t since) {
    say(from, R"({"op":"subscribe","channel":")" + channel + R"(","since":)" + std::to_string(since) + "}");
  }
  void ticks(int n) {
    for (int i = 0; i < n; ++i) under_test.tick();
  }
};

std::string text_of(const json::value& v) { return json::serialize(v); }
const json::object& data_of(const json::object& message) { return message.at("data").as_object(); }
std::string word(const json::object& o, std::string_view name) { return std::string{o.at(name).as_string()}; }
std::int64_t number(const json::object& o, std::string_view name) { return o.at(name).to_number<std::int64_t>(); }

TEST_CASE("who watches the seats gets the whole picture, then what changed") {
  evening e;
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, seats_channel);
  const auto whole = ann->take_one();
  CHECK(word(whole, "op") == "snapshot");
  CHECK(word(whole, "channel") == seats_channel);
  CHECK(word(data_of(whole), "states") == "AAA=");
  CHECK(number(data_of(whole).at("counts").as_object(), "available") == 11);

  e.hold("A-1");
  e.hold("A-3");
  CHECK(ann->take().empty());
  e.ticks(1);
  const auto change = ann->take_one();
  CHECK(word(change, "op") == "delta");
  CHECK(change.at("pv") == whole.at("v"));
  CHECK(number(change, "v") == number(whole, "v") + 2);
  CHECK(text_of(data_of(change).at("changes")) == "[[0,1],[2,1]]");
  CHECK(number(data_of(change).at("counts").as_object(), "held") == 2);
  e.ticks(5);
  CHECK(ann->take().empty());
}

TEST_CASE("watchers of the same seats at the same version share one text") {
  evening e;
  const auto ann = e.connect("usr_ann");
  const auto bob = e.connect("usr_bob");
  e.subscribe(ann, seats_channel);
  e.subscribe(bob, seats_channel);
  REQUIRE(ann->sent.size() == 1);
  CHECK(ann->sent == bob->sent);
  e.hold("A-2");
  e.ticks(1);
  REQUIRE(ann->sent.size() == 2);
  CHECK(ann->sent == bob->sent);
}

TEST_CASE("each delta of the seats begins where the reader stands, also where two readers stand apart") {
  evening e;
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, seats_channel);
  const auto first = number(ann->take_one(), "v");
  e.hold("A-1");
  const auto bob = e.connect("usr_bob");
  e.subscribe(bob, seats_channel);
  const auto second = number(bob->take_one(), "v");
  e.hold("A-2");
  e.ticks(1);
  const auto to_ann = ann->take_one();
  const auto to_bob = bob->take_one();
  CHECK(number(to_ann, "pv") == first);
  CHECK(number(to_bob, "pv") == second);
  CHECK(to_ann.at("v") == to_bob.at("v"));
  CHECK(text_of(data_of(to_ann).at("changes")) == "[[0,1],[1,1]]");
  CHECK(text_of(data_of(to_bob).at("changes")) == "[[1,1]]");
}

TEST_CASE("who comes back with a version gets only what was missed") {
  evening e;
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, seats_channel);
  const auto v = static_cast<std::uint64_t>(number(ann->take_one(), "v"));
  e.hold("A-1");
  const auto again = e.connect("usr_ann");

  SECTION("the changes since") {
    e.subscribe(again, seats_channel, v);
    const auto missed = again->take_one();
    CHECK(word(missed, "op") == "delta");
    CHECK(number(missed, "pv") == static_cast<std::int64_t>(v));
    CHECK(text_of(data_of(missed).at("changes")) == "[[0,1]]");
  }
  SECTION("nothing where nothing was missed, and then what follows") {
    e.subscribe(again, seats_channel, v + 1);
    CHECK(again->take().empty());
    e.release("A-1");
    e.ticks(1);
    CHECK(number(again->take_one(), "pv") == static_cast<std::int64_t>(v + 1));
  }
  SECTION("the whole picture where the version is not known") {
    e.subscribe(again, seats_channel, v + 1000);
    CHECK(word(again->take_one(), "op") == "snapshot");
  }
}

TEST_CASE("who waits is told the exact place, and again when somebody in front leaves") {
  evening e;
  e.join(1, "usr_bob");
  const auto channel = e.join(2, "usr_ann");
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, channel);
  const auto whole = ann->take_one();
  CHECK(word(whole, "op") == "snapshot");
  CHECK(word(data_of(whole), "status") == "WAITING");
  CHECK(number(data_of(whole), "position") == 2);
  CHECK(number(data_of(whole), "ahead") == 1);
  CHECK(number(data_of(whole), "total") == 2);
  CHECK(number(data_of(whole), "admittedPerWindow") == 250);
  CHECK(data_of(whole).at("eta").as_object().contains("p90"));
  CHECK(data_of(whole).at("paused") == false);
  CHECK_FALSE(data_of(whole).contains("admission"));

  e.ticks(6);
  CHECK(ann->take().empty());
  e.leave(1);
  e.ticks(1);
  const auto moved = ann->take_one();
  CHECK(word(moved, "op") == "delta");
  CHECK(moved.at("pv") == whole.at("v"));
  CHECK(number(moved, "v") > number(whole, "v"));
  CHECK(number(data_of(moved), "position") == 1);
}

TEST_CASE("however fast a queue moves, a watcher gets at most four messages a second and the last one is right") {
  evening e;
  for (std::uint64_t n = 1; n <= 10; ++n) e.join(n, "usr_" + std::to_string(n));
  const auto channel = e.join(11, "usr_ann");
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, channel);
  ann->take();
  e.ticks(10);
  for (std::uint64_t n = 1; n <= 10; ++n) {
    e.leave(n);
    e.ticks(1);
  }
  CHECK(ann->sent.size() >= 3);
  CHECK(ann->sent.size() <= 4);
  e.ticks(3);
  const auto last = ann->take().back();
  CHECK(number(data_of(last), "position") == 1);
  CHECK(number(data_of(last), "total") == 1);
}

TEST_CASE("how many wait is told to all as one text, once a second, and nobody's own place again") {
  evening e;
  std::vector<std::shared_ptr<recorder>> crowd;
  for (std::uint64_t n = 1; n <= 3; ++n) {
    const auto user = "usr_" + std::to_string(n);
    const auto channel = e.join(n, user);
    crowd.push_back(e.connect(user));
    e.subscribe(crowd.back(), channel);
    crowd.back()->take();
  }
  e.ticks(20);
  for (const auto& one : crowd) one->rooms.clear();
  for (std::uint64_t n = 4; n <= 33; ++n) {
    e.join(n, "usr_" + std::to_string(n));
    e.ticks(1);
  }
  e.ticks(10);
  for (const auto& one : crowd) {
    CHECK(one->take().empty());
    CHECK(one->rooms.size() >= 3);
    CHECK(one->rooms.size() <= 4);
    CHECK(one->rooms == crowd.front()->rooms);
  }
  const auto last = json::parse(*crowd.front()->rooms.back()).as_object();
  CHECK(word(last, "show") == hall);
  CHECK(number(data_of(last), "total") == 33);
  CHECK(data_of(last).at("paused") == false);
  CHECK(data_of(last).at("end").is_null());
}

TEST_CASE("who watches many places of one queue hears once what is the same for all of them") {
  evening e;
  const auto staff = e.connect("usr_staff", role::service);
  for (std::uint64_t n = 1; n <= 60; ++n) e.subscribe(staff, e.join(n, "usr_" + std::to_string(n)));
  e.ticks(20);
  staff->rooms.clear();
  e.join(61, "usr_61");
  e.ticks(1);
  CHECK(staff->rooms.size() == 1);
}

TEST_CASE("who watches a place keeps it, and who is gone for longer than the grace is dropped") {
  evening e;
  const auto channel = e.join(1, "usr_ann");
  e.join(2, "usr_bob");
  e.presence.sweep();
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, channel);
  e.clock.now_ms += 301'000;
  e.presence.sweep();
  REQUIRE(e.orders.size() == 1);
  CHECK(e.orders[0]->command.queue().drop().numbers().size() == 1);
  CHECK(e.orders[0]->command.queue().drop().numbers(0) == 2);
  e.leave(2);
  e.under_test.closed(ann);
  e.clock.now_ms += 300'000;
  e.presence.sweep();
  CHECK(e.orders.size() == 1);
  e.clock.now_ms += 1'000;
  e.presence.sweep();
  REQUIRE(e.orders.size() == 2);
  CHECK(e.orders[1]->command.queue().drop().numbers(0) == 1);
}

TEST_CASE("a change right after the subscription is told within a second") {
  evening e;
  const auto channel = e.join(1, "usr_ann");
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, channel);
  ann->take();
  e.admit(1, 1);
  e.ticks(9);
  CHECK(word(data_of(ann->take_one()), "status") == "ADMITTED");
}

TEST_CASE("who is admitted gets the right to reserve, and hears when it ends though nothing happens") {
  evening e;
  const auto channel = e.join(1, "usr_ann");
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, channel);
  ann->take();
  e.ticks(3);
  e.admit(1, 1);
  e.ticks(1);
  const auto inside = ann->take_one();
  CHECK(word(data_of(inside), "status") == "ADMITTED");
  CHECK(number(data_of(inside), "position") == 0);
  const auto& admission = data_of(inside).at("admission").as_object();
  CHECK(word(admission, "expiresAt") == to_rfc3339(from_ms(e.clock.now_ms + 300'000)));
  const auto right = e.access->verify(std::string{admission.at("token").as_string()}, http::purpose::admission, e.clock.now());
  REQUIRE(right.has_value());
  CHECK(right->user_id == "usr_ann");
  CHECK(right->show_id == hall);
  CHECK("queue:" + right->ticket_id == channel);
  CHECK(right->expires_at == from_ms(e.clock.now_ms + 300'000));

  e.ticks(10);
  CHECK(ann->take().empty());
  e.clock.now_ms += 300'000;
  e.ticks(3);
  const auto ended = ann->take_one();
  CHECK(word(data_of(ended), "status") == "EXPIRED");
  CHECK(ended.at("pv") == inside.at("v"));
  CHECK_FALSE(data_of(ended).contains("admission"));
  e.ticks(10);
  CHECK(ann->take().empty());
}

TEST_CASE("the owner of a reservation sees it end") {
  evening e;
  e.place("usr_ann");
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, "reservation:" + rsv);
  const auto whole = ann->take_one();
  CHECK(word(data_of(whole), "status") == "PENDING");
  CHECK(text_of(data_of(whole).at("seats")) == R"(["A-1"])");
  CHECK(word(data_of(whole), "holdExpiresAt") == to_rfc3339(from_ms(e.clock.now_ms + 300'000)));
  CHECK(number(whole, "v") == 1);
  e.expire_reservation();
  e.ticks(1);
  const auto ended = ann->take_one();
  CHECK(word(data_of(ended), "status") == "EXPIRED");
  CHECK(number(ended, "pv") == 1);
  CHECK(number(ended, "v") == 2);
  e.subscribe(ann, "reservation:" + rsv, 2);
  CHECK(ann->take().empty());
}

TEST_CASE("nobody watches what is somebody else's, but the staff does") {
  evening e;
  e.place("usr_ann");
  const auto ticket = e.join(1, "usr_ann");
  for (const auto& channel : {ticket, "reservation:" + rsv}) {
    const auto bob = e.connect("usr_bob");
    e.subscribe(bob, channel);
    CHECK(text_of(bob->take_one()) == R"({"op":"error","channel":")" + channel + R"(","code":"forbidden"})");
    CHECK(bob->closed_with == 0);
    for (const auto as : {role::service, role::operator_}) {
      const auto staff = e.connect("usr_staff", as);
      e.subscribe(staff, channel);
      CHECK(word(staff->take_one(), "op") == "snapshot");
    }
    e.expire_reservation();
    e.leave(1);
    e.ticks(3);
    CHECK(bob->take().empty());
  }
}

TEST_CASE("an operator sees a sale go, at most once a second, and nobody else does") {
  evening e;
  const auto boss = e.connect("usr_boss", role::operator_);
  e.subscribe(boss, "ops:" + hall);
  CHECK(number(data_of(boss->take_one()), "joined") == 0);
  e.ticks(10);
  e.join(1, "usr_ann");
  e.join(2, "usr_bob");
  e.ticks(1);
  const auto seen = boss->take_one();
  CHECK(word(seen, "channel") == "ops:" + hall);
  CHECK(number(data_of(seen), "joined") == 2);
  CHECK(number(data_of(seen), "waiting") == 2);
  e.admit(1, 1);
  e.place("usr_ann");
  e.ticks(9);
  CHECK(boss->take().empty());
  e.ticks(1);
  const auto later = boss->take_one();
  CHECK(number(data_of(later), "inside") == 1);
  CHECK(number(data_of(later), "held") == 1);
  CHECK(number(later, "v") > number(seen, "v"));

  for (const auto as : {role::user, role::service}) {
    const auto other = e.connect("usr_other", as);
    e.subscribe(other, "ops:" + hall);
    CHECK(word(other->take_one(), "code") == "forbidden");
  }
}

TEST_CASE("what does not exist is not found") {
  evening e;
  const auto ann = e.connect("usr_ann");
  const auto ticket = e.join(1, "usr_ann");
  e.subscribe(ann, ticket);
  ann->take();
  const auto alike = ticket.substr(0, ticket.size() - 1) + "01";  // the same number, written otherwise
  for (const std::string channel : {"seats:shw_none", "queue:qt_none", "reservation:rsv_none", alike.c_str()}) {
    e.subscribe(ann, channel);
    CHECK(word(ann->take_one(), "code") == "not-found");
  }
  CHECK(ann->closed_with == 0);
  e.under_test.overflowed(ann);
  e.ticks(1);
  CHECK(word(ann->take_one(), "channel") == ticket);
}

TEST_CASE("a browser says who it is in a message") {
  evening e;
  const auto token = e.token_of("usr_ann");
  const auto ann = e.connect();
  e.say(ann, R"({"op":"auth","token":")" + token + "\"}");
  CHECK(ann->closed_with == 0);
  e.subscribe(ann, seats_channel);
  CHECK(word(ann->take_one(), "op") == "snapshot");

  SECTION("and stays who it is") {
    const auto other = e.token_of("usr_bob");
    e.say(ann, R"({"op":"auth","token":")" + other + "\"}");
    CHECK(ann->closed_with == http::close_unauthenticated);
  }
  SECTION("until the token ends") {
    e.clock.now_ms += 60'000;
    e.subscribe(ann, seats_channel);
    CHECK(ann->closed_with == http::close_unauthenticated);
  }
}

TEST_CASE("who says nothing of themselves, or something false, may not watch") {
  evening e;
  const auto nobody = e.connect();
  e.subscribe(nobody, seats_channel);
  CHECK(nobody->closed_with == http::close_unauthenticated);
  const auto liar = e.connect();
  e.say(liar, R"({"op":"auth","token":"a.b.c"})");
  CHECK(liar->closed_with == http::close_unauthenticated);
}

TEST_CASE("a message that means nothing closes the connection") {
  evening e;
  for (const std::string text : {"", "[]", "{", R"({"op":"dance"})", R"({"op":1})", R"({"op":"ping","surprise":1})",
                                 R"({"op":"subscribe"})", R"({"op":"subscribe","channel":"seats:"})",
                                 R"({"op":"subscribe","channel":"weather:berlin"})",
                                 R"({"op":"subscribe","channel":"seats:shw_a","since":-1})"}) {
    const auto ann = e.connect("usr_ann");
    e.say(ann, text);
    CAPTURE(text);
    CHECK(ann->closed_with == http::close_bad_message);
  }
}

TEST_CASE("a ping is answered, also to who is not authenticated") {
  evening e;
  const auto anyone = e.connect();
  e.say(anyone, R"({"op":"ping"})");
  CHECK(text_of(anyone->take_one()) == R"({"op":"pong"})");
}

TEST_CASE("a connection watches 64 channels and not one more") {
  evening e;
  const auto staff = e.connect("usr_staff", role::service);
  for (std::uint64_t n = 1; n <= 64; ++n) e.subscribe(staff, e.join(n, "usr_" + std::to_string(n)));
  CHECK(staff->take().size() == 64);
  e.subscribe(staff, "queue:" + make_ticket_id(hall, 1));
  CHECK(staff->closed_with == 0);
  e.subscribe(staff, seats_channel);
  CHECK(staff->closed_with == http::close_bad_message);
}

TEST_CASE("who unsubscribes or hangs up hears no more") {
  evening e;
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, seats_channel);
  ann->take();
  SECTION("unsubscribed") { e.say(ann, R"({"op":"unsubscribe","channel":")" + seats_channel + "\"}"); }
  SECTION("hung up") { e.under_test.closed(ann); }
  SECTION("hung up while too slow") {
    e.under_test.overflowed(ann);
    e.under_test.closed(ann);
  }
  e.hold("A-1");
  e.ticks(3);
  CHECK(ann->take().empty());
  e.under_test.closed(ann);
  CHECK(ann.use_count() == 1);
}

TEST_CASE("a slow reader gets a fresh picture of all that it watches in place of what was dropped") {
  evening e;
  const auto ticket = e.join(1, "usr_ann");
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, seats_channel);
  e.subscribe(ann, ticket);
  ann->take();
  e.hold("A-1");
  e.under_test.overflowed(ann);
  CHECK(ann->take().empty());
  e.ticks(1);
  const auto fresh = ann->take();
  REQUIRE(fresh.size() == 2);
  CHECK(word(fresh[0], "op") == "snapshot");
  CHECK(word(data_of(fresh[0]), "states") == "AQA=");
  CHECK(word(fresh[1], "op") == "snapshot");
  e.ticks(6);
  CHECK(ann->take().empty());
  e.hold("A-2");
  e.ticks(1);
  CHECK(ann->take_one().at("pv") == fresh[0].at("v"));
}

TEST_CASE("a crowd of more than one slice is served to the last") {
  evening e;
  std::vector<std::shared_ptr<recorder>> crowd;
  for (int i = 0; i < 2500; ++i) {
    crowd.push_back(e.connect("usr_" + std::to_string(i)));
    e.subscribe(crowd.back(), seats_channel);
  }
  e.hold("A-1");
  e.ticks(1);
  for (const auto& one : crowd) REQUIRE(one->sent.size() == 2);
}

TEST_CASE("at the end everyone is told to come back, not all at once") {
  evening e;
  const auto ann = e.connect("usr_ann");
  const auto bob = e.connect("usr_bob");
  e.under_test.stop();
  CHECK(ann->closed_with == http::close_restarting);
  CHECK(bob->closed_with == http::close_restarting);
  CHECK(ann->reason.starts_with("retry-after-ms="));
  CHECK(ann->reason != bob->reason);
  CHECK(e.connect("usr_cat")->closed_with == http::close_restarting);
}

TEST_CASE("the timer ticks by itself until it is stopped") {
  evening e;
  const auto ann = e.connect("usr_ann");
  e.subscribe(ann, seats_channel);
  ann->take();
  e.hold("A-1");
  e.io.run_one();
  CHECK(word(ann->take_one(), "op") == "delta");
  e.under_test.stop();
  e.io.run();
}

}  // namespace
}  // namespace usher
