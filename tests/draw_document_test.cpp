// A draw is checked offline from what was published, and nothing of it can be changed unnoticed.

#include <catch2/catch.hpp>

#include <boost/json.hpp>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>

#include "events/draw_document.hpp"
#include "tests/support.hpp"

namespace usher::draw {
namespace {

namespace json = boost::json;

constexpr std::string_view show = "shw_abcdefghijklmnop";
const json::string zeroes(64, '0');  // 32 bytes that are never right

std::string user_of(std::uint64_t number) { return "usr_" + std::to_string(number); }
std::int64_t joined_at(std::uint64_t number) { return 1'800'000'000'000 + 250 * static_cast<std::int64_t>(number); }
merkle::digest leaf_at(std::uint64_t number) { return leaf_of(number, make_ticket_id(show, number), user_of(number), joined_at(number)); }

/// A draw of so many, as a waiting room would publish it.
struct held {
  explicit held(std::uint32_t count) {
    f.show_id = show;
    f.count = count;
    f.secret = std::string{bytes_of(sha256({"a secret"}))};
    f.commitment = commitment(f.secret);
    merkle::frontier tree;
    for (std::uint64_t n = 1; n <= count; ++n) {
      leaves.push_back(leaf_at(n));
      tree.add(leaves.back());
    }
    f.root = tree.root();
    f.closed_at_ms = 1'900'000'000'000;
    f.held_at_ms = 1'900'000'002'000;
    const auto numbers = order(f.secret, f.root, count);
    ranks.resize(count);
    for (std::uint32_t i = 0; i != count; ++i) ranks[numbers[i] - 1] = i + 1;
  }

  [[nodiscard]] json::value all() const {
    std::string out;
    json_writer w{out};
    w.begin_object();
    write_facts(w, f);
    w.key("tickets").begin_array();
    for (std::size_t i = 0; i != leaves.size(); ++i) {
      w.begin_object();
      write_ticket(w, ticket{i + 1, ranks[i], leaves[i]});
      w.end_object();
    }
    w.end_array().end_object();
    return json::parse(out);
  }
  [[nodiscard]] json::value of(std::uint64_t number) const {
    std::string out;
    json_writer w{out};
    w.begin_object();
    write_facts(w, f);
    w.key("ticket").begin_object();
    write_ticket(w, own_ticket{{number, ranks[number - 1], leaves[number - 1]}, make_ticket_id(show, number), user_of(number), joined_at(number),
                               merkle::inclusion_proof(leaves, number - 1)});
    w.end_object().end_object();
    return json::parse(out);
  }

  facts f;
  std::vector<merkle::digest> leaves;
  std::vector<std::uint64_t> ranks;
};

std::vector<v1::Fault> judge(const json::value& value) {
  document d;
  if (auto wrong = read_document(value, d); !wrong.empty()) return wrong;
  return verify(d);
}

/// `field: detail` of the first fault; empty where all is well.
std::string verdict(const json::value& value) {
  const auto wrong = judge(value);
  return wrong.empty() ? std::string{} : wrong.front().field() + ": " + wrong.front().detail();
}

/// The document with the value at a JSON pointer set.
json::value with(json::value document, std::string_view pointer, json::value value) {
  document.at_pointer(pointer) = std::move(value);
  return document;
}

bool names(const std::string& verdict, std::string_view what) { return verdict.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("a draw that was held rightly is found right, of any size") {
  for (const std::uint32_t count : {0U, 1U, 2U, 3U, 10U, 63U, 64U, 65U, 1'000U}) CHECK(verdict(held{count}.all()) == "");
}

TEST_CASE("everybody can prove their own rank") {
  const held draw{100};
  for (std::uint64_t number = 1; number <= 100; ++number) CHECK(verdict(draw.of(number)) == "");
}

TEST_CASE("whatever is changed in a draw's document is found and named") {
  const auto good = held{100}.all();
  CHECK(names(verdict(with(good, "/secret", zeroes)), "the secret or the commitment was changed"));
  CHECK(names(verdict(with(good, "/commitment", zeroes)), "commitment: "));
  CHECK(names(verdict(with(good, "/root", zeroes)), "root: "));
  CHECK(names(verdict(with(good, "/count", 99)), "count: It says 99, and there are 100 tickets."));
  CHECK(names(verdict(with(good, "/count", 101)), "count: "));
  CHECK(names(verdict(with(good, "/tickets/41/leaf", zeroes)), "a ticket's leaf or the root was changed"));
  CHECK(names(verdict(with(good, "/tickets/41/number", 43)), "tickets[41].number: It has to be 42"));
}

TEST_CASE("a rank that was changed is found, whosever it is, and nobody else is blamed") {
  const auto good = held{50}.all();
  for (std::size_t i = 0; i != 50; ++i) {
    const auto at = "/tickets/" + std::to_string(i) + "/rank";
    const auto rank = good.at_pointer(at).to_number<std::int64_t>();
    const auto wrong = judge(with(good, at, rank % 50 + 1));
    REQUIRE(wrong.size() == 1);
    CHECK(wrong.front().field() == "tickets[" + std::to_string(i) + "].rank");
    CHECK(wrong.front().detail() == "By the draw it is " + std::to_string(rank) + ".");
  }
}

TEST_CASE("two people who exchange their ranks, or their tickets, are found") {
  auto ranks = held{50}.all();
  std::swap(ranks.at_pointer("/tickets/3/rank"), ranks.at_pointer("/tickets/30/rank"));
  CHECK(judge(ranks).size() == 2);
  auto leaves = held{50}.all();
  std::swap(leaves.at_pointer("/tickets/3/leaf"), leaves.at_pointer("/tickets/30/leaf"));
  CHECK(names(verdict(leaves), "root: "));
}

TEST_CASE("a ticket added or taken away is found") {
  auto more = held{50}.all();
  auto& added = more.as_object()["tickets"].as_array();
  added.push_back(json::value{{"number", 51}, {"rank", 51}, {"leaf", zeroes}});
  CHECK(names(verdict(more), "count: "));
  CHECK(names(verdict(with(more, "/count", 51)), "root: "));
  auto fewer = held{50}.all();
  fewer.as_object()["tickets"].as_array().pop_back();
  CHECK(names(verdict(fewer), "count: "));
  CHECK(names(verdict(with(fewer, "/count", 49)), "root: "));
}

TEST_CASE("whatever is changed in a person's proof is found and named") {
  const auto good = held{100}.of(42);
  CHECK(names(verdict(with(good, "/secret", zeroes)), "the secret or the commitment was changed"));
  CHECK(names(verdict(with(good, "/commitment", zeroes)), "commitment: "));
  CHECK(names(verdict(with(good, "/root", zeroes)), "the root was changed"));
  CHECK(names(verdict(with(good, "/count", 41)), "ticket.number: "));
  for (const auto count : {99, 101, 128, 129}) CHECK(verdict(with(good, "/count", count)) != "");
  CHECK(names(verdict(with(good, "/showId", "shw_another")), "ticket.ticketId: "));
  CHECK(names(verdict(with(good, "/ticket/number", 43)), "the number"));
  CHECK(names(verdict(with(good, "/ticket/ticketId", "qt_abcdefghijklmnop_43")), "ticket.ticketId: "));
  CHECK(names(verdict(with(good, "/ticket/userId", "usr_43")), "userId"));
  CHECK(names(verdict(with(good, "/ticket/joinedAt", "2027-01-01T00:00:00Z")), "joinedAt"));
  CHECK(names(verdict(with(good, "/ticket/leaf", zeroes)), "ticket.leaf: "));
  CHECK(names(verdict(with(good, "/ticket/path/3", zeroes)), "ticket.path: "));
  const auto rank = good.at_pointer("/ticket/rank").to_number<std::int64_t>();
  CHECK(verdict(with(good, "/ticket/rank", rank + 1)) == "ticket.rank: By the draw it is " + std::to_string(rank) + ".");
}

TEST_CASE("a proof of somebody else's ticket with one's own name on it is found") {
  auto mine = held{100}.of(42);
  const auto first = held{100}.of(7);
  for (const auto* taken : {"/ticket/leaf", "/ticket/path", "/ticket/rank", "/ticket/number", "/ticket/ticketId"})
    mine.at_pointer(taken) = first.at_pointer(taken);
  CHECK(names(verdict(mine), "ticket.leaf: "));
}

TEST_CASE("a document that lacks something, or has it in another form, is refused by its place") {
  const auto good = held{3}.all();
  for (const auto* member : {"showId", "count", "commitment", "root", "secret", "closedAt", "heldAt", "tickets"}) {
    auto without = good;
    without.as_object().erase(member);
    CHECK(names(verdict(without), std::string{member} + ": "));
  }
  CHECK(names(verdict(with(good, "/count", "3")), "count: "));
  CHECK(names(verdict(with(good, "/count", -3)), "count: "));
  CHECK(names(verdict(with(good, "/secret", "abc")), "secret: "));
  CHECK(names(verdict(with(good, "/tickets/1", 7)), "tickets[1]: "));
  CHECK(names(verdict(with(good, "/tickets/1/leaf", json::string(66, '0'))), "tickets[1].leaf: "));
  CHECK(names(verdict(with(held{3}.of(2), "/ticket/path/1", "z")), "ticket.path[1]: "));
  CHECK(names(verdict(with(held{3}.of(2), "/count", 4'000'000'000)), "count: "));
  CHECK(names(verdict(json::array{}), "object"));
}

TEST_CASE("the document says nothing of whose the tickets are") {
  const auto text = json::serialize(held{20}.all());
  CHECK_FALSE(names(text, "usr_"));
  CHECK_FALSE(names(text, "qt_"));
}

TEST_CASE("usher verify-draw says whether a draw holds, by its exit code too") {
  const usher::tests::temp_dir directory;
  const auto file = directory.path + "/draw.json";
  const auto run = [&](const json::value& document, const std::string& flags = {}) {
    std::ofstream{file} << json::serialize(document);
    std::string out;
    auto* pipe = ::popen((USHER_BINARY " verify-draw " + file + flags + " 2>&1").c_str(), "r");
    REQUIRE(pipe);
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) out += static_cast<char>(c);
    return std::pair{WEXITSTATUS(::pclose(pipe)), out};
  };
  const held draw{1'000};
  const auto commitment = to_hex(bytes_of(draw.f.commitment));
  const auto root = to_hex(bytes_of(draw.f.root));

  const auto [good, said] = run(draw.all());
  CHECK(good == 0);
  CHECK(names(said, commitment));
  CHECK(names(said, root));
  CHECK(names(said, "all 1000 follow"));
  const auto own = run(draw.of(17), " --commitment " + commitment + " --root " + root);
  CHECK(own.first == 0);
  CHECK(names(own.second, "usr_17"));

  const auto changed = run(with(draw.all(), "/tickets/3/rank", 2'000));
  CHECK(changed.first == 1);
  CHECK(names(changed.second, "the draw does not hold: tickets[3].rank: "));
  CHECK(run(draw.all(), " --root " + std::string{zeroes}).first == 1);
  CHECK(run(draw.all(), " --commitment " + std::string{zeroes}).first == 1);
  const auto as_json = json::parse(run(draw.all(), " --json").second).as_object();
  CHECK(as_json.at("holds") == true);
  CHECK(as_json.at("faults").as_array().empty());
  CHECK(run(draw.all(), "-which-is-not-there").first == 2);
}

}  // namespace usher::draw
