#include "bench/engine.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace usher::bench {

namespace asio = boost::asio;
namespace json = boost::json;
using boost::beast::http::verb;
using clock = std::chrono::steady_clock;

child::child(const std::string& binary, std::vector<std::string> arguments, const std::string& log) {
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, (log + ".err").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  arguments.insert(arguments.begin(), binary);
  std::vector<char*> words;
  for (auto& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  const int error = ::posix_spawn(&pid_, binary.c_str(), &files, nullptr, words.data(), ::environ);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw std::system_error(error, std::system_category(), binary);
}
child::child(child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
child& child::operator=(child&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}
child::~child() { end(SIGKILL); }

int child::wait() {
  int status = 0;
  while (pid_ > 0 && ::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void child::end(int signal) {
  if (pid_ > 0) {
    ::kill(pid_, signal);
    wait();
  }
}

bool child::running() const {
  siginfo_t ended{};
  return pid_ > 0 && ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0;
}

std::size_t child::resident_bytes() const {
  std::ifstream status{"/proc/" + std::to_string(pid_) + "/status"};
  for (std::string word; status >> word;) {
    std::size_t kib = 0;
    if (word == "VmRSS:" && status >> kib) return kib * 1024;
  }
  return 0;
}

std::uint16_t free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(probe, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::system_error(errno, std::system_category(), "free port");
  ::close(probe);
  return ntohs(address.sin_port);
}

http_reply call(const endpoint& server, http_request request) {
  asio::io_context io{1};
  connection_pool pool{io, server, 1};
  http_reply reply;
  asio::co_spawn(
      io, [&]() -> asio::awaitable<void> { reply = co_await pool.send(std::move(request)); }, asio::detached);
  io.run();
  return reply;
}

json::object created(const endpoint& server, http_request request) {
  const auto target = request.target;
  const auto reply = call(server, std::move(request));
  if (reply.status / 100 != 2) throw std::runtime_error(target + " answered " + std::to_string(reply.status) + ": " + reply.body);
  return json::parse(reply.body).as_object();
}

void wait_until_served(const endpoint& server, const http_request& probe, const child& process) {
  const auto limit = clock::now() + std::chrono::minutes(2);
  while (call(server, probe).status != 200) {
    if (!process.running()) throw std::runtime_error("a server ended before it was ready; its log is in the scratch folder");
    if (clock::now() > limit) throw std::runtime_error("a server was not ready within two minutes");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

scratch_folder::scratch_folder(const std::string& parent) : path_(std::filesystem::absolute(parent) / "usher-bench-XXXXXX") {
  std::string name = path_;
  if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::system_category(), name);
  path_ = name;
}

scratch_folder::~scratch_folder() {
  std::error_code ignored;
  if (!kept_) std::filesystem::remove_all(path_, ignored);
}

bool scratch_folder::in_memory() const {
  struct statfs info {};
  return ::statfs(path_.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
}

namespace {

std::string required_text(const json::object& object, const char* name) { return std::string{object.at(name).as_string()}; }

std::string first_word_of(const std::string& path) {
  std::ifstream file{path};
  std::string word;
  file >> word;
  return word;
}

headers fields(const std::string& token, std::string key) { return {{"Authorization", "Bearer " + token}, {"Idempotency-Key", std::move(key)}}; }

}  // namespace

engine::engine(std::string binary, const scratch_folder& scratch, std::vector<std::string> more)
    : binary_(std::move(binary)), scratch_(scratch), more_(std::move(more)), server_{"127.0.0.1", free_port()}, process_(spawn()) {
  wait_until_served(server_, {verb::get, "/readyz", {}, {}}, process_);
  service_ = token("service");
  operator_ = token("operator");
}

std::string engine::open_show(const std::string& title, std::optional<queue> with) {
  json::array rows;
  for (std::size_t row = 0; row < rows_per_show; ++row) rows.push_back({{"name", "R" + std::to_string(row)}, {"seats", seats_per_row}, {"tier", "all"}});
  json::object plan{{"title", title}, {"venue", "bench"}, {"startsAt", "2099-01-01T20:00:00Z"}, {"currency", "EUR"},
                    {"ticketLimit", 1'000'000}, {"holdSeconds", 3'600}};
  plan["tiers"] = json::array{json::object{{"name", "all"}, {"price", 1'000}}};
  plan["sections"] = json::array{json::object{{"name", "floor"}, {"kind", "seated"}, {"rows", std::move(rows)}}};
  if (with) plan["queue"] = json::object{{"admitPerWindow", with->admit_per_window}, {"windowSeconds", with->window_seconds}};
  return required_text(created(server_, {verb::post, "/shows", json::serialize(plan), fields(operator_, "show-" + title)}), "showId");
}

std::string engine::sign_up(const std::string& name) {
  const json::object user{{"name", name}, {"email", name + "@bench.invalid"}};
  return required_text(created(server_, {verb::post, "/users", json::serialize(user), fields(service_, "user-" + name)}), "userId");
}

double engine::seconds_to_restart() {
  process_.end(SIGKILL);
  const auto start = clock::now();
  process_ = spawn();
  wait_until_served(server_, {verb::get, "/readyz", {}, {}}, process_);
  return std::chrono::duration<double>(clock::now() - start).count();
}

child engine::spawn() const {
  std::vector<std::string> arguments{"serve", "--data", scratch_.file("data"), "--listen", "127.0.0.1:" + std::to_string(server_.port)};
  arguments.insert(arguments.end(), more_.begin(), more_.end());
  return {binary_, std::move(arguments), scratch_.file("engine.log")};
}

std::string engine::token(const char* role) const {
  const auto file = scratch_.file(role);
  child process{binary_, {"token", "--data", scratch_.file("data"), "--role", role}, file};
  if (process.wait() != 0) throw std::runtime_error(std::string{"`usher token --role "} + role + "` failed");
  return first_word_of(file);
}

}  // namespace usher::bench
