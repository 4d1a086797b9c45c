// Every movement of money has two sides, and what the books say of a wallet is what the wallet says of itself.

#include "events/ledger.hpp"

#include <limits>
#include <map>
#include <numeric>
#include <random>

#include "actors/wallet.hpp"
#include "projections/ledger.hpp"
#include "projections/wallets.hpp"
#include "tests/decide.hpp"

namespace usher {
namespace {

using namespace std::chrono_literals;
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

namespace {

/// The two read models of money, fed with the events of wallets as the log would have them.
struct money_books {
  projections::ledger ledger;
  projections::wallets histories;

  void take(const std::string& user, v1::WalletEvent event) {
    v1::Record record;
    auto& e = *record.add_events();
    *e.mutable_stream() = wallet_ref(user);
    e.set_version(++versions_[user]);
    *e.mutable_wallet() = std::move(event);
    ledger.apply(record);
    histories.apply(record);
  }
  void take(const std::string& user, const std::string& event) { take(user, from_text<v1::WalletEvent>(event)); }

 private:
  std::map<std::string, std::uint64_t> versions_;
};

}  // namespace

TEST_CASE("the books add up over all wallets") {
  money_books b;
  b.take("usr_ann", "charged { amount: 100 balance: 100 }");
  b.take("usr_ben", "charged { amount: 50 balance: 50 }");
  b.take("usr_ann", "debited { amount: 30 balance: 70 payment_id: 'pay_1' }");
  b.take("usr_ann", "debit_refused { amount: 300 }");
  b.take("usr_ann", "credited { amount: 30 balance: 100 payment_id: 'pay_1' }");
  b.take("usr_ben", "debited { amount: 20 balance: 30 payment_id: 'pay_2' }");
  b.take("usr_ann", "authorized { authorization_id: 'aut_1' amount: 60 }");
  b.take("usr_ann", "captured { authorization_id: 'aut_1' amount: 15 balance: 85 released: 45 at_ms: 7 }");
  b.take("usr_ben", "used { amount: 4 balance: 26 }");
  b.take("usr_ben", "authorized { authorization_id: 'aut_2' amount: 9 }");
  const auto books = b.ledger.books();
  CHECK(books.of(account::top_ups) == -150);
  CHECK(books.of(account::sales) == 50);
  CHECK(books.of(account::refunds) == -30);
  CHECK(books.of(account::spending) == 19);
  CHECK(books.of(account::held) == 9);
  CHECK(books.of(account::wallet) == 85 + 17);
  CHECK(books.trial_balance() == 0);
  CHECK(books.mismatches == 0);
  const auto ann = b.ledger.find("usr_ann").value();
  CHECK(ann.balance == 85);
  CHECK(ann.held == 0);
  CHECK(ann.version == 6);
  CHECK(ann.updated_at_ms == 7);
  CHECK(b.ledger.find("usr_ben").value().available() == 17);
}

TEST_CASE("a balance that is not what was moved is noticed, and so is the money that it made or lost") {
  for (const auto* wrong : {"charged { amount: 10 balance: 111 }", "used { amount: 10 balance: 91 }", "debited { amount: 10 balance: 91 }",
                            "credited { amount: 10 balance: 111 }", "captured { amount: 10 balance: 91 released: 50 }"}) {
    INFO(wrong);
    money_books b;
    b.take("usr_ann", "charged { amount: 100 balance: 100 }");
    b.take("usr_ann", "authorized { amount: 60 }");
    CHECK(b.ledger.books().mismatches == 0);
    b.take("usr_ann", wrong);
    CHECK(b.ledger.books().mismatches == 1);
    CHECK(b.ledger.books().trial_balance() == 1);
  }
}

TEST_CASE("a mistake stays noticed though a later one makes up for it") {
  money_books b;
  b.take("usr_ann", "charged { amount: 100 balance: 101 }");
  b.take("usr_ann", "charged { amount: 100 balance: 200 }");
  CHECK(b.ledger.books().trial_balance() == 0);
  CHECK(b.ledger.books().mismatches == 2);
}

namespace {

/// What a wallet should do, told again in another way: no events, no sums that are kept.
class model {
 public:
  std::int64_t balance = 0;
  std::int64_t topped_up = 0, sold = 0, spent = 0, refunded = 0;

  std::int64_t held(time_point now) const {
    std::int64_t sum = 0;
    for (const auto& [id, a] : open_)
      if (a.until > now) sum += a.amount;
    return sum;
  }

  /// @return the code of the refusal, OK where there is none
  v1::Code ask(const v1::WalletCommand& c, time_point now) {
    if (c.has_charge()) return charge(c.charge().amount());
    if (c.has_use()) return use(c.use().amount(), now);
    if (c.has_debit()) return debit(c.debit(), now);
    if (c.has_credit()) return credit(c.credit());
    if (c.has_authorize()) return authorize(c.authorize(), now);
    if (c.has_capture()) return capture(c.capture(), now);
    if (c.has_void_funds()) return end(c.void_funds().authorization_id(), now) ? v1::OK : v1::AUTHORIZATION_ENDED;
    return v1::OK;
  }

 private:
  struct authorization {
    std::int64_t amount;
    time_point until;
  };

  std::int64_t free(time_point now) const { return balance - held(now); }
  std::optional<std::int64_t> end(const std::string& id, time_point now) {
    const auto a = open_.find(id);
    if (a == open_.end() || a->second.until <= now) return std::nullopt;
    const auto amount = a->second.amount;
    open_.erase(a);
    return amount;
  }

  v1::Code charge(std::int64_t amount) {
    if (amount < 1) return v1::VALIDATION_FAILED;
    balance += amount;
    topped_up += amount;
    return v1::OK;
  }
  v1::Code use(std::int64_t amount, time_point now) {
    if (amount < 1) return v1::VALIDATION_FAILED;
    if (amount > free(now)) return v1::INSUFFICIENT_BALANCE;
    balance -= amount;
    spent += amount;
    return v1::OK;
  }
  v1::Code debit(const v1::DebitWallet& c, time_point now) {
    if (!payments_.emplace(c.payment_id(), c.amount() > free(now) ? v1::REFUSED : v1::DEBITED).second) return v1::OK;
    if (payments_.at(c.payment_id()) == v1::REFUSED) return v1::OK;
    balance -= c.amount();
    sold += c.amount();
    return v1::OK;
  }
  v1::Code credit(const v1::CreditWallet& c) {
    const auto p = payments_.find(c.payment_id());
    if (p == payments_.end() || p->second == v1::REFUSED) return v1::NOT_FOUND;
    if (p->second == v1::REFUNDED) return v1::OK;
    p->second = v1::REFUNDED;
    balance += c.amount();
    refunded += c.amount();
    return v1::OK;
  }
  v1::Code authorize(const v1::AuthorizeFunds& c, time_point now) {
    if (const auto a = open_.find(c.authorization_id()); a != open_.end() && a->second.until > now)
      return a->second.amount == c.amount() ? v1::OK : v1::ALREADY_EXISTS;
    if (c.amount() < 1 || c.seconds() < 1) return v1::VALIDATION_FAILED;
    if (c.amount() > free(now)) return v1::INSUFFICIENT_BALANCE;
    open_[c.authorization_id()] = {c.amount(), now + std::chrono::seconds{c.seconds()}};
    return v1::OK;
  }
  v1::Code capture(const v1::CaptureFunds& c, time_point now) {
    if (c.amount() < 0) return v1::VALIDATION_FAILED;
    const auto a = open_.find(c.authorization_id());
    if (a != open_.end() && a->second.until > now && c.amount() > a->second.amount) return v1::VALIDATION_FAILED;
    const auto whole = end(c.authorization_id(), now);
    if (!whole) return v1::AUTHORIZATION_ENDED;
    const auto amount = c.amount() == 0 ? *whole : c.amount();
    balance -= amount;
    spent += amount;
    return v1::OK;
  }

  std::map<std::string, authorization> open_;
  std::map<std::string, v1::Verdict> payments_;
};

/// One user, and a random will.
class spender {
 public:
  spender(std::string user, std::mt19937_64& random) : user_{std::move(user)}, random_{random} {}

  /// Asks for something, and compares what became of it with the model, the state and the books.
  void act(time_point now, money_books& books) {
    const auto command = wish();
    INFO(user_ << " at " << to_ms(now) << ": " << command.ShortDebugString());
    const auto expected = expect.ask(command, now);
    const auto d = actors::wallet::decide(wallet_ref(user_), state_, command, {now, user_, v1::ROLE_USER});
    REQUIRE(actors::test::refused(d) == expected);
    for (const auto& e : d.events) take(e, books);
    if (expected != v1::OK) return;
    ++accepted[command.kind_case()];
    REQUIRE(state_.balance() == expect.balance);
    REQUIRE(d.outcome.wallet().balance() == expect.balance);
    REQUIRE(d.outcome.wallet().held() == expect.held(now));
    if (!d.events.empty()) REQUIRE(state_.held() == expect.held(now));
  }

  /// Each entry's balance follows from the one before it.
  void check_history(const money_books& books) const {
    const auto page = books.histories.history(user_, "", 100'000).value();
    std::int64_t balance = 0;
    for (auto entry = page.items.rbegin(); entry != page.items.rend(); ++entry) {
      const bool in = entry->type == projections::movement::charge || entry->type == projections::movement::refund;
      balance += in ? entry->amount : -entry->amount;
      REQUIRE(entry->balance == balance);
    }
    CHECK(balance == expect.balance);
  }

  model expect;
  std::map<v1::WalletCommand::KindCase, int> accepted;

 private:
  void take(const v1::WalletEvent& e, money_books& books) {
    actors::wallet::evolve(state_, e);
    books.take(user_, e);
    const auto seen = books.ledger.find(user_).value();
    REQUIRE(seen.balance == state_.balance());
    REQUIRE(seen.held == state_.held());
    REQUIRE(seen.balance >= 0);
    REQUIRE(seen.held >= 0);
    REQUIRE(seen.available() >= 0);
    REQUIRE(books.ledger.books().trial_balance() == 0);
    REQUIRE(books.ledger.books().mismatches == 0);
  }

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  std::int64_t amount() { return static_cast<std::int64_t>(below(60)) - 1; }
  std::string one_of(const char* prefix, std::uint64_t n) { return prefix + std::to_string(below(n)); }

  v1::WalletCommand wish() {
    v1::WalletCommand c;
    switch (below(9)) {
      case 0:
      case 1: c.mutable_charge()->set_amount(amount()); break;
      case 2: c.mutable_use()->set_amount(amount()); break;
      case 3: {
        auto& d = *c.mutable_debit();
        d.set_payment_id(one_of("pay_", 200));
        d.set_amount(30);
        break;
      }
      case 4: {
        auto& d = *c.mutable_credit();
        d.set_payment_id(one_of("pay_", 200));
        d.set_amount(30);
        break;
      }
      case 5:
      case 6: {
        auto& a = *c.mutable_authorize();
        a.set_authorization_id(one_of("aut_", 8));
        a.set_amount(amount());
        a.set_seconds(static_cast<std::uint32_t>(below(20)));
        break;
      }
      case 7: {
        auto& a = *c.mutable_capture();
        a.set_authorization_id(one_of("aut_", 8));
        a.set_amount(below(2) == 0 ? 0 : amount());
        break;
      }
      default:
        if (below(3) == 0) c.mutable_wake();
        else c.mutable_void_funds()->set_authorization_id(one_of("aut_", 8));
    }
    return c;
  }

  std::string user_;
  std::mt19937_64& random_;
  v1::WalletState state_;
};

}  // namespace

TEST_CASE("whatever users do with their money, none is made or lost, and nobody spends what is set aside") {
  std::map<v1::WalletCommand::KindCase, int> accepted;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    money_books books;
    std::vector<spender> users;
    for (const auto* name : {"usr_ann", "usr_ben", "usr_cem"}) users.emplace_back(name, random);
    auto now = from_ms(1'000'000);
    for (int i = 0; i < 1000; ++i) {
      if (random() % 3 == 0) now += std::chrono::milliseconds{random() % 8000};
      users[random() % users.size()].act(now, books);
    }
    model all;
    for (auto& u : users) {
      u.check_history(books);
      all.balance += u.expect.balance;
      all.topped_up += u.expect.topped_up;
      all.sold += u.expect.sold;
      all.spent += u.expect.spent;
      all.refunded += u.expect.refunded;
      for (const auto& [kind, n] : u.accepted) accepted[kind] += n;
    }
    const auto b = books.ledger.books();
    CHECK(b.of(account::wallet) + b.of(account::held) == all.balance);
    CHECK(b.of(account::top_ups) == -all.topped_up);
    CHECK(b.of(account::sales) == all.sold);
    CHECK(b.of(account::spending) == all.spent);
    CHECK(b.of(account::refunds) == -all.refunded);
  }
  CHECK(accepted.size() == 8);
  for (const auto& [kind, n] : accepted) CHECK(n > 100);
}

}  // namespace usher
