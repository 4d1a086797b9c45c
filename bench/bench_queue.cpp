// A crowd of WebSockets and a stream of joins, from one thread.
#include "bench/bench_queue.hpp"

#include "bench/aim.hpp"
#include "bench/engine.hpp"
#include "bench/histogram.hpp"

#include <boost/json.hpp>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace usher::bench {
namespace {

namespace json = boost::json;
using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr engine::queue window{250, 5};
constexpr std::size_t join_connections = 64;
constexpr std::size_t opening_at_once = 500;     // so that the listener's backlog holds them
constexpr auto quiet_gap = milliseconds(1'500);  // longer than any admission is told, shorter than a window
constexpr double told_target_ms = 1'000;
constexpr double socket_target_bytes = 20 * 1024;

constexpr double join_p99_target_ms = 1'000;

std::int64_t wall_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::system_category(), what); }

/// A connected socket that does not block. Sources are spread over the loopback's addresses, since one has too few ports.
int connect_to(const endpoint& server, std::size_t index) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) fail("socket (the limit of open files?)");
  const int on = 1;
  ::setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + static_cast<std::uint32_t>(index % 8));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(server.port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0) fail("bind");
  if (::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) fail("connect");
  return socket;
}

/// A frame of the client's, masked with zeros, which leaves its payload as it is. At most 64 KiB.
std::string frame(unsigned char opcode, std::string_view payload) {
  std::string out(1, static_cast<char>(0x80 | opcode));
  if (payload.size() < 126) {
    out += static_cast<char>(0x80 | payload.size());
  } else {
    out += static_cast<char>(0x80 | 126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  }
  out.append(4, '\0');
  return out.append(payload);
}

/// What the crowd has heard since the last admission.
class hearing {
 public:
  /// A place was told. Room messages and snapshots are not counted.
  void told(std::string_view text, std::int64_t at_us) {
    last_ = clock::now();
    if (text.find(R"("status":"ADMITTED")") != text.npos) {
      const auto admitted = admitted_at_us(text);
      if (wave_at_us_ == 0 || admitted < wave_at_us_) wave_at_us_ = admitted;
    }
    heard_us_.push_back(at_us);
  }
  /// Ends the wave where nothing was heard for a while. One without anybody admitted among the crowd has no beginning.
  void rest() {
    if (heard_us_.empty() || clock::now() - last_ < quiet_gap) return;
    if (wave_at_us_ != 0 && counting_) {
      ++waves;
      for (const auto at_us : heard_us_) delays.record(at_us - wave_at_us_);
    }
    wave_at_us_ = 0;
    heard_us_.clear();
    counting_ = counts_;
  }
  /// From the next wave on.
  void begin() { counts_ = counting_ = true; heard_us_.clear(); wave_at_us_ = 0; }

  histogram delays;
  std::size_t waves = 0;

 private:
  /// The admission ends `admissionSeconds` after it was given.
  static std::int64_t admitted_at_us(std::string_view text) {
    constexpr std::string_view mark = R"("expiresAt":")";
    const auto at = text.rfind(mark);
    std::tm parts{};
    const auto* rest = ::strptime(text.data() + at + mark.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::int64_t ms = 0;
    if (rest != nullptr && *rest == '.') std::from_chars(rest + 1, rest + 4, ms);
    return (static_cast<std::int64_t>(::timegm(&parts)) * 1'000 + ms) * 1'000 - 300'000'000;
  }

  bool counts_ = false, counting_ = false;
  std::int64_t wave_at_us_ = 0;
  std::vector<std::int64_t> heard_us_;
  clock::time_point last_;
};

/// WebSockets that wait, and connections that join, on one epoll.
class crowd {
 public:
  crowd(const engine& on, std::string show, std::size_t sockets)
      : on_(on), show_(std::move(show)), epoll_(::epoll_create1(EPOLL_CLOEXEC)), waiters_(sockets), joiners_(join_connections) {
    if (epoll_ < 0) fail("epoll");
  }
  ~crowd() {
    for (const auto& one : waiters_) ::close(one.socket);
    for (const auto& one : joiners_) ::close(one.socket);
    ::close(epoll_);
  }
  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;

  /// Opens them all; returns once each has the snapshot of its place.
  void open() {
    const auto end = clock::now() + std::chrono::minutes(2);
    for (std::size_t opened = 0; placed_ + lost_ < waiters_.size();) {
      while (opened < waiters_.size() && opened < placed_ + lost_ + opening_at_once) open_waiter(opened++);
      step(milliseconds(10));
      if (clock::now() > end) throw std::runtime_error("only " + std::to_string(placed_) + " WebSockets have their place after two minutes");
    }
    for (std::size_t i = 0; i < joiners_.size(); ++i) {
      joiners_[i].socket = connect_to(on_.server(), i);
      watch(joiners_[i].socket, waiters_.size() + i);
    }
  }

  void idle(std::chrono::duration<double> time) {
    for (const auto end = clock::now() + time; clock::now() < end;) step(milliseconds(10));
  }

  /// So many joins a second, whether or not the answers keep up: each one's time counts from when it was due.
  void join(std::size_t per_second, double seconds) {
    const auto start = clock::now();
    const auto total = static_cast<std::size_t>(static_cast<double>(per_second) * seconds);
    const auto due = [&](std::size_t n) { return start + std::chrono::nanoseconds(n * 1'000'000'000 / per_second); };
    for (std::size_t next = 0; next < total || busy_ > 0;) {
      for (auto& one : joiners_) {
        if (next == total || clock::now() < due(next)) break;
        if (one.busy) continue;
        one.due = due(next);
        ask_to_join(one, next++);
      }
      step(milliseconds(next < total ? 1 : 10));
      if (clock::now() > start + std::chrono::duration<double>(2 * seconds + 30)) break;
    }
    join_seconds_ = std::chrono::duration<double>(clock::now() - start).count();
  }

  [[nodiscard]] std::size_t lost() const { return lost_; }
  [[nodiscard]] double joins_per_second() const { return static_cast<double>(join_times.count()) / join_seconds_; }
  hearing heard;
  histogram join_times;
  std::size_t refused = 0;
  std::uint64_t rooms = 0;
  std::uint64_t messages = 0;

 private:
  struct waiter {
    int socket = -1;
    bool open = false;    // the upgrade is answered
    bool placed = false;  // has its snapshot
    std::string rest;     // the beginning of a frame; empty nearly always
  };
  struct joiner {
    int socket = -1;
    bool busy = false;
    clock::time_point due;
    std::string rest;
  };

  void watch(int socket, std::size_t index) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) != 0) fail("epoll");
  }

  static void send(int socket, std::string_view bytes) {
    if (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()) && errno != EPIPE && errno != ECONNRESET)
      fail("send");
  }

  void open_waiter(std::size_t index) {
    auto& one = waiters_[index];
    one.socket = connect_to(on_.server(), index);
    watch(one.socket, index);
    send(one.socket, "GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: usher.v1\r\nAuthorization: " + on_.service() + "\r\n\r\n");
  }

  void ask_to_join(joiner& one, std::size_t number) {
    one.busy = true;
    ++busy_;
    const auto body = R"({"showId":")" + show_ + R"(","userId":"usr_later)" + std::to_string(number) + "\"}";
    send(one.socket, "POST /queue/token HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: " + on_.service() +
                         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  void step(milliseconds at_most) {
    std::array<epoll_event, 512> ready;
    const int count = ::epoll_wait(epoll_, ready.data(), ready.size(), static_cast<int>(at_most.count()));
    for (int i = 0; i < count; ++i) {
      const auto index = ready[static_cast<std::size_t>(i)].data.u64;
      if (index < waiters_.size()) {
        read_waiter(index);
      } else {
        read_joiner(joiners_[index - waiters_.size()]);
      }
    }
    heard.rest();
  }

  /// @return false where the peer is gone
  bool read_more(int socket, std::string& rest) {
    const auto got = ::recv(socket, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got <= 0) return false;
    rest.append(buffer_.data(), static_cast<std::size_t>(got));
    return true;
  }

  void read_waiter(std::size_t index) {
    auto& one = waiters_[index];
    if (!read_more(one.socket, one.rest)) return lose(one);
    if (!one.open) {
      const auto end = one.rest.find("\r\n\r\n");
      if (end == std::string::npos) return;
      if (!one.rest.starts_with("HTTP/1.1 101")) return lose(one);
      one.rest.erase(0, end + 4);
      one.open = true;
      const auto ticket = "qt_" + show_.substr(4) + "_" + std::to_string(index + 1);
      send(one.socket, frame(1, R"({"op":"subscribe","channel":"queue:)" + ticket + "\"}"));
    }
    read_frames(one);
  }

  void read_frames(waiter& one) {
    std::string_view left = one.rest;
    for (;;) {
      if (left.size() < 2) break;
      const auto opcode = static_cast<unsigned char>(left[0]) & 0x0f;
      std::size_t size = static_cast<unsigned char>(left[1]), head = 2;
      if (size == 126) {
        if (left.size() < 4) break;
        size = static_cast<std::size_t>(static_cast<unsigned char>(left[2])) << 8 | static_cast<unsigned char>(left[3]);
        head = 4;
      }
      if (left.size() < head + size) break;
      const auto payload = left.substr(head, size);
      left.remove_prefix(head + size);
      if (opcode == 8) return lose(one);
      if (opcode == 9) send(one.socket, frame(10, payload));
      if (opcode == 1) said(one, payload);
    }
    one.rest.erase(0, one.rest.size() - left.size());
    if (one.rest.empty()) one.rest = {};
  }

  void said(waiter& one, std::string_view text) {
    ++messages;
    if (text.starts_with(R"({"op":"delta")")) return heard.told(text, wall_us());
    if (text.starts_with(R"({"op":"room")")) ++rooms;
    if (!one.placed && text.starts_with(R"({"op":"snapshot")")) {
      one.placed = true;
      ++placed_;
    }
  }

  void lose(waiter& one) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, one.socket, nullptr);
    if (one.placed) --placed_;
    ++lost_;
  }

  void read_joiner(joiner& one) {
    if (!read_more(one.socket, one.rest)) throw std::runtime_error("the engine closed a connection that joins");
    const auto head = one.rest.find("\r\n\r\n");
    if (head == std::string::npos) return;
    constexpr std::string_view mark = "Content-Length: ";
    const auto length = one.rest.find(mark);
    std::size_t size = 0;
    std::from_chars(one.rest.data() + length + mark.size(), one.rest.data() + head, size);
    if (one.rest.size() < head + 4 + size) return;
    if (one.rest.starts_with("HTTP/1.1 201")) {
      join_times.record(std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - one.due).count());
    } else if (++refused == 1) {
      std::cerr << "bench queue: first refusal: " << one.rest << '\n';
    }
    one.rest.clear();
    one.busy = false;
    --busy_;
  }

  const engine& on_;
  const std::string show_;
  const int epoll_;
  std::vector<waiter> waiters_;
  std::vector<joiner> joiners_;
  std::array<char, 64 * 1024> buffer_{};
  std::size_t placed_ = 0, lost_ = 0, busy_ = 0;
  double join_seconds_ = 1;
};

/// So many people in the queue, before anybody watches.
void fill(const engine& on, const std::string& show, std::size_t people) {
  std::size_t next = 0;
  const auto source = [&](std::size_t, std::string& bytes) {
    if (next == people) return false;
    bytes = wire_bytes({boost::beast::http::verb::post, "/queue/token", R"({"showId":")" + show + R"(","userId":"usr_first)" + std::to_string(next) + "\"}",
                        {{"Authorization", on.service()}}});
    ++next;
    return true;
  };
  const auto found = run_closed_loop({on.server(), join_connections}, source);
  if (found.succeeded() != people) throw std::runtime_error("not everybody could join: " + found.first_refusal);
}

struct queue_report {
  std::size_t sockets = 0, lost = 0, waves = 0, refused = 0;
  double told_p50_ms = 0, told_p99_ms = 0, told_max_ms = 0;
  double joins_per_s = 0, joins_wanted_per_s = 0, join_p50_ms = 0, join_p99_ms = 0, join_max_ms = 0;
  double bytes_per_socket = 0;
  std::uint64_t messages = 0, rooms = 0;
};

double ms(std::int64_t us) { return static_cast<double>(us) / 1'000; }

queue_report measure(const queue_bench_options& options, const scratch_folder& scratch) {
  engine usher{options.binary, scratch, {"--connections-max", std::to_string(options.sockets + 2 * join_connections + 64)}};
  const auto show = usher.open_show("waiting", window);
  std::cerr << "bench queue: filling the queue" << std::endl;
  fill(usher, show, options.sockets);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const auto before = usher.resident_bytes();
  crowd people{usher, show, options.sockets};
  std::cerr << "bench queue: opening the WebSockets" << std::endl;
  people.open();
  people.idle(std::chrono::seconds(window.window_seconds + 1));
  const auto after = usher.resident_bytes();
  std::cerr << "bench queue: joining" << std::endl;
  people.heard.begin();
  people.join(options.joins, options.seconds);
  people.idle(2 * quiet_gap);

  queue_report out;
  out.sockets = options.sockets;
  out.lost = people.lost();
  out.waves = people.heard.waves;
  out.refused = people.refused;
  out.told_p50_ms = ms(people.heard.delays.percentile_us(0.5));
  out.told_p99_ms = ms(people.heard.delays.percentile_us(0.99));
  out.told_max_ms = ms(people.heard.delays.max_us());
  out.joins_per_s = people.joins_per_second();
  out.joins_wanted_per_s = static_cast<double>(options.joins);
  out.join_p50_ms = ms(people.join_times.percentile_us(0.5));
  out.join_p99_ms = ms(people.join_times.percentile_us(0.99));
  out.join_max_ms = ms(people.join_times.max_us());
  out.bytes_per_socket = static_cast<double>(after - std::min(before, after)) / static_cast<double>(options.sockets);
  out.messages = people.messages;
  out.rooms = people.rooms;
  return out;
}

void print_table(const queue_report& found) {
  std::printf("%zu WebSockets wait, %zu lost; %zu admissions of %u; %llu messages, %llu of them to all alike\n\n", found.sockets, found.lost, found.waves,
              window.admit_per_window, static_cast<unsigned long long>(found.messages), static_cast<unsigned long long>(found.rooms));
  const auto line = [](const char* what, double value, const char* unit, double target, bool met) {
    std::printf("%-52s %10.1f %-4s target %7.0f %-4s %s\n", what, value, unit, target, unit, met_or_missed(met));
  };
  std::printf("%-52s %10.1f ms\n", "from an admission until told, median", found.told_p50_ms);
  std::printf("%-52s %10.1f ms\n", "from an admission until told, p99", found.told_p99_ms);
  line("from an admission until the last was told", found.told_max_ms, "ms", told_target_ms, found.waves > 0 && found.told_max_ms <= told_target_ms);
  line("joins a second meanwhile", found.joins_per_s, "/s", found.joins_wanted_per_s, found.joins_per_s >= 0.99 * found.joins_wanted_per_s);
  std::printf("%-52s %10.1f ms\n", "a join, from when it was due, median", found.join_p50_ms);
  line("a join, from when it was due, p99", found.join_p99_ms, "ms", join_p99_target_ms, found.join_p99_ms <= join_p99_target_ms);
  line("resident memory per waiting connection", found.bytes_per_socket, "B", socket_target_bytes, found.bytes_per_socket <= socket_target_bytes);
}

void print_json(const queue_report& found) {
  std::cout << json::serialize(json::object{
                   {"sockets", found.sockets}, {"lost", found.lost}, {"admissions", found.waves}, {"refused", found.refused},
                   {"toldP50Ms", found.told_p50_ms}, {"toldP99Ms", found.told_p99_ms}, {"toldMaxMs", found.told_max_ms},
                   {"joinsPerSecond", found.joins_per_s}, {"joinP50Ms", found.join_p50_ms}, {"joinP99Ms", found.join_p99_ms}, {"joinMaxMs", found.join_max_ms},
                   {"bytesPerSocket", found.bytes_per_socket}, {"messages", found.messages}, {"messagesToAll", found.rooms}})
            << '\n';
}

}  // namespace

int bench_queue(const queue_bench_options& options) try {
  if (raise_file_limit() < options.sockets + 256) throw std::runtime_error("the limit of open files is too low for so many sockets: ulimit -n");
  scratch_folder scratch{options.scratch};
  try {
    const auto found = measure(options, scratch);
    options.json ? print_json(found) : print_table(found);
    return found.lost == 0 && found.waves > 0 && found.refused == 0 ? 0 : 1;
  } catch (...) {
    scratch.keep();
    std::cerr << "bench queue: logs are kept in " << scratch.file("") << '\n';
    throw;
  }
} catch (const std::exception& error) {
  std::cerr << "bench queue: " << error.what() << '\n';
  return 1;
}

}  // namespace usher::bench
