#pragma once
// The words that every folder shares: time, results, entity names and where an entity lives.

#include <boost/system/result.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "events/record.pb.h"

namespace usher {

/// Wall time in milliseconds since 1970, the only resolution that events and the interface know.
using time_point = std::chrono::sys_time<std::chrono::milliseconds>;

constexpr std::int64_t to_ms(time_point t) { return t.time_since_epoch().count(); }
constexpr time_point from_ms(std::int64_t ms) { return time_point{std::chrono::milliseconds{ms}}; }

/// Where wall time comes from. One per node; tests and the simulation put a virtual one in its place.
class wall_clock {
 public:
  virtual ~wall_clock() = default;
  [[nodiscard]] virtual time_point now() const = 0;
};

class system_wall_clock final : public wall_clock {
 public:
  [[nodiscard]] time_point now() const override {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  }
};

/// How the machinery can let us down. A new value only if some caller would act differently.
enum class errc {
  io_failure,        ///< the disk or RocksDB refused; the node must stop
  corrupted,         ///< what is stored can't be what was written
  wrong_format,      ///< written by another version of Usher
  invalid_argument,  ///< a setting or a file of the caller's is wrong; `detail` names the place
};

struct failure {
  errc code;
  std::string detail;
};

[[noreturn]] inline void throw_exception_from_error(const failure& f, const boost::source_location&) {
  throw std::runtime_error(f.detail);
}

template <class T>
using result = boost::system::result<T, failure>;

/// The number of partitions, fixed for the life of a cluster: it is part of every key on disk.
inline constexpr std::uint32_t partition_count = 256;

/// The partition of a group: the low bits of fmix64 (MurmurHash3's finaliser, Appleby) over FNV-1a 64 of its id.
std::uint32_t partition_of(std::string_view group);

/// A place in the log that may leave the node.
struct log_position {
  std::uint32_t partition = 0;
  std::uint64_t index = 0;
  auto operator<=>(const log_position&) const = default;
};

/// Whether a user's id, which an outside issuer may have made, can be part of a path and of a key: 1 to 128 visible characters, none of them a slash.
bool is_user_id(std::string_view);

/// The opaque token of `Log-Position`.
std::string to_token(log_position);
/// @return nullopt where the token was not made by to_token
std::optional<log_position> position_from_token(std::string_view);

/// The name of an entity as one string: `kind/group` or `kind/group/name`, as in `seat/shw_x/A-12`. Unique and stable.
std::string key_of(const v1::EntityRef&);
/// The lower-case word of a kind: show, seat, stock, allowance, reservation, queue, wallet, user, provider.
std::string_view word_of(v1::Kind);
v1::Kind kind_from_word(std::string_view);  ///< KIND_UNSPECIFIED where there is none

v1::EntityRef show_ref(std::string show_id);
v1::EntityRef seat_ref(std::string show_id, std::string seat);
v1::EntityRef stock_ref(std::string show_id, std::string section);
v1::EntityRef allowance_ref(std::string show_id, std::string user_id);
v1::EntityRef reservation_ref(std::string reservation_id);  ///< the show is part of the id
v1::EntityRef queue_ref(std::string show_id);
v1::EntityRef wallet_ref(std::string user_id);
v1::EntityRef user_ref(std::string user_id);
v1::EntityRef provider_ref(std::string name);  ///< of a payment provider outside

/// Ids. `seed` is what the id follows from (an idempotency key with its user) or fresh randomness: same seed, same id.
/// 80 bits of SHA-256 in lower-case base32, so that 2^40 ids are expected before two are alike.
std::string make_show_id(std::string_view seed);                                ///< shw_ + 16 characters
std::string make_reservation_id(std::string_view show_id, std::string_view seed);  ///< rsv_ + the show's 16 + _ + 16
std::string make_user_id(std::string_view email);                               ///< usr_ + 16, of the lower-cased address
std::string make_transaction_id(std::string_view seed);                         ///< txn_ + 16
std::string make_authorization_id(std::string_view seed);                       ///< aut_ + 16
std::string make_ticket_id(std::string_view show_id, std::uint64_t number);      ///< qt_ + the show's 16 + _ + number
std::string make_payment_id(std::string_view reservation_id, std::uint32_t attempt);  ///< pay_ + the reservation's + _ + attempt

/// The show that a reservation's or ticket's id belongs to; empty where the id is not well formed.
std::string show_of_reservation(std::string_view reservation_id);
/// The reservation that a payment's id belongs to; empty where the id is not well formed.
std::string reservation_of_payment(std::string_view payment_id);
std::string show_of_ticket(std::string_view ticket_id);
std::uint64_t number_of_ticket(std::string_view ticket_id);

}  // namespace usher
