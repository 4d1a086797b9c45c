// JSON Web Tokens on OpenSSL: making them, checking them, and remembering those that were checked.

#include "http/auth.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "events/base64.hpp"
#include "events/json.hpp"
#include "http/secret.hpp"

namespace usher::http {

namespace {

constexpr std::size_t token_bytes_max = 4096;
constexpr int rsa_bits_min = 2048;

struct key_free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using public_key = std::unique_ptr<EVP_PKEY, key_free>;

/// The algorithm that goes with a public key; none for a kind or a size that isn't accepted.
std::optional<std::string_view> algorithm_of(EVP_PKEY* key) {
  const int kind = EVP_PKEY_base_id(key);
  if (kind == EVP_PKEY_RSA && EVP_PKEY_bits(key) >= rsa_bits_min) return "RS256";
  if (kind == EVP_PKEY_ED25519) return "EdDSA";
  return std::nullopt;
}

result<public_key> read_public_key(const std::filesystem::path& file) {
  std::FILE* in = std::fopen(file.c_str(), "re");
  if (in == nullptr) return failure{errc::io_failure, "can't open " + file.string() + ": " + std::strerror(errno)};
  public_key key{PEM_read_PUBKEY(in, nullptr, nullptr, nullptr)};
  std::fclose(in);
  if (!key || !algorithm_of(key.get())) {
    return failure{errc::invalid_argument, file.string() + ": not a PEM public key of the kind RSA (2048 bits or more) or Ed25519"};
  }
  return key;
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string out(text.size(), '\0');
  std::size_t size = 0;
  const char* end = nullptr;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(), text.size(), nullptr, &size, &end,
                        sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
      end != text.data() + text.size()) {
    return std::nullopt;
  }
  out.resize(size);
  return out;
}

bool public_signature_holds(EVP_PKEY* key, std::string_view text, std::string_view signature) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
  const auto* digest = EVP_PKEY_base_id(key) == EVP_PKEY_RSA ? EVP_sha256() : nullptr;  // Ed25519 hashes by itself
  return context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                          reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
}

std::string_view word_of(purpose p) {
  switch (p) {
    case purpose::access: return "access";
    case purpose::queue: return "queue";
    case purpose::admission: return "admission";
  }
  return {};
}

std::optional<boost::json::object> object_in(std::string_view part) {
  const auto text = from_base64url(part);
  boost::json::value value;
  if (!text || parse_json(*text, value) || !value.is_object()) return std::nullopt;
  return std::move(value.as_object());
}

std::string_view text_at(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  const auto* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? std::string_view{text->data(), text->size()} : std::string_view{};
}

/// A NumericDate of RFC 7519, cut to whole seconds; nullopt where it is absent, another type or beyond any calendar.
std::optional<time_point> time_at(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  boost::json::error_code failed;
  const double seconds = value->to_number<double>(failed);
  if (failed || !(seconds >= 0 && seconds < 1e12)) return std::nullopt;
  return time_point{std::chrono::seconds{static_cast<std::int64_t>(seconds)}};
}

/// What is kept of a login, in events too: never change it. Never 0.
std::uint32_t device_of(std::string_view session) {
  std::array<unsigned char, crypto_generichash_BYTES_MIN> hash;
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(session.data()), session.size(), nullptr, 0);
  const auto out = std::uint32_t{hash[0]} | std::uint32_t{hash[1]} << 8 | std::uint32_t{hash[2]} << 16 | std::uint32_t{hash[3]} << 24;
  return out != 0 ? out : 1;
}

/// A 32-bit number; 0 where it is absent.
std::optional<std::uint32_t> number_at(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  if (value == nullptr) return 0;
  boost::json::error_code failed;
  const auto number = value->to_number<std::uint32_t>(failed);
  if (failed) return std::nullopt;
  return number;
}

/// `from` as claims of the wanted purpose; nullopt where something is missing or meant for another.
std::optional<claims> claims_in(const boost::json::object& from, purpose wanted) {
  claims out;
  const auto expires_at = time_at(from, "exp");
  const auto typ = text_at(from, "typ");
  const auto known_role = from.contains("role") ? role_from_word(text_at(from, "role")) : std::optional{role::user};
  out.user_id = text_at(from, "sub");
  if (!expires_at || !is_user_id(out.user_id) || !known_role) return std::nullopt;
  if (from.contains("typ") ? typ != word_of(wanted) : wanted != purpose::access) return std::nullopt;
  out.purpose = wanted;
  out.role = *known_role;
  out.expires_at = *expires_at;
  out.show_id = text_at(from, "show");
  out.ticket_id = text_at(from, "ticket");
  if (wanted == purpose::access) {
    // An outside issuer that tells no logins apart tells its tokens apart.
    out.session = text_at(from, from.contains("sid") ? "sid" : "jti");
    if (out.role == role::user && !out.session.empty()) out.device = device_of(out.session);
    return out;
  }
  const auto device = number_at(from, "dev");
  if (out.show_id.empty() || out.ticket_id.empty() || !device) return std::nullopt;
  out.device = *device;
  return out;
}

using digest = std::array<unsigned char, 32>;
struct digest_hash {
  std::size_t operator()(const digest& d) const {
    std::size_t out;
    std::memcpy(&out, d.data(), sizeof out);
    return out;
  }
};

/// Two generations: when the young one is full the old one is forgotten. So it is bounded, and what is in use stays.
class verified_tokens {
 public:
  explicit verified_tokens(std::size_t entries) : half_{std::max<std::size_t>(entries / 2, 1)} {}

  std::optional<claims> find(const digest& key) {
    const std::lock_guard lock{mutex_};
    if (const auto at = young_.find(key); at != young_.end()) return at->second;
    const auto at = old_.find(key);
    if (at == old_.end()) return std::nullopt;
    auto found = at->second;
    keep(key, found);
    return found;
  }

  void add(const digest& key, const claims& value) {
    const std::lock_guard lock{mutex_};
    keep(key, value);
  }

 private:
  void keep(const digest& key, const claims& value) {
    if (young_.size() >= half_) {
      old_ = std::move(young_);
      young_.clear();
    }
    young_.emplace(key, value);
  }

  std::mutex mutex_;
  const std::size_t half_;
  std::unordered_map<digest, claims, digest_hash> young_;
  std::unordered_map<digest, claims, digest_hash> old_;
};

}  // namespace

std::string_view word_of(role r) {
  switch (r) {
    case role::user: return "user";
    case role::service: return "service";
    case role::operator_: return "operator";
  }
  return {};
}

std::optional<role> role_from_word(std::string_view word) {
  for (const auto r : {role::user, role::service, role::operator_}) {
    if (word == word_of(r)) return r;
  }
  return std::nullopt;
}

struct tokens::impl {
  hmac sign;
  public_key outside;
  std::string outside_algorithm;
  std::string issuer_name;
  verified_tokens verified;

  /// The one place where a signature is judged. The token's `alg` only chooses between the keys that are known, and each key has
  /// one algorithm, so neither `none` nor an HMAC made with a public key can pass.
  std::optional<claims> check(std::string_view token, purpose wanted, time_point now) const {
    const auto first = token.find('.');
    const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return std::nullopt;
    const auto head = object_in(token.substr(0, first));
    const auto payload_part = token.substr(first + 1, second - first - 1);
    const auto signature = from_base64url(token.substr(second + 1));
    if (!head || !signature || head->contains("crit")) return std::nullopt;
    const auto algorithm = text_at(*head, "alg");
    const auto signed_text = token.substr(0, second);
    const bool own = algorithm == "HS256";
    if (own) {
      const auto right = sign(signed_text);
      if (signature->size() != right.size() || CRYPTO_memcmp(signature->data(), right.data(), right.size()) != 0) return std::nullopt;
    } else {
      if (!outside || wanted != purpose::access || algorithm != outside_algorithm) return std::nullopt;
      if (!public_signature_holds(outside.get(), signed_text, *signature)) return std::nullopt;
    }
    const auto payload = object_in(payload_part);
    if (!payload) return std::nullopt;
    if (!own && !issuer_name.empty() && text_at(*payload, "iss") != issuer_name) return std::nullopt;
    if (payload->contains("nbf")) {
      const auto begins = time_at(*payload, "nbf");
      if (!begins || now < *begins) return std::nullopt;
    }
    return claims_in(*payload, wanted);
  }
};

tokens::tokens(std::unique_ptr<impl> made) : impl_{std::move(made)} {}
tokens::~tokens() = default;

result<std::unique_ptr<tokens>> tokens::open(const auth_settings& settings) {
  if (sodium_init() < 0) return failure{errc::io_failure, "libsodium does not start"};
  auto secret = secret_from(settings.secret_file);
  if (!secret) return secret.error();
  public_key outside;
  std::string algorithm;
  if (settings.issuer_public_key) {
    auto key = read_public_key(*settings.issuer_public_key);
    if (!key) return key.error();
    outside = std::move(*key);
    algorithm = *algorithm_of(outside.get());
  }
  return std::unique_ptr<tokens>{new tokens{std::unique_ptr<impl>{
      new impl{hmac{*secret}, std::move(outside), algorithm, settings.issuer_name, verified_tokens{settings.cache_entries}}}}};
}

std::string tokens::new_session() {
  std::string bits(8, '\0');
  randombytes_buf(bits.data(), bits.size());
  return to_base64url(bits);
}

std::string tokens::issue(const claims& what) const {
  std::string payload;
  json_writer json{payload};
  json.begin_object().member("sub", what.user_id).member("typ", word_of(what.purpose));
  if (what.purpose == purpose::access) {
    json.member("role", word_of(what.role));
    if (!what.session.empty()) json.member("sid", what.session);
  } else {
    json.member("show", what.show_id).member("ticket", what.ticket_id);
    if (what.device != 0) json.member("dev", what.device);
  }
  json.member("exp", std::chrono::floor<std::chrono::seconds>(what.expires_at).time_since_epoch().count()).end_object();
  static const auto head = to_base64url(R"({"alg":"HS256","typ":"JWT"})") + '.';
  auto out = head + to_base64url(payload);
  out += "." + to_base64url(impl_->sign(out));
  return out;
}

std::optional<claims> tokens::verify(std::string_view token, purpose wanted, time_point now) {
  if (token.empty() || token.size() > token_bytes_max) return std::nullopt;
  digest key;
  crypto_generichash(key.data(), key.size(), reinterpret_cast<const unsigned char*>(token.data()), token.size(), nullptr, 0);
  auto found = impl_->verified.find(key);
  if (!found) {
    found = impl_->check(token, wanted, now);
    if (found && now < found->expires_at) impl_->verified.add(key, *found);
  }
  if (!found || found->purpose != wanted || now >= found->expires_at) return std::nullopt;
  return found;
}

std::optional<principal> tokens::caller(std::string_view authorization, time_point now) {
  constexpr std::string_view scheme = "bearer ";
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  if (authorization.size() <= scheme.size()) return std::nullopt;
  if (!std::ranges::equal(authorization.substr(0, scheme.size()), scheme, {}, lower)) return std::nullopt;
  auto token = authorization.substr(scheme.size());
  while (token.starts_with(' ')) token.remove_prefix(1);
  auto found = verify(token, purpose::access, now);
  if (!found) return std::nullopt;
  return principal{std::move(found->user_id), found->role, found->expires_at, found->device};
}

}  // namespace usher::http
