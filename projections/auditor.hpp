#pragma once
// Judges every record of the log by the invariants of a box office: a fold of its own that trusts no decider and no view.

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "events/vocabulary.hpp"
#include "projections/auditor_queue.hpp"
#include "store/divided_map.hpp"

namespace usher::projections {

/// How a log can contradict itself.
enum class fault_kind : std::uint8_t {
  paid_without_seat,       ///< money was taken, and for it there is neither a seat nor a refund
  seat_held_twice,         ///< a seat went to a reservation while another one had it
  ledger_imbalance,        ///< a balance is not what was moved, is below zero, or below what is set aside
  seated_without_payment,  ///< a reservation is confirmed, and its buyer's wallet paid nothing for it or has the money back
  seat_disagrees,          ///< a seat is not what its reservation says
  stock_disagrees,         ///< the places of a section are not what the reservations say
  oversold,                ///< more places of a section are held and sold than it has
  allowance_disagrees,     ///< a person's count is not the sum of their places
  limit_exceeded,          ///< a person has more places than the show allows
  queue_disagrees,         ///< an event that the queue rules out: a number twice, somebody let in twice, a draw by another secret …
  reservation_disagrees,   ///< an event that the reservation's state rules out
  payment_disagrees,       ///< the events of one payment, or of money set aside, contradict each other
  process_stalled,         ///< a payment or refund is under way for longer than it may be
  event_unreadable,        ///< an event of a type or schema that this version doesn't know: what it did is not judged
};
inline constexpr std::size_t fault_kind_count = 14;
/// The kind as metrics and the node's log name it, as in `seat_held_twice`.
std::string_view word_of(fault_kind);

struct fault {
  fault_kind kind{};
  log_position at;     ///< of the record that shows it
  std::string entity;  ///< as key_of names it, without anything of a person; empty: see entity_of(the record)
  std::string detail;  ///< a whole sentence, without anything of a person
};

/// What a record is about, for who reads of a fault in it: its reservation or payment, else its first event's entity without a user's id.
std::string entity_of(const v1::Record&);

/// Takes the records of all partitions in, each partition's in order, the partitions in any interleaving.
///
/// Within a show every record is judged as a whole, at once. What spans partitions (a payment here, a debit there) is judged
/// by `settle`, when nothing that could explain it can be on its way any more. Names are kept as 64 bits of SipHash under a
/// secret of the process. A fault is found once; what follows is judged as if the log were right.
///
/// For one thread at a time. Cost: about a microsecond a record; some 150 bytes for a seat that is sold, one for a ticket of a
/// queue, nothing for a reservation that ended where no money can come any more.
class auditor {
 public:
  auditor();

  void take(const v1::Record&);

  /// To be called when everything has been taken that was on disk at the call before: whatever was strange then and still
  /// is, is a fault. The first call finds nothing.
  void settle();
  /// The log goes no further than this.
  void finish();
  /// Looks for payments and refunds that should have ended. One that was on its way when the node started has a
  /// minute from there.
  void watch_processes(time_point now, time_point running_since);

  /// How many faults of a kind were found. Payments that contradict their reservation and stalled processes count until that is mended.
  [[nodiscard]] std::uint64_t count(fault_kind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] std::uint64_t count() const;
  /// What was found since the last call, in the order of finding; of very many, the first.
  [[nodiscard]] std::vector<fault> take_faults();

  /// When the oldest payment or refund that is under way was started.
  [[nodiscard]] std::optional<time_point> oldest_process() const;
  [[nodiscard]] std::size_t processes() const { return processes_.size(); }  ///< under way

 private:
  using key = std::uint64_t;
  struct key_hasher {
    using is_avalanching = void;  ///< a key is a hash already
    std::size_t operator()(key k) const noexcept { return k; }
  };
  template <class Value>
  using table = boost::unordered_flat_map<key, Value, key_hasher>;
  /// Of what grows with buyers and sales.
  template <class Value>
  using large_table = store::divided_map<key, Value, key_hasher>;

  /// Who has a seat. Free seats have no entry.
  struct seat {
    std::uint64_t sold : 1;
    std::uint64_t holder : 63;  ///< of the reservation's key
  };
  struct stock {
    std::uint64_t capacity = 0;
    std::uint64_t held = 0;
    std::uint64_t sold = 0;
    bool planned = false;  ///< the capacity is the plan's; else the newest record's
  };
  struct terms {
    std::uint32_t limit = 0;
    std::uint32_t limit_before = 0;
    std::int64_t changed_at_ms = 0;
  };
  enum class status : std::uint8_t { none, pending, paying, confirmed, refunding, ended };
  struct reservation {
    key user = 0;
    key seats = 0;   ///< the sum of its seats' keys: what must be held or sold, whatever it is, without a list of it
    key places = 0;  ///< the sum of its sections' keys, each times the quantity
    key payment = 0;
    std::int64_t amount = 0;
    std::uint32_t quantity = 0;
    status now = status::none;
    bool by_provider = false;  ///< the payment
    bool money_may_come = false;
  };
  /// Seats, places and allowance of one reservation, in sums of keys.
  struct holdings {
    key seats_held = 0, seats_sold = 0, places_held = 0, places_sold = 0, allowance = 0;
    bool operator==(const holdings&) const = default;
  };
  /// A reservation that the record at hand touches: what it says, and what the others' events come to.
  struct touched {
    key id = 0;
    key show = 0;
    std::string_view group, name;
    reservation says;
    holdings has;
    bool blamed = false;  ///< a seat or section was blamed already
  };

  enum class said : std::uint8_t { nothing, started, confirmed, declined, lapsed, refunding, refunded };  ///< by the reservation
  enum class moved : std::uint8_t { nothing, refused, debited, credited };                                ///< by the wallet
  /// What is known of a payment, by either side.
  struct payment {
    std::int64_t amount = 0;
    key payer = 0;
    std::uint64_t index = 0;  ///< of the record to show for it
    std::uint16_t partition = 0;
    said reservation = said::nothing;
    moved wallet = moved::nothing;
    bool by_provider = false;
    bool has_terms = false;   ///< amount and payer are known
    bool suspected = false;   ///< is in suspects_
    std::uint8_t blamed = 0;  ///< 1 + the kind that is counted for it
    std::uint32_t round = 0;  ///< of the last change
  };
  struct process {
    std::int64_t started_at_ms = 0;
    std::int64_t due_at_ms = 0;
    log_position at;
    bool stalled = false;
  };
  struct set_aside {
    key id = 0;
    std::int64_t amount = 0;
    std::int64_t expires_at_ms = 0;
  };
  /// The last name that was hashed: events of one record share most of them.
  struct memo {
    std::string text;
    key hash = 0;
  };

  // auditor.cpp: shows and what they sell
  [[nodiscard]] key hash(std::string_view) const;
  key hash(std::string_view, memo&) const;
  static key within(key group, key name, v1::Kind);
  void take(const v1::StreamEvent&);
  void take_show(const v1::StreamEvent&);
  void plan(key show, const v1::ShowPlan&);
  void limit(key show, std::uint32_t limit);
  void take_seat(const v1::StreamEvent&);
  void hold(const v1::StreamEvent&, touched&, key seat);
  void sell(const v1::StreamEvent&, touched&, key seat);
  void free(const v1::StreamEvent&, touched&, key seat);
  void blame_seat(fault_kind, const v1::StreamEvent&, touched&, std::string detail);
  void take_stock(const v1::StreamEvent&);
  void take_allowance(const v1::StreamEvent&);
  void take_queue(const v1::StreamEvent&);

  touched& touch(const v1::EntityRef& in_show, std::string_view reservation_id);
  static holdings due(const touched&);
  void judge(touched&);
  void judge_stocks();
  void judge_limits();
  void expect(bool ok, const touched&, const char* otherwise);

  // auditor_reservation.cpp: what a reservation says
  void take_reservation(const v1::StreamEvent&);
  void place(touched&, const v1::StreamEvent&);
  void end(touched&);
  void start(touched&, const v1::PaymentStarted&);
  void confirm(touched&, key payment);
  void lapse(touched&, key payment, said, status then);
  void refund(touched&, const v1::RefundStarted&);
  void cancel(touched&);
  void seat_late(touched&, key payment);
  void refund_late(touched&, const v1::LateRefundStarted&);
  void end_late_refund(touched&, key payment);
  void exchange(touched&, const v1::SeatExchanged&);
  void open(key payment, std::int64_t at_ms, std::int64_t due_at_ms);

  // auditor_money.cpp: wallets, and both sides of a payment
  void take_wallet(const v1::StreamEvent&);
  void move(key wallet, std::int64_t amount, bool in, std::int64_t stated);
  void judge_set_aside(key wallet, std::int64_t balance);
  void authorize(key wallet, const v1::FundsAuthorized&);
  void capture(key wallet, const v1::FundsCaptured&);
  std::optional<std::int64_t> end_authorization(key wallet, std::string_view id);
  template <class Event>
  void pay(key wallet, const Event&, moved before, moved after);
  void agree(payment&, std::int64_t amount, key payer, const std::string& entity);
  payment& note(key id, said);
  void weigh(key id, payment&);
  static std::optional<fault_kind> contradiction(const payment&);
  static bool is_over(const payment&);

  void blame(fault_kind, std::string entity, std::string detail);
  void blame(fault_kind, log_position, std::string entity, std::string detail);

  std::array<unsigned char, 16> secret_{};

  table<terms> shows_;
  large_table<seat> seats_;
  table<stock> stocks_;
  large_table<std::uint32_t> allowances_;  ///< places by show and person
  large_table<reservation> reservations_;
  table<queue_audit> queues_;
  large_table<std::int64_t> balances_;
  table<std::vector<set_aside>> set_aside_;  ///< by wallet, the open ones
  large_table<payment> payments_;
  table<process> processes_;  ///< by payment
  std::vector<key> suspects_;
  std::uint32_t round_ = 1;

  std::array<std::uint64_t, fault_kind_count> counts_{};
  std::vector<fault> faults_;

  // Of the record at hand.
  struct used {
    key allowance, show;
    std::string_view group;
  };
  struct filled {
    key stock;
    const v1::EntityRef* name;
  };
  log_position at_;
  std::int64_t at_ms_ = 0;
  std::vector<touched> touched_;
  std::vector<used> used_;
  std::vector<filled> filled_;
  memo show_, user_, reservation_;
};

}  // namespace usher::projections
