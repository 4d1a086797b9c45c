#pragma once
// What is told of a draw that was held, as JSON that anybody can check offline.
//
//   {"showId", "count", "commitment", "root", "secret", "closedAt", "heldAt", …}
//
// and then either all tickets, without a word of whose they are:
//
//   "tickets": [{"number": 1, "rank": 812, "leaf": "<hex>"}, …]
//
// or one person's own, with the way from it to the root:
//
//   "ticket": {"number": 1, "rank": 812, "ticketId", "userId", "joinedAt", "leaf", "path": ["<hex>", …]}

#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <vector>

#include "events/draw.hpp"
#include "events/json.hpp"

namespace usher::draw {

/// The most tickets that a document can have: to check even one person's, all of them are put in order.
inline constexpr std::uint64_t tickets_max = 100'000'000;

struct facts {
  std::string show_id;
  std::uint64_t count = 0;      ///< tickets that took part
  merkle::digest commitment{};  ///< public since the show exists
  merkle::digest root{};        ///< public since the entries closed
  std::string secret;           ///< public since the draw
  std::int64_t closed_at_ms = 0;
  std::int64_t held_at_ms = 0;
};

struct ticket {
  std::uint64_t number = 0;
  std::uint64_t rank = 0;
  merkle::digest leaf{};
};

/// With what only its owner is told.
struct own_ticket : ticket {
  std::string ticket_id;
  std::string user_id;
  std::int64_t joined_at_ms = 0;
  std::vector<merkle::digest> path;
};

/// The members of the object that is open.
void write_facts(json_writer&, const facts&);
void write_ticket(json_writer&, const ticket&);
void write_ticket(json_writer&, const own_ticket&);

struct document {
  draw::facts facts;
  std::vector<ticket> tickets;    ///< all, where `own` is none
  std::optional<own_ticket> own;
};

/// @param into  means nothing after a fault
/// @return a fault for each place that isn't what such a document has there, at most fault_limit
[[nodiscard]] std::vector<v1::Fault> read_document(const boost::json::value&, document& into);

/// Whether all of it follows from the secret and the tickets. That the commitment and the root are those that were published before
/// is for the reader to compare.
///
/// @return nothing where it does, else what is wrong, with its path; of what only follows from another mistake nothing is said
/// Cost: a hash and some 60 bytes a ticket, so about half a second for 1,000,000.
[[nodiscard]] std::vector<v1::Fault> verify(const document&);

}  // namespace usher::draw
