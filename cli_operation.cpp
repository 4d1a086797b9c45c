#include "cli_operation.hpp"

#include <chrono>
#include <thread>

#include "cli_progress.hpp"

namespace usher::cli {
namespace {

constexpr std::chrono::milliseconds first_look_after{20};
constexpr std::chrono::milliseconds look_every{250};

/// A name that there isn't, or that can't be one, is the caller's mistake.
bool is_misuse(int status) { return status == 400 || status == 404 || status == 422; }

failure refusal_in(const bench::http_reply& reply) {
  auto detail = text_of(object_in(reply.body), "detail");
  if (detail.empty()) detail = reply.status == 0 ? "the node can't be reached: " + reply.body : reply.body;
  return {errc::io_failure, detail};
}

}  // namespace

result<boost::json::object> run_operation(const server& on, const std::string& target, const std::string& body) {
  bench::http_request request;
  request.method = boost::beast::http::verb::post;
  request.target = target;
  request.body = body;
  request.fields.emplace_back("Idempotency-Key", fresh_key());
  const auto begun = exchange(on, std::move(request));
  if (begun.status != 202) return failure{is_misuse(begun.status) ? errc::invalid_argument : errc::io_failure, refusal_in(begun).detail};
  const auto id = text_of(object_in(begun.body), "operationId");
  progress bar{1};
  for (auto wait = first_look_after;; wait = std::min(wait * 2, look_every)) {
    std::this_thread::sleep_for(wait);
    bench::http_request look;
    look.target = "/operations/" + id;
    const auto seen = exchange(on, std::move(look));
    if (seen.status != 200) return refusal_in(seen);
    auto operation = object_in(seen.body);
    const auto state = text_of(operation, "state");
    if (state == "SUCCEEDED" || state == "FAILED") return operation;
    bar.show(number_of(operation, "done"), number_of(operation, "total"));
  }
}

}  // namespace usher::cli
