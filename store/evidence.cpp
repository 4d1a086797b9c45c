// Rows of the family `evidence`, numbers big endian:
//   c<number u64>                     SignedCheckpoint
//   f<partition u16>                  size u64, and the tree's full subtrees of 32 bytes each, as of the last checkpoint
//   b<partition u16><block u64>       root of 1,024 leaves

#include "store/evidence.hpp"

#include <sodium.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <iterator>

#include "events/words.hpp"
#include "store/big_endian.hpp"
#include "store/hash.hpp"
#include "store/octets.hpp"

namespace usher::store {
namespace {

constexpr std::string_view public_key_row = "signing_key";

std::string append_partition(std::string to, std::uint32_t partition) {
  return to.append({static_cast<char>(partition >> 8), static_cast<char>(partition)});
}

std::string signed_key(std::uint64_t number) { return std::string{"c"}.append(view(big_endian(number))); }
std::string frontier_key(std::uint32_t partition) { return append_partition("f", partition); }
std::string block_key(std::uint32_t partition, std::uint64_t block) { return append_partition("b", partition).append(view(big_endian(block))); }

/// The tree over one partition, made of kept roots and of records where there are none.
class stored_tree {
 public:
  stored_tree(const database& db, std::uint32_t partition) : db_{db}, partition_{partition} {}

  [[nodiscard]] merkle::range_root roots() {
    return [this](std::uint64_t begin, std::uint64_t end) { return root_of(begin, end); };
  }
  [[nodiscard]] const std::optional<failure>& failed() const { return failed_; }

 private:
  merkle::digest root_of(std::uint64_t begin, std::uint64_t end) {
    if (end - begin < leaves_in_block) return root_in_block(begin, end);
    merkle::frontier blocks;
    for (; end - begin >= leaves_in_block; begin += leaves_in_block) blocks.add(full_block(begin / leaves_in_block));
    if (begin != end) blocks.add(root_in_block(begin, end));
    return blocks.root();
  }

  merkle::digest full_block(std::uint64_t block) {
    const auto kept = block_root(db_, partition_, block);
    if (!kept) failed_ = kept.error();
    else if (*kept) return **kept;
    return root_in_block(block * leaves_in_block, (block + 1) * leaves_in_block);
  }

  merkle::digest root_in_block(std::uint64_t begin, std::uint64_t end) {
    if (failed_) return {};
    const auto first = begin / leaves_in_block * leaves_in_block;
    if (first != leaves_from_ || leaves_.size() < end - first) read_leaves(first);
    if (leaves_.size() < end - first) {
      if (!failed_) failed_ = failure{errc::corrupted, "record " + place_of({partition_, first + leaves_.size() + 1}) + " is missing"};
      return {};
    }
    merkle::frontier tree;
    for (auto i = begin; i != end; ++i) tree.add(leaves_[i - first]);
    return tree.root();
  }

  void read_leaves(std::uint64_t first) {
    leaves_.clear();
    leaves_from_ = first;
    const auto read = db_.scan_stored(partition_, first + 1, [&](std::uint64_t index, std::string_view stored) {
      if (index != first + leaves_.size() + 1) return false;
      leaves_.push_back(merkle::leaf(stored));
      return leaves_.size() != leaves_in_block;
    });
    if (!read) failed_ = read.error();
  }

  const database& db_;
  const std::uint32_t partition_;
  std::uint64_t leaves_from_ = 0;
  std::vector<merkle::digest> leaves_;  // of the block that was read last
  std::optional<failure> failed_;
};

}  // namespace

result<signing_key> signing_key::from(std::string_view seed) {
  if (seed.size() != crypto_sign_SEEDBYTES) return failure{errc::invalid_argument, "the secret that signs checkpoints has to have 32 bytes"};
  signing_key out;
  out.secret_.resize(crypto_sign_SECRETKEYBYTES);
  out.public_.resize(crypto_sign_PUBLICKEYBYTES);
  crypto_sign_seed_keypair(octets(out.public_), octets(out.secret_), octets(seed));
  return out;
}

v1::SignedCheckpoint signing_key::sign(const v1::Checkpoint& checkpoint) const {
  v1::SignedCheckpoint out;
  out.set_body(checkpoint.SerializeAsString());
  out.set_public_key(public_);
  std::string signature(crypto_sign_BYTES, '\0');
  crypto_sign_detached(octets(signature), nullptr, octets(std::string_view{out.body()}), out.body().size(), octets(std::string_view{secret_}));
  out.set_signature(std::move(signature));
  return out;
}

bool is_signed(const v1::SignedCheckpoint& c) {
  return c.signature().size() == crypto_sign_BYTES && c.public_key().size() == crypto_sign_PUBLICKEYBYTES &&
         crypto_sign_verify_detached(octets(std::string_view{c.signature()}), octets(std::string_view{c.body()}), c.body().size(),
                                     octets(std::string_view{c.public_key()})) == 0;
}

merkle::digest root_over(const google::protobuf::RepeatedPtrField<v1::PartitionHead>& heads) {
  merkle::frontier tree;
  for (const auto& h : heads) tree.add(merkle::leaf(h.SerializeAsString()));
  return tree.root();
}

const v1::PartitionHead* head_of(const v1::Checkpoint& c, std::uint32_t partition) {
  for (const auto& h : c.partitions())
    if (h.partition() == partition) return &h;
  return nullptr;
}

bool covers(const v1::Checkpoint& c, log_position at) {
  const auto* head = head_of(c, at.partition);
  return head && head->size() >= at.index;
}

result<v1::Checkpoint> body_of(const v1::SignedCheckpoint& c) {
  v1::Checkpoint out;
  if (!out.ParseFromString(c.body())) return failure{errc::corrupted, "the body of a checkpoint can't be read"};
  return out;
}

namespace {

result<v1::SignedCheckpoint> checkpoint_in(std::string_view value) {
  v1::SignedCheckpoint out;
  if (!out.ParseFromArray(value.data(), static_cast<int>(value.size()))) return failure{errc::corrupted, "a checkpoint can't be read"};
  return out;
}

}  // namespace

result<std::optional<v1::SignedCheckpoint>> find_checkpoint(const database& db, std::uint64_t number) {
  const auto row = db.get(family::evidence, signed_key(number));
  if (!row) return row.error();
  if (!*row) return std::optional<v1::SignedCheckpoint>{};
  auto found = checkpoint_in(**row);
  if (!found) return found.error();
  return std::optional{std::move(*found)};
}

result<std::optional<v1::SignedCheckpoint>> last_checkpoint(const database& db) {
  const auto row = db.last_of(family::evidence, "c", signed_key(~std::uint64_t{0}));
  if (!row) return row.error();
  if (!*row) return std::optional<v1::SignedCheckpoint>{};
  auto found = checkpoint_in((*row)->second);
  if (!found) return found.error();
  return std::optional{std::move(*found)};
}

result<void> each_checkpoint(const database& db, std::uint64_t from, const std::function<bool(std::uint64_t, const v1::SignedCheckpoint&)>& visit) {
  std::optional<failure> broken;
  auto read = db.each(family::evidence, "c", signed_key(from), [&](std::string_view key, std::string_view value) {
    const auto found = checkpoint_in(value);
    if (!found) broken = failure{found.error().code, found.error().detail + ": number " + std::to_string(number_at(key, 1))};
    return found && visit(number_at(key, 1), *found);
  });
  if (broken) return *broken;
  return read;
}

result<std::optional<merkle::digest>> block_root(const database& db, std::uint32_t partition, std::uint64_t block) {
  using found = std::optional<merkle::digest>;
  const auto row = db.get(family::evidence, block_key(partition, block));
  if (!row) return row.error();
  if (!*row) return found{};
  const auto root = digest_from_bytes(**row);
  if (!root) return failure{errc::corrupted, "the kept root of block " + std::to_string(block) + " of partition " + std::to_string(partition) + " can't be read"};
  return found{*root};
}

result<std::vector<merkle::digest>> prove_inclusion(const database& db, log_position at, std::uint64_t size) {
  stored_tree tree{db, at.partition};
  auto path = merkle::inclusion_proof(tree.roots(), at.index - 1, size);
  if (tree.failed()) return *tree.failed();
  return path;
}

result<std::vector<merkle::digest>> prove_consistency(const database& db, std::uint32_t partition, std::uint64_t before, std::uint64_t size) {
  stored_tree tree{db, partition};
  auto path = merkle::consistency_proof(tree.roots(), before, size);
  if (tree.failed()) return *tree.failed();
  return path;
}

result<std::optional<merkle::frontier>> kept_frontier(const database& db, std::uint32_t partition) {
  using found = std::optional<merkle::frontier>;
  const auto row = db.get(family::evidence, frontier_key(partition));
  if (!row) return row.error();
  if (!*row) return found{};
  const std::string_view value{**row};
  const auto size = number_at(value, 0);
  if (value.size() != 8 + 32 * static_cast<std::size_t>(std::popcount(size)))
    return failure{errc::corrupted, "the kept tree of partition " + std::to_string(partition) + " can't be read"};
  std::vector<merkle::digest> subtrees;
  for (std::size_t at = 8; at != value.size(); at += 32) subtrees.push_back(*digest_from_bytes(value.substr(at, 32)));
  return found{merkle::frontier::from(size, std::move(subtrees))};
}

result<std::optional<std::string>> kept_public_key(const database& db) { return db.get(family::meta, public_key_row); }

result<bool> signs_here(const database& db, const std::string& secret_file) {
  const auto kept = kept_public_key(db);
  if (!kept) return kept.error();
  std::ifstream in{secret_file, std::ios::binary};
  if (!in || !*kept) return true;
  const auto key = signing_key::from(std::string{std::istreambuf_iterator<char>{in}, {}});
  return key && key->public_key() == **kept;
}

notary::notary(database& db, signing_key key) : db_{db}, key_{std::move(key)} {}

result<void> notary::check_key() {
  const auto kept = kept_public_key(db_);
  if (!kept) return kept.error();
  if (!*kept) return db_.put_meta(public_key_row, key_.public_key());
  if (**kept == key_.public_key()) return {};
  return failure{errc::corrupted, "the secret that signs checkpoints is not the one that signed here before"};
}

result<void> notary::load() {
  if (auto checked = check_key(); !checked) return checked;
  auto newest = last_checkpoint(db_);
  if (!newest) return newest.error();
  if (!*newest) return {};
  auto body = body_of(**newest);
  if (!body) return body.error();
  if (!is_signed(**newest) || (*newest)->public_key() != key_.public_key())
    return failure{errc::corrupted, "the last checkpoint, number " + std::to_string(body->number()) + ", doesn't bear this node's signature"};
  for (const auto& head : body->partitions())
    if (auto loaded = load_tree(head); !loaded) return loaded;
  last_signed_ = std::move(*newest);
  last_ = std::move(*body);
  return {};
}

/// The last record stands for all before it by its chain, so that it is enough to look at this one.
result<void> notary::load_tree(const v1::PartitionHead& head) {
  const auto partition = head.partition();
  const auto signed_for = "records up to " + place_of({partition, head.size()}) + " were signed, and ";
  if (partition >= partition_count || head.size() == 0) return failure{errc::corrupted, "a checkpoint names a partition that can't be"};
  if (db_.durable_end(partition) < head.size())
    return failure{errc::corrupted, signed_for + "the log ends at " + std::to_string(db_.durable_end(partition))};
  std::string stored;
  auto& tree = trees_[partition];
  const auto block_begin = head.size() / leaves_in_block * leaves_in_block;
  const auto read = db_.scan_stored(partition, std::min(block_begin + 1, head.size()), [&](std::uint64_t index, std::string_view record) {
    if (index > block_begin) tree.block.add(merkle::leaf(record));
    if (index == head.size()) stored = record;
    return index < head.size();
  });
  if (!read) return read.error();
  tree.last_hash = sha256(stored);
  if (tree.last_hash != head.last_hash()) return failure{errc::corrupted, signed_for + "the last of them is another one now"};
  auto kept = kept_frontier(db_, partition);
  if (!kept) return kept.error();
  if (!*kept || (*kept)->size() != head.size() || bytes_of((*kept)->root()) != head.root())
    return failure{errc::corrupted, signed_for + "the kept tree of the partition has another root"};
  tree.records = std::move(**kept);
  return {};
}

void notary::take(tree& t, std::string_view stored) {
  const auto leaf = merkle::leaf(stored);
  t.records.add(leaf);
  t.block.add(leaf);
  if (t.block.size() != leaves_in_block) return;
  t.full_blocks.emplace_back(t.records.size() / leaves_in_block - 1, t.block.root());
  t.block = {};
}

result<bool> notary::follow(std::uint64_t records_max) {
  for (std::uint32_t looked = 0; looked != partition_count; ++looked) {
    auto& t = trees_[next_partition_];
    if (const auto end = db_.durable_end(next_partition_); t.records.size() < end) {
      std::optional<failure> broken;
      const auto read = db_.scan_stored(next_partition_, t.records.size() + 1, [&](std::uint64_t index, std::string_view stored) {
        if (index != t.records.size() + 1) broken = failure{errc::corrupted, "the log has a hole before " + place_of({next_partition_, index})};
        if (broken || index > end) return false;
        take(t, stored);
        if (index == end || records_max == 1) t.last_hash = sha256(stored);
        return --records_max != 0;
      });
      if (!read) return read.error();
      if (broken) return *broken;
      if (records_max == 0) return true;
    }
    next_partition_ = (next_partition_ + 1) % partition_count;
  }
  return false;
}

std::uint64_t notary::left() const {
  std::uint64_t sum = 0;
  for (std::uint32_t p = 0; p != partition_count; ++p) sum += db_.durable_end(p) - trees_[p].records.size();
  return sum;
}

void notary::add_rows(std::uint32_t partition, const tree& t, std::vector<database::row>& rows) const {
  std::string value;
  value.append(view(big_endian(t.records.size())));
  for (const auto& subtree : t.records.subtrees()) value += bytes_of(subtree);
  rows.push_back({frontier_key(partition), std::move(value)});
  for (const auto& [block, root] : t.full_blocks) rows.push_back({block_key(partition, block), std::string{bytes_of(root)}});
}

result<void> notary::sign(time_point now) {
  v1::Checkpoint next;
  std::vector<database::row> rows;
  auto before = last_.partitions().begin();
  for (std::uint32_t p = 0; p != partition_count; ++p) {
    const auto& t = trees_[p];
    const auto* known = before != last_.partitions().end() && before->partition() == p ? &*before++ : nullptr;
    if (t.records.size() == 0) continue;
    auto& head = *next.add_partitions();
    if (known && known->size() == t.records.size()) {
      head = *known;
      continue;
    }
    head.set_partition(p);
    head.set_size(t.records.size());
    head.set_root(std::string{bytes_of(t.records.root())});
    head.set_last_hash(t.last_hash);
    add_rows(p, t, rows);
  }
  if (rows.empty()) return {};
  next.set_number(last_.number() + 1);
  next.set_at_ms(to_ms(now));
  next.set_root(std::string{bytes_of(root_over(next.partitions()))});
  if (last_signed_) next.set_previous(sha256(last_signed_->body()));
  auto made = key_.sign(next);
  rows.push_back({signed_key(next.number()), made.SerializeAsString()});
  if (auto kept = db_.put_evidence(rows); !kept) return kept;
  for (auto& t : trees_) t.full_blocks.clear();
  last_signed_ = std::move(made);
  last_ = std::move(next);
  return {};
}

}  // namespace usher::store
