#pragma once
// The draw that puts those who came before the sale into a random order, which anybody can compute again.
//
// Before: the commitment is public, a hash of the secret. When the entries close the root of the Merkle tree over the tickets
// is public, so that no ticket can be added, taken away or changed any more. Then the secret is told, and the order follows
// from both. All of it, so that it can be written anew in any language:
//
//   commitment = SHA-256(secret)
//   leaf       = SHA-256(0x00, "<number> <ticket id> <user id> <joined at, ms since 1970>")
//   root       = of the tree of RFC 6962 over the leaves of the tickets 1, 2, 3 … count
//   key        = HMAC-SHA-256(key: secret, message: root)
//   words      = SHA-256(key, i) for i = 0, 1, 2 … as 8 bytes, each result cut into 8 words of 32 bits; most significant byte first
//   below(n)   = the next word modulo n; words from the highest multiple of n on that 32 bits hold are skipped
//   order      = 1, 2, 3 … count; for i = count - 1 down to 1: exchange order[i] and order[below(i + 1)]

#include <cstdint>
#include <string_view>
#include <vector>

#include "events/merkle.hpp"

namespace usher::draw {

/// What is published before anybody can join.
merkle::digest commitment(std::string_view secret);

/// One ticket as the tree has it. Whoever doesn't know the user can't read them from it, but whoever does can look for them.
merkle::digest leaf_of(std::uint64_t number, std::string_view ticket_id, std::string_view user_id, std::int64_t joined_at_ms);

/// The tickets 1 to `count` by rank: the first is the number that comes first. Each order is as likely as any other.
/// Cost: about 30 ms for 1,000,000.
std::vector<std::uint32_t> order(std::string_view secret, const merkle::digest& root, std::uint32_t count);

}  // namespace usher::draw
