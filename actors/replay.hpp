#pragma once
// Folds every stream of a log again with the code at hand, compares with what is stored, and decides recorded commands again.

#include <array>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.hpp"

namespace usher::actors {

/// The sum of SHA-256 over many texts, as a number of 256 bits: the same in whatever order they come.
class unordered_hash {
 public:
  void add(std::string_view text);
  void add(const unordered_hash&);
  [[nodiscard]] std::string hex() const;  ///< 64 digits

 private:
  void add_words(const std::array<std::uint64_t, 4>&);
  std::array<std::uint64_t, 4> words_{};  // the lowest first
};

struct replay_settings {
  bool decide = false;                  ///< decide the recorded commands again, too
  std::uint64_t records_a_pass = 2'000'000;  ///< of a partition: what has more of them is folded in several passes, but not where commands are decided
  std::size_t awake_max = 100'000;      ///< as offline_engine: how many entities are kept ready
  std::size_t differences_max = 100;    ///< that are told; all are counted
  std::uint64_t snapshot_schema = 0;    ///< 0: snapshots of any schema are compared
};

/// Where the log, folded again, is not what is stored.
struct replay_difference {
  log_position at;       ///< the record that shows it
  std::string entity;    ///< as key_of names it
  std::uint64_t version = 0;
  std::string detail;    ///< a sentence with the path of the field, without anything of a person
};

/// A recorded decision that the code at hand would not have made.
struct redecision {
  log_position at;
  std::string entity;
  std::string command;   ///< its type, as in reservation.place
  std::string recorded;  ///< a JSON object: `outcome` and `events`, without secrets
  std::string decided;   ///< the same, or one with `rejection`
};

struct replayed {
  struct kind_total {
    std::uint64_t entities = 0;
    unordered_hash hash;
  };
  struct command_total {
    std::uint64_t same = 0;
    std::uint64_t other = 0;
    std::uint64_t impossible = 0;  ///< can't be decided again: see `why_impossible`
  };
  std::uint64_t records = 0;
  std::uint64_t events = 0;
  std::uint64_t entities = 0;
  unordered_hash hash;                        ///< over each entity's stream, version and state
  std::map<std::string, kind_total> by_kind;  ///< by word_of(kind)
  std::uint64_t snapshots = 0;                ///< stored ones that were compared
  std::uint64_t snapshots_skipped = 0;        ///< of another schema: nobody reads them
  std::uint64_t different = 0;
  std::vector<replay_difference> differences;
  std::map<std::string, command_total> by_command;    ///< where commands were decided
  std::map<std::string, std::uint64_t> why_impossible;  ///< sentences, with how often
  std::vector<redecision> redecisions;
  bool cancelled = false;                     ///< the rest means nothing

  [[nodiscard]] std::uint64_t decided_otherwise() const;
};

/// Called now and then with the records taken in so far, of which one in several passes counts in each of them in part.
/// @return whether to go on
using replay_progress = std::function<bool(std::uint64_t records)>;

/// Folds all of it, partition by partition. Finds snapshots that the fold contradicts or that are of versions which the log doesn't have,
/// versions with gaps, events that this code doesn't know, and deadlines other than recorded.
///
/// @param db  read-only, or a copy: nobody writes meanwhile
/// @error io_failure, corrupted (a record can't be decoded)
/// Cost: some microseconds an event, as much again where commands are decided; memory for the states of one partition's entities (of
/// one pass), of which those at rest take some 200 bytes each.
result<replayed> replay(const store::database& db, const replay_settings&, const replay_progress& = {});

}  // namespace usher::actors
