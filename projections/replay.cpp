#include "projections/replay.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <limits>
#include <optional>

#include "events/sha256.hpp"
#include "projections/bytes.hpp"
#include "projections/catalogue.hpp"
#include "projections/offence.hpp"
#include "projections/rows.hpp"

namespace usher::projections {
namespace {

constexpr std::uint64_t write_every = 1024;   // records, as a node does
constexpr std::size_t differences_max = 20;   // of a read model, that are told

// Nothing else is in the scratch database than what was folded, and what is compared where rows can't be as they are.
constexpr std::uint64_t folded_generation = 1;
constexpr std::uint64_t whole_generation = 2;
constexpr std::uint64_t whole_stored_generation = 3;

std::string printable(std::string_view key) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const unsigned char c : key) {
    if (c >= 0x20 && c < 0x7f && c != '\\') out += static_cast<char>(c);
    else out += {'\\', 'x', digits[c >> 4], digits[c & 15]};
  }
  return out;
}

/// A database that vanishes with all that is in it.
class scratch_database {
 public:
  static result<std::unique_ptr<scratch_database>> make(std::string directory) {
    std::unique_ptr<scratch_database> out{new scratch_database{std::move(directory)}};
    auto db = store::database::open(out->directory_);
    if (!db) return db.error();
    out->db_ = std::move(*db);
    return out;
  }
  ~scratch_database() {
    db_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  scratch_database(const scratch_database&) = delete;
  scratch_database& operator=(const scratch_database&) = delete;
  [[nodiscard]] store::database& db() { return *db_; }

 private:
  explicit scratch_database(std::string directory) : directory_{std::move(directory)} {}
  const std::string directory_;
  std::unique_ptr<store::database> db_;
};

/// A hash over texts, one after the other; no two lists of texts have the same.
class list_hash {
 public:
  void add(std::string_view text) {
    std::string size;
    put_number(size, text.size());
    last_ = sha256({bytes_of(last_), size, text});
  }
  [[nodiscard]] std::string hex() const { return to_hex(bytes_of(last_)); }

 private:
  sha256_digest last_{};
};

/// One read model that is folded anew, and the stored one.
struct member {
  projection* view = nullptr;
  std::string stored_rows;  ///< what the keys of the stored rows begin with
  std::string folded_rows;  ///< and of those that are folded now
  positions stored{};  ///< how far the stored rows go; where there are none, nothing is compared
  positions upto{};    ///< how far to fold now
  positions at{};      ///< how far it is
  bool changed = false;
  replayed_view seen;

  [[nodiscard]] bool is_fine() const { return seen.error.empty(); }

  void take(const v1::Record& record) {
    auto& here = at[record.partition()];
    if (!is_fine() || record.index() != here + 1 || record.index() > upto[record.partition()]) return;
    if (const auto failed = apply_to(*view, record)) {
      seen.error = failed->text();
      return;
    }
    here = record.index();
    changed = true;
  }
};

result<void> write(member& m, store::database& into) {
  if (!m.changed || !m.is_fine()) return {};
  const auto put = into.put_derived(store::family::views, [&m](row_writer& rows) {
    prefixed_rows own{m.folded_rows, rows};
    m.view->collect(own);
  });
  if (!put) return put;
  m.view->written();
  m.changed = false;
  return {};
}

/// Folds on to where each of them shall go.
/// @param taken  counts the records
/// @return whether it was not cancelled
result<bool> fold_on(const store::database& db, std::vector<member>& members, store::database& into, std::uint64_t& taken,
                     const std::function<bool(std::uint64_t)>& progress) {
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    std::uint64_t from = std::numeric_limits<std::uint64_t>::max(), upto = 0;
    for (const auto& m : members) {
      if (m.at[p] < m.upto[p]) from = std::min(from, m.at[p] + 1);
      upto = std::max(upto, m.upto[p]);
    }
    result<void> written;
    bool wanted = true;
    if (from > upto) continue;
    const auto scanned = db.scan(p, from, [&](const store::record_ptr& record, std::string_view) {
      if (record->index() > upto) return false;
      for (auto& m : members) m.take(*record);
      if (++taken % write_every != 0) return true;
      for (auto& m : members)
        if (written = write(m, into); !written) return false;
      wanted = !progress || progress(taken);
      return wanted;
    });
    if (!scanned) return scanned.error();
    if (!written) return written.error();
    if (!wanted) return false;
  }
  for (auto& m : members)
    if (auto written = write(m, into); !written) return written.error();
  return true;
}

/// Rows somewhere: what their keys begin with, and in which database.
struct place_of_rows {
  const store::database& db;
  std::string rows;
};

/// Walks the rows of two places side by side.
class comparison {
 public:
  comparison(member& m, place_of_rows stored, place_of_rows folded) : m_{m}, stored_{std::move(stored)}, folded_{std::move(folded)} {}

  result<void> run() {
    const auto& rows = folded_.rows;
    auto read = folded_.db.each(store::family::views, rows, rows, [&](std::string_view key, std::string_view value) {
      return catch_up_to(key.substr(rows.size()), value);
    });
    if (!read) return read;
    blame_rest();
    if (failed_) return *failed_;
    return {};
  }

 private:
  using row = std::pair<std::string, std::string>;

  /// The stored rows are read in portions: two walks can't be under way in one another's callbacks otherwise.
  std::optional<row> next_stored() {
    if (at_ == portion_.size() && !ended_) load_portion();
    if (at_ == portion_.size()) return std::nullopt;
    return std::move(portion_[at_++]);
  }
  void load_portion() {
    constexpr std::size_t portion = 1024;
    const auto& rows = stored_.rows;
    const auto from = portion_.empty() ? rows : rows + last_ + '\0';
    portion_.clear();
    at_ = 0;
    const auto read = stored_.db.each(store::family::views, rows, from, [&](std::string_view key, std::string_view value) {
      portion_.emplace_back(key.substr(rows.size()), value);
      return portion_.size() < portion;
    });
    if (!read) failed_ = read.error();
    ended_ = portion_.size() < portion;
    if (!portion_.empty()) last_ = portion_.back().first;
  }

  bool catch_up_to(std::string_view key, std::string_view value) {
    if (!pending_) pending_ = next_stored();
    while (pending_ && pending_->first < key) {
      blame(pending_->first, row_difference::kind::superfluous);
      pending_ = next_stored();
    }
    if (failed_) return false;
    if (!pending_ || pending_->first != key) {
      blame(key, row_difference::kind::missing);
      return true;
    }
    if (pending_->second != value) blame(key, row_difference::kind::other);
    pending_.reset();
    return true;
  }

  void blame_rest() {
    if (pending_) blame(pending_->first, row_difference::kind::superfluous);
    while (const auto row = next_stored()) blame(row->first, row_difference::kind::superfluous);
  }

  void blame(std::string_view key, row_difference::kind what) {
    ++m_.seen.different;
    if (m_.seen.differences.size() < differences_max) m_.seen.differences.push_back({printable(key), what});
  }

  member& m_;
  const place_of_rows stored_;
  const place_of_rows folded_;
  std::vector<row> portion_;
  std::size_t at_ = 0;
  std::string last_;
  bool ended_ = false;
  std::optional<row> pending_;
  std::optional<failure> failed_;
};

/// Writes the rows that say all that a read model holds, whenever it was written before.
/// @return false: it has none, since its own are so already
result<bool> write_whole(const projection& view, const std::string& rows, store::database& into) {
  if (auto gone = into.erase_prefix(store::family::views, rows); !gone) return gone.error();
  bool has = false;
  const auto put = into.put_derived(store::family::views, [&](row_writer& out) {
    prefixed_rows own{rows, out};
    has = view.collect_whole(own);
  });
  if (!put) return put.error();
  return has;
}

/// What to compare and to hash of what was folded.
result<place_of_rows> meaning_of(const member& m, store::database& scratch) {
  const auto whole = rows_of(m.view->name(), whole_generation);
  const auto has = write_whole(*m.view, whole, scratch);
  if (!has) return has.error();
  return place_of_rows{scratch, *has ? whole : m.folded_rows};
}

/// What to compare of what is stored; nullopt where it can't be read, which is noted.
result<std::optional<place_of_rows>> stored_meaning(member& m, const store::database& db, store::database& scratch) {
  const auto view = m.view->fresh();
  try {
    if (auto loaded = view->load(db, m.stored_rows); !loaded) return loaded.error();
  } catch (const std::exception& e) {
    m.seen.different = 1;
    m.seen.differences.push_back({e.what(), row_difference::kind::other});
    return std::optional<place_of_rows>{};
  }
  const auto whole = rows_of(m.view->name(), whole_stored_generation);
  if (auto has = write_whole(*view, whole, scratch); !has) return has.error();
  return std::optional{place_of_rows{scratch, whole}};
}

result<void> compare(member& m, const store::database& db, store::database& scratch) {
  auto folded = meaning_of(m, scratch);
  if (!folded) return folded.error();
  if (folded->rows == m.folded_rows) return comparison{m, {db, m.stored_rows}, std::move(*folded)}.run();
  auto stored = stored_meaning(m, db, scratch);
  if (!stored) return stored.error();
  if (!*stored) return {};
  return comparison{m, std::move(**stored), std::move(*folded)}.run();
}

/// Counts and hashes what was folded, and how far it goes.
result<void> add_up(member& m, store::database& scratch) {
  const auto folded = meaning_of(m, scratch);
  if (!folded) return folded.error();
  const auto& rows = folded->rows;
  list_hash hash;
  auto read = folded->db.each(store::family::views, rows, rows, [&](std::string_view key, std::string_view value) {
    ++m.seen.rows;
    hash.add(key.substr(rows.size()));
    hash.add(value);
    return true;
  });
  if (!read) return read;
  std::string upto;
  for (const auto index : m.at) put_number(upto, index);
  hash.add(upto);
  m.seen.hash = hash.hex();
  return {};
}

result<std::vector<member>> prepare(const store::database& db, views& fresh, store::database& scratch) {
  std::vector<member> members;
  for (auto* view : fresh.all()) {
    auto& m = members.emplace_back();
    m.view = view;
    m.seen.name = view->name();
    const auto stored = find_checkpoint(db, checkpoint_key(view->name()));
    if (!stored) return stored.error();
    m.seen.stored = *stored && (*stored)->version == view->version();
    if (m.seen.stored) m.stored = (*stored)->at;
    if (m.seen.stored) m.stored_rows = rows_of(view->name(), (*stored)->generation);
    m.folded_rows = rows_of(view->name(), folded_generation);
    for (const auto index : m.stored) m.seen.records += index;
    m.upto = m.stored;
    if (auto loaded = view->load(scratch, m.folded_rows); !loaded) return loaded.error();
  }
  return members;
}

}  // namespace

result<std::vector<replayed_view>> replay_views(const store::database& db, const std::string& scratch,
                                                const std::function<bool(std::uint64_t)>& progress) {
  auto into = scratch_database::make(scratch);
  if (!into) return into.error();
  views fresh;
  auto members = prepare(db, fresh, (*into)->db());
  if (!members) return members.error();
  std::vector<replayed_view> out;
  std::uint64_t taken = 0;
  auto folded = fold_on(db, *members, (*into)->db(), taken, progress);
  if (!folded) return folded.error();
  if (!*folded) return out;
  for (auto& m : *members) {
    if (m.is_fine() && m.seen.stored)
      if (auto compared = compare(m, db, (*into)->db()); !compared) return compared.error();
    for (std::uint32_t p = 0; p != partition_count; ++p) m.upto[p] = db.durable_end(p);
  }
  // What is stored may lag behind the log; what it all comes to does not.
  folded = fold_on(db, *members, (*into)->db(), taken, progress);
  if (!folded) return folded.error();
  if (!*folded) return out;
  for (auto& m : *members) {
    if (m.is_fine())
      if (auto added = add_up(m, (*into)->db()); !added) return added.error();
    out.push_back(std::move(m.seen));
  }
  return out;
}

}  // namespace usher::projections
