#pragma once
// Proofs as JSON that anybody can keep, and check without the data and without a node.
//
// A checkpoint:          {"number", "at", "records", "root", "body", "signature", "publicKey"}; body and signature are base64, the rest is
//                        the body's content for people, and has to agree with it
// A record's proof:      {"proof": "record", "position": "17/4711", "leaf", "record"?, "content"?, "path": ["<hex>", …], "checkpoint": {…}}
// A proof of growth:     {"proof": "consistency", "from": {…}, "to": {…}, "partitions": [{"partition", "path": ["<hex>", …]}, …]}
// A list of checkpoints: {"items": [{…}, …], "nextCursor"}, in order, or one checkpoint by itself

#include <boost/json/object.hpp>

#include "events/json.hpp"
#include "store/evidence.hpp"

namespace usher::store {

void write_checkpoint(json_writer&, const v1::SignedCheckpoint&);

/// How much of a record its proof shows: all, or no more than its hash.
enum class shown : std::uint8_t { whole, nothing };
/// Records with the secret of a draw, or with somebody's personal data, prove that they are there and stay what they are, and no more.
shown may_be_shown(const v1::Record&);
/// @param how  at most: may_be_shown comes first
/// @error corrupted  as prove_inclusion; or the checkpoint doesn't cover the place
result<std::string> record_proof(const database&, log_position, shown how, const v1::SignedCheckpoint&);
/// @error corrupted  as prove_consistency
result<std::string> growth_proof(const database&, const v1::SignedCheckpoint& from, const v1::SignedCheckpoint& to);

/// What a document turned out to prove.
struct proved {
  std::vector<std::string> holds;   ///< sentences
  std::vector<v1::Fault> wrong;     ///< where something doesn't hold: that, by its path; then nothing is proved
  std::vector<std::string> keys;    ///< the public keys, in hex, that signed: whose they are has to be known from elsewhere
};
/// Checks any of these documents.
/// @param key  in hex; empty: whatever key comes with the document
proved check_proof(const boost::json::object& document, std::string_view key);

}  // namespace usher::store
