// Walks a partition and believes nothing.

#include "store/audit.hpp"

#include "store/hash.hpp"

namespace usher::store {
namespace {

/// What is wrong with a record after `before`, empty if nothing.
std::string fault_in(const v1::Record& record, std::uint32_t partition, std::uint64_t index, const audited& before, std::uint64_t last_epoch) {
  if (index != before.records + 1) return "stands where " + std::to_string(before.records + 1) + " should";
  if (record.partition() != partition || record.index() != index) return "says that it stands elsewhere";
  if (record.epoch() < last_epoch) return "has an epoch before its predecessor's";
  if (record.previous_hash() != before.last_hash) return "doesn't carry the hash of its predecessor";
  return {};
}

}  // namespace

result<audited> verify_chain(const database& db, std::uint32_t partition) {
  audited so_far;
  std::uint64_t last_epoch = 0;
  std::string fault;
  v1::Record record;
  auto scanned = db.scan_stored(partition, 0, [&](std::uint64_t index, std::string_view stored) {
    fault = record.ParseFromArray(stored.data(), static_cast<int>(stored.size()))
                ? fault_in(record, partition, index, so_far, last_epoch)
                : "can't be decoded";
    if (!fault.empty()) {
      fault = "record " + std::to_string(index) + " of partition " + std::to_string(partition) + " " + fault;
      return false;
    }
    last_epoch = record.epoch();
    so_far.last_hash = sha256(stored);
    ++so_far.records;
    return true;
  });
  if (!scanned) return scanned.error();
  if (!fault.empty()) return failure{errc::corrupted, fault};
  return so_far;
}

result<audited> verify_all(const database& db) {
  audited all;
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    auto one = verify_chain(db, p);
    if (!one) return one.error();
    all.records += one->records;
  }
  return all;
}

}  // namespace usher::store
