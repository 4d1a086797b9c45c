// The yardstick of the bench: what HTTP alone costs on this machine, with Beast and one thread and nothing behind it.
#pragma once

#include <cstdint>

namespace usher::bench {

/// Serves a constant answer on 127.0.0.1:`port` over keep-alive connections until the process is ended by a signal.
///
/// Reads the whole request and looks up its Authorization header (401 without it), then answers 200 with a JSON body.
/// The request header `Answer-Bytes: n` sets the size of the body (256 without it, at most 1 MiB), so that
/// an engine's answer is compared with one of its own size.
/// @return  an exit code: 1 where the port can't be had (the reason goes to stderr)
int run_bare_server(std::uint16_t port);

}  // namespace usher::bench
