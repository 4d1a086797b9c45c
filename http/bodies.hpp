#pragma once
// The JSON shapes that several endpoints answer with.

#include "events/json.hpp"
#include "projections/catalogue.hpp"

namespace usher::http {

/// `nextCursor`, null at the end of a list.
void write_next_cursor(json_writer&, const std::string& cursor);
void write_places(json_writer&, const google::protobuf::RepeatedPtrField<v1::PlacesOutcome>&);
void write_seats(json_writer&, const google::protobuf::RepeatedPtrField<std::string>&);

/// As the interface has it: `wallet` where commands have nothing.
std::string_view provider_name(const std::string& provider);
void write_reservation(json_writer&, const projections::reservation_view&);
void write_outcome(json_writer&, const v1::ReservationOutcome&);
/// The same of seats that the house chose, with how they stand: `split`, and `blocks` of seats side by side.
void write_choice(json_writer&, const v1::ReservationOutcome&, const std::vector<std::vector<std::string_view>>& blocks);
void write_payment(json_writer&, const v1::PaymentOutcome&);
void write_counts(json_writer&, const projections::place_counts&);
void write_show(json_writer&, const projections::show_view&);
/// @param person  empty: nothing is known of them
void write_user(json_writer&, const projections::user_view&, const v1::PersonalData& person);
void write_funnel(json_writer&, const projections::funnel&);

}  // namespace usher::http
