// The draw: what is public of it before, all of it afterwards, and each person's proof of their own rank.

#include <deque>
#include <mutex>

#include "events/draw_document.hpp"
#include "http/beside.hpp"

namespace usher::http {
namespace {

/// Tickets that are read at a time; of a tree, a subtree.
constexpr std::size_t block_tickets = 1024;

using digests = std::vector<merkle::digest>;

std::string hex_of(const merkle::digest& d) { return to_hex(bytes_of(d)); }

/// Throws refusal where there is no such show.
std::optional<projections::draw_view> draw_of(const engine& e, std::string_view show_id) {
  if (!e.views.views().shows.find(show_id)) throw refuse(v1::NOT_FOUND, "There is no such show.");
  return e.views.views().queues.draw(show_id);
}

/// Throws refusal where there is none yet.
draw::facts held_draw(const engine& e, const std::string& show_id) {
  const auto d = draw_of(e, show_id);
  if (!d) throw refuse(v1::NOT_FOUND, "Nothing is drawn for this show.");
  if (!d->drawn) throw refuse(v1::NOT_FOUND, "The draw was not held yet.");
  return {show_id, d->count, d->commitment, d->root, d->secret, d->closed_at_ms, d->drawn_at_ms};
}

std::string_view state_of(const std::optional<projections::draw_view>& d) {
  return !d ? "none" : d->drawn ? "held" : d->entries_closed ? "closed" : "committed";
}

reply show_draw(engine& e, request_context& ctx) {
  const auto show_id = ctx.path_param("id");
  const auto d = draw_of(e, show_id);
  std::string out;
  json_writer json{out};
  json.begin_object().member("showId", show_id).member("state", state_of(d));
  if (d) json.member("commitment", hex_of(d->commitment));
  if (d && d->entries_closed) json.member("closedAt", from_ms(d->closed_at_ms)).member("count", d->count).member("root", hex_of(d->root));
  if (d && d->drawn) json.member("heldAt", from_ms(d->drawn_at_ms)).member("secret", to_hex(d->secret));
  json.end_object();
  co_return json_response(200, std::move(out));
}

/// Up to a block of tickets, from one on.
std::vector<draw::own_ticket> read_block(const engine& e, const std::string& show_id, std::uint64_t from) {
  std::vector<draw::own_ticket> out;
  out.reserve(block_tickets);
  e.views.views().queues.visit_drawn(show_id, from, block_tickets, [&](const projections::drawn_ticket& t) {
    auto& read = out.emplace_back();
    read.number = t.number;
    read.rank = t.rank;
    read.ticket_id = make_ticket_id(show_id, t.number);
    read.user_id = t.user_id;
    read.joined_at_ms = t.joined_at_ms;
  });
  for (auto& t : out) t.leaf = draw::leaf_of(t.number, t.ticket_id, t.user_id, t.joined_at_ms);
  return out;
}

reply show_tickets(engine& e, request_context& ctx, exchange& peer) {
  static constexpr std::string_view type = "application/json";
  const std::string show_id{ctx.path_param("id")};
  const auto facts = held_draw(e, show_id);
  std::string piece;
  json_writer json{piece};
  json.begin_object();
  draw::write_facts(json, facts);
  json.key("tickets").begin_array();
  for (std::uint64_t next = 1; next <= facts.count;) {
    const auto block = read_block(e, show_id, next);
    if (block.empty()) throw std::runtime_error("tickets of the draw of " + show_id + " are missing");
    for (const draw::ticket& t : block) {
      json.begin_object();
      draw::write_ticket(json, t);
      json.end_object();
    }
    next += block.size();
    const bool there = co_await peer.write(type, piece);
    if (!there || e.stopping) co_return problem(v1::SHUTTING_DOWN, "The answer is not whole; read it again.", ctx.request_id);
    piece.clear();
  }
  json.end_array().end_object();
  co_await peer.write(type, piece);
  co_return response{};
}

/// The roots of a draw's blocks, which are subtrees of its tree: with them a proof takes one block, and not all tickets.
/// Kept for the draws that were asked for last; once held, a draw never changes.
class block_roots {
 public:
  asio::awaitable<std::shared_ptr<const digests>> of(engine& e, const draw::facts& facts) {
    auto found = find(facts.show_id);
    if (found) co_return found;
    auto work = make(e, facts);
    co_return co_await beside(e, std::move(work));
  }

 private:
  static constexpr std::size_t draws_max = 16;  // of 32 KB each for 1,000,000 tickets

  std::shared_ptr<const digests> find(std::string_view show_id) const {
    const std::lock_guard lock{mutex_};
    for (const auto& [id, roots] : kept_)
      if (id == show_id) return roots;
    return nullptr;
  }

  void keep(const std::string& show_id, const std::shared_ptr<const digests>& roots) {
    const std::lock_guard lock{mutex_};
    if (kept_.size() == draws_max) kept_.pop_back();
    kept_.emplace_front(show_id, roots);
  }

  asio::awaitable<std::shared_ptr<const digests>> make(const engine& e, draw::facts facts) {
    // Somebody else may have waited for the same.
    if (auto found = find(facts.show_id)) co_return found;
    auto roots = std::make_shared<digests>();
    merkle::frontier whole;
    for (std::uint64_t from = 1; from <= facts.count; from += block_tickets) {
      merkle::frontier block;
      for (const auto& t : read_block(e, facts.show_id, from)) block.add(t.leaf);
      roots->push_back(block.root());
      whole.add(roots->back());
    }
    if (whole.root() != facts.root) throw std::runtime_error("the tickets of the draw of " + facts.show_id + " don't have its root");
    keep(facts.show_id, roots);
    co_return roots;
  }

  mutable std::mutex mutex_;
  std::deque<std::pair<std::string, std::shared_ptr<const digests>>> kept_;  // the newest first
};

/// By the queue's token, or the caller's newest ticket of `?showId=`. Throws refusal.
projections::ticket_view ticket_asked_for(engine& e, request_context& ctx) {
  if (ctx.header("Queue-Token") || ctx.query_param("token")) return ticket_of(e, ctx).ticket;
  const auto show_id = ctx.query_param("showId");
  if (!show_id) throw refuse_field(v1::INVALID_REQUEST, "showId", "Send the queue's token, or say of which show.");
  auto ticket = e.views.views().queues.by_user(*show_id, ctx.caller->user_id, e.clock.now());
  if (!ticket) throw refuse(v1::NOT_FOUND, "There is no ticket of yours.");
  return std::move(*ticket);
}

reply show_proof(engine& e, request_context& ctx, block_roots& known) {
  const auto asked = ticket_asked_for(e, ctx);
  const auto facts = held_draw(e, asked.show_id);
  if (asked.number > facts.count) throw refuse(v1::NOT_FOUND, "This ticket did not take part: it came when the draw's entries were closed.");
  const auto roots = co_await known.of(e, facts);
  const auto place = (asked.number - 1) % block_tickets;
  auto block = read_block(e, asked.show_id, asked.number - place);
  digests leaves;
  for (const auto& t : block) leaves.push_back(t.leaf);
  auto own = std::move(block.at(place));
  own.path = merkle::inclusion_proof(leaves, place);
  const auto above = merkle::inclusion_proof(*roots, (asked.number - 1) / block_tickets);
  own.path.insert(own.path.end(), above.begin(), above.end());
  std::string out;
  json_writer json{out};
  json.begin_object();
  draw::write_facts(json, facts);
  json.key("ticket").begin_object();
  draw::write_ticket(json, own);
  json.end_object().end_object();
  co_return json_response(200, std::move(out));
}

}  // namespace

void add_draw_routes(rows& table, engine& e) {
  const auto known = std::make_shared<block_roots>();
  add(table, e, method::get, "/shows/{id}/draw", {.who = access::anyone}, [&e](request_context& c) { return show_draw(e, c); });
  add_streaming(table, e, method::get, "/shows/{id}/draw/tickets", {.who = access::anyone},
                [&e](request_context& c, exchange& x) { return show_tickets(e, c, x); });
  add(table, e, method::get, "/queue/proof", {}, [&e, known](request_context& c) { return show_proof(e, c, *known); });
}

}  // namespace usher::http
