// What others may keep and check: signed checkpoints of the log, and proofs that lead to them.

#include <algorithm>
#include <charconv>

#include "events/api.pb.h"
#include "http/beside.hpp"
#include "http/handlers.hpp"
#include "projections/verification.hpp"
#include "store/proof.hpp"
#include "store/stream.hpp"

namespace usher::http {
namespace {

constexpr std::size_t checkpoints_in_page = 20;  // of up to 20 KB each, read and written on an I/O thread

std::uint64_t number_in(std::string_view text, std::string_view field) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n == 0)
    throw refuse_field(v1::INVALID_REQUEST, std::string{field}, "It has to be a whole number from 1.");
  return n;
}

v1::SignedCheckpoint checkpoint_numbered(const engine& e, std::uint64_t number) {
  auto found = value_of(store::find_checkpoint(e.log, number));
  if (!found) throw refuse(v1::NOT_FOUND, "There is no checkpoint " + std::to_string(number) + '.');
  return std::move(*found);
}

response answer_of(const v1::SignedCheckpoint& c) {
  std::string out;
  json_writer json{out};
  store::write_checkpoint(json, c);
  return json_response(200, std::move(out));
}

reply list_checkpoints(engine& e, request_context& ctx) {
  const auto cursor = cursor_of(ctx);
  const auto behind = cursor.empty() ? 0 : number_in(cursor, "cursor");
  const auto limit = std::min(limit_of(ctx), checkpoints_in_page);
  std::string out, next;
  json_writer json{out};
  json.begin_object().key("items").begin_array();
  std::size_t written = 0;
  std::uint64_t last = 0;
  const auto read = store::each_checkpoint(e.log, behind + 1, [&](std::uint64_t number, const v1::SignedCheckpoint& c) {
    if (written == limit) {
      next = std::to_string(last);
      return false;
    }
    store::write_checkpoint(json, c);
    last = number;
    ++written;
    return true;
  });
  if (!read) throw std::runtime_error(read.error().detail);
  json.end_array().member("nextCursor", next).end_object();
  co_return json_response(200, std::move(out));
}

reply show_checkpoint(engine& e, request_context& ctx) {
  const auto which = ctx.path_param("number");
  if (which != "latest") co_return answer_of(checkpoint_numbered(e, number_in(which, "number")));
  const auto last = value_of(store::last_checkpoint(e.log));
  if (!last) throw refuse(v1::NOT_FOUND, "There is no checkpoint yet.");
  co_return answer_of(*last);
}

reply show_key(engine& e, request_context&) {
  const auto key = value_of(store::kept_public_key(e.log));
  if (!key) throw refuse(v1::NOT_FOUND, "There is no key yet.");
  std::string out;
  json_writer{out}.begin_object().member("algorithm", "Ed25519").member("publicKey", to_hex(*key)).end_object();
  co_return json_response(200, std::move(out));
}

asio::awaitable<result<std::string>> prove_growth(const engine& e, v1::SignedCheckpoint from, v1::SignedCheckpoint to) {
  co_return store::growth_proof(e.log, from, to);
}

reply show_growth(engine& e, request_context& ctx) {
  const auto from = number_in(ctx.query_param("from").value_or(""), "from");
  const auto to = number_in(ctx.query_param("to").value_or(""), "to");
  if (from > to) throw refuse_field(v1::INVALID_REQUEST, "to", "It has to be at or after the other one.");
  auto work = prove_growth(e, checkpoint_numbered(e, from), checkpoint_numbered(e, to));
  auto proof = co_await beside(e, std::move(work));
  co_return json_response(200, value_of(std::move(proof)));
}

/// Waits for a checkpoint where none covers the place yet, for a moment.
asio::awaitable<result<std::string>> prove(const engine& e, log_position at, store::shown how) {
  if (!e.vouch) co_return failure{errc::io_failure, "nothing is signed here"};
  const auto checkpoint = e.vouch(at);
  if (!checkpoint) co_return checkpoint.error();
  co_return store::record_proof(e.log, at, how, *checkpoint);
}

reply answer_proof(engine& e, log_position at, store::shown how) {
  auto work = prove(e, at, how);
  const auto proof = co_await beside(e, std::move(work));
  if (!proof && proof.error().code == errc::io_failure) throw refuse(v1::BUSY, "No checkpoint vouches for this yet: " + proof.error().detail + '.');
  co_return json_response(200, value_of(proof));
}

reply show_record_proof(engine& e, request_context& ctx) {
  const auto index = number_in(ctx.path_param("index"), "index");
  std::uint32_t partition = 0;
  const auto named = ctx.path_param("partition");
  const auto [end, error] = std::from_chars(named.data(), named.data() + named.size(), partition);
  if (error != std::errc{} || end != named.data() + named.size() || partition >= partition_count)
    throw refuse_field(v1::INVALID_REQUEST, "partition", "It has to be a number from 0 to 255.");
  if (index > e.log.durable_end(partition)) throw refuse(v1::NOT_FOUND, "There is no such record.");
  co_return co_await answer_proof(e, {partition, index}, store::shown::whole);
}

/// The record that made the reservation what its owner shows a ticket for, and whether it speaks of nobody else.
struct confirmation {
  log_position at;
  bool is_own = true;
};

/// @param last  the reservation's last record that is known to be on disk
asio::awaitable<std::optional<confirmation>> find_confirmation(const engine& e, std::string id, std::string owner, std::uint64_t last) {
  const auto ref = reservation_ref(id);
  const auto records = value_of(store::read_stream(e.log, ref, last));
  std::optional<confirmation> out;
  std::string holder;
  bool handed_over = false;
  for (const auto& record : records) {
    for (const auto& event : record->events()) {
      if (!store::same_entity(event.stream(), ref)) continue;
      const auto& what = event.reservation();
      if (what.has_placed()) holder = what.placed().user_id();
      if (what.has_transferred()) handed_over = true;
      if (what.has_confirmed() || what.has_late_payment_seated()) out = confirmation{{record->partition(), record->index()}, true};
    }
  }
  if (out) out->is_own = holder == owner && !handed_over;
  co_return out;
}

reply show_reservation_proof(engine& e, request_context& ctx) {
  const std::string id{ctx.path_param("id")};
  if (show_of_reservation(id).empty()) throw refuse(v1::NOT_FOUND, "There is no such reservation.");
  auto entity = reservation_ref(id);
  const auto last = e.index.head(entity).index;  // before waiting for it: what comes later may not be on disk
  co_await up_to_date(e, ctx, std::move(entity));
  const auto view = value_of(e.views.views().reservations.find(id));
  if (!view) throw refuse(v1::NOT_FOUND, "There is no such reservation.");
  const auto& owner = view->state.user_id();
  if (!ctx.caller->may_act_for(owner)) throw refuse(v1::FORBIDDEN, "The reservation is somebody else's.");
  auto search = find_confirmation(e, id, owner, last);
  const auto found = co_await beside(e, std::move(search));
  if (!found) throw refuse(v1::NOT_FOUND, "The reservation was never confirmed, so that there is nothing to prove.");
  const bool may_see = found->is_own || ctx.caller->role != role::user;
  co_return co_await answer_proof(e, found->at, may_see ? store::shown::whole : store::shown::nothing);
}

result<std::string> verify_copy(engine& e, operation_progress& progress) {
  const auto copy = copy_of_log(e);
  if (!copy) return copy.error();
  projections::verify_options options;
  options.data_directory = e.settings.data_directory;
  options.database_directory = (*copy)->directory();
  options.advance = [&progress](std::uint64_t done, std::uint64_t total) {
    progress.expect(total);
    progress.done(done);
    return !progress.cancelled();
  };
  const auto verified = projections::verify(options);
  if (!verified) return verified.error();
  std::string out;
  json_writer json{out};
  projections::write(json, *verified);
  return out;
}

reply start_verify(engine& e, request_context& ctx) {
  static_cast<void>(body_of<v1::VerifyBody>(ctx));
  co_return started(e, "verify", {}, [&e](operation_progress& progress) { return verify_copy(e, progress); });
}

}  // namespace

void add_evidence_routes(rows& table, engine& e) {
  add(table, e, method::get, "/audit/checkpoints", {.who = access::anyone}, [&e](request_context& c) { return list_checkpoints(e, c); });
  add(table, e, method::get, "/audit/checkpoints/{number}", {.who = access::anyone}, [&e](request_context& c) { return show_checkpoint(e, c); });
  add(table, e, method::get, "/audit/key", {.who = access::anyone}, [&e](request_context& c) { return show_key(e, c); });
  add(table, e, method::get, "/audit/proofs/consistency", {.who = access::service}, [&e](request_context& c) { return show_growth(e, c); });
  add(table, e, method::get, "/audit/proofs/records/{partition}/{index}", {.who = access::operator_}, [&e](request_context& c) { return show_record_proof(e, c); });
  add(table, e, method::get, "/reservations/{id}/proof", {}, [&e](request_context& c) { return show_reservation_proof(e, c); });
  add(table, e, method::post, "/admin/verify", {.who = access::operator_}, [&e](request_context& c) { return start_verify(e, c); });
}

}  // namespace usher::http
