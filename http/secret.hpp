#pragma once
// Secrets that the node shares with nobody, or with one other, and what is signed with them.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "events/vocabulary.hpp"

struct evp_mac_ctx_st;  // OpenSSL's EVP_MAC_CTX

namespace usher::http {

/// 32 random bytes.
[[nodiscard]] std::string fresh_secret();

/// The secret in a file; 32 random bytes, readable by the owner alone, are made where there is no file.
/// @error invalid_argument  others can read the file, or it has fewer than 32 bytes
/// @error io_failure        the file can't be read or made
[[nodiscard]] result<std::string> secret_from(const std::filesystem::path& file);

/// HMAC-SHA-256 (RFC 2104) with one key, which is taken in once: that costs more than a token's text. Thread-safe.
class hmac {
 public:
  explicit hmac(std::string_view key);
  /// 32 bytes.
  [[nodiscard]] std::string operator()(std::string_view text) const;

 private:
  struct context_free {
    void operator()(evp_mac_ctx_st*) const;
  };
  using context = std::unique_ptr<evp_mac_ctx_st, context_free>;
  context keyed_;
};

/// A signature over a message and the time when it was made: `t=<seconds since 1970>,v1=<hex of the HMAC over "<t>.<message>">`.
[[nodiscard]] std::string sign_message(std::string_view secret, std::string_view message, time_point now);
/// Whether it was signed with this secret, at most five minutes before or after `now`. Constant time in the signature.
[[nodiscard]] bool is_signed_message(std::string_view secret, std::string_view message, std::string_view signature, time_point now);

}  // namespace usher::http
