#include "projections/queues.hpp"

#include <algorithm>
#include <mutex>
#include <stdexcept>

#include "projections/bytes.hpp"
#include "projections/table.hpp"

namespace usher::projections {

namespace {

constexpr std::uint32_t admit_per_window_default = 250;
constexpr std::uint32_t window_seconds_default = 10;
constexpr std::uint32_t admission_seconds_default = 300;

std::uint32_t or_default(std::uint32_t value, std::uint32_t otherwise) { return value == 0 ? otherwise : value; }

// How many of the numbers 1 to n are marked. A Fenwick tree that grows at its end.
class marks {
 public:
  void append() {
    const std::size_t i = sums_.size();  // the node of number i covers (i - lowest bit of i, i]
    sums_.push_back(up_to(i - 1) - up_to(i - (i & (~i + 1))));
  }
  void mark(std::size_t number) {
    for (std::size_t i = number; i < sums_.size(); i += i & (~i + 1)) ++sums_[i];
  }
  [[nodiscard]] std::uint64_t up_to(std::size_t number) const {
    std::uint64_t sum = 0;
    for (std::size_t i = number; i > 0; i -= i & (~i + 1)) sum += sums_[i];
    return sum;
  }
  /// Marked numbers in (after, until].
  [[nodiscard]] std::uint64_t between(std::size_t after, std::size_t until) const {
    return until <= after ? 0 : up_to(until) - up_to(after);
  }

 private:
  std::vector<std::uint32_t> sums_{0};
};

template <class Message>
Message parsed(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw std::runtime_error("a queue's row cannot be parsed");
  }
  return message;
}

}  // namespace

std::string_view word_of(ticket_status status) {
  switch (status) {
    case ticket_status::waiting: return "WAITING";
    case ticket_status::admitted: return "ADMITTED";
    case ticket_status::expired: return "EXPIRED";
    case ticket_status::left: return "LEFT";
    case ticket_status::early: return "EARLY";
    case ticket_status::paid: return "PAID";
    case ticket_status::vanished: return "VANISHED";
    case ticket_status::evicted: return "EVICTED";
    case ticket_status::closed: return "CLOSED";
  }
  return {};
}

struct queues::line {
  struct ticket {
    std::string user_id;
    std::string ticket_id;
    std::int64_t joined_at_ms = 0;
    bool left = false;
  };
  struct run {
    std::uint64_t through = 0;
    std::int64_t at_ms = 0;
    std::int64_t expires_at_ms = 0;
  };

  [[nodiscard]] std::uint64_t through() const { return runs.empty() ? 0 : std::min<std::uint64_t>(runs.back().through, tickets.size()); }

  void join(std::uint64_t number, ticket joined) {
    if (number != tickets.size() + 1) throw std::runtime_error("a ticket's number does not follow the one before it");
    by_user[joined.user_id] = number;
    tickets.push_back(std::move(joined));
    gone.append();
  }

  ticket& at(std::uint64_t number) {
    if (number == 0 || number > tickets.size()) throw std::runtime_error("a queue has no ticket of this number");
    return tickets[number - 1];
  }

  /// @return whether the ticket was there until now
  bool leave(std::uint64_t number) {
    auto& leaver = at(number);
    if (leaver.left) return false;
    leaver.left = true;
    gone.mark(number);
    ++left;
    return true;
  }

  void admit(const v1::TicketsAdmitted& event) {
    if (event.through() < through()) throw std::runtime_error("an admission goes backwards");
    runs.push_back({event.through(), event.at_ms(), event.expires_at_ms()});
    admitted += event.count();
    window_started_at_ms = event.window_started_at_ms();
    admitted_in_window = event.admitted_in_window();
  }

  /// The run that let a number in. @return nullptr while it waits
  [[nodiscard]] const run* run_of(std::uint64_t number) const {
    const auto found = std::lower_bound(runs.begin(), runs.end(), number,
                                        [](const run& r, std::uint64_t n) { return r.through < n; });
    return found == runs.end() ? nullptr : &*found;
  }

  [[nodiscard]] std::uint64_t waiting_before(std::uint64_t number) const {
    const auto inside = through();
    return number <= inside + 1 ? 0 : (number - 1 - inside) - gone.between(inside, number - 1);
  }
  [[nodiscard]] std::uint64_t waiting() const { return waiting_before(tickets.size() + 1); }

  /// Seconds until the person at `position` is admitted: what is left of the running window lets in who still fits,
  /// the rest follows a window's worth at a time.
  [[nodiscard]] std::int64_t seconds_until(std::uint64_t position, time_point now) const {
    const std::uint64_t rate = or_default(settings.admit_per_window(), admit_per_window_default);
    const std::int64_t window_ms = std::int64_t{1000} * or_default(settings.window_seconds(), window_seconds_default);
    const std::int64_t elapsed_ms = to_ms(now) - window_started_at_ms;
    const bool running = elapsed_ms >= 0 && elapsed_ms < window_ms;
    const std::uint64_t room = running ? rate - std::min<std::uint64_t>(rate, admitted_in_window) : rate;
    if (position <= room) return 0;
    const auto windows = static_cast<std::int64_t>((position - room + rate - 1) / rate);
    return (windows * window_ms - (running ? elapsed_ms : 0) + 999) / 1000;
  }

  [[nodiscard]] ticket_view view(const std::string& show_id, std::uint64_t number, time_point now) const {
    const auto& held = tickets[number - 1];
    ticket_view seen;
    seen.show_id = show_id;
    seen.ticket_id = held.ticket_id;
    seen.user_id = held.user_id;
    seen.number = number;
    seen.joined_at_ms = held.joined_at_ms;
    seen.total = waiting();
    const auto* let_in = run_of(number);
    if (held.left) {
      seen.status = ticket_status::left;
    } else if (let_in != nullptr) {
      seen.status = to_ms(now) >= let_in->expires_at_ms ? ticket_status::expired : ticket_status::admitted;
      seen.admitted_at_ms = let_in->at_ms;
      seen.admission_expires_at_ms = let_in->expires_at_ms;
    } else {
      seen.ahead = waiting_before(number);
      seen.position = seen.ahead + 1;
      seen.eta_p50_s = seconds_until(seen.position, now);
      seen.eta_p90_s = seen.eta_p50_s + or_default(settings.window_seconds(), window_seconds_default);
    }
    return seen;
  }

  std::vector<ticket> tickets;  // by number, the first is 1
  marks gone;                   // numbers that left
  std::vector<run> runs;        // by number
  std::unordered_map<std::string, std::uint64_t> by_user;  // the latest number
  v1::QueueSettings settings;
  std::uint64_t admitted = 0;
  std::uint64_t left = 0;
  std::int64_t window_started_at_ms = 0;
  std::uint32_t admitted_in_window = 0;
};

queues::queues() = default;
queues::~queues() = default;

queues::line& queues::line_of(const std::string& show_id) {
  auto& found = lines_[show_id];
  if (!found) found = std::make_unique<line>();
  return *found;
}

void queues::apply(const v1::Record& record) {
  const bool concerned = std::any_of(record.events().begin(), record.events().end(),
                                     [](const auto& event) { return event.has_queue(); });
  if (!concerned) return;
  const std::unique_lock lock(mutex_);
  for (const auto& event : record.events()) {
    if (event.has_queue()) fold(event.stream().group(), event.queue());
  }
}

void queues::fold(const std::string& show_id, const v1::QueueEvent& event) {
  auto& queue = line_of(show_id);
  switch (event.kind_case()) {
    case v1::QueueEvent::kJoined: {
      const auto& joined = event.joined();
      queue.join(joined.number(), {joined.user_id(), joined.ticket_id(), joined.at_ms(), false});
      changed_tickets_.emplace(show_id, joined.number());
      if (joined.has_settings()) queue.settings = joined.settings();
      if (joined.has_settings() || joined.number() == 1) changed_lines_.insert(show_id);
      return;
    }
    case v1::QueueEvent::kLeft:
      if (!queue.leave(event.left().number())) return;
      changed_tickets_.emplace(show_id, event.left().number());
      return;
    case v1::QueueEvent::kAdmitted:
      queue.admit(event.admitted());
      fresh_runs_.emplace(show_id, queue.runs.size() - 1);
      changed_lines_.insert(show_id);
      return;
    case v1::QueueEvent::kOpened:
    case v1::QueueEvent::kRescheduled:
    case v1::QueueEvent::kExpired:
    case v1::QueueEvent::kSpent:
    case v1::QueueEvent::kMoved:
    case v1::QueueEvent::kVanished:
    case v1::QueueEvent::kEvicted:
    case v1::QueueEvent::kLaneAssigned:
    case v1::QueueEvent::kChanged:
    case v1::QueueEvent::kPaused:
    case v1::QueueEvent::kResumed:
    case v1::QueueEvent::kDrained:
    case v1::QueueEvent::kNoticed:
    case v1::QueueEvent::kEntriesClosed:
    case v1::QueueEvent::kDrawHeld:
    case v1::QueueEvent::kSupplyNoted:
    case v1::QueueEvent::kClosed:
    case v1::QueueEvent::kReopened:
    case v1::QueueEvent::KIND_NOT_SET: return;
  }
}

// Rows: "h/<show>" (settings, window, admitted so far), "r/<show>/<run>", "t/<show>/<number>".
void queues::collect(row_writer& out) {
  const std::shared_lock lock(mutex_);
  for (const auto& id : changed_lines_) {
    const auto& queue = *lines_.at(id);
    v1::QueueState head;
    *head.mutable_settings() = queue.settings;
    head.set_window_started_at_ms(queue.window_started_at_ms);
    head.set_admitted_in_window(queue.admitted_in_window);
    std::string row;
    put_number(row, queue.admitted);
    out.put("h/" + id, row + head.SerializeAsString());
  }
  for (const auto& [id, index] : fresh_runs_) {
    const auto& run = lines_.at(id)->runs[index];
    v1::AdmittedRun row;
    row.set_through(run.through);
    row.set_at_ms(run.at_ms);
    row.set_expires_at_ms(run.expires_at_ms);
    out.put("r/" + id + '/' + in_order(index), row.SerializeAsString());
  }
  for (const auto& [id, number] : changed_tickets_) {
    const auto& ticket = lines_.at(id)->tickets[number - 1];
    v1::QueueTicket row;
    row.set_number(number);
    row.set_user_id(ticket.user_id);
    row.set_ticket_id(ticket.ticket_id);
    row.set_joined_at_ms(ticket.joined_at_ms);
    row.set_left(ticket.left);
    out.put("t/" + id + '/' + in_order(number), row.SerializeAsString());
  }
  changed_lines_.clear();
  fresh_runs_.clear();
  changed_tickets_.clear();
}

result<void> queues::load(const store::database& db) {
  return each_row(db, name(), "", [this](std::string_view key, std::string_view value) {
    const std::unique_lock lock(mutex_);
    load_row(key, value);
    return true;
  });
}

void queues::load_row(std::string_view key, std::string_view value) {
  const std::string show_id(key.substr(2, key.find('/', 2) - 2));
  auto& queue = line_of(show_id);
  if (key.starts_with("h/")) {
    byte_reader in(value);
    queue.admitted = in.number();
    const auto row = parsed<v1::QueueState>(in.rest());
    queue.settings = row.settings();
    queue.window_started_at_ms = row.window_started_at_ms();
    queue.admitted_in_window = row.admitted_in_window();
  } else if (key.starts_with("r/")) {
    const auto row = parsed<v1::AdmittedRun>(value);
    queue.runs.push_back({row.through(), row.at_ms(), row.expires_at_ms()});
  } else if (key.starts_with("t/")) {
    const auto row = parsed<v1::QueueTicket>(value);
    queue.join(row.number(), {row.user_id(), row.ticket_id(), row.joined_at_ms(), false});
    if (row.left()) queue.leave(row.number());
  }
}

void queues::clear() {
  const std::unique_lock lock(mutex_);
  lines_.clear();
  changed_tickets_.clear();
  fresh_runs_.clear();
  changed_lines_.clear();
}

std::optional<ticket_view> queues::by_ticket(std::string_view ticket_id, time_point now) const {
  const auto show_id = show_of_ticket(ticket_id);
  const auto number = number_of_ticket(ticket_id);
  const std::shared_lock lock(mutex_);
  const auto found = lines_.find(show_id);
  if (found == lines_.end() || number == 0 || number > found->second->tickets.size()) return std::nullopt;
  if (found->second->tickets[number - 1].ticket_id != ticket_id) return std::nullopt;
  return found->second->view(found->first, number, now);
}

std::optional<ticket_view> queues::by_user(std::string_view show_id, std::string_view user_id, time_point now) const {
  const std::shared_lock lock(mutex_);
  const auto found = lines_.find(show_id);
  if (found == lines_.end()) return std::nullopt;
  const auto number = found->second->by_user.find(std::string(user_id));
  if (number == found->second->by_user.end()) return std::nullopt;
  return found->second->view(found->first, number->second, now);
}

std::optional<queue_totals> queues::totals(std::string_view show_id) const {
  const std::shared_lock lock(mutex_);
  const auto found = lines_.find(show_id);
  if (found == lines_.end()) return std::nullopt;
  const auto& queue = *found->second;
  queue_totals seen;
  seen.joined = queue.tickets.size();
  seen.waiting = queue.waiting();
  seen.admitted = queue.admitted;
  seen.left = queue.left;
  seen.through = queue.through();
  seen.admit_per_window = or_default(queue.settings.admit_per_window(), admit_per_window_default);
  seen.window_seconds = or_default(queue.settings.window_seconds(), window_seconds_default);
  seen.admission_seconds = or_default(queue.settings.admission_seconds(), admission_seconds_default);
  seen.window_started_at_ms = queue.window_started_at_ms;
  seen.admitted_in_window = queue.admitted_in_window;
  return seen;
}

}  // namespace usher::projections
