#include "cli_draw.hpp"

#include <iostream>
#include <memory>

#include "events/draw_document.hpp"

namespace usher::cli {
namespace {

struct draw_flags {
  std::string file;
  std::string commitment;
  std::string root;
  bool json = false;
};

v1::Fault fault(std::string field, std::string detail) {
  v1::Fault out;
  out.set_field(std::move(field));
  out.set_detail(std::move(detail));
  return out;
}

/// That the document speaks of the draw that was announced.
void compare(const draw_flags& flags, const draw::facts& facts, std::vector<v1::Fault>& wrong) {
  if (!flags.commitment.empty() && flags.commitment != to_hex(bytes_of(facts.commitment)))
    wrong.push_back(fault("commitment", "It is not the one that was published before."));
  if (!flags.root.empty() && flags.root != to_hex(bytes_of(facts.root)))
    wrong.push_back(fault("root", "It is not the one that was published before."));
}

std::vector<v1::Fault> judge(const draw_flags& flags, std::string_view text, draw::document& read) {
  boost::json::value value;
  if (auto wrong = parse_json(text, value)) return {std::move(*wrong)};
  if (auto wrong = draw::read_document(value, read); !wrong.empty()) return wrong;
  auto wrong = draw::verify(read);
  compare(flags, read.facts, wrong);
  return wrong;
}

void print_good(const draw_flags& flags, const draw::document& d) {
  const auto& f = d.facts;
  std::cout << "The draw of " << f.show_id << " is as it has to be.\n"
            << "  secret      its SHA-256 is the commitment " << to_hex(bytes_of(f.commitment)) << '\n';
  if (d.own) {
    std::cout << "  ticket      " << d.own->ticket_id << " of " << d.own->user_id << ", joined " << to_rfc3339(from_ms(d.own->joined_at_ms))
              << ", is number " << d.own->number << " of the " << f.count << " under the root " << to_hex(bytes_of(f.root)) << '\n'
              << "  rank        " << d.own->rank << ", as it follows from the secret and the root\n";
  } else {
    std::cout << "  tickets     " << f.count << ", under the root " << to_hex(bytes_of(f.root)) << '\n'
              << "  ranks       all " << f.count << " follow from the secret and the root\n";
  }
  if (flags.commitment.empty() || flags.root.empty())
    std::cout << "Compare the commitment with what was published before anybody joined, and the root with what was published\n"
                 "before the secret was told (--commitment, --root): without that, all of it could have been made up later.\n";
}

void print_json(const draw::document& d, const std::vector<v1::Fault>& wrong) {
  std::string out;
  json_writer json{out};
  json.begin_object().member("holds", wrong.empty());
  if (wrong.empty()) {
    json.member("showId", d.facts.show_id).member("count", d.facts.count).member("commitment", to_hex(bytes_of(d.facts.commitment)))
        .member("root", to_hex(bytes_of(d.facts.root)));
    if (d.own) json.member("ticketId", d.own->ticket_id).member("userId", d.own->user_id).member("rank", d.own->rank);
  }
  json.key("faults").begin_array();
  for (const auto& f : wrong) json.begin_object().member("field", f.field()).member("detail", f.detail()).end_object();
  json.end_array().end_object();
  std::cout << out << '\n';
}

int verify_draw(const draw_flags& flags) {
  const auto text = read_file(flags.file);
  if (!text) return complain(text.error());
  draw::document read;
  const auto wrong = judge(flags, *text, read);
  if (flags.json) print_json(read, wrong);
  else if (wrong.empty()) print_good(flags, read);
  for (const auto& f : wrong)
    std::cerr << "usher: the draw does not hold: " << (f.field().empty() ? "" : f.field() + ": ") << f.detail() << '\n';
  return wrong.empty() ? succeeded : was_refused;
}

}  // namespace

void add_verify_draw(CLI::App& app, int& code) {
  auto flags = std::make_shared<draw_flags>();
  auto* verb = app.add_subcommand("verify-draw", "Compute a waiting room's draw again from its published document, offline");
  verb->add_option("FILE", flags->file, "What GET /shows/{id}/draw/tickets or GET /queue/proof answered; - for standard input")->required();
  verb->add_option("--commitment", flags->commitment, "The commitment as it was published before anybody joined");
  verb->add_option("--root", flags->root, "The root as it was published when the entries closed");
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer("Exit code 0: it holds; 1: it doesn't, and what is wrong is named; 2: the file can't be read.\n"
               "Examples:\n  curl -s http://127.0.0.1:8080/shows/shw_7q2m4x9c1v5k3tza/draw/tickets | usher verify-draw -\n"
               "  usher verify-draw proof.json --commitment 630dcd29… --root 7554986b…");
  verb->callback([flags, &code] { code = verify_draw(*flags); });
}

}  // namespace usher::cli
