// `usher rehearse`: an opening night with invented buyers against a running server, and the books checked afterwards.
#pragma once

#include "bench/waiting.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace usher::bench {

struct rehearsal_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::string show;                       // with numbered seats; nobody else may buy from it meanwhile
  std::string new_show;                   // where `show` is empty: the body of a POST /shows, which opens one
  std::string operator_token;             // may be empty; used to open the show, to sign up where that isn't open, and to look inside
  std::size_t buyers = 10'000;
  double abandon = 0.1;                   // share of the buyers who go away: while they wait, once inside, or while they hold seats
  std::size_t connections = 256;          // HTTP requests in flight at most, besides those of waiting people
  std::size_t waiting_connections = 9'000;  // of people who wait; who finds none left asks every few seconds
  std::vector<channel> channels{channel::websocket, channel::events, channel::long_poll};  // of people who wait, in turns
  std::chrono::milliseconds think{2'000};   // that a buyer takes inside on average, half of it before choosing, half before paying
  std::chrono::seconds arrive_over{10};   // arrivals are spread evenly over this long
  std::chrono::seconds at_most{900};      // whoever is still on the way then gives up
  std::uint64_t seed = 1;                 // of the buyers' choices; the server's timing still makes each run its own
  bool json = false;
};

/// Plays every buyer's whole way: sign up, queue, admission, map, hold, charge, payment.
///
/// Arrivals follow a plan that a slow server can't slow down, and a step's latency runs from the moment at which the buyer
/// wanted to take it (its arrival, or the end of the step before), so waiting for a connection of this tool counts:
/// the percentiles are corrected for coordinated omission.
/// Every write carries an idempotency key and is repeated on 503, 504 and a lost connection, so outcomes end up known.
/// Writes live progress to standard error where that is a terminal, the report to `out`.
/// @return  0 only if every check holds: no seat sold twice, each acknowledged seat sold on the server's map and no other,
///          each buyer's wallet exactly what was charged minus what was bought, amounts equal to the listed prices,
///          no unexpected answer; and what waiting_book judges of the time in the queue, with the channels asked about the
///          same tickets at the same time. 1 if one doesn't, 2 where the rehearsal couldn't begin (the reason goes to `out`).
int rehearse(const rehearsal_options& options, std::ostream& out);

}  // namespace usher::bench
