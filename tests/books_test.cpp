// Every movement of money has two sides.

#include "events/ledger.hpp"

#include <limits>
#include <map>
#include <numeric>

#include "tests/decide.hpp"

namespace usher {
namespace {

using actors::test::from_text;

using sides = std::map<account, std::int64_t>;

sides sides_of(const std::string& event) {
  sides out;
  for (const auto& p : postings_of(from_text<v1::WalletEvent>(event))) out[p.to] += p.amount;
  return out;
}

std::int64_t sum_of(const postings& all) {
  return std::accumulate(all.begin(), all.end(), std::int64_t{0}, [](auto sum, const posting& p) { return postings::plus(sum, p.amount); });
}

}  // namespace

TEST_CASE("each event says from which account to which its money goes") {
  using enum account;
  CHECK(sides_of("charged { amount: 5 }") == sides{{top_ups, -5}, {wallet, 5}});
  CHECK(sides_of("used { amount: 5 }") == sides{{wallet, -5}, {spending, 5}});
  CHECK(sides_of("debited { amount: 5 }") == sides{{wallet, -5}, {sales, 5}});
  CHECK(sides_of("credited { amount: 5 }") == sides{{refunds, -5}, {wallet, 5}});
  CHECK(sides_of("authorized { amount: 5 }") == sides{{wallet, -5}, {held, 5}});
  CHECK(sides_of("captured { amount: 3 released: 2 }") == sides{{held, -5}, {spending, 3}, {wallet, 2}});
  CHECK(sides_of("voided { amount: 5 }") == sides{{held, -5}, {wallet, 5}});
  CHECK(sides_of("debit_refused { amount: 5 }").empty());
  CHECK(sides_of("").empty());
}

TEST_CASE("what one account gets others lose, whatever the event and however absurd its numbers") {
  const auto& kind = *v1::WalletEvent::descriptor()->FindOneofByName("kind");
  constexpr auto most = std::numeric_limits<std::int64_t>::max(), least = std::numeric_limits<std::int64_t>::min();
  for (int i = 0; i != kind.field_count(); ++i)
    for (const auto amount : {std::int64_t{1}, most, least})
      for (const auto released : {std::int64_t{0}, most, least}) {
        v1::WalletEvent e;
        auto& body = *e.GetReflection()->MutableMessage(&e, kind.field(i));
        const auto set = [&](const char* name, std::int64_t value) {
          if (const auto* field = body.GetDescriptor()->FindFieldByName(name)) body.GetReflection()->SetInt64(&body, field, value);
        };
        set("amount", amount);
        set("released", released);
        INFO(kind.field(i)->name());
        CHECK(sum_of(postings_of(e)) == 0);
      }
}

}  // namespace usher
