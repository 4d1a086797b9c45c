#include "http/erasure.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <filesystem>
#include <set>
#include <thread>

#include "events/api.pb.h"

namespace usher::http {
namespace {

constexpr std::chrono::milliseconds look_every{10};
constexpr std::chrono::milliseconds again_after{50};
constexpr std::chrono::milliseconds again_after_max{2000};

/// The copies of the log that work under way reads; each vanishes with its work.
std::set<std::string> copies_in(const std::string& data_directory) {
  std::set<std::string> out;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator{data_directory + "/copies", none}) out.insert(entry.path().filename());
  return out;
}

bool share_any(const std::set<std::string>& a, const std::set<std::string>& b) {
  return std::any_of(a.begin(), a.end(), [&b](const auto& name) { return b.contains(name); });
}

/// Tries until it holds, less and less often. @return false where nobody wants it any more
bool until(const std::function<bool()>& holds, const operation_progress& progress) {
  for (auto wait = again_after; !holds(); wait = std::min(wait * 2, again_after_max)) {
    for (auto left = wait; left.count() > 0 && !progress.cancelled(); left -= again_after) std::this_thread::sleep_for(again_after);
    if (progress.cancelled()) return false;
  }
  return true;
}

/// Until no file of before holds the keys of these users.
result<void> purge_these(engine& e, const std::vector<std::string>& users, const operation_progress& progress) {
  // Those of before hold the keys as well. One that was made since is waited for in vain, but none is overlooked.
  std::set<std::string> copies;
  result<bool> gone{true};
  const auto try_it = [&] {
    gone = e.log.purge(users);
    copies = copies_in(e.settings.data_directory);
    return !gone || *gone;
  };
  const auto copies_gone = [&] { return !share_any(copies, copies_in(e.settings.data_directory)); };
  const bool ended = until(try_it, progress) && (!gone || until(copies_gone, progress));
  if (!gone) return gone.error();
  if (!ended) return failure{errc::io_failure, "The node stops; the next start goes on with it."};
  return e.log.purged(users);
}

result<std::string> purge(engine& e, operation_progress& progress) {
  const auto count = purge_all(e, progress);
  if (!count) return count.error();
  std::string out;
  json_writer{out}.begin_object().member("persons", *count).end_object();
  return out;
}

bool is_to_purge(const engine& e, const std::string& user_id) {
  return value_of(e.log.get(store::family::meta, "purge/" + user_id)).has_value();  // a point read of users_to_purge
}

/// One operation serves all who were erased before it ended; whoever comes later needs the one after it.
asio::awaitable<bool> purged(engine& e, const request_context& ctx, const std::string& user_id, std::optional<std::string>& operation) {
  const auto end = std::chrono::steady_clock::now() + wait_of(e, ctx);
  asio::steady_timer timer{co_await asio::this_coro::executor};
  while (is_to_purge(e, user_id)) {
    operation = start_purge(e);
    if (std::chrono::steady_clock::now() >= end) co_return false;
    timer.expires_after(look_every);
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return true;
}

}  // namespace

result<std::uint64_t> purge_all(engine& e, operation_progress& progress) {
  std::uint64_t count = 0;
  while (true) {  // who is erased meanwhile was promised this very operation
    const auto users = e.log.users_to_purge();
    if (!users) return users.error();
    if (users->empty()) break;
    progress.expect(count + users->size());
    if (auto gone = purge_these(e, *users, progress); !gone) return gone.error();
    count += users->size();
    progress.done(count);
  }
  if (count != 0) spdlog::info("event=persons_purged count={}", count);
  return count;
}

std::optional<std::string> start_purge(engine& e) {
  return e.work.start("purge", "persons", [&e](operation_progress& progress) { return purge(e, progress); });
}

result<void> resume_purge(engine& e) {
  const auto users = e.log.users_to_purge();
  if (!users) return users.error();
  if (!users->empty()) start_purge(e);
  return {};
}

reply erase_user(engine& e, request_context& ctx) {
  const auto user_id = user_of(ctx, std::string{ctx.path_param("id")});
  if (ctx.caller->role == role::service) throw refuse(v1::FORBIDDEN, "Only the person or an operator may erase an account.");
  auto r = make_request(ctx, user_ref(user_id));
  r->command.mutable_user()->mutable_erase()->set_reason(body_of<v1::EraseBody>(ctx).reason());
  const auto a = co_await ask_and_see(e, ctx, std::move(r));
  std::optional<std::string> operation;
  const bool done = co_await purged(e, ctx, user_id, operation);
  if (done) co_return with_origin(no_content(), a);
  std::string out;
  json_writer json{out};
  json.begin_object().member("userId", user_id);
  if (operation) json.member("operationId", *operation);
  json.end_object();
  auto response = answered(202, a, std::move(out));
  if (operation) response.with("Location", "/operations/" + *operation);
  co_return response;
}

}  // namespace usher::http
