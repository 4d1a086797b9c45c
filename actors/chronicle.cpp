#include "actors/chronicle.hpp"

#include <algorithm>
#include <limits>

#include "events/json.hpp"
#include "events/secrets.hpp"
#include "events/upcast.hpp"
#include "events/words.hpp"
#include "store/moment.hpp"
#include "store/stream.hpp"

namespace usher::actors {
namespace {

/// Looked at in one go, so that whoever asks can do something else in between.
constexpr std::uint64_t stretch_records = 20'000;

bool contains(std::string_view bytes, std::string_view part) { return part.empty() || bytes.find(part) != std::string_view::npos; }

bool belongs_to(const v1::EntityRef& stream, const std::string& user) { return stream.group() == user || stream.name() == user; }

}  // namespace

bool is_type(std::string_view text) {
  return text == "unknown" || is_type_in(*v1::Command::descriptor(), "kind", text) || is_type_in(*v1::StreamEvent::descriptor(), "payload", text);
}

log_reader::log_reader(const store::database& db, log_filter filter) : db_{db}, filter_{std::move(filter)} {
  auto only = filter_.partition;
  if (filter_.stream) only = partition_of(filter_.stream->group());
  if (only) first_ = *only, end_ = *only + 1;
  if (only && filter_.partition && *only != *filter_.partition) end_ = first_;  // the stream lives elsewhere
  at_ = first_;
  next_.fill(std::max<std::uint64_t>(filter_.from, 1));
  last_.fill(std::numeric_limits<std::uint64_t>::max());
  if (!filter_.only_new) return;
  for (auto p = first_; p != end_; ++p) next_[p] = std::max(next_[p], db_.durable_end(p) + 1);
}

/// Finds where the times stand that the filter names. Where the log ends before `until`, what comes may still be before it.
result<void> log_reader::begin() {
  for (auto p = first_; p != end_; ++p) {
    if (filter_.since_ms) {
      const auto before = store::index_at(db_, p, {.at_ms = *filter_.since_ms - 1});
      if (!before) return before.error();
      next_[p] = std::max(next_[p], *before + 1);
    }
    if (filter_.until_ms) {
      const auto end = db_.durable_end(p);
      const auto last = store::index_at(db_, p, {.at_ms = *filter_.until_ms});
      if (!last) return last.error();
      if (*last < end) last_[p] = *last;
    }
  }
  begun_ = true;
  return {};
}

std::uint64_t log_reader::end_of(std::uint32_t partition) const { return std::min(db_.durable_end(partition), last_[partition]); }

std::uint64_t log_reader::total() const {
  auto sum = done_;
  for (auto p = first_; p != end_; ++p) sum += end_of(p) + 1 - std::min(next_[p], end_of(p) + 1);
  return sum;
}

bool log_reader::may_fit(std::string_view stored) const {
  if (!contains(stored, filter_.user)) return false;
  return !filter_.stream || contains(stored, filter_.stream->name().empty() ? filter_.stream->group() : filter_.stream->name());
}

bool log_reader::fits(const v1::Record& record) const {
  const auto& events = record.events();
  if (filter_.stream && std::ranges::none_of(events, [this](const auto& e) { return store::same_entity(e.stream(), *filter_.stream); })) return false;
  if (!filter_.user.empty() && record.user_id() != filter_.user &&
      std::ranges::none_of(events, [this](const auto& e) { return belongs_to(e.stream(), filter_.user); }))
    return false;
  return filter_.type.empty() || type_of(record.command(), "kind") == filter_.type ||
         std::ranges::any_of(events, [this](const auto& e) { return type_of(e, "payload") == filter_.type; });
}

/// @return false where `visit` has had enough, or nothing is left of the stretch
result<bool> log_reader::read_partition(std::uint32_t partition, std::uint64_t& left, const std::function<bool(const v1::Record&)>& visit) {
  const auto end = end_of(partition);
  std::optional<failure> broken;
  bool wants_more = true;
  if (next_[partition] > end) return true;
  const auto scanned = db_.scan_stored(partition, next_[partition], [&](std::uint64_t index, std::string_view stored) {
    if (index > end) return false;
    next_[partition] = index + 1;
    ++done_;
    --left;
    if (may_fit(stored)) {
      if (!decode(stored, record_))
        broken = failure{errc::corrupted, "record " + place_of({partition, index}) + " can't be decoded"};
      else if (filter_.until_ms && store::latest_of(record_) > *filter_.until_ms)
        last_[partition] = index - 1;
      else if (fits(record_))
        wants_more = visit(record_);
    }
    return !broken && wants_more && left != 0 && index < last_[partition];
  });
  if (broken) return *broken;
  if (!scanned) return scanned.error();
  return wants_more && left != 0;
}

result<bool> log_reader::read(const std::function<bool(const v1::Record&)>& visit) {
  if (!begun_)
    if (auto found = begin(); !found) return found.error();
  auto left = stretch_records;
  for (; at_ != end_; ++at_) {
    const auto goes_on = read_partition(at_, left, visit);
    if (!goes_on) return goes_on.error();
    if (!*goes_on) return true;
  }
  at_ = first_;
  return false;
}

std::string line_of(const v1::Record& record) {
  std::string out;
  to_json(without_secrets(record), out);
  return out += '\n';
}

}  // namespace usher::actors
