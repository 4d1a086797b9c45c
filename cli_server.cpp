#include "cli_server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include <cctype>
#include <charconv>
#include <exception>
#include <filesystem>
#include <iostream>
#include <random>

#include "node.hpp"

namespace usher::cli {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr std::chrono::hours token_lifetime{2};

result<bench::endpoint> endpoint_in(std::string_view text) {
  const auto colon = text.rfind(':');
  bench::endpoint out;
  if (colon != std::string_view::npos) {
    const auto [end, bad] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), out.port);
    if (bad != std::errc{} || end != text.data() + text.size()) out.port = 0;
    out.host = text.substr(0, colon);
  }
  if (out.host.starts_with('[') && out.host.ends_with(']')) out.host = out.host.substr(1, out.host.size() - 2);
  if (out.host == "localhost") out.host = "127.0.0.1";
  if (out.host.empty() || out.port == 0) return failure{errc::invalid_argument, "--server: ADDRESS:PORT, as in 127.0.0.1:8080"};
  return out;
}

/// Where a node that listens on all addresses can be reached.
std::string reachable(const std::string& address) {
  if (address == "0.0.0.0") return "127.0.0.1";
  return address == "::" ? "::1" : address;
}

}  // namespace

void add_server_flags(CLI::App& verb, server_flags& flags) {
  verb.add_option("--data", flags.data, "Data directory of a node on this machine: says where it listens, and signs the token")->capture_default_str();
  auto* server = verb.add_option("--server", flags.server, "ADDRESS:PORT of a node, in place of the one that runs on --data")->check(not_empty());
  verb.add_option("--token", flags.token, "An operator's token, in place of one signed with the secret in --data")->needs(server)->check(not_empty());
}

result<server> server_of(const server_flags& flags) {
  server out;
  if (flags.server.empty()) {
    const auto running = find_running(flags.data);
    const bool is_known = has_log(flags.data);
    if (!running) return failure{is_known ? errc::io_failure : errc::invalid_argument, "no node runs on " + flags.data + (is_known ? "" : ", which holds no log") + "; start one with `usher up --data " + flags.data + "`, or name it with --server"};
    out.at = {reachable(running->address), running->port};
  } else {
    auto at = endpoint_in(flags.server);
    if (!at) return at.error();
    out.at = *at;
  }
  if (!flags.token.empty()) {
    out.token = flags.token;
    return out;
  }
  // Making a secret here would only give a token that no node accepts.
  if (!std::filesystem::exists(secret_file(flags.data))) {
    return failure{errc::invalid_argument, flags.data + " has no secret to sign a token with: give --token, or the node's --data"};
  }
  auto token = mint_token(flags.data, http::role::operator_, "operator", token_lifetime);
  if (!token) return token.error();
  out.token = std::move(*token);
  return out;
}

bench::http_reply exchange(const server& to, bench::http_request request) {
  request.fields.emplace_back("Authorization", "Bearer " + to.token);
  asio::io_context io{1};
  bench::connection_pool pool{io, to.at, 1};
  bench::http_reply reply;
  asio::co_spawn(io, pool.send(std::move(request)), [&](const std::exception_ptr& error, bench::http_reply answer) {
    reply = std::move(answer);
    if (error) reply = {0, "the request failed", {}, 0, {}};
    io.stop();
  });
  io.run();
  return reply;
}

json::object object_in(const std::string& body) {
  boost::system::error_code bad;
  auto value = json::parse(body, bad);
  return !bad && value.is_object() ? std::move(value.as_object()) : json::object{};
}

std::string escaped(std::string_view text) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view{"-._~/"}.find(c) != std::string_view::npos) out += c;
    else out.append({'%', digits[byte >> 4], digits[byte & 15U]});
  }
  return out;
}

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_string() ? std::string{value->as_string()} : std::string{};
}

std::uint64_t number_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value && value->is_uint64()) return value->as_uint64();
  return value && value->is_int64() && value->as_int64() > 0 ? static_cast<std::uint64_t>(value->as_int64()) : 0;
}

int complain_about(const bench::http_reply& reply) {
  if (reply.status == 0) return complain({errc::io_failure, "the node can't be reached: " + reply.body});
  const auto problem = object_in(reply.body);
  auto detail = text_of(problem, "detail");
  if (detail.empty()) detail = text_of(problem, "title");
  std::cerr << "usher: " << (detail.empty() ? reply.body : detail) << " (" << reply.status << ")\n";
  if (const auto* faults = problem.if_contains("faults"); faults && faults->is_array()) {
    for (const auto& fault : faults->as_array()) {
      if (fault.is_object()) std::cerr << "  " << text_of(fault.as_object(), "field") << ": " << text_of(fault.as_object(), "detail") << '\n';
    }
  }
  return was_refused;
}

std::string fresh_key() {
  std::random_device random;
  std::string out = "cli";
  for (int i = 0; i < 4; ++i) out += "-" + std::to_string(random());
  return out;
}

}  // namespace usher::cli
