#include "store/moment.hpp"

#include <charconv>

#include "events/json.hpp"
#include "events/words.hpp"

namespace usher::store {
namespace {

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t out = 0;
  const auto* end = text.data() + text.size();
  const auto [stopped, bad] = std::from_chars(text.data(), end, out);
  if (bad != std::errc{} || stopped != end) return std::nullopt;
  return out;
}

result<bool> is_later(const database& db, log_position at, std::int64_t than_ms) {
  const auto record = db.read(at);
  if (!record) return record.error();
  if (!*record) return failure{errc::corrupted, "record " + place_of(at) + " is missing"};
  return latest_of(**record) > than_ms;
}

}  // namespace

std::optional<moment> moment_from(std::string_view text, std::uint32_t partition) {
  if (const auto time = from_rfc3339(text)) return moment{.at_ms = to_ms(*time)};
  if (const auto index = whole_number(text)) return moment{.index = *index};
  auto place = place_from(text);
  if (!place) place = position_from_token(text);
  if (!place || place->partition != partition) return std::nullopt;
  return moment{.index = place->index};
}

result<moment> moment_in(const database& db, std::uint32_t partition, std::string_view text, time_point now) {
  const auto wrong = [&](const std::string& why) {
    const auto p = std::to_string(partition);
    return failure{errc::invalid_argument, std::string{text} + why + "; what is taken is a time like 2026-05-31T10:00:03.250Z, or in partition " + p +
                                               ", which this is about, a place like " + p + "/17, a Log-Position or the index of a record"};
  };
  const auto when = moment_from(text, partition);
  if (!when) return wrong(place_from(text) || position_from_token(text) ? " lies in another partition" : " is no moment");
  const auto end = db.durable_end(partition);
  if (when->index != moment{}.index && when->index > end) return wrong(" is beyond the end of the log, which is " + place_of({partition, end}));
  if (when->at_ms == moment{}.at_ms || when->at_ms <= to_ms(now)) return *when;
  const auto known = end == 0 ? result<bool>{true} : is_later(db, {partition, end}, when->at_ms - 1);
  if (!known) return known.error();
  if (end == 0 || !*known) return wrong(" is yet to come");
  return *when;
}

result<std::uint64_t> index_at(const database& db, std::uint32_t partition, const moment& when) {
  const auto end = std::min(db.durable_end(partition), when.index);
  if (end == 0 || when.at_ms == std::numeric_limits<std::int64_t>::max()) return end;
  std::uint64_t before = 0;       // not later
  std::uint64_t later = end + 1;  // later, or none
  for (auto look = end; later - before > 1; look = before + (later - before) / 2) {  // the end first: mostly it is asked for now
    const auto seen = is_later(db, {partition, look}, when.at_ms);
    if (!seen) return seen.error();
    (*seen ? later : before) = look;
  }
  return before;
}

}  // namespace usher::store
