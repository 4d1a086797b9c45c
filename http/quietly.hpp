#pragma once
// How a coroutine waits where failing is no exception.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace usher::http {

/// The error code comes first of what is awaited.
inline constexpr auto quietly = boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace usher::http
