#pragma once
// How a verb talks to a running node: which one, with whose token, and what is said when it refuses.

#include <boost/json/object.hpp>

#include "bench/client.hpp"
#include "cli_common.hpp"

namespace usher::cli {

struct server_flags {
  std::string data = "data";
  std::string server;
  std::string token;
};
void add_server_flags(CLI::App& verb, server_flags& flags);

struct server {
  bench::endpoint at;
  std::string token;  ///< an operator's
};
/// @error io_failure  no node runs there
/// @error invalid_argument  the address is none, or there is nothing to sign a token with
[[nodiscard]] result<server> server_of(const server_flags& flags);

/// Sends one request with the server's token and waits for the answer.
bench::http_reply exchange(const server& to, bench::http_request request);

/// An idempotency key that no other request has.
std::string fresh_key();

/// As a part of a path or a query may be written (RFC 3986); slashes stay.
std::string escaped(std::string_view text);

/// The JSON object of a body; empty where it is none.
boost::json::object object_in(const std::string& body);
/// A member's text; empty where it has none.
std::string text_of(const boost::json::object& object, std::string_view name);
/// A member's whole number, 0 where it has none.
std::uint64_t number_of(const boost::json::object& object, std::string_view name);

/// Says what the node said against a request. @return was_refused
int complain_about(const bench::http_reply& reply);

}  // namespace usher::cli
