#include "cli_verify.hpp"

#include <boost/json/serialize.hpp>

#include <iostream>
#include <memory>

#include "cli_operation.hpp"
#include "cli_progress.hpp"
#include "events/json.hpp"
#include "events/sha256.hpp"
#include "node.hpp"
#include "projections/verification.hpp"
#include "store/proof.hpp"

namespace usher::cli {
namespace {

struct verify_flags {
  server_flags on;
  std::optional<std::uint32_t> partition;
  std::string proof;
  std::string key;
  bool json = false;
};

// -------------------------------------------------------------------------------------------- what is stored

std::string text_at(const boost::json::value& v, const char* name) { return text_of(v.as_object(), name); }

void print_checked(const boost::json::object& v) {
  if (v.contains("partition"))
    std::cout << number_of(v, "records") << " records of partition " << number_of(v, "partition") << " checked: whole, in order and chained, and as they were signed\n";
  else
    std::cout << number_of(v, "records") << " records of " << number_of(v, "streams") << " streams checked: whole, in order and chained; nothing in them contradicts anything else\n";
  if (number_of(v, "files") != 0) std::cout << number_of(v, "files") << " files, " << number_of(v, "bytes") << " bytes: as they were written\n";
  if (number_of(v, "checkpoints") != 0)
    std::cout << number_of(v, "checkpoints") << " checkpoints, the last for " << number_of(v, "signedRecords") << " records, signed by " << text_of(v, "publicKey") << '\n';
  else
    std::cout << "No checkpoint was ever signed: whoever can write the files could have made all of it up\n";
}

/// The same whether a node checked it or this process.
int print_verdict(const boost::json::object& v, bool as_json) {
  const auto* intact = v.if_contains("intact");
  const bool good = intact && intact->is_bool() && intact->as_bool();
  if (as_json) std::cout << boost::json::serialize(v) << '\n';
  else if (good) print_checked(v);
  if (const auto* unchecked = v.if_contains("unchecked"); unchecked && unchecked->is_array() && !as_json)
    for (const auto& name : unchecked->as_array())
      if (name.is_string()) std::cout << (v.contains("partition") ? "Not looked at: " : "Not known what it should be: ") << std::string_view{name.as_string()} << '\n';
  if (const auto* damage = v.if_contains("damage"); damage && damage->is_array())
    for (const auto& d : damage->as_array())
      if (d.is_object()) std::cerr << "usher: " << text_at(d, "kind") << " at " << text_at(d, "place") << ": " << text_at(d, "detail") << '\n';
  if (const auto more = number_of(v, "more"); more != 0) std::cerr << "usher: and " << more << " more\n";
  if (!good) std::cerr << "usher: what is stored is damaged, or somebody changed it\n";
  return good ? succeeded : was_refused;
}

/// Who learns nothing of what is stored must not take it for damaged.
int not_checked(const failure& why) {
  const int code = complain(why);
  return why.code == errc::corrupted ? code : misused;
}

int verify_live(const verify_flags& flags) {
  const auto on = server_of(flags.on);
  if (!on) return not_checked(on.error());
  const auto operation = run_operation(*on, "/admin/verify");
  if (!operation) return not_checked(operation.error());
  const auto* found = operation->if_contains("result");
  if (!found || !found->is_object()) return not_checked({errc::io_failure, text_of(*operation, "error")});
  return print_verdict(found->as_object(), flags.json);
}

int verify_offline(const verify_flags& flags) {
  projections::verify_options options;
  options.data_directory = flags.on.data;
  options.database_directory = log_directory(flags.on.data);
  options.partition = flags.partition;
  progress bar{1, "kB"};
  options.advance = [&bar](std::uint64_t done, std::uint64_t total) {
    bar.show(done, total);
    return true;
  };
  const auto verified = projections::verify(options);
  if (!verified) return not_checked(verified.error());
  std::string text;
  json_writer json{text};
  projections::write(json, *verified);
  return print_verdict(object_in(text), flags.json);
}

int verify_stored(const verify_flags& flags) {
  const bool is_live = !flags.on.server.empty() || find_running(flags.on.data);
  if (!is_live) return verify_offline(flags);
  if (flags.partition) return complain({errc::invalid_argument, "a node runs there, which checks all partitions: leave --partition away"});
  return verify_live(flags);
}

// -------------------------------------------------------------------------------------------- a proof

/// 64 digits, or a file that has them, or what GET /audit/key answered.
result<std::string> key_from(const std::string& flag) {
  if (const auto bytes = from_hex(flag); bytes && bytes->size() == 32) return flag;
  auto text = read_file(flag);
  if (!text) return text;
  if (const auto named = text_of(object_in(*text), "publicKey"); !named.empty()) *text = named;
  while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
  if (const auto bytes = from_hex(*text); !bytes || bytes->size() != 32) return failure{errc::invalid_argument, flag + " holds no public key: 64 digits in hex"};
  return text;
}

store::proved check(const std::string& text, const std::string& key) {
  boost::json::value value;
  if (auto fault = parse_json(text, value)) return {{}, {std::move(*fault)}, {}};
  if (!value.is_object()) {
    store::proved out;
    out.wrong.emplace_back().set_detail("It has to be a JSON object.");
    return out;
  }
  return store::check_proof(value.as_object(), key);
}

void print_json(const store::proved& p, bool key_is_known) {
  std::string out;
  json_writer json{out};
  json.begin_object().member("holds", p.wrong.empty()).member("keyIsKnown", key_is_known).key("proved").begin_array();
  for (const auto& sentence : p.holds) json.value(sentence);
  json.end_array().key("keys").begin_array();
  for (const auto& key : p.keys) json.value(key);
  json.end_array().key("faults").begin_array();
  for (const auto& f : p.wrong) json.begin_object().member("field", f.field()).member("detail", f.detail()).end_object();
  json.end_array().end_object();
  std::cout << out << '\n';
}

void print_proved(const store::proved& p, bool key_is_known) {
  for (const auto& sentence : p.holds) std::cout << sentence << '\n';
  for (const auto& key : p.keys) std::cout << "Signed by " << key << (key_is_known ? ", the key that you named\n" : "\n");
  if (!key_is_known)
    std::cout << "The key came with the file: anybody could have signed it with a key of their own. Compare it with the one that\n"
                 "the box office published (GET /audit/key), or name that by --key.\n";
}

int verify_proof(const verify_flags& flags) {
  const auto text = read_file(flags.proof);
  if (!text) return complain(text.error());
  const auto key = flags.key.empty() ? result<std::string>{std::string{}} : key_from(flags.key);
  if (!key) return complain(key.error());
  const auto proved = check(*text, *key);
  if (flags.json) print_json(proved, !key->empty());
  else if (proved.wrong.empty()) print_proved(proved, !key->empty());
  for (const auto& f : proved.wrong) std::cerr << "usher: the proof does not hold: " << (f.field().empty() ? "" : f.field() + ": ") << f.detail() << '\n';
  return proved.wrong.empty() ? succeeded : was_refused;
}

}  // namespace

void add_verify(CLI::App& app, int& code) {
  auto flags = std::make_shared<verify_flags>();
  auto* verb = app.add_subcommand("verify", "Check all that is stored, byte by byte and record by record; or a proof that came out of it");
  add_server_flags(*verb, flags->on);
  verb->add_option("--partition", flags->partition, "Only this one's chain, and what was signed of it; of a stopped node")
      ->check(CLI::Range(std::uint32_t{0}, partition_count - 1));
  auto* proof = verb->add_option("--proof", flags->proof, "A proof, or a list of checkpoints, to be checked by itself, without data; - for standard input");
  verb->add_option("--key", flags->key, "The public key that has to have signed it: in hex, or a file with it or with what GET /audit/key answered")->needs(proof);
  for (const char* name : {"--proof", "--key"}) verb->get_option(name)->check(not_empty());
  verb->add_flag("--json", flags->json, "As a JSON object");
  verb->footer(
      "Without --proof: every file against its checksums; the chain of every partition; each stream's versions; what is derived against the log;\n"
      "the signed checkpoints; and the invariants of the sale. All that is wrong is named, by record where there is one, else by file. A node that\n"
      "runs checks a copy of its database, made for this. RocksDB's diaries (LOG, LOG.old.*) say nothing and are not looked at.\n"
      "With --partition only that one's records are read, and what was signed of them: nothing is said of files, streams and contradictions.\n"
      "Exit code 0: nothing is wrong; 1: something is; 2: misused, or it could not be checked.\n"
      "Examples:\n  usher verify --data data\n  usher verify --proof ticket.json --key 630dcd29…\n"
      "  curl -s http://127.0.0.1:8080/audit/checkpoints | usher verify --proof - --key key.json");
  verb->callback([flags, &code] { code = flags->proof.empty() ? verify_stored(*flags) : verify_proof(*flags); });
}

}  // namespace usher::cli
