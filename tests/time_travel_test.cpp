// Any moment of the past, found quickly, is what folding the log from its beginning makes of it.

#include <catch2/catch.hpp>

#include <chrono>
#include <iostream>
#include <map>
#include <random>

#include "actors/chronicle.hpp"
#include "actors/history.hpp"
#include "events/json.hpp"
#include "events/words.hpp"
#include "projections/as_of.hpp"
#include "projections/runner.hpp"
#include "store/head.hpp"
#include "store/moment.hpp"
#include "store/snapshots.hpp"
#include "tests/log_maker.hpp"
#include "tests/support.hpp"

namespace usher::tests {
namespace {

using namespace std::chrono_literals;

/// The whole log in memory, to be folded the slow way.
struct open_book {
  explicit open_book(const store::database& db) {
    for (std::uint32_t p = 0; p != partition_count; ++p)
      db.scan(p, 1, [&](const store::record_ptr& record, std::string_view) {
          records[p].push_back(record);
          for (const auto& e : record->events()) streams[key_of(e.stream())].push_back({record, &e});
          return true;
        }).value();
    for (const auto& [key, events] : streams) keys.push_back(key);
  }

  struct written {
    store::record_ptr record;
    const v1::StreamEvent* event;
  };
  std::map<std::uint32_t, std::vector<store::record_ptr>> records;
  std::map<std::string, std::vector<written>> streams;
  std::vector<std::string> keys;

  [[nodiscard]] std::uint64_t index_at(std::uint32_t partition, std::int64_t at_ms) const {
    for (const auto& record : records.at(partition))
      if (record->at_ms() > at_ms) return record->index() - 1;
    return records.at(partition).size();
  }
  [[nodiscard]] v1::EntityRef first_seat(std::uint32_t partition) const {
    for (const auto& record : records.at(partition))
      for (const auto& e : record->events())
        if (e.has_seat()) return e.stream();
    throw std::logic_error("nobody wanted a seat");
  }
  [[nodiscard]] static std::string fold(const std::vector<written>& events, std::uint64_t upto) {
    const auto state = actors::make_entity(events.front().event->stream().kind());
    std::uint64_t version = 0;
    for (const auto& [record, event] : events) {
      if (record->index() > upto) break;
      state->evolve(*event);
      version = event->version();
    }
    return text_of(*state, version);
  }
  static std::string text_of(const actors::entity& state, std::uint64_t version) {
    v1::Snapshot s;
    state.save(s);
    s.set_version(version);
    std::string out;
    to_json(s, out);
    return out;
  }
};

struct a_log {
  temp_dir directory;
  std::unique_ptr<store::database> db = store::database::open(directory.path).value();
};

std::uint64_t below(std::mt19937_64& random, std::uint64_t n) { return random() % n; }

/// Some of the people and shows, many events each, a clock that is set back, and much that happens within one millisecond.
void write_story(store::database& db) {
  log_maker maker{db, {.shows = 3, .rows = 4, .seats = 10, .places = 60, .users = 24, .pace = 3ms, .snapshot_every = 4}};
  for (int i = 0; i != 4; ++i) {
    maker.make(2'500);
    maker.set_back(2s);
  }
  maker.make(2'500);
}

}  // namespace

TEST_CASE("at 10,000 random moments every entity is what a fold from its first event makes of it") {
  a_log log;
  write_story(*log.db);
  const open_book book{*log.db};
  std::mt19937_64 random{7};
  std::size_t with_snapshots = 0;
  for (int round = 0; round != 10'000; ++round) {
    const auto& events = book.streams.at(book.keys[below(random, book.keys.size())]);
    const auto& ref = events.front().event->stream();
    const auto partition = partition_of(ref.group());
    const auto& records = book.records.at(partition);
    store::moment when;
    const auto& any = *records[below(random, records.size())];
    if (round % 2 == 0) when.at_ms = any.at_ms() + static_cast<std::int64_t>(below(random, 3)) - 1;
    else when.index = below(random, records.size() + 2);
    const auto expected = round % 2 == 0 ? book.index_at(partition, when.at_ms) : std::min<std::uint64_t>(when.index, records.size());
    const auto index = store::index_at(*log.db, partition, when).value();
    const store::stream_head head{events.back().event->version(), events.back().record->index()};
    const auto past = actors::state_as_of(*log.db, head, ref, index).value();
    if (store::last_snapshot(*log.db, ref, index).value()) ++with_snapshots;
    INFO(key_of(ref) << " at " << index << ", round " << round);
    REQUIRE(index == expected);
    REQUIRE(open_book::text_of(*past.state, past.version) == open_book::fold(events, index));
  }
  CHECK(with_snapshots > 1'000);
}

TEST_CASE("any page of an entity's events is what stands in the log, and the pages together are all of them") {
  a_log log;
  write_story(*log.db);
  const open_book book{*log.db};
  std::mt19937_64 random{11};
  for (int round = 0; round != 2'000; ++round) {
    const auto& events = book.streams.at(book.keys[below(random, book.keys.size())]);
    const auto& ref = events.front().event->stream();
    const auto upto = round % 3 == 0 ? ~std::uint64_t{0} : 1 + below(random, events.back().record->index());
    const auto limit = 1 + below(random, 30);
    actors::stream_place from{1 + below(random, events.size() + 1), 0};
    std::vector<std::pair<std::uint64_t, std::uint64_t>> expected, found;  // version, index
    for (const auto& [record, event] : events)
      if (event->version() >= from.version && record->index() <= upto) expected.emplace_back(event->version(), record->index());
    for (std::optional<actors::stream_place> next = from; next;) {
      const auto before = found.size();
      next = actors::events_of(*log.db, {events.back().event->version(), events.back().record->index()}, ref, *next, limit, upto,
                               [&](const v1::Record& r, const v1::StreamEvent& e) { found.emplace_back(e.version(), r.index()); }).value();
      REQUIRE(found.size() - before <= limit);
    }
    INFO(key_of(ref) << " from " << from.version << " up to " << upto << ", " << limit << " at a time");
    REQUIRE(found == expected);
  }
}

TEST_CASE("where a stream stands is known without the index in memory, also what the rows don't know yet") {
  a_log log;
  std::string show;
  {
    log_maker maker{*log.db, {.shows = 2, .rows = 2, .seats = 5, .users = 10}};
    maker.make(1'000);
    show = maker.shows().front();
  }
  const auto check = [&] {
    const open_book book{*log.db};
    for (const auto& [key, events] : book.streams) {
      const auto head = store::stored_head(*log.db, events.front().event->stream()).value();
      INFO(key);
      REQUIRE(head.version == events.back().event->version());
      REQUIRE(head.index == events.back().record->index());
    }
  };
  check();
  v1::Record late;
  late.set_partition(partition_of(show));
  late.set_index(log.db->durable_end(late.partition()) + 1);
  auto& event = *late.add_events();
  *event.mutable_stream() = seat_ref(show, "late");
  event.set_version(1);
  event.mutable_seat()->mutable_held();
  log.db->append_synced({{{late.partition(), late.index()}, late.SerializeAsString()}}).value();
  check();
  CHECK(store::stored_head(*log.db, user_ref("usr_nobody")).value().version == 0);
}

TEST_CASE("nothing behind the moment that is asked for is looked at") {
  a_log log;
  log_maker maker{*log.db, {.shows = 2, .rows = 2, .seats = 5, .users = 10}};
  maker.make(500);
  const auto show = maker.shows().front();
  const auto partition = partition_of(show);
  const auto end = log.db->durable_end(partition);
  const auto seat = open_book{*log.db}.first_seat(partition);
  const auto head = store::stored_head(*log.db, seat).value();
  const auto show_head = store::stored_head(*log.db, show_ref(show)).value();
  // Whoever comes to this one stops: it names both, and nobody can decode it.
  log.db->append_synced({{{partition, end + 1}, "\xff " + seat.group() + ' ' + seat.name()}}).value();
  projections::seat_map knows_nothing;
  for (const auto upto : {end, end / 2}) {
    CHECK(actors::state_as_of(*log.db, head, seat, upto).has_value());
    CHECK(actors::events_of(*log.db, head, seat, {}, 1'000, upto, [](const auto&, const auto&) {}).has_value());
    CHECK(projections::seats_as_of(*log.db, knows_nothing, show_head, show, upto).has_value());
  }
  CHECK(projections::seats_as_of(*log.db, knows_nothing, show_head, show, end + 1).error().code == errc::corrupted);
}

TEST_CASE("seats are not told from a past in which an event can't be read or makes no sense") {
  const auto told_with = [](const v1::SeatEvent& what) {
    a_log log;
    log_maker maker{*log.db, {.shows = 2, .rows = 2, .seats = 5, .users = 10}};
    maker.make(500);
    const auto show = maker.shows().front();
    v1::Record late;
    late.set_partition(partition_of(show));
    late.set_index(log.db->durable_end(late.partition()) + 1);
    auto& event = *late.add_events();
    *event.mutable_stream() = seat_ref(show, "late");
    *event.mutable_seat() = what;
    log.db->append_synced({{{late.partition(), late.index()}, late.SerializeAsString()}}).value();
    const auto head = store::stored_head(*log.db, show_ref(show)).value();
    return projections::seats_as_of(*log.db, projections::seat_map{}, head, show, late.index()).error();
  };
  v1::SeatEvent event;
  const auto unknown = told_with(event);
  CHECK(unknown.code == errc::wrong_format);
  CHECK(unknown.detail.find("doesn't know") != std::string::npos);
  event.mutable_held();
  const auto senseless = told_with(event);
  CHECK(senseless.code == errc::corrupted);
  CHECK(senseless.detail.find("no such seat") != std::string::npos);
}

TEST_CASE("events that nobody knows are shown among the others, but no state is made of them, however they are found") {
  const auto seat = seat_ref("shw_aaaaaaaaaaaaaaaa", "A-1");
  const auto partition = partition_of(seat.group());
  for (const std::uint64_t apart : {1, 100}) {  // one is found by passing over what is between, the other by looking it up
    a_log log;
    for (std::uint64_t index = 1; index != 2 * apart + 1; ++index) {
      v1::Record record;
      record.set_partition(partition);
      record.set_index(index);
      auto& event = *record.add_events();
      *event.mutable_stream() = index % apart == 0 ? seat : seat_ref(seat.group(), "B-1");
      event.set_version(index / apart);
      if (index == 2 * apart) event.set_previous_index(apart);
      else event.mutable_seat()->mutable_held();
      log.db->append_synced({{{partition, index}, record.SerializeAsString()}}).value();
    }
    INFO(apart << " apart");
    const store::stream_head head{2, 2 * apart};
    CHECK(actors::state_as_of(*log.db, head, seat, 2 * apart - 1).has_value());
    CHECK(actors::state_as_of(*log.db, head, seat, 2 * apart).error().code == errc::wrong_format);
    std::vector<std::string> types;
    actors::events_of(*log.db, head, seat, {}, 10, 2 * apart, [&](const v1::Record&, const v1::StreamEvent& e) {
        types.push_back(type_of(e, "payload"));
      }).value();
    CHECK(types == std::vector<std::string>{"seat.held", "unknown"});
  }
}

TEST_CASE("a snapshot that can't be read is passed over for the one before") {
  a_log log;
  const auto wallet = wallet_ref("usr_ann");
  const auto keep = [&](std::uint64_t index, const v1::EntityRef& named) {
    v1::Snapshot s;
    *s.mutable_stream() = named;
    s.set_index(index);
    s.set_version(index);
    const auto numbers = [&] {
      std::string eight(7, '\0');
      eight += static_cast<char>(index);
      return eight + eight;
    }();
    log.db->put_derived(store::family::snapshots, {{key_of(wallet) + '\0' + numbers, s.SerializeAsString()}}).value();
  };
  keep(1, wallet);
  keep(2, wallet);
  keep(3, wallet_ref("usr_ben"));
  log.db->put_derived(store::family::snapshots, {{key_of(wallet) + '\0' + std::string(7, '\0') + '\4' + std::string(7, '\0') + '\4', "\xff"}}).value();
  CHECK(store::last_snapshot(*log.db, wallet, 9).value()->snapshot.index() == 2);
  CHECK(store::last_snapshot(*log.db, wallet, 1).value()->snapshot.index() == 1);
  CHECK(!store::last_snapshot(*log.db, wallet, 0).value());
}

TEST_CASE("a follower up to a moment gets what is recorded until then, and nothing later") {
  a_log log;
  const auto write = [&](std::uint64_t index, std::int64_t at_ms) {
    v1::Record record;
    record.set_partition(7);
    record.set_index(index);
    record.set_at_ms(at_ms);
    log.db->append_synced({{{7, index}, record.SerializeAsString()}}).value();
  };
  write(1, 100);
  actors::log_filter filter;
  filter.partition = 7;
  filter.until_ms = 200;
  actors::log_reader reader{*log.db, filter};
  std::vector<std::uint64_t> seen;
  const auto read = [&] {
    REQUIRE(reader.read([&](const v1::Record& r) { return seen.push_back(r.index()), true; }).has_value());
    return seen;
  };
  CHECK(read() == std::vector<std::uint64_t>{1});
  write(2, 200);
  CHECK(read() == std::vector<std::uint64_t>{1, 2});
  write(3, 201);
  write(4, 202);
  CHECK(read() == std::vector<std::uint64_t>{1, 2});
  CHECK(reader.total() == reader.done());
}

TEST_CASE("an event of a type that nobody knows is said to be in the way") {
  a_log log;
  const auto seat = seat_ref("shw_aaaaaaaaaaaaaaaa", "A-1");
  v1::Record record;
  record.set_partition(partition_of(seat.group()));
  record.set_index(1);
  auto& event = *record.add_events();
  *event.mutable_stream() = seat;
  event.set_version(1);
  log.db->append_synced({{{record.partition(), 1}, record.SerializeAsString()}}).value();
  const auto past = actors::state_as_of(*log.db, {1, 1}, seat, 1);
  REQUIRE(past.has_error());
  CHECK(past.error().detail.find("event 1 in record " + place_of({record.partition(), 1})) != std::string::npos);
}

TEST_CASE("a moment is a time, a position, a place or an index, of one partition") {
  const auto moment = [](std::string_view text) { return store::moment_from(text, 17); };
  CHECK(moment("2026-05-31T10:00:03.250Z")->at_ms == to_ms(*from_rfc3339("2026-05-31T10:00:03.250Z")));
  CHECK(moment("17/4711")->index == 4711);
  CHECK(moment("4711")->index == 4711);
  CHECK(moment(to_token({17, 12}))->index == 12);
  CHECK(!moment("18/4711"));
  CHECK(!moment(to_token({18, 12})));
  CHECK(!moment("yesterday"));
  CHECK(!moment(""));
}

TEST_CASE("nobody is told of what is yet to come") {
  a_log log;
  v1::Record record;
  record.set_partition(17);
  for (std::uint64_t i = 1; i != 4; ++i) {
    record.set_index(i);
    record.set_at_ms(static_cast<std::int64_t>(i) * 1'000);
    record.set_latest_ms(record.at_ms());
    log.db->append_synced({{{17, i}, record.SerializeAsString()}}).value();
  }
  const auto asked = [&](std::string_view text, std::int64_t now_ms) { return store::moment_in(*log.db, 17, text, from_ms(now_ms)); };
  for (const auto* text : {"0", "3", "17/3", "17.3", "1970-01-01T00:00:02Z", "1970-01-01T00:00:10Z"}) CHECK(asked(text, 10'000).has_value());
  CHECK(asked("1970-01-01T00:00:03Z", 1'000).has_value());  // the clock was set back: there is such a record
  CHECK(asked("17/2", 10'000)->index == 2);
  for (const auto* text : {"4", "17/4", "17.4", "18/1", "1795324105", "nonsense", "", "1970-01-01T00:00:10.001Z"}) {
    const auto refused = asked(text, 10'000);
    INFO(text);
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == errc::invalid_argument);
    CHECK(refused.error().detail.find("a place like 17/17") != std::string::npos);
  }
  CHECK(asked("18/1", 10'000).error().detail.starts_with("18/1 lies in another partition"));
  CHECK(asked("17/4", 10'000).error().detail.find("beyond the end of the log, which is 17/3") != std::string::npos);
  CHECK_FALSE(store::moment_in(*log.db, 18, "1970-01-01T00:00:02Z", from_ms(1'000)).has_value());  // nothing is there
  CHECK(store::moment_in(*log.db, 18, "1970-01-01T00:00:02Z", from_ms(2'000)).has_value());
}

TEST_CASE("the seats of a show at any moment are what all records up to it make of them") {
  a_log log;
  log_maker maker{*log.db, {.shows = 2, .rows = 10, .seats = 20, .places = 300, .users = 200, .pace = 20ms}};
  maker.make(36'000);
  projections::runner runner;
  REQUIRE(runner.start(*log.db).has_value());
  maker.make(10'000);  // which the read models have not seen
  const auto& now = runner.views().seat_map;
  std::mt19937_64 random{3};
  for (const auto& show : maker.shows()) {
    const auto partition = partition_of(show);
    const auto end = log.db->durable_end(partition);
    const bool is_busy = show == maker.shows().front();
    CHECK((end > 2 * projections::seat_map::checkpoint_every) == is_busy);
    CHECK(now.last_checkpoint(show, end).value().has_value() == is_busy);
    std::set<std::uint64_t> moments{0, 1, end, 4095, 4096, 4097, 8192, 8193, now.known_upto(partition), now.known_upto(partition) + 1};
    while (moments.size() < 100) moments.insert(below(random, end + 1));
    const auto head = store::stored_head(*log.db, show_ref(show)).value();
    projections::seat_map seats;
    log.db->scan(partition, 1, [&](const store::record_ptr& record, std::string_view) {
        seats.apply(*record);
        if (!moments.contains(record->index())) return true;
        const auto then = projections::seats_as_of(*log.db, now, head, show, record->index()).value();
        const auto expected = seats.find(show);
        INFO(show << " at " << record->index());
        REQUIRE(then.has_value() == (expected != nullptr));
        if (!then) return true;
        REQUIRE(then->seats->bits == expected->bits);
        REQUIRE(then->seats->counts == expected->counts);
        REQUIRE(then->seats->version == expected->version);
        return true;
      }).value();
  }
}

TEST_CASE("any moment of a long log is found at once") {
  const auto events = number_from_environment("USHER_TEST_EVENTS", 5'000);
  a_log log;
  log_maker maker{*log.db};
  maker.make(events);
  projections::runner runner;
  REQUIRE(runner.start(*log.db).has_value());
  std::mt19937_64 random{5};
  std::map<std::string, std::vector<double>> took_ms;
  const auto measure = [&](const std::string& what, const auto& work) {
    const auto began = std::chrono::steady_clock::now();
    work();
    took_ms[what].push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
  };
  // One that changed early and seldom since, where much else goes on.
  const auto quiet = open_book{*log.db}.first_seat(partition_of(maker.shows().front()));
  for (int round = 0; round != 40; ++round) {
    const auto show = maker.shows()[below(random, maker.shows().size())];
    const auto user = maker.users()[below(random, maker.users().size())];
    const auto when = store::moment{.at_ms = to_ms(maker.now()) - static_cast<std::int64_t>(below(random, static_cast<std::uint64_t>(events) * 2'000))};
    const auto look = [&](const v1::EntityRef& ref) {
      const auto head = store::stored_head(*log.db, ref).value();
      measure(std::string{word_of(ref.kind())}, [&] {
        const auto index = store::index_at(*log.db, partition_of(ref.group()), when).value();
        REQUIRE(actors::state_as_of(*log.db, head, ref, index).has_value());
      });
    };
    look(quiet);
    look(stock_ref(show, "floor"));
    look(wallet_ref(user));
    look(queue_ref(maker.shows().back()));
    const auto head = store::stored_head(*log.db, show_ref(show)).value();
    measure("seats", [&] {
      const auto index = store::index_at(*log.db, partition_of(show), when).value();
      REQUIRE(projections::seats_as_of(*log.db, runner.views().seat_map, head, show, index).has_value());
    });
  }
  for (auto& [what, all] : took_ms) {
    std::ranges::sort(all);
    std::cout << what << " of a log of " << maker.events() << " events as of any moment: median " << all[all.size() / 2] << " ms, worst " << all.back() << " ms\n";
    CHECK(all.back() < 300);
  }
}

}  // namespace usher::tests
