// An e-mail address has one account.

#include "actors/user.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

const std::string ann_signs_up = "sign_up { name: 'Ann' email: 'ann@example.org' password_hash: 'hash' }";

given<user> ann() { return given<user>{user_ref("usr_ann")}; }

}  // namespace

TEST_CASE("a person signs up and is told her id") {
  auto u = ann();
  const auto d = u.when(ann_signs_up);
  CHECK(accepted(d));
  CHECK(events_of(d) == R"(signed_up { name: "Ann" email: "ann@example.org" password_hash: "hash" at_ms: 1000000 })");
  CHECK(d.outcome.user().user_id() == "usr_ann");
  CHECK(u.state().name() == "Ann");
  CHECK(u.state().email() == "ann@example.org");
  CHECK(u.state().password_hash() == "hash");
  CHECK(u.state().signed_up_at_ms() == 1'000'000);
}

TEST_CASE("an address signs up once") {
  auto u = ann();
  u.when(ann_signs_up);
  CHECK(refused(u.when(ann_signs_up)) == v1::ALREADY_EXISTS);
  CHECK(refused(u.when("sign_up {}")) == v1::ALREADY_EXISTS);
}

TEST_CASE("an account needs a name and what looks like an address, and every bad field is named") {
  const auto nothing = ann().when("sign_up {}");
  CHECK(refused(nothing) == v1::VALIDATION_FAILED);
  CHECK(blamed(nothing.rejection) == std::vector<std::string>{"name", "email"});
  for (const auto* email : {"ann", "@example.org", "ann@", "ann @example.org"}) {
    const auto d = ann().when(std::string{"sign_up { name: 'Ann' email: '"} + email + "' }");
    CHECK(refused(d) == v1::VALIDATION_FAILED);
    CHECK(blamed(d.rejection) == std::vector<std::string>{"email"});
  }
  const auto long_name = ann().when("sign_up { name: '" + std::string(201, 'a') + "' email: 'a@b' }");
  CHECK(blamed(long_name.rejection) == std::vector<std::string>{"name"});
}

TEST_CASE("an account has no deadline and owes nobody anything, and an empty command is refused") {
  auto u = ann();
  CHECK_FALSE(u.deadline());
  CHECK_FALSE(user::wake());
  CHECK(u.reaction().empty());
  CHECK(refused(u.when("")) == v1::INVALID_REQUEST);
}

}  // namespace usher::actors::test
