#include "projections/seat_map.hpp"

#include <charconv>

#include "events/base64.hpp"
#include "projections/bytes.hpp"
#include "projections/table.hpp"

namespace usher::projections {

namespace {

constexpr std::size_t changes_kept = 4096;

/// @param bits  2 a seat, 4 seats a byte; what is over in the last byte counts as free and stands behind the last row
seat_set free_of(std::string_view bits, std::size_t seats) {
  std::vector<std::uint64_t> words((seats + 63) / 64);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const unsigned four = static_cast<unsigned char>(bits[i]);
    const unsigned free = ~(four | four >> 1) & 0x55U;  // every other bit: where both bits of the phase are 0
    const unsigned pairs = (free | free >> 1) & 0x33U;
    words[i / 16] |= std::uint64_t{(pairs | pairs >> 2) & 0xfU} << (4 * (i % 16));
  }
  return seat_set{std::move(words)};
}

std::uint64_t& count_of(place_counts& counts, v1::SeatPhase phase) {
  switch (phase) {
    case v1::HELD: return counts.held;
    case v1::SOLD: return counts.sold;
    case v1::BLOCKED: return counts.blocked;
    default: return counts.available;
  }
}

void move_places(place_counts& counts, v1::SeatPhase from, v1::SeatPhase to, std::uint64_t n) {
  auto& source = count_of(counts, from);
  if (source < n) throw std::runtime_error("more places change than there are in their phase");
  source -= n;
  count_of(counts, to) += n;
}

void add_capacity(place_counts& counts, std::uint64_t n) {
  counts.capacity += n;
  counts.available += n;
}

constexpr std::size_t index_digits = 16;

/// `h/<show>/<index>`, in the order of the indices.
std::string show_checkpoint_key(const std::string& show_id, std::uint64_t index) { return "h/" + show_id + '/' + in_order(index); }

std::uint64_t index_in(std::string_view key) {
  std::uint64_t out = 0;
  std::from_chars(key.data() + key.size() - index_digits, key.data() + key.size(), out, 16);
  return out;
}

}  // namespace

const seat_set& show_seats::free_seats() const {
  std::call_once(free_once_, [this] { free_ = free_of(bits, seating->size()); });
  return free_;
}

const std::string& show_seats::bits_base64() const {
  std::call_once(base64_once_, [this] { base64_ = to_base64(bits); });
  return base64_;
}

std::shared_ptr<const std::string> show_seats::page(std::uint64_t other_version, const std::function<std::string()>& encode) const {
  const std::lock_guard lock(page_mutex_);
  if (!page_ || page_version_ != other_version) {
    page_ = std::make_shared<const std::string>(encode());
    page_version_ = other_version;
  }
  return page_;
}

const std::string& show_seats::body(const std::function<std::string(const show_seats&)>& encode) const {
  std::call_once(body_once_, [&] { body_ = encode(*this); });
  return body_;
}

struct seat_map::entry {
  struct change {
    std::uint64_t version;
    std::uint32_t seat;
    v1::SeatPhase phase;
  };

  entry(std::string id, const v1::ShowPlan& p)
      : show_id(std::move(id)), plan(std::make_shared<v1::ShowPlan>(p)), seating(std::make_shared<layout>(p)) {
    bits.assign((seating->size() + 3) / 4, '\0');
    counts.tiers.resize(static_cast<std::size_t>(plan->tiers_size()));
    for (std::size_t i = 0; i < seating->size(); ++i) enlarge(seating->at(i).tier, 1);
    for (const auto& section : seating->sections_without_seats()) {
      enlarge(section.tier, section.capacity);
      add_capacity(counts.general_admission.emplace_back(), section.capacity);
    }
  }

  void enlarge(std::uint16_t tier, std::uint64_t n) {
    add_capacity(counts.total, n);
    if (tier != layout::no_tier) add_capacity(counts.tiers[tier], n);
  }

  [[nodiscard]] v1::SeatPhase phase(std::uint32_t seat) const {
    return static_cast<v1::SeatPhase>(static_cast<unsigned char>(bits[seat / 4]) >> (2 * (seat % 4)) & 3U);
  }

  void shift(std::uint16_t tier, v1::SeatPhase from, v1::SeatPhase to, std::uint64_t n) {
    move_places(counts.total, from, to, n);
    if (tier != layout::no_tier) move_places(counts.tiers[tier], from, to, n);
  }

  void set(std::uint32_t seat, v1::SeatPhase to) {
    const auto from = phase(seat);
    if (from == to) return;
    shift(seating->at(seat).tier, from, to, 1);
    const unsigned place = 2 * (seat % 4);
    const auto others = static_cast<unsigned char>(bits[seat / 4]) & ~(3U << place);
    bits[seat / 4] = static_cast<char>(others | static_cast<unsigned>(to) << place);
  }

  void fold(const std::string& name, const v1::SeatEvent& event, std::uint64_t at_version) {
    const auto seat = seating->find(name);
    if (!seat) throw std::runtime_error("the show has no such seat");
    auto to = v1::AVAILABLE;
    switch (event.kind_case()) {
      case v1::SeatEvent::kHeld: to = v1::HELD; break;
      case v1::SeatEvent::kSold: to = v1::SOLD; break;
      case v1::SeatEvent::kReleased: to = v1::AVAILABLE; break;
      case v1::SeatEvent::KIND_NOT_SET: return;
    }
    set(*seat, to);
    recent.push_back({at_version, *seat, to});
    if (recent.size() > changes_kept) {
      known_since = recent.front().version;
      recent.pop_front();
    }
  }

  void fold(const std::string& name, const v1::StockEvent& event) {
    const auto section = seating->find_section(name);
    if (!section) throw std::runtime_error("the show has no such section of general admission");
    const auto shift_places = [&](v1::SeatPhase from, v1::SeatPhase to, std::uint64_t n) {
      move_places(counts.general_admission[*section], from, to, n);
      shift(seating->sections_without_seats()[*section].tier, from, to, n);
    };
    switch (event.kind_case()) {
      case v1::StockEvent::kTaken: return shift_places(v1::AVAILABLE, v1::HELD, event.taken().quantity());
      case v1::StockEvent::kSold: return shift_places(v1::HELD, v1::SOLD, event.sold().quantity());
      case v1::StockEvent::kReturned:
        return shift_places(event.returned().sold() ? v1::SOLD : v1::HELD, v1::AVAILABLE, event.returned().quantity());
      case v1::StockEvent::KIND_NOT_SET: return;
    }
  }

  void changed_by(const v1::Record& record) {
    version = record.index();
    picture.reset();
    const auto& all = counts.total;
    if (sold_out_at_ms == 0 && all.capacity > all.blocked && all.sold + all.blocked == all.capacity) {
      sold_out_at_ms = record.at_ms();
    }
  }

  // Under the shared lock of the seat map; concurrent readers agree on one picture.
  std::shared_ptr<const show_seats> current() {
    const std::lock_guard lock(picture_mutex);
    if (!picture) {
      auto made = std::make_shared<show_seats>();
      made->show_id = show_id;
      made->seating = seating;
      made->plan = plan;
      made->partition = partition;
      made->version = version;
      made->bits = bits;
      made->counts = counts;
      made->sold_out_at_ms = sold_out_at_ms;
      picture = std::move(made);
    }
    return picture;
  }

  [[nodiscard]] std::string to_row() const {
    std::string row;
    put_number(row, partition);
    put_number(row, version);
    put_number(row, static_cast<std::uint64_t>(sold_out_at_ms));
    for (const auto& section : counts.general_admission) {
      put_number(row, section.held);
      put_number(row, section.sold);
    }
    return row += bits;
  }

  void from_row(std::string_view row) {
    byte_reader in(row);
    partition = static_cast<std::uint32_t>(in.number());
    version = in.number();
    sold_out_at_ms = static_cast<std::int64_t>(in.number());
    for (std::size_t i = 0; i < counts.general_admission.size(); ++i) {
      const auto tier = seating->sections_without_seats()[i].tier;
      for (const auto phase : {v1::HELD, v1::SOLD}) {
        const auto n = in.number();
        move_places(counts.general_admission[i], v1::AVAILABLE, phase, n);
        shift(tier, v1::AVAILABLE, phase, n);
      }
    }
    if (in.rest().size() != bits.size()) throw std::runtime_error("a seat map's row does not fit its plan");
    for (std::uint32_t seat = 0; seat < seating->size(); ++seat) {
      set(seat, static_cast<v1::SeatPhase>(static_cast<unsigned char>(in.rest()[seat / 4]) >> (2 * (seat % 4)) & 3U));
    }
    known_since = version;
  }

  std::string show_id;
  std::shared_ptr<const v1::ShowPlan> plan;
  std::shared_ptr<const layout> seating;
  std::uint32_t partition = 0;
  std::uint64_t version = 0;
  std::string bits;
  show_counts counts;
  std::int64_t sold_out_at_ms = 0;
  std::deque<change> recent;
  std::uint64_t known_since = 0;  // `recent` holds every change after this version
  std::mutex picture_mutex;
  std::shared_ptr<const show_seats> picture;
};

result<void> seat_map::load(const store::database& db, const std::string& rows) {
  {
    const std::unique_lock lock(mutex_);
    db_ = &db;
    rows_ = rows;
  }
  // States need the plans. Checkpoints ("h/") stay on disk.
  for (const std::string_view kind : {"p/", "s/"}) {
    auto loaded = each_row(db, rows, kind, [this](std::string_view key, std::string_view value) {
      load_row(key, value);
      return true;
    });
    if (!loaded) return loaded;
  }
  return {};
}

void seat_map::load_row(std::string_view key, std::string_view value) {
  const std::string show_id(key.substr(2));
  const std::unique_lock lock(mutex_);
  if (key.starts_with("s/")) {
    auto& show = require(show_id);
    show.from_row(value);
    return saw(show.partition, show.version);
  }
  v1::ShowPlan plan;
  if (!plan.ParseFromArray(value.data(), static_cast<int>(value.size()))) throw std::runtime_error("a plan cannot be parsed");
  shows_[show_id] = std::make_shared<entry>(show_id, plan);
}

seat_map::entry& seat_map::require(const std::string& show_id) {
  const auto found = shows_.find(show_id);
  if (found == shows_.end()) throw std::runtime_error("a show that was never opened has an event");
  return *found->second;
}

seat_map::entry& seat_map::open(const v1::Record& record, const std::string& show_id, const v1::ShowPlan& plan) {
  auto made = std::make_shared<entry>(show_id, plan);
  made->partition = record.partition();
  made->known_since = record.index();
  fresh_plans_.insert(show_id);
  return *(shows_[show_id] = std::move(made));
}

void seat_map::apply(const v1::Record& record) {
  const std::unique_lock lock(mutex_);
  std::vector<entry*> touched;  // hardly ever more than one
  for (const auto& event : record.events()) {
    look_at(event);
    const auto& show_id = event.stream().group();
    if (event.has_show() && event.show().has_opened()) touched.push_back(&open(record, show_id, event.show().opened().plan()));
    if (!event.has_seat() && !event.has_stock()) continue;
    auto& show = require(show_id);
    if (std::ranges::find(touched, &show) == touched.end()) {
      keep_checkpoint(show_id, show, record.index());
      touched.push_back(&show);
    }
    if (event.has_seat()) show.fold(event.stream().name(), event.seat(), record.index());
    else show.fold(event.stream().name(), event.stock());
  }
  for (auto* show : touched) {
    show->changed_by(record);
    changed_.insert(show->show_id);
  }
  saw(record.partition(), record.index());
}

/// Keeps the show as it is before the first change behind a multiple of checkpoint_every.
void seat_map::keep_checkpoint(const std::string& show_id, const entry& show, std::uint64_t before_index) {
  const auto index = (before_index - 1) / checkpoint_every * checkpoint_every;
  if (show.version <= index) checkpoints_[show_checkpoint_key(show_id, index)] = show.to_row();
}

result<std::optional<seat_map::checkpoint>> seat_map::last_checkpoint(const std::string& show_id, std::uint64_t upto_index) const {
  const auto last = show_checkpoint_key(show_id, upto_index);
  const auto prefix = last.substr(0, last.size() - index_digits);
  while (true) {
    std::optional<checkpoint> out;
    const store::database* db = nullptr;
    std::string own;
    {
      // What is not in the rows yet stays here until it is, and is later than they are.
      const std::shared_lock lock(mutex_);
      db = db_;
      own = rows_;
      for (const auto* rows : {&writing_checkpoints_, &checkpoints_}) {
        const auto behind = rows->upper_bound(last);
        if (behind == rows->begin() || !std::prev(behind)->first.starts_with(prefix)) continue;
        out = checkpoint{index_in(std::prev(behind)->first), std::prev(behind)->second};
      }
    }
    if (out || !db) return out;
    auto row = db->last_of(store::family::views, own + prefix, own + last);
    if (!row) return row.error();
    if (*row) out = checkpoint{index_in((*row)->first), std::move((*row)->second)};
    // Rows that were built again meanwhile lie elsewhere, and those of before are gone.
    const std::shared_lock lock(mutex_);
    if (rows_ == own) return out;
  }
}

std::uint64_t seat_map::known_upto(std::uint32_t partition) const {
  const std::shared_lock lock(mutex_);
  return known_.at(partition);
}

void seat_map::restore(const std::string& show_id, const v1::ShowPlan& as_opened, const checkpoint& then) {
  auto made = std::make_shared<entry>(show_id, as_opened);
  made->from_row(then.row);
  const std::unique_lock lock(mutex_);
  shows_[show_id] = std::move(made);
}

void seat_map::collect(row_writer& out) {
  const std::unique_lock lock(mutex_);
  for (const auto& id : fresh_plans_) out.put("p/" + id, shows_.at(id)->plan->SerializeAsString());
  for (const auto& id : changed_) out.put("s/" + id, shows_.at(id)->to_row());
  for (const auto& [key, row] : checkpoints_) out.put(key, row);
  writing_checkpoints_.merge(checkpoints_);
  checkpoints_.clear();
  fresh_plans_.clear();
  changed_.clear();
}

void seat_map::written() {
  const std::unique_lock lock(mutex_);
  writing_checkpoints_.clear();
}

std::size_t seat_map::unwritten() const {
  const std::shared_lock lock(mutex_);
  return fresh_plans_.size() + changed_.size() + checkpoints_.size();
}

void seat_map::swap_in(projection& built) {
  auto& other = static_cast<seat_map&>(built);
  const std::unique_lock lock(mutex_);
  shows_.swap(other.shows_);
  fresh_plans_.swap(other.fresh_plans_);
  changed_.swap(other.changed_);
  std::swap(db_, other.db_);
  rows_.swap(other.rows_);
  known_.swap(other.known_);
  checkpoints_.swap(other.checkpoints_);
  writing_checkpoints_.swap(other.writing_checkpoints_);
}

std::shared_ptr<const show_seats> seat_map::find(std::string_view show_id) const {
  const std::shared_lock lock(mutex_);
  const auto found = shows_.find(show_id);
  return found == shows_.end() ? nullptr : found->second->current();
}

std::optional<seat_delta> seat_map::changes_since(std::string_view show_id, std::uint64_t version) const {
  const std::shared_lock lock(mutex_);
  const auto found = shows_.find(show_id);
  if (found == shows_.end()) return std::nullopt;
  const auto& show = *found->second;
  if (version < show.known_since || version > show.version) return std::nullopt;
  std::map<std::uint32_t, v1::SeatPhase> last;
  for (auto i = show.recent.rbegin(); i != show.recent.rend() && i->version > version; ++i) last.emplace(i->seat, i->phase);
  seat_delta delta;
  delta.from = version;
  delta.to = show.version;
  delta.counts = show.counts;
  delta.changes.reserve(last.size());
  for (const auto& [seat, phase] : last) delta.changes.push_back({seat, phase});
  return delta;
}

std::optional<show_totals> seat_map::totals(std::string_view show_id) const {
  const std::shared_lock lock(mutex_);
  const auto found = shows_.find(show_id);
  if (found == shows_.end()) return std::nullopt;
  return show_totals{found->second->counts, found->second->version, found->second->sold_out_at_ms};
}

std::shared_ptr<const layout> seat_map::seating(std::string_view show_id) const {
  const std::shared_lock lock(mutex_);
  const auto found = shows_.find(show_id);
  return found == shows_.end() ? nullptr : found->second->seating;
}

}  // namespace usher::projections
