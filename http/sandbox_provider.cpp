#include "http/sandbox_provider.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <spdlog/spdlog.h>

#include <charconv>
#include <set>
#include <thread>

#include "events/json.hpp"
#include "http/secret.hpp"

namespace usher::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

constexpr std::size_t callbacks_max = 10'000;
constexpr std::chrono::seconds retry_every{1};
constexpr int tries_max = 3600;
constexpr std::chrono::seconds answer_within{10};
constexpr unsigned late_seconds_max = 86'400;

/// What a client's method asks for.
struct script {
  std::string_view verdict = "paid";  // empty: none
  std::chrono::seconds after{0};
  int times = 1;
};

std::optional<script> script_of(std::string_view method) {
  if (method.empty() || method == "accept") return script{};
  if (method == "decline") return script{.verdict = "declined"};
  if (method == "twice") return script{.times = 2};
  if (method == "never") return script{.verdict = ""};
  if (!method.starts_with("late:")) return std::nullopt;
  unsigned seconds = 0;
  const auto number = method.substr(5);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), seconds);
  if (error != std::errc{} || end != number.data() + number.size() || seconds < 1 || seconds > late_seconds_max) return std::nullopt;
  return script{.after = std::chrono::seconds{seconds}};
}

}  // namespace

struct sandbox_provider::impl {
  const std::string secret;
  const wall_clock& clock;
  asio::ip::tcp::endpoint target;
  std::set<std::string, std::less<>> under_way;  // on the thread
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::thread thread{[this] { io.run(); }};

  void begin(const std::string& deed, const std::string& payment_id, std::int64_t amount, const script& what);
  asio::awaitable<void> tell(std::string key, std::string payment_id, std::int64_t amount, script what);
  asio::awaitable<bool> deliver(std::string body);
};

void sandbox_provider::impl::begin(const std::string& deed, const std::string& payment_id, std::int64_t amount, const script& what) {
  if (what.verdict.empty()) return;
  auto key = deed + payment_id;
  if (under_way.size() >= callbacks_max || !under_way.insert(key).second) return;
  auto telling = tell(std::move(key), payment_id, amount, what);
  asio::co_spawn(io, std::move(telling), asio::detached);
}

asio::awaitable<void> sandbox_provider::impl::tell(std::string key, std::string payment_id, std::int64_t amount, script what) {
  asio::steady_timer timer{io, what.after};
  co_await timer.async_wait(asio::use_awaitable);
  std::string body;
  json_writer{body}.begin_object().member("paymentId", payment_id).member("verdict", what.verdict).member("amount", amount).end_object();
  for (int tries = 0, told = 0; told < what.times && tries < tries_max; ++tries) {
    const bool taken = co_await deliver(body);
    if (taken) {
      ++told;
      continue;
    }
    timer.expires_after(retry_every);
    co_await timer.async_wait(asio::use_awaitable);
  }
  under_way.erase(key);
}

asio::awaitable<bool> sandbox_provider::impl::deliver(std::string body) {
  beast::tcp_stream stream{io};
  stream.expires_after(answer_within);
  unsigned status = 0;
  try {
    co_await stream.async_connect(target, asio::use_awaitable);
    beast::http::request<beast::http::string_body> message{
        beast::http::verb::post, "/v1/payment/providers/" + std::string{name} + "/verdicts", 11, std::move(body)};
    message.set(beast::http::field::host, target.address().to_string());
    message.set(beast::http::field::content_type, "application/json");
    message.set("Usher-Signature", sign_message(secret, message.body(), clock.now()));
    message.keep_alive(false);
    message.prepare_payload();
    co_await beast::http::async_write(stream, message, asio::use_awaitable);
    beast::flat_buffer buffer;
    beast::http::response<beast::http::string_body> answer;
    co_await beast::http::async_read(stream, buffer, answer, asio::use_awaitable);
    status = answer.result_int();
  } catch (const boost::system::system_error& error) {
    spdlog::debug("event=sandbox_callback_failed detail=\"{}\"", error.what());
  }
  co_return status == 200;
}

sandbox_provider::sandbox_provider(std::string secret, const wall_clock& clock) : impl_{new impl{std::move(secret), clock, {}, {}}} {}

sandbox_provider::~sandbox_provider() {
  impl_->io.stop();
  impl_->thread.join();
}

void sandbox_provider::call_back(asio::ip::tcp::endpoint target) { impl_->target = std::move(target); }

void sandbox_provider::order(const v1::ProviderCommand& command) {
  asio::post(impl_->io, [this, command] {
    switch (command.kind_case()) {
      case v1::ProviderCommand::kTake:
        if (const auto what = script_of(command.take().method()))
          impl_->begin("take ", command.take().payment_id(), command.take().amount(), *what);
        return;
      case v1::ProviderCommand::kGiveBack:
        return impl_->begin("give back ", command.give_back().payment_id(), command.give_back().amount(), script{.verdict = "refunded"});
      case v1::ProviderCommand::KIND_NOT_SET: return;
    }
  });
}

std::optional<std::string> sandbox_provider::fault_of(std::string_view method) const {
  if (script_of(method)) return std::nullopt;
  return "The sandbox knows accept, decline, twice, never and late:N, N from 1 to 86400 seconds.";
}

std::string_view sandbox_provider::secret() const { return impl_->secret; }

}  // namespace usher::http
