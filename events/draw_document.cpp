#include "events/draw_document.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace usher::draw {
namespace {

namespace json = boost::json;

std::string hex_of(const merkle::digest& d) { return to_hex(bytes_of(d)); }

/// Faults with their paths, up to the limit.
class complaints {
 public:
  void add(std::string field, std::string detail) {
    if (all_.size() >= fault_limit) return;
    auto& fault = all_.emplace_back();
    fault.set_field(std::move(field));
    fault.set_detail(std::move(detail));
  }
  [[nodiscard]] bool none() const { return all_.empty(); }
  [[nodiscard]] std::vector<v1::Fault> take() && { return std::move(all_); }

 private:
  std::vector<v1::Fault> all_;
};

/// The members of one object. What is missing or wrong is named, and reads as nothing.
class members {
 public:
  members(const json::object& of, std::string path, complaints& wrong) : of_{of}, path_{std::move(path)}, wrong_{wrong} {}

  std::uint64_t number(std::string_view name) {
    const auto* v = of_.if_contains(name);
    if (v && v->is_int64() && v->get_int64() >= 0) return static_cast<std::uint64_t>(v->get_int64());
    return blame(name, "It has to be a whole number."), 0;
  }
  std::string text(std::string_view name) {
    const auto* v = of_.if_contains(name);
    if (v && v->is_string()) return std::string{v->get_string()};
    return blame(name, "It has to be a text."), std::string{};
  }
  std::string bytes(std::string_view name) {
    const auto* v = of_.if_contains(name);
    auto read = v && v->is_string() ? from_hex(v->get_string()) : std::nullopt;
    if (read && read->size() == merkle::digest{}.size()) return std::move(*read);
    return blame(name, "It has to be 32 bytes in lower-case hexadecimal digits."), std::string{};
  }
  merkle::digest digest(std::string_view name) { return digest_from_bytes(bytes(name)).value_or(merkle::digest{}); }
  std::int64_t time(std::string_view name) {
    const auto* v = of_.if_contains(name);
    const auto read = v && v->is_string() ? from_rfc3339(v->get_string()) : std::nullopt;
    if (read) return to_ms(*read);
    return blame(name, "It has to be a time like 2026-05-31T10:00:03.250Z."), 0;
  }
  void blame(std::string_view name, std::string detail) { wrong_.add(path_ + std::string{name}, std::move(detail)); }

 private:
  const json::object& of_;
  std::string path_;
  complaints& wrong_;
};

void read_facts(const json::object& object, facts& into, complaints& wrong) {
  members m{object, {}, wrong};
  into.show_id = m.text("showId");
  into.count = m.number("count");
  into.commitment = m.digest("commitment");
  into.root = m.digest("root");
  into.secret = m.bytes("secret");
  into.closed_at_ms = m.time("closedAt");
  into.held_at_ms = m.time("heldAt");
}

void read_ticket(members& m, ticket& into) {
  into.number = m.number("number");
  into.rank = m.number("rank");
  into.leaf = m.digest("leaf");
}

void read_tickets(const json::array& all, std::vector<ticket>& into, complaints& wrong) {
  into.resize(all.size());
  for (std::size_t i = 0; i != all.size(); ++i) {
    const auto path = "tickets[" + std::to_string(i) + "]";
    if (!all[i].is_object()) {
      wrong.add(path, "It has to be an object.");
      continue;
    }
    members m{all[i].get_object(), path + ".", wrong};
    read_ticket(m, into[i]);
  }
}

void read_path(const json::object& object, std::vector<merkle::digest>& into, complaints& wrong) {
  const auto* path = object.if_contains("path");
  if (!path || !path->is_array()) return wrong.add("ticket.path", "It has to be an array.");
  for (const auto& step : path->get_array()) {
    const auto bytes = step.is_string() ? from_hex(step.get_string()) : std::nullopt;
    const auto read = bytes ? digest_from_bytes(*bytes) : std::nullopt;
    if (!read) wrong.add("ticket.path[" + std::to_string(into.size()) + "]", "It has to be 32 bytes in lower-case hexadecimal digits.");
    into.push_back(read.value_or(merkle::digest{}));
  }
}

void read_own(const json::object& object, own_ticket& into, complaints& wrong) {
  members m{object, "ticket.", wrong};
  read_ticket(m, into);
  into.ticket_id = m.text("ticketId");
  into.user_id = m.text("userId");
  into.joined_at_ms = m.time("joinedAt");
  read_path(object, into.path, wrong);
}

void check_commitment(const facts& f, complaints& wrong) {
  const auto hash = commitment(f.secret);
  if (hash != f.commitment) wrong.add("commitment", "The secret's SHA-256 is " + hex_of(hash) + ": the secret or the commitment was changed.");
}

void check_numbers(const document& d, complaints& wrong) {
  if (d.facts.count != d.tickets.size())
    wrong.add("count", "It says " + std::to_string(d.facts.count) + ", and there are " + std::to_string(d.tickets.size()) + " tickets.");
  for (std::size_t i = 0; i != d.tickets.size(); ++i) {
    if (d.tickets[i].number == i + 1) continue;
    wrong.add("tickets[" + std::to_string(i) + "].number", "It has to be " + std::to_string(i + 1) + ": tickets count from 1, in the order of joining.");
  }
}

void check_root(const document& d, complaints& wrong) {
  merkle::frontier tree;
  for (const auto& t : d.tickets) tree.add(t.leaf);
  if (tree.root() != d.facts.root)
    wrong.add("root", "The root over the tickets' leaves is " + hex_of(tree.root()) + ": a ticket's leaf or the root was changed.");
}

std::string other_rank(std::uint64_t rank) { return "By the draw it is " + std::to_string(rank) + "."; }

void check_ranks(const document& d, complaints& wrong) {
  const auto numbers = order(d.facts.secret, d.facts.root, static_cast<std::uint32_t>(d.facts.count));
  std::vector<std::uint32_t> ranks(numbers.size());
  for (std::uint32_t i = 0; i != numbers.size(); ++i) ranks[numbers[i] - 1] = i + 1;
  for (std::size_t i = 0; i != ranks.size(); ++i)
    if (d.tickets[i].rank != ranks[i]) wrong.add("tickets[" + std::to_string(i) + "].rank", other_rank(ranks[i]));
}

void check_own(const facts& f, const own_ticket& own, complaints& wrong) {
  if (own.number == 0 || own.number > f.count) return wrong.add("ticket.number", "It has to be one of 1 to the count.");
  if (own.ticket_id != make_ticket_id(f.show_id, own.number))
    wrong.add("ticket.ticketId", "It is not that of this number and show: the id, the number or the show was changed.");
  if (own.leaf != leaf_of(own.number, own.ticket_id, own.user_id, own.joined_at_ms))
    wrong.add("ticket.leaf", "It is not that of this ticket: its number, ticketId, userId, joinedAt or the leaf was changed.");
  if (!merkle::is_included(own.leaf, own.number - 1, f.count, own.path, f.root))
    wrong.add("ticket.path", "It doesn't lead from the leaf to the root: the leaf, the path, the number, the count or the root was changed.");
}

void check_own_rank(const facts& f, const own_ticket& own, complaints& wrong) {
  const auto numbers = order(f.secret, f.root, static_cast<std::uint32_t>(f.count));
  const auto place = std::find(numbers.begin(), numbers.end(), own.number);
  const auto rank = static_cast<std::uint64_t>(place - numbers.begin()) + 1;
  if (own.rank != rank) wrong.add("ticket.rank", other_rank(rank));
}

}  // namespace

void write_facts(json_writer& out, const facts& f) {
  out.member("showId", f.show_id).member("count", f.count).member("commitment", hex_of(f.commitment)).member("root", hex_of(f.root))
      .member("secret", to_hex(f.secret)).member("closedAt", from_ms(f.closed_at_ms)).member("heldAt", from_ms(f.held_at_ms));
}

void write_ticket(json_writer& out, const ticket& t) {
  out.member("number", t.number).member("rank", t.rank).member("leaf", hex_of(t.leaf));
}

void write_ticket(json_writer& out, const own_ticket& t) {
  write_ticket(out, static_cast<const ticket&>(t));
  out.member("ticketId", t.ticket_id).member("userId", t.user_id).member("joinedAt", from_ms(t.joined_at_ms));
  out.key("path").begin_array();
  for (const auto& step : t.path) out.value(hex_of(step));
  out.end_array();
}

std::vector<v1::Fault> read_document(const json::value& value, document& into) {
  complaints wrong;
  const auto* object = value.if_object();
  if (!object) {
    wrong.add("", "The document has to be an object.");
    return std::move(wrong).take();
  }
  read_facts(*object, into.facts, wrong);
  const auto* all = object->if_contains("tickets");
  const auto* own = object->if_contains("ticket");
  if (all && !own && all->is_array()) read_tickets(all->get_array(), into.tickets, wrong);
  else if (own && !all && own->is_object()) read_own(own->get_object(), into.own.emplace(), wrong);
  else wrong.add("tickets", "There has to be either `tickets`, an array, or `ticket`, an object.");
  return std::move(wrong).take();
}

std::vector<v1::Fault> verify(const document& d) {
  complaints wrong;
  if (d.facts.count > tickets_max) wrong.add("count", "More than " + std::to_string(tickets_max) + " are never drawn.");
  else if (d.own) check_own(d.facts, *d.own, wrong);
  else check_numbers(d, wrong);
  check_commitment(d.facts, wrong);
  if (wrong.none() && !d.own) check_root(d, wrong);
  if (!wrong.none()) return std::move(wrong).take();
  if (d.own) check_own_rank(d.facts, *d.own, wrong);
  else check_ranks(d, wrong);
  return std::move(wrong).take();
}

}  // namespace usher::draw
