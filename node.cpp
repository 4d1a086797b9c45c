// Wires the parts of a node. Members are in the order of their dependencies, so that each may use those above it.

#include "node.hpp"

#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/all.hpp>

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "actors/registry.hpp"
#include "actors/show_directory.hpp"
#include "cluster/presence.hpp"
#include "cluster/reactor.hpp"
#include "cluster/router.hpp"
#include "cluster/supply_watch.hpp"
#include "http/bridge.hpp"
#include "http/engine.hpp"
#include "http/erasure.hpp"
#include "http/feeds.hpp"
#include "http/io_pool.hpp"
#include "http/metrics.hpp"
#include "http/rebuilds.hpp"
#include "http/sandbox_provider.hpp"
#include "http/secret.hpp"
#include "http/server.hpp"
#include "node_auditor.hpp"
#include "node_notary.hpp"
#include "node_projector.hpp"
#include "node_scheduler.hpp"
#include "store/backup.hpp"
#include "store/bug.hpp"
#include "store/files.hpp"
#include "store/filesystem.hpp"
#include "store/index.hpp"
#include "store/journal.hpp"
#include "store/journal_actor.hpp"

namespace usher {
namespace {

constexpr std::chrono::seconds housekeeping_every{1};
constexpr std::chrono::seconds purge_looked_for_every{10};
constexpr unsigned views_stand_seconds_max = 5;   // then the node is not ready any more
constexpr std::chrono::seconds quiet_within{10};  // actors and handlers that were told to end
constexpr std::size_t default_body_limit = http::route_options{}.body_limit_bytes;

/// 0 stands for as many as there are processors.
std::size_t threads_of(std::uint32_t setting) {
  return setting != 0 ? setting : std::max(1u, std::thread::hardware_concurrency());
}

class system_config : public caf::actor_system_config {
 public:
  explicit system_config(const v1::Configuration& config) {
    schedule_where_woken(*this);
    set("scheduler.max-threads", threads_of(config.actor_threads()));
  }
};

http::auth_settings auth_settings_of(const v1::Configuration& config) {
  http::auth_settings out;
  out.secret_file = secret_file(config.data_directory());
  if (!config.jwt_issuer_key_file().empty()) out.issuer_public_key = config.jwt_issuer_key_file();
  out.issuer_name = config.jwt_issuer_name();
  return out;
}

http::engine_settings engine_settings_of(const v1::Configuration& config) {
  http::engine_settings out;
  out.open_sign_up = config.open_sign_up();
  out.default_wait = std::chrono::milliseconds{config.command_wait_ms()};
  out.access_token_lifetime = std::chrono::seconds{config.access_token_seconds()};
  out.wallet_charge_max = config.wallet_charge_max();
  out.wallet_use_max = config.wallet_use_max();
  out.wallet_balance_max = config.wallet_balance_max();
  out.data_directory = config.data_directory();
  out.backup_directory = config.backup_directory().empty() ? config.data_directory() + "/backups" : config.backup_directory();
  out.payment_lease = std::chrono::seconds{config.payment_lease_seconds()};
  return out;
}

http::server_settings server_settings_of(const v1::Configuration& config) {
  http::server_settings out;
  out.address = config.listen_address();
  out.port = static_cast<std::uint16_t>(config.listen_port());
  out.connections_max = config.connections_max();
  out.header_bytes_max = config.header_bytes_max();
  out.header_timeout = std::chrono::milliseconds{config.header_timeout_ms()};
  out.body_timeout = std::chrono::milliseconds{config.body_timeout_ms()};
  out.idle_timeout = std::chrono::milliseconds{config.idle_timeout_ms()};
  out.write_timeout = std::chrono::milliseconds{config.write_timeout_ms()};
  out.limits.per_user = config.rate_limit_per_user();
  out.limits.per_address = config.rate_limit_per_address();
  out.limits.proxies_in_front = config.proxies_in_front();
  return out;
}

/// The table, with the limit of the settings where a route has none of its own.
std::vector<http::route> routes_of(http::engine& engine, const v1::Configuration& config) {
  auto routes = http::make_routes(engine);
  for (auto& route : routes) {
    if (route.options.body_limit_bytes == default_body_limit) route.options.body_limit_bytes = config.body_bytes_max();
  }
  return routes;
}

}  // namespace

std::string log_directory(const std::string& data_directory) { return (std::filesystem::path{data_directory} / "db").string(); }
std::string secret_file(const std::string& data_directory) { return (std::filesystem::path{data_directory} / "secret").string(); }
std::string sandbox_secret_file(const std::string& data_directory) { return (std::filesystem::path{data_directory} / "secret.sandbox").string(); }
std::string signing_secret_file(const std::string& data_directory) { return (std::filesystem::path{data_directory} / "secret.signing").string(); }

struct node::impl {
  impl(const v1::Configuration& c, const wall_clock& w, node_options o)
      : config{c}, clock{w}, options{std::move(o)}, system_settings{c} {}

  const v1::Configuration config;
  const wall_clock& clock;
  const node_options options;
  std::atomic<bool> failed{false};
  bool stopped = false;

  std::unique_ptr<http::tokens> access;
  http::payment_providers providers;
  std::unique_ptr<store::database> db;
  store::engine_index index;
  std::unique_ptr<store::journal> journal;
  projections::runner runner;
  std::unique_ptr<projector> projecting;
  std::unique_ptr<audit_thread> auditing;
  std::unique_ptr<notary_thread> vouching;

  // The bridge and the I/O outlive the actors, which may still answer.
  std::unique_ptr<http::io_pool> io;
  std::unique_ptr<http::bridge> bridge;

  system_config system_settings;
  std::unique_ptr<actors::registry> entities;
  std::unique_ptr<actors::show_directory> shows;
  std::unique_ptr<cluster::router> router;
  std::unique_ptr<cluster::supply_watch> supply;
  std::unique_ptr<actors::surroundings> around;
  caf::actor journal_actor;
  caf::actor reactor;
  caf::actor supply_watcher;
  std::unique_ptr<caf::actor_system> system;

  std::unique_ptr<cluster::presence> presence;
  std::unique_ptr<http::operations> work;
  std::unique_ptr<http::passwords> secrets;
  std::unique_ptr<http::engine> engine;
  std::unique_ptr<http::router> routes;
  std::unique_ptr<http::metrics> metrics;
  std::unique_ptr<http::feeds> feeds;
  std::unique_ptr<http::server> server;
  std::uint16_t port = 0;
  bool serving = false;

  std::mutex housekeeping_mutex;
  std::condition_variable housekeeping_ends;
  bool housekeeping_over = false;
  std::uint64_t views_seen_at = 0;   // by the housekeeper
  unsigned views_stood_seconds = 0;
  std::thread housekeeper;

  void fail(const failure&);
  result<void> open();
  result<void> open_providers();
  result<void> open_notary();
  result<void> note_secrets();
  void start_actors();
  void make_http();
  void watch();
  [[nodiscard]] std::function<void()> watch_audit();
  [[nodiscard]] std::function<void()> watch_views();
  std::uint64_t durable() const;
  result<void> listen();
  void tell_sandbox_where();
  void keep_house();
  void look_after_views();

  void stop();
  void stop_http();
  void stop_housekeeping();
  void stop_actors();
  void drain_journal();
  bool actors_are_gone() const;
  void write_out();
};

void node::impl::fail(const failure& f) {
  if (failed.exchange(true)) return;
  spdlog::critical("event=node_failed detail=\"{}\"", f.detail);
  if (options.on_failure) return options.on_failure(f);
  spdlog::default_logger()->flush();
  std::_Exit(1);
}

result<void> node::impl::open() {
  const auto& data = config.data_directory();
  if (auto made = store::make_private_directory(data); !made) return made;
  auto opened = options.env ? store::database::open(log_directory(data), options.env) : store::database::open(log_directory(data));
  if (!opened) return opened.error();
  db = std::move(*opened);
  // What a process that was killed left. Whoever has the log open is the only one to work here.
  std::error_code ignored;
  std::filesystem::remove_all(std::filesystem::path{data} / "copies", ignored);
  store::remove_drafts(data, engine_settings_of(config).backup_directory);
  if (auto providing = open_providers(); !providing) return providing;
  auto auth = http::tokens::open(auth_settings_of(config));
  if (!auth) return auth.error();
  access = std::move(*auth);
  if (auto vouched = open_notary(); !vouched) return vouched;
  if (auto noted = note_secrets(); !noted) return noted;
  if (auto loaded = index.load(*db); !loaded) return loaded;
  // The hook reads the member, so that no handle hides in it when the actor system ends.
  journal = std::make_unique<store::journal>(*db, index, store::journal::hooks{
      .work_waits = [this] { caf::anon_send(journal_actor, store::write_atom::value); },
      .committed = [this](const std::vector<store::record_ptr>& records) { projecting->offer(records); },
      .failed = [this](const failure& f) { fail(f); },
  });
  if (auto loaded = journal->load(); !loaded) return loaded;
  return runner.start(*db);
}

result<void> node::impl::open_providers() {
  if (!config.sandbox_provider()) return {};
  auto secret = http::secret_from(sandbox_secret_file(config.data_directory()));
  if (!secret) return secret.error();
  providers.emplace(http::sandbox_provider::name, std::make_unique<http::sandbox_provider>(std::move(*secret), clock));
  return {};
}

result<void> node::impl::open_notary() {
  const auto seed = http::secret_from(signing_secret_file(config.data_directory()));
  if (!seed) return seed.error();
  auto key = store::signing_key::from(*seed);
  if (!key) return key.error();
  vouching = std::make_unique<notary_thread>(*db, std::move(*key), clock, std::chrono::seconds{config.checkpoint_seconds()});
  return {};
}

/// So that `usher verify` notices when one of them isn't what it was. To put another one there is the operator's right.
/// Only of the one that signs there is no other: what was noted of it stays where the file is not it any more.
result<void> node::impl::note_secrets() {
  const auto signing = store::signs_here(*db, signing_secret_file(config.data_directory()));
  if (!signing) return signing.error();
  for (const auto& file : {secret_file(config.data_directory()), sandbox_secret_file(config.data_directory()), signing_secret_file(config.data_directory())}) {
    if (!std::filesystem::exists(file) || (file == signing_secret_file(config.data_directory()) && !*signing)) continue;
    const auto name = std::filesystem::path{file}.filename().string();
    const auto changed = store::note_file(*db, file, name);
    if (!changed) return changed.error();
    if (*changed) spdlog::warn("event=secret_changed file={}", name);
  }
  return {};
}

void node::impl::start_actors() {
  projecting = std::make_unique<projector>(runner, [this](const failure& f) { fail(f); });
  auditing = std::make_unique<audit_thread>(*db, clock);
  runner.on_applied([this](const v1::Record& r) { auditing->judge(r); });
  system = std::make_unique<caf::actor_system>(system_settings);
  journal_actor = store::spawn_journal(*system, *journal, true);
  entities = std::make_unique<actors::registry>(*system);
  shows = std::make_unique<actors::show_directory>(*db, index);
  router = std::make_unique<cluster::router>(*entities, [this](const std::string& name, const v1::ProviderCommand& order) {
    // One that was taken out of the settings is asked by nobody: its payments end by their lease, its refunds when it is back.
    if (const auto provider = providers.find(name); provider != providers.end()) provider->second->order(order);
  });
  supply = std::make_unique<cluster::supply_watch>(runner.views(), [this](const actors::request_ptr& r) { router->send(r); });
  runner.on_applied([this](const v1::Record& r) { supply->applied(r); });
  around = std::unique_ptr<actors::surroundings>(new actors::surroundings{
      .db = *db,
      .index = index,
      .journal = *journal,
      .clock = clock,
      .entities = *entities,
      .route = [this](actors::request_ptr r) { router->send(std::move(r)); },
      .show_changed = [this](const std::string& show_id) { shows->changed(show_id); },
      .bug = [](const std::string& what) { store::bug(what); },
      .snapshot_every = config.snapshot_every(),
  });
  entities->connect(*around);
}

void node::impl::make_http() {
  io = std::make_unique<http::io_pool>(threads_of(config.io_threads()));
  bridge = std::make_unique<http::bridge>(io->first(), *router);
  presence = std::make_unique<cluster::presence>(runner.views().queues, clock, [this](const actors::request_ptr& r) { router->send(r); });
  work = std::make_unique<http::operations>(clock);
  secrets = std::make_unique<http::passwords>(http::password_settings{});
  engine = std::unique_ptr<http::engine>(
      new http::engine{*bridge, runner, *shows, *access, *secrets, providers, clock, engine_settings_of(config), index, *db, *presence, *work, {}});
  routes = std::make_unique<http::router>(routes_of(*engine, config));
  if (auto resumed = http::resume_purge(*engine); !resumed) fail(resumed.error());
  metrics = std::make_unique<http::metrics>(*routes);
  watch();
  feeds = std::make_unique<http::feeds>(*engine, io->first());
  engine->feeds = feeds.get();
  engine->vouch = [this](log_position at) { return vouching->vouch(at); };
  engine->notary_fault = [this] { return vouching->fault(); };
  engine->audit_fault = [this] { return auditing->fault(); };
  runner.on_applied([this](const v1::Record& r) { feeds->applied(r); });
  runner.on_exchanged([this] {
    feeds->start_over();
    supply->start_over();
  });
  server = std::make_unique<http::server>(
      *io, server_settings_of(config),
      http::server_parts{.routes = *routes, .tokens = *access, .clock = clock, .metrics = *metrics, .sockets = feeds.get()});
}

/// What the node knows about itself is measured when somebody asks.
void node::impl::watch() {
  const auto gauge = [this](const char* name, const char* help) {
    return &prometheus::BuildGauge().Name(name).Help(help).Register(metrics->registry()).Add({});
  };
  auto* awake = gauge("usher_actors_awake", "Entities in memory.");
  auto* waiting = gauge("usher_journal_waiting", "Records handed over and not yet on disk.");
  auto* applied = gauge("usher_views_applied", "Records that the read models have taken in.");
  auto* lag = gauge("usher_views_lag", "Records on disk that the read models have not taken in.");
  auto* within_p50 = gauge("usher_queue_estimate_within_p50", "Of the waits that ended lately, the share within the p50 that was told on joining. Ideal is 0.5, or more.");
  auto* within_p90 = gauge("usher_queue_estimate_within_p90", "The same for the p90. Ideal is 0.9, or more.");
  auto* compared = gauge("usher_queue_estimates", "Waits that were compared with what was told on joining.");
  auto* checkpoints = gauge("usher_checkpoints", "Signed checkpoints of the log.");
  auto* refused = gauge("usher_checkpoints_refused", "1 where none is signed any more: the log is not what was signed, or the disk fails. Ideal is 0.");
  engine->metrics_text = [=, this, look_at_audit = watch_audit(), look_at_views = watch_views()] {
    checkpoints->Set(static_cast<double>(vouching->last_number()));
    refused->Set(vouching->fault().empty() ? 0 : 1);
    awake->Set(static_cast<double>(entities->awake()));
    waiting->Set(static_cast<double>(journal->waiting()));
    const auto taken_in = runner.applied_total();  // before the log's end, so that the lag is never negative
    const auto written = durable();
    applied->Set(static_cast<double>(taken_in));
    lag->Set(static_cast<double>(written - std::min(taken_in, written)));
    const auto score = runner.views().queues.score();
    within_p50->Set(score.within_p50());
    within_p90->Set(score.within_p90());
    compared->Set(static_cast<double>(score.samples()));
    look_at_audit();
    look_at_views();
    return metrics->exposition();
  };
}

/// The faults that buyers would feel have names of their own, so that an alarm needs no labels.
std::function<void()> node::impl::watch_audit() {
  using projections::fault_kind;
  const auto family = [this](const std::string& name, const char* help) {
    return &prometheus::BuildGauge().Name(name).Help(help).Register(metrics->registry());
  };
  std::vector<prometheus::Gauge*> faults;
  const std::array named{
      std::pair{fault_kind::paid_without_seat, "Payments for which there is neither a seat nor a refund."},
      std::pair{fault_kind::seat_held_twice, "Seats that were given away while somebody had them."},
      std::pair{fault_kind::ledger_imbalance, "Balances that are not what was moved."},
  };
  for (const auto& [kind, help] : named) faults.push_back(&family("usher_" + std::string{projections::word_of(kind)}, help)->Add({}));
  auto* others = family("usher_audit_faults", "Other contradictions in the log, by kind.");
  for (auto k = named.size(); k != projections::fault_kind_count; ++k)
    faults.push_back(&others->Add({{"kind", std::string{projections::word_of(static_cast<fault_kind>(k))}}}));
  auto* lag = &family("usher_audit_lag", "Records on disk that the auditor has not judged.")->Add({});
  auto* stopped = &family("usher_audit_stopped", "1 where nothing is judged any more: the log, or a segment of it, can't be read. Ideal is 0.")->Add({});
  auto* oldest = &family("usher_process_oldest_seconds", "How long the oldest payment or refund is under way.")->Add({});
  return [=, this] {
    for (std::size_t k = 0; k != faults.size(); ++k) faults[k]->Set(static_cast<double>(auditing->count(static_cast<fault_kind>(k))));
    const auto taken = auditing->taken();  // before the log's end, as above
    const auto written = durable();
    lag->Set(static_cast<double>(written - std::min(taken, written)));
    stopped->Set(auditing->fault().empty() ? 0 : 1);
    oldest->Set(std::chrono::duration<double>(auditing->oldest_process()).count());
  };
}

/// Each read model by itself.
std::function<void()> node::impl::watch_views() {
  struct gauges { prometheus::Gauge *lag_records, *lag_ms, *parked, *progress; };
  const auto family = [this](const char* name, const char* help) {
    return &prometheus::BuildGauge().Name(name).Help(help).Register(metrics->registry());
  };
  auto* lag_records = family("usher_projection_lag_records", "Records on disk that the read model has not taken in.");
  auto* lag_ms = family("usher_projection_lag_milliseconds", "Age of the oldest of them; 0: there is none.");
  auto* parked = family("usher_projection_parked", "1 where the read model met an event that it can't fold, and stands.");
  auto* progress = family("usher_projection_rebuild_progress", "How far the read model is built again, 0 to 1; 1 where it is not being built.");
  std::map<std::string, gauges> by_name;
  for (const auto& name : runner.names()) {
    const std::map<std::string, std::string> labels{{"projection", name}};
    by_name[name] = {&lag_records->Add(labels), &lag_ms->Add(labels), &parked->Add(labels), &progress->Add(labels)};
  }
  return [this, by_name = std::move(by_name)] {
    for (const auto& p : runner.status(clock.now())) {
      const auto& of = by_name.at(p.name);
      of.lag_records->Set(static_cast<double>(p.lag.records));
      of.lag_ms->Set(static_cast<double>(p.lag.ms));
      of.parked->Set(p.failed_on ? 1 : 0);
      of.progress->Set(p.building ? p.building->progress() : 1);
    }
  };
}

/// Records on disk.
std::uint64_t node::impl::durable() const {
  std::uint64_t sum = 0;
  for (std::uint32_t p = 0; p < partition_count; ++p) sum += db->durable_end(p);
  return sum;
}

result<void> node::impl::listen() {
  auto listening = server->listen();
  if (!listening) return listening.error();
  port = *listening;
  tell_sandbox_where();
  if (auto resumed = http::resume_rebuilds(*engine); !resumed) return resumed;
  reactor = cluster::spawn_reactor(*system, index, clock, *router);
  supply_watcher = cluster::spawn_supply_watch(*system, clock, *supply);
  housekeeper = std::thread{[this] { keep_house(); }};
  auditing->start();
  vouching->start();
  io->start([this](auto& mine) { run_with_actors(mine, *system); });
  serving = true;
  return {};
}

/// It calls back where the node listens, by the loopback where that is everywhere.
void node::impl::tell_sandbox_where() {
  const auto found = providers.find(http::sandbox_provider::name);
  if (found == providers.end()) return;
  auto address = boost::asio::ip::make_address(config.listen_address());
  if (address.is_unspecified()) {
    using namespace boost::asio::ip;
    address = address.is_v6() ? boost::asio::ip::address{address_v6::loopback()} : boost::asio::ip::address{address_v4::loopback()};
  }
  static_cast<http::sandbox_provider&>(*found->second).call_back({address, port});
}

void node::impl::keep_house() {
  const std::chrono::seconds passivate_after{config.passivate_after_seconds()};
  const auto look_every = std::max(passivate_after / 10, std::chrono::seconds{1});
  auto next_look = std::chrono::steady_clock::now();
  auto next_purge = next_look + purge_looked_for_every;
  std::unique_lock lock{housekeeping_mutex};
  while (!housekeeping_ends.wait_for(lock, housekeeping_every, [this] { return housekeeping_over; })) {
    if (const auto now = std::chrono::steady_clock::now(); now >= next_look) {
      entities->passivate(clock.now() - passivate_after);
      next_look = now + look_every;
    }
    if (const auto now = std::chrono::steady_clock::now(); now >= next_purge) {
      if (auto resumed = http::resume_purge(*engine); !resumed) return fail(resumed.error());
      next_purge = now + purge_looked_for_every;
    }
    look_after_views();
    presence->sweep();
    if (auto flushed = index.flush(*db); !flushed) return fail(flushed.error());
    if (auto learned = index.learn_streams(); !learned) spdlog::warn("event=streams_not_learned detail=\"{}\"", learned.error().detail);
  }
}

void node::impl::stop() {
  if (std::exchange(stopped, true)) return;
  stop_http();
  stop_housekeeping();
  stop_actors();
  write_out();
}

void node::impl::stop_http() {
  if (!engine) return;
  engine->stopping = true;
  work->stop();
  if (serving) {
    const std::chrono::milliseconds deadline{config.stop_timeout_ms()};
    feeds->stop();
    boost::asio::co_spawn(io->first(), server->stop(deadline), boost::asio::use_future).wait();
    boost::asio::post(io->first(), boost::asio::use_future([this] { bridge->stop(); })).wait();
  }
  // What still runs uses what ends next. A handler that never answers must not keep the node from ending, though.
  if (!io->finish(serving ? quiet_within : std::chrono::seconds{0})) spdlog::error("event=handlers_still_running");
}

void node::impl::stop_housekeeping() {
  {
    const std::lock_guard lock{housekeeping_mutex};
    housekeeping_over = true;
  }
  housekeeping_ends.notify_one();
  if (housekeeper.joinable()) housekeeper.join();
}

/// A read model that is late catches up; one that stands still while the log goes on is dead.
void node::impl::look_after_views() {
  const auto taken_in = runner.applied_total();
  const bool stands = durable() > taken_in && taken_in == views_seen_at;
  views_stood_seconds = stands ? views_stood_seconds + 1 : 0;
  views_seen_at = taken_in;
  engine->views_stand = views_stood_seconds >= views_stand_seconds_max;
}

/// The journal's actor is the only one left.
bool node::impl::actors_are_gone() const { return entities->awake() == 0 && system->registry().running() <= 1; }

/// Ends the actors, also those that are woken meanwhile by what others had under way, then the journal's.
void node::impl::stop_actors() {
  if (!system) return;
  for (auto* clockwork : {&reactor, &supply_watcher}) {
    if (*clockwork) caf::anon_send_exit(*clockwork, caf::exit_reason::user_shutdown);
    *clockwork = nullptr;
  }
  const auto end = std::chrono::steady_clock::now() + quiet_within;
  while (!actors_are_gone() && std::chrono::steady_clock::now() < end) {
    entities->stop();
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  if (!actors_are_gone()) spdlog::error("event=actors_still_running count={}", system->registry().running());
  drain_journal();
  caf::anon_send_exit(journal_actor, caf::exit_reason::user_shutdown);
  journal_actor = nullptr;
  system.reset();
}

/// Waits for all that was handed over; a journal that failed calls nobody back.
void node::impl::drain_journal() {
  auto drained = std::make_shared<std::promise<void>>();
  auto done = drained->get_future();
  journal->hand_over(nullptr, [drained](auto) { drained->set_value(); });
  while (!failed && done.wait_for(std::chrono::milliseconds{20}) != std::future_status::ready) {
  }
}

void node::impl::write_out() {
  if (!projecting) return;  // never got as far as taking anything in
  projecting->stop();
  auditing->stop();
  vouching->stop();
  if (failed) return;
  auto written = index.flush(*db);
  if (written) written = db->flush();
  // Only what can be derived again is lost.
  if (!written) spdlog::error("event=flush_failed detail=\"{}\"", written.error().detail);
}

result<std::unique_ptr<node>> node::start(const v1::Configuration& config, const wall_clock& clock, node_options options) {
  std::unique_ptr<node> out{new node{std::make_unique<impl>(config, clock, std::move(options))}};
  auto& parts = *out->impl_;
  if (auto opened = parts.open(); !opened) return opened.error();
  parts.start_actors();
  parts.make_http();
  if (auto listening = parts.listen(); !listening) return listening.error();
  return out;
}

node::node(std::unique_ptr<impl> parts) : impl_{std::move(parts)} {}
node::~node() { stop(); }
std::uint16_t node::port() const { return impl_->port; }
http::tokens& node::access() { return *impl_->access; }
cluster::router& node::commands() { return *impl_->router; }
projections::runner& node::views() { return impl_->runner; }
void node::stop() { impl_->stop(); }

}  // namespace usher
