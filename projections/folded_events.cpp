#include "projections/folded_events.hpp"

#include "events/upcast.hpp"

namespace usher::projections {

namespace {

/// Walks over the fields of an encoded message (protobuf.dev/programming-guides/encoding) without decoding what is in them.
class field_reader {
 public:
  explicit field_reader(std::string_view message) : rest_(message) {}

  /// @return false at the end, and where the bytes are no message: see `intact`
  bool next() {
    if (rest_.empty() || !intact_) return false;
    const auto tag = varint();
    number = static_cast<int>(tag >> 3);
    bytes = {};
    switch (tag & 7U) {
      case 0: value = varint(); break;
      case 1: bytes = take(8); break;
      case 2: bytes = take(varint()); break;
      case 5: bytes = take(4); break;
      default: intact_ = false;
    }
    return intact_;
  }
  [[nodiscard]] bool intact() const { return intact_; }

  int number = 0;
  std::uint64_t value = 0;  // of a number
  std::string_view bytes;   // of anything else

 private:
  std::uint64_t varint() {
    std::uint64_t out = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      out |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return out;
    }
    intact_ = false;
    return 0;
  }

  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) {
      intact_ = false;
      return {};
    }
    const auto out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }

  std::string_view rest_;
  bool intact_ = true;
};

bool is_payload(int field) {
  switch (static_cast<payloads::kind>(field)) {
    case v1::StreamEvent::kShow:
    case v1::StreamEvent::kSeat:
    case v1::StreamEvent::kStock:
    case v1::StreamEvent::kAllowance:
    case v1::StreamEvent::kReservation:
    case v1::StreamEvent::kQueue:
    case v1::StreamEvent::kWallet:
    case v1::StreamEvent::kUser: return true;
    case v1::StreamEvent::PAYLOAD_NOT_SET: return false;
  }
  return false;
}

}  // namespace

// The last payload counts, as where all of it is decoded; there is one at most.
bool folded_events::is_wanted(std::string_view event) const {
  auto seen = v1::StreamEvent::PAYLOAD_NOT_SET;
  field_reader fields(event);
  while (fields.next()) {
    if (is_payload(fields.number)) seen = static_cast<payloads::kind>(fields.number);
  }
  return !fields.intact() || wanted_.has(seen);
}

bool folded_events::read_into(v1::Record& into, std::string_view stored) const {
  field_reader fields(stored);
  while (fields.next()) {
    switch (fields.number) {
      case v1::Record::kPartitionFieldNumber: into.set_partition(static_cast<std::uint32_t>(fields.value)); break;
      case v1::Record::kIndexFieldNumber: into.set_index(fields.value); break;
      case v1::Record::kAtMsFieldNumber: into.set_at_ms(static_cast<std::int64_t>(fields.value)); break;
      case v1::Record::kLatestMsFieldNumber: into.set_latest_ms(static_cast<std::int64_t>(fields.value)); break;
      case v1::Record::kEventsFieldNumber:
        if (!is_wanted(fields.bytes)) break;
        if (auto& event = *into.add_events(); event.ParseFromArray(fields.bytes.data(), static_cast<int>(fields.bytes.size()))) upcast(event);
        else return false;
        break;
      default: break;
    }
  }
  return fields.intact();
}

const v1::Record* folded_events::read(std::string_view stored) {
  arena_.Reset();
  auto* record = google::protobuf::Arena::CreateMessage<v1::Record>(&arena_);
  return read_into(*record, stored) ? record : nullptr;
}

}  // namespace usher::projections
