#pragma once
// A map that may have millions of entries and takes new ones while buyers wait.

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstddef>
#include <utility>

namespace usher::store {

/// An unordered map in 256 parts that grow one by one. In one piece it moves all its entries whenever it has no place left, into memory
/// that is all new: with a million of them that took 200 to 300 ms, while everybody else waits. In parts the longest wait was 2 ms, and filling it
/// took half the time, for a part grows into memory that another one has left.
///
/// Not thread-safe. Pointers to values hold until an entry is added or erased.
/// @param Hash  as unordered_flat_map has it; all of its bits must be as good as random
template <class Key, class Value, class Hash>
class divided_map {
 public:
  [[nodiscard]] const Value* find(const Key& key) const {
    const auto& part = part_of(key);
    const auto found = part.find(key);
    return found == part.end() ? nullptr : &found->second;
  }
  [[nodiscard]] Value* find(const Key& key) { return const_cast<Value*>(std::as_const(*this).find(key)); }

  /// @return the entry's value, and whether it is new; else it is as it was
  template <class... Arguments>
  std::pair<Value*, bool> try_emplace(const Key& key, Arguments&&... arguments) {
    const auto [place, fresh] = part_of(key).try_emplace(key, std::forward<Arguments>(arguments)...);
    return {&place->second, fresh};
  }
  Value& operator[](const Key& key) { return *try_emplace(key).first; }

  void erase(const Key& key) { part_of(key).erase(key); }
  /// @param goes  of a value
  template <class Predicate>
  void erase_if(Predicate goes) {
    for (auto& part : parts_) boost::unordered::erase_if(part, [&](const auto& entry) { return goes(entry.second); });
  }

  [[nodiscard]] std::size_t size() const {
    std::size_t all = 0;
    for (const auto& part : parts_) all += part.size();
    return all;
  }
  [[nodiscard]] bool empty() const { return size() == 0; }

 private:
  using part = boost::unordered_flat_map<Key, Value, Hash>;
  /// By bits that a part itself does not go by: it takes the lowest eight and, from the highest on, as many as it needs to number its groups of
  /// fifteen places.
  static std::size_t number_of(const Key& key) { return (Hash{}(key) >> 8U) % 256; }
  part& part_of(const Key& key) { return parts_[number_of(key)]; }
  const part& part_of(const Key& key) const { return parts_[number_of(key)]; }

  std::array<part, 256> parts_;
};

}  // namespace usher::store
