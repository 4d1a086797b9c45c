#include "projections/table.hpp"

#include <mutex>
#include <utility>

namespace usher::projections {

namespace {

std::string hexadecimal(std::uint64_t value) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4) text[static_cast<std::size_t>(i)] = digits[value & 15U];
  return text;
}

}  // namespace

std::string newest_first(std::uint64_t value) { return hexadecimal(~value); }
std::string in_order(std::uint64_t value) { return hexadecimal(value); }

void table::open(const store::database& db, const std::string& rows) {
  const std::unique_lock lock(mutex_);
  place_ = {&db, rows};
}

void table::put(std::string key, std::string value) {
  const std::unique_lock lock(mutex_);
  fresh_.insert_or_assign(std::move(key), std::move(value));
}

bool table::is_still(const place& from) const {
  const std::shared_lock lock(mutex_);
  return place_.rows == from.rows;
}

result<std::optional<std::string>> table::get(std::string_view key) const {
  while (true) {
    place from;
    {
      const std::shared_lock lock(mutex_);
      if (const auto found = fresh_.find(key); found != fresh_.end()) return std::optional{found->second};
      if (const auto found = writing_.find(key); found != writing_.end()) return std::optional{found->second};
      from = place_;
    }
    if (from.db == nullptr) return std::optional<std::string>{};
    // What is in neither overlay is in the database or nowhere: `written` drops a row only once it is there.
    auto row = from.db->get(store::family::views, from.rows + std::string(key));
    if (is_still(from)) return row;
  }
}

table::merged table::overlay(std::string_view prefix, std::string_view from, std::size_t limit) const {
  merged found;
  const std::shared_lock lock(mutex_);
  found.from = place_;
  for (const auto* rows : {&fresh_, &writing_}) {  // fresh first: it wins, as emplace keeps what is there
    std::size_t taken = 0;
    for (auto i = rows->lower_bound(from); i != rows->end() && i->first.starts_with(prefix) && taken < limit; ++i) {
      found.rows.emplace(i->first, i->second);
      ++taken;
    }
  }
  return found;
}

result<page<table::item>> table::read(std::string_view prefix, std::string_view from, std::size_t limit) const {
  if (from < prefix) from = prefix;
  const std::size_t wanted = limit + 1;  // one more tells where the next part begins
  merged all;
  do {
    all = overlay(prefix, from, wanted);
    if (all.from.db == nullptr) break;
    const auto& own = all.from.rows;
    std::size_t seen = 0;
    const auto read = all.from.db->each(store::family::views, own + std::string(prefix), own + std::string(from),
                                        [&](std::string_view key, std::string_view value) {
                                          all.rows.emplace(key.substr(own.size()), value);
                                          return ++seen < wanted;
                                        });
    if (!read) return read.error();
  } while (!is_still(all.from));
  page<item> answer;
  for (auto& [key, value] : all.rows) {
    if (answer.items.size() == limit) {
      answer.next_cursor = key;
      break;
    }
    answer.items.push_back({key, std::move(value)});
  }
  return answer;
}

void table::collect(row_writer& out) {
  const std::unique_lock lock(mutex_);
  // A batch that failed stops the node, so `writing_` is empty here unless the caller collects twice without writing.
  fresh_.merge(writing_);
  writing_ = std::exchange(fresh_, {});
  for (const auto& [key, value] : writing_) out.put(key, value);
}

void table::written() {
  const std::unique_lock lock(mutex_);
  writing_.clear();
}

std::size_t table::unwritten() const {
  const std::shared_lock lock(mutex_);
  return fresh_.size();
}

void table::swap_in(table& built) {
  const std::unique_lock lock(mutex_);
  std::swap(place_, built.place_);
  fresh_.swap(built.fresh_);
  writing_.swap(built.writing_);
}

}  // namespace usher::projections
