// One connection: reads a request, finds its route, lets the handler answer, writes the answer, and begins anew.

#include "http/session.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <array>
#include <charconv>
#include <ctime>

#include "http/problem.hpp"
#include "http/quietly.hpp"
#include "http/request_parser.hpp"
#include "http/socket_connection.hpp"

namespace usher::http {

namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::size_t read_bytes = 4096;
constexpr std::size_t read_body_bytes = 64 * 1024;
constexpr std::size_t joined_body_bytes_max = 16 * 1024;  // a longer body isn't copied behind its header
constexpr std::size_t linger_bytes_max = 1024 * 1024;
constexpr std::size_t kept_body_bytes_max = 64 * 1024;    // memory of a longer body is given back after its request
constexpr std::size_t request_id_max = 64;

bool is_request_id(std::string_view text) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; };
  return !text.empty() && text.size() <= request_id_max && std::ranges::all_of(text, plain);
}

bool is_json(std::string_view content_type) {
  const auto kind = content_type.substr(0, content_type.find(';'));
  return alike(kind.substr(0, kind.find_last_not_of(" \t") + 1), "application/json");
}

bool may(const principal& who, access needed) {
  switch (needed) {
    case access::anyone:
    case access::user: return true;
    case access::service: return who.role != role::user;
    case access::operator_: return who.role == role::operator_;
  }
  return false;
}

}  // namespace

class session final : public std::enable_shared_from_this<session> {
 public:
  session(std::shared_ptr<server::core> core, stream_socket socket) : core_{std::move(core)}, socket_{std::move(socket)} {
    error_code failed;
    const auto peer = socket_.remote_endpoint(failed);
    if (!failed) remote_address_ = peer.address().to_string();
    socket_.non_blocking(true, failed);
  }

  asio::awaitable<void> run();

 private:
  friend struct session_control;

  /// What is known about a request once its header is there.
  struct plan {
    const route* found = nullptr;
    std::size_t index = metrics::no_route;
    std::optional<response> refusal;
  };

  class conversation;

  asio::awaitable<bool> serve_one();
  asio::awaitable<bool> stream(const plan&, request_parser&);
  asio::awaitable<error_code> read_header(request_parser&);
  asio::awaitable<error_code> read_body(request_parser&);
  asio::awaitable<error_code> go_on(request_parser&);
  asio::awaitable<error_code> read_some(request_parser&);
  asio::awaitable<response> ask(const route&, exchange*);
  asio::awaitable<bool> write(const response&, bool keep_alive, bool http_1_0);
  asio::awaitable<void> refuse(error_code);
  asio::awaitable<void> linger();
  asio::awaitable<bool> upgrade();
  void forget_requests();

  void show_request(request_parser&);
  plan judge(const request_parser&, bool well_formed);
  void recognise_caller();
  std::optional<response> refuse_crowd();
  std::optional<response> refuse_caller(const route&) const;
  std::optional<response> refuse_upgrade(bool speaks_ours) const;
  bool wants_upgrade() const;
  response refusal(v1::Code code, std::string_view detail) const { return problem(code, detail, context_.request_id); }
  std::string_view date();
  void write_head(const response&, std::optional<std::size_t> size, bool keep_alive, bool http_1_0);
  void end_after(std::chrono::milliseconds timeout) { *deadline_ticks_ = core_->now_ticks + core_->ticks(timeout); }
  void cut();

  const std::shared_ptr<server::core> core_;
  stream_socket socket_;
  const stream_executor executor_{socket_.get_executor()};
  beast::flat_buffer buffer_;
  request_parser::memory kept_;
  request_context context_;
  const std::uint64_t connection_id_ = ++core_->connection_ids;
  std::string remote_address_;
  std::string token_;                             // the last one, and whom it named, since a connection hardly ever brings another
  std::optional<principal> caller_;
  rate_limits::verdict limits_;                   // on the request under way
  std::string out_;
  std::string date_;
  std::int64_t date_of_second_ = -1;
  const session_deadline deadline_ticks_ = std::make_shared<std::atomic<std::uint32_t>>(0);
  bool first_ = true;
  bool idle_ = false;                             // between two requests
  bool is_websocket_ = false;
  std::shared_ptr<socket_connection> upgraded_;   // from then on the socket is its
};

namespace {

/// A session's entry among the open ones. It keeps the session alive until it has left.
class membership {
 public:
  membership(std::shared_ptr<server::core> core, std::shared_ptr<session> s) : core_{std::move(core)}, session_{std::move(s)} {
    core_->add(*session_);
    core_->parts.metrics.connection_opened();
  }
  membership(membership&&) noexcept = default;
  membership& operator=(membership&&) = delete;
  ~membership() {
    if (!session_) return;
    core_->parts.metrics.connection_closed();
    core_->remove(*session_);
  }
  session& member() { return *session_; }

 private:
  std::shared_ptr<server::core> core_;
  std::shared_ptr<session> session_;
};

asio::awaitable<void> run_member(membership m) { co_await m.member().run(); }

}  // namespace

void start_session(std::shared_ptr<server::core> core, stream_socket socket) {
  const auto executor = socket.get_executor();
  membership member{core, std::make_shared<session>(core, std::move(socket))};
  asio::co_spawn(executor, run_member(std::move(member)), [](std::exception_ptr failed) {
    if (!failed) return;
    try {
      std::rethrow_exception(failed);
    } catch (const std::exception& e) {
      spdlog::error("event=session_failed detail=\"{}\"", e.what());
    }
  });
}

asio::awaitable<void> session::run() {
  while (co_await serve_one()) {
  }
  if (is_websocket_) {
    forget_requests();
    co_return co_await upgraded_->run();
  }
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

asio::awaitable<bool> session::serve_one() {
  context_.clear();
  limits_ = {};
  if (context_.body.capacity() > kept_body_bytes_max) context_.body = {};
  request_parser parser{kept_, context_, core_->settings.header_bytes_max};
  if (const auto failed = co_await read_header(parser)) {
    co_await refuse(failed);
    co_return false;
  }
  show_request(parser);
  const bool well_formed = context_.parse_target(context_.target);
  if (well_formed && wants_upgrade()) {
    is_websocket_ = co_await upgrade();  // served by run, when all that this request took is given back
    co_return false;
  }
  auto plan = judge(parser, well_formed);
  if (plan.refusal && parser.expects_body()) {  // the body isn't wanted any more, and so the connection can't go on
    core_->parts.metrics.answered(plan.index, plan.refusal->status, {});
    if (co_await write(*plan.refusal, false, parser.http_1_0())) co_await linger();
    co_return false;
  }
  if (!plan.refusal && std::holds_alternative<streaming_handler>(plan.found->handler)) co_return co_await stream(plan, parser);
  if (!plan.refusal && parser.expects_body()) {
    parser.body_limit(plan.found->options.body_limit_bytes);
    if (const auto failed = co_await read_body(parser)) {
      co_await refuse(failed);
      co_return false;
    }
  }
  *deadline_ticks_ = 0;  // a handler keeps its own time
  const auto started = std::chrono::steady_clock::now();
  response answer;
  if (plan.refusal) {
    answer = std::move(*plan.refusal);
  } else {
    answer = co_await ask(*plan.found, nullptr);
  }
  core_->parts.metrics.answered(plan.index, answer.status, std::chrono::steady_clock::now() - started);
  const bool keep_alive = parser.keep_alive() && !core_->stopping;
  if (!co_await write(answer, keep_alive, parser.http_1_0())) co_return false;
  if (!keep_alive && buffer_.size() > 0) co_await linger();
  co_return keep_alive;
}

asio::awaitable<error_code> session::read_header(request_parser& parser) {
  idle_ = buffer_.size() == 0;
  end_after(first_ || !idle_ ? core_->settings.header_timeout : core_->settings.idle_timeout);
  first_ = false;
  if (idle_ && core_->stopping) co_return asio::error::operation_aborted;
  for (;;) {
    error_code failed;
    if (buffer_.size() > 0) {
      buffer_.consume(parser.put(buffer_.data(), failed));
      if (failed && failed != beast::http::error::need_more) co_return failed;
      if (parser.is_header_done()) break;
    }
    const auto [read_failed, size] = co_await socket_.async_read_some(buffer_.prepare(read_bytes), quietly);
    if (read_failed) co_return read_failed;
    if (idle_) end_after(core_->settings.header_timeout);
    idle_ = false;
    buffer_.commit(size);
  }
  idle_ = false;
  co_return error_code{};
}

asio::awaitable<error_code> session::read_body(request_parser& parser) {
  end_after(core_->settings.body_timeout);
  if (const auto failed = co_await go_on(parser)) co_return failed;
  while (!parser.is_done()) {
    if (const auto failed = co_await read_some(parser)) co_return failed;
  }
  co_return error_code{};
}

/// Lets the body come, to a peer that waits to be told.
asio::awaitable<error_code> session::go_on(request_parser& parser) {
  parser.eager(true);
  if (buffer_.size() > 0 || !alike(context_.header("Expect").value_or(""), "100-continue")) co_return error_code{};
  static constexpr std::string_view word = "HTTP/1.1 100 Continue\r\n\r\n";
  const auto [failed, size] = co_await asio::async_write(socket_, asio::buffer(word), quietly);
  co_return failed;
}

/// Parses what is there of the body, or waits for more of it.
asio::awaitable<error_code> session::read_some(request_parser& parser) {
  error_code failed;
  if (buffer_.size() > 0) {
    buffer_.consume(parser.put(buffer_.data(), failed));
    if (failed != beast::http::error::need_more) co_return failed;
  }
  const auto [read_failed, size] = co_await socket_.async_read_some(buffer_.prepare(read_body_bytes), quietly);
  buffer_.commit(size);
  co_return read_failed;
}

/// The two directions of a streaming request.
class session::conversation final : public exchange {
 public:
  conversation(session& of, request_parser& parser) : of_{of}, parser_{parser} {}

  asio::awaitable<std::string_view> read() override {
    auto& body = of_.context_.body;
    body.clear();
    of_.end_after(of_.core_->settings.body_timeout);
    if (!std::exchange(reading_, true)) {
      const auto failed = co_await of_.go_on(parser_);
      if (failed) throw boost::system::system_error{failed};
    }
    while (body.empty() && !ended()) {
      const auto failed = co_await of_.read_some(parser_);
      if (failed) throw boost::system::system_error{failed};
    }
    *of_.deadline_ticks_ = 0;
    co_return body;
  }

  asio::awaitable<bool> write(std::string_view type, std::string_view piece) override {
    of_.out_.clear();
    if (!std::exchange(begun_, true)) {
      response head;
      head.content_type = type;
      of_.write_head(head, std::nullopt, keep_alive(), parser_.http_1_0());
    }
    append(piece);
    co_return co_await send();
  }

  [[nodiscard]] bool begun() const { return begun_; }
  /// Whether the body has been read to its end.
  [[nodiscard]] bool ended() const { return !parser_.expects_body() || parser_.is_done(); }
  [[nodiscard]] bool keep_alive() const { return parser_.keep_alive() && !parser_.http_1_0() && !of_.core_->stopping; }

  /// The last chunk.
  asio::awaitable<bool> finish() {
    of_.out_ = parser_.http_1_0() ? "" : "0\r\n\r\n";
    co_return co_await send();
  }

 private:
  void append(std::string_view piece) {
    if (parser_.http_1_0()) {
      of_.out_.append(piece);
    } else if (!piece.empty()) {  // an empty chunk is the last one
      fmt::format_to(std::back_inserter(of_.out_), "{:x}\r\n{}\r\n", piece.size(), piece);
    }
  }

  asio::awaitable<bool> send() {
    of_.end_after(of_.core_->settings.write_timeout);
    const auto [failed, size] = co_await asio::async_write(of_.socket_, asio::buffer(of_.out_), quietly);
    *of_.deadline_ticks_ = 0;
    co_return !failed;
  }

  session& of_;
  request_parser& parser_;
  bool reading_ = false;
  bool begun_ = false;
};

asio::awaitable<bool> session::stream(const plan& plan, request_parser& parser) {
  *deadline_ticks_ = 0;
  conversation talk{*this, parser};
  const auto started = std::chrono::steady_clock::now();
  const auto answer = co_await ask(*plan.found, &talk);
  core_->parts.metrics.answered(plan.index, talk.begun() ? 200 : answer.status, std::chrono::steady_clock::now() - started);
  const bool keep_alive = talk.keep_alive() && talk.ended();
  if (talk.begun() && answer.status >= 400) co_return false;  // without the last chunk, so that the peer sees it is not whole
  bool sent = false;
  if (talk.begun()) {
    sent = co_await talk.finish();
  } else {
    sent = co_await write(answer, keep_alive, parser.http_1_0());
  }
  if (sent && !keep_alive) co_await linger();
  co_return sent && keep_alive;
}

void session::show_request(request_parser& parser) {
  parser.show_header();
  context_.connection_id = connection_id_;
  const auto given = context_.header("Request-Id");
  if (given && is_request_id(*given)) {
    context_.request_id = *given;
  } else {
    context_.request_id = core_->new_request_id();
  }
}

session::plan session::judge(const request_parser& parser, bool well_formed) {
  plan out;
  if (!well_formed) {
    out.refusal = refusal(v1::INVALID_REQUEST, "The target of the request isn't well formed.");
    return out;
  }
  if (!parser.http_1_0() && !context_.header("Host")) {
    out.refusal = refusal(v1::INVALID_REQUEST, "The header Host is missing.");
    return out;
  }
  auto match = core_->parts.routes.find(context_);
  out.found = match.found;
  if (out.found != nullptr) out.index = match.index;
  recognise_caller();
  if (out.found == nullptr || out.found->options.counted) out.refusal = refuse_crowd();
  if (out.refusal) return out;
  if (out.found == nullptr) {
    out.refusal = match.allow.empty() ? refusal(v1::NOT_FOUND, "There is nothing under this path.")
                                      : refusal(v1::METHOD_NOT_ALLOWED, "This path has " + match.allow + ".");
    if (!match.allow.empty()) out.refusal->with("Allow", std::move(match.allow));
    return out;
  }
  out.refusal = refuse_caller(*match.found);
  if (out.refusal) return out;
  if (std::holds_alternative<streaming_handler>(match.found->handler)) {
    if (context_.head) {
      out.refusal = refusal(v1::METHOD_NOT_ALLOWED, "A stream has no HEAD.");
      out.refusal->with("Allow", "GET");
    }
    return out;
  }
  const auto& options = match.found->options;
  if (parser.content_length().value_or(0) > options.body_limit_bytes) {
    out.refusal = refusal(v1::BODY_TOO_LARGE, "The body may have " + std::to_string(options.body_limit_bytes) + " bytes.");
  } else if (!options.raw_body && parser.expects_body() && !is_json(context_.header("Content-Type").value_or("application/json"))) {
    out.refusal = refusal(v1::UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.");
  }
  return out;
}

void session::recognise_caller() {
  const auto token = context_.header("Authorization");
  if (!token) return;
  const auto now = core_->parts.clock.now();
  if (*token != token_ || !caller_ || now >= caller_->expires_at) {
    caller_ = core_->parts.tokens.caller(*token, now);
    token_ = *token;
  }
  context_.caller = caller_;
}

/// Counts the request, before anything is done for it. What services and operators ask counts for nobody.
std::optional<response> session::refuse_crowd() {
  if (!core_->limits.any() || (context_.caller && context_.caller->role != role::user)) return std::nullopt;
  const auto user_id = context_.caller ? std::string_view{context_.caller->user_id} : std::string_view{};
  limits_ = core_->limits.judge(user_id, remote_address_, context_.headers, core_->parts.clock.now());
  if (limits_.refused_by.empty()) return std::nullopt;
  core_->parts.metrics.limited(limits_.refused_by);
  auto out = refusal(v1::RATE_LIMITED, fmt::format("This {} may send {} requests a minute. Come back in {} s.", limits_.refused_by,
                                                   limits_.quota, limits_.retry_in.count()));
  out.with("Retry-After", std::to_string(limits_.retry_in.count()));
  return out;
}

std::optional<response> session::refuse_caller(const route& row) const {
  if (row.options.who == access::anyone) return std::nullopt;
  if (!context_.caller) return refusal(v1::UNAUTHENTICATED, "Send a valid token as Authorization: Bearer.");
  if (!may(*context_.caller, row.options.who)) return refusal(v1::FORBIDDEN, "The role of this token isn't allowed to do this.");
  return std::nullopt;
}

asio::awaitable<response> session::ask(const route& row, exchange* talk) {
  std::string defect;
  try {
    if (talk != nullptr) co_return co_await std::get<streaming_handler>(row.handler)(context_, *talk);
    co_return co_await std::get<handler>(row.handler)(context_);
  } catch (const http::refusal& r) {
    co_return problem(r.rejection, context_.request_id);
  } catch (const boost::system::system_error& gone) {
    if (talk != nullptr) co_return refusal(v1::INVALID_REQUEST, gone.what());
    defect = gone.what();
  } catch (const std::exception& e) {
    defect = e.what();
  }
  spdlog::error("event=handler_threw route={} request_id={} detail=\"{}\"", row.pattern, context_.request_id, defect);
  co_return internal_problem(context_.request_id);
}

std::string_view session::date() {
  const auto now = std::chrono::floor<std::chrono::seconds>(core_->parts.clock.now()).time_since_epoch().count();
  if (now != date_of_second_) {
    date_of_second_ = now;
    const std::time_t seconds = now;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 40> text{};
    date_.assign(text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }
  return date_;
}

namespace {

void append_number(std::string& out, std::size_t number) {
  std::array<char, 24> digits{};
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

/// A header line; control characters in the value are left out, so that a value can't begin a line of its own.
void append_header(std::string& out, std::string_view name, std::string_view value) {
  const auto plain = [](unsigned char c) { return c >= 0x20 && c != 0x7f; };
  out.append(name).append(": ");
  if (std::ranges::all_of(value, plain)) {
    out.append(value);
  } else {
    std::ranges::copy_if(value, std::back_inserter(out), plain);
  }
  out.append("\r\n");
}

}  // namespace

/// Without a size the body comes in chunks, or to an older peer until the connection ends.
void session::write_head(const response& answer, std::optional<std::size_t> size, bool keep_alive, bool http_1_0) {
  const bool bodiless = answer.status == 204 || answer.status == 304;
  const auto reason = beast::http::obsolete_reason(beast::http::int_to_status(answer.status));
  out_.assign("HTTP/1.1 ");
  append_number(out_, answer.status);
  out_.append(" ").append(reason.data(), reason.size()).append("\r\n");
  if (!bodiless) {
    if (!answer.content_type.empty()) out_.append("Content-Type: ").append(answer.content_type).append("\r\n");
    if (size) {
      out_.append("Content-Length: ");
      append_number(out_, *size);
      out_.append("\r\n");
    } else {
      out_.append(http_1_0 ? "Cache-Control: no-store\r\n" : "Cache-Control: no-store\r\nTransfer-Encoding: chunked\r\n");
    }
  }
  out_.append("Date: ").append(date()).append("\r\n");
  if (!context_.request_id.empty()) out_.append("Request-Id: ").append(context_.request_id).append("\r\n");
  if (!limits_.policy.empty()) {
    append_header(out_, "RateLimit-Policy", limits_.policy);
    append_header(out_, "RateLimit", limits_.state);
  }
  for (const auto& [name, value] : answer.headers) append_header(out_, name, value);
  if (!keep_alive) {
    out_.append("Connection: close\r\n");
  } else if (http_1_0) {
    out_.append("Connection: keep-alive\r\n");
  }
  out_.append("\r\n");
}

asio::awaitable<bool> session::write(const response& answer, bool keep_alive, bool http_1_0) {
  end_after(core_->settings.write_timeout);
  const auto body = answer.text();
  const bool bodiless = answer.status == 204 || answer.status == 304 || context_.head;
  write_head(answer, body.size(), keep_alive, http_1_0);
  if (bodiless || body.size() <= joined_body_bytes_max) {
    if (!bodiless) out_.append(body);
    error_code would_block;  // hardly ever: most answers fit into the socket's buffer, and then there is nothing to wait for
    const auto sent = socket_.write_some(asio::buffer(out_), would_block);
    if (sent == out_.size()) co_return true;
    const auto [failed, size] = co_await asio::async_write(socket_, asio::buffer(out_) + sent, quietly);
    co_return !failed;
  }
  const std::array<asio::const_buffer, 2> both{asio::buffer(out_), asio::buffer(body)};
  const auto [failed, size] = co_await asio::async_write(socket_, both, quietly);
  co_return !failed;
}

asio::awaitable<void> session::refuse(error_code failed) {
  if (failed.category() != beast::http::make_error_code(beast::http::error::end_of_stream).category()) co_return;  // no peer any more
  if (context_.request_id.empty()) context_.request_id = core_->new_request_id();
  context_.head = false;
  const auto answer = failed == beast::http::error::header_limit ? refusal(v1::HEADER_TOO_LARGE, "The header is too large.")
                      : failed == beast::http::error::body_limit ? refusal(v1::BODY_TOO_LARGE, "The body is too large.")
                                                                 : refusal(v1::INVALID_REQUEST, "This isn't well formed HTTP.");
  core_->parts.metrics.answered(metrics::no_route, answer.status, {});
  if (co_await write(answer, false, false)) co_await linger();
}

/// Reads what the peer still sends, for otherwise the system resets the connection and the peer may never see the answer.
asio::awaitable<void> session::linger() {
  error_code failed;
  socket_.shutdown(tcp::socket::shutdown_send, failed);
  end_after(std::min(core_->settings.header_timeout, std::chrono::milliseconds{2000}));
  for (std::size_t seen = 0; !failed && seen < linger_bytes_max;) {
    buffer_.consume(buffer_.size());
    const auto [read_failed, size] = co_await socket_.async_read_some(buffer_.prepare(read_body_bytes), quietly);
    failed = read_failed;
    seen += size;
  }
}

bool session::wants_upgrade() const {
  return core_->parts.sockets != nullptr && context_.path == core_->parts.socket_path && context_.method == method::get &&
         alike(context_.header("Upgrade").value_or(""), "websocket");
}

namespace {

/// nullopt where the client offers protocols, but not ours; else whether it offers any.
std::optional<bool> offers_subprotocol(const request_context& context, std::string_view ours) {
  const auto offered = context.header("Sec-WebSocket-Protocol");
  if (!offered) return false;
  for (auto rest = *offered;;) {
    const auto comma = rest.find(',');
    auto one = rest.substr(0, comma);
    one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
    one = one.substr(0, one.find_last_not_of(" \t") + 1);
    if (one == ours) return true;
    if (comma == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace

std::optional<response> session::refuse_upgrade(bool speaks_ours) const {
  if (core_->stopping) return refusal(v1::SHUTTING_DOWN, "This node is stopping.");
  if (context_.header("Authorization") && !context_.caller) return refusal(v1::UNAUTHENTICATED, "The token isn't valid.");
  if (!speaks_ours) return refusal(v1::INVALID_REQUEST, "Offer the subprotocol usher.v1.");
  if (buffer_.size() > 0) return refusal(v1::INVALID_REQUEST, "Nothing may be sent before the upgrade is answered.");
  return std::nullopt;
}

/// @return whether the connection is a WebSocket now
asio::awaitable<bool> session::upgrade() {
  recognise_caller();
  const auto offered = offers_subprotocol(context_, core_->settings.websocket.subprotocol);
  auto no = refuse_crowd();
  if (!no) no = refuse_upgrade(offered.has_value());
  if (no) {
    if (co_await write(*no, false, false)) co_await linger();
    co_return false;
  }
  socket_connection::upgrade_request request{beast::http::verb::get, beast::string_view{context_.target.data(), context_.target.size()}, 11};
  for (const auto& [name, value] : context_.headers) {
    request.insert(beast::string_view{name.data(), name.size()}, beast::string_view{value.data(), value.size()});
  }
  *deadline_ticks_ = 0;
  upgraded_ = std::make_shared<socket_connection>(core_, std::move(socket_), deadline_ticks_, context_.caller);
  co_return co_await upgraded_->accept(std::move(request), *offered);
}

void session::forget_requests() {
  context_ = {};
  kept_ = {};
  token_ = {};
  out_ = {};
  date_ = {};
  caller_.reset();
  buffer_.shrink_to_fit();
}

void session::cut() {
  error_code ignored;
  if (upgraded_) {
    upgraded_->cut();
  } else {
    socket_.close(ignored);
  }
}

// A session is looked at by its pointer under core.mutex, which its membership needs to leave; so it is alive here. The reference that
// is taken always moves on to the session's thread, so the last one never ends under the mutex.

void session_control::sweep(session& s, std::uint32_t now_ticks) {
  const auto due = [now_ticks](std::uint32_t at) { return at != 0 && now_ticks >= at; };
  if (!due(*s.deadline_ticks_)) return;
  asio::post(s.executor_, [self = s.shared_from_this(), due] {
    if (due(*self->deadline_ticks_)) self->cut();
  });
}

void session_control::wind_down(session& s) {
  asio::post(s.executor_, [self = s.shared_from_this()] {
    if (self->upgraded_) {
      self->upgraded_->close(close_restarting, "restarting");
    } else if (self->idle_) {
      self->cut();
    }
  });
}

void session_control::cut(session& s) {
  asio::post(s.executor_, [self = s.shared_from_this()] { self->cut(); });
}

}  // namespace usher::http
