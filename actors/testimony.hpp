#pragma once
// What the log says about an entity, as JSON: the answers of the audit endpoints, and of the verbs that read a log of their own.
//
// Nothing in it is secret (events/secrets.hpp).

#include "actors/history.hpp"

namespace usher::actors {

/// The entity that is spoken of: where it is stored, and where it stands there.
struct testified {
  const store::database& db;
  v1::EntityRef ref;
  store::stream_head head;
  store::stream_head show;  ///< where the show stands that a seat or a stock belongs to; of others it says nothing
};
/// Whether it ever was there. A seat and a stock are from the record on that opened their show, also where nobody ever wanted them.
/// @error io_failure, corrupted  Cost: nothing where it has events, else the layout of the show
result<bool> ever_was(const testified&);

struct stream_question {
  stream_place from;
  std::size_t limit = 50;
  std::uint64_t upto_index = 0;
};
/// `{stream, version, items: [{version, position, at, type, data, …}], nextCursor}`, oldest first; `version` is today's.
/// @error as events_of
result<std::string> stream_json(const testified&, const stream_question&);
std::string cursor_from(const stream_place&);
/// @return nullopt where cursor_from did not make it
std::optional<stream_place> place_from_cursor(std::string_view);

/// `{stream, asOf, version, position, at, state}`; `asOf` only where it is not empty. A seat or a stock that nobody has wanted by
/// then has version 0, and the position and the time of the record that opened its show.
/// @return nullopt where the entity was not there yet  @error as state_as_of
result<std::optional<std::string>> state_json(const testified&, std::string_view as_of, std::uint64_t upto_index);

/// One end of a difference, as it was asked for and as what it is.
struct diff_end {
  std::string text;
  std::uint64_t index = 0;
};
/// `{stream, from, to, changes: [{path, before, after}], events: […]}`: what is different in the state, and which events made it so,
/// both the first 200 of them (`moreChanges`, `moreEvents`). Before it was there an entity is null.
/// @error as state_as_of
result<std::string> diff_json(const testified&, const diff_end& from, const diff_end& to);

}  // namespace usher::actors
