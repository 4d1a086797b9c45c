#include "cli_past.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "actors/testimony.hpp"
#include "cli_offline.hpp"
#include "cli_progress.hpp"
#include "events/json.hpp"
#include "store/head.hpp"
#include "store/moment.hpp"

namespace usher::cli {
namespace {

/// The query of a target, member by member.
class query {
 public:
  query& with(std::string_view name, const std::string& value) {
    if (value.empty()) return *this;
    text_ += (text_.empty() ? '?' : '&') + std::string{name} + '=' + escaped(value);
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

result<std::uint64_t> index_in(const store::database& db, const std::string& text, const v1::EntityRef& ref) {
  const auto partition = partition_of(ref.group());
  const auto when = text.empty() ? result<store::moment>{store::moment{}} : store::moment_in(db, partition, text, system_wall_clock{}.now());
  if (!when) return when.error();
  auto upto = store::index_at(db, partition, *when);
  if (!upto || *upto != db.durable_end(partition)) return upto;
  // Now means all of it: where the end can't be read, what is known is how it was before.
  if (const auto last = db.last_stored(partition); !last) return last.error();
  return upto;
}

result<actors::testified> witness(const store::database& db, const v1::EntityRef& ref) {
  const auto head = store::stored_head(db, ref);
  if (!head) return head.error();
  const auto show = store::stored_head(db, show_ref(ref.group()));
  if (!show) return show.error();
  actors::testified of{db, ref, *head, *show};
  const auto was = actors::ever_was(of);
  if (!was) return was.error();
  if (!*was) return failure{errc::io_failure, "There never was such an entity."};
  return of;
}

std::string target_of(const std::string& what, const v1::EntityRef& ref) { return "/audit/" + what + '/' + escaped(name_of(ref)); }

/// One for each partition that may have what is wanted, so that damage in one leaves the others to be read.
std::vector<std::unique_ptr<actors::log_reader>> readers_of(const store::database& db, const actors::log_filter& filter) {
  std::vector<std::unique_ptr<actors::log_reader>> out;
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    if (filter.partition && *filter.partition != p) continue;
    if (filter.stream && partition_of(filter.stream->group()) != p) continue;
    auto one = filter;
    one.partition = p;
    out.push_back(std::make_unique<actors::log_reader>(db, std::move(one)));
  }
  return out;
}

std::string time_text(std::optional<std::int64_t> at_ms) { return at_ms ? to_rfc3339(from_ms(*at_ms)) : std::string{}; }

}  // namespace

std::string user_named(const std::string& text) { return text.find('@') == std::string::npos ? text : make_user_id(text); }

std::optional<v1::EntityRef> entity_named(const std::string& text) {
  auto ref = entity_from(text);
  if (!ref) return ref;
  if (ref->kind() == v1::USER || ref->kind() == v1::WALLET) ref->set_group(user_named(ref->group()));
  if (ref->kind() == v1::ALLOWANCE) ref->set_name(user_named(ref->name()));
  return ref;
}

result<past> past::open(const server_flags& flags) {
  past out;
  if (!flags.server.empty() || find_running(flags.data)) {
    auto node = server_of(flags);
    if (!node) return node.error();
    out.node_ = std::move(*node);
    return out;
  }
  auto db = open_offline(flags.data);
  if (!db) return db.error();
  out.db_ = std::move(*db);
  return out;
}

result<std::string> past::ask(const std::string& target) const {
  bench::http_request request;
  request.target = target;
  auto reply = exchange(*node_, std::move(request));
  if (reply.status == 200) return std::move(reply.body);
  auto detail = text_of(object_in(reply.body), "detail");
  if (detail.empty()) detail = reply.status == 0 ? "the node can't be reached: " + reply.body : reply.body;
  return failure{reply.status == 400 ? errc::invalid_argument : errc::io_failure, detail};
}

result<std::string> past::events(const v1::EntityRef& ref, const std::string& as_of, const std::string& cursor, std::size_t limit) const {
  if (node_) return ask(target_of("streams", ref) + query{}.with("asOf", as_of).with("cursor", cursor).with("limit", std::to_string(limit)).text());
  const auto upto = index_in(*db_, as_of, ref);
  if (!upto) return upto.error();
  const auto of = witness(*db_, ref);
  if (!of) return of.error();
  return actors::stream_json(*of, {actors::place_from_cursor(cursor).value_or(actors::stream_place{}), limit, *upto});
}

result<std::string> past::state(const v1::EntityRef& ref, const std::string& as_of) const {
  if (node_) return ask(target_of("state", ref) + query{}.with("asOf", as_of).text());
  const auto upto = index_in(*db_, as_of, ref);
  if (!upto) return upto.error();
  const auto of = witness(*db_, ref);
  if (!of) return of.error();
  auto told = actors::state_json(*of, as_of, *upto);
  if (!told) return told.error();
  if (!*told) return failure{errc::io_failure, "It was not there yet."};
  return std::move(**told);
}

result<std::string> past::difference(const v1::EntityRef& ref, const std::string& from, const std::string& to) const {
  if (node_) return ask(target_of("diff", ref) + query{}.with("from", from).with("to", to).text());
  const auto begin = index_in(*db_, from, ref);
  if (!begin) return begin.error();
  const auto end = index_in(*db_, to, ref);
  if (!end) return end.error();
  const auto of = witness(*db_, ref);
  if (!of) return of.error();
  return actors::diff_json(*of, {from, *begin}, {to.empty() ? "now" : to, *end});
}

result<void> past::read_log(const actors::log_filter& filter, std::uint64_t limit, const std::function<bool(const v1::Record&)>& visit) const {
  if (filter.partition && filter.from > db_->durable_end(*filter.partition))
    if (const auto last = db_->last_stored(*filter.partition); !last) return last.error();
  auto readers = readers_of(*db_, filter);
  std::uint64_t total = 0, done = 0;
  for (const auto& r : readers) total += r->total();
  progress bar{total};
  auto left = limit;
  bool ended = false;
  std::size_t broken = 0;
  for (auto& reader : readers) {
    for (bool more = true; more && !ended;) {
      const auto read = reader->read([&](const v1::Record& record) {
        ended = !visit(record) || --left == 0;
        return !ended;
      });
      if (!read) ++broken, complain(read.error());
      more = read && *read;
      bar.show(std::min(done + reader->done(), total), total);
    }
    done += reader->done();
    reader.reset();
  }
  if (broken == 0) return {};
  return failure{errc::corrupted, std::to_string(broken) + (broken == 1 ? " partition" : " partitions") + " can't be read to the end; all else was looked at"};
}

result<void> past::log(const actors::log_filter& filter, bool follow, std::uint64_t limit, const std::function<bool(const v1::Record&)>& visit) const {
  if (!node_) return read_log(filter, limit, visit);
  query asked;
  if (filter.partition) asked.with("partition", std::to_string(*filter.partition));
  if (filter.from != 1) asked.with("from", std::to_string(filter.from));
  if (filter.stream) asked.with("stream", name_of(*filter.stream));
  asked.with("type", filter.type).with("user", filter.user).with("since", time_text(filter.since_ms)).with("until", time_text(filter.until_ms));
  if (limit != 0) asked.with("limit", std::to_string(limit));
  if (follow) asked.with("follow", "true");
  std::string wrong;
  v1::Record record;
  const auto reply = bench::read_lines(node_->at, "/audit/log" + asked.text(), {{"Authorization", "Bearer " + node_->token}}, [&](std::string_view line) {
    if (line.empty()) return true;  // a follower is told that the node is there
    record.Clear();
    if (const auto faults = from_json(line, record); !faults.empty()) wrong = faults.front().field() + ": " + faults.front().detail();
    return wrong.empty() && visit(record);
  });
  if (!wrong.empty()) return failure{errc::corrupted, "the node's answer can't be read: " + wrong};
  if (reply.status == 200) return {};
  auto detail = text_of(object_in(reply.body), "detail");
  if (detail.empty()) detail = reply.status == 0 ? (follow ? "the node can't be heard any more: " : "the answer broke off: ") + reply.body : reply.body;
  return failure{reply.status == 400 ? errc::invalid_argument : errc::io_failure, detail};
}

}  // namespace usher::cli
