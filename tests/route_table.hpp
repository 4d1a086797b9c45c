#pragma once
// The table of endpoints without a node: nothing listens, and no handler is called.

#include <boost/asio/io_context.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <stdexcept>

#include "actors/registry.hpp"
#include "cluster/router.hpp"
#include "http/engine.hpp"
#include "store/index.hpp"
#include "tests/support.hpp"

namespace usher::tests {

/// What the table's handlers would need, made in the order of its dependencies.
class route_table {
 public:
  [[nodiscard]] std::vector<http::route> rows() { return http::make_routes(engine_); }

 private:
  struct no_time final : wall_clock {
    [[nodiscard]] time_point now() const override { return {}; }
  };
  template <class T>
  static T value(result<T> r) {
    if (!r) throw std::runtime_error(r.error().detail);
    return std::move(*r);
  }

  temp_dir directory_;
  no_time clock_;
  std::unique_ptr<store::database> db_ = value(store::database::open(directory_.path + "/db"));
  store::engine_index index_;
  projections::runner views_;
  actors::show_directory shows_{*db_, index_};
  std::unique_ptr<http::tokens> access_ = value(http::tokens::open({directory_.path + "/secret", {}, {}, 1}));
  http::passwords secrets_{http::password_settings{}};
  http::payment_providers providers_;
  caf::actor_system_config settings_;
  caf::actor_system system_{settings_};
  actors::registry entities_{system_};
  cluster::router router_{entities_};
  cluster::presence presence_{views_.views().queues, clock_, {}};
  http::operations work_{clock_};
  boost::asio::io_context io_;
  http::bridge bridge_{io_, router_};
  http::engine engine_{bridge_, views_, shows_, *access_, secrets_, providers_, clock_, {}, index_, *db_, presence_, work_, {}};
};

}  // namespace usher::tests
