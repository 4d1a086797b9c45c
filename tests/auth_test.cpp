// Tokens that must pass, and every kind that must not; passwords.
#include <catch2/catch.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <array>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include "http/auth.hpp"
#include "http/passwords.hpp"
#include "tests/support.hpp"

namespace {

namespace http = usher::http;
using namespace std::chrono_literals;
using usher::tests::temp_dir;

const usher::time_point noon = usher::from_ms(1'800'000'000'000);

std::string base64url(std::string_view bytes) {
  std::string out(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING), '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  out.pop_back();
  return out;
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::string unsigned_token(std::string_view algorithm, std::string_view payload) {
  return base64url(R"({"alg":")" + std::string{algorithm} + R"(","typ":"JWT"})") + "." + base64url(payload);
}

std::string with_hmac(std::string text, std::string_view key) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  return text + "." + base64url({reinterpret_cast<const char*>(mac), size});
}

std::string with_signature(std::string text, EVP_PKEY* key, const EVP_MD* digest) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  std::string signature(1024, '\0');
  std::size_t size = signature.size();
  EVP_DigestSignInit(context, nullptr, digest, nullptr, key);
  EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, reinterpret_cast<const unsigned char*>(text.data()),
                 text.size());
  EVP_MD_CTX_free(context);
  return text + "." + base64url({signature.data(), size});
}

void write_public(const std::filesystem::path& file, EVP_PKEY* key) {
  std::FILE* out = std::fopen(file.c_str(), "w");
  PEM_write_PUBKEY(out, key);
  std::fclose(out);
}

constexpr std::string_view ann = R"({"sub":"usr_ann","role":"operator","iss":"https://id","exp":1800000060})";

http::claims access_of_ann() {
  http::claims out;
  out.user_id = "usr_ann";
  out.role = http::role::service;
  out.expires_at = noon + 60s;
  return out;
}

http::claims place_of_ann(http::purpose what) {
  auto out = access_of_ann();
  out.purpose = what;
  out.show_id = "shw_1";
  out.ticket_id = "qt_1_7";
  return out;
}

std::unique_ptr<http::tokens> open(const temp_dir& f, std::optional<std::filesystem::path> key = {}, std::string issuer = {}) {
  return std::move(http::tokens::open({std::filesystem::path{f.path} / "secret", std::move(key), std::move(issuer), 4}).value());
}

}  // namespace

TEST_CASE("a token says who calls until it expires, to the second") {
  const temp_dir f;
  const auto tokens = open(f);
  const auto token = tokens->issue(access_of_ann());
  for (int twice = 0; twice < 2; ++twice) {
    const auto who = tokens->caller("Bearer " + token, noon);
    REQUIRE(who);
    CHECK(who->user_id == "usr_ann");
    CHECK(who->role == http::role::service);
    CHECK(who->expires_at == noon + 60s);
  }
  CHECK(tokens->caller("bearer " + token, noon + 60s - 1ms));
  CHECK_FALSE(tokens->caller("Bearer " + token, noon + 60s));
  CHECK_FALSE(tokens->caller("Basic " + token, noon));
  CHECK_FALSE(tokens->caller("Bearer ", noon));
}

TEST_CASE("a token that was changed anywhere is worth nothing") {
  const temp_dir f;
  const auto tokens = open(f);
  const auto token = tokens->issue(access_of_ann());
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    INFO("character " << i);
    CHECK_FALSE(tokens->verify(changed, http::purpose::access, noon));
  }
  CHECK_FALSE(tokens->verify(token.substr(0, token.rfind('.')), http::purpose::access, noon));
  CHECK_FALSE(tokens->verify(token.substr(0, token.rfind('.') + 1), http::purpose::access, noon));
  CHECK_FALSE(tokens->verify(token + ".x", http::purpose::access, noon));
  CHECK_FALSE(tokens->verify("..", http::purpose::access, noon));
  CHECK_FALSE(tokens->verify(std::string(5000, 'a'), http::purpose::access, noon));
}

TEST_CASE("a token for one purpose is refused for another, also once it is remembered") {
  const temp_dir f;
  const auto tokens = open(f);
  const std::array purposes{http::purpose::access, http::purpose::queue, http::purpose::admission};
  for (const auto made : purposes) {
    const auto token = tokens->issue(place_of_ann(made));
    for (int twice = 0; twice < 2; ++twice) {
      for (const auto wanted : purposes) CHECK(tokens->verify(token, wanted, noon).has_value() == (made == wanted));
    }
  }
  const auto admission = tokens->verify(tokens->issue(place_of_ann(http::purpose::admission)), http::purpose::admission, noon);
  REQUIRE(admission);
  CHECK(admission->show_id == "shw_1");
  CHECK(admission->ticket_id == "qt_1_7");
  CHECK(admission->user_id == "usr_ann");
}

TEST_CASE("a login is the same device in each of its tokens and after a restart, and no other login is") {
  const temp_dir f;
  const auto device_of = [&](std::string session, http::role role = http::role::user) {
    const auto tokens = open(f);
    auto c = access_of_ann();
    c.role = role;
    c.session = std::move(session);
    const auto token = tokens->issue(c);
    const auto first = tokens->caller("Bearer " + token, noon), remembered = tokens->caller("Bearer " + token, noon + 1s);
    REQUIRE(first);
    REQUIRE(remembered);
    CHECK(first->device == remembered->device);
    return first->device;
  };
  const auto one = http::tokens::new_session(), other = http::tokens::new_session();
  CHECK(one.size() == 11);  // 64 bits
  CHECK(device_of(one) == device_of(one));
  CHECK(device_of(one) != device_of(other));
  CHECK(device_of("phone") == 0x5771fdf8);  // it is in the log of those who run this: it must stay
  CHECK(device_of("") == 0);
  CHECK(device_of(one, http::role::service) == 0);
  CHECK(device_of(one, http::role::operator_) == 0);
}

TEST_CASE("a ticket's token says which device it is for") {
  const temp_dir f;
  const auto tokens = open(f);
  for (const auto what : {http::purpose::queue, http::purpose::admission}) {
    for (const std::uint32_t device : {0u, 7u, 0xffffffffu}) {
      auto c = place_of_ann(what);
      c.device = device;
      const auto found = tokens->verify(tokens->issue(c), what, noon);
      REQUIRE(found);
      CHECK(found->device == device);
    }
  }
}

TEST_CASE("the algorithm none is never accepted") {
  const temp_dir f;
  const auto tokens = open(f);
  for (const auto* none : {"none", "None", "NONE", "", "HS384", "HS512", "hs256"}) {
    CHECK_FALSE(tokens->verify(unsigned_token(none, ann) + ".", http::purpose::access, noon));
    CHECK_FALSE(tokens->verify(with_hmac(unsigned_token(none, ann), content_of(std::filesystem::path{f.path} / "secret")), http::purpose::access, noon));
  }
  CHECK(tokens->verify(with_hmac(unsigned_token("HS256", ann), content_of(std::filesystem::path{f.path} / "secret")), http::purpose::access, noon));
}

TEST_CASE("an outside issuer's tokens are accepted with its key and in no other way") {
  const temp_dir f;
  const bool rsa = GENERATE(true, false);
  EVP_PKEY* key = rsa ? EVP_RSA_gen(2048) : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  const auto* digest = rsa ? EVP_sha256() : nullptr;
  const std::string algorithm = rsa ? "RS256" : "EdDSA";
  const auto file = std::filesystem::path{f.path} / "issuer.pem";
  write_public(file, key);
  const auto tokens = open(f, file, "https://id");
  const auto verified = tokens->verify(with_signature(unsigned_token(algorithm, ann), key, digest), http::purpose::access, noon);
  REQUIRE(verified);
  CHECK(verified->role == http::role::operator_);

  // its logins are told apart by `sid`, or else its tokens by `jti`
  const auto device = [&](const std::string& more) {
    const auto payload = R"({"sub":"u","iss":"https://id","exp":1800000060)" + more + "}";
    const auto found = tokens->verify(with_signature(unsigned_token(algorithm, payload), key, digest), http::purpose::access, noon);
    return found ? std::optional{found->device} : std::nullopt;
  };
  CHECK(device("") == 0u);
  CHECK(device(R"(,"sid":"a","jti":"1")") == device(R"(,"sid":"a","jti":"2")"));
  CHECK(device(R"(,"jti":"1")") != device(R"(,"jti":"2")"));
  CHECK(device(R"(,"jti":"1")") != 0u);

  // the public key, which everyone has, taken for an HMAC's secret
  CHECK_FALSE(tokens->verify(with_hmac(unsigned_token("HS256", ann), content_of(file)), http::purpose::access, noon));
  CHECK_FALSE(tokens->verify(with_hmac(unsigned_token(algorithm, ann), content_of(file)), http::purpose::access, noon));
  // the right signature under another name
  for (const auto* other : {"none", "HS256", "RS384", "PS256", rsa ? "EdDSA" : "RS256"}) {
    CHECK_FALSE(tokens->verify(with_signature(unsigned_token(other, ann), key, digest), http::purpose::access, noon));
  }
  // another issuer with the same key, no expiry, and an admission, which only this node gives
  for (const auto* payload : {R"({"sub":"u","iss":"https://else","exp":1800000060})", R"({"sub":"u","iss":"https://id"})",
                              R"({"sub":"u","iss":"https://id","exp":1800000060,"nbf":1800000030})"}) {
    CHECK_FALSE(tokens->verify(with_signature(unsigned_token(algorithm, payload), key, digest), http::purpose::access, noon));
  }
  const auto admission = R"({"sub":"u","typ":"admission","show":"s","ticket":"t","iss":"https://id","exp":1800000060})";
  CHECK_FALSE(tokens->verify(with_signature(unsigned_token(algorithm, admission), key, digest), http::purpose::admission, noon));
  EVP_PKEY_free(key);
}

TEST_CASE("the secret is made once, is for its owner only, and is refused where others can read it") {
  const temp_dir f;
  const auto token = open(f)->issue(access_of_ann());
  struct stat facts {};
  REQUIRE(::stat((std::filesystem::path{f.path} / "secret").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0600);
  CHECK(std::distance(std::filesystem::directory_iterator{f.path}, {}) == 1);
  CHECK(open(f)->verify(token, http::purpose::access, noon));
  std::filesystem::permissions(std::filesystem::path{f.path} / "secret", std::filesystem::perms{0640});
  const auto refused = http::tokens::open({std::filesystem::path{f.path} / "secret", {}, {}, 4});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == usher::errc::invalid_argument);
}

TEST_CASE("tokens beyond what is remembered are verified afresh") {
  const temp_dir f;
  const auto tokens = open(f);
  for (int i = 0; i < 50; ++i) {
    auto c = access_of_ann();
    c.user_id = "usr_" + std::to_string(i % 10);
    const auto found = tokens->verify(tokens->issue(c), http::purpose::access, noon);
    REQUIRE(found);
    CHECK(found->user_id == c.user_id);
  }
}

TEST_CASE("only the right password matches, nobody's never does, and too many at once are turned away") {
  http::passwords passwords{{1, 2}};
  boost::asio::io_context io;
  const auto run = [&io](auto work) {
    auto out = boost::asio::co_spawn(io, std::move(work), boost::asio::use_future);
    io.restart();
    io.run();
    return out.get();
  };
  const auto hash = run(passwords.hash("correct horse"));
  REQUIRE(hash);
  CHECK(hash->starts_with("$argon2id$"));
  CHECK(run(passwords.matches(*hash, "correct horse")) == std::optional{true});
  CHECK(run(passwords.matches(*hash, "wrong horse")) == std::optional{false});
  CHECK(run(passwords.matches("", "correct horse")) == std::optional{false});

  std::vector<std::future<std::optional<std::string>>> all;
  for (int i = 0; i < 3; ++i) all.push_back(boost::asio::co_spawn(io, passwords.hash("x"), boost::asio::use_future));
  io.restart();
  io.run();
  CHECK(all[0].get());
  CHECK(all[1].get());
  CHECK_FALSE(all[2].get());
}
