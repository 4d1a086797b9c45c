#pragma once
// What the HTTP side needs of the rest of the node.

#include <boost/asio/thread_pool.hpp>

#include <atomic>

#include "actors/show_directory.hpp"
#include "cluster/presence.hpp"
#include "http/auth.hpp"
#include "http/bridge.hpp"
#include "http/passwords.hpp"
#include "http/operations.hpp"
#include "http/payment_provider.hpp"
#include "http/router.hpp"
#include "http/websocket.hpp"
#include "projections/runner.hpp"
#include "store/copy.hpp"
#include "store/evidence.hpp"

namespace usher::http {

struct engine_settings {
  bool open_sign_up = true;                               ///< false: only service and operator may create users
  std::chrono::milliseconds default_wait{3000};           ///< a command's deadline where the client names none
  std::chrono::seconds access_token_lifetime{86'400};
  std::int64_t wallet_charge_max = 0;                     ///< minor units; 0: as much as an amount may be
  std::int64_t wallet_use_max = 0;
  std::int64_t wallet_balance_max = 0;                    ///< 0: as much as there can be
  std::string data_directory;
  std::string backup_directory;                           ///< each backup is a directory in it
  std::chrono::seconds payment_lease{120};                ///< how long seats wait for a provider's verdict
};

/// Everything here outlives the server.
struct engine {
  bridge& ask;
  projections::runner& views;
  actors::show_directory& shows;
  tokens& access;
  passwords& secrets;
  const payment_providers& providers;
  const wall_clock& clock;
  engine_settings settings;
  const store::engine_index& index;                       ///< which idempotency keys are known
  store::database& log;                                   ///< for what is read of the past, and copied
  cluster::presence& presence;                            ///< of those who wait in queues
  operations& work;                                       ///< what takes long
  std::function<std::string()> metrics_text;              ///< the Prometheus exposition
  /// A signed checkpoint that covers a record on disk; may take seconds. None: nothing is signed here. @error io_failure
  std::function<result<v1::SignedCheckpoint>(log_position)> vouch{};
  std::function<std::string()> notary_fault{};              ///< why nothing is signed any more; empty while it is
  std::function<std::string()> audit_fault{};               ///< why the log is not judged any more; empty while it is
  socket_handler* feeds = nullptr;                        ///< set before the server listens
  std::atomic<bool> stopping{false};                      ///< /readyz says no from now on
  std::atomic<bool> views_stand{false};                   ///< the log goes on and the read models have not for seconds
  std::atomic<std::size_t> histories_waiting{0};
  asio::thread_pool histories{1};                         ///< folds the log for reads of the past, off the I/O threads
};

/// A copy of the database as of now, for work that reads all of it. @error io_failure
result<std::unique_ptr<store::database_copy>> copy_of_log(engine&);

/// The route table: every endpoint of the interface. `e` outlives it.
std::vector<route> make_routes(engine& e);

}  // namespace usher::http
