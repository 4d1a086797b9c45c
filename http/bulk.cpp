// Users by the million: lines of JSON in, lines of JSON out, and never more than a batch of them in memory.

#include "http/sign_up.hpp"

namespace usher::http {
namespace {

constexpr std::size_t line_bytes_max = 16 * 1024;
constexpr std::size_t batch_lines = 256;               // decided at the same time
constexpr std::uint64_t report_every_lines = 10'000;
constexpr std::chrono::seconds report_every{1};

/// Cuts what a peer sends into lines. The last one needs no line feed.
class line_reader {
 public:
  explicit line_reader(exchange& from) : from_{from} {}

  /// Whether the next line has to be waited for.
  [[nodiscard]] bool is_empty() const { return rest_.empty(); }

  struct line {
    std::string text;
    bool too_long = false;
  };
  /// @return nullopt at the end
  asio::awaitable<std::optional<line>> next() {
    line out;
    for (;;) {
      if (rest_.empty()) rest_ = co_await from_.read();
      if (rest_.empty()) break;
      const auto end = rest_.find('\n');
      const auto part = rest_.substr(0, end);
      out.too_long = out.too_long || out.text.size() + part.size() > line_bytes_max;
      if (out.too_long) out.text.clear();
      else out.text.append(part);
      rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
      begun_ = end == std::string_view::npos;
      if (!begun_) co_return out;
    }
    if (!std::exchange(begun_, false)) co_return std::nullopt;
    co_return out;
  }

 private:
  exchange& from_;
  std::string_view rest_;
  bool begun_ = false;  // a line whose end has not come
};

struct tally {
  std::uint64_t lines = 0;
  std::uint64_t created = 0;
  std::uint64_t existing = 0;
  std::uint64_t failed = 0;
};

void write_tally(std::string& out, const tally& t, bool done) {
  json_writer{out}.begin_object().member("lines", t.lines).member("created", t.created).member("existing", t.existing)
      .member("failed", t.failed).member("done", done).end_object();
  out += '\n';
}

/// Takes the lines in, decides them, and says what is wrong with which.
class import {
 public:
  import(engine& e, request_context& ctx) : engine_{e}, context_{ctx} {}

  asio::awaitable<void> take(line_reader::line line) {
    ++tally_.lines;
    if (line.text.ends_with('\r')) line.text.pop_back();
    if (line.text.empty() && !line.too_long) co_return;
    v1::Rejection rejection;
    try {
      auto r = co_await command_of(line);
      batch_.push_back({tally_.lines, std::move(r)});
      co_return;
    } catch (refusal& r) {
      rejection = std::move(r.rejection);
    }
    fail(tally_.lines, rejection);
  }

  [[nodiscard]] bool full() const { return batch_.size() >= batch_lines; }

  asio::awaitable<void> decide() {
    if (batch_.empty()) co_return;
    std::vector<actors::request_ptr> requests;
    for (const auto& b : batch_) requests.push_back(b.request);
    const auto answers = co_await engine_.ask.ask_all(std::move(requests), wait_of(engine_, context_));
    for (std::size_t i = 0; i < answers.size(); ++i) count(batch_[i].line, answers[i]);
    batch_.clear();
  }

  /// What there is to say since the last time; a count with it once enough was done or enough time has passed.
  std::string report() {
    const auto now = std::chrono::steady_clock::now();
    if (tally_.lines - reported_lines_ >= report_every_lines || now - reported_at_ >= report_every) {
      reported_lines_ = tally_.lines;
      reported_at_ = now;
      write_tally(out_, tally_, false);
    }
    return std::exchange(out_, {});
  }
  std::string last_report() {
    write_tally(out_, tally_, true);
    return std::exchange(out_, {});
  }

 private:
  asio::awaitable<actors::request_ptr> command_of(const line_reader::line& line) {
    if (line.too_long) throw refuse(v1::BODY_TOO_LARGE, "A line may have " + std::to_string(line_bytes_max) + " bytes.");
    v1::SignUpBody body;
    if (auto faults = from_json(line.text, body); !faults.empty()) throw refuse(std::move(faults));
    auto r = co_await sign_up_request(engine_, context_, std::move(body));
    r->idempotency_key.clear();  // of the whole request; a line that comes again finds its user
    co_return r;
  }

  void count(std::uint64_t line, const actors::answer& a) {
    if (!a.rejection) ++tally_.created;
    else if (a.rejection->code() == v1::ALREADY_EXISTS) ++tally_.existing;
    else fail(line, *a.rejection);
  }

  void fail(std::uint64_t line, const v1::Rejection& why) {
    ++tally_.failed;
    json_writer json{out_};
    json.begin_object().member("line", line).member("code", kind_of(why.code()).code).member("detail", why.detail());
    json.key("faults").begin_array();
    for (const auto& f : why.faults()) json.begin_object().member("field", f.field()).member("detail", f.detail()).end_object();
    json.end_array().end_object();
    out_ += '\n';
  }

  struct pending {
    std::uint64_t line;
    actors::request_ptr request;
  };
  engine& engine_;
  request_context& context_;
  tally tally_;
  std::vector<pending> batch_;
  std::string out_;
  std::uint64_t reported_lines_ = 0;
  std::chrono::steady_clock::time_point reported_at_ = std::chrono::steady_clock::now();
};

}  // namespace

reply sign_up_many(engine& e, request_context& ctx, exchange& peer) {
  static constexpr std::string_view type = "application/x-ndjson";
  if (!ctx.header("Content-Type").value_or(type).starts_with(type))
    throw refuse(v1::UNSUPPORTED_MEDIA_TYPE, "Send lines of JSON as application/x-ndjson.");
  line_reader lines{peer};
  import users{e, ctx};
  for (;;) {
    if (e.stopping) co_return problem(v1::SHUTTING_DOWN, "The node is stopping; send the rest again.", ctx.request_id);
    // Whoever sends slowly is told of all lines so far before more of them are waited for.
    if (users.full() || lines.is_empty()) {
      co_await users.decide();
      const auto said = users.report();
      bool there = true;
      if (!said.empty()) there = co_await peer.write(type, said);
      if (!there) co_return problem(v1::INVALID_REQUEST, "The answer is not read.", ctx.request_id);
    }
    auto line = co_await lines.next();
    if (!line) break;
    co_await users.take(std::move(*line));
  }
  co_await users.decide();
  const auto said = users.last_report();
  co_await peer.write(type, said);
  co_return response{};
}

}  // namespace usher::http
