#pragma once
// Who a caller is: signed tokens (JWT), made and checked here, and the cache that spares checking one twice.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "events/vocabulary.hpp"

namespace usher::http {

enum class role : std::uint8_t { user, service, operator_ };
std::string_view word_of(role);                       ///< user, service, operator
std::optional<role> role_from_word(std::string_view);

/// What a token is for. A token made for one purpose is refused for another.
enum class purpose : std::uint8_t {
  access,     ///< says who calls
  queue,      ///< names a ticket of a show's queue
  admission,  ///< the right to reserve in a show, until it expires
};

/// What a token says.
struct claims {
  http::purpose purpose = http::purpose::access;
  std::string user_id;
  http::role role = http::role::user;  ///< access tokens
  std::string show_id;                 ///< queue and admission tokens
  std::string ticket_id;               ///< queue and admission tokens
  time_point expires_at;               ///< valid while now < expires_at; whole seconds, rounded down when issued
  std::string session{};               ///< access tokens: the login that it comes from; empty: none, as for a program
  std::uint32_t device = 0;            ///< see `principal`; issued in queue and admission tokens, in access tokens it follows from `session`
};

/// Whoever calls, as an access token says.
struct principal {
  std::string user_id;
  http::role role = http::role::user;
  time_point expires_at;
  std::uint32_t device = 0;  ///< a hash of the login that the token comes from, the same after any restart; 0: none, and for a service or an operator

  /// Whether this caller may act for that user: itself, or any user where the role is service or operator.
  [[nodiscard]] bool may_act_for(std::string_view other_user_id) const {
    return role != http::role::user || user_id == other_user_id;
  }
};

/// Whether a device may use what belongs to another: where they are the same one, or either is none.
constexpr bool same_device(std::uint32_t a, std::uint32_t b) { return a == 0 || b == 0 || a == b; }

struct auth_settings {
  std::filesystem::path secret_file;                        ///< made at the first start, mode 0600
  std::optional<std::filesystem::path> issuer_public_key;   ///< PEM, RSA (RS256) or Ed25519 (EdDSA): access tokens of an outside issuer
  std::string issuer_name;                                  ///< where not empty, an outside token's `iss` must be this
  std::size_t cache_entries = 100'000;                      ///< verified tokens that are remembered
};

/// Issues and verifies tokens. Thread-safe.
///
/// Own tokens are HS256 with the node's secret. An outside issuer's are RS256 or EdDSA, whichever its key is; only access tokens
/// are taken from it. The algorithm follows from the key, never from the token: one that names another, or none, is refused.
class tokens {
 public:
  /// Reads the secret, or makes one (32 random bytes) where there is no file.
  /// @error invalid_argument  the secret's file can be read by others or is too short; the public key is of no known kind
  /// @error io_failure        a file can't be read or made
  static result<std::unique_ptr<tokens>> open(const auth_settings&);
  ~tokens();

  /// A new name for a login: 64 random bits.
  [[nodiscard]] static std::string new_session();

  /// A signed token. Cost: one HMAC.
  [[nodiscard]] std::string issue(const claims&) const;

  /// What the token says, where it is signed by a known key, made for `wanted` and not expired at `now`.
  /// Cost: one hash and a look-up where it was verified before, else the signature's.
  [[nodiscard]] std::optional<claims> verify(std::string_view token, purpose wanted, time_point now);

  /// The caller that the value of an `Authorization` header names: `Bearer <access token>`.
  [[nodiscard]] std::optional<principal> caller(std::string_view authorization, time_point now);

 private:
  struct impl;
  explicit tokens(std::unique_ptr<impl>);
  std::unique_ptr<impl> impl_;
};

}  // namespace usher::http
