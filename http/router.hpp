#pragma once
// What a route is: a row of a table that joins a method and a path to a coroutine, and what that coroutine is given and gives back.
// No Beast in here, so that those who write routes compile fast.

#include <boost/asio/awaitable.hpp>
#include <boost/container/small_vector.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "http/auth.hpp"

namespace usher::http {

namespace asio = boost::asio;

/// HEAD is served by the GET route, without its body. `other` is whatever no route can have.
enum class method : std::uint8_t { get, post, put, patch, delete_, other };
std::string_view word_of(method);

/// Whether two names of headers, or words in them, are the same but for upper and lower case (ASCII).
bool alike(std::string_view, std::string_view);

/// One header of an answer. `name` must outlive the response: a literal.
struct header {
  std::string_view name;
  std::string value;
};

/// What a handler answers. Content-Length, Request-Id, Connection and Date are added by the session.
struct response {
  unsigned status = 200;
  std::string_view content_type = "application/json";  ///< outlives the response: a literal; empty: none is sent
  boost::container::small_vector<header, 4> headers{};
  std::variant<std::string, std::shared_ptr<const std::string>> body{};  ///< the shared form is for answers served to many

  [[nodiscard]] std::string_view text() const;
  response& with(std::string_view name, std::string value) & { headers.push_back({name, std::move(value)}); return *this; }
  response&& with(std::string_view name, std::string value) && { headers.push_back({name, std::move(value)}); return std::move(*this); }
};

/// An answer with a JSON body that is already written.
response json_response(unsigned status, std::string body);
/// 204 without a body.
response no_content();

/// One request, for as long as its handler runs. All views point into it.
class request_context {
 public:
  using pairs = boost::container::small_vector<std::pair<std::string_view, std::string_view>, 8>;

  http::method method = http::method::get;
  bool head = false;               ///< HEAD: served as GET, the session leaves the body away
  std::string_view target;         ///< as it was sent
  std::string_view path;           ///< not decoded, without the query and the prefix /v1
  std::string_view query;          ///< not decoded, without the question mark
  std::string body;
  std::optional<principal> caller; ///< whoever the bearer token says; always there on a route that isn't public
  std::string request_id;          ///< the caller's Request-Id where it is well formed, else a new one
  std::uint64_t connection_id = 0; ///< unique among the connections of this process

  /// A parameter of the path, decoded. The name must be in the route's pattern; a bug otherwise.
  [[nodiscard]] std::string_view path_param(std::string_view name) const;
  /// A parameter of the query, decoded; nullopt where it isn't there. The first one of several counts.
  [[nodiscard]] std::optional<std::string_view> query_param(std::string_view name) const;
  /// A header's value; names are compared without case. nullopt where it isn't there.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;

  [[nodiscard]] std::optional<std::string_view> idempotency_key() const { return header("Idempotency-Key"); }
  [[nodiscard]] std::optional<std::string_view> traceparent() const { return header("traceparent"); }
  /// `Prefer: wait=N`, at most 30 s; nullopt where it isn't there or is no number.
  [[nodiscard]] std::optional<std::chrono::seconds> prefer_wait() const;

  pairs headers;      ///< as they came, in their order
  pairs path_params;  ///< set by the router
  pairs query_params; ///< set by parse_target

  /// Splits `target` into path and query_params. @return false where it isn't well formed (a bad %-escape, no leading slash)
  [[nodiscard]] bool parse_target(std::string_view target);
  /// A decoded copy that lives as long as the context, or `text` itself where nothing was to decode; nullopt for a bad escape.
  std::optional<std::string_view> decoded(std::string_view text, bool plus_is_space);
  /// Forgets everything, so that the next request of the connection reuses the memory.
  void clear();

 private:
  std::deque<std::string> decoded_;
};

/// A handler runs on its connection's thread and may suspend, but not block. The context lives until it returns.
/// A rejection is answered (problem.hpp), or thrown as `refusal`.
using handler = std::function<asio::awaitable<response>(request_context&)>;

/// A body that comes, and an answer that leaves, piece by piece, in memory that does not grow with either. On the connection's thread.
class exchange {
 public:
  virtual ~exchange() = default;

  /// The next piece of the body, valid until the next call; empty at the body's end.
  /// Throws boost::system::system_error where the peer is gone, too slow, or sends what is no HTTP.
  virtual asio::awaitable<std::string_view> read() = 0;
  /// Sends a piece of the answer; the first call sends the head before it, with `type` and status 200.
  /// @return false where the peer is gone or takes nothing: end
  virtual asio::awaitable<bool> write(std::string_view type, std::string_view piece) = 0;
};

/// A handler of a long body or a long answer. What it returns is answered where it has written nothing. Else a status of
/// 400 and more cuts the answer off, so that the peer sees that it is not whole.
using streaming_handler = std::function<asio::awaitable<response>(request_context&, exchange&)>;

/// Who may call a route.
enum class access : std::uint8_t {
  anyone,     ///< no token needed; one that is valid sets `caller`, one that isn't is ignored
  user,       ///< any valid access token
  service,    ///< the roles service and operator
  operator_,  ///< the role operator
};

struct route_options {
  std::size_t body_limit_bytes = 16 * 1024;  ///< more is answered with 413
  access who = access::user;
  bool raw_body = false;                     ///< any content type is accepted, not only application/json
  bool counted = true;                       ///< counts towards the limits of requests a minute
};

/// A row of the table. Pattern: segments, each a word or `{name}`; the last may be `{name...}` and takes the rest, slashes too.
struct route {
  http::method method;
  std::string pattern;  ///< without /v1: every path is served with and without it
  route_options options;
  std::variant<http::handler, streaming_handler> handler;  ///< a streaming one reads its body itself: no limit, any content type
};

/// Finds the row for a request. Immutable after it is made, so any thread may ask it. Words win over parameters.
class router {
 public:
  explicit router(std::vector<route> routes);  ///< two rows alike, or a pattern that isn't well formed, are a bug
  ~router();
  router(router&&) noexcept;
  router& operator=(router&&) noexcept;

  struct match {
    const route* found = nullptr;
    std::size_t index = 0;     ///< of `found` in routes()
    std::string allow;         ///< where the path is known but not for this method: the value of `Allow`
  };
  /// Sets `context.path_params` where a row was found. `context` has its method and path.
  [[nodiscard]] match find(request_context& context) const;

  [[nodiscard]] const std::vector<route>& routes() const { return routes_; }

 private:
  struct node;
  std::vector<route> routes_;
  std::unique_ptr<node> root_;
};

}  // namespace usher::http
