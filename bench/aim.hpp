#pragma once
// How the tables tell whether an aim was reached.

namespace usher::bench {

inline const char* met_or_missed(bool met) { return met ? "met" : "MISSED"; }

}  // namespace usher::bench
