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

result<void> each_row(const store::database& db, std::string_view projection_name, std::string_view prefix,
                      const std::function<bool(std::string_view, std::string_view)>& visit) {
  const std::string own = std::string(projection_name) + '/';
  const std::string whole = own + std::string(prefix);
  return db.each(store::family::views, whole, whole, [&](std::string_view key, std::string_view value) {
    return visit(key.substr(own.size()), value);
  });
}

void table::put(std::string key, std::string value) {
  const std::unique_lock lock(mutex_);
  fresh_.insert_or_assign(std::move(key), std::move(value));
}

result<std::optional<std::string>> table::get(std::string_view key) const {
  {
    const std::shared_lock lock(mutex_);
    if (const auto found = fresh_.find(key); found != fresh_.end()) return std::optional{found->second};
    if (const auto found = writing_.find(key); found != writing_.end()) return std::optional{found->second};
  }
  // What is in neither overlay is in the database or nowhere: `written` drops a row only once it is there.
  const auto* db = db_.load(std::memory_order_acquire);
  if (db == nullptr) return std::optional<std::string>{};
  return db->get(store::family::views, prefix_ + std::string(key));
}

table::row_map table::overlay(std::string_view prefix, std::string_view from, std::size_t limit) const {
  row_map found;
  const std::shared_lock lock(mutex_);
  for (const auto* rows : {&fresh_, &writing_}) {  // fresh first: it wins, as emplace keeps what is there
    std::size_t taken = 0;
    for (auto i = rows->lower_bound(from); i != rows->end() && i->first.starts_with(prefix) && taken < limit; ++i) {
      found.emplace(i->first, i->second);
      ++taken;
    }
  }
  return found;
}

result<page<table::item>> table::read(std::string_view prefix, std::string_view from, std::size_t limit) const {
  if (from < prefix) from = prefix;
  const std::size_t wanted = limit + 1;  // one more tells where the next part begins
  auto merged = overlay(prefix, from, wanted);
  if (const auto* db = db_.load(std::memory_order_acquire); db != nullptr) {
    std::size_t seen = 0;
    const auto read = db->each(store::family::views, prefix_ + std::string(prefix), prefix_ + std::string(from),
                               [&](std::string_view key, std::string_view value) {
                                 merged.emplace(key.substr(prefix_.size()), value);
                                 return ++seen < wanted;
                               });
    if (!read) return read.error();
  }
  page<item> answer;
  for (auto& [key, value] : merged) {
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

void table::clear() {
  const std::unique_lock lock(mutex_);
  fresh_.clear();
  writing_.clear();
}

}  // namespace usher::projections
