#pragma once
// A request as it comes off the wire, into memory that its connection keeps.

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/verb.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "http/router.hpp"

namespace usher::http {

inline method method_of(boost::beast::http::verb v) {
  switch (v) {
    case boost::beast::http::verb::get:
    case boost::beast::http::verb::head: return method::get;
    case boost::beast::http::verb::post: return method::post;
    case boost::beast::http::verb::put: return method::put;
    case boost::beast::http::verb::patch: return method::patch;
    case boost::beast::http::verb::delete_: return method::delete_;
    default: return method::other;
  }
}

/// Keeps a request's header in one piece of memory that lives on from request to request, and its body in the context's string.
class request_parser final : public boost::beast::http::basic_parser<true> {
 public:
  struct span {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
  };
  /// The memory of a connection.
  struct memory {
    std::string text;
    std::vector<std::pair<span, span>> fields;
    span target;
  };

  request_parser(memory& kept, request_context& context, std::size_t header_bytes_max)
      : kept_{kept}, context_{context}, header_bytes_max_{header_bytes_max} {
    kept_.text.clear();
    kept_.fields.clear();
    header_limit(static_cast<std::uint32_t>(header_bytes_max));
    body_limit(boost::none);  // judged when the route is known
  }

  /// Fills the context's views, which hold until the next parser is made.
  void show_header() {
    const auto view = [&](span s) { return std::string_view{kept_.text}.substr(s.begin, s.size); };
    for (const auto& [name, value] : kept_.fields) context_.headers.emplace_back(view(name), view(value));
    context_.target = view(kept_.target);
  }

  bool http_1_0() const { return version_ < 11; }
  bool expects_body() const { return chunked() || content_length().value_or(0) > 0; }

 private:
  static constexpr std::size_t body_reserve_max = 1024 * 1024;     // a Content-Length alone buys no more memory than this

  span keep(boost::beast::string_view text) {
    const span at{static_cast<std::uint32_t>(kept_.text.size()), static_cast<std::uint32_t>(text.size())};
    kept_.text.append(text.data(), text.size());
    return at;
  }

  void on_request_impl(boost::beast::http::verb v, boost::beast::string_view, boost::beast::string_view target, int version, boost::system::error_code& ec) override {
    ec = {};
    version_ = version;
    context_.method = method_of(v);
    context_.head = v == boost::beast::http::verb::head;
    kept_.target = keep(target);
  }
  void on_response_impl(int, boost::beast::string_view, int, boost::system::error_code& ec) override { ec = {}; }
  void on_field_impl(boost::beast::http::field, boost::beast::string_view name, boost::beast::string_view value, boost::system::error_code& ec) override {
    ec = {};
    if (kept_.text.size() + name.size() + value.size() > header_bytes_max_) {
      ec = boost::beast::http::error::header_limit;
      return;
    }
    const auto kept_name = keep(name);
    kept_.fields.emplace_back(kept_name, keep(value));
  }
  void on_header_impl(boost::system::error_code& ec) override { ec = {}; }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, boost::system::error_code& ec) override {
    ec = {};
    if (length) context_.body.reserve(std::min<std::size_t>(*length, body_reserve_max));
  }
  std::size_t on_body_impl(boost::beast::string_view body, boost::system::error_code& ec) override {
    ec = {};
    context_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, boost::system::error_code& ec) override { ec = {}; }
  std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view body, boost::system::error_code& ec) override { return on_body_impl(body, ec); }
  void on_finish_impl(boost::system::error_code& ec) override { ec = {}; }

  memory& kept_;
  request_context& context_;
  const std::size_t header_bytes_max_;
  int version_ = 11;
};

}  // namespace usher::http
