// An e-mail address has one account, and a person who was forgotten stays forgotten.

#include "actors/user.hpp"
#include "store/persons.hpp"
#include "tests/decide.hpp"

namespace usher::actors::test {
namespace {

const std::string ann_signs_up = "sign_up { sealed: 'a letter' }";

given<user> ann() { return given<user>{user_ref("usr_ann")}; }

std::vector<std::string> blamed_for(const std::string& name, const std::string& email) {
  v1::PersonalData person;
  person.set_name(name);
  person.set_email(email);
  std::vector<std::string> out;
  for (const auto& fault : user::faults_of(person)) out.push_back(fault.field());
  return out;
}

}  // namespace

TEST_CASE("a person signs up and is told her id") {
  auto u = ann();
  const auto d = u.when(ann_signs_up);
  CHECK(accepted(d));
  CHECK(events_of(d) == R"(signed_up { at_ms: 1000000 sealed: "a letter" })");
  CHECK(d.outcome.user().user_id() == "usr_ann");
  CHECK(u.state().sealed() == "a letter");
  CHECK(u.state().signed_up_at_ms() == 1'000'000);
}

TEST_CASE("an address signs up once") {
  auto u = ann();
  u.when(ann_signs_up);
  CHECK(refused(u.when(ann_signs_up)) == v1::ALREADY_EXISTS);
  CHECK(refused(u.when("sign_up {}")) == v1::ALREADY_EXISTS);
}

TEST_CASE("an account needs a name and what looks like an address, and every bad field is named") {
  using fields = std::vector<std::string>;
  CHECK(blamed_for("Ann", "ann@example.org") == fields{});
  CHECK(blamed_for("", "") == fields{"name", "email"});
  for (const auto* email : {"ann", "@example.org", "ann@", "ann @example.org"}) CHECK(blamed_for("Ann", email) == fields{"email"});
  CHECK(blamed_for(std::string(200, 'a'), "a@b") == fields{});
  CHECK(blamed_for(std::string(201, 'a'), "a@b") == fields{"name"});
  CHECK(blamed_for("Ann", std::string(253, 'a') + "@b") == fields{"email"});
}

TEST_CASE("a person who is forgotten leaves nothing but the id, and nobody comes by the account with the address") {
  auto u = ann();
  u.when(ann_signs_up);
  const auto d = u.pass(seconds{1}).when("erase { reason: 'she asked' }");
  CHECK(accepted(d));
  CHECK(events_of(d) == R"(erased { reason: "she asked" at_ms: 1001000 })");
  CHECK(u.state().sealed().empty());
  CHECK(u.state().erased_at_ms() == 1'001'000);
  CHECK(refused(u.when(ann_signs_up)) == v1::ERASED);
}

TEST_CASE("to be forgotten again changes nothing") {
  auto u = ann();
  u.when(ann_signs_up);
  u.when("erase {}");
  const auto again = u.when("erase { reason: 'really' }");
  CHECK(accepted(again));
  CHECK(again.events.empty());
  CHECK(again.outcome.unchanged());
}

TEST_CASE("nobody can't be forgotten, and a reason is short, for it stays") {
  auto u = ann();
  CHECK(refused(u.when("erase {}")) == v1::NOT_FOUND);
  u.when(ann_signs_up);
  const auto wordy = u.when("erase { reason: '" + std::string(501, 'r') + "' }");
  CHECK(refused(wordy) == v1::VALIDATION_FAILED);
  CHECK(blamed(wordy.rejection) == std::vector<std::string>{"reason"});
  CHECK(accepted(u.when("erase { reason: '" + std::string(500, 'r') + "' }")));
}

TEST_CASE("what is sealed opens with its own key alone, and not once a bit of it has changed") {
  v1::PersonalData person;
  person.set_name("Ann");
  person.set_email("ann@example.org");
  const auto key = store::new_person_key();
  auto sealed = store::seal(person, key);
  CHECK(sealed.find("Ann") == std::string::npos);
  CHECK(store::seal(person, key) != sealed);
  REQUIRE(store::unseal(sealed, key));
  CHECK(store::unseal(sealed, key)->name() == "Ann");
  CHECK_FALSE(store::unseal(sealed, store::new_person_key()));
  for (std::size_t i = 0; i != sealed.size(); ++i) {
    sealed[i] = static_cast<char>(sealed[i] ^ 1);
    CHECK_FALSE(store::unseal(sealed, key));
    sealed[i] = static_cast<char>(sealed[i] ^ 1);
  }
  CHECK_FALSE(store::unseal(sealed.substr(0, 39), key));
}

TEST_CASE("an account has no deadline and owes nobody anything, and an empty command is refused") {
  auto u = ann();
  CHECK_FALSE(u.deadline());
  CHECK_FALSE(user::wake());
  CHECK(u.reaction().empty());
  CHECK(refused(u.when("")) == v1::INVALID_REQUEST);
}

}  // namespace usher::actors::test
