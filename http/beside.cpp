#include "http/beside.hpp"

#include <spdlog/spdlog.h>

namespace usher::http {

void refuse_unreadable(const request_context& ctx, const failure& why) {
  spdlog::error("event=past_unreadable request_id={} detail=\"{}\"", ctx.request_id, why.detail);
  const bool is_staff = ctx.caller && ctx.caller->role != role::user;
  throw refuse(v1::STREAM_UNREADABLE, is_staff ? why.detail : "What is stored of this can't be read. An operator can see why under the request's id.");
}

}  // namespace usher::http
