// A row is what RocksDB makes of it: the length of its internal key, that key, and the value.

#include "store/row_buffer.hpp"

#include <rocksdb/slice.h>

#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

namespace usher::store {
namespace {

constexpr std::size_t footer_bytes = 8;  // of an internal key: sequence number and type
constexpr std::size_t fetched_ahead = 8;

struct place {
  std::uint64_t first = 0;  // bytes of the key, as a number that sorts like them
  const char* row = nullptr;
};
using places = std::vector<place>;

std::uint64_t first_bytes(const rocksdb::Slice& internal_key) {
  std::uint64_t first = 0;
  std::memcpy(&first, internal_key.data(), std::min(sizeof first, internal_key.size() - footer_bytes));
  return boost::endian::big_to_native(first);
}

class row_buffer final : public rocksdb::MemTableRep {
 public:
  row_buffer(const KeyComparator& order, rocksdb::Allocator* memory) : MemTableRep{memory}, order_{order} {}

  void Insert(rocksdb::KeyHandle handle) override {
    const auto* row = static_cast<const char*>(handle);
    const std::lock_guard lock{mutex_};
    rows_->push_back({first_bytes(order_.decode_key(row)), row});
  }

  void MarkReadOnly() override {
    const std::lock_guard lock{mutex_};
    complete_ = true;
  }

  bool Contains(const char* row) const override {
    const std::lock_guard lock{mutex_};
    return std::ranges::any_of(*rows_, [&](const place& p) { return order_(p.row, row) == 0; });
  }

  std::size_t ApproximateMemoryUsage() override {
    const std::lock_guard lock{mutex_};
    return rows_->size() * sizeof(place);
  }

  Iterator* GetIterator(rocksdb::Arena* arena) override;

  /// In the order of RocksDB; while more may come, of a copy.
  std::shared_ptr<const places> sorted() {
    std::unique_lock lock{mutex_};
    if (complete_) {
      if (!sorted_) sort(*rows_);
      sorted_ = true;
      return rows_;
    }
    const auto copy = std::make_shared<places>(*rows_);
    lock.unlock();
    sort(*copy);
    return copy;
  }

  int compare(const char* row, const rocksdb::Slice& internal_key) const { return order_(row, internal_key); }

 private:
  void sort(places& rows) const {
    std::ranges::sort(rows, [this](const place& a, const place& b) { return a.first != b.first ? a.first < b.first : order_(a.row, b.row) < 0; });
  }

  const KeyComparator& order_;
  mutable std::mutex mutex_;
  std::shared_ptr<places> rows_ = std::make_shared<places>();
  bool complete_ = false;
  bool sorted_ = false;
  std::vector<std::unique_ptr<std::byte[]>> iterators_;  // those that RocksDB gives an arena for: it destroys them, and frees nothing
};

class row_iterator final : public rocksdb::MemTableRep::Iterator {
 public:
  explicit row_iterator(row_buffer& of) : of_{of} {}

  bool Valid() const override { return rows_ && at_ < rows_->size(); }
  const char* key() const override { return (*rows_)[at_].row; }

  void Next() override {
    ++at_;
    if (at_ + fetched_ahead < rows_->size()) __builtin_prefetch((*rows_)[at_ + fetched_ahead].row);
  }
  void Prev() override { --at_; }  // before the first it is beyond the last

  void Seek(const rocksdb::Slice& internal_key, const char*) override {
    open();
    const auto found = std::ranges::partition_point(*rows_, [&](const place& p) { return of_.compare(p.row, internal_key) < 0; });
    at_ = static_cast<std::size_t>(found - rows_->begin());
  }
  void SeekForPrev(const rocksdb::Slice& internal_key, const char*) override {
    Seek(internal_key, nullptr);
    if (!Valid() || of_.compare(key(), internal_key) != 0) Prev();
  }
  void SeekToFirst() override {
    open();
    at_ = 0;
  }
  void SeekToLast() override {
    open();
    at_ = rows_->size() - 1;
  }

 private:
  void open() {
    if (!rows_) rows_ = of_.sorted();
  }

  row_buffer& of_;
  std::shared_ptr<const places> rows_;
  std::size_t at_ = 0;
};

rocksdb::MemTableRep::Iterator* row_buffer::GetIterator(rocksdb::Arena* arena) {
  if (!arena) return new row_iterator{*this};
  static_assert(alignof(row_iterator) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  const std::lock_guard lock{mutex_};
  return new (iterators_.emplace_back(std::make_unique<std::byte[]>(sizeof(row_iterator))).get()) row_iterator{*this};
}

class row_buffers final : public rocksdb::MemTableRepFactory {
 public:
  const char* Name() const override { return "usher.sorted_when_read"; }
  using MemTableRepFactory::CreateMemTableRep;
  rocksdb::MemTableRep* CreateMemTableRep(const rocksdb::MemTableRep::KeyComparator& order, rocksdb::Allocator* memory,
                                          const rocksdb::SliceTransform*, rocksdb::Logger*) override {
    return new row_buffer{order, memory};
  }
};

}  // namespace

std::shared_ptr<rocksdb::MemTableRepFactory> buffers_sorted_when_read() { return std::make_shared<row_buffers>(); }

}  // namespace usher::store
