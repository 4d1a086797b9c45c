#include "store/proof.hpp"

#include <algorithm>
#include <charconv>

#include "events/base64.hpp"
#include "events/sha256.hpp"
#include "events/words.hpp"
#include "store/hash.hpp"

namespace usher::store {
namespace {

std::uint64_t records_of(const v1::Checkpoint& c) {
  std::uint64_t sum = 0;
  for (const auto& h : c.partitions()) sum += h.size();
  return sum;
}

void write_path(json_writer& json, const std::vector<merkle::digest>& path) {
  json.key("path").begin_array();
  for (const auto& step : path) json.value(to_hex(bytes_of(step)));
  json.end_array();
}

}  // namespace

void write_checkpoint(json_writer& json, const v1::SignedCheckpoint& c) {
  v1::Checkpoint body;
  static_cast<void>(body.ParseFromString(c.body()));
  json.begin_object().member("number", body.number()).member("at", from_ms(body.at_ms())).member("records", records_of(body))
      .member("root", to_hex(body.root())).member("body", to_base64(c.body())).member("signature", to_base64(c.signature()))
      .member("publicKey", to_hex(c.public_key())).end_object();
}

shown may_be_shown(const v1::Record& record) {
  const auto& command = record.command();
  bool secret = !command.show().open().draw_secret().empty() || command.user().has_sign_up();
  for (const auto& e : record.events()) secret = secret || e.user().has_signed_up() || !e.queue().opened().draw_secret().empty();
  return secret ? shown::nothing : shown::whole;
}

result<std::string> record_proof(const database& db, log_position at, shown how, const v1::SignedCheckpoint& checkpoint) {
  const auto body = body_of(checkpoint);
  if (!body) return body.error();
  const auto* head = head_of(*body, at.partition);
  if (!head || head->size() < at.index) return failure{errc::corrupted, "checkpoint " + std::to_string(body->number()) + " doesn't reach " + place_of(at)};
  const auto path = prove_inclusion(db, at, head->size());
  if (!path) return path.error();
  std::string stored;
  const auto read = db.scan_stored(at.partition, at.index, [&](std::uint64_t index, std::string_view bytes) {
    if (index == at.index) stored = bytes;
    return false;
  });
  if (!read) return read.error();
  v1::Record record;
  if (stored.empty() || !record.ParseFromString(stored)) return failure{errc::corrupted, "record " + place_of(at) + " is missing or can't be decoded"};
  if (may_be_shown(record) == shown::nothing) how = shown::nothing;
  std::string out;
  json_writer json{out};
  json.begin_object().member("proof", "record").member("position", place_of(at)).member("leaf", to_hex(bytes_of(merkle::leaf(stored))));
  if (how == shown::whole) json.member("record", to_base64(stored)).member("content", record);
  write_path(json, *path);
  json.key("checkpoint");
  write_checkpoint(json, checkpoint);
  json.end_object();
  return out;
}

result<std::string> growth_proof(const database& db, const v1::SignedCheckpoint& from, const v1::SignedCheckpoint& to) {
  const auto before = body_of(from);
  const auto after = body_of(to);
  if (!before) return before.error();
  if (!after) return after.error();
  std::string out;
  json_writer json{out};
  json.begin_object().member("proof", "consistency").key("from");
  write_checkpoint(json, from);
  json.key("to");
  write_checkpoint(json, to);
  json.key("partitions").begin_array();
  for (const auto& head : before->partitions()) {
    const auto* now = head_of(*after, head.partition());
    if (!now) return failure{errc::corrupted, "partition " + std::to_string(head.partition()) + " is not in the later checkpoint"};
    const auto path = prove_consistency(db, head.partition(), head.size(), now->size());
    if (!path) return path.error();
    json.begin_object().member("partition", head.partition());
    write_path(json, *path);
    json.end_object();
  }
  json.end_array().end_object();
  return out;
}

// -------------------------------------------------------------------------------------------- checking

namespace {

/// Reads one document; the first thing that is wrong in a place ends what depends on it.
class checker {
 public:
  explicit checker(std::string_view key) : key_{key} {}

  proved run(const boost::json::object& document) {
    const auto kind = text(document, "proof", "");
    if (kind == "record") record(document);
    else if (kind == "consistency") growth(document);
    else if (document.if_contains("items")) list(document);
    else if (document.if_contains("body")) single(document);
    else blame("proof", "This is none of the documents that can be checked: a record's proof, a proof of consistency, or checkpoints.");
    if (!out_.wrong.empty()) out_.holds.clear();
    return std::move(out_);
  }

 private:
  struct checkpoint {
    v1::Checkpoint body;
    std::string hash;
  };

  void blame(std::string field, std::string detail) {
    if (out_.wrong.size() == fault_limit) return;
    v1::Fault f;
    f.set_field(std::move(field));
    f.set_detail(std::move(detail));
    out_.wrong.push_back(std::move(f));
  }
  void hold(std::string sentence) { out_.holds.push_back(std::move(sentence)); }

  std::string text(const boost::json::object& o, std::string_view name, const std::string& path) {
    const auto* value = o.if_contains(name);
    if (value && value->is_string()) return std::string{value->as_string()};
    if (!path.empty()) blame(path + std::string{name}, "It is missing.");
    return {};
  }
  const boost::json::object* object(const boost::json::object& o, std::string_view name) {
    const auto* value = o.if_contains(name);
    if (value && value->is_object()) return &value->as_object();
    blame(std::string{name}, "It is missing.");
    return nullptr;
  }

  std::optional<std::vector<merkle::digest>> path_in(const boost::json::object& o, const std::string& where) {
    std::vector<merkle::digest> out;
    const auto* value = o.if_contains("path");
    if (!value || !value->is_array()) return blame(where + "path", "It is missing."), std::nullopt;
    for (const auto& step : value->as_array()) {
      const auto bytes = step.is_string() ? from_hex(std::string_view{step.as_string()}) : std::nullopt;
      const auto digest = bytes ? digest_from_bytes(*bytes) : std::nullopt;
      if (!digest) return blame(where + "path", "A step is not 32 bytes in hex."), std::nullopt;
      out.push_back(*digest);
    }
    return out;
  }

  /// Of which signature, root and what is said for people hold.
  std::optional<checkpoint> checkpoint_in(const boost::json::object& o, const std::string& where) {
    const auto body = from_base64(text(o, "body", where));
    const auto signature = from_base64(text(o, "signature", where));
    const auto public_key = from_hex(text(o, "publicKey", where));
    if (!body || !signature || !public_key) return blame(where + "body", "Body, signature or key can't be read."), std::nullopt;
    v1::SignedCheckpoint c;
    c.set_body(*body);
    c.set_signature(*signature);
    c.set_public_key(*public_key);
    checkpoint out{{}, sha256(*body)};
    if (!is_signed(c)) return blame(where + "signature", "It is not a signature over the body by this key."), std::nullopt;
    if (!key_.empty() && to_hex(*public_key) != key_) return blame(where + "publicKey", "It is signed by another key: " + to_hex(*public_key) + '.'), std::nullopt;
    if (!out.body.ParseFromString(*body)) return blame(where + "body", "It can't be read."), std::nullopt;
    if (out.body.root() != bytes_of(root_over(out.body.partitions()))) return blame(where + "body", "The root is not that of the partitions."), std::nullopt;
    std::string again;
    json_writer json{again};
    write_checkpoint(json, c);
    boost::json::value said;
    if (parse_json(again, said) || said != o) return blame(where + "body", "What is said of it for people is not what was signed."), std::nullopt;
    if (std::ranges::find(out_.keys, to_hex(*public_key)) == out_.keys.end()) out_.keys.push_back(to_hex(*public_key));
    return out;
  }

  static std::string sentence_of(const v1::Checkpoint& c) {
    return "Checkpoint " + std::to_string(c.number()) + " of " + to_rfc3339(from_ms(c.at_ms())) + " was signed for " + std::to_string(records_of(c)) + " records in " +
           std::to_string(c.partitions_size()) + " partitions.";
  }

  void single(const boost::json::object& document) {
    if (const auto c = checkpoint_in(document, "")) hold(sentence_of(c->body));
    else if (out_.wrong.empty()) blame("", "It can't be read.");
  }

  void list(const boost::json::object& document) {
    const auto* items = document.if_contains("items");
    if (!items->is_array() || items->as_array().empty()) return blame("items", "There is no checkpoint in it.");
    std::optional<checkpoint> before;
    std::size_t i = 0;
    for (const auto& item : items->as_array()) {
      const auto where = "items[" + std::to_string(i++) + "].";
      if (!item.is_object()) return blame(where, "It is no checkpoint.");
      auto c = checkpoint_in(item.as_object(), where);
      if (!c) return;
      if (before) follow(*before, *c, where);
      before = std::move(c);
    }
    if (!out_.wrong.empty()) return;
    hold(std::to_string(i) + " checkpoints follow each other without a gap, each with the hash of the one before.");
    hold(sentence_of(before->body));
  }

  void follow(const checkpoint& before, const checkpoint& c, const std::string& where) {
    if (c.body.number() != before.body.number() + 1) blame(where + "number", "It follows number " + std::to_string(before.body.number()) + '.');
    if (c.body.previous() != before.hash) blame(where + "body", "It doesn't carry the hash of the one before.");
    shrinks(before.body, c.body, where);
  }

  /// @return whether the later one has less of any partition
  bool shrinks(const v1::Checkpoint& before, const v1::Checkpoint& after, const std::string& where) {
    for (const auto& head : before.partitions()) {
      const auto* now = head_of(after, head.partition());
      if (now && now->size() >= head.size()) continue;
      blame(where + "body", "It takes back records of partition " + std::to_string(head.partition()) + '.');
      return true;
    }
    return false;
  }

  void record(const boost::json::object& document) {
    const auto* signed_by = object(document, "checkpoint");
    const auto at = position(text(document, "position", ""));
    const auto leaf_bytes = from_hex(text(document, "leaf", ""));
    const auto leaf = leaf_bytes ? digest_from_bytes(*leaf_bytes) : std::nullopt;
    const auto path = path_in(document, "");
    if (!at) blame("position", "It is no place in the log.");
    if (!leaf) blame("leaf", "It is not 32 bytes in hex.");
    if (!signed_by || !at || !leaf || !path) return;
    const auto c = checkpoint_in(*signed_by, "checkpoint.");
    if (!c) return;
    const auto* head = head_of(c->body, at->partition);
    const auto root = head ? digest_from_bytes(head->root()) : std::nullopt;
    if (!root || !merkle::is_included(*leaf, at->index - 1, head->size(), *path, *root))
      return blame("path", "It doesn't lead from this record at this place to what was signed.");
    const bool has_content = document.if_contains("record") != nullptr;
    if (has_content) content(document, *at, *leaf);
    else if (document.if_contains("content")) blame("record", "It is missing, so that the content can't be checked.");
    hold("The record at " + place_of(*at) + (has_content ? ", with exactly this content," : ", known by its hash alone,") +
         " is one of the first " + std::to_string(head->size()) + " of its partition.");
    hold(sentence_of(c->body));
  }

  static std::optional<log_position> position(const std::string& text) {
    log_position out;
    const auto* end = text.data() + text.size();
    const auto [slash, bad] = std::from_chars(text.data(), end, out.partition);
    if (bad != std::errc{} || slash == end || *slash != '/' || out.partition >= partition_count) return std::nullopt;
    const auto [last, wrong] = std::from_chars(slash + 1, end, out.index);
    if (wrong != std::errc{} || last != end || out.index == 0) return std::nullopt;
    return out;
  }

  void content(const boost::json::object& document, log_position at, const merkle::digest& leaf) {
    const auto stored = from_base64(text(document, "record", ""));
    if (!stored || merkle::leaf(*stored) != leaf) return blame("record", "It is not the record that the leaf is of.");
    v1::Record record;
    if (!record.ParseFromString(*stored)) return blame("record", "It can't be decoded.");
    if (record.partition() != at.partition || record.index() != at.index) blame("record", "It says that it stands elsewhere.");
    const auto* said = document.if_contains("content");
    if (!said) return;
    std::string again;
    to_json(record, again);
    boost::json::value printed;
    if (parse_json(again, printed) || printed != *said) blame("content", "It is not what the record says.");
  }

  void growth(const boost::json::object& document) {
    const auto* from = object(document, "from");
    const auto* to = object(document, "to");
    if (!from || !to) return;
    const auto before = checkpoint_in(*from, "from.");
    const auto after = checkpoint_in(*to, "to.");
    if (!before || !after || shrinks(before->body, after->body, "to.")) return;
    if (before->body.number() > after->body.number()) return blame("to.number", "It is before the other one.");
    const auto* paths = document.if_contains("partitions");
    if (!paths || !paths->is_array() || paths->as_array().size() != static_cast<std::size_t>(before->body.partitions_size()))
      return blame("partitions", "There has to be one path for each partition of the earlier checkpoint.");
    for (int i = 0; i != before->body.partitions_size(); ++i)
      if (!grew(before->body.partitions(i), after->body, paths->as_array()[static_cast<std::size_t>(i)], "partitions[" + std::to_string(i) + "].")) return;
    hold("All " + std::to_string(records_of(before->body)) + " records of checkpoint " + std::to_string(before->body.number()) + " are the first ones of checkpoint " +
         std::to_string(after->body.number()) + ", unchanged and in the same places.");
    hold(sentence_of(before->body));
    hold(sentence_of(after->body));
  }

  bool grew(const v1::PartitionHead& head, const v1::Checkpoint& after, const boost::json::value& value, const std::string& where) {
    if (!value.is_object()) return blame(where, "It is no path."), false;
    const auto& o = value.as_object();
    const auto* partition = o.if_contains("partition");
    if (!partition || *partition != head.partition()) return blame(where + "partition", "It is not the next one of the earlier checkpoint."), false;
    const auto path = path_in(o, where);
    if (!path) return false;
    const auto* now = head_of(after, head.partition());
    const auto root_before = digest_from_bytes(head.root());
    const auto root = digest_from_bytes(now->root());
    if (root_before && root && merkle::is_consistent(head.size(), *root_before, now->size(), *root, *path)) return true;
    blame(where + "path", "It doesn't show that the later records begin with the earlier ones.");
    return false;
  }

  const std::string key_;
  proved out_;
};

}  // namespace

proved check_proof(const boost::json::object& document, std::string_view key) { return checker{key}.run(document); }

}  // namespace usher::store
