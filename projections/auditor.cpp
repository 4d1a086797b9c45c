// Shows and what they sell: each seat, section, allowance and queue against what the reservations of the record say.

#include "projections/auditor.hpp"

#include <sodium.h>

#include <algorithm>
#include <utility>

#include "events/upcast.hpp"
#include "store/bug.hpp"

namespace usher::projections {
namespace {

constexpr std::uint32_t default_ticket_limit = 8;
constexpr std::int64_t terms_travel_ms = 60'000;  // a command may have met the limit as it was this long ago
constexpr std::size_t faults_max = 1000;          // that are kept for whoever asks; the counts go on

/// A seat remembers 63 bits of its holder.
constexpr std::uint64_t in_63_bits(std::uint64_t id) { return id & ~(std::uint64_t{1} << 63); }

/// The entity of an event as a person may read it who must not learn who the user is.
std::string nameless(const v1::EntityRef& ref) {
  switch (ref.kind()) {
    case v1::WALLET:
    case v1::USER: return std::string{usher::word_of(ref.kind())};
    case v1::ALLOWANCE: return std::string{usher::word_of(ref.kind())} + '/' + ref.group();
    case v1::KIND_UNSPECIFIED:
    case v1::SHOW:
    case v1::SEAT:
    case v1::STOCK:
    case v1::RESERVATION:
    case v1::QUEUE:
    case v1::PROVIDER:
    case v1::Kind_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Kind_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  return key_of(ref);
}

}  // namespace

std::string_view word_of(fault_kind kind) {
  switch (kind) {
    case fault_kind::paid_without_seat: return "paid_without_seat";
    case fault_kind::seat_held_twice: return "seat_held_twice";
    case fault_kind::ledger_imbalance: return "ledger_imbalance";
    case fault_kind::seated_without_payment: return "seated_without_payment";
    case fault_kind::seat_disagrees: return "seat_disagrees";
    case fault_kind::stock_disagrees: return "stock_disagrees";
    case fault_kind::oversold: return "oversold";
    case fault_kind::allowance_disagrees: return "allowance_disagrees";
    case fault_kind::limit_exceeded: return "limit_exceeded";
    case fault_kind::queue_disagrees: return "queue_disagrees";
    case fault_kind::reservation_disagrees: return "reservation_disagrees";
    case fault_kind::payment_disagrees: return "payment_disagrees";
    case fault_kind::process_stalled: return "process_stalled";
    case fault_kind::event_unreadable: return "event_unreadable";
  }
  return "unknown";
}

std::string entity_of(const v1::Record& record) {
  for (const auto& e : record.events()) {
    if (e.has_reservation()) return key_of(e.stream());
  }
  for (const auto& e : record.events()) {
    const auto& w = e.wallet();
    for (const auto* id : {&w.debited().reservation_id(), &w.credited().reservation_id(), &w.debit_refused().reservation_id()}) {
      if (!id->empty()) return key_of(reservation_ref(*id));
    }
  }
  return record.events().empty() ? std::string{} : nameless(record.events(0).stream());
}

auditor::auditor() {
  static_assert(std::tuple_size_v<decltype(secret_)> == crypto_shorthash_KEYBYTES);
  static_assert(sizeof(key) == crypto_shorthash_BYTES);
  if (sodium_init() < 0) store::bug("libsodium has no randomness");
  crypto_shorthash_keygen(secret_.data());
}

auditor::key auditor::hash(std::string_view text) const {
  key out = 0;
  crypto_shorthash(reinterpret_cast<unsigned char*>(&out), reinterpret_cast<const unsigned char*>(text.data()), text.size(), secret_.data());
  return out;
}

auditor::key auditor::hash(std::string_view text, memo& last) const {
  if (text != last.text || text.empty()) {
    last.text = text;
    last.hash = hash(text);
  }
  return last.hash;
}

/// Both are secret already; this only keeps one kind's names apart from another's and spreads the bits.
auditor::key auditor::within(key group, key name, v1::Kind kind) {
  key x = (group ^ (static_cast<key>(kind) << 56)) * 0x9e3779b97f4a7c15 + name;
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93;
  return x ^ (x >> 32);
}

void auditor::blame(fault_kind kind, log_position at, std::string entity, std::string detail) {
  ++counts_[static_cast<std::size_t>(kind)];
  if (faults_.size() < faults_max) faults_.push_back({kind, at, std::move(entity), std::move(detail)});
}

void auditor::blame(fault_kind kind, std::string entity, std::string detail) { blame(kind, at_, std::move(entity), std::move(detail)); }

std::uint64_t auditor::count() const {
  std::uint64_t sum = 0;
  for (const auto n : counts_) sum += n;
  return sum;
}

std::vector<fault> auditor::take_faults() { return std::exchange(faults_, {}); }

// --- a record ------------------------------------------------------------------------------------------------------

void auditor::take(const v1::Record& record) {
  at_ = {record.partition(), record.index()};
  at_ms_ = record.at_ms();
  for (const auto& event : record.events()) take(event);
  for (auto& t : touched_) judge(t);
  if (!filled_.empty()) judge_stocks();
  if (!used_.empty()) judge_limits();
  touched_.clear();
}

void auditor::take(const v1::StreamEvent& e) {
  if (const auto why = unreadable(e))
    return blame(fault_kind::event_unreadable, nameless(e.stream()), "Event " + std::to_string(e.version()) + " of the stream: " + *why + ".");
  switch (e.payload_case()) {
    case v1::StreamEvent::kShow: return take_show(e);
    case v1::StreamEvent::kSeat: return take_seat(e);
    case v1::StreamEvent::kStock: return take_stock(e);
    case v1::StreamEvent::kAllowance: return take_allowance(e);
    case v1::StreamEvent::kReservation: return take_reservation(e);
    case v1::StreamEvent::kQueue: return take_queue(e);
    case v1::StreamEvent::kWallet: return take_wallet(e);
    case v1::StreamEvent::kUser:
    case v1::StreamEvent::PAYLOAD_NOT_SET: return;
  }
}

/// Before its first event of the record changes anything: a reservation has what it said until now.
auditor::touched& auditor::touch(const v1::EntityRef& in_show, std::string_view reservation_id) {
  const auto id = hash(reservation_id, reservation_);
  for (auto& t : touched_) {
    if (t.id == id) return t;
  }
  auto& t = touched_.emplace_back();
  t.id = id;
  t.show = hash(in_show.group(), show_);
  t.group = in_show.group();
  t.name = reservation_id;
  if (const auto* known = reservations_.find(id)) t.says = *known;
  t.has = due(t);
  return t;
}

auditor::holdings auditor::due(const touched& t) {
  const auto& r = t.says;
  holdings out;
  const bool holds = r.now == status::pending || r.now == status::paying;
  const bool owns = r.now == status::confirmed || r.now == status::refunding;
  if (!holds && !owns) return out;
  (holds ? out.seats_held : out.seats_sold) = r.seats;
  (holds ? out.places_held : out.places_sold) = r.places;
  out.allowance = within(t.show, r.user, v1::ALLOWANCE) * r.quantity;
  return out;
}

void auditor::judge(touched& t) {
  const auto should = due(t);
  if (t.has != should) {
    v1::EntityRef ref = reservation_ref(std::string{t.name});
    ref.set_group(std::string{t.group});
    if (!t.blamed && (t.has.seats_held != should.seats_held || t.has.seats_sold != should.seats_sold))
      blame(fault_kind::seat_disagrees, key_of(ref), "Its seats are not what the reservation says.");
    if (!t.blamed && (t.has.places_held != should.places_held || t.has.places_sold != should.places_sold))
      blame(fault_kind::stock_disagrees, key_of(ref), "Its places are not what the reservation says.");
    if (t.has.allowance != should.allowance)
      blame(fault_kind::allowance_disagrees, key_of(ref), "Its buyer's allowance has not gone along with its places.");
  }
  if (t.says.now == status::none) return;
  if (t.says.now == status::ended && !t.says.money_may_come)
    reservations_.erase(t.id);
  else
    reservations_[t.id] = t.says;
}

void auditor::expect(bool ok, const touched& t, const char* otherwise) {
  if (ok) return;
  v1::EntityRef ref = reservation_ref(std::string{t.name});
  ref.set_group(std::string{t.group});
  blame(fault_kind::reservation_disagrees, key_of(ref), otherwise);
}

// --- shows ---------------------------------------------------------------------------------------------------------

void auditor::take_show(const v1::StreamEvent& e) {
  const auto show = hash(e.stream().group(), show_);
  switch (e.show().kind_case()) {
    case v1::ShowEvent::kOpened: return plan(show, e.show().opened().plan());
    case v1::ShowEvent::kChanged:
      if (e.show().changed().change().has_ticket_limit()) limit(show, e.show().changed().change().ticket_limit());
      return;
    case v1::ShowEvent::KIND_NOT_SET: return;
  }
}

void auditor::plan(key show, const v1::ShowPlan& plan) {
  limit(show, plan.ticket_limit());
  for (const auto& section : plan.sections()) {
    if (section.stock() == 0) continue;
    auto& s = stocks_[within(show, hash(section.name()), v1::STOCK)];
    s.capacity = section.stock();
    s.planned = true;
  }
}

void auditor::limit(key show, std::uint32_t limit) {
  auto& t = shows_[show];
  const bool long_ago = at_ms_ > t.changed_at_ms + terms_travel_ms;
  t.limit_before = long_ago ? t.limit : std::max(t.limit, t.limit_before);
  t.limit = limit == 0 ? default_ticket_limit : limit;
  t.changed_at_ms = at_ms_;
}

// --- seats ---------------------------------------------------------------------------------------------------------

void auditor::take_seat(const v1::StreamEvent& e) {
  const auto seat = within(hash(e.stream().group(), show_), hash(e.stream().name()), v1::SEAT);
  switch (e.seat().kind_case()) {
    case v1::SeatEvent::kHeld: return hold(e, touch(e.stream(), e.seat().held().reservation_id()), seat);
    case v1::SeatEvent::kSold: return sell(e, touch(e.stream(), e.seat().sold().reservation_id()), seat);
    case v1::SeatEvent::kReleased: return free(e, touch(e.stream(), e.seat().released().reservation_id()), seat);
    case v1::SeatEvent::KIND_NOT_SET: return;
  }
}

void auditor::blame_seat(fault_kind kind, const v1::StreamEvent& e, touched& t, std::string detail) {
  t.blamed = true;
  blame(kind, key_of(e.stream()), std::move(detail));
}

void auditor::hold(const v1::StreamEvent& e, touched& t, key id) {
  const auto [place, was_free] = seats_.try_emplace(id, seat{0, in_63_bits(t.id)});
  t.has.seats_held += id;
  if (was_free) return;
  if (place->holder == in_63_bits(t.id))
    blame_seat(fault_kind::seat_disagrees, e, t, "The seat was held again for the one who has it.");
  else
    blame_seat(fault_kind::seat_held_twice, e, t, "The seat was held while another reservation had it.");
  *place = {0, in_63_bits(t.id)};
}

void auditor::sell(const v1::StreamEvent& e, touched& t, key id) {
  const auto [place, was_free] = seats_.try_emplace(id, seat{1, in_63_bits(t.id)});
  t.has.seats_sold += id;
  if (was_free) return;
  if (place->holder != in_63_bits(t.id))
    blame_seat(fault_kind::seat_held_twice, e, t, "The seat was sold while another reservation had it.");
  else if (place->sold)
    blame_seat(fault_kind::seat_disagrees, e, t, "The seat was sold again.");
  else
    t.has.seats_held -= id;
  *place = {1, in_63_bits(t.id)};
}

void auditor::free(const v1::StreamEvent& e, touched& t, key id) {
  const auto* place = seats_.find(id);
  if (place == nullptr) return blame_seat(fault_kind::seat_disagrees, e, t, "The seat was released and had been free.");
  if (place->holder != in_63_bits(t.id))
    blame_seat(fault_kind::seat_disagrees, e, t, "The seat was released for one who did not have it.");
  else
    (place->sold ? t.has.seats_sold : t.has.seats_held) -= id;
  seats_.erase(id);
}

// --- places and allowances -----------------------------------------------------------------------------------------

void auditor::take_stock(const v1::StreamEvent& e) {
  const auto id = within(hash(e.stream().group(), show_), hash(e.stream().name()), v1::STOCK);
  auto& s = stocks_[id];
  const auto lose = [&](std::uint64_t& from, std::uint32_t quantity) {
    if (quantity > from) blame(fault_kind::stock_disagrees, key_of(e.stream()), "The section gave away more places than there were.");
    from -= std::min<std::uint64_t>(quantity, from);
  };
  switch (e.stock().kind_case()) {
    case v1::StockEvent::kTaken: {
      const auto& taken = e.stock().taken();
      if (!s.planned) s.capacity = taken.capacity();
      s.held += taken.quantity();
      touch(e.stream(), taken.reservation_id()).has.places_held += id * taken.quantity();
      filled_.push_back({id, &e.stream()});
      return;
    }
    case v1::StockEvent::kSold: {
      const auto& sold = e.stock().sold();
      lose(s.held, sold.quantity());
      s.sold += sold.quantity();
      auto& has = touch(e.stream(), sold.reservation_id()).has;
      has.places_held -= id * sold.quantity();
      has.places_sold += id * sold.quantity();
      filled_.push_back({id, &e.stream()});
      return;
    }
    case v1::StockEvent::kReturned: {
      const auto& returned = e.stock().returned();
      lose(returned.sold() ? s.sold : s.held, returned.quantity());
      auto& has = touch(e.stream(), returned.reservation_id()).has;
      (returned.sold() ? has.places_sold : has.places_held) -= id * returned.quantity();
      return;
    }
    case v1::StockEvent::KIND_NOT_SET: return;
  }
}

void auditor::judge_stocks() {
  for (const auto& f : filled_) {
    const auto& s = stocks_[f.stock];
    if (s.held + s.sold > s.capacity) blame(fault_kind::oversold, key_of(*f.name), "The section has more people than places.");
  }
  filled_.clear();
}

void auditor::take_allowance(const v1::StreamEvent& e) {
  const auto show = hash(e.stream().group(), show_);
  const auto id = within(show, hash(e.stream().name(), user_), v1::ALLOWANCE);
  switch (e.allowance().kind_case()) {
    case v1::AllowanceEvent::kUsed: {
      const auto& more = e.allowance().used();
      allowances_[id] += more.quantity();
      touch(e.stream(), more.reservation_id()).has.allowance += id * more.quantity();
      used_.push_back({id, show, e.stream().group()});
      return;
    }
    case v1::AllowanceEvent::kRestored: {
      const auto& less = e.allowance().restored();
      touch(e.stream(), less.reservation_id()).has.allowance -= id * less.quantity();
      auto* known = allowances_.find(id);
      const auto before = known == nullptr ? 0 : *known;
      if (less.quantity() > before)
        blame(fault_kind::allowance_disagrees, "allowance/" + e.stream().group(), "Somebody gave back more places than they had.");
      if (known == nullptr) return;
      if (less.quantity() >= before)
        allowances_.erase(id);
      else
        *known -= less.quantity();
      return;
    }
    case v1::AllowanceEvent::KIND_NOT_SET: return;
  }
}

/// A show that was never opened has no limit that could be known.
void auditor::judge_limits() {
  for (const auto& u : used_) {
    const auto show = shows_.find(u.show);
    const auto* has = allowances_.find(u.allowance);
    if (show == shows_.end() || has == nullptr) continue;
    const auto& t = show->second;
    const auto limit = at_ms_ > t.changed_at_ms + terms_travel_ms ? t.limit : std::max(t.limit, t.limit_before);
    if (*has > limit)
      blame(fault_kind::limit_exceeded, "allowance/" + std::string{u.group}, "Somebody has more places than the show allows.");
  }
  used_.clear();
}

// --- queues --------------------------------------------------------------------------------------------------------

void auditor::take_queue(const v1::StreamEvent& e) {
  if (const auto* wrong = queues_[hash(e.stream().group(), show_)].take(e.queue()))
    blame(fault_kind::queue_disagrees, key_of(e.stream()), wrong);
}

}  // namespace usher::projections
