#pragma once
// What the HTTP side needs of the rest of the node.

#include <atomic>

#include "actors/show_directory.hpp"
#include "http/auth.hpp"
#include "http/bridge.hpp"
#include "http/passwords.hpp"
#include "http/router.hpp"
#include "projections/runner.hpp"

namespace usher::http {

struct engine_settings {
  bool open_sign_up = true;                               ///< false: only service and operator may create users
  std::chrono::milliseconds default_wait{3000};           ///< a command's deadline where the client names none
  std::chrono::seconds access_token_lifetime{86'400};
};

/// Everything here outlives the server.
struct engine {
  bridge& ask;
  projections::runner& views;
  actors::show_directory& shows;
  tokens& access;
  passwords& secrets;
  const wall_clock& clock;
  engine_settings settings;
  std::function<std::string()> metrics_text;              ///< the Prometheus exposition
  std::atomic<bool> stopping{false};                      ///< /readyz says no from now on
};

/// The route table: every endpoint of the interface. `e` outlives it.
std::vector<route> make_routes(engine& e);

}  // namespace usher::http
