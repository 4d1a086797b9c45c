// The route table: one row an endpoint, grouped by what they are about.

#include "http/handlers.hpp"

namespace usher::http {

std::vector<route> make_routes(engine& e) {
  rows table;
  add_user_routes(table, e);
  add_show_routes(table, e);
  add_queue_routes(table, e);
  add_operator_routes(table, e);
  add_draw_routes(table, e);
  add_reservation_routes(table, e);
  add_money_routes(table, e);
  add_payment_routes(table, e);
  add_audit_routes(table, e);
  add_operation_routes(table, e);
  add_evidence_routes(table, e);
  add_projection_routes(table, e);
  add_replay_routes(table, e);
  add_backup_routes(table, e);
  add_node_routes(table, e);
  return table;
}

}  // namespace usher::http
