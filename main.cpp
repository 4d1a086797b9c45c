// The program: reads the command line and calls the verb.

#include <mimalloc.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <iostream>

#include "bench/bare_server.hpp"
#include "cli_archive.hpp"
#include "cli_backup.hpp"
#include "cli_client.hpp"
#include "cli_common.hpp"
#include "cli_completion.hpp"
#include "cli_draw.hpp"
#include "cli_export.hpp"
#include "cli_history.hpp"
#include "cli_log.hpp"
#include "cli_projection.hpp"
#include "cli_replay.hpp"
#include "cli_stats.hpp"
#include "cli_verify.hpp"
#include "cli_queue.hpp"
#include "cli_serve.hpp"
#include "cli_user.hpp"

namespace {

using usher::cli::exit_code;

/// What one burst frees the next one wants; given back to the system at once, each page of it would have to be mapped and zeroed again.
/// Of large pages the allocator gives nothing back before a whole block of them is free.
void keep_freed_memory() { mi_option_set(mi_option_decommit_delay, 10'000); }  // ms

/// A node grows all day, and each small page that it touches first costs a fault: one for 2 MiB is many times cheaper than 512 of them.
/// Debian's kernel does so by itself; others have to be asked. With MIMALLOC_LARGE_OS_PAGES=0 in its environment the program does not ask.
void grow_by_large_pages() { mi_option_set_enabled_default(mi_option_large_os_pages, true); }

/// Standard output belongs to the verbs.
void log_to_stderr() { spdlog::set_default_logger(spdlog::stderr_logger_mt("usher")); }

struct token_flags {
  std::string data = "data";
  std::string role;
  std::string user;
  std::string lifetime = "1h";
};

int print_token(const token_flags& flags) {
  const auto role = usher::http::role_from_word(flags.role);
  const auto lifetime = usher::cli::duration_in(flags.lifetime);
  if (!role || !lifetime) return usher::cli::complain({usher::errc::invalid_argument, role ? "--ttl: as in 90s, 15m, 1h or 7d" : "--role: operator, service or user"});
  if (*role == usher::http::role::user && flags.user.empty()) {
    return usher::cli::complain({usher::errc::invalid_argument, "--user is needed for the role user"});
  }
  const auto token = usher::cli::mint_token(flags.data, *role, flags.user.empty() ? flags.role : flags.user, *lifetime);
  if (!token) return usher::cli::complain(token.error());
  std::cout << *token << '\n';
  return exit_code::succeeded;
}

void add_serve(CLI::App& app, int& code) {
  auto flags = std::make_shared<usher::cli::serve_flags>();
  auto* verb = app.add_subcommand("serve", "Run a node until SIGINT or SIGTERM");
  usher::cli::add_serve_flags(*verb, *flags);
  verb->footer("Example:\n  usher serve --data data --listen 127.0.0.1:8080");
  verb->callback([flags, &code] { code = usher::cli::serve(*flags); });
}

void add_up(CLI::App& app, int& code) {
  auto flags = std::make_shared<usher::cli::up_flags>();
  auto* verb = app.add_subcommand("up", "Run a node with demonstration shows, and print what to try");
  usher::cli::add_serve_flags(*verb, flags->node);
  verb->add_flag("--fresh", flags->fresh, "Begin again with an empty data directory");
  verb->footer("Example:\n  usher up --fresh --data demo");
  verb->callback([flags, &code] { code = usher::cli::up(*flags); });
}

void add_token(CLI::App& app, int& code) {
  auto flags = std::make_shared<token_flags>();
  auto* verb = app.add_subcommand("token", "Print an access token that the node of a data directory accepts");
  verb->add_option("--data", flags->data, "The node's data directory")->capture_default_str();
  verb->add_option("--role", flags->role, "operator, service or user")->required()->check(CLI::IsMember({"operator", "service", "user"}));
  verb->add_option("--user", flags->user, "The user's id; default: the role's name, for operator and service");
  verb->add_option("--ttl", flags->lifetime, "How long it is valid: 90s, 15m, 1h, 7d")->capture_default_str();
  verb->get_option("--user")->check(usher::cli::not_empty());
  verb->footer("It is signed with the secret that the node made when it first started on the directory.\n"
               "Example:\n  usher token --data data --role user --user usr_7q2m4x9c1v5k3tza --ttl 15m");
  verb->callback([flags, &code] { code = print_token(*flags); });
}

void add_bare_server(CLI::App& app, int& code) {
  auto port = std::make_shared<std::uint16_t>();
  auto* verb = app.add_subcommand("bare-server", "What HTTP alone costs, for bench")->group("");
  verb->add_option("--port", *port)->required();
  verb->callback([port, &code] { code = usher::bench::run_bare_server(*port); });
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  grow_by_large_pages();
  log_to_stderr();
  CLI::App app{"Usher sells seats: reservations, waiting rooms and payments on an event log."};
  app.name("usher");
  app.require_subcommand(1);
  app.footer("Completion for your shell: eval \"$(usher completion bash)\"");
  int code = exit_code::succeeded;
  add_serve(app, code);
  add_up(app, code);
  add_token(app, code);
  usher::cli::add_show(app, code);
  usher::cli::add_queue(app, code);
  usher::cli::add_rehearse(app, code);
  usher::cli::add_bench(app, code);
  usher::cli::add_log(app, code);
  usher::cli::add_projection(app, code);
  usher::cli::add_history(app, code);
  usher::cli::add_state(app, code);
  usher::cli::add_diff(app, code);
  usher::cli::add_stats(app, code);
  usher::cli::add_replay(app, code);
  usher::cli::add_verify(app, code);
  usher::cli::add_user(app, code);
  usher::cli::add_verify_draw(app, code);
  usher::cli::add_export(app, code);
  usher::cli::add_import(app, code);
  usher::cli::add_backup(app, code);
  usher::cli::add_restore(app, code);
  usher::cli::add_archive(app, code);
  usher::cli::add_completion(app, code);
  add_bare_server(app, code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? exit_code::succeeded : exit_code::misused;
  }
  return code;
}
