#pragma once
// How Usher says no over HTTP: every v1::Code has its status and public name here, and becomes an RFC 9457 body.

#include <string>
#include <string_view>

#include "events/reply.pb.h"
#include "http/router.hpp"

namespace usher::http {

/// The public face of a code. `code` and `title` are literals.
struct problem_kind {
  unsigned status;
  std::string_view code;   ///< stable, for programs: seat-unavailable
  std::string_view title;  ///< for people, the same for every occurrence
  bool retryable;          ///< the same request, with the same key, may succeed later
};

/// v1::OK is no problem: asking for it is a bug.
[[nodiscard]] problem_kind kind_of(v1::Code);

/// The answer to a rejection: application/problem+json with type, title, status, detail, code, retryable, requestId,
/// and `seats`, `faults` and `link` where the rejection names some. 401 carries WWW-Authenticate, 503 Retry-After.
[[nodiscard]] response problem(const v1::Rejection&, std::string_view request_id);
[[nodiscard]] response problem(v1::Code, std::string_view detail, std::string_view request_id);

/// A rejection on its way out of a handler, thrown: the session answers it with `problem`.
struct refusal {
  v1::Rejection rejection;
};

/// 500 `internal`: a handler threw, which is a defect.
[[nodiscard]] response internal_problem(std::string_view request_id);

}  // namespace usher::http
