#pragma once
// What the read models and the rows of the index must say, by the oracle.

#include <string>
#include <vector>

#include "tests/simulation/ledger.hpp"
#include "tests/simulation/story.hpp"

namespace usher::tests {

inline v1::Command open_command(const occasion& show) {
  v1::Command c;
  c.mutable_show()->mutable_open()->set_draw_secret(std::string(32, 's'));
  auto& plan = *c.mutable_show()->mutable_open()->mutable_plan();
  plan.mutable_queue()->set_admit_per_window(show.admitted_per_second);
  plan.mutable_queue()->set_window_seconds(1);
  plan.mutable_queue()->set_admission_seconds(show.admission_seconds);
  plan.set_title(show.name);
  plan.set_venue("Hall");
  plan.set_starts_at_ms(4'000'000'000'000);
  plan.set_currency("EUR");
  const auto add_tier = [&](const char* name, std::int64_t price) {
    plan.add_tiers()->set_name(name);
    plan.mutable_tiers()->rbegin()->set_price(price);
  };
  add_tier("seat", seat_price);
  add_tier("place", place_price);
  auto* hall = plan.add_sections();
  hall->set_name("hall");
  hall->set_kind("seated");
  auto* row = hall->add_rows();
  row->set_name("A");
  row->set_seats(show.seats);
  row->set_tier("seat");
  auto* floor = plan.add_sections();
  floor->set_name("floor");
  floor->set_kind("generalAdmission");
  floor->set_stock(show.places);
  floor->set_tier("place");
  return c;
}

/// Records that the rows of the index know of.
inline std::uint64_t index_rows_of(const store::database& db) {
  std::uint64_t sum = 0;
  db.each(store::family::streams, "c", {}, [&](std::string_view, std::string_view value) {
      std::uint64_t index = 0;
      for (const char c : value) index = (index << 8) | static_cast<unsigned char>(c);
      sum += index;
      return true;
    }).value();
  return sum;
}

inline bool has_snapshots(const store::database& db) {
  bool some = false;
  db.each(store::family::snapshots, {}, {}, [&](std::string_view, std::string_view) {
      some = true;
      return false;
    }).value();
  return some;
}

/// Compares the read models with the book.
class comparison {
 public:
  comparison(const ledger& book, const projections::runner& runner, time_point now) : book_{book}, views_{runner.views()}, now_{now} {
    for (const auto& p : runner.health().projections) expect(!p.parked, "The read model " + p.name + " is parked: " + p.error);
  }
  std::vector<std::string> found;

  void show(const occasion& s) {
    static const ledger::hall untouched;
    const auto at = book_.halls.find(s.id);
    const auto& hall = at == book_.halls.end() ? untouched : at->second;
    const auto seats = views_.seat_map.find(s.id);
    expect(seats != nullptr, "There is no seat map of " + s.name + ".");
    if (!seats) return;
    projections::place_counts counts;
    counts.capacity = s.seats + s.places;
    for (std::size_t i = 0; i != seats->seating->size(); ++i) {
      const std::string name{seats->seating->at(i).name};
      const auto seat = hall.seats.find(name);
      const auto phase = seat == hall.seats.end() ? v1::AVAILABLE : seat->second.phase();
      expect(seats->phase(i) == phase, "The seat map of " + s.name + " is wrong about " + name + ".");
      counts.held += phase == v1::HELD;
      counts.sold += phase == v1::SOLD;
    }
    for (const auto& [name, stock] : hall.stocks) {
      counts.held += stock.held();
      counts.sold += stock.sold();
    }
    counts.available = counts.capacity - counts.held - counts.sold;
    expect(seats->counts.total == counts, "The seat map of " + s.name + " counts wrong.");
    const auto listed = views_.shows.find(s.id);
    expect(listed && listed->counts == seats->counts, s.name + " is listed with other counts than its seat map's.");
    expect(views_.funnels.find(s.id).held == hall.reservations.size(), "The funnel of " + s.name + " counts wrong.");
    for (const auto& [id, r] : hall.reservations) reservation(id, r);
    queue(s, hall.queue);
  }

  void wallet(const person& p) {
    const auto purse = book_.purses.find(p.id);
    const auto balance = purse == book_.purses.end() ? 0 : purse->second.expected;
    expect(views_.ledger.find(p.id).value().balance == balance, "The wallet of " + p.name + " is shown with another balance.");
    std::int64_t sum = 0;
    for (const auto& entry : views_.wallets.history(p.id, {}, 1000).value().items) {
      using projections::movement;
      sum += entry.type == movement::charge || entry.type == movement::refund ? entry.amount : -entry.amount;
    }
    expect(sum == balance, "The history of the wallet of " + p.name + " does not add up.");
  }

 private:
  void expect(bool ok, const std::string& what) {
    if (!ok) found.push_back(what);
  }

  void queue(const occasion& s, const waiting_line& line) {
    const auto& tickets = line.tickets();
    for (std::uint64_t number = 1; number <= tickets.size(); ++number) {
      const auto id = make_ticket_id(s.id, number);
      const auto seen = views_.queues.by_ticket(id, now_);
      expect(seen && seen->number == number && seen->user_id == tickets[number - 1].user, id + " is not shown as the ticket that it is.");
      if (!seen) continue;
      const auto& ticket = tickets[number - 1];
      const bool waits = ticket.now == waiting_line::phase::waiting;
      const bool is_inside = ticket.now == waiting_line::phase::inside && to_ms(now_) < ticket.expires_at_ms;
      expect((seen->status == projections::ticket_status::waiting) == waits, id + " is shown waiting, and is not, or the other way round.");
      expect((seen->status == projections::ticket_status::admitted) == is_inside, id + " is shown inside, and is not, or the other way round.");
      expect(seen->position == (waits ? line.waiting_before(number) + 1 : 0), id + " is shown at another place than it has.");
    }
  }

  /// What the interface shows of a reservation.
  static std::string shown(v1::ReservationState s) {
    s.clear_process_key();
    return s.SerializeAsString();
  }
  void reservation(const std::string& id, const v1::ReservationState& r) {
    const auto view = views_.reservations.find(id).value();
    expect(view && view->version == book_.streams.at(key_of(reservation_ref(id))).version, id + " is shown in another version.");
    expect(view && shown(view->state) == shown(r), id + " is shown otherwise than it is.");
  }

  const ledger& book_;
  const projections::views& views_;
  time_point now_;
};

inline std::vector<std::string> differences(const ledger& book, const projections::runner& runner, const story& s, time_point now) {
  comparison c{book, runner, now};
  for (const auto& show : s.shows) c.show(show);
  for (const auto& p : s.people) c.wallet(p);
  return std::move(c.found);
}

}  // namespace usher::tests
