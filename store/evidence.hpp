#pragma once
// What vouches for the log towards others: a Merkle tree over each partition, signed checkpoints of their roots, and the proofs in them.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "events/evidence.pb.h"
#include "events/merkle.hpp"
#include "store/database.hpp"

namespace usher::store {

/// Signs by Ed25519 (RFC 8032).
class signing_key {
 public:
  /// @param seed  32 secret bytes, from which the pair follows
  /// @error invalid_argument  they are not 32
  static result<signing_key> from(std::string_view seed);
  [[nodiscard]] const std::string& public_key() const { return public_; }  ///< 32 bytes
  [[nodiscard]] v1::SignedCheckpoint sign(const v1::Checkpoint&) const;

 private:
  signing_key() = default;
  std::string secret_, public_;
};
/// Whether the signature is by the key that stands beside it. Whose key that is has to be known from elsewhere.
bool is_signed(const v1::SignedCheckpoint&);

/// Of the tree over the heads in a checkpoint.
merkle::digest root_over(const google::protobuf::RepeatedPtrField<v1::PartitionHead>&);
/// The head of one partition; nullptr where the checkpoint has none.
const v1::PartitionHead* head_of(const v1::Checkpoint&, std::uint32_t partition);
/// Whether the record at this place is among those that the checkpoint vouches for.
bool covers(const v1::Checkpoint&, log_position);

/// @return nullopt where there is none, or none yet  @error io_failure, corrupted
result<std::optional<v1::SignedCheckpoint>> find_checkpoint(const database&, std::uint64_t number);
result<std::optional<v1::SignedCheckpoint>> last_checkpoint(const database&);
/// Those whose number is at least `from`, in order, until `visit` returns false.
result<void> each_checkpoint(const database&, std::uint64_t from, const std::function<bool(std::uint64_t number, const v1::SignedCheckpoint&)>& visit);
/// What was signed. @error corrupted
result<v1::Checkpoint> body_of(const v1::SignedCheckpoint&);

/// Leaves whose common root is kept, so that a proof reads one such block of records at each end and the roots between.
inline constexpr std::uint64_t leaves_in_block = 1024;
/// The kept root of the block with this number (0, 1, 2 …) of a partition; nullopt where no checkpoint has reached its end.
result<std::optional<merkle::digest>> block_root(const database&, std::uint32_t partition, std::uint64_t block);

/// The record at this place is in the first `size` of its partition: the path from it to their root.
/// @error corrupted  the log or the kept roots can't be read
/// Cost: 1,024 records, or 2,048 where the place and the end are apart, and a row of 32 bytes for each 1,024 of `size`.
result<std::vector<merkle::digest>> prove_inclusion(const database&, log_position, std::uint64_t size);
/// The first `before` records of a partition are what its first `size` begin with. @error, cost: as above
result<std::vector<merkle::digest>> prove_consistency(const database&, std::uint32_t partition, std::uint64_t before, std::uint64_t size);

/// Follows the durable records, and signs how far they go. For one thread at a time.
class notary {
 public:
  /// The database outlives it.
  notary(database&, signing_key);

  /// Takes up where the last checkpoint ended. Before anything else.
  /// @error corrupted  the log doesn't hold what was signed, or another key signed it: that is damage, or somebody's deed,
  ///                   and nothing must be signed on top of it
  /// Cost: for each partition that has records a few point reads, and the records of its last block, at most 1,024.
  result<void> load();

  /// Takes in at most so many records. @return whether there are more on disk  @error corrupted, io_failure
  result<bool> follow(std::uint64_t records_max);
  /// How many durable records it has not taken in yet. Cheap.
  [[nodiscard]] std::uint64_t left() const;
  /// Signs what was taken in, synced; also while there is more to follow. Where that is nothing new, the last checkpoint is still it.
  /// @error io_failure
  result<void> sign(time_point now);

  /// The last one; nullopt where nothing was ever signed.
  [[nodiscard]] const std::optional<v1::SignedCheckpoint>& last() const { return last_signed_; }
  [[nodiscard]] const v1::Checkpoint& last_body() const { return last_; }

 private:
  struct tree {
    merkle::frontier records;
    merkle::frontier block;  ///< the records of the block that is not full yet
    std::string last_hash;
    std::vector<std::pair<std::uint64_t, merkle::digest>> full_blocks;  ///< not kept yet
  };
  result<void> check_key();
  result<void> load_tree(const v1::PartitionHead&);
  void take(tree&, std::string_view stored);
  void add_rows(std::uint32_t partition, const tree&, std::vector<database::row>&) const;

  database& db_;
  const signing_key key_;
  std::array<tree, partition_count> trees_;
  std::uint32_t next_partition_ = 0;
  std::optional<v1::SignedCheckpoint> last_signed_;
  v1::Checkpoint last_;
};

/// How `notary` keeps a partition's tree, for those who check it.
/// @return nullopt where there is none  @error corrupted
result<std::optional<merkle::frontier>> kept_frontier(const database&, std::uint32_t partition);
/// The public key that signs here; nullopt before anything was signed.
result<std::optional<std::string>> kept_public_key(const database&);
/// Whether the secret in this file is the one that signs here: also where nothing was ever signed, or there is no such file.
/// @error io_failure, corrupted  the database can't be read
result<bool> signs_here(const database&, const std::string& secret_file);

}  // namespace usher::store
