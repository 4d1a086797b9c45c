#include "cli_words.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>

namespace usher::cli {
namespace {

namespace json = boost::json;

struct sentence {
  std::string_view type;
  std::string_view text;
};

/// By type; `{name}` is a member of the event's data. Amounts are in minor units.
constexpr auto sentences = std::to_array<sentence>({
    {"show.opened", "put on sale"},
    {"show.changed", "its terms were changed"},
    {"seat.held", "held for reservation {reservationId}"},
    {"seat.sold", "sold to reservation {reservationId}"},
    {"seat.released", "free again: reservation {reservationId} let go of it"},
    {"stock.taken", "{quantity} places held for reservation {reservationId}"},
    {"stock.sold", "{quantity} places sold to reservation {reservationId}"},
    {"stock.returned", "{quantity} places free again: reservation {reservationId} let go of them"},
    {"allowance.used", "{quantity} places more, for reservation {reservationId}"},
    {"allowance.restored", "{quantity} places fewer: reservation {reservationId} let go of them"},
    {"reservation.placed", "placed for {userId}: {seats} {generalAdmission} at {amount} {currency}, held until {holdExpiresAt}"},
    {"reservation.released", "given up before it was paid for"},
    {"reservation.expired", "expired: nobody paid for it in time"},
    {"reservation.payment_started", "payment {paymentId} started"},
    {"reservation.payment_declined", "payment {paymentId} was declined"},
    {"reservation.confirmed", "paid for with payment {paymentId}: confirmed"},
    {"reservation.refund_started", "cancelled: payment {paymentId} goes back"},
    {"reservation.cancelled", "the money is back: cancelled"},
    {"reservation.payment_lapsed", "payment {paymentId} lapsed: its provider gave no verdict in time"},
    {"reservation.late_payment_seated", "payment {paymentId} came late, and the seats were still free: confirmed"},
    {"reservation.late_refund_started", "payment {paymentId} came too late: it goes back"},
    {"reservation.late_refunded", "payment {paymentId}, which came too late, is back"},
    {"reservation.extended", "its hold was extended until {holdExpiresAt}"},
    {"reservation.transferred", "handed over to {toUserId}"},
    {"reservation.exchanged", "seat {from} exchanged for {to}, at {amount} now"},
    {"queue.joined", "{userId} joined with ticket {number}"},
    {"queue.left", "{userId} left with ticket {number}"},
    {"queue.admitted", "{count} let in until {expiresAt}"},
    {"queue.opened", "opened"},
    {"queue.rescheduled", "its times were moved"},
    {"queue.expired", "{count} admissions ran out"},
    {"queue.spent", "{userId} spent the admission of ticket {number} on reservation {reservationId}"},
    {"queue.moved", "ticket {number} of {userId} moved to another device"},
    {"queue.vanished", "tickets {numbers} were given up: nobody had heard of them"},
    {"queue.evicted", "ticket {number} of {userId} was taken away: {reason}"},
    {"queue.lane_assigned", "{userId} was given lane {lane}: {reason}"},
    {"queue.changed", "its settings were changed {reason}"},
    {"queue.paused", "paused: {reason}"},
    {"queue.resumed", "goes on {reason}"},
    {"queue.drained", "takes nobody in any more: {reason}"},
    {"queue.noticed", "those who wait are told: {text}"},
    {"queue.entries_closed", "the draw's entries are closed with {count} tickets"},
    {"queue.draw_held", "the draw was held"},
    {"queue.supply_noted", "{available} places are left, and {held} are held"},
    {"queue.closed", "closed for {count} who waited: {why}"},
    {"queue.reopened", "opened again"},
    {"wallet.charged", "{amount} put in as {transactionId}: the balance is {balance}"},
    {"wallet.used", "{amount} taken out as {transactionId}: the balance is {balance}"},
    {"wallet.debited", "{amount} paid for reservation {reservationId} with payment {paymentId}: the balance is {balance}"},
    {"wallet.debit_refused", "payment {paymentId} of {amount} for reservation {reservationId} refused: there was too little"},
    {"wallet.credited", "{amount} given back for reservation {reservationId}, payment {paymentId}: the balance is {balance}"},
    {"wallet.authorized", "{amount} set aside as {authorizationId} until {expiresAt}"},
    {"wallet.captured", "{amount} taken of what was set aside as {authorizationId}: the balance is {balance}"},
    {"wallet.voided", "{amount} that were set aside as {authorizationId} are free again"},
    {"user.signed_up", "signed up"},
    {"user.erased", "erased: {reason}"},
});

/// A value as a part of a sentence: of things with several members what they are called.
std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string{value.as_string()};
  if (value.is_object()) {
    for (const auto* name : {"seat", "section", "name"})
      if (const auto* called = value.as_object().if_contains(name)) return text_of(*called);
    return {};
  }
  if (!value.is_array()) return json::serialize(value);
  std::string out;
  for (const auto& item : value.as_array()) out += (out.empty() ? "" : ", ") + text_of(item);
  return out;
}

std::string filled(std::string_view text, const json::object& data) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto open = std::min(text.find('{', at), text.size());
    out += text.substr(at, open - at);
    if (open == text.size()) break;
    const auto close = text.find('}', open);
    const auto* value = data.if_contains(text.substr(open + 1, close - open - 1));
    const auto word = value ? text_of(*value) : std::string{};
    at = close + 1;
    // Nothing in the place of what is not said, nor two spaces around it.
    if (word.empty() && at < text.size() && text[at] == ' ') ++at;
    out += word;
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == ':')) out.pop_back();
  return out;
}

}  // namespace

std::optional<std::string> words_for(std::string_view type, const json::object& data) {
  const auto found = std::ranges::find(sentences, type, &sentence::type);
  if (found == sentences.end()) return std::nullopt;
  return filled(found->text, data);
}

}  // namespace usher::cli
