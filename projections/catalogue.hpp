#pragma once
// All read models. One word each; the order is the order in which they take in a record.

#include "projections/funnels.hpp"
#include "projections/ledger.hpp"
#include "projections/queues.hpp"
#include "projections/reservations.hpp"
#include "projections/seat_map.hpp"
#include "projections/shows.hpp"
#include "projections/users.hpp"
#include "projections/wallets.hpp"

namespace usher::projections {

struct views {
  projections::seat_map seat_map;
  projections::shows shows{seat_map};
  projections::reservations reservations;
  projections::ledger ledger;
  projections::wallets wallets;
  projections::users users;
  projections::queues queues;
  projections::funnels funnels;

  views() = default;
  views(const views&) = delete;
  views& operator=(const views&) = delete;

  /// In the order of application.
  [[nodiscard]] std::vector<projection*> all();
};

}  // namespace usher::projections
