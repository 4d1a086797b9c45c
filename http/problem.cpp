// The table of every way to say no, and its JSON.

#include "http/problem.hpp"

#include <cstdio>
#include <cstdlib>

#include "events/json.hpp"

namespace usher::http {

problem_kind kind_of(v1::Code code) {
  switch (code) {
    case v1::INVALID_REQUEST: return {400, "invalid-request", "The request isn't well formed", false};
    case v1::IDEMPOTENCY_KEY_MISSING: return {400, "idempotency-key-missing", "An Idempotency-Key is needed", false};
    case v1::UNAUTHENTICATED: return {401, "unauthenticated", "A valid token is needed", false};
    case v1::FORBIDDEN: return {403, "forbidden", "Not allowed for this caller", false};
    case v1::ADMISSION_REQUIRED: return {403, "admission-required", "The queue hasn't admitted this caller", false};
    case v1::INSUFFICIENT_BALANCE: return {402, "insufficient-balance", "The balance is too low", false};
    case v1::NOT_FOUND: return {404, "not-found", "There is no such thing", false};
    case v1::METHOD_NOT_ALLOWED: return {405, "method-not-allowed", "The path doesn't have this method", false};
    case v1::BODY_TOO_LARGE: return {413, "body-too-large", "The body is too large", false};
    case v1::UNSUPPORTED_MEDIA_TYPE: return {415, "unsupported-media-type", "The body must be application/json", false};
    case v1::HEADER_TOO_LARGE: return {431, "header-too-large", "The header is too large", false};
    case v1::SEAT_UNAVAILABLE:
    case v1::STOCK_UNAVAILABLE: return {409, "seat-unavailable", "Not available", false};
    case v1::RESERVATION_NOT_PENDING:
    case v1::NOT_THE_HOLDER: return {409, "reservation-not-pending", "The reservation isn't pending", false};
    case v1::ORPHAN_SEAT: return {409, "orphan-seat", "It would leave a single seat free", false};
    case v1::EXTENSION_UNAVAILABLE: return {409, "extension-unavailable", "The hold can't be made longer", false};
    case v1::AUTHORIZATION_ENDED: return {409, "authorization-ended", "The authorization isn't open", false};
    case v1::ERASED: return {410, "erased", "This person was erased", false};
    case v1::STREAM_UNREADABLE: return {500, "stream-unreadable", "What is stored of this can't be read here", false};
    case v1::TICKET_MOVED: return {409, "ticket-moved", "The queue ticket belongs to another device by now", false};
    case v1::TICKET_LIMIT_EXCEEDED: return {409, "ticket-limit-exceeded", "More tickets than one buyer may have", false};
    case v1::IDEMPOTENCY_IN_FLIGHT: return {409, "idempotency-in-flight", "The first request with this key is still running", true};
    case v1::ALREADY_EXISTS: return {409, "already-exists", "It exists already", false};
    case v1::RESERVATION_EXPIRED: return {410, "reservation-expired", "The hold has ended", false};
    case v1::QUEUE_TICKET_EXPIRED: return {410, "queue-ticket-expired", "The queue ticket has expired", false};
    case v1::SALE_CLOSED: return {410, "sale-closed", "The sale isn't open", false};
    case v1::VERSION_MISMATCH: return {412, "version-mismatch", "It was changed in the meantime", false};
    case v1::IDEMPOTENCY_KEY_REUSED: return {422, "idempotency-key-reused", "The key was used for another request", false};
    case v1::VALIDATION_FAILED: return {422, "validation-failed", "Some fields are not valid", false};
    case v1::PRECONDITION_REQUIRED: return {428, "precondition-required", "If-Match is needed", false};
    case v1::RATE_LIMITED: return {429, "rate-limited", "Too many requests", true};
    case v1::BUSY: return {503, "busy", "Too busy: not executed", true};
    case v1::QUEUE_PAUSED: return {503, "queue-paused", "The queue is paused", true};
    case v1::NO_QUORUM: return {503, "no-quorum", "Too few nodes are reachable", true};
    case v1::SHUTTING_DOWN: return {503, "shutting-down", "This node is stopping", true};
    case v1::OUTCOME_UNKNOWN: return {504, "outcome-unknown", "Decided, but not known to be durable: retry with the same key", true};
    case v1::OK:
    case v1::Code_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Code_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  std::fprintf(stderr, "bug: code %d is no problem\n", static_cast<int>(code));
  std::abort();
}

namespace {

response written(const problem_kind& kind, const v1::Rejection& rejection, std::string_view request_id) {
  std::string body;
  json_writer json{body};
  json.begin_object();
  json.key("type").value(std::string{"urn:usher:problem:"}.append(kind.code));
  json.member("title", kind.title).member("status", kind.status).member("detail", rejection.detail());
  json.member("code", kind.code).member("retryable", kind.retryable).member("requestId", request_id);
  if (rejection.seats_size() > 0) {
    json.key("seats").begin_array();
    for (const auto& seat : rejection.seats()) json.value(seat);
    json.end_array();
  }
  if (rejection.faults_size() > 0) {
    json.key("faults").begin_array();
    for (const auto& fault : rejection.faults()) {
      json.begin_object().member("field", fault.field()).member("detail", fault.detail()).end_object();
    }
    json.end_array();
  }
  if (rejection.alternatives_size() > 0) {
    json.key("alternatives").begin_array();
    for (const auto& instead : rejection.alternatives()) {
      json.begin_object().key("seats").begin_array();
      for (const auto& seat : instead.seats()) json.value(seat);
      json.end_array().member("amount", instead.amount()).end_object();
    }
    json.end_array();
  }
  if (!rejection.link().empty()) json.member("link", rejection.link());
  json.end_object();
  auto out = json_response(kind.status, std::move(body));
  out.content_type = "application/problem+json";
  return out;
}

}  // namespace

response problem(const v1::Rejection& rejection, std::string_view request_id) {
  const auto kind = kind_of(rejection.code());
  auto out = written(kind, rejection, request_id);
  if (kind.status == 401) out.with("WWW-Authenticate", "Bearer");
  if (kind.status == 503) out.with("Retry-After", "1");
  return out;
}

response problem(v1::Code code, std::string_view detail, std::string_view request_id) {
  v1::Rejection rejection;
  rejection.set_code(code);
  rejection.set_detail(std::string{detail});
  return problem(rejection, request_id);
}

response internal_problem(std::string_view request_id) {
  v1::Rejection rejection;
  rejection.set_detail("Usher has a defect here. It is logged under the request's id.");
  return written({500, "internal", "A defect of the server", false}, rejection, request_id);
}

}  // namespace usher::http
