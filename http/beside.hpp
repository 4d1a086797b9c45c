#pragma once
// Work that would keep an I/O thread for too long.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http/handlers.hpp"

namespace usher::http {

/// How many requests may have such work at the same time; it is done one after the other.
inline constexpr std::size_t beside_max = 16;

/// Does the work on a thread of its own. Throws refusal (BUSY) where too many wait for that, and whatever the work throws.
template <class T>
asio::awaitable<T> beside(engine& e, asio::awaitable<T> work) {
  const struct place_in_line {
    std::atomic<std::size_t>& waiting;
    const std::size_t before = waiting++;
    ~place_in_line() { --waiting; }
  } place{e.histories_waiting};
  if (place.before >= beside_max) throw refuse(v1::BUSY, "Too many read the past.");
  co_return co_await asio::co_spawn(e.histories, std::move(work), asio::use_awaitable);
}

/// The same for an answer that has begun, which nobody can refuse any more: it waits in line for as long as it takes.
template <class T>
asio::awaitable<T> beside_in_turn(engine& e, asio::awaitable<T> work) {
  co_return co_await asio::co_spawn(e.histories, std::move(work), asio::use_awaitable);
}

/// That what is stored can't be read, an archived segment that is not there for instance, is no defect of the program. Logged, and told
/// to services and operators. Throws refusal (STREAM_UNREADABLE).
[[noreturn]] void refuse_unreadable(const request_context&, const failure&);

/// What was read of the past. Throws refusal, as above.
template <class T>
T read_of(const request_context& ctx, result<T> r) {
  if (!r) refuse_unreadable(ctx, r.error());
  return std::move(*r);
}

}  // namespace usher::http
