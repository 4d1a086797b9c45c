#include "cli_serve.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <spdlog/spdlog.h>

#include <filesystem>
#include <functional>
#include <iostream>

#include "cli_demo.hpp"
#include "node.hpp"

namespace usher::cli {
namespace {

/// SIGINT and SIGTERM wait until somebody asks for them: to be made before the first thread, which inherits it.
class ending_signals {
 public:
  ending_signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    signal(SIGPIPE, SIG_IGN);
  }
  /// From then on another one ends the process at once.
  void wait() const {
    int which = 0;
    sigwait(&set_, &which);
    pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
  }

 private:
  sigset_t set_{};
};

std::string url_of(const v1::Configuration& config, std::uint16_t port) {
  const auto& address = config.listen_address();
  const bool six = address.find(':') != std::string::npos;
  return "http://" + (six ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

using greeting = std::function<result<void>(node&, const v1::Configuration&)>;

int run(const v1::Configuration& config, const greeting& greet) {
  const ending_signals signals;
  const system_wall_clock clock;
  auto started = node::start(config, clock);
  if (!started) return complain(started.error());
  auto& n = **started;
  auto ready = greet(n, config);
  if (ready) ready = announce(config.data_directory(), {config.listen_address(), n.port(), ::getpid()});
  if (!ready) return complain(ready.error());
  signals.wait();
  spdlog::info("event=stopping");
  n.stop();
  std::error_code ignored;
  std::filesystem::remove(node_file(config.data_directory()), ignored);
  return succeeded;
}

result<void> say_where(node& n, const v1::Configuration& config) {
  std::cout << "usher listens on " << url_of(config, n.port()) << std::endl;
  return {};
}

/// Refuses whatever this program would not have put there.
result<void> remove_data(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (!fs::exists(directory, failed)) return {};
  if (find_running(directory)) return failure{errc::invalid_argument, directory + ": a node is running on it"};
  for (const auto& entry : fs::directory_iterator{directory, failed}) {
    const auto name = entry.path().filename().string();
    if (name != "db" && name != "secret" && name != "secret.sandbox" && name != "node.json") {
      return failure{errc::invalid_argument, directory + " is not removed: " + name + " is not one of usher's files"};
    }
  }
  if (!failed) fs::remove_all(directory, failed);
  if (failed) return failure{errc::io_failure, directory + ": " + failed.message()};
  return {};
}

void print_examples(const std::string& url, const std::string& show) {
  std::cout << "\nTry, in another terminal:\n\n"
            << "  curl -s " << url << "/shows\n\n"
            << "  TOKEN=$(curl -s " << url << "/users -H 'Content-Type: application/json' -d '{\"name\":\"Ada\",\"email\":\"ada'$(date +%s%N)'@example.com\"}'"
            << " | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/'); echo $TOKEN\n\n";
  if (!show.empty()) {
    std::cout << "  curl -s " << url << "/reservations -H \"Authorization: Bearer $TOKEN\" -H \"Idempotency-Key: $(date +%s%N)\""
              << " -H 'Content-Type: application/json' -d '{\"showId\":\"" << show << "\",\"bestAvailable\":{\"quantity\":2}}'\n\n";
  }
}

result<void> welcome(node& n, const v1::Configuration& config) {
  const system_wall_clock clock;
  if (auto opened = open_demonstration(n, clock); !opened) return opened;
  http::claims operator_;
  operator_.user_id = "operator";
  operator_.role = http::role::operator_;
  operator_.expires_at = clock.now() + std::chrono::hours{24};
  const auto url = url_of(config, n.port());
  std::cout << "usher listens on " << url << "\n\noperator token (24 h): " << n.access().issue(operator_) << '\n';
  print_examples(url, show_to_try(n));
  std::cout << "Ctrl-C ends it." << std::endl;
  return {};
}

}  // namespace

int serve(const serve_flags& flags) {
  auto config = configuration_of(flags);
  return config ? run(*config, say_where) : complain(config.error());
}

int up(const up_flags& flags) {
  auto config = configuration_of(flags.node);
  if (!config) return complain(config.error());
  config->set_sandbox_provider(true);  // so that every way of paying can be tried
  if (flags.fresh) {
    if (auto removed = remove_data(config->data_directory()); !removed) return complain(removed.error());
  }
  return run(*config, welcome);
}

}  // namespace usher::cli
