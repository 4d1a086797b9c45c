#include "projections/catalogue.hpp"

namespace usher::projections {

std::vector<projection*> views::all() {
  return {&seat_map, &shows, &reservations, &ledger, &wallets, &users, &queues, &funnels};
}

}  // namespace usher::projections
